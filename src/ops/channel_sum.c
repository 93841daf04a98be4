/* Sum over all axes but the channels: the gradient of a bias.
 *
 *   y[c] = sum_{n, i} x[n, c, i]       x [N, C, ...] f32, y [C]; summed in double, in order of n
 * and i */
#include "ops/ops.h"

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, 0, 2, TQ_MAX_RANK));
    t->out[0] = tq_type_make(TQ_F32, 1, &t->in[0]->dims[1]);
    return TQ_OK;
}

static void channels(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_type *type = run->in_types[0];
    const int64_t n_inner = tq_type_count_from(type, 2), n_channels = type->dims[1];
    for (int64_t c = begin; c < end; c++) {
        double sum = 0.0;
        for (int64_t n = 0; n < type->dims[0]; n++) {
            const float *x = (const float *)run->in[0] + (n * n_channels + c) * n_inner;
            for (int64_t i = 0; i < n_inner; i++)
                sum += (double)x[i];
        }
        ((float *)run->out[0])[c] = (float)sum;
    }
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, run->in_types[0]->dims[1], 1, channels, (void *)run);
}

const tq_op tq_op_channel_sum = {
    .entry = { .name = "ChannelSum", .brief = "sum over all axes but the channels" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x" },
    .outputs = { "y" },
    .infer = infer,
    .reference = reference,
};
