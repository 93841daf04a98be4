/* The convolution operators, shard by shard, by oneDNN: blocked arrays go in and out as they are.
 */
#include "base/base.h"
#include "kernels/f32/conv_internal.h"
#include "kernels/f32/sharded/sharded_internal.h"

#include <stdlib.h>

typedef struct state {
    const tq_conv_operator *op;
    tq_conv_shape shape;
    tq_dnnl_conv *conv;
    const float *bias;
} state;

/** A transposed convolution with a bias is left to the other kernels. */
static bool accepts(const tq_op *op, const tq_op_run *run)
{
    const tq_conv_operator *o = tq_conv_operator_find(op);
    tq_conv_shape shape;
    return o && (TQ_DNNL_NEEDS & tq_cpu_flags()) == TQ_DNNL_NEEDS &&
           tq_conv_shape_read(o, run, &shape) &&
           !(tq_conv_has_bias(o, run) && o->computes != TQ_CONV_DST);
}

static void release(void *state_)
{
    state *s = state_;
    if (s)
        tq_dnnl_conv_destroy(s->conv);
    free(s);
}

/** The operands that are read, and the one that is written, as ports of the only part. */
static void set_ports(const tq_conv_operator *op, const tq_form forms[TQ_CONV_ROLES],
                      tq_ports *ports)
{
    for (int role = TQ_CONV_SRC; role < TQ_CONV_ROLES; role += TQ_CONV_DST - TQ_CONV_SRC) {
        if (op->input[role] == TQ_CONV_OUT) {
            ports->writes[0] = 1;
            ports->out[0] = forms[role];
        } else if ((int)op->computes != role) {
            ports->reads[0] |= 1u << op->input[role];
            ports->in[op->input[role]] = forms[role];
        }
    }
}

/** bf16 where it is wanted and there is work enough for it to pay; f32 where oneDNN has no such
 *  primitive. */
static tq_status choose_forms(const state *s, bool bf16, tq_form forms[TQ_CONV_ROLES])
{
    if (bf16 && tq_conv_takes_half(&s->shape)) {
        const tq_status status = tq_dnnl_prefer(&s->shape, s->op->computes, true, forms);
        if (!status || tq_status_code(status) != TQ_ERR_UNSUPPORTED)
            return status;
        tq_status_drop(status);
    }
    return tq_dnnl_prefer(&s->shape, s->op->computes, false, forms);
}

static tq_status prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state)
{
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a convolution");
    s->op = tq_conv_operator_find(op);
    TQ_ASSERT(tq_conv_shape_read(s->op, shapes, &s->shape));
    const int weight = s->op->input[TQ_CONV_WEIGHT];
    tq_conv_options options = {
        .computes = s->op->computes,
        .has_bias = tq_conv_has_bias(s->op, shapes),
        .weight_const = weight != TQ_CONV_OUT && shapes->in_const[weight],
        .pool = shapes->pool,
        .n_shards = shapes->n_shards,
    };
    tq_status status = choose_forms(s, shapes->bf16, options.forms);
    if (!status)
        status = tq_dnnl_conv_create(&s->shape, &options, &s->conv);
    if (status) {
        release(s);
        return status;
    }
    set_ports(s->op, options.forms, ports);
    *out_state = s;
    return TQ_OK;
}

static void begin(void *state_, const tq_op_run *run)
{
    state *s = state_;
    s->bias = tq_conv_has_bias(s->op, run) ? run->in[2] : NULL;
    if (s->op->computes != TQ_CONV_WEIGHT)
        tq_dnnl_conv_pack(s->conv, run->in[s->op->input[TQ_CONV_WEIGHT]]);
}

static size_t scratch_size(const void *state_)
{
    const state *s = state_;
    return tq_dnnl_conv_worker_size(s->conv);
}

/** The array of a role, to read or to write. */
static float *array_of(const state *s, const tq_shard *shard, int role)
{
    const int i = s->op->input[role];
    return i == TQ_CONV_OUT ? shard->out[0] : (float *)(uintptr_t)shard->in[i];
}

static void sample(const void *state_, const tq_shard *shard)
{
    const state *s = state_;
    tq_dnnl_conv_run_shard(s->conv, shard->index, shard->worker, array_of(s, shard, TQ_CONV_SRC),
                           array_of(s, shard, TQ_CONV_DST), shard->partial, s->bias,
                           shard->scratch);
}

static size_t partial_size(const void *state_)
{
    const state *s = state_;
    return tq_dnnl_conv_partial_size(s->conv);
}

static void finish(void *state_, const tq_op_run *run, const void *total)
{
    const state *s = state_;
    tq_dnnl_conv_unpack(s->conv, total, run->out[0]);
}

#define PRODUCT(symbol, op_)                                                                       \
    const tq_sharded tq_sharded_##symbol = {                                                       \
        .op = op_,                                                                                 \
        .accepts = accepts,                                                                        \
        .prepare = prepare,                                                                        \
        .release = release,                                                                        \
        .n_parts = 1,                                                                              \
        .parts = { { .kind = TQ_PART_SAMPLE,                                                       \
                     .begin = begin,                                                               \
                     .scratch_size = scratch_size,                                                 \
                     .sample = sample } },                                                         \
    };
PRODUCT(conv, "Conv")
PRODUCT(conv_grad_input, "ConvGradInput")
PRODUCT(conv_transpose, "ConvTranspose")
PRODUCT(conv_transpose_grad_input, "ConvTransposeGradInput")

#define WEIGHT_GRADIENT(symbol, op_)                                                               \
    const tq_sharded tq_sharded_##symbol = {                                                       \
        .op = op_,                                                                                 \
        .accepts = accepts,                                                                        \
        .prepare = prepare,                                                                        \
        .release = release,                                                                        \
        .n_parts = 1,                                                                              \
        .parts = { { .kind = TQ_PART_SAMPLE,                                                       \
                     .sums = TQ_SUM_F32,                                                           \
                     .partial_size = partial_size,                                                 \
                     .scratch_size = scratch_size,                                                 \
                     .begin = begin,                                                               \
                     .sample = sample,                                                             \
                     .finish = finish } },                                                         \
    };
WEIGHT_GRADIENT(conv_grad_weight, "ConvGradWeight")
WEIGHT_GRADIENT(conv_transpose_grad_weight, "ConvTransposeGradWeight")
