/* Gemm of rows of the batch by a weight: y = x w^T + b or x w + b, on all rows of this rank at
 * once, since each shard would read the weight again; and the weight's gradient, a^T b, over the
 * rows of each shard and along the tree of shards. alpha and beta are 1. */
#include "base/base.h"
#include "kernels/f32/linear_internal.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>
#include <string.h>

enum { A, W, BIAS };

typedef struct state {
    const tq_linear_set *set;
    tq_pool *pool;
    bool transposed; /* w is [n_out, n_in] */
    int64_t n, n_in, n_out, n_shards;
    const float *w, *bias;
} state;

static bool accepts(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return tq_linear_is(run, false) && tq_is_batch(run, A);
}

static tq_status create(const tq_op_run *shapes, state **out_state)
{
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a product");
    s->set = tq_linear_best();
    s->pool = shapes->pool;
    s->n = shapes->in_types[A]->dims[0];
    s->n_shards = tq_clip_i64(shapes->n_shards, 1, s->n);
    *out_state = s;
    return TQ_OK;
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    (void)op, (void)ports;
    state *s = NULL;
    TQ_TRY(create(shapes, &s));
    s->transposed = tq_attr_int(shapes->attrs, "transB") != 0;
    s->n_in = shapes->in_types[A]->dims[1];
    s->n_out = shapes->out_types[0]->dims[1];
    *out_state = s;
    return TQ_OK;
}

static void begin(void *state_, const tq_op_run *run)
{
    state *s = state_;
    s->w = run->in[W];
    s->bias = run->n_in > BIAS ? run->in[BIAS] : NULL;
}

static void batch(const void *state_, const tq_batch_run *whole)
{
    const state *s = state_;
    const tq_linear l = { .x = whole->in[A],
                          .w = s->w,
                          .bias = s->bias,
                          .y = whole->out[0],
                          .n_rows = whole->n_rows,
                          .n_in = s->n_in,
                          .n_out = s->n_out };
    tq_linear_run(&l, s->transposed, s->pool);
}

const tq_sharded tq_sharded_linear = {
    .op = "Gemm",
    .accepts = accepts,
    .prepare = prepare,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_BATCH,
                 .reads = 1 << A,
                 .writes = 1,
                 .begin = begin,
                 .batch = batch } },
};

/** A tile of the gradient: 4 columns of a, 128 of b. */
enum { WIDTH = 128, TILE = TQ_LINEAR_COLUMNS * WIDTH, MOST_LEVELS = 12 };

/* ---- a^T b over the batch ------------------------------------------------------------------- */

static bool accepts_grad(const tq_op *op, const tq_op_run *run)
{
    (void)op;
    return tq_linear_is(run, true) && tq_is_batch(run, A) && tq_is_batch(run, W) &&
           !tq_attr_int(run->attrs, "transB") && (run->n_in <= BIAS || !run->in_types[BIAS]) &&
           run->n_shards <= 1 << MOST_LEVELS;
}

static tq_status prepare_grad(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                              void **out_state)
{
    (void)op, (void)ports;
    state *s = NULL;
    TQ_TRY(create(shapes, &s));
    s->n_out = shapes->in_types[A]->dims[1];
    s->n_in = shapes->in_types[W]->dims[1];
    *out_state = s;
    return TQ_OK;
}

static size_t partial_size(const void *state_)
{
    const state *s = state_;
    return (size_t)(s->n_out * s->n_in) * sizeof(float);
}

typedef struct job {
    const state *s;
    const tq_batch_run *whole;
} job;

static void sum_of_shard(const job *j, int64_t shard, const tq_linear_outer *tile, float *sums)
{
    const state *s = j->s;
    int64_t before, unused;
    tq_linear_outer rows = *tile;
    tq_shard_range(s->n, s->n_shards, j->whole->first, &before, &unused);
    tq_shard_range(s->n, s->n_shards, shard, &rows.begin, &rows.end);
    rows.begin -= before;
    rows.end -= before;
    s->set->outer(&rows, sums);
}

/** Shards `shard` .. shard + n_shards - 1, a node of the tree of tq_tree_sum, which is cut at the
 *  largest power of two. `room` has a tile for each level below. */
static void sum_of_shards(const job *j, int64_t shard, int64_t n_shards,
                          const tq_linear_outer *tile, float (*sums)[TILE], float (*room)[TILE])
{
    if (n_shards == 1) {
        sum_of_shard(j, shard, tile, *sums);
        return;
    }
    int64_t left = 1;
    while (2 * left < n_shards)
        left *= 2;
    sum_of_shards(j, shard, left, tile, sums, room + 1);
    sum_of_shards(j, shard + left, n_shards - left, tile, room, room + 1);
    for (int i = 0; i < TILE; i++)
        (*sums)[i] += (*room)[i];
}

static void tile_of_sums(void *context, int64_t piece, int worker)
{
    (void)worker;
    const job *j = context;
    const state *s = j->s;
    const int64_t n_across = (s->n_in + WIDTH - 1) / WIDTH;
    const int64_t first = piece / n_across * TQ_LINEAR_COLUMNS, column = piece % n_across * WIDTH;
    const tq_linear_outer tile = { .a = j->whole->in[A],
                                   .b = j->whole->in[W],
                                   .n_a = s->n_out,
                                   .n_b = s->n_in,
                                   .first = first,
                                   .n = (int)tq_clip_i64(s->n_out - first, 1, TQ_LINEAR_COLUMNS),
                                   .column = column,
                                   .n_columns = tq_clip_i64(s->n_in - column, 1, WIDTH) };
    float sums[TILE] = { 0 }, room[MOST_LEVELS][TILE] = { { 0 } };
    sum_of_shards(j, j->whole->first, j->whole->last - j->whole->first + 1, &tile, &sums, room);
    for (int i = 0; i < tile.n; i++)
        memcpy((float *)j->whole->total + (first + i) * s->n_in + column, sums + i * tile.n_columns,
               (size_t)tile.n_columns * sizeof(float));
}

static void batch_grad(const void *state_, const tq_batch_run *whole)
{
    const state *s = state_;
    job j = { s, whole };
    const int64_t n_down = (s->n_out + TQ_LINEAR_COLUMNS - 1) / TQ_LINEAR_COLUMNS;
    tq_parallel_for(s->pool, n_down * ((s->n_in + WIDTH - 1) / WIDTH), tile_of_sums, &j);
}

static void finish_grad(void *state_, const tq_op_run *run, const void *total)
{
    memcpy(run->out[0], total, partial_size(state_));
}

const tq_sharded tq_sharded_linear_grad = {
    .op = "Gemm",
    .accepts = accepts_grad,
    .prepare = prepare_grad,
    .release = free,
    .n_parts = 1,
    .parts = { { .kind = TQ_PART_BATCH,
                 .reads = 1 << A | 1 << W,
                 .sums = TQ_SUM_F32,
                 .partial_size = partial_size,
                 .batch = batch_grad,
                 .finish = finish_grad } },
};
