/* Broadcasting (numpy's rule, ONNX "multidirectional"): axes of size 1 repeat. Neighbouring axes
 * that all operands walk alike are merged first, so a bias [C,1,1] on [N,C,H,W] gives rows of H*W.
 */
#include "ops/broadcast_internal.h"

typedef struct layout {
    int rank;
    int64_t dims[TQ_MAX_RANK];
    int64_t strides[TQ_BROADCAST_INPUTS][TQ_MAX_RANK];
} layout;

/** Can axis d + 1 be walked as the continuation of axis d by every operand? */
static bool merges(const layout *l, int n_in, int64_t dim, const int64_t *inner)
{
    const int d = l->rank - 1;
    for (int i = 0; i < n_in; i++)
        if (l->strides[i][d] != inner[i] * dim)
            return false;
    return true;
}

static void append_axis(layout *l, int n_in, int64_t dim, const int64_t *strides)
{
    if (dim == 1)
        return;
    if (l->rank > 0 && merges(l, n_in, dim, strides)) {
        l->dims[l->rank - 1] *= dim;
    } else {
        l->dims[l->rank++] = dim;
    }
    for (int i = 0; i < n_in; i++)
        l->strides[i][l->rank - 1] = strides[i];
}

static layout make_layout(int n_in, const tq_type *const *in_types, const tq_type *out_type)
{
    layout l = { 0 };
    int64_t strides[TQ_BROADCAST_INPUTS][TQ_MAX_RANK];
    for (int i = 0; i < n_in; i++)
        tq_broadcast_strides(in_types[i], out_type, strides[i]);
    for (int d = 0; d < out_type->rank; d++) {
        int64_t axis[TQ_BROADCAST_INPUTS] = { 0 };
        for (int i = 0; i < n_in; i++)
            axis[i] = strides[i][d];
        append_axis(&l, n_in, out_type->dims[d], axis);
    }
    if (l.rank == 0)
        l.dims[l.rank++] = 1;
    return l;
}

void tq_broadcast_rows(int n_in, const void *const *in, const tq_type *const *in_types, void *out,
                       const tq_type *out_type, void (*row)(const void *context, const tq_row *row),
                       const void *context)
{
    const int64_t count = tq_type_count(out_type);
    if (count == 0)
        return;
    const layout l = make_layout(n_in, in_types, out_type);
    const int outer = l.rank - 1;
    const int64_t n = l.dims[outer];
    int64_t index[TQ_MAX_RANK] = { 0 };
    tq_row r = { .n = n };
    for (int64_t start = 0; start < count; start += n) {
        for (int i = 0; i < n_in; i++) {
            int64_t at = 0;
            for (int d = 0; d < outer; d++)
                at += index[d] * l.strides[i][d];
            r.in[i] = (const char *)in[i] + (size_t)at * tq_dtype_size(in_types[i]->dtype);
            r.step[i] = l.strides[i][outer];
        }
        r.out = (char *)out + (size_t)start * tq_dtype_size(out_type->dtype);
        row(context, &r);
        tq_index_next(outer, l.dims, index);
    }
}
