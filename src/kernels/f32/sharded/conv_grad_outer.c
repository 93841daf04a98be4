/* The weight gradient of a dense convolution as a sum of outer products of pixels. Where the weight
 * is large beside the images, for all shards at once: a partial gradient for each shard would be
 * written and read back; here a piece of it stays in registers over the pixels of a shard, and in
 * the nearest cache over the tree of shards, which is that of tq_tree_sum. Where it is small, shard
 * by shard, in bf16, which oneDNN would transpose first. */
#include "base/base.h"
#include "kernels/f32/conv_internal.h"
#include "kernels/f32/outer_internal.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LEVELS = TQ_OUTER_MORE, MAX_TILE = 8 * TQ_OUTER_BLOCKS * TQ_MAX_BLOCK };

typedef struct state {
    const tq_outer *outer;
    const tq_conv_operator *op;
    tq_conv_shape shape;
    tq_pool *pool;
    bool is_half;
    int64_t n_shards, n_taps, ic_padded, oc_padded;
    int64_t *first_sample; /* [n_shards + 1] */
    int64_t *first_row;    /* [n_taps + 1] */
    tq_outer_row *rows;    /* of each tap */
} state;

static bool read_shape(const tq_op *op, const tq_op_run *run, tq_conv_shape *s)
{
    const tq_conv_operator *o = tq_conv_operator_find(op);
    return o && tq_outer_best() && tq_conv_shape_read(o, run, s) && s->groups == 1 &&
           s->ic >= tq_block_size();
}

/** Worth it in bf16, where groups of blocks of output channels are full, nearly: what is loaded is
 * used for each of them. */
static bool accepts_sample(const tq_op *op, const tq_op_run *run)
{
    tq_conv_shape s;
    if (!run->bf16 || !read_shape(op, run, &s) || !tq_conv_takes_half(&s))
        return false;
    const int64_t n_blocks = (s.oc + tq_block_size() - 1) / tq_block_size();
    const int64_t n_groups = (n_blocks + TQ_OUTER_BLOCKS - 1) / TQ_OUTER_BLOCKS;
    return 4 * n_blocks >= 3 * n_groups * TQ_OUTER_BLOCKS;
}

/** Worth it where the partial gradients are larger than the images. */
static bool accepts_batch(const tq_op *op, const tq_op_run *run)
{
    tq_conv_shape s;
    if (!read_shape(op, run, &s))
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
        free(s->first_sample);
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
    s->first_sample = tq_allocate((size_t)(s->n_shards + 1) * sizeof *s->first_sample);
    if (!s->first_row || !s->rows || !s->first_sample)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a convolution");
    for (int64_t i = 0, begin; i < s->n_shards; i++)
        tq_shard_range(s->shape.n, s->n_shards, i, &begin, &s->first_sample[i + 1]);
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
    s->op = tq_conv_operator_find(op);
    TQ_ASSERT(tq_conv_shape_read(s->op, shapes, &s->shape));
    s->pool = shapes->pool;
    s->is_half = shapes->bf16 && tq_conv_takes_half(&s->shape);
    s->n_shards = tq_clip_i64(shapes->n_shards, 1, s->shape.n);
    const tq_status status = fill(s);
    if (status) {
        release(s);
        return status;
    }
    for (int role = TQ_CONV_SRC; role < TQ_CONV_ROLES; role += TQ_CONV_DST - TQ_CONV_SRC) {
        ports->reads[0] |= 1u << s->op->input[role];
        ports->in[s->op->input[role]] = s->is_half ? TQ_FORM_HALF : TQ_FORM_BLOCKED;
    }
    *out_state = s;
    return TQ_OK;
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct job {
    const state *s;
    const char *x, *y; /* of the first data point of shard `first`, or of the only one */
    size_t element;    /* bytes */
    int64_t first, last;
    float *total; /* [tap][input channel][output channel] */
} job;

/** One tile of the gradient: which pixels it is summed over. */
typedef struct tile {
    tq_outer_job outer; /* at the first data point */
    int64_t ic_block, oc_block, tap;
    int first, n_blocks; /* first: of the input channels of the block */
} tile;

static void sum(const job *j, const tile *t, const tq_outer_job *outer, float *sums)
{
    const state *s = j->s;
    (s->is_half ? s->outer->run_half : s->outer->run)(outer, t->first, t->n_blocks, sums);
}

/** The sum over a shard, to which `n_more` earlier ones are added. */
static void sum_shard(const job *j, const tile *t, int64_t shard, int n_more,
                      float more[MAX_LEVELS][MAX_TILE], float *sums)
{
    const state *s = j->s;
    const int64_t begin = s->first_sample[shard] - s->first_sample[j->first];
    tq_outer_job outer = t->outer;
    outer.x = (const char *)outer.x + (size_t)(begin * outer.x_sample) * j->element;
    outer.y = (const char *)outer.y + (size_t)(begin * outer.y_sample) * j->element;
    outer.n_samples = s->first_sample[shard + 1] - s->first_sample[shard];
    outer.n_more = n_more;
    for (int i = 0; i < n_more; i++)
        outer.more[i] = more[-i];
    sum(j, t, &outer, sums);
}

static int trailing_zeros(int64_t n)
{
    int count = 0;
    while (n % 2 == 0) {
        n /= 2;
        count++;
    }
    return count;
}

/** Sums of whole subtrees wait on a stack until their sibling is there: the tree of tq_tree_sum. */
static void sum_shards(const job *j, const tile *t, float stack[MAX_LEVELS][MAX_TILE])
{
    int height = 0;
    const int64_t n = j->last - j->first + 1;
    for (int64_t i = 0; i < n; i++) {
        const bool is_last = i == n - 1; /* what is left joins from right to left */
        const int n_more = is_last ? height : trailing_zeros(i + 1);
        float *sums = stack[height - n_more];
        sum_shard(j, t, j->first + i, n_more, stack + height - 1, sums);
        height += 1 - n_more;
    }
}

static void run_tile(const job *j, const tile *t)
{
    const state *s = j->s;
    const int block = s->outer->block;
    float stack[MAX_LEVELS][MAX_TILE];
    if (t->outer.n_samples > 0)
        sum(j, t, &t->outer, stack[0]);
    else
        sum_shards(j, t, stack);
    for (int i = 0; i < s->outer->n_x; i++) {
        const int64_t ic = t->ic_block * block + t->first + i;
        memcpy(j->total + (t->tap * s->ic_padded + ic) * s->oc_padded + t->oc_block * block,
               stack[0] + i * t->n_blocks * block, (size_t)(t->n_blocks * block) * sizeof(float));
    }
}

static void describe(const job *j, tile *t)
{
    const state *s = j->s;
    const int64_t block = s->outer->block;
    const int64_t x_plane = s->shape.in[0] * s->shape.in[1] * block;
    const int64_t y_plane = s->shape.out[0] * s->shape.out[1] * block;
    t->outer = (tq_outer_job){
        .x = j->x + (size_t)(t->ic_block * x_plane) * j->element,
        .y = j->y + (size_t)(t->oc_block * y_plane) * j->element,
        .x_sample = s->ic_padded / block * x_plane,
        .y_sample = s->oc_padded / block * y_plane,
        .y_block = y_plane,
        .x_step = s->shape.stride[1] * block,
        .rows = s->rows + s->first_row[t->tap],
        .n_rows = s->first_row[t->tap + 1] - s->first_row[t->tap],
    };
}

/** Blocks of input channels, times groups of up to 3 blocks of output channels. */
static int64_t count_pieces(const state *s)
{
    const int64_t n_blocks = s->oc_padded / s->outer->block;
    return (n_blocks + TQ_OUTER_BLOCKS - 1) / TQ_OUTER_BLOCKS * (s->ic_padded / s->outer->block);
}

/** n_samples: of the shard; 0: all shards. */
static void run_piece(const job *j, int64_t piece, int64_t n_samples)
{
    const state *s = j->s;
    const int64_t n_ic_blocks = s->ic_padded / s->outer->block;
    const int64_t group = piece / n_ic_blocks, n_left = s->oc_padded / s->outer->block;
    tile t = { .ic_block = piece % n_ic_blocks, .oc_block = group * TQ_OUTER_BLOCKS };
    t.n_blocks = (int)tq_clip_i64(n_left - t.oc_block, 1, TQ_OUTER_BLOCKS);
    for (t.tap = 0; t.tap < s->n_taps; t.tap++) {
        describe(j, &t);
        t.outer.n_samples = n_samples;
        for (t.first = 0; t.first < s->outer->block; t.first += s->outer->n_x)
            run_tile(j, &t);
    }
}

static job job_of(const state *s, const float *const *in, void *total)
{
    return (job){ .s = s,
                  .x = (const char *)in[s->op->input[TQ_CONV_SRC]],
                  .y = (const char *)in[s->op->input[TQ_CONV_DST]],
                  .element = s->is_half ? sizeof(uint16_t) : sizeof(float),
                  .total = total };
}

static void sample(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    const job j = job_of(s, shard->in, shard->partial);
    for (int64_t i = 0; i < count_pieces(s); i++)
        run_piece(&j, i, shard->n);
}

static void run_piece_of_batch(void *context, int64_t piece, int worker)
{
    (void)worker;
    run_piece(context, piece, 0);
}

static void batch(const void *state_, const tq_batch_run *whole)
{
    const state *s = state_;
    job j = job_of(s, whole->in, whole->total);
    j.first = whole->first;
    j.last = whole->last;
    tq_parallel_for(s->pool, count_pieces(s), run_piece_of_batch, &j);
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

#define WEIGHT_GRADIENT(symbol, op_, kind_, run_)                                                  \
    const tq_sharded tq_sharded_##symbol = {                                                       \
        .op = op_,                                                                                 \
        .accepts = accepts_##run_,                                                                 \
        .prepare = prepare,                                                                        \
        .release = release,                                                                        \
        .n_parts = 1,                                                                              \
        .parts = { { .kind = kind_,                                                                \
                     .sums = TQ_SUM_F32,                                                           \
                     .partial_size = partial_size,                                                 \
                     .run_ = run_,                                                                 \
                     .finish = finish } },                                                         \
    };
WEIGHT_GRADIENT(conv_grad_outer, "ConvGradWeight", TQ_PART_BATCH, batch)
WEIGHT_GRADIENT(conv_transpose_grad_outer, "ConvTransposeGradWeight", TQ_PART_BATCH, batch)
WEIGHT_GRADIENT(conv_grad_half, "ConvGradWeight", TQ_PART_SAMPLE, sample)
WEIGHT_GRADIENT(conv_transpose_grad_half, "ConvTransposeGradWeight", TQ_PART_SAMPLE, sample)
