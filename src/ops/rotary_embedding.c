/* Rotary position embedding (ONNX RotaryEmbedding-23, arXiv:2104.09864): the first D' elements of
 * each head are rotated in pairs (a, b) by the angle of their position,
 *
 *   a' = cos a - sin b,   b' = sin a + cos b
 *
 * with pairs (i, i + D'/2), or (2 i, 2 i + 1) when interleaved; the rest stays.
 *
 *   X [N, H, L, D], or [N, L, H D] with num_heads;  cos_cache, sin_cache [P, D'/2] at position_ids
 *   [N, L], or [N, L, D'/2] without. Floats, computed in double. */
#include "ops/ops.h"

enum { X, COS, SIN, POSITIONS };

/** X as [batch, heads, length, size] with strides. */
typedef struct layout {
    int64_t batch, heads, length, size, rotated;
    int64_t head_stride, row_stride;
} layout;

static tq_status read_layout(const tq_attrs *attrs, const tq_type *x, layout *out)
{
    const int64_t *d = x->dims, heads = tq_attr_int(attrs, "num_heads");
    layout l = { .batch = d[0] };
    if (x->rank == 4) {
        l.heads = d[1];
        l.length = d[2];
        l.row_stride = l.size = d[3];
        l.head_stride = tq_dim_mul(d[2], d[3]);
    } else {
        if (heads < 1 || (d[2] != TQ_DIM_ANY && d[2] % heads != 0))
            return tq_fail(TQ_ERR_VALUE,
                           "num_heads is %lld, X is %s; expected to divide its last "
                           "axis",
                           (long long)heads, tq_type_text(x).s);
        l.heads = heads;
        l.length = d[1];
        l.head_stride = l.size = d[2] == TQ_DIM_ANY ? TQ_DIM_ANY : d[2] / heads;
        l.row_stride = d[2];
    }
    const int64_t rotated = tq_attr_int(attrs, "rotary_embedding_dim");
    l.rotated = rotated ? rotated : l.size;
    if (rotated < 0 || (l.size != TQ_DIM_ANY && (l.rotated > l.size || l.rotated % 2 != 0)))
        return tq_fail(TQ_ERR_VALUE, "rotary_embedding_dim is %lld for heads of %lld elements",
                       (long long)rotated, (long long)l.size);
    *out = l;
    return TQ_OK;
}

static tq_status check_cache(const tq_op_types *t, int i, const layout *l)
{
    const bool indexed = tq_op_has(t, POSITIONS);
    TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(t->in[X]->dtype)));
    TQ_TRY(tq_op_need_rank(t, i, indexed ? 2 : 3, indexed ? 2 : 3));
    const tq_type *c = t->in[i];
    const int64_t half = l->rotated == TQ_DIM_ANY ? TQ_DIM_ANY : l->rotated / 2;
    const bool rows =
        indexed || (tq_dim_fits(c->dims[0], l->batch) && tq_dim_fits(c->dims[1], l->length));
    if (!rows || !tq_dim_fits(c->dims[c->rank - 1], half))
        return tq_fail(TQ_ERR_SHAPE, "X is %s, %s is %s; expected [%s, %lld]",
                       tq_type_text(t->in[X]).s, i == COS ? "cos_cache" : "sin_cache",
                       tq_type_text(c).s, indexed ? "positions" : "batch, length", (long long)half);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    layout l = { 0 };
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_FLOAT));
    TQ_TRY(tq_op_need_rank(t, X, 3, 4));
    TQ_TRY(read_layout(t->attrs, t->in[X], &l));
    TQ_TRY(check_cache(t, COS, &l));
    TQ_TRY(check_cache(t, SIN, &l));
    if (tq_op_has(t, POSITIONS)) {
        TQ_TRY(tq_op_need_dtype(t, POSITIONS, TQ_DTYPE_BIT(TQ_I64)));
        TQ_TRY(tq_op_need_rank(t, POSITIONS, 2, 2));
        if (!tq_dim_fits(t->in[POSITIONS]->dims[0], l.batch) ||
            !tq_dim_fits(t->in[POSITIONS]->dims[1], l.length))
            return tq_fail(TQ_ERR_SHAPE, "X is %s, position_ids is %s; expected [batch, length]",
                           tq_type_text(t->in[X]).s, tq_type_text(t->in[POSITIONS]).s);
    }
    return tq_op_infer_same(t);
}

/** Row of the caches for one position; one outside them is held inside. */
static int64_t cache_row(const tq_op_run *run, int64_t row)
{
    if (!tq_run_has(run, POSITIONS))
        return row;
    const int64_t n = run->in_types[COS]->dims[0];
    return tq_clip_i64(((const int64_t *)run->in[POSITIONS])[row], 0, n > 0 ? n - 1 : 0);
}

static void rotate_head(const tq_op_run *run, const layout *l, int64_t at, int64_t angles)
{
    const tq_dtype dtype = run->in_types[X]->dtype;
    const bool interleaved = tq_attr_int(run->attrs, "interleaved") != 0;
    const int64_t half = l->rotated / 2;
    for (int64_t i = 0; i < half; i++) {
        const int64_t p = at + (interleaved ? 2 * i : i), q = p + (interleaved ? 1 : half);
        const double a = tq_load_f64(run->in[X], dtype, p), b = tq_load_f64(run->in[X], dtype, q);
        const double c = tq_load_f64(run->in[COS], dtype, angles + i);
        const double s = tq_load_f64(run->in[SIN], dtype, angles + i);
        tq_store_f64(run->out[0], dtype, p, c * a - s * b);
        tq_store_f64(run->out[0], dtype, q, s * a + c * b);
    }
    for (int64_t i = l->rotated; i < l->size; i++)
        tq_store_f64(run->out[0], dtype, at + i, tq_load_f64(run->in[X], dtype, at + i));
}

static void reference(const tq_op_run *run)
{
    layout l = { 0 };
    const tq_status status = read_layout(run->attrs, run->in_types[X], &l);
    TQ_ASSERT(!status);
    if (tq_type_count(run->in_types[COS]) == 0)
        return;
    for (int64_t n = 0; n < l.batch; n++)
        for (int64_t row = 0; row < l.length; row++) {
            const int64_t angles = cache_row(run, n * l.length + row) * (l.rotated / 2);
            for (int64_t h = 0; h < l.heads; h++)
                rotate_head(run, &l,
                            n * l.heads * l.length * l.size + h * l.head_stride +
                                row * l.row_stride,
                            angles);
        }
}

const tq_op tq_op_rotary_embedding = {
    .entry = { .name = "RotaryEmbedding",
               .brief = "rotary position embedding",
               .source = "arXiv:2104.09864; ONNX RotaryEmbedding-23" },
    .inputs = { "X", "cos_cache", "sin_cache", "?position_ids" },
    .outputs = { "Y" },
    .attrs = { TQ_INT("interleaved", 0), TQ_INT("num_heads", 0),
               TQ_INT("rotary_embedding_dim", 0) },
    .infer = infer,
    .reference = reference,
};
