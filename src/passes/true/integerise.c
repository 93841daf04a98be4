/* Fake- to true-quantised, one walk in topological order: every node's integer rule replaces it by
 * integer nodes and states the codes of its outputs. What is left of the old graph is swept. */
#include "passes/true/true.h"
#include "rewrite/rewrite.h"

#include <ctype.h>
#include <string.h>

static bool all_inputs_const(const tq_node *node)
{
    for (int i = 0; i < tq_node_n_inputs(node); i++)
        if (tq_node_input(node, i) && !tq_value_is_const(tq_node_input(node, i)))
            return false;
    return tq_node_n_inputs(node) > 0;
}

/* WeightRange and other arithmetic on constants: computed now. */
static tq_status make_constants(tq_integerise *t)
{
    tq_tensor outputs[TQ_OP_MAX_NAMES] = { 0 };
    TQ_TRY(tq_node_evaluate(t->node, outputs));
    tq_status status = TQ_OK;
    for (int i = 0; i < tq_node_n_outputs(t->node); i++) {
        tq_value *constant, *output = tq_node_output(t->node, i);
        if (!status)
            status = tq_graph_add_constant(t->graph, tq_value_name(output), &outputs[i], &constant);
        if (!status)
            tq_value_redirect_consumers(output, constant);
        tq_tensor_reset(&outputs[i]);
    }
    return status;
}

static bool any_coded(tq_integerise *t)
{
    for (int i = 0; i < tq_node_n_inputs(t->node); i++)
        if (tq_int_input(t, i))
            return true;
    return false;
}

/* Shape and Size read the codes instead: they have the same shape. */
static void reread_shape(tq_integerise *t)
{
    const tq_codes *x = tq_int_input(t, 0);
    if (x)
        tq_node_set_input(t->node, 0, x->codes);
}

/* Constants with a grid of their own are codes, not reals; a bias in int32 is read as reals. */
static bool is_grid(const tq_node *node)
{
    return tq_node_is(node, "FakeQuantize") ||
           (tq_node_is(node, "DequantizeLinear") &&
            tq_value_type(tq_node_input(node, 0))->dtype != TQ_I32);
}

/* What others made of codes before they are dequantised (a Reshape, a Clip of codes) reads the new
 * codes. */
static tq_status reread_codes(tq_integerise *t, bool *out_any)
{
    *out_any = false;
    for (int i = 0; i < tq_node_n_inputs(t->node); i++) {
        const tq_codes *codes = tq_int_input(t, i);
        const tq_value *x = tq_node_input(t->node, i);
        if (!codes || tq_dtype_is_float(tq_value_type(x)->dtype))
            continue;
        if (tq_value_type(codes->codes)->dtype != tq_value_type(x)->dtype)
            return tq_int_refuse(t, "it reads codes as %s", tq_dtype_name(tq_value_type(x)->dtype));
        tq_node_set_input(t->node, i, codes->codes);
        *out_any = true;
    }
    return TQ_OK;
}

static tq_status integerise_node(tq_integerise *t)
{
    const tq_op *op = tq_node_op(t->node);
    bool reads_codes = false;
    if (tq_true_codes(t, tq_node_output(t->node, 0)))
        return TQ_OK; /* the FakeQuantize of a graph input */
    if (all_inputs_const(t->node) && !is_grid(t->node))
        return make_constants(t);
    if (tq_node_is(t->node, "Shape") || tq_node_is(t->node, "Size")) {
        reread_shape(t);
        return TQ_OK;
    }
    if (!tq_node_is(t->node, "DequantizeLinear"))
        TQ_TRY(reread_codes(t, &reads_codes));
    if (reads_codes)
        return TQ_OK;
    if (!any_coded(t) && !tq_dtype_is_float(tq_value_type(tq_node_output(t->node, 0))->dtype))
        return TQ_OK; /* arithmetic on shapes */
    if (!op->integerise)
        return tq_int_refuse(t, "no integer form is known; 'f2t --partial' leaves it in floats");
    TQ_TRY(op->integerise(t));
    if (!tq_true_codes(t, tq_node_output(t->node, 0)))
        return tq_int_refuse(t, "its integer rule made nothing");
    return TQ_OK;
}

/* ---- float islands ---- */

static bool stays_on_cpu(const tq_node *node)
{
    const char *device = tq_node_meta(node, "device");
    return device && strcmp(device, "cpu") == 0;
}

/* Refusals and requantisations that no multiplier can express leave the node to floats. */
static bool may_stay(tq_status status)
{
    const tq_code code = tq_status_code(status);
    return code == TQ_ERR_UNSUPPORTED || code == TQ_ERR_CHECK;
}

static tq_status integerise_or_keep(tq_integerise *t)
{
    bool entered = false;
    TQ_TRY(tq_true_enter(t, &entered));
    if (entered)
        return TQ_OK;
    if (stays_on_cpu(t->node) && !is_grid(t->node) && !all_inputs_const(t->node))
        return tq_true_keep(t, "it is assigned to the cpu");
    const int n_coded = t->n_coded, n_renamings = t->n_renamings;
    const tq_status status = integerise_node(t);
    if (!status || !may_stay(status))
        return status;
    t->n_coded = n_coded; /* what the rule made so far has no readers: it is swept */
    t->n_renamings = n_renamings;
    const char *why = tq_arena_strdup(t->arena, tq_status_text(status));
    tq_status_drop(status);
    tq_edit_log(t->edit, "'%s' stays real: %s", tq_node_name(t->node), why);
    return tq_true_keep(t, why);
}

/* ---- the walk ---- */

static tq_status walk(tq_integerise *t)
{
    const bool partial = t->options->partial;
    if (!partial)
        TQ_TRY(tq_true_inputs(t));
    tq_graph_sweep(t->graph); /* what no output needs is not converted */
    const int n = tq_graph_n_nodes(t->graph);
    tq_node **nodes = TQ_NEW_N(t->arena, tq_node *, n);
    int k = 0;
    for (tq_node *node = tq_graph_first(t->graph); node; node = tq_node_next(node))
        nodes[k++] = node;
    for (k = 0; k < n; k++) {
        t->node = nodes[k];
        TQ_TRY(tq_true_wrap(t, partial ? integerise_or_keep(t) : integerise_node(t)));
    }
    return partial ? tq_true_real_outputs(t) : tq_true_outputs(t);
}

/** "add.cast": a step on the way to what stands for node "add". */
static const char *step_name(const tq_integerise *t, const char *name, const tq_node *step)
{
    char *text = tq_arena_printf(t->arena, "%s.%s", name, tq_node_op_name(step));
    for (char *c = text + strlen(name); *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return text;
}

static bool is_there(const tq_integerise *t, int i)
{
    const tq_node *node = t->renamings[i].node;
    return tq_graph_find_node(t->graph, tq_node_name(node)) == node;
}

/** Of the nodes that were made for one, one after the other, the last has its name. */
static void rename_nodes(const tq_integerise *t)
{
    for (int i = 0; i < t->n_renamings; i++) {
        tq_node *node = t->renamings[i].node;
        const char *name = t->renamings[i].name;
        bool last = true;
        for (int k = i + 1; k < t->n_renamings && strcmp(t->renamings[k].name, name) == 0; k++)
            last = last && !is_there(t, k);
        if (is_there(t, i))
            tq_node_set_name(node, last ? name : step_name(t, name, node));
    }
}

tq_status tq_true_walk(tq_graph *graph, const tq_true_options *options, const tq_edit *edit)
{
    tq_integerise t = {
        .graph = graph, .arena = tq_scratch_create(), .options = options, .edit = edit
    };
    const tq_status status = walk(&t);
    if (!status)
        rename_nodes(&t);
    tq_arena_destroy(t.arena);
    return status;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    if (!edit || !edit->true_options)
        return tq_fail(TQ_ERR_STATE, "needs the options of a conversion");
    TQ_TRY(tq_true_walk(graph, edit->true_options, edit));
    tq_graph_set_meta(graph, "stage", edit->true_options->partial ? "partial" : "true");
    if (edit->true_options->partial) /* its QuantizeLinear nodes are to be taken as they stand */
        tq_graph_set_meta(graph, "dialect", "onnx");
    return tq_graph_infer(graph);
}

const tq_editor tq_editor_integerise = {
    .entry = { .name = "integerise", .brief = "fake-quantised operators become integer ones" },
    .stage = TQ_EDIT_TRUE,
    .changes_interface = true,
    .run = run,
};
