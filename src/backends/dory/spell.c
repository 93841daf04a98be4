/* Spelling a network for DORY's Quantlab frontend (opset 10): tensors are float32 that hold
 * integers and are named 0, 1, 2, ... in order of execution; a requantisation is Mul, Add, Div,
 * Floor, Clip with the annotations mult_bits, add_bits, out_bits; a residual addition carries
 * in1_*, in2_*, out_*. Annotations are node metadata "attr.NAME", which the exporter writes as
 * attributes. */
#include "backends/dory/dory_internal.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct twin {
    const tq_value *of;
    tq_value *value;
    int number;
} twin;

typedef struct speller {
    const dory_net *net;
    tq_graph *graph;
    int n_tensors;
    int n;
    size_t capacity;
    twin *twins;
} speller;

static void note_int(tq_node *node, const char *key, int64_t v)
{
    char full[64], text[32];
    snprintf(full, sizeof full, "attr.%s", key);
    snprintf(text, sizeof text, "%" PRId64, v);
    tq_node_set_meta(node, full, text);
}

static void remember(speller *s, const tq_value *of, tq_value *value)
{
    const twin item = { of, value, s->n_tensors - 1 };
    TQ_PUSH(s->net->arena, s->twins, s->n, s->capacity, item);
}

static const twin *find(const speller *s, const tq_value *of)
{
    for (int i = 0; i < s->n; i++)
        if (s->twins[i].of == of)
            return &s->twins[i];
    return NULL;
}

static tq_status add_node(speller *s, const char *op, tq_value *const *inputs, int n_inputs,
                          const tq_attr *attrs, int n_attrs, tq_node **out_node)
{
    const char *number = tq_arena_printf(s->net->arena, "%d", s->n_tensors++);
    return tq_graph_add_node(
        s->graph,
        &(tq_node_spec){ .op = op,
                         .name = tq_arena_printf(s->net->arena, "%s_%s", op, number),
                         .inputs = inputs,
                         .n_inputs = n_inputs,
                         .output_names = &number,
                         .attrs = attrs,
                         .n_attrs = n_attrs },
        out_node);
}

/* An integer constant as float32; `values` NULL: take `from`. */
static tq_status add_constant(speller *s, const char *name, int rank, const int64_t *dims,
                              const tq_tensor *from, int64_t scale, tq_value **out)
{
    const tq_type type = tq_type_make(TQ_F32, rank, dims);
    tq_tensor tensor;
    TQ_TRY(tq_tensor_init(&tensor, &type));
    const int64_t n_from = tq_tensor_count(from); /* one value serves all channels */
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        ((float *)tensor.data)[i] =
            (float)(scale * tq_load_i64(from->data, from->type.dtype, n_from == 1 ? 0 : i));
    const tq_status status = tq_graph_add_constant(s->graph, name, &tensor, out);
    tq_tensor_reset(&tensor);
    return status;
}

static tq_status add_scalar(speller *s, const char *name, int64_t v, tq_value **out)
{
    const tq_tensor tensor = { .type = tq_type_make(TQ_I64, 0, NULL), .data = &v };
    return add_constant(s, name, 0, NULL, &tensor, 1, out);
}

static const char *layer_name(const speller *s, const dory_layer *layer, const char *what)
{
    return tq_arena_printf(s->net->arena, "%s.%s", layer->name, what);
}

static int n_bits(int64_t lo, int64_t hi)
{
    int bits = 1;
    while (((int64_t)1 << bits) < hi - lo + 1)
        bits++;
    return bits;
}

/* ---- requantisation ---- */

static tq_status emit_clip(speller *s, const dory_layer *layer, tq_value **x)
{
    const tq_attrs *attrs = tq_node_attrs(layer->requant);
    const int64_t lo = tq_attr_int(attrs, "q_min"), hi = tq_attr_int(attrs, "q_max");
    tq_value *inputs[3] = { *x };
    TQ_TRY(add_scalar(s, layer_name(s, layer, "min"), lo, &inputs[1]));
    TQ_TRY(add_scalar(s, layer_name(s, layer, "max"), hi, &inputs[2]));
    tq_node *clip;
    TQ_TRY(add_node(s, "Clip", inputs, 3, NULL, 0, &clip));
    note_int(clip, "out_bits", n_bits(lo, hi));
    *x = tq_node_output(clip, 0);
    return TQ_OK;
}

/* One of Mul, Add, Div with a constant operand. */
static tq_status emit_step(speller *s, const char *op, tq_value *constant, const char *note,
                           tq_value **x)
{
    tq_node *node;
    TQ_TRY(add_node(s, op, (tq_value *[]){ *x, constant }, 2, NULL, 0, &node));
    if (note)
        note_int(node, note, 32);
    *x = tq_node_output(node, 0);
    return TQ_OK;
}

/* `area`: what an average pool has divided by already. */
static tq_status emit_requant(speller *s, const dory_layer *layer, int64_t area, tq_value **x)
{
    const tq_node *requant = layer->requant;
    const int64_t n = tq_value_type(*x)->dims[1], dims[] = { n, 1, 1 };
    int rank = layer->kind == DORY_LINEAR ? 1 : 3;
    if (layer->kind == DORY_AVERAGE_POOL)
        rank = 0;
    tq_value *mul, *add, *div;
    TQ_TRY(add_constant(s, layer_name(s, layer, "mul"), rank, dims,
                        tq_value_tensor(tq_node_input(requant, 1)), area, &mul));
    TQ_TRY(add_constant(s, layer_name(s, layer, "add"), rank, dims,
                        tq_value_tensor(tq_node_input(requant, 2)), 1, &add));
    TQ_TRY(add_scalar(s, layer_name(s, layer, "div"),
                      (int64_t)1 << tq_attr_int(tq_node_attrs(requant), "shift"), &div));
    TQ_TRY(emit_step(s, "Mul", mul, "mult_bits", x));
    TQ_TRY(emit_step(s, "Add", add, "add_bits", x));
    TQ_TRY(emit_step(s, "Div", div, NULL, x));
    tq_node *floor;
    TQ_TRY(add_node(s, "Floor", x, 1, NULL, 0, &floor));
    *x = tq_node_output(floor, 0);
    return emit_clip(s, layer, x);
}

/* ---- layers ---- */

static tq_status bias_constant(speller *s, const dory_layer *layer, int64_t n, tq_value **out)
{
    const tq_node *add = layer->bias;
    const int which = tq_node_is_const_from(add, 0) ? 0 : 1;
    return add_constant(s, layer_name(s, layer, "bias"), 1, &n,
                        tq_value_tensor(tq_node_input(add, which)), 1, out);
}

/* Geometry spelt out: DORY reads no defaults. */
static int window_attrs(const tq_node *node, tq_attr *attrs, int64_t storage[3][4],
                        const int64_t *kernel)
{
    const tq_attrs *from = tq_node_attrs(node);
    for (int i = 0; i < 2; i++) {
        storage[0][i] = kernel ? kernel[i] : tq_attr_int_at(from, "kernel_shape", i, 1);
        storage[1][i] = tq_attr_int_at(from, "strides", i, 1);
    }
    for (int i = 0; i < 4; i++)
        storage[2][i] = tq_attr_int_at(from, "pads", i, 0);
    attrs[0] = TQ_INTS("kernel_shape", 2, storage[0]);
    attrs[1] = TQ_INTS("strides", 2, storage[1]);
    attrs[2] = TQ_INTS("pads", 4, storage[2]);
    return 3;
}

static tq_status spell_conv(speller *s, const dory_layer *layer, tq_value **x)
{
    static const int64_t dilations[] = { 1, 1 };
    const tq_tensor *weight = tq_value_tensor(tq_node_input(layer->node, 1));
    tq_value *inputs[3] = { *x };
    tq_attr attrs[5];
    int64_t storage[3][4];
    int n = window_attrs(layer->node, attrs, storage, &weight->type.dims[2]);
    attrs[n++] = TQ_INTS("dilations", 2, dilations);
    attrs[n++] = TQ_INT("group", tq_attr_int(tq_node_attrs(layer->node), "group"));
    TQ_TRY(add_constant(s, layer_name(s, layer, "weight"), 4, weight->type.dims, weight, 1,
                        &inputs[1]));
    if (layer->bias)
        TQ_TRY(bias_constant(s, layer, weight->type.dims[0], &inputs[2]));
    tq_node *node;
    TQ_TRY(add_node(s, "Conv", inputs, layer->bias ? 3 : 2, attrs, n, &node));
    note_int(node, "weight_bits", 8);
    note_int(node, "bias_bits", 32);
    *x = tq_node_output(node, 0);
    return layer->requant ? emit_requant(s, layer, 1, x) : TQ_OK;
}

/* [in, out] to Gemm's [out, in]. */
static tq_status transposed_weight(speller *s, const dory_layer *layer, const tq_tensor *weight,
                                   tq_value **out)
{
    const int64_t n_in = weight->type.dims[0], n_out = weight->type.dims[1];
    tq_tensor turned;
    TQ_TRY(
        tq_tensor_init(&turned, &(tq_type){ .dtype = TQ_I8, .rank = 2, .dims = { n_out, n_in } }));
    for (int64_t i = 0; i < n_in; i++)
        for (int64_t o = 0; o < n_out; o++)
            ((int8_t *)turned.data)[o * n_in + i] = ((const int8_t *)weight->data)[i * n_out + o];
    const tq_status status =
        add_constant(s, layer_name(s, layer, "weight"), 2, turned.type.dims, &turned, 1, out);
    tq_tensor_reset(&turned);
    return status;
}

static tq_status spell_linear(speller *s, const dory_layer *layer, tq_value **x)
{
    const tq_tensor *weight = tq_value_tensor(tq_node_input(layer->node, 1));
    const bool square = weight->type.dims[0] == weight->type.dims[1];
    const tq_attr attrs[] = { TQ_FLOAT("alpha", 1.0f), TQ_FLOAT("beta", 1.0f),
                              TQ_INT("transB", 1) };
    tq_value *inputs[3] = { *x };
    tq_node *node;
    if (square) { /* Gemm's layout would be guessed wrongly; MatMul's is fixed */
        TQ_TRY(add_constant(s, layer_name(s, layer, "weight"), 2, weight->type.dims, weight, 1,
                            &inputs[1]));
        TQ_TRY(add_node(s, "MatMul", inputs, 2, NULL, 0, &node));
    } else {
        TQ_TRY(transposed_weight(s, layer, weight, &inputs[1]));
        if (layer->bias)
            TQ_TRY(bias_constant(s, layer, weight->type.dims[1], &inputs[2]));
        TQ_TRY(add_node(s, "Gemm", inputs, layer->bias ? 3 : 2, attrs, 3, &node));
    }
    note_int(node, "weight_bits", 8);
    note_int(node, "bias_bits", 32);
    *x = tq_node_output(node, 0);
    return layer->requant ? emit_requant(s, layer, 1, x) : TQ_OK;
}

static tq_status spell_pool(speller *s, const dory_layer *layer, tq_value **x)
{
    const tq_type *in = tq_value_type(tq_node_input(layer->node, 0));
    const bool global = tq_node_is(layer->node, "GlobalSumPool");
    const char *op = layer->kind == DORY_MAX_POOL ? "MaxPool" : "AveragePool";
    tq_attr attrs[3];
    int64_t storage[3][4];
    const int n = window_attrs(layer->node, attrs, storage, global ? &in->dims[2] : NULL);
    tq_node *node;
    TQ_TRY(add_node(s, op, x, 1, attrs, n, &node));
    *x = tq_node_output(node, 0);
    if (layer->kind == DORY_MAX_POOL)
        return TQ_OK;
    return emit_requant(s, layer, storage[0][0] * storage[0][1], x);
}

static void note_side(tq_node *node, const char *side, const tq_node *requant, bool is_signed,
                      int64_t n_levels)
{
    char key[32];
    const int64_t values[] = {
        requant ? dory_scalar(requant, 1) : 1,
        requant ? dory_scalar(requant, 2) : 0,
        requant ? tq_attr_int(tq_node_attrs(requant), "shift") : 0,
        n_levels,
        requant != NULL,
        is_signed,
    };
    static const char *const names[] = { "mul", "add", "shift", "n_levels", "rq", "signed" };
    for (int i = 0; i < TQ_COUNT(names); i++) {
        snprintf(key, sizeof key, "%s_%s", side, names[i]);
        note_int(node, key, values[i]);
    }
}

static void note_operand(tq_node *node, const char *side, const dory_operand *operand)
{
    const tq_dtype dtype = tq_value_type(operand->value)->dtype;
    const tq_attrs *attrs = operand->requant ? tq_node_attrs(operand->requant) : NULL;
    const int64_t lo = attrs ? tq_attr_int(attrs, "q_min") : tq_dtype_min(dtype);
    const int64_t hi = attrs ? tq_attr_int(attrs, "q_max") : tq_dtype_max(dtype);
    note_side(node, side, operand->requant, lo < 0, hi - lo + 1);
}

static tq_status spell_add(speller *s, const dory_layer *layer, tq_value **x)
{
    const twin *a = find(s, layer->operands[0].value), *b = find(s, layer->operands[1].value);
    if (!a || !b)
        return tq_fail(TQ_ERR_CHECK, "an operand of '%s' comes from no layer",
                       tq_node_name(layer->node));
    const bool swapped = a->number > b->number; /* DORY sorts operands by tensor number */
    const dory_operand *first = &layer->operands[swapped], *second = &layer->operands[!swapped];
    tq_node *node;
    TQ_TRY(add_node(s, "Add",
                    (tq_value *[]){ swapped ? b->value : a->value, swapped ? a->value : b->value },
                    2, NULL, 0, &node));
    const tq_attrs *out = tq_node_attrs(layer->requant);
    const int64_t lo = tq_attr_int(out, "q_min"), hi = tq_attr_int(out, "q_max");
    note_operand(node, "in1", first);
    note_operand(node, "in2", second);
    note_side(node, "out", layer->requant, lo < 0, hi - lo + 1);
    note_int(node, "add_bits", 8);
    *x = tq_node_output(node, 0);
    return TQ_OK;
}

/* The twin of a layer's input, through reshapes that are spelt on the way. */
static tq_status input_of(speller *s, const tq_value *value, tq_value **out)
{
    const twin *known = find(s, value);
    if (known) {
        *out = known->value;
        return TQ_OK;
    }
    const tq_node *node = tq_value_producer(value);
    if (!node || !dory_is_flatten(node))
        return tq_fail(TQ_ERR_CHECK, "value '%s' comes from no layer", tq_value_name(value));
    tq_value *x;
    tq_node *flat;
    TQ_TRY(input_of(s, tq_node_input(node, 0), &x));
    TQ_TRY(add_node(s, "Flatten", &x, 1, (tq_attr[]){ TQ_INT("axis", 1) }, 1, &flat));
    *out = tq_node_output(flat, 0);
    remember(s, value, *out);
    return TQ_OK;
}

static tq_status spell_layer(speller *s, const dory_layer *layer)
{
    tq_value *x = NULL;
    if (layer->kind != DORY_ADD)
        TQ_TRY(input_of(s, tq_node_input(layer->node, 0), &x));
    if (layer->kind == DORY_CONV)
        TQ_TRY(spell_conv(s, layer, &x));
    else if (layer->kind == DORY_LINEAR)
        TQ_TRY(spell_linear(s, layer, &x));
    else if (layer->kind == DORY_ADD)
        TQ_TRY(spell_add(s, layer, &x));
    else
        TQ_TRY(spell_pool(s, layer, &x));
    remember(s, layer->result, x);
    return TQ_OK;
}

static tq_status spell(speller *s)
{
    const tq_value *input = tq_graph_input(s->net->graph, 0),
                   *output = tq_graph_output(s->net->graph, 0);
    tq_type type = *tq_value_type(input);
    type.dtype = TQ_F32;
    tq_value *x;
    TQ_TRY(tq_graph_add_input(s->graph, "0", &type, &x));
    s->n_tensors = 1;
    remember(s, input, x);
    for (int i = 0; i < s->net->n; i++)
        TQ_TRY(spell_layer(s, &s->net->layers[i]));
    TQ_TRY(input_of(s, output, &x));
    tq_graph_add_output(s->graph, x);
    return tq_graph_verify(s->graph);
}

tq_status dory_spell(const dory_net *net, tq_graph **out_graph)
{
    speller s = { .net = net, .graph = tq_graph_create(tq_graph_registry(net->graph)) };
    const tq_status status = spell(&s);
    if (status) {
        tq_graph_destroy(s.graph);
        return status;
    }
    *out_graph = s.graph;
    return TQ_OK;
}
