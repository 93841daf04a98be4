/* Dropout: while training, each element is dropped with probability `ratio` and the others grow by
 * 1 / (1 - ratio); otherwise the identity. The mask is an output, from which the gradient is made;
 * the random numbers come from the run's seed, element by element. Source: ONNX Dropout, opset 13.
 */
#include "ops/integer_rules_internal.h"
#include "ops/strided_internal.h"

#include <truq/random.h>

#include <string.h>

enum { X, RATIO, TRAINING };
enum { Y, MASK };
enum { GRAD_DY, GRAD_MASK, GRAD_RATIO };

static tq_status check_scalar(const tq_op_types *t, int i, uint32_t dtypes)
{
    TQ_TRY(tq_op_need_dtype(t, i, dtypes));
    const int64_t count = t->in[i]->rank < 0 ? TQ_DIM_ANY : tq_type_count(t->in[i]);
    if (count != 1 && count != TQ_DIM_ANY)
        return tq_fail(TQ_ERR_SHAPE, "input %d is %s; expected one element", i,
                       tq_type_text(t->in[i]).s);
    return TQ_OK;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPES_NUMERIC));
    t->out[Y] = *t->in[X];
    if (t->n_out > MASK) {
        t->out[MASK] = *t->in[X];
        t->out[MASK].dtype = TQ_BOOL;
    }
    if (tq_op_has(t, RATIO))
        TQ_TRY(check_scalar(t, RATIO, TQ_DTYPES_FLOAT));
    if (tq_op_has(t, TRAINING))
        TQ_TRY(check_scalar(t, TRAINING, TQ_DTYPE_BIT(TQ_BOOL)));
    return TQ_OK;
}

static double read_ratio(const tq_op_run *run, int i)
{
    return tq_run_has(run, i) ? tq_load_f64(run->in[i], run->in_types[i]->dtype, 0) : 0.5;
}

static void reference(const tq_op_run *run)
{
    const tq_type *type = run->in_types[X];
    const int64_t n = tq_type_count(type);
    uint8_t *mask = run->n_out > MASK ? run->out[MASK] : NULL;
    const double ratio = read_ratio(run, RATIO);
    const bool training = tq_run_has(run, TRAINING) && *(const uint8_t *)run->in[TRAINING];
    if (!training || !(ratio > 0.0)) {
        tq_copy_input(run, X);
        if (mask)
            memset(mask, 1, (size_t)n);
        return;
    }
    tq_random random;
    tq_random_init(&random, run->seed, 0, 0);
    for (int64_t i = 0; i < n; i++) {
        const bool stays = tq_random_uniform(&random) >= ratio;
        if (mask)
            mask[i] = stays;
        tq_store_f64(run->out[Y], type->dtype, i,
                     stays ? tq_load_f64(run->in[X], type->dtype, i) / (1 - ratio) : 0.0);
    }
}

/** The forward node with its mask: a node without one is replaced by one that has it. */
static tq_status with_mask(tq_grad *g, tq_value **out_mask)
{
    tq_node *node = tq_grad_of(g);
    if (tq_node_n_outputs(node) > MASK) {
        *out_mask = tq_node_output(node, MASK);
        return TQ_OK;
    }
    tq_value *inputs[3], *y = tq_node_output(node, Y);
    for (int i = X; i <= TRAINING; i++)
        inputs[i] = tq_node_input(node, i);
    const tq_attr seed = TQ_INT("seed", tq_attr_int(tq_node_attrs(node), "seed"));
    tq_node *made;
    TQ_TRY(tq_graph_add_node(tq_grad_graph(g),
                             &(tq_node_spec){ .op = "Dropout",
                                              .n_inputs = 3,
                                              .inputs = inputs,
                                              .n_outputs = 2,
                                              .n_attrs = 1,
                                              .attrs = &seed,
                                              .before = node },
                             &made));
    tq_value_redirect_consumers(y, tq_node_output(made, Y));
    *out_mask = tq_node_output(made, MASK);
    return TQ_OK;
}

static tq_status gradient(tq_grad *g)
{
    const tq_value *training = tq_node_input(tq_grad_of(g), TRAINING);
    const tq_tensor *known = training ? tq_value_tensor(training) : NULL;
    if (!tq_grad_wants(g, X))
        return TQ_OK;
    if (!training || (known && !*(const uint8_t *)known->data)) {
        tq_grad_set(g, X, tq_grad_of_output(g, Y));
        return TQ_OK;
    }
    tq_value *ratio = tq_node_input(tq_grad_of(g), RATIO), *dy = tq_grad_of_output(g, Y), *mask;
    TQ_TRY(with_mask(g, &mask));
    return tq_grad_emit_n(g, X, "DropoutGrad", false, (tq_value *const[]){ dy, mask, ratio },
                          ratio ? 3 : 2);
}

static tq_status grad_infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, GRAD_DY, TQ_DTYPES_FLOAT));
    TQ_TRY(tq_op_need_dtype(t, GRAD_MASK, TQ_DTYPE_BIT(TQ_BOOL)));
    if (tq_op_has(t, GRAD_RATIO))
        TQ_TRY(check_scalar(t, GRAD_RATIO, TQ_DTYPES_FLOAT));
    tq_type mask = *t->in[GRAD_MASK];
    mask.dtype = t->in[GRAD_DY]->dtype;
    if (tq_type_is_known(&mask) && tq_type_is_known(t->in[GRAD_DY]) &&
        !tq_type_equal(&mask, t->in[GRAD_DY]))
        return tq_fail(TQ_ERR_SHAPE, "dy is %s, the mask %s", tq_type_text(t->in[GRAD_DY]).s,
                       tq_type_text(t->in[GRAD_MASK]).s);
    return tq_op_infer_same(t);
}

/** dx = dy / (1 - ratio) where the element stayed, else 0. */
static void grad_reference(const tq_op_run *run)
{
    const tq_type *type = run->out_types[0];
    const uint8_t *mask = run->in[GRAD_MASK];
    const double scale = 1.0 / (1.0 - read_ratio(run, GRAD_RATIO));
    for (int64_t i = 0; i < tq_type_count(type); i++)
        tq_store_f64(run->out[0], type->dtype, i,
                     mask[i] ? tq_load_f64(run->in[GRAD_DY], type->dtype, i) * scale : 0.0);
}

const tq_op tq_op_dropout = {
    .entry = { .name = "Dropout", .brief = "random elements dropped while training" },
    .flags = TQ_OP_RANDOM,
    .inputs = { "data", "?ratio", "?training_mode" },
    .outputs = { "output", "?mask" },
    .attrs = { { .name = "seed", .kind = TQ_ATTR_INT } },
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = tq_integerise_same,
};

const tq_op tq_op_dropout_grad = {
    .entry = { .name = "DropoutGrad", .brief = "dy where the mask holds" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "dy", "mask", "?ratio" },
    .outputs = { "dx" },
    .infer = grad_infer,
    .reference = grad_reference,
};
