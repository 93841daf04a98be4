/* Images: read by what the file holds, not by its name; cut out. */
#include "data_internal.h"

#include <stdlib.h>
#include <string.h>

tq_status tq_image_check_size(int64_t height, int64_t width)
{
    if (height < 1 || width < 1 || height > TQ_IMAGE_MAX_SIDE || width > TQ_IMAGE_MAX_SIDE ||
        height * width > TQ_IMAGE_MAX_PIXELS)
        return tq_fail(TQ_ERR_FORMAT,
                       "an image of %lld x %lld pixels; at most %d x %d and %d altogether are read",
                       (long long)width, (long long)height, (int)TQ_IMAGE_MAX_SIDE,
                       (int)TQ_IMAGE_MAX_SIDE, (int)TQ_IMAGE_MAX_PIXELS);
    return TQ_OK;
}

tq_status tq_image_init(tq_tensor *image, int64_t height, int64_t width, int64_t n_channels)
{
    const tq_type type = tq_type_make(TQ_U8, 3, (int64_t[]){ height, width, n_channels });
    return tq_tensor_init(image, &type);
}

static tq_status decode(const unsigned char *bytes, size_t size, tq_tensor *out_image)
{
    if (size < 4)
        return tq_fail(TQ_ERR_FORMAT, "not a JPEG or PNG file: it has %zu bytes", size);
    if (bytes[0] == 0xff && bytes[1] == 0xd8)
        return tq_jpeg_decode(bytes, size, out_image);
    if (memcmp(bytes, "\x89PNG", 4) == 0)
        return tq_png_decode(bytes, size, out_image);
    return tq_fail(TQ_ERR_FORMAT, "not a JPEG or PNG file: it starts with 0x%02x 0x%02x", bytes[0],
                   bytes[1]);
}

tq_status tq_image_decode(const void *bytes, size_t size, const char *name, tq_tensor *out_image)
{
    const tq_status status = decode(bytes, size, out_image);
    return name ? tq_wrap(status, "cannot read '%s'", name) : status;
}

tq_status tq_image_load(const char *path, tq_tensor *out_image)
{
    void *bytes;
    size_t size;
    TQ_TRY(tq_file_load(path, &bytes, &size));
    const tq_status status = tq_image_decode(bytes, size, path, out_image);
    free(bytes);
    return status;
}

tq_status tq_image_require(const tq_tensor *x, const char *transform)
{
    const tq_type *type = &x->type;
    if (type->dtype == TQ_U8 && type->rank == 3 && type->dims[0] > 0 && type->dims[1] > 0 &&
        type->dims[2] > 0)
        return TQ_OK;
    return tq_fail(
        TQ_ERR_TYPE,
        "%s needs an image, u8 [height, width, channels]; found %s (preset 'raw' takes arrays)",
        transform, tq_type_text(type).s);
}

tq_status tq_image_crop(tq_tensor *x, int64_t top, int64_t left, int64_t height, int64_t width)
{
    const int64_t in_height = x->type.dims[0], in_width = x->type.dims[1],
                  n_channels = x->type.dims[2];
    tq_tensor window;
    TQ_TRY(tq_image_check_size(height, width));
    TQ_TRY(tq_image_init(&window, height, width, n_channels));
    const int64_t first = left < 0 ? -left : 0;
    const int64_t last = left + width > in_width ? in_width - left : width;
    for (int64_t h = 0; h < height && first < last; h++) {
        const int64_t from = top + h;
        if (from >= 0 && from < in_height)
            memcpy((uint8_t *)window.data + (h * width + first) * n_channels,
                   (const uint8_t *)x->data + (from * in_width + left + first) * n_channels,
                   (size_t)((last - first) * n_channels));
    }
    tq_tensor_reset(x);
    *x = window;
    return TQ_OK;
}

tq_status tq_image_to_f32(tq_tensor *x, float divisor)
{
    const int64_t n_c = x->type.dims[2], n_pixels = x->type.dims[0] * x->type.dims[1];
    const tq_type type =
        tq_type_make(TQ_F32, 3, (int64_t[]){ n_c, x->type.dims[0], x->type.dims[1] });
    tq_tensor y;
    TQ_TRY(tq_tensor_init(&y, &type));
    float table[256];
    for (int v = 0; v < 256; v++)
        table[v] = (float)v / divisor;
    const uint8_t *from = x->data;
    float *to = y.data;
    for (int64_t i = 0; i < n_pixels; i++)
        for (int64_t c = 0; c < n_c; c++)
            to[c * n_pixels + i] = table[*from++];
    tq_tensor_reset(x);
    *x = y;
    return TQ_OK;
}

tq_status tq_require_f32(const tq_tensor *x, const char *transform)
{
    if (x->type.dtype == TQ_F32)
        return TQ_OK;
    return tq_fail(TQ_ERR_TYPE, "%s needs f32 values, found %s; put ToTensor or ToFloat before it",
                   transform, tq_type_text(&x->type).s);
}
