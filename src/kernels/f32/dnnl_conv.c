/* Convolution and its two gradients by oneDNN, in the layouts it likes best.
 *
 * The batch is cut into fixed shards. For each, a thread brings the plain operands into oneDNN's
 * blocked layout, runs the primitive and brings the result back; the weight is packed once for all.
 * The weight gradient is a partial sum for each shard, and the partial sums meet in a fixed tree.
 * Shards have at most two sizes, so there are at most two sets of primitives ("plans"). */
#include "base/base.h"
#include "kernels/f32/dnnl_internal.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { SRC = TQ_CONV_SRC, WEIGHT = TQ_CONV_WEIGHT, DST = TQ_CONV_DST, ROLES = TQ_CONV_ROLES };
enum { MAX_PARTIAL_SIZE = 32 << 20, MIN_PARTIALS = 4, SUM_CHUNK = 4096 };

/* One operand in the caller's layout and in oneDNN's. */
typedef struct operand {
    dnnl_memory_desc_t plain, inner;
    dnnl_primitive_t reorder; /* NULL: both are the same */
    size_t inner_size;
    int64_t stride; /* floats of one sample in the plain layout */
} operand;

typedef struct conv_plan {
    int64_t n;
    dnnl_primitive_t conv;
    operand operands[ROLES];
    dnnl_memory_desc_t bias, scratchpad;
    size_t scratchpad_size;
} conv_plan;

/* What one worker needs to run one plan: memory objects whose handles are set at each run. */
typedef struct bench {
    dnnl_stream_t stream;
    dnnl_memory_t plain[ROLES], inner[ROLES], bias, scratchpad;
} bench;

struct tq_dnnl_conv {
    tq_conv_shape shape;
    tq_conv_options options;
    int64_t n_shards;
    int n_plans, n_workers;
    dnnl_engine_t engine;
    dnnl_primitive_attr_t attr;
    conv_plan plans[2];
    bench *benches;    /* [n_plans][n_workers] */
    tq_buffer *packed; /* constant weight */
    bool is_packed;
    size_t shared_size, worker_size, operand_offset[ROLES], scratchpad_offset;
};

/* ---- seam ------------------------------------------------------------------------------- */

tq_status tq_dnnl_status(dnnl_status_t status, const char *doing)
{
    if (status == dnnl_success)
        return TQ_OK;
    return tq_fail(status == dnnl_out_of_memory ? TQ_ERR_MEMORY : TQ_ERR_UNSUPPORTED,
                   "onednn cannot %s (status %d)", doing, (int)status);
}

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

void tq_dnnl_limit_level(void)
{
    if (!(tq_cpu_flags() &
          TQ_CPU_AVX512F)) /* fails once it is in use, and need not be said twice */
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
}

static size_t round_up(size_t size)
{
    return (size + 63) / 64 * 64;
}

/* ---- making a plan ---------------------------------------------------------------------- */

static tq_status describe_plain(conv_plan *plan, const tq_conv_shape *s, bool has_bias)
{
    const dnnl_dims_t src = { plan->n, s->ic, s->in[0], s->in[1] };
    const dnnl_dims_t dst = { plan->n, s->oc, s->out[0], s->out[1] };
    const dnnl_dims_t dense = { s->oc, s->ic, s->kernel[0], s->kernel[1] };
    const dnnl_dims_t grouped = { s->groups, s->oc / s->groups, s->ic / s->groups, s->kernel[0],
                                  s->kernel[1] };
    const bool g = s->groups > 1;
    plan->operands[SRC].stride = s->ic * s->in[0] * s->in[1];
    plan->operands[DST].stride = s->oc * s->out[0] * s->out[1];
    dnnl_status_t status =
        dnnl_memory_desc_init_by_tag(&plan->operands[SRC].plain, 4, src, dnnl_f32, dnnl_nchw);
    if (!status)
        status =
            dnnl_memory_desc_init_by_tag(&plan->operands[DST].plain, 4, dst, dnnl_f32, dnnl_nchw);
    if (!status)
        status =
            dnnl_memory_desc_init_by_tag(&plan->operands[WEIGHT].plain, g ? 5 : 4,
                                         g ? grouped : dense, dnnl_f32, g ? dnnl_goihw : dnnl_oihw);
    if (!status && has_bias)
        status =
            dnnl_memory_desc_init_by_tag(&plan->bias, 1, (dnnl_dims_t){ s->oc }, dnnl_f32, dnnl_a);
    return tq_dnnl_status(status, "describe a tensor");
}

/** The same dims in whatever layout the primitive prefers. */
static dnnl_memory_desc_t any_layout(const dnnl_memory_desc_t *md)
{
    dnnl_memory_desc_t any;
    if (dnnl_memory_desc_init_by_tag(&any, md->ndims, md->dims, md->data_type, dnnl_format_tag_any))
        memset(&any, 0, sizeof any);
    return any;
}

static dnnl_status_t describe_conv(const conv_plan *plan, const tq_conv_shape *s,
                                   const tq_conv_options *options,
                                   const dnnl_memory_desc_t any[ROLES],
                                   dnnl_convolution_desc_t *out_desc)
{
    const dnnl_dims_t stride = { s->stride[0], s->stride[1] };
    const dnnl_dims_t dilation = { s->dilation[0] - 1, s->dilation[1] - 1 };
    const dnnl_dims_t begin = { s->pad_begin[0], s->pad_begin[1] };
    const dnnl_dims_t end = { s->pad_end[0], s->pad_end[1] };
    const dnnl_alg_kind_t alg = dnnl_convolution_direct;
    if (options->computes == TQ_CONV_SRC)
        return dnnl_dilated_convolution_backward_data_desc_init(
            out_desc, alg, &any[SRC], &any[WEIGHT], &any[DST], stride, dilation, begin, end);
    if (options->computes == TQ_CONV_WEIGHT)
        return dnnl_dilated_convolution_backward_weights_desc_init(
            out_desc, alg, &any[SRC], &any[WEIGHT], NULL, &any[DST], stride, dilation, begin, end);
    return dnnl_dilated_convolution_forward_desc_init(
        out_desc, dnnl_forward_training, alg, &any[SRC], &any[WEIGHT],
        options->has_bias ? &plan->bias : NULL, &any[DST], stride, dilation, begin, end);
}

/** Gradients want the forward primitive as a hint. */
static dnnl_status_t create_desc(tq_dnnl_conv *conv, conv_plan *plan,
                                 const dnnl_memory_desc_t any[ROLES],
                                 dnnl_primitive_desc_t *out_desc)
{
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t status = dnnl_success;
    if (conv->options.computes != TQ_CONV_DST) {
        const tq_conv_options forward = { .computes = TQ_CONV_DST };
        status = describe_conv(plan, &conv->shape, &forward, any, &desc);
        if (!status)
            status = dnnl_primitive_desc_create(&hint, &desc, conv->attr, conv->engine, NULL);
    }
    if (!status)
        status = describe_conv(plan, &conv->shape, &conv->options, any, &desc);
    if (!status)
        status = dnnl_primitive_desc_create(out_desc, &desc, conv->attr, conv->engine, hint);
    dnnl_primitive_desc_destroy(hint);
    return status;
}

static const dnnl_memory_desc_t *query(const_dnnl_primitive_desc_t desc, tq_conv_role computes,
                                       int role)
{
    static const dnnl_query_t value[ROLES] = { dnnl_query_src_md, dnnl_query_weights_md,
                                               dnnl_query_dst_md };
    static const dnnl_query_t gradient[ROLES] = { dnnl_query_diff_src_md,
                                                  dnnl_query_diff_weights_md,
                                                  dnnl_query_diff_dst_md };
    const bool is_gradient = computes != TQ_CONV_DST && (role == (int)computes || role == DST);
    return dnnl_primitive_desc_query_md(desc, is_gradient ? gradient[role] : value[role], 0);
}

static dnnl_status_t create_reorder(tq_dnnl_conv *conv, conv_plan *plan, operand *o, bool is_output)
{
    dnnl_primitive_desc_t desc = NULL;
    o->inner_size = dnnl_memory_desc_get_size(&o->inner);
    if (dnnl_memory_desc_equal(&o->plain, &o->inner))
        return dnnl_success;
    const dnnl_memory_desc_t *from = is_output ? &o->inner : &o->plain;
    const dnnl_memory_desc_t *to = is_output ? &o->plain : &o->inner;
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&desc, from, conv->engine, to, conv->engine, conv->attr);
    if (!status) {
        const size_t size = dnnl_memory_desc_get_size(
            dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0));
        plan->scratchpad_size = size > plan->scratchpad_size ? size : plan->scratchpad_size;
        status = dnnl_primitive_create(&o->reorder, desc);
    }
    dnnl_primitive_desc_destroy(desc);
    return status;
}

/** `weight` forces the layout of the weight: that of the other plan. */
static tq_status make_plan(tq_dnnl_conv *conv, conv_plan *plan, int64_t n,
                           const dnnl_memory_desc_t *weight)
{
    dnnl_primitive_desc_t desc = NULL;
    dnnl_memory_desc_t any[ROLES];
    plan->n = n;
    TQ_TRY(describe_plain(plan, &conv->shape, conv->options.has_bias));
    for (int role = 0; role < ROLES; role++)
        any[role] = any_layout(&plan->operands[role].plain);
    if (weight)
        any[WEIGHT] = *weight;
    dnnl_status_t status = create_desc(conv, plan, any, &desc);
    for (int role = 0; role < ROLES && !status; role++) {
        operand *o = &plan->operands[role];
        o->inner = *query(desc, conv->options.computes, role);
        status = create_reorder(conv, plan, o, role == (int)conv->options.computes);
    }
    if (!status) {
        plan->scratchpad = *dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
        const size_t size = dnnl_memory_desc_get_size(&plan->scratchpad);
        plan->scratchpad_size = size > plan->scratchpad_size ? size : plan->scratchpad_size;
        status = dnnl_primitive_create(&plan->conv, desc);
    }
    dnnl_primitive_desc_destroy(desc);
    return tq_dnnl_status(status, "make a convolution of this shape");
}

static tq_status make_bench(tq_dnnl_conv *conv, const conv_plan *plan, bench *b)
{
    dnnl_status_t status = dnnl_stream_create(&b->stream, conv->engine, dnnl_stream_default_flags);
    for (int role = 0; role < ROLES && !status; role++) {
        const operand *o = &plan->operands[role];
        status = dnnl_memory_create(&b->plain[role], &o->plain, conv->engine, DNNL_MEMORY_NONE);
        if (!status)
            status = dnnl_memory_create(&b->inner[role], &o->inner, conv->engine, DNNL_MEMORY_NONE);
    }
    if (!status && conv->options.has_bias)
        status = dnnl_memory_create(&b->bias, &plan->bias, conv->engine, DNNL_MEMORY_NONE);
    if (!status)
        status =
            dnnl_memory_create(&b->scratchpad, &plan->scratchpad, conv->engine, DNNL_MEMORY_NONE);
    return tq_dnnl_status(status, "make memory objects");
}

/* ---- making the whole ------------------------------------------------------------------- */

/** Fewer shards where each would carry a large partial sum of the weight gradient. */
static int64_t count_shards(const tq_conv_shape *s, const tq_conv_options *options)
{
    const int64_t most = tq_clip_i64(s->n, 1, options->n_shards > 0 ? options->n_shards : 1);
    if (options->computes != TQ_CONV_WEIGHT)
        return most;
    const int64_t size = s->oc * (s->ic / s->groups) * s->kernel[0] * s->kernel[1] * 4;
    const int64_t fit = MAX_PARTIAL_SIZE / (size > 0 ? size : 1);
    return tq_clip_i64(fit > MIN_PARTIALS ? fit : MIN_PARTIALS, 1, most);
}

static void lay_out_scratch(tq_dnnl_conv *conv)
{
    const operand *weight = &conv->plans[0].operands[WEIGHT];
    size_t offset = 0;
    for (int role = 0; role < ROLES; role++) {
        size_t size = 0;
        for (int i = 0; i < conv->n_plans; i++) {
            const operand *o = &conv->plans[i].operands[role];
            size = o->reorder && o->inner_size > size ? o->inner_size : size;
        }
        conv->operand_offset[role] = offset;
        offset += role == WEIGHT ? 0 : round_up(size);
    }
    conv->scratchpad_offset = offset;
    size_t pad = conv->plans[0].scratchpad_size;
    if (conv->n_plans > 1 && conv->plans[1].scratchpad_size > pad)
        pad = conv->plans[1].scratchpad_size;
    conv->worker_size = offset + round_up(pad);
    if (conv->options.computes == TQ_CONV_WEIGHT)
        conv->shared_size = (size_t)conv->n_shards * round_up(weight->inner_size);
    else if (weight->reorder && !conv->options.weight_const)
        conv->shared_size = round_up(weight->inner_size);
}

static tq_status make_parts(tq_dnnl_conv *conv)
{
    TQ_TRY(tq_dnnl_status(dnnl_engine_create(&conv->engine, dnnl_cpu, 0), "start"));
    TQ_TRY(tq_dnnl_status(dnnl_primitive_attr_create(&conv->attr), "make attributes"));
    TQ_TRY(tq_dnnl_status(
        dnnl_primitive_attr_set_scratchpad_mode(conv->attr, dnnl_scratchpad_mode_user),
        "set the scratchpad mode"));
    const int64_t small = conv->shape.n / conv->n_shards;
    conv->n_plans = conv->shape.n % conv->n_shards ? 2 : 1;
    TQ_TRY(make_plan(conv, &conv->plans[0], small, NULL));
    if (conv->n_plans > 1)
        TQ_TRY(make_plan(conv, &conv->plans[1], small + 1, &conv->plans[0].operands[WEIGHT].inner));
    const size_t n = (size_t)conv->n_plans * (size_t)conv->n_workers;
    conv->benches = tq_allocate(n * sizeof *conv->benches);
    if (!conv->benches)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a convolution");
    for (size_t i = 0; i < n; i++)
        TQ_TRY(make_bench(conv, &conv->plans[i / (size_t)conv->n_workers], &conv->benches[i]));
    lay_out_scratch(conv);
    const operand *weight = &conv->plans[0].operands[WEIGHT];
    if (conv->options.weight_const && weight->reorder)
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
    conv->n_shards = count_shards(shape, options);
    conv->n_workers = options->pool ? tq_pool_size(options->pool) : 1;
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
        dnnl_memory_destroy(b->plain[role]);
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
    for (int i = 0; i < conv->n_plans; i++) {
        for (int role = 0; role < ROLES; role++)
            dnnl_primitive_destroy(conv->plans[i].operands[role].reorder);
        dnnl_primitive_destroy(conv->plans[i].conv);
    }
    dnnl_primitive_attr_destroy(conv->attr);
    dnnl_engine_destroy(conv->engine);
    free(conv->benches);
    tq_buffer_release(conv->packed);
    free(conv);
}

size_t tq_dnnl_conv_scratch_size(const tq_dnnl_conv *conv)
{
    return conv->shared_size + (size_t)conv->n_workers * conv->worker_size;
}

/* ---- running ---------------------------------------------------------------------------- */

typedef struct job {
    tq_dnnl_conv *conv;
    float *const *data;
    const float *bias;
    char *shared, *scratch;
    void *weight; /* packed */
} job;

static void execute(dnnl_primitive_t primitive, dnnl_stream_t stream, int n,
                    const dnnl_exec_arg_t *args)
{
    TQ_ASSERT(dnnl_primitive_execute(primitive, stream, n, args) == dnnl_success);
}

static void point(dnnl_memory_t memory, const void *data)
{
    TQ_ASSERT(dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)data) == dnnl_success);
}

static void reorder(const operand *o, bench *b, int role, const void *plain, void *inner, bool back)
{
    point(b->plain[role], plain);
    point(b->inner[role], inner);
    if (!o->reorder)
        return;
    const dnnl_exec_arg_t args[] = {
        { DNNL_ARG_FROM, back ? b->inner[role] : b->plain[role] },
        { DNNL_ARG_TO, back ? b->plain[role] : b->inner[role] },
        { DNNL_ARG_SCRATCHPAD, b->scratchpad },
    };
    execute(o->reorder, b->stream, TQ_COUNT(args), args);
}

static void convolve(const tq_dnnl_conv *conv, const conv_plan *plan, bench *b)
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

static void run_shard(void *context, int64_t shard, int worker)
{
    const job *j = context;
    tq_dnnl_conv *conv = j->conv;
    int64_t begin, end;
    tq_shard_range(conv->shape.n, conv->n_shards, shard, &begin, &end);
    const int p = end - begin == conv->plans[0].n ? 0 : 1;
    const conv_plan *plan = &conv->plans[p];
    bench *b = &conv->benches[p * conv->n_workers + worker];
    char *scratch = j->scratch + (size_t)worker * conv->worker_size;
    const int computes = (int)conv->options.computes;
    const int threads = tq_dnnl_single_thread();
    point(b->scratchpad, scratch + conv->scratchpad_offset);
    if (j->bias)
        point(b->bias, j->bias);
    for (int role = SRC; role <= DST; role += DST - SRC) {
        const operand *o = &plan->operands[role];
        float *plain = j->data[role] + begin * o->stride;
        void *inner = o->reorder ? (void *)(scratch + conv->operand_offset[role]) : plain;
        if (role == computes)
            point(b->inner[role], inner);
        else
            reorder(o, b, role, plain, inner, false);
    }
    const size_t partial = round_up(plan->operands[WEIGHT].inner_size);
    point(b->inner[WEIGHT], computes == WEIGHT ? j->shared + (size_t)shard * partial : j->weight);
    convolve(conv, plan, b);
    if (computes != WEIGHT && plan->operands[computes].reorder) {
        const operand *o = &plan->operands[computes];
        reorder(o, b, computes, j->data[computes] + begin * o->stride,
                scratch + conv->operand_offset[computes], true);
    }
    tq_dnnl_restore_threads(threads);
}

/** The packed weight: packed now, or at the first run if it never changes. */
static void *pack_weight(tq_dnnl_conv *conv, const float *weight, char *shared, char *scratch)
{
    const operand *o = &conv->plans[0].operands[WEIGHT];
    if (!o->reorder)
        return (void *)(uintptr_t)weight;
    if (conv->is_packed)
        return tq_buffer_data(conv->packed);
    void *packed = conv->packed ? tq_buffer_data(conv->packed) : shared;
    point(conv->benches[0].scratchpad, scratch + conv->scratchpad_offset);
    const int threads = tq_dnnl_single_thread();
    reorder(o, &conv->benches[0], WEIGHT, weight, packed, false);
    tq_dnnl_restore_threads(threads);
    conv->is_packed = conv->packed != NULL;
    return packed;
}

static void sum_chunk(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const size_t size = j->conv->plans[0].operands[WEIGHT].inner_size;
    const int64_t n = (int64_t)(size / 4), begin = i * SUM_CHUNK;
    const int64_t count = n - begin < SUM_CHUNK ? n - begin : SUM_CHUNK;
    tq_tree_sum((float *)(void *)j->shared + begin, j->conv->n_shards, count,
                (int64_t)(round_up(size) / 4));
}

static void finish_gradient(job *j)
{
    tq_dnnl_conv *conv = j->conv;
    const operand *o = &conv->plans[0].operands[WEIGHT];
    const int64_t n = (int64_t)(o->inner_size / 4);
    tq_parallel_for(conv->options.pool, (n + SUM_CHUNK - 1) / SUM_CHUNK, sum_chunk, j);
    if (!o->reorder) {
        memcpy(j->data[WEIGHT], j->shared, o->inner_size);
        return;
    }
    point(conv->benches[0].scratchpad, j->scratch + conv->scratchpad_offset);
    const int threads = tq_dnnl_single_thread();
    reorder(o, &conv->benches[0], WEIGHT, j->data[WEIGHT], j->shared, true);
    tq_dnnl_restore_threads(threads);
}

void tq_dnnl_conv_run(tq_dnnl_conv *conv, float *const data[TQ_CONV_ROLES], const float *bias,
                      void *scratch)
{
    job j = { .conv = conv, .data = data, .bias = bias, .shared = scratch };
    j.scratch = j.shared + conv->shared_size;
    if (conv->options.computes != TQ_CONV_WEIGHT)
        j.weight = pack_weight(conv, data[WEIGHT], j.shared, j.scratch);
    tq_parallel_for(conv->options.pool, conv->n_shards, run_shard, &j);
    if (conv->options.computes == TQ_CONV_WEIGHT)
        finish_gradient(&j);
}
