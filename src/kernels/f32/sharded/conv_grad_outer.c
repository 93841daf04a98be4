/* The weight gradient of a dense convolution whose weight is large beside the images: a sum of
 * outer products of pixels, for all shards at once. A partial gradient for each shard would be
 * written and read back; here a piece of it stays in registers over the pixels of a shard, and in
 * the nearest cache over the tree of shards, which is that of tq_tree_sum. */
#include "base/base.h"
#include "kernels/f32/conv_internal.h"
#include "kernels/f32/outer_internal.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LEVELS = 24, MAX_TILE = 8 * TQ_OUTER_BLOCKS * TQ_MAX_BLOCK };

typedef struct state {
    const tq_outer *outer;
    const tq_conv_operator *op;
    tq_conv_shape shape;
    tq_pool *pool;
    int64_t n_shards, n_taps, ic_padded, oc_padded;
    int64_t *first_row; /* [n_taps + 1] */
    tq_outer_row *rows; /* of each tap */
} state;

static const tq_conv_operator *find(const tq_op *op)
{
    for (int i = 0; i < TQ_N_CONV_OPERATORS; i++)
        if (!strcmp(tq_conv_operators[i].name, op->entry.name))
            return &tq_conv_operators[i];
    return NULL;
}

/** Worth it where the partial gradients are larger than the images. */
static bool accepts(const tq_op *op, const tq_op_run *run)
{
    const tq_conv_operator *o = find(op);
    tq_conv_shape s;
    if (!o || !tq_outer_best() || !tq_conv_shape_read(o, run, &s) || s.groups != 1 ||
        s.ic < tq_block_size())
        return false;
    const int64_t n_shards = tq_clip_i64(run->n_shards, 1, s.n);
    const int64_t images = s.n * (s.ic * s.in[0] * s.in[1] + s.oc * s.out[0] * s.out[1]);
    return n_shards * s.oc * s.ic * s.kernel[0] * s.kernel[1] > images;
}

/** Outputs for which tap k of an axis lies inside: first, and one past the last. */
static void find_outs(const tq_conv_shape *s, int axis, int64_t k, int64_t *out_begin,
                      int64_t *out_end)
{
    const int64_t from = s->pad_begin[axis] - k * s->dilation[axis];
    const int64_t to = s->in[axis] - 1 + from;
    *out_begin = from > 0 ? (from + s->stride[axis] - 1) / s->stride[axis] : 0;
    *out_end = to < 0 ? 0 : to / s->stride[axis] + 1;
    *out_end = *out_end > s->out[axis] ? s->out[axis] : *out_end;
}

/** The rows of pixel pairs of tap (kh, kw); rows that follow each other become one. */
static int64_t find_rows(const tq_conv_shape *s, int64_t kh, int64_t kw, int64_t block,
                         tq_outer_row *rows)
{
    int64_t h_begin, h_end, w_begin, w_end, n = 0;
    find_outs(s, 0, kh, &h_begin, &h_end);
    find_outs(s, 1, kw, &w_begin, &w_end);
    const int64_t length = w_end - w_begin;
    for (int64_t oh = h_begin; oh < h_end && length > 0; oh++) {
        const int64_t ih = oh * s->stride[0] - s->pad_begin[0] + kh * s->dilation[0];
        const int64_t iw = w_begin * s->stride[1] - s->pad_begin[1] + kw * s->dilation[1];
        const tq_outer_row row = { (ih * s->in[1] + iw) * block, (oh * s->out[1] + w_begin) * block,
                                   length };
        tq_outer_row *last = n > 0 ? &rows[n - 1] : NULL;
        if (last && row.x == last->x + last->n * s->stride[1] * block &&
            row.y == last->y + last->n * block)
            last->n += length;
        else
            rows[n++] = row;
    }
    return n;
}

static void release(void *state_)
{
    state *s = state_;
    if (s) {
        free(s->rows);
        free(s->first_row);
    }
    free(s);
}

static tq_status fill(state *s)
{
    const int64_t block = s->outer->block;
    s->n_taps = s->shape.kernel[0] * s->shape.kernel[1];
    s->ic_padded = (s->shape.ic + block - 1) / block * block;
    s->oc_padded = (s->shape.oc + block - 1) / block * block;
    s->first_row = tq_allocate((size_t)(s->n_taps + 1) * sizeof *s->first_row);
    s->rows = tq_allocate((size_t)(s->n_taps * s->shape.out[0]) * sizeof *s->rows);
    if (!s->first_row || !s->rows)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a convolution");
    for (int64_t t = 0; t < s->n_taps; t++)
        s->first_row[t + 1] =
            s->first_row[t] + find_rows(&s->shape, t / s->shape.kernel[1], t % s->shape.kernel[1],
                                        block, s->rows + s->first_row[t]);
    return TQ_OK;
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a convolution");
    s->outer = tq_outer_best();
    s->op = find(op);
    TQ_ASSERT(tq_conv_shape_read(s->op, shapes, &s->shape));
    s->pool = shapes->pool;
    s->n_shards = tq_clip_i64(shapes->n_shards, 1, s->shape.n);
    const tq_status status = fill(s);
    if (status) {
        release(s);
        return status;
    }
    for (int role = TQ_CONV_SRC; role < TQ_CONV_ROLES; role += TQ_CONV_DST - TQ_CONV_SRC) {
        ports->reads[0] |= 1u << s->op->input[role];
        ports->in[s->op->input[role]] = TQ_FORM_BLOCKED;
    }
    *out_state = s;
    return TQ_OK;
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct job {
    const state *s;
    const tq_batch_run *whole;
    int64_t n_ic_blocks, n_groups; /* groups of up to 3 blocks of output channels */
} job;

/** One tile of the gradient: which pixels it is summed over. */
typedef struct tile {
    int64_t ic_block, oc_block, tap;
    int first, n_blocks, size; /* first: of the input channels of the block */
} tile;

static void sum_shard(const job *j, const tile *t, int64_t shard, float *sums)
{
    const state *s = j->s;
    const tq_conv_shape *shape = &s->shape;
    const int64_t block = s->outer->block;
    const int64_t x_plane = shape->in[0] * shape->in[1] * block;
    const int64_t y_plane = shape->out[0] * shape->out[1] * block;
    int64_t begin, end;
    tq_shard_range(shape->n, s->n_shards, shard, &begin, &end);
    const tq_outer_job outer = {
        .x_sample = s->ic_padded / block * x_plane,
        .y_sample = s->oc_padded / block * y_plane,
        .x = j->whole->in[s->op->input[TQ_CONV_SRC]] + begin * (s->ic_padded / block * x_plane) +
             t->ic_block * x_plane,
        .y = j->whole->in[s->op->input[TQ_CONV_DST]] + begin * (s->oc_padded / block * y_plane) +
             t->oc_block * y_plane,
        .y_block = y_plane,
        .x_step = shape->stride[1] * block,
        .rows = s->rows + s->first_row[t->tap],
        .n_rows = s->first_row[t->tap + 1] - s->first_row[t->tap],
        .n_samples = end - begin,
    };
    s->outer->run(&outer, t->first, t->n_blocks, sums);
}

static void add(int n, float *into, const float *from)
{
    for (int i = 0; i < n; i++)
        into[i] += from[i];
}

/** Sums of whole subtrees wait on a stack until their sibling is there: the tree of tq_tree_sum. */
static const float *sum_shards(const job *j, const tile *t, float stack[MAX_LEVELS][MAX_TILE])
{
    int height = 0;
    const int64_t n = j->whole->last - j->whole->first + 1;
    for (int64_t i = 0; i < n; i++) {
        sum_shard(j, t, j->whole->first + i, stack[height++]);
        for (int64_t k = i + 1; k % 2 == 0; k /= 2, height--)
            add(t->size, stack[height - 2], stack[height - 1]);
    }
    for (; height > 1; height--)
        add(t->size, stack[height - 2], stack[height - 1]);
    return stack[0];
}

/** The sums of a tile lie in the total [tap][input channel][output channel]. */
static void run_tile(const job *j, const tile *t)
{
    const state *s = j->s;
    const int block = s->outer->block;
    float stack[MAX_LEVELS][MAX_TILE];
    const float *sums = sum_shards(j, t, stack);
    for (int i = 0; i < s->outer->n_x; i++) {
        const int64_t ic = t->ic_block * block + t->first + i;
        memcpy((float *)j->whole->total + (t->tap * s->ic_padded + ic) * s->oc_padded +
                   t->oc_block * block,
               sums + i * t->n_blocks * block, (size_t)(t->n_blocks * block) * sizeof(float));
    }
}

static void run_piece(void *context, int64_t piece, int worker)
{
    (void)worker;
    const job *j = context;
    const state *s = j->s;
    const int64_t group = piece / j->n_ic_blocks, n_left = s->oc_padded / s->outer->block;
    tile t = { .ic_block = piece % j->n_ic_blocks, .oc_block = group * TQ_OUTER_BLOCKS };
    t.n_blocks = (int)tq_clip_i64(n_left - t.oc_block, 1, TQ_OUTER_BLOCKS);
    t.size = s->outer->n_x * t.n_blocks * s->outer->block;
    for (t.tap = 0; t.tap < s->n_taps; t.tap++)
        for (t.first = 0; t.first < s->outer->block; t.first += s->outer->n_x)
            run_tile(j, &t);
}

static void batch(const void *state_, const tq_batch_run *whole)
{
    const state *s = state_;
    job j = { .s = s, .whole = whole, .n_ic_blocks = s->ic_padded / s->outer->block };
    j.n_groups = (s->oc_padded / s->outer->block + TQ_OUTER_BLOCKS - 1) / TQ_OUTER_BLOCKS;
    tq_parallel_for(s->pool, j.n_groups * j.n_ic_blocks, run_piece, &j);
}

static size_t partial_size(const void *state_)
{
    const state *s = state_;
    return (size_t)(s->n_taps * s->ic_padded * s->oc_padded) * sizeof(float);
}

/* ---- to ONNX's layout ---------------------------------------------------------------------------
 */

typedef struct unpack_job {
    const state *s;
    const tq_blocks *blocks;
    const float *total;
    float *weight;
} unpack_job;

static void unpack_any(const unpack_job *j, int64_t begin, int64_t end)
{
    const state *s = j->s;
    for (int64_t ic = 0; ic < s->shape.ic; ic++)
        for (int64_t tap = 0; tap < s->n_taps; tap++) {
            const float *from = j->total + (tap * s->ic_padded + ic) * s->oc_padded;
            for (int64_t oc = begin; oc < end; oc++)
                j->weight[(oc * s->shape.ic + ic) * s->n_taps + tap] = from[oc];
        }
}

/** All weights of one block of output channels. */
static void unpack_block(void *context, int64_t oc_block, int worker)
{
    (void)worker;
    const unpack_job *j = context;
    const state *s = j->s;
    const int64_t block = s->outer->block, begin = oc_block * block;
    const int64_t end = begin + block < s->shape.oc ? begin + block : s->shape.oc;
    if (s->n_taps > 1 || s->shape.ic < s->ic_padded || end < begin + block)
        unpack_any(j, begin, end);
    else
        for (int64_t ic = 0; ic < s->shape.ic; ic += block)
            j->blocks->transpose(j->total + ic * s->oc_padded + begin, s->oc_padded,
                                 j->weight + begin * s->shape.ic + ic, s->shape.ic);
}

static void finish(void *state_, const tq_op_run *run, const void *total)
{
    const state *s = state_;
    unpack_job j = { s, tq_blocks_best(), total, run->out[0] };
    tq_parallel_for(s->pool, s->oc_padded / s->outer->block, unpack_block, &j);
}

#define WEIGHT_GRADIENT(symbol, op_)                                                               \
    const tq_sharded tq_sharded_##symbol = {                                                       \
        .op = op_,                                                                                 \
        .accepts = accepts,                                                                        \
        .prepare = prepare,                                                                        \
        .release = release,                                                                        \
        .n_parts = 1,                                                                              \
        .parts = { { .kind = TQ_PART_BATCH,                                                        \
                     .sums = TQ_SUM_F32,                                                           \
                     .partial_size = partial_size,                                                 \
                     .batch = batch,                                                               \
                     .finish = finish } },                                                         \
    };
WEIGHT_GRADIENT(conv_grad_outer, "ConvGradWeight")
WEIGHT_GRADIENT(conv_transpose_grad_outer, "ConvTransposeGradWeight")
