/* Running a phase: what its parts prepare, then shard after shard, then what they sum. */
#include "base/base.h"
#include "engine/phases_internal.h"

#include <string.h>

enum { SUM_CHUNK = 4096 };

typedef struct job {
    tq_engine *engine;
    const tq_phase *phase;
} job;

static char *slot_data(const tq_engine *engine, int slot)
{
    return engine->slots[slot].tensor.data;
}

/* ---- before and after the shards --------------------------------------------------------------
 */

/** Points the run's arrays at the slots that lie in the plain form. */
static void bind(const tq_engine *engine, tq_work *w)
{
    const void **in = (const void **)w->run.in;
    void **out = (void **)w->run.out;
    for (int i = 0; i < w->run.n_in; i++) {
        const tq_slot *slot = w->in_slots[i] < 0 ? NULL : &engine->slots[w->in_slots[i]];
        in[i] = slot && slot->place != TQ_PLACE_NOWHERE ? slot->tensor.data : NULL;
    }
    for (int i = 0; i < w->run.n_out; i++) {
        const tq_slot *slot = w->out_slots[i] < 0 ? NULL : &engine->slots[w->out_slots[i]];
        out[i] = slot && slot->place != TQ_PLACE_NOWHERE ? slot->tensor.data : NULL;
    }
}

static void begin(const job *j)
{
    for (int i = 0; i < j->phase->n_works; i++) {
        tq_work *w = &j->phase->works[i];
        bind(j->engine, w);
        if (w->begins && w->part->begin)
            w->part->begin(w->state, &w->run);
        if (w->partial >= 0 && w->part->kind == TQ_PART_TILE)
            memset(slot_data(j->engine, w->partial), 0, w->partial_size * (size_t)j->phase->n_own);
    }
}

typedef struct sum_job {
    char *partials;
    size_t size;
    int64_t n_shards;
} sum_job;

static void sum_chunk(void *context, int64_t i, int worker)
{
    (void)worker;
    const sum_job *j = context;
    const int64_t n = (int64_t)(j->size / sizeof(float)), first = i * SUM_CHUNK;
    const int64_t count = n - first < SUM_CHUNK ? n - first : SUM_CHUNK;
    tq_tree_sum((float *)(void *)j->partials + first, j->n_shards, count, n);
}

/** The tree of tq_tree_sum, with the part's own way to join. */
static void join_partials(const tq_work *w, char *partials, int64_t n)
{
    for (int64_t step = 1; step < n; step *= 2)
        for (int64_t i = 0; i + step < n; i += 2 * step)
            w->part->join(w->state, partials + (size_t)i * w->partial_size,
                          partials + (size_t)(i + step) * w->partial_size);
}

static float *rows_of(const job *j, const tq_operand *o, int64_t row)
{
    return o->place != TQ_OPERAND_SLOT ? NULL
                                       : (float *)(void *)(slot_data(j->engine, o->slot) +
                                                           (size_t)(row - o->first) * o->stride);
}

/** A part on all shards; it sums them itself. */
static void run_batch(const job *j, const tq_work *w, void *total)
{
    const tq_phase *phase = j->phase;
    const int64_t last = phase->shard_begin + phase->n_own - 1;
    const float *in[TQ_OP_MAX_NAMES];
    float *out[TQ_OP_MAX_NAMES];
    int64_t begin, end, unused;
    tq_shard_range(phase->batch, phase->n_shards, phase->shard_begin, &begin, &unused);
    tq_shard_range(phase->batch, phase->n_shards, last, &unused, &end);
    for (int i = 0; i < w->run.n_in; i++)
        in[i] = rows_of(j, &w->in[i], begin);
    for (int i = 0; i < w->run.n_out; i++)
        out[i] = rows_of(j, &w->out[i], begin);
    w->part->batch(w->state, &(tq_batch_run){ .first = phase->shard_begin,
                                              .last = last,
                                              .in = in,
                                              .out = out,
                                              .n_rows = end - begin,
                                              .total = total });
}

/** Into the first of them. */
static void sum_partials(const job *j, const tq_work *w, char *partials)
{
    const int64_t n = j->phase->n_own;
    sum_job sum = { partials, w->partial_size, n };
    const int64_t count = (int64_t)(w->partial_size / sizeof(double));
    if (w->part->sums == TQ_SUM_F64)
        tq_tree_sum_f64((double *)(void *)partials, n, count, count);
    else if (w->part->sums == TQ_SUM_F32)
        tq_parallel_for(j->engine->options.pool, (2 * count + SUM_CHUNK - 1) / SUM_CHUNK, sum_chunk,
                        &sum);
    else
        join_partials(w, partials, n);
}

/** The sum over this rank's shards. */
static void *sum_own(const job *j, const tq_work *w)
{
    char *partials = slot_data(j->engine, w->partial);
    char *total = w->is_deferred ? j->engine->totals + w->total : partials;
    if (w->part->kind == TQ_PART_BATCH) {
        run_batch(j, w, total);
    } else {
        sum_partials(j, w, partials);
        if (total != partials)
            memcpy(total, partials, w->partial_size);
    }
    return total;
}

static tq_status finish(const job *j)
{
    const bool is_alone = !j->engine->options.exchange;
    for (int i = 0; i < j->phase->n_works; i++) {
        tq_work *w = &j->phase->works[i];
        if (w->partial < 0 && w->part->kind != TQ_PART_BATCH)
            continue;
        const double start = tq_engine_now();
        void *total = w->partial < 0 ? NULL : sum_own(j, w);
        if (!total)
            run_batch(j, w, NULL);
        j->engine->shard_seconds += tq_engine_now() - start;
        if (total && is_alone && w->part->finish)
            w->part->finish(w->state, &w->run, total);
        if (w->seconds)
            *w->seconds += tq_engine_now() - start;
    }
    return is_alone ? TQ_OK : tq_exchange_phase(j->engine, j->phase);
}

/* ---- one shard
 * ------------------------------------------------------------------------------------
 */

/** Where one worker is. */
typedef struct at {
    const job *job;
    int64_t shard, begin, n;
    int worker;
    char *scratch;
} at;

/** The operand's first byte of data point `sample` of the shard. */
static char *data_of(const at *a, const tq_operand *o, int64_t sample)
{
    switch (o->place) {
    case TQ_OPERAND_SLOT:
        return slot_data(a->job->engine, o->slot) +
               (size_t)(a->begin + sample - o->first) * o->stride;
    case TQ_OPERAND_SCRATCH:
        return a->scratch + o->offset + (size_t)sample * o->stride;
    case TQ_OPERAND_BUFFER:
    case TQ_OPERAND_NONE:
        break;
    }
    return NULL;
}

static void *partial_of(const at *a, const tq_work *w)
{
    return w->partial < 0 ? NULL
                          : slot_data(a->job->engine, w->partial) +
                                (size_t)(a->shard - a->job->phase->shard_begin) * w->partial_size;
}

static void run_samples(const at *a, const tq_work *w)
{
    const float *in[TQ_OP_MAX_NAMES];
    float *out[TQ_OP_MAX_NAMES];
    for (int i = 0; i < w->run.n_in; i++)
        in[i] = (const float *)(const void *)data_of(a, &w->in[i], 0);
    for (int i = 0; i < w->run.n_out; i++)
        out[i] = (float *)(void *)data_of(a, &w->out[i], 0);
    w->part->sample(w->state, &(tq_shard){ .index = a->shard,
                                           .begin = a->begin,
                                           .n = a->n,
                                           .worker = a->worker,
                                           .in = in,
                                           .out = out,
                                           .partial = partial_of(a, w),
                                           .scratch = a->scratch + a->job->phase->buffers_offset });
}

/** Where a tile lies: `offset` elements from the start of its data point. */
typedef struct spot {
    int64_t sample, block, offset, n;
} spot;

static float *tile_data(const at *a, const tq_operand *o, const spot *s)
{
    if (o->place == TQ_OPERAND_BUFFER)
        return (float *)(void *)(a->scratch + a->job->phase->buffers_offset + o->offset);
    char *data = data_of(a, o, s->sample);
    return data ? (float *)(void *)(data + (size_t)s->offset * o->element) : NULL;
}

static void clear_missing(float *x, int64_t n, int64_t block, int n_channels)
{
    for (int64_t i = 0; i < n; i += block)
        for (int64_t c = n_channels; c < block; c++)
            x[i + c] = 0.0f;
}

static void run_tile(const at *a, const tq_phase_stage *stage, const spot *s)
{
    const float *in[TQ_OP_MAX_NAMES];
    float *out[TQ_OP_MAX_NAMES];
    const int64_t left = stage->n_channels - s->block * stage->block;
    const int n_channels = (int)(left < stage->block ? left : stage->block);
    tq_tile tile = {
        .n = s->n, .block = s->block, .width = (int)stage->block, .in = in, .out = out
    };
    tile.n_channels = stage->n_channels > 0 ? n_channels : 0;
    for (int k = 0; k < stage->n_works; k++) {
        const tq_work *w = stage->works[k];
        for (int i = 0; i < w->run.n_in; i++)
            in[i] = tile_data(a, &w->in[i], s);
        for (int i = 0; i < w->run.n_out; i++)
            out[i] = tile_data(a, &w->out[i], s);
        tile.partial = partial_of(a, w);
        w->part->tile(w->state, &tile);
        for (int i = 0; w->is_masked && n_channels < stage->block && i < w->run.n_out; i++)
            if (out[i])
                clear_missing(out[i], s->n, stage->block, n_channels);
    }
}

static void run_tiles(const at *a, const tq_phase_stage *stage)
{
    const int64_t n_tiles = (stage->n_pixels + stage->tile_pixels - 1) / stage->tile_pixels;
    for (int64_t sample = 0; sample < a->n; sample++)
        for (int64_t block = 0; block < stage->n_blocks; block++)
            for (int64_t t = 0; t < n_tiles; t++) {
                int64_t begin, end;
                tq_shard_range(stage->n_pixels, n_tiles, t, &begin, &end);
                const spot s = {
                    .sample = sample,
                    .block = block,
                    .offset = (block * stage->n_pixels + begin) * stage->block,
                    .n = (end - begin) * stage->block,
                };
                run_tile(a, stage, &s);
            }
}

static void run_shard(void *context, int64_t own, int worker)
{
    const job *j = context;
    const int64_t shard = j->phase->shard_begin + own;
    at a = { .job = j, .shard = shard, .worker = worker };
    int64_t end;
    tq_shard_range(j->phase->batch, j->phase->n_shards, shard, &a.begin, &end);
    a.n = end - a.begin;
    a.scratch = (char *)tq_buffer_data(j->engine->scratch) + (size_t)worker * j->phase->worker_size;
    for (int i = 0; i < j->phase->n_stages; i++) {
        const tq_phase_stage *stage = &j->phase->stages[i];
        const double start = stage->seconds ? tq_engine_now() : 0.0;
        if (stage->is_tiles)
            run_tiles(&a, stage);
        else if (stage->works[0]->part->sample)
            run_samples(&a, stage->works[0]);
        if (stage->seconds)
            stage->seconds[worker] += tq_engine_now() - start;
    }
}

tq_status tq_phase_run(tq_engine *engine, tq_step *step)
{
    job j = { .engine = engine, .phase = step->phase };
    begin(&j);
    const double start = tq_engine_now();
    tq_parallel_for(engine->options.pool, j.phase->n_own, run_shard, &j);
    engine->shard_seconds += tq_engine_now() - start;
    return finish(&j);
}
