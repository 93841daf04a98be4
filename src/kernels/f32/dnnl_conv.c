/* Convolution and its two gradients by oneDNN, shard by shard of the batch, in the layouts it likes
 * best. The weight is packed once for all shards; the weight gradient is a partial sum for each.
 * Shards have at most two sizes, so there are at most two sets of primitives ("plans"). */
#include "base/base.h"
#include "kernels/f32/dnnl_internal.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { SRC = TQ_CONV_SRC, WEIGHT = TQ_CONV_WEIGHT, DST = TQ_CONV_DST, ROLES = TQ_CONV_ROLES };
enum { SUM_CHUNK = 4096 };

/* What one worker needs to run one plan: memory objects whose handles are set at each run. */
typedef struct bench {
    dnnl_stream_t stream;
    dnnl_memory_t outer[ROLES], inner[ROLES], bias, scratchpad;
} bench;

struct tq_dnnl_conv {
    tq_conv_shape shape;
    tq_conv_options options;
    int64_t n_shards;
    int n_plans, n_workers;
    dnnl_engine_t engine;
    dnnl_primitive_attr_t attr;
    tq_dnnl_plan plans[2];
    bench *benches; /* [n_plans][n_workers] */
    tq_pack *pack;  /* NULL: the primitive takes ONNX's layout */
    tq_buffer *packed;
    const float *weight; /* as the primitive reads it */
    size_t worker_size, operand_offset[ROLES], scratchpad_offset;
};

int tq_dnnl_single_thread(void)
{
    const int n = omp_get_max_threads();
    if (n != 1)
        omp_set_num_threads(1);
    return n;
}

void tq_dnnl_restore_threads(int n)
{
    if (n != 1)
        omp_set_num_threads(n);
}

static size_t round_up(size_t size)
{
    return (size + 63) / 64 * 64;
}

/* ---- making ------------------------------------------------------------------------------- */

static dnnl_status_t make_memory(dnnl_memory_t *memory, const dnnl_memory_desc_t *md,
                                 dnnl_engine_t engine)
{
    return dnnl_memory_create(memory, md, engine, DNNL_MEMORY_NONE);
}

static tq_status make_bench(tq_dnnl_conv *conv, const tq_dnnl_plan *plan, bench *b)
{
    dnnl_status_t status = dnnl_stream_create(&b->stream, conv->engine, dnnl_stream_default_flags);
    for (int role = 0; role < ROLES && !status; role++) {
        status = make_memory(&b->outer[role], &plan->operands[role].outer, conv->engine);
        if (!status)
            status = make_memory(&b->inner[role], &plan->operands[role].inner, conv->engine);
    }
    if (!status && conv->options.has_bias)
        status = make_memory(&b->bias, &plan->bias, conv->engine);
    if (!status)
        status = make_memory(&b->scratchpad, &plan->scratchpad, conv->engine);
    return tq_dnnl_status(status, "make memory objects");
}

static void lay_out_scratch(tq_dnnl_conv *conv)
{
    size_t offset = 0, pad = 0;
    for (int role = SRC; role <= DST; role += DST - SRC) {
        size_t size = 0;
        for (int i = 0; i < conv->n_plans; i++) {
            const tq_dnnl_operand *o = &conv->plans[i].operands[role];
            size = o->reorder && o->inner_size > size ? o->inner_size : size;
        }
        conv->operand_offset[role] = offset;
        offset += round_up(size);
    }
    for (int i = 0; i < conv->n_plans; i++)
        pad = conv->plans[i].scratchpad_size > pad ? conv->plans[i].scratchpad_size : pad;
    conv->scratchpad_offset = offset;
    conv->worker_size = offset + round_up(pad);
}

static tq_status make_plans(tq_dnnl_conv *conv)
{
    const int64_t small = conv->shape.n / conv->n_shards;
    conv->n_plans = conv->shape.n % conv->n_shards ? 2 : 1;
    for (int i = 0; i < conv->n_plans; i++)
        TQ_TRY(tq_dnnl_plan_init(&conv->plans[i], conv->engine, conv->attr, &conv->shape,
                                 &conv->options, small + i,
                                 i ? &conv->plans[0].operands[WEIGHT].inner : NULL));
    const size_t n = (size_t)conv->n_plans * (size_t)conv->n_workers;
    conv->benches = tq_allocate(n * sizeof *conv->benches);
    if (!conv->benches)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a convolution");
    for (size_t i = 0; i < n; i++)
        TQ_TRY(make_bench(conv, &conv->plans[i / (size_t)conv->n_workers], &conv->benches[i]));
    return TQ_OK;
}

static tq_status make_parts(tq_dnnl_conv *conv)
{
    TQ_TRY(tq_dnnl_status(dnnl_engine_create(&conv->engine, dnnl_cpu, 0), "start"));
    TQ_TRY(tq_dnnl_status(dnnl_primitive_attr_create(&conv->attr), "make attributes"));
    TQ_TRY(tq_dnnl_status(
        dnnl_primitive_attr_set_scratchpad_mode(conv->attr, dnnl_scratchpad_mode_user),
        "set the scratchpad mode"));
    TQ_TRY(make_plans(conv));
    lay_out_scratch(conv);
    const tq_dnnl_operand *weight = &conv->plans[0].operands[WEIGHT];
    TQ_TRY(tq_pack_create(&weight->outer, &weight->inner, &conv->pack));
    if (conv->pack && conv->options.computes != TQ_CONV_WEIGHT)
        return tq_buffer_create(weight->inner_size, &conv->packed);
    return TQ_OK;
}

tq_status tq_dnnl_conv_create(const tq_conv_shape *shape, const tq_conv_options *options,
                              tq_dnnl_conv **out_conv)
{
    tq_dnnl_conv *conv = tq_allocate(sizeof *conv);
    if (!conv)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a convolution");
    conv->shape = *shape;
    conv->options = *options;
    conv->n_shards = tq_clip_i64(shape->n, 1, options->n_shards > 0 ? options->n_shards : 1);
    conv->n_workers = tq_pool_size(options->pool);
    tq_dnnl_limit_level();
    const int threads = tq_dnnl_single_thread();
    const tq_status status = make_parts(conv);
    tq_dnnl_restore_threads(threads);
    if (status) {
        tq_dnnl_conv_destroy(conv);
        return status;
    }
    *out_conv = conv;
    return TQ_OK;
}

static void destroy_bench(bench *b)
{
    for (int role = 0; role < ROLES; role++) {
        dnnl_memory_destroy(b->outer[role]);
        dnnl_memory_destroy(b->inner[role]);
    }
    dnnl_memory_destroy(b->bias);
    dnnl_memory_destroy(b->scratchpad);
    dnnl_stream_destroy(b->stream);
}

void tq_dnnl_conv_destroy(tq_dnnl_conv *conv)
{
    if (!conv)
        return;
    for (int i = 0; conv->benches && i < conv->n_plans * conv->n_workers; i++)
        destroy_bench(&conv->benches[i]);
    for (int i = 0; i < conv->n_plans; i++)
        tq_dnnl_plan_reset(&conv->plans[i]);
    dnnl_primitive_attr_destroy(conv->attr);
    dnnl_engine_destroy(conv->engine);
    tq_pack_destroy(conv->pack);
    tq_buffer_release(conv->packed);
    free(conv->benches);
    free(conv);
}

/* ---- running one shard ---------------------------------------------------------------------- */

static void execute(dnnl_primitive_t primitive, dnnl_stream_t stream, int n,
                    const dnnl_exec_arg_t *args)
{
    TQ_ASSERT(dnnl_primitive_execute(primitive, stream, n, args) == dnnl_success);
}

static void point(dnnl_memory_t memory, const void *data)
{
    TQ_ASSERT(dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)data) == dnnl_success);
}

static void reorder(const tq_dnnl_operand *o, bench *b, int role, bool is_back)
{
    const dnnl_exec_arg_t args[] = {
        { DNNL_ARG_FROM, is_back ? b->inner[role] : b->outer[role] },
        { DNNL_ARG_TO, is_back ? b->outer[role] : b->inner[role] },
        { DNNL_ARG_SCRATCHPAD, b->scratchpad },
    };
    execute(o->reorder, b->stream, TQ_COUNT(args), args);
}

static void convolve(const tq_dnnl_conv *conv, const tq_dnnl_plan *plan, bench *b)
{
    const tq_conv_role computes = conv->options.computes;
    const bool forward = computes == TQ_CONV_DST;
    dnnl_exec_arg_t args[5] = {
        { computes == TQ_CONV_SRC ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, b->inner[SRC] },
        { computes == TQ_CONV_WEIGHT ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, b->inner[WEIGHT] },
        { forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, b->inner[DST] },
        { DNNL_ARG_SCRATCHPAD, b->scratchpad },
        { DNNL_ARG_BIAS, b->bias },
    };
    execute(plan->conv, b->stream, conv->options.has_bias ? 5 : 4, args);
}

void tq_dnnl_conv_pack(tq_dnnl_conv *conv, const float *weight)
{
    if (!conv->pack)
        conv->weight = weight;
    else if (!conv->weight || !conv->options.weight_const) {
        tq_pack_run(conv->pack, conv->options.pool, weight, tq_buffer_data(conv->packed));
        conv->weight = tq_buffer_data(conv->packed);
    }
}

void tq_dnnl_conv_run_shard(tq_dnnl_conv *conv, int64_t shard, int worker, const float *src,
                            float *dst, void *partial, const float *bias, void *scratch_)
{
    int64_t begin, end;
    tq_shard_range(conv->shape.n, conv->n_shards, shard, &begin, &end);
    const int p = end - begin == conv->plans[0].n ? 0 : 1;
    const tq_dnnl_plan *plan = &conv->plans[p];
    bench *b = &conv->benches[p * conv->n_workers + worker];
    char *scratch = scratch_;
    const int computes = (int)conv->options.computes;
    const float *const data[ROLES] = { [SRC] = src, [DST] = dst };
    const int threads = tq_dnnl_single_thread();
    point(b->scratchpad, scratch + conv->scratchpad_offset);
    if (bias)
        point(b->bias, bias);
    for (int role = SRC; role <= DST; role += DST - SRC) {
        const tq_dnnl_operand *o = &plan->operands[role];
        point(b->outer[role], data[role]);
        point(b->inner[role],
              o->reorder ? (void *)(scratch + conv->operand_offset[role]) : data[role]);
        if (o->reorder && role != computes)
            reorder(o, b, role, false);
    }
    point(b->inner[WEIGHT], computes == WEIGHT ? partial : conv->weight);
    convolve(conv, plan, b);
    if (computes != WEIGHT && plan->operands[computes].reorder)
        reorder(&plan->operands[computes], b, computes, true);
    tq_dnnl_restore_threads(threads);
}

size_t tq_dnnl_conv_worker_size(const tq_dnnl_conv *conv)
{
    return conv->worker_size;
}

int64_t tq_dnnl_conv_n_shards(const tq_dnnl_conv *conv)
{
    return conv->n_shards;
}

size_t tq_dnnl_conv_partial_size(const tq_dnnl_conv *conv)
{
    return round_up(conv->plans[0].operands[WEIGHT].inner_size);
}

void tq_dnnl_conv_unpack(const tq_dnnl_conv *conv, const float *total, float *weight)
{
    if (conv->pack)
        tq_unpack_run(conv->pack, conv->options.pool, total, weight);
    else
        memcpy(weight, total, conv->plans[0].operands[WEIGHT].inner_size);
}

/* ---- running all shards ---------------------------------------------------------------------- */

typedef struct job {
    tq_dnnl_conv *conv;
    float *src, *dst;
    const float *bias;
    char *partials, *scratch;
} job;

static void run_shard(void *context, int64_t shard, int worker)
{
    const job *j = context;
    tq_dnnl_conv *conv = j->conv;
    int64_t begin, end;
    tq_shard_range(conv->shape.n, conv->n_shards, shard, &begin, &end);
    tq_dnnl_conv_run_shard(conv, shard, worker,
                           j->src + begin * conv->plans[0].operands[SRC].stride,
                           j->dst + begin * conv->plans[0].operands[DST].stride,
                           j->partials + (size_t)shard * tq_dnnl_conv_partial_size(conv), j->bias,
                           j->scratch + (size_t)worker * conv->worker_size);
}

static void sum_chunk(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const int64_t n = (int64_t)(tq_dnnl_conv_partial_size(j->conv) / sizeof(float));
    const int64_t begin = i * SUM_CHUNK, count = n - begin < SUM_CHUNK ? n - begin : SUM_CHUNK;
    tq_tree_sum((float *)(void *)j->partials + begin, j->conv->n_shards, count, n);
}

size_t tq_dnnl_conv_scratch_size(const tq_dnnl_conv *conv)
{
    const size_t partials = conv->options.computes == TQ_CONV_WEIGHT
                                ? (size_t)conv->n_shards * tq_dnnl_conv_partial_size(conv)
                                : 0;
    return partials + (size_t)conv->n_workers * conv->worker_size;
}

void tq_dnnl_conv_run(tq_dnnl_conv *conv, float *const data[TQ_CONV_ROLES], const float *bias,
                      void *scratch)
{
    const bool is_gradient = conv->options.computes == TQ_CONV_WEIGHT;
    const size_t partial = tq_dnnl_conv_partial_size(conv);
    job j = { .conv = conv, .src = data[SRC], .dst = data[DST], .bias = bias, .partials = scratch };
    j.scratch = j.partials + (is_gradient ? (size_t)conv->n_shards * partial : 0);
    if (!is_gradient)
        tq_dnnl_conv_pack(conv, data[WEIGHT]);
    tq_parallel_for(conv->options.pool, conv->n_shards, run_shard, &j);
    if (!is_gradient)
        return;
    const int64_t n = (int64_t)(partial / sizeof(float));
    tq_parallel_for(conv->options.pool, (n + SUM_CHUNK - 1) / SUM_CHUNK, sum_chunk, &j);
    tq_dnnl_conv_unpack(conv, scratch, data[WEIGHT]);
}
