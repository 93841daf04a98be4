/* What the files of fused layers share. */
#ifndef TQ_KERNELS_INT_LAYER_INTERNAL_H
#define TQ_KERNELS_INT_LAYER_INTERNAL_H

#include "kernels/kernels.h"

/** A zeroed layer of `size` bytes, which begin with a tq_layer; out_layer points to a pointer. */
tq_status tq_layer_new(const tq_layer_kind *kind, int n_in, size_t size, void *out_layer);

/** Multiplier or addend of channel c. */
int64_t tq_requant_spec_entry(const tq_tensor *tensor, int64_t c);

/** Can images with that border be held? Padding is the model's to say, so it may be absurd. */
bool tq_codes_layout_fits(int64_t n, int64_t c, int64_t h, int64_t w, const tq_border *b);

/** No border at all: pixels follow each other without gaps. */
bool tq_codes_layout_is_dense(const tq_codes_layout *l);
/** Writes the border beside row `row` of image n, and above the first and below the last row. */
void tq_codes_layout_fill(const tq_codes_layout *l, uint8_t *data, int64_t n, int64_t row);

/** Pixel (row, 0) of image n. */
static inline int64_t tq_codes_layout_at(const tq_codes_layout *l, int64_t n, int64_t row)
{
    return n * l->image + (row + l->border.top) * l->row + l->border.left * l->pixel;
}
static inline const uint8_t *tq_codes_layout_in(const tq_codes_layout *l, const void *data,
                                                int64_t n, int64_t row)
{
    return (const uint8_t *)data + tq_codes_layout_at(l, n, row);
}
static inline uint8_t *tq_codes_layout_out(const tq_codes_layout *l, void *data, int64_t n,
                                           int64_t row)
{
    return (uint8_t *)data + tq_codes_layout_at(l, n, row);
}

#endif
