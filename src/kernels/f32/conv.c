/* The convolution operators on plain arrays, by oneDNN. */
#include "base/base.h"
#include "kernels/f32/conv_internal.h"

#include <stdlib.h>

enum { CONV, GRAD_INPUT, GRAD_WEIGHT, TRANSPOSE, TRANSPOSE_GRAD_INPUT, TRANSPOSE_GRAD_WEIGHT };

typedef struct state {
    const tq_conv_operator *op;
    tq_dnnl_conv *conv;
    int64_t n_planes, channels, plane; /* of the output, for a bias added afterwards */
} state;

static bool accepts(int which, const tq_op_run *shapes)
{
    tq_conv_shape shape;
    return tq_conv_shape_read(&tq_conv_operators[which], shapes, &shape);
}

static tq_status prepare(int which, const tq_op_run *shapes, void **out_state)
{
    const tq_conv_operator *op = &tq_conv_operators[which];
    tq_conv_shape shape;
    TQ_ASSERT(tq_conv_shape_read(op, shapes, &shape));
    const tq_conv_options options = {
        .computes = op->computes,
        .has_bias = tq_conv_has_bias(op, shapes) && op->computes == TQ_CONV_DST,
        .weight_const =
            op->input[TQ_CONV_WEIGHT] != TQ_CONV_OUT && shapes->in_const[op->input[TQ_CONV_WEIGHT]],
        .pool = shapes->pool,
        .n_shards = shapes->n_shards,
    };
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a convolution");
    const tq_type *out = shapes->out_types[0];
    s->op = op;
    s->n_planes = tq_type_count_to(out, 2);
    s->channels = out->dims[1];
    s->plane = tq_type_count_from(out, 2);
    const tq_status status = tq_dnnl_conv_create(&shape, &options, &s->conv);
    if (status) {
        free(s);
        return status;
    }
    *out_state = s;
    return TQ_OK;
}

static size_t scratch_size(const tq_op_run *shapes, void *state_)
{
    (void)shapes;
    const state *s = state_;
    return tq_dnnl_conv_scratch_size(s->conv);
}

static void add_bias(const state *s, const float *bias, float *y)
{
    for (int64_t i = 0; i < s->n_planes; i++)
        for (int64_t k = 0; k < s->plane; k++)
            y[i * s->plane + k] += bias[i % s->channels];
}

static void run(const tq_op_run *run_, void *state_)
{
    const state *s = state_;
    float *data[TQ_CONV_ROLES];
    for (int role = 0; role < TQ_CONV_ROLES; role++) {
        const int i = s->op->input[role];
        data[role] = i == TQ_CONV_OUT ? run_->out[0] : (float *)(uintptr_t)run_->in[i];
    }
    const float *bias = tq_conv_has_bias(s->op, run_) ? run_->in[2] : NULL;
    const bool inside = s->op->computes == TQ_CONV_DST;
    tq_dnnl_conv_run(s->conv, data, inside ? bias : NULL, run_->scratch);
    if (bias && !inside)
        add_bias(s, bias, run_->out[0]);
}

static void release(void *state_)
{
    state *s = state_;
    if (s)
        tq_dnnl_conv_destroy(s->conv);
    free(s);
}

#define KERNEL(symbol, which, op)                                                                  \
    static bool accepts_##symbol(const tq_op_run *shapes)                                          \
    {                                                                                              \
        return accepts(which, shapes);                                                             \
    }                                                                                              \
    static tq_status prepare_##symbol(const tq_op_run *shapes, void **out_state)                   \
    {                                                                                              \
        return prepare(which, shapes, out_state);                                                  \
    }                                                                                              \
    const tq_kernel tq_kernel_f32_##symbol = { .entry = { .name = op, .brief = "onednn" },         \
                                               .needs = TQ_DNNL_NEEDS,                             \
                                               .accepts = accepts_##symbol,                        \
                                               .prepare = prepare_##symbol,                        \
                                               .scratch_size = scratch_size,                       \
                                               .run = run,                                         \
                                               .release = release };
KERNEL(conv, CONV, "Conv")
KERNEL(conv_grad_input, GRAD_INPUT, "ConvGradInput")
KERNEL(conv_grad_weight, GRAD_WEIGHT, "ConvGradWeight")
KERNEL(conv_transpose, TRANSPOSE, "ConvTranspose")
KERNEL(conv_transpose_grad_input, TRANSPOSE_GRAD_INPUT, "ConvTransposeGradInput")
KERNEL(conv_transpose_grad_weight, TRANSPOSE_GRAD_WEIGHT, "ConvTransposeGradWeight")
