/* The convolution operators, seen as one: find the roles of inputs and output, read the geometry,
 * hand over to oneDNN. */
#include "base/base.h"
#include "kernels/f32/conv_internal.h"

#include <stdlib.h>

typedef struct state {
    const tq_conv_operator *op;
    tq_dnnl_conv *conv;
    int64_t n_planes, channels, plane; /* of the output, for a bias added afterwards */
} state;

static const tq_type *type_of(const tq_conv_operator *op, const tq_op_run *run, int role)
{
    const int i = op->input[role];
    return i == TQ_CONV_OUT ? run->out_types[0] : run->in_types[i];
}

static bool has_bias(const tq_conv_operator *op, const tq_op_run *run)
{
    return op->has_bias && run->n_in > 2 && run->in_types[2];
}

static bool read_shape(const tq_conv_operator *op, const tq_op_run *run, tq_conv_shape *out_shape)
{
    const tq_type *types[TQ_CONV_ROLES];
    for (int role = 0; role < TQ_CONV_ROLES; role++) {
        types[role] = type_of(op, run, role);
        if (!types[role] || types[role]->dtype != TQ_F32 || types[role]->rank < 3 ||
            types[role]->rank > 4 || tq_type_count(types[role]) == 0)
            return false;
    }
    *out_shape = (tq_conv_shape){ .n = types[TQ_CONV_SRC]->dims[0],
                                  .groups = tq_attr_int(run->attrs, "group"),
                                  .ic = types[TQ_CONV_SRC]->dims[1],
                                  .oc = types[TQ_CONV_DST]->dims[1] };
    return op->read(run->attrs, types, out_shape);
}

bool tq_conv_operator_accepts(const tq_conv_operator *op, const tq_op_run *shapes)
{
    tq_conv_shape shape;
    return read_shape(op, shapes, &shape);
}

tq_status tq_conv_operator_prepare(const tq_conv_operator *op, const tq_op_run *shapes,
                                   void **out_state)
{
    tq_conv_shape shape;
    TQ_ASSERT(read_shape(op, shapes, &shape));
    const tq_conv_options options = {
        .computes = op->computes,
        .has_bias = has_bias(op, shapes) && op->computes == TQ_CONV_DST,
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

size_t tq_conv_operator_scratch_size(const tq_op_run *shapes, void *state_)
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

void tq_conv_operator_run(const tq_op_run *run, void *state_)
{
    const state *s = state_;
    float *data[TQ_CONV_ROLES];
    for (int role = 0; role < TQ_CONV_ROLES; role++) {
        const int i = s->op->input[role];
        data[role] = i == TQ_CONV_OUT ? run->out[0] : (float *)(uintptr_t)run->in[i];
    }
    const float *bias = has_bias(s->op, run) ? run->in[2] : NULL;
    const bool inside = s->op->computes == TQ_CONV_DST;
    tq_dnnl_conv_run(s->conv, data, inside ? bias : NULL, run->scratch);
    if (bias && !inside)
        add_bias(s, bias, run->out[0]);
}

void tq_conv_operator_release(void *state_)
{
    state *s = state_;
    if (s)
        tq_dnnl_conv_destroy(s->conv);
    free(s);
}
