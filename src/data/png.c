/* PNG by libspng, to RGB as Pillow's convert("RGB") gives it: palette looked up, grey repeated,
 * alpha dropped, 16 bits cut to the upper 8. */
#include "data_internal.h"

#include <spng.h>

enum { MOST_CHUNK_BYTES = 16 << 20 };

static tq_status decode(spng_ctx *png, const void *bytes, size_t size, tq_tensor *image)
{
    spng_set_image_limits(png, TQ_IMAGE_MAX_SIDE, TQ_IMAGE_MAX_SIDE);
    spng_set_chunk_limits(png, MOST_CHUNK_BYTES, MOST_CHUNK_BYTES);
    struct spng_ihdr header;
    size_t needed;
    int error = spng_set_png_buffer(png, bytes, size);
    if (!error)
        error = spng_get_ihdr(png, &header);
    if (error)
        return tq_fail(TQ_ERR_FORMAT, "not a PNG file: %s", spng_strerror(error));
    TQ_TRY(tq_image_check_size(header.height, header.width));
    error = spng_decoded_image_size(png, SPNG_FMT_RGB8, &needed);
    if (!error) {
        TQ_TRY(tq_image_init(image, header.height, header.width, 3));
        error = spng_decode_image(png, image->data, needed, SPNG_FMT_RGB8, 0);
    }
    return error ? tq_fail(TQ_ERR_FORMAT, "broken PNG file: %s", spng_strerror(error)) : TQ_OK;
}

tq_status tq_png_decode(const void *bytes, size_t size, tq_tensor *out_image)
{
    tq_tensor image = { 0 };
    spng_ctx *png = spng_ctx_new(0);
    if (!png)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    const tq_status status = decode(png, bytes, size, &image);
    spng_ctx_free(png);
    if (status)
        tq_tensor_reset(&image);
    else
        *out_image = image;
    return status;
}
