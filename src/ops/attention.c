/* Scaled dot-product attention (ONNX Attention-25; arXiv:1706.03762, grouped heads
 * arXiv:2305.13245):
 *
 *   s_j = cap(scale q . k_j) + bias_j,   p = softmax(s),   y = sum_j p_j v_j,   cap(s) = c tanh(s /
 * c)
 *
 *   Q [N, H, L, D] or [N, L, H D],  K [N, G, S, D], V [N, G, S, E] or the same with heads last;
 *   H / G heads of Q share one of K and V.  past_key, past_value: what comes before K and V.
 *
 * bias is attn_mask (bool: -inf where false), -inf for keys that causality, the window or
 * nonpad_kv_seqlen hides. Hidden keys are not read; a query that sees no key gives 0. Floats,
 * computed in double and rounded once. */
#include "ops/onnx_dtype_internal.h"
#include "ops/ops.h"

#include <math.h>

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, SEQLEN };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };
enum { SCORES_CAPPED = 1, SCORES_BIASED, SCORES_SOFTMAX };
enum { BLOCK = 1024, COLUMNS = 256 };

/* ---- inference ------------------------------------------------------------------------------ */

/** An operand as [batch, heads, length, size]. */
typedef struct operand {
    int64_t batch, heads, length, size;
    int64_t batch_stride, head_stride, row_stride;
} operand;

static tq_status read_operand(const tq_attrs *attrs, const tq_type *type, const char *heads_attr,
                              operand *o)
{
    const int64_t *d = type->dims;
    if (type->rank == 4) {
        *o = (operand){ .batch = d[0], .heads = d[1], .length = d[2], .size = d[3] };
        o->row_stride = o->size;
        o->head_stride = tq_dim_mul(o->size, o->length);
        o->batch_stride = tq_dim_mul(o->head_stride, o->heads);
        return TQ_OK;
    }
    const int64_t heads = tq_attr_int(attrs, heads_attr);
    if (heads < 1 || (d[2] != TQ_DIM_ANY && d[2] % heads != 0))
        return tq_fail(TQ_ERR_VALUE, "%s is %lld for an input %s; expected to divide its last axis",
                       heads_attr, (long long)heads, tq_type_text(type).s);
    const int64_t size = d[2] == TQ_DIM_ANY ? TQ_DIM_ANY : d[2] / heads;
    *o = (operand){ d[0], heads, d[1], size, tq_dim_mul(d[1], d[2]), size, d[2] };
    return TQ_OK;
}

typedef struct shapes {
    operand q, k, v;
    int64_t past; /* keys before K */
} shapes;

static tq_status read_past(const tq_op_types *t, shapes *s)
{
    s->past = 0;
    if (tq_op_has(t, PAST_KEY) != tq_op_has(t, PAST_VALUE))
        return tq_fail(TQ_ERR_VALUE, "past_key and past_value come together");
    if (!tq_op_has(t, PAST_KEY))
        return TQ_OK;
    if (tq_op_has(t, SEQLEN))
        return tq_fail(TQ_ERR_VALUE, "nonpad_kv_seqlen does not go with past_key");
    for (int i = PAST_KEY; i <= PAST_VALUE; i++) {
        const operand *o = i == PAST_KEY ? &s->k : &s->v;
        TQ_TRY(tq_op_need_rank(t, i, 4, 4));
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(t->in[Q]->dtype)));
        const int64_t *d = t->in[i]->dims;
        if (!tq_dim_fits(d[0], o->batch) || !tq_dim_fits(d[1], o->heads) ||
            !tq_dim_fits(d[3], o->size) || !tq_dim_fits(d[2], t->in[PAST_KEY]->dims[2]))
            return tq_fail(TQ_ERR_SHAPE, "%s is %s; its batch, heads and size must be those of %s",
                           i == PAST_KEY ? "past_key" : "past_value", tq_type_text(t->in[i]).s,
                           i == PAST_KEY ? "K" : "V");
    }
    s->past = t->in[PAST_KEY]->dims[2];
    return TQ_OK;
}

static tq_status read_shapes(const tq_op_types *t, shapes *s)
{
    for (int i = Q; i <= V; i++)
        TQ_TRY(tq_op_need_rank(t, i, t->in[Q]->rank == 3 ? 3 : 4, t->in[Q]->rank == 3 ? 3 : 4));
    TQ_TRY(read_operand(t->attrs, t->in[Q], "q_num_heads", &s->q));
    TQ_TRY(read_operand(t->attrs, t->in[K], "kv_num_heads", &s->k));
    TQ_TRY(read_operand(t->attrs, t->in[V], "kv_num_heads", &s->v));
    const bool groups = s->q.heads == TQ_DIM_ANY || s->k.heads == TQ_DIM_ANY ||
                        (s->k.heads > 0 && s->q.heads % s->k.heads == 0);
    if (!groups || !tq_dim_fits(s->k.heads, s->v.heads) || !tq_dim_fits(s->q.size, s->k.size) ||
        !tq_dim_fits(s->k.length, s->v.length) || !tq_dim_fits(s->q.batch, s->k.batch) ||
        !tq_dim_fits(s->q.batch, s->v.batch))
        return tq_fail(TQ_ERR_SHAPE, "Q is %s, K is %s, V is %s; they do not fit",
                       tq_type_text(t->in[Q]).s, tq_type_text(t->in[K]).s,
                       tq_type_text(t->in[V]).s);
    return read_past(t, s);
}

static int64_t total(const shapes *s)
{
    return s->past == TQ_DIM_ANY || s->k.length == TQ_DIM_ANY ? TQ_DIM_ANY : s->past + s->k.length;
}

static tq_status check_mask(const tq_op_types *t, const shapes *s)
{
    if (!tq_op_has(t, MASK))
        return TQ_OK;
    TQ_TRY(tq_op_need_rank(t, MASK, 1, 4));
    TQ_TRY(tq_op_need_dtype(t, MASK, TQ_DTYPES_FLOAT | TQ_DTYPE_BIT(TQ_BOOL)));
    const tq_type *m = t->in[MASK];
    const int64_t full[] = { s->q.batch, s->q.heads, s->q.length, total(s) };
    for (int d = 0; d < m->rank; d++) {
        const int64_t want = full[4 - m->rank + d], dim = m->dims[d];
        const bool shorter = d == m->rank - 1 && want != TQ_DIM_ANY && dim < want;
        if (!tq_dim_fits(dim, want) && dim != 1 && !shorter)
            return tq_fail(TQ_ERR_SHAPE,
                           "attn_mask is %s; expected to broadcast to [%lld,%lld,%lld,%lld]",
                           tq_type_text(m).s, (long long)full[0], (long long)full[1],
                           (long long)full[2], (long long)full[3]);
    }
    return TQ_OK;
}

static tq_status check_attributes(const tq_op_types *t)
{
    const int64_t mode = tq_attr_int(t->attrs, "qk_matmul_output_mode");
    if (mode < 0 || mode > SCORES_SOFTMAX)
        return tq_fail(TQ_ERR_VALUE, "qk_matmul_output_mode is %lld; expected 0 to 3",
                       (long long)mode);
    const int64_t number = tq_attr_int(t->attrs, "softmax_precision");
    if (number && !tq_dtype_is_float(tq_dtype_from_onnx(number)))
        return tq_fail(TQ_ERR_UNSUPPORTED, "softmax_precision %lld is not implemented",
                       (long long)number);
    if (!tq_op_has(t, SEQLEN))
        return TQ_OK;
    TQ_TRY(tq_op_need_dtype(t, SEQLEN, TQ_DTYPE_BIT(TQ_I64)));
    return tq_op_need_rank(t, SEQLEN, 1, 1);
}

static tq_status infer(tq_op_types *t)
{
    for (int i = Q; i <= V; i++)
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPES_FLOAT));
    for (int i = K; i <= V; i++)
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(t->in[Q]->dtype)));
    shapes s;
    TQ_TRY(check_attributes(t));
    TQ_TRY(read_shapes(t, &s));
    TQ_TRY(check_mask(t, &s));
    if (tq_op_has(t, SEQLEN) && !tq_dim_fits(t->in[SEQLEN]->dims[0], s.q.batch))
        return tq_fail(TQ_ERR_SHAPE, "nonpad_kv_seqlen is %s; expected one per sample",
                       tq_type_text(t->in[SEQLEN]).s);
    const tq_dtype dtype = t->in[Q]->dtype;
    t->out[Y] = *t->in[Q];
    t->out[Y].dims[t->in[Q]->rank - 1] =
        t->in[Q]->rank == 3 ? tq_dim_mul(s.q.heads, s.v.size) : s.v.size;
    const int64_t dims[][4] = { { 0 },
                                { s.k.batch, s.k.heads, total(&s), s.k.size },
                                { s.v.batch, s.v.heads, total(&s), s.v.size },
                                { s.q.batch, s.q.heads, s.q.length, total(&s) } };
    for (int i = PRESENT_KEY; i < t->n_out; i++)
        t->out[i] = tq_type_make(dtype, 4, dims[i]);
    return TQ_OK;
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct job {
    const tq_op_run *run;
    tq_dtype dtype;
    shapes s;
    int64_t n_keys;
    double scale, cap;
    bool causal;
    int64_t left, right; /* of the window, -1: open */
    int64_t mask_strides[4], mask_keys;
} job;

/** One query. */
typedef struct query {
    const job *j;
    int64_t sample, head, kv_head, row;
    int64_t q_at;
    int64_t offset;    /* keys before the query's own */
    int64_t n_visible; /* keys that are no padding */
} query;

static double load(const job *j, int input, int64_t i)
{
    return j->dtype == TQ_F32 ? (double)((const float *)j->run->in[input])[i]
                              : tq_load_f64(j->run->in[input], j->dtype, i);
}

/** Where row `key` of K (or V) starts, and in which input. */
static int64_t row_at(const query *x, int64_t key, const operand *o, int fresh, int past,
                      int *out_input)
{
    const shapes *s = &x->j->s;
    const bool old = key < s->past;
    *out_input = old ? past : fresh;
    return old ? ((x->sample * o->heads + x->kv_head) * s->past + key) * o->size
               : x->sample * o->batch_stride + x->kv_head * o->head_stride +
                     (key - s->past) * o->row_stride;
}

static double bias_of(const query *x, int64_t key)
{
    const job *j = x->j;
    const int64_t distance = x->row + x->offset - key; /* > 0: the key lies before the query */
    if (key >= x->n_visible || (j->causal && distance < 0) ||
        (j->left >= 0 && distance > j->left) || (j->right >= 0 && -distance > j->right))
        return -INFINITY;
    if (!tq_run_has(j->run, MASK))
        return 0.0;
    if (key >= j->mask_keys)
        return -INFINITY;
    const int64_t *m = j->mask_strides;
    const int64_t at = x->sample * m[0] + x->head * m[1] + x->row * m[2] + key * m[3];
    const tq_dtype dtype = j->run->in_types[MASK]->dtype;
    if (dtype == TQ_BOOL)
        return ((const uint8_t *)j->run->in[MASK])[at] ? 0.0 : -INFINITY;
    return tq_load_f64(j->run->in[MASK], dtype, at);
}

static double product(const query *x, int64_t key)
{
    const job *j = x->j;
    int input;
    const int64_t at = row_at(x, key, &j->s.k, K, PAST_KEY, &input);
    double sum = 0.0;
    for (int64_t i = 0; i < j->s.q.size; i++)
        sum += load(j, Q, x->q_at + i) * load(j, input, at + i);
    return sum * j->scale;
}

static double capped(const job *j, double s)
{
    return j->cap > 0 ? j->cap * tanh(s / j->cap) : s;
}

/** s of keys begin .. end-1. */
static void fill_scores(const query *x, int64_t begin, int64_t end, double *scores)
{
    for (int64_t key = begin; key < end; key++) {
        const double bias = bias_of(x, key);
        scores[key - begin] = bias == -INFINITY ? -INFINITY : capped(x->j, product(x, key)) + bias;
    }
}

typedef struct softmax {
    double max, sum;
    double scores[BLOCK]; /* of the block filled last */
    int64_t filled;       /* its first key, -1: none */
} softmax;

static int64_t need_block(const query *x, softmax *p, int64_t begin)
{
    const int64_t left = x->j->n_keys - begin, end = begin + (left < BLOCK ? left : BLOCK);
    if (p->filled != begin)
        fill_scores(x, begin, end, p->scores);
    p->filled = begin;
    return end;
}

static void normalise(const query *x, softmax *p)
{
    p->max = -INFINITY;
    p->sum = 0.0;
    p->filled = -1;
    for (int64_t begin = 0, end; begin < x->j->n_keys; begin = end) {
        end = need_block(x, p, begin);
        for (int64_t key = begin; key < end; key++)
            p->max = p->scores[key - begin] > p->max ? p->scores[key - begin] : p->max;
    }
    for (int64_t begin = 0, end; begin < x->j->n_keys && p->max > -INFINITY; begin = end) {
        end = need_block(x, p, begin);
        for (int64_t key = begin; key < end; key++)
            p->sum += exp(p->scores[key - begin] - p->max);
    }
}

static double probability(const softmax *p, double score)
{
    return score == -INFINITY ? 0.0 : exp(score - p->max) / p->sum;
}

/** Columns first .. first + n - 1 of y. */
static void mix_values(const query *x, softmax *p, int64_t first, int64_t n, double *sums)
{
    for (int64_t c = 0; c < n; c++)
        sums[c] = 0.0;
    for (int64_t begin = 0, end; begin < x->j->n_keys; begin = end) {
        end = need_block(x, p, begin);
        for (int64_t key = begin; key < end; key++) {
            const double weight = probability(p, p->scores[key - begin]);
            int input;
            const int64_t at = row_at(x, key, &x->j->s.v, V, PAST_VALUE, &input) + first;
            for (int64_t c = 0; c < n && weight != 0.0; c++)
                sums[c] += weight * load(x->j, input, at + c);
        }
    }
}

static void write_scores(const query *x, softmax *p)
{
    const job *j = x->j;
    const int64_t mode = tq_attr_int(j->run->attrs, "qk_matmul_output_mode");
    const int64_t at = ((x->sample * j->s.q.heads + x->head) * j->s.q.length + x->row) * j->n_keys;
    for (int64_t begin = 0, end; begin < j->n_keys; begin = end) {
        end = need_block(x, p, begin);
        for (int64_t key = begin; key < end; key++) {
            const double score = p->scores[key - begin];
            const double value = mode == SCORES_SOFTMAX  ? probability(p, score)
                                 : mode == SCORES_BIASED ? score
                                 : mode == SCORES_CAPPED ? capped(j, product(x, key))
                                                         : product(x, key);
            tq_store_f64(j->run->out[SCORES], j->dtype, at + key, value);
        }
    }
}

static void attend(const query *x, int64_t y_at)
{
    softmax p;
    double sums[COLUMNS];
    normalise(x, &p);
    for (int64_t first = 0; first < x->j->s.v.size; first += COLUMNS) {
        const int64_t left = x->j->s.v.size - first, n = left < COLUMNS ? left : COLUMNS;
        mix_values(x, &p, first, n, sums);
        for (int64_t c = 0; c < n; c++)
            tq_store_f64(x->j->run->out[Y], x->j->dtype, y_at + first + c, sums[c]);
    }
    if (x->j->run->n_out > SCORES && x->j->run->out[SCORES])
        write_scores(x, &p);
}

static void heads(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    const shapes *s = &j->s;
    const bool heads_last = j->run->in_types[Q]->rank == 3;
    for (int64_t i = begin; i < end; i++) {
        query x = { .j = j, .sample = i / s->q.heads, .head = i % s->q.heads };
        x.kv_head = x.head / (s->q.heads / s->k.heads);
        x.offset = s->past;
        x.n_visible = j->n_keys;
        if (tq_run_has(j->run, SEQLEN)) {
            x.n_visible = ((const int64_t *)j->run->in[SEQLEN])[x.sample];
            x.offset = tq_clip_i64(x.n_visible, -INT32_MAX, INT32_MAX) - s->q.length;
        }
        for (x.row = 0; x.row < s->q.length; x.row++) {
            x.q_at =
                x.sample * s->q.batch_stride + x.head * s->q.head_stride + x.row * s->q.row_stride;
            attend(&x, (heads_last ? (x.sample * s->q.length + x.row) * s->q.heads + x.head
                                   : (x.sample * s->q.heads + x.head) * s->q.length + x.row) *
                           s->v.size);
        }
    }
}

/** present = past and what is new, heads first. */
static void write_present(const job *j, int output, const operand *o, int fresh, int past)
{
    if (j->run->n_out <= output || !j->run->out[output])
        return;
    int64_t to = 0;
    for (int64_t i = 0; i < o->batch * o->heads; i++)
        for (int64_t key = 0; key < j->n_keys; key++) {
            const query x = { .j = j, .sample = i / o->heads, .kv_head = i % o->heads };
            int input;
            const int64_t at = row_at(&x, key, o, fresh, past, &input);
            for (int64_t c = 0; c < o->size; c++)
                tq_store_f64(j->run->out[output], j->dtype, to++, load(j, input, at + c));
        }
}

static void read_mask(job *j)
{
    if (!tq_run_has(j->run, MASK))
        return;
    const tq_type *mask = j->run->in_types[MASK];
    int64_t strides[TQ_MAX_RANK];
    tq_type_strides(mask, strides);
    for (int d = 0; d < mask->rank; d++)
        j->mask_strides[4 - mask->rank + d] = mask->dims[d] == 1 ? 0 : strides[d];
    const int64_t last = mask->dims[mask->rank - 1];
    j->mask_keys = last == 1 ? j->n_keys : last;
}

static void reference(const tq_op_run *run)
{
    const tq_attrs *attrs = run->attrs;
    const tq_op_types types = { .n_in = run->n_in, .in = run->in_types, .attrs = attrs };
    job j = { .run = run,
              .dtype = run->in_types[Q]->dtype,
              .cap = (double)tq_attr_float(attrs, "softcap"),
              .causal = tq_attr_int(attrs, "is_causal") != 0,
              .left = tq_attr_int(attrs, "left_window_size"),
              .right = tq_attr_int(attrs, "right_window_size") };
    const tq_status status = read_shapes(&types, &j.s);
    TQ_ASSERT(!status);
    j.n_keys = total(&j.s);
    j.scale = tq_attrs_has(attrs, "scale") ? (double)tq_attr_float(attrs, "scale")
                                           : 1.0 / sqrt((double)j.s.q.size);
    read_mask(&j);
    tq_run_for(run, j.s.q.batch * j.s.q.heads, 1, heads, &j);
    write_present(&j, PRESENT_KEY, &j.s.k, K, PAST_KEY);
    write_present(&j, PRESENT_VALUE, &j.s.v, V, PAST_VALUE);
}

static int64_t macs(const tq_op_types *t)
{
    shapes s;
    const tq_status status = read_shapes(t, &s);
    tq_status_drop(status);
    if (status)
        return 0;
    const int64_t pairs = tq_dim_mul(tq_dim_mul(s.q.heads, s.q.length), total(&s));
    return tq_dim_mul(pairs, s.q.size + s.v.size);
}

const tq_op tq_op_attention = {
    .entry = { .name = "Attention",
               .brief = "softmax(Q K^T) V",
               .source = "arXiv:1706.03762; ONNX Attention-25" },
    .inputs = { "Q", "K", "V", "?attn_mask", "?past_key", "?past_value", "?nonpad_kv_seqlen" },
    .outputs = { "Y", "?present_key", "?present_value", "?qk_matmul_output" },
    .attrs = { TQ_INT("is_causal", 0), TQ_INT("q_num_heads", 0), TQ_INT("kv_num_heads", 0),
               TQ_INT("qk_matmul_output_mode", 0), TQ_FLOAT("scale", 0.0f),
               TQ_FLOAT("softcap", 0.0f), TQ_INT("softmax_precision", 0),
               TQ_INT("left_window_size", -1), TQ_INT("right_window_size", -1) },
    .infer = infer,
    .reference = reference,
    .macs = macs,
};
