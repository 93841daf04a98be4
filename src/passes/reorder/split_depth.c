/* sum_c x_c w_c = sum over parts of the sums within each: a convolution over many input channels
 * becomes several over few, whose results are added in order. For accumulators that are too narrow
 * or memories that are too small. Bit-exact on integers; in floats the same products in another
 * order: |difference| <= n 2^-24 sum |x w| for n products.
 *
 * The network's metadata say how many parts: "split-depth.parts" (2), or how many channels a part
 * has at most: "split-depth.channels". */
#include <truq/edit.h>
#include <truq/op.h>

#include <stdlib.h>
#include <string.h>

static const char done[] = "split-depth";

static int64_t setting(const tq_graph *graph, const char *key, int64_t otherwise)
{
    const char *text = tq_graph_meta(graph, key);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

/* 1: not to be split. */
static int64_t n_parts(const tq_graph *graph, int64_t n_channels)
{
    const int64_t channels = setting(graph, "split-depth.channels", 0);
    const int64_t parts = channels > 0 ? (n_channels + channels - 1) / channels
                                       : setting(graph, "split-depth.parts", 2);
    return parts > n_channels ? n_channels : parts;
}

static bool accept(const tq_match *m)
{
    const tq_node *conv = m->nodes[0];
    const tq_type *x = tq_value_type(tq_node_input(conv, 0));
    const tq_type *w = tq_value_type(tq_node_input(conv, 1));
    return !tq_node_meta(conv, done) && tq_attr_int(tq_node_attrs(conv), "group") == 1 &&
           x->rank >= 3 && w->rank == x->rank && w->dims[1] > 1 && x->dims[1] == w->dims[1] &&
           n_parts(m->graph, w->dims[1]) > 1;
}

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .op = "Conv|ConvInteger" } } };

static tq_status add_numbers(tq_graph *graph, int64_t number, tq_value **out)
{
    const tq_tensor one = { .type = { .dtype = TQ_I64, .rank = 1, .dims = { 1 } },
                            .data = &number };
    tq_tensor own;
    TQ_TRY(tq_tensor_copy(&one, &own));
    const tq_status status = tq_graph_add_constant(graph, "split.const", &own, out);
    tq_tensor_reset(&own);
    return status;
}

/* Channels [from, to) along axis 1; of constants at once. */
static tq_status cut(tq_graph *graph, tq_node *before, tq_value *value, int64_t from, int64_t to,
                     tq_value **out)
{
    tq_value *inputs[4] = { value };
    TQ_TRY(add_numbers(graph, from, &inputs[1]));
    TQ_TRY(add_numbers(graph, to, &inputs[2]));
    TQ_TRY(add_numbers(graph, 1, &inputs[3]));
    TQ_TRY(tq_graph_emit(graph, before, "Slice", inputs, 4, NULL, 0, out));
    if (!tq_value_is_const(value))
        return TQ_OK;
    tq_tensor part = { 0 };
    tq_node *slice = tq_value_producer(*out);
    TQ_TRY(tq_node_evaluate(slice, &part));
    const tq_status status = tq_graph_add_constant(graph, tq_value_name(value), &part, out);
    tq_tensor_reset(&part);
    if (!status)
        tq_graph_remove_node(graph, slice);
    return status;
}

/* The convolution of some channels; the first part has the bias. */
static tq_status add_part(tq_graph *graph, tq_node *conv, int64_t from, int64_t to, tq_value **out)
{
    tq_value *inputs[4] = { 0 };
    const tq_attrs *attrs = tq_node_attrs(conv);
    const bool integer = tq_node_is(conv, "ConvInteger");
    tq_attr own[TQ_OP_MAX_ATTRS];
    for (int i = 0; i < 2; i++)
        TQ_TRY(cut(graph, conv, tq_node_input(conv, i), from, to, &inputs[i]));
    for (int i = 2; i < 4; i++) /* bias of Conv; zero points of ConvInteger belong to each part */
        inputs[i] = integer || from == 0 ? tq_node_input(conv, i) : NULL;
    const int n = tq_attrs_count(attrs) < TQ_OP_MAX_ATTRS ? tq_attrs_count(attrs) : TQ_OP_MAX_ATTRS;
    for (int i = 0; i < n; i++)
        own[i] = *tq_attrs_at(attrs, i);
    TQ_TRY(tq_graph_emit(graph, conv, tq_node_op_name(conv), inputs, 4, own, n, out));
    tq_node *part = tq_value_producer(*out);
    tq_node_set_name(part, tq_arena_printf(tq_graph_arena(graph), "%s.part", tq_node_name(conv)));
    tq_value_set_name(*out, tq_node_name(part));
    tq_node_set_meta(part, done, "part");
    return TQ_OK;
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *conv = m->nodes[0];
    tq_value *y = tq_node_output(conv, 0), *sum = NULL;
    const int64_t n_channels = tq_value_type(tq_node_input(conv, 1))->dims[1];
    const int64_t n = n_parts(graph, n_channels);
    for (int64_t k = 0; k < n; k++) {
        tq_value *part;
        TQ_TRY(add_part(graph, conv, k * n_channels / n, (k + 1) * n_channels / n, &part));
        if (sum)
            TQ_TRY(
                tq_graph_emit(graph, conv, "Add", (tq_value *[]){ sum, part }, 2, NULL, 0, &part));
        sum = part;
    }
    const char *name = tq_value_name(y), *node_name = tq_node_name(conv), *key, *text;
    for (int i = 0; tq_value_meta_at(y, i, &key, &text); i++)
        tq_value_set_meta(sum, key, text);
    tq_value_redirect_consumers(y, sum);
    tq_graph_remove_node(graph, conv);
    tq_value_set_name(sum, name);
    tq_node_set_name(tq_value_producer(sum), node_name);
    tq_graph_sweep(graph);
    return TQ_OK;
}

const tq_editor tq_editor_split_depth = {
    .entry = { .name = "split-depth",
               .brief = "convolutions in parts of their input channels, added up; bit-exact on "
                        "integers, within n 2^-24 sum |x w| in floats" },
    .stage = TQ_EDIT_CUSTOM,
    .by_name = true,
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
