/* A linear operator as hardware computes it: a correlation, then the addition of a bias, each with
 * a quantiser of its own where the recipe has a rule for the slots `correlation`, `bias`, `sum`,
 *
 *   sum = Q_sum(Q_correlation(w * x) + Q_bias(b))
 *
 * (the precisions of Jain et al., TQT, arXiv:1903.08066, section 4.3: 8, 16, 16, 8 bits). A bias
 * inside the operator becomes a constant Add behind it; one that is an Add already, or part of a
 * batch norm, stays there. Without a bias correlation and sum are one value: the sum's rule comes
 * first. When the recipe fuses activations, a sum that only a quantised activation reads has no
 * quantiser. */
#include "passes/fake/fake.h"
#include "rewrite/rewrite.h"

enum { WEIGHT = 1, BIAS = 2 };

typedef struct specs {
    const tq_slot_spec *correlation, *bias, *sum;
} specs;

/* Behind one quantiser, if there is one for all who read the value. */
static tq_value *behind_quantizer(tq_value *value)
{
    const bool has_one =
        tq_value_n_consumers(value) == 1 && tq_node_is(tq_value_consumer(value, 0), "FakeQuantize");
    return has_one ? tq_node_output(tq_value_consumer(value, 0), 0) : value;
}

/* What adds the bias of a linear operator that has none inside: an Add of a constant or a batch
 * norm that alone reads it; NULL if there is no bias. */
static tq_node *find_addition(tq_node *linear)
{
    tq_value *y = behind_quantizer(tq_node_output(linear, 0));
    if (tq_value_n_consumers(y) != 1 || tq_value_is_output(y))
        return NULL;
    tq_node *node = tq_value_consumer(y, 0);
    if (tq_node_is(node, "BatchNormalization"))
        return tq_node_input(node, 0) == y ? node : NULL;
    if (!tq_node_is(node, "Add"))
        return NULL;
    return tq_fake_is_constant(tq_node_input(node, tq_node_input(node, 0) == y)) ? node : NULL;
}

/* The bias [C] as a constant that broadcasts over [N, C, ...]. */
static tq_status shape_bias(tq_graph *graph, const tq_node *linear, tq_value *bias,
                            tq_value **out_bias)
{
    *out_bias = bias;
    const int rank = tq_value_type(tq_node_output(linear, 0))->rank;
    if (tq_node_is(linear, "Gemm") || tq_node_is(linear, "MatMul") || rank < 3)
        return TQ_OK;
    tq_tensor tensor = tq_tensor_share(tq_value_tensor(bias));
    tensor.type.rank = rank - 1;
    for (int d = 1; d < rank - 1; d++)
        tensor.type.dims[d] = 1;
    const char *name = tq_value_name(bias);
    tq_value_set_name(bias, tq_arena_printf(tq_graph_arena(graph), "%s.flat", name));
    const tq_status status = tq_graph_add_constant(graph, name, &tensor, out_bias);
    tq_tensor_reset(&tensor);
    return status;
}

static tq_status check_bias(const tq_node *linear)
{
    const tq_value *bias = tq_node_input(linear, BIAS);
    if (!tq_value_is_const(bias))
        return tq_fail(TQ_ERR_UNSUPPORTED, "its bias '%s' is no constant", tq_value_name(bias));
    if (tq_value_n_consumers(bias) != 1)
        return tq_fail(TQ_ERR_UNSUPPORTED, "its bias '%s' is read %d times; give each its own",
                       tq_value_name(bias), tq_value_n_consumers(bias));
    if (tq_node_is(linear, "Gemm") && tq_attr_float(tq_node_attrs(linear), "beta") != 1.0f)
        return tq_fail(TQ_ERR_UNSUPPORTED, "its bias is scaled by beta; fold that first");
    return TQ_OK;
}

/* Takes the bias out of the operator: an Add behind it, whose output has the operator's name. */
static tq_status take_out(tq_graph *graph, tq_node *linear, tq_node **out_addition)
{
    TQ_TRY(check_bias(linear));
    tq_value *bias, *y = tq_node_output(linear, 0), *sum;
    const char *name = tq_value_name(y);
    TQ_TRY(shape_bias(graph, linear, tq_node_input(linear, BIAS), &bias));
    tq_node_set_input(linear, BIAS, NULL);
    TQ_TRY(tq_graph_emit(graph, tq_node_next(linear), "Add", (tq_value *[]){ y, bias }, 2, NULL, 0,
                         &sum));
    *out_addition = tq_value_producer(sum);
    tq_value_redirect_consumers_but(y, sum, *out_addition);
    tq_arena *arena = tq_graph_arena(graph);
    tq_value_set_name(y, tq_arena_printf(arena, "%s.correlation", name));
    tq_value_set_name(sum, name);
    tq_node_set_name(*out_addition, tq_arena_printf(arena, "%s.bias", tq_node_name(linear)));
    return TQ_OK;
}

static tq_status quantize_bias(tq_graph *graph, tq_node *addition, const tq_slot_spec *spec)
{
    for (int i = 0; i < 2 && tq_node_is(addition, "Add"); i++) {
        tq_value *x = tq_node_input(addition, i), *y;
        if (!tq_value_is_const(x))
            continue;
        TQ_TRY(tq_fake_add_constant(graph, addition, x, TQ_SLOT_BIAS, spec, -1, &y));
        tq_node_set_input(addition, i, y);
    }
    return TQ_OK;
}

static tq_status quantize_sum(tq_graph *graph, tq_value *sum, const specs *s,
                              const tq_recipe *recipe, const tq_edit *edit)
{
    const tq_node *producer = tq_value_producer(sum);
    const bool fused = recipe->fuse_activations && tq_fake_feeds_quantized_activation(sum);
    if (fused || tq_fake_is_placed(sum) || tq_node_is(producer, "FakeQuantize"))
        return TQ_OK;
    return tq_fake_insert_everywhere(graph, sum, TQ_SLOT_SUM, s->sum, edit);
}

static tq_status split(tq_graph *graph, tq_node *linear, const specs *s, const tq_recipe *recipe,
                       const tq_edit *edit)
{
    tq_node *addition = NULL;
    if (tq_node_input(linear, BIAS))
        TQ_TRY(take_out(graph, linear, &addition));
    else
        addition = find_addition(linear);
    tq_value *y = tq_node_output(linear, 0);
    const bool is_sum = !addition && s->sum;
    if (s->correlation && !is_sum && !tq_fake_is_placed(y))
        TQ_TRY(tq_fake_insert_everywhere(graph, y, TQ_SLOT_CORRELATION, s->correlation, edit));
    if (s->bias && addition)
        TQ_TRY(quantize_bias(graph, addition, s->bias));
    if (s->sum)
        TQ_TRY(quantize_sum(graph, addition ? tq_node_output(addition, 0) : y, s, recipe, edit));
    tq_graph_sweep(graph); /* the flat bias */
    tq_edit_log(edit, "split '%s'", tq_node_name(linear));
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        if (!tq_fake_is_linear(node) || tq_value_type(tq_node_output(node, 0))->dtype != TQ_F32)
            continue;
        const specs s = { tq_fake_spec(recipe, node, TQ_SLOT_CORRELATION),
                          tq_fake_spec(recipe, node, TQ_SLOT_BIAS),
                          tq_fake_spec(recipe, node, TQ_SLOT_SUM) };
        if (s.correlation || s.bias || s.sum)
            TQ_TRY(
                tq_wrap(split(graph, node, &s, recipe, edit), "at node '%s'", tq_node_name(node)));
    }
    return TQ_OK;
}

const tq_editor tq_editor_split_bias = {
    .entry = { .name = "split-bias",
               .brief = "correlation, bias and sum of linear operators have their own quantisers",
               .source = "arXiv:1903.08066" },
    .stage = TQ_EDIT_FAKE,
    .after = "quantize-activations",
    .run = run,
};
