/* JPEG by libjpeg-turbo, decoded as Pillow does: accurate integer DCT, fancy upsampling, and
 * convert("RGB") for grey and CMYK. Orientation tags are ignored, as Pillow and torchvision do.
 * Data that is damaged or ends early is an error, though libjpeg would go on with grey blocks. */
#include "data_internal.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

/** A progressive file with more scans than this is made to waste time. */
enum { MOST_SCANS = 500 };

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char message[JMSG_LENGTH_MAX + 32];
    tq_tensor image;
    JSAMPLE *row;     /* one row as the file has it, where it is not RGB */
    tq_status status; /* an error of ours, not of libjpeg */
} decoder;

static void on_error(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;
    jpeg->err->format_message(jpeg, d->message);
    if (isupper((unsigned char)d->message[0]) && !isupper((unsigned char)d->message[1]))
        d->message[0] = (char)tolower((unsigned char)d->message[0]);
    longjmp(d->jump, 1);
}

/** level < 0: a warning. Only those that leave every pixel right are passed over. */
static void on_message(j_common_ptr jpeg, int level)
{
    const int code = jpeg->err->msg_code;
    const bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM ||
                          code == JWRN_JFIF_MAJOR || code == JWRN_BOGUS_PROGRESSION ||
                          code == JWRN_TOO_MUCH_DATA;
    if (level < 0 && !harmless)
        on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;
    if (jpeg->is_decompressor && d->jpeg.input_scan_number > MOST_SCANS) {
        snprintf(d->message, sizeof d->message, "more than %d scans", (int)MOST_SCANS);
        longjmp(d->jump, 1);
    }
}

/** a * b / 255, rounded, for bytes. */
static int mul_255(int a, int b)
{
    const int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/** One row to RGB. CMYK files hold 255 - ink, as Adobe writes them; Pillow takes that for granted.
 */
static void row_to_rgb(const JSAMPLE *from, int n_components, int64_t width, uint8_t *to)
{
    for (int64_t w = 0; w < width; w++, from += n_components, to += 3)
        for (int c = 0; c < 3; c++) {
            if (n_components == 1) {
                to[c] = from[0];
            } else {
                const int v = from[3] - mul_255(255 - from[c], from[3]);
                to[c] = (uint8_t)(v < 0 ? 0 : v);
            }
        }
}

/** Runs under setjmp: everything to undo is in *d. */
static void decode(decoder *d, const void *bytes, size_t size)
{
    jpeg_create_decompress(&d->jpeg);
    d->jpeg.progress = &d->progress;
    jpeg_mem_src(&d->jpeg, bytes, size);
    jpeg_read_header(&d->jpeg, TRUE);
    const int64_t height = d->jpeg.image_height, width = d->jpeg.image_width;
    if ((d->status = tq_image_check_size(height, width)))
        return;
    const int n_components = d->jpeg.num_components;
    d->jpeg.out_color_space = n_components == 1   ? JCS_GRAYSCALE
                              : n_components == 4 ? JCS_CMYK
                                                  : JCS_RGB;
    d->jpeg.dct_method = JDCT_ISLOW;
    d->jpeg.do_fancy_upsampling = TRUE;
    jpeg_start_decompress(&d->jpeg);
    if ((d->status = tq_image_init(&d->image, height, width, 3)))
        return;
    const bool is_rgb = d->jpeg.output_components == 3;
    if (!is_rgb && !(d->row = tq_allocate((size_t)width * (size_t)d->jpeg.output_components))) {
        d->status = tq_fail(TQ_ERR_MEMORY, "out of memory");
        return;
    }
    while (d->jpeg.output_scanline < d->jpeg.output_height) {
        uint8_t *to =
            (uint8_t *)d->image.data + (size_t)d->jpeg.output_scanline * (size_t)width * 3;
        JSAMPROW rows[1] = { is_rgb ? to : d->row };
        jpeg_read_scanlines(&d->jpeg, rows, 1);
        if (!is_rgb)
            row_to_rgb(d->row, d->jpeg.output_components, width, to);
    }
    jpeg_finish_decompress(&d->jpeg);
}

tq_status tq_jpeg_decode(const void *bytes, size_t size, tq_tensor *out_image)
{
    decoder *d = tq_allocate(sizeof *d);
    if (!d)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    d->jpeg.err = jpeg_std_error(&d->errors);
    d->jpeg.client_data = d;
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->progress.progress_monitor = on_progress;
    if (setjmp(d->jump) == 0)
        decode(d, bytes, size);
    else
        d->status = tq_fail(TQ_ERR_FORMAT, "broken JPEG file: %s", d->message);
    const tq_status status = d->status;
    jpeg_destroy_decompress(&d->jpeg);
    free(d->row);
    if (status)
        tq_tensor_reset(&d->image);
    else
        *out_image = d->image;
    free(d);
    return status;
}
