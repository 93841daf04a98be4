/* Pillow's resampling of 8-bit images with the triangle filter ("BILINEAR"), bit for bit: one pass
 * along the rows and one down the columns, each
 *
 *   y[i] = clip8((sum_k coeff[i][k] * x[first[i] + k] + 2^21) >> 22)
 *
 * The triangle is widened by the reduction factor (antialiasing); its weights are computed in
 * double, normalised to sum 1 and rounded to 22 bits. The image between the passes has 8 bits, so
 * their order matters by one level: rows come first, but for an image that loses more than twice as
 * many rows as columns (before Pillow 13: always).
 * Source: Pillow 13.0, src/libImaging/Resample.c. */
#include "data_internal.h"

#include <math.h>
#include <stdlib.h>

enum { PRECISION_BITS = 32 - 8 - 2 };

/** Output i is a weighted sum of n[i] inputs from first[i] on. */
typedef struct filter {
    int64_t width; /* most inputs of one output */
    int64_t *first, *n;
    int32_t *coeffs; /* [n_out, width] */
    double *weights; /* [width]: those of one output before rounding */
} filter;

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static void filter_reset(filter *f)
{
    free(f->first);
    free(f->n);
    free(f->coeffs);
    free(f->weights);
}

static void compute_weights(filter *f, int64_t i, double center, double widening)
{
    double sum = 0.0;
    for (int64_t k = 0; k < f->n[i]; k++) {
        f->weights[k] = triangle(((double)(k + f->first[i]) - center + 0.5) * (1.0 / widening));
        sum += f->weights[k];
    }
    for (int64_t k = 0; k < f->n[i]; k++) {
        const double weight = sum != 0.0 ? f->weights[k] / sum : f->weights[k];
        f->coeffs[i * f->width + k] = (int32_t)(0.5 + weight * (1 << PRECISION_BITS));
    }
}

static tq_status filter_init(filter *f, int64_t n_in, int64_t n_out)
{
    const double scale = (double)n_in / (double)n_out;
    const double widening = scale < 1.0 ? 1.0 : scale; /* the triangle's half width, too */
    *f = (filter){ .width = (int64_t)ceil(widening) * 2 + 1 };
    f->first = tq_allocate((size_t)n_out * sizeof *f->first);
    f->n = tq_allocate((size_t)n_out * sizeof *f->n);
    f->coeffs = tq_allocate((size_t)(n_out * f->width) * sizeof *f->coeffs);
    f->weights = tq_allocate((size_t)f->width * sizeof *f->weights);
    if (!f->first || !f->n || !f->coeffs || !f->weights) {
        filter_reset(f);
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    }
    for (int64_t i = 0; i < n_out; i++) {
        const double center = ((double)i + 0.5) * scale;
        const int64_t from = (int64_t)(center - widening + 0.5),
                      to = (int64_t)(center + widening + 0.5);
        f->first[i] = from < 0 ? 0 : from;
        f->n[i] = (to > n_in ? n_in : to) - f->first[i];
        compute_weights(f, i, center, widening);
    }
    return TQ_OK;
}

static uint8_t clip8(int32_t sum)
{
    const int32_t v = sum >> PRECISION_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/** Along w: x [height, *, c] to y [height, n_out, c]. */
static void filter_rows(const filter *f, const tq_tensor *x, tq_tensor *y)
{
    const int64_t n_in = x->type.dims[1], n_out = y->type.dims[1], n_c = x->type.dims[2];
    for (int64_t h = 0; h < y->type.dims[0]; h++) {
        const uint8_t *from = (const uint8_t *)x->data + h * n_in * n_c;
        uint8_t *to = (uint8_t *)y->data + h * n_out * n_c;
        for (int64_t i = 0; i < n_out; i++)
            for (int64_t c = 0; c < n_c; c++) {
                const int32_t *coeffs = f->coeffs + i * f->width;
                const uint8_t *in = from + f->first[i] * n_c + c;
                int32_t sum = 1 << (PRECISION_BITS - 1);
                for (int64_t k = 0; k < f->n[i]; k++)
                    sum += in[k * n_c] * coeffs[k];
                to[i * n_c + c] = clip8(sum);
            }
    }
}

/** Along h: x [*, width, c] to y [n_out, width, c]; whole rows are summed at once. */
static void filter_columns(const filter *f, const tq_tensor *x, tq_tensor *y, int32_t *sums)
{
    const int64_t n_row = x->type.dims[1] * x->type.dims[2];
    for (int64_t i = 0; i < y->type.dims[0]; i++) {
        for (int64_t j = 0; j < n_row; j++)
            sums[j] = 1 << (PRECISION_BITS - 1);
        for (int64_t k = 0; k < f->n[i]; k++) {
            const int32_t coeff = f->coeffs[i * f->width + k];
            const uint8_t *from = (const uint8_t *)x->data + (f->first[i] + k) * n_row;
            for (int64_t j = 0; j < n_row; j++)
                sums[j] += from[j] * coeff;
        }
        uint8_t *to = (uint8_t *)y->data + i * n_row;
        for (int64_t j = 0; j < n_row; j++)
            to[j] = clip8(sums[j]);
    }
}

static tq_status resize_width(tq_tensor *x, int64_t width)
{
    filter f;
    tq_tensor y;
    TQ_TRY(tq_image_init(&y, x->type.dims[0], width, x->type.dims[2]));
    const tq_status status = filter_init(&f, x->type.dims[1], width);
    if (status) {
        tq_tensor_reset(&y);
        return status;
    }
    filter_rows(&f, x, &y);
    filter_reset(&f);
    tq_tensor_reset(x);
    *x = y;
    return TQ_OK;
}

static tq_status resize_height(tq_tensor *x, int64_t height)
{
    filter f;
    tq_tensor y;
    TQ_TRY(tq_image_init(&y, height, x->type.dims[1], x->type.dims[2]));
    tq_status status = filter_init(&f, x->type.dims[0], height);
    int32_t *sums =
        status ? NULL : tq_allocate((size_t)(x->type.dims[1] * x->type.dims[2]) * sizeof *sums);
    if (!status && !sums) {
        filter_reset(&f);
        status = tq_fail(TQ_ERR_MEMORY, "out of memory");
    }
    if (status) {
        tq_tensor_reset(&y);
        return status;
    }
    filter_columns(&f, x, &y, sums);
    free(sums);
    filter_reset(&f);
    tq_tensor_reset(x);
    *x = y;
    return TQ_OK;
}

tq_status tq_image_resize(tq_tensor *x, int64_t height, int64_t width)
{
    const int64_t in_height = x->type.dims[0], in_width = x->type.dims[1];
    const int64_t less_height = in_height - height, less_width = in_width - width;
    const bool columns_first = less_height > 0 && less_height > 2 * less_width;
    TQ_TRY(tq_image_check_size(height, width));
    TQ_TRY(columns_first ? tq_image_check_size(height, in_width)
                         : tq_image_check_size(in_height, width));
    if (columns_first)
        TQ_TRY(resize_height(x, height));
    if (width != in_width)
        TQ_TRY(resize_width(x, width));
    return height != x->type.dims[0] ? resize_height(x, height) : TQ_OK;
}
