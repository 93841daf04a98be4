/* A node in one line: its operator, the sizes of its weight, the attributes that are not the
 * default, and inputs that are one constant number or a few whole ones (bounds of a Clip, the shape
 * of a Reshape). */
#include "report/report_internal.h"

#include <truq/op.h>
#include <truq/quant.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

/** "16x3x3x3" */
static const char *dims_text(tq_arena *arena, int64_t n, const int64_t *dims)
{
    tq_string text = { .arena = arena };
    tq_string_add(&text, "", 0);
    for (int64_t i = 0; i < n; i++) {
        if (dims[i] == TQ_DIM_ANY)
            tq_string_printf(&text, "%s?", i ? "x" : "");
        else
            tq_string_printf(&text, "%s%" PRId64, i ? "x" : "", dims[i]);
    }
    return text.s;
}

static const char *list_text(tq_arena *arena, const tq_attr *attr)
{
    enum { SHOWN = 8 };
    tq_string text = { .arena = arena };
    tq_string_add(&text, "", 0);
    for (int i = 0; i < attr->n && i < SHOWN; i++) {
        if (attr->kind == TQ_ATTR_FLOATS)
            tq_string_printf(&text, "%s%g", i ? "," : "", (double)attr->floats[i]);
        else
            tq_string_printf(&text, "%s%s", i ? "," : "", attr->strings[i]);
    }
    if (attr->n > SHOWN)
        tq_string_printf(&text, ",... (%d)", attr->n);
    return text.s;
}

static const char *attr_text(tq_arena *arena, const tq_attr *attr)
{
    switch (attr->kind) {
    case TQ_ATTR_INT:
        return tq_arena_printf(arena, "%" PRId64, attr->i);
    case TQ_ATTR_FLOAT:
        return tq_arena_printf(arena, "%g", (double)attr->f);
    case TQ_ATTR_STRING:
        return attr->s;
    case TQ_ATTR_INTS:
        return dims_text(arena, attr->n, attr->ints);
    case TQ_ATTR_FLOATS:
    case TQ_ATTR_STRINGS:
        return list_text(arena, attr);
    case TQ_ATTR_TENSOR:
        return tq_arena_strdup(arena, tq_type_text(&attr->tensor.type).s);
    case TQ_ATTR_NONE:
        break;
    }
    return "";
}

/** Says no more than the operator's default? */
static bool is_default(const tq_op *op, const tq_attr *attr)
{
    for (int i = 0; i < TQ_OP_MAX_ATTRS && op->attrs[i].name; i++) {
        const tq_attr *own = &op->attrs[i];
        if (strcmp(own->name, attr->name) != 0)
            continue;
        const bool required = op->required_attrs >> i & 1u;
        if (required || own->kind != attr->kind)
            return false;
        return (attr->kind == TQ_ATTR_INT && attr->i == own->i) ||
               (attr->kind == TQ_ATTR_FLOAT && attr->f == own->f) ||
               (attr->kind == TQ_ATTR_STRING && own->s && strcmp(attr->s, own->s) == 0);
    }
    return false;
}

static bool all_are(const tq_attr *attr, int64_t value)
{
    for (int i = 0; i < attr->n; i++)
        if (attr->ints[i] != value)
            return false;
    return true;
}

/** A constant, or one behind a quantiser. */
static bool is_weight(const tq_value *value)
{
    const tq_node *fake = value ? tq_value_producer(value) : NULL;
    const bool quantised =
        fake && tq_node_is(fake, "FakeQuantize") && tq_node_is_const_from(fake, 0);
    return value && (tq_value_is_const(value) || quantised) && tq_value_type(value)->rank >= 2;
}

/** What a reader takes for granted of windows: step 1, no padding, the size of the weight. */
static bool is_plain(const tq_node *node, const tq_attr *attr)
{
    if (attr->kind != TQ_ATTR_INTS)
        return false;
    if (strcmp(attr->name, "kernel_shape") == 0)
        return is_weight(tq_node_input(node, 1));
    if (strcmp(attr->name, "pads") == 0)
        return all_are(attr, 0);
    return (!strcmp(attr->name, "strides") || !strcmp(attr->name, "dilations")) && all_are(attr, 1);
}

/** "clip_lo": what its quantiser calls input i. */
static const char *parameter_name(const tq_node *fake, int i)
{
    const char *name = tq_attr_string(tq_node_attrs(fake), "quantizer");
    const tq_entry *entry;
    const tq_status status =
        tq_registry_find(tq_graph_registry(tq_node_graph(fake)), TQ_KIND_QUANTIZER, name, &entry);
    tq_status_drop(status);
    const tq_quantizer *quantizer = status ? NULL : (const tq_quantizer *)(const void *)entry;
    return quantizer && i <= quantizer->n_params ? quantizer->params[i - 1] : NULL;
}

/** "min": the operator's word for input i; NULL: it has none. */
static const char *input_name(const tq_node *node, int i)
{
    const tq_op *op = tq_node_op(node);
    if (tq_node_is(node, "FakeQuantize"))
        return parameter_name(node, i);
    for (int k = 0; k <= i && k < TQ_OP_MAX_NAMES; k++) {
        if (!op->inputs[k] || strstr(op->inputs[k], "..."))
            return NULL;
        if (k == i)
            return op->inputs[k] + (op->inputs[k][0] == '?');
    }
    return NULL;
}

/** One number, or a few whole ones that say something to who reads them (multipliers do not). */
static const char *constant_text(const tq_tensor *tensor, tq_arena *arena)
{
    enum { SHOWN = 6, LARGEST = 1000000 };
    const int64_t n = tq_tensor_count(tensor);
    const bool whole = tq_dtype_is_integer(tensor->type.dtype);
    if (n < 1 || tensor->type.rank > 1 || n > (whole ? SHOWN : 1))
        return NULL;
    const double real = whole ? 0 : tq_load_f64(tensor->data, tensor->type.dtype, 0);
    if (!whole) /* a grid that was never placed is no number */
        return isnan(real) ? NULL : tq_arena_printf(arena, "%g", real);
    tq_string text = { .arena = arena };
    for (int64_t i = 0; i < n; i++) {
        const int64_t v = tq_load_i64(tensor->data, tensor->type.dtype, i);
        if (v > LARGEST || v < -LARGEST)
            return NULL;
        tq_string_printf(&text, "%s%" PRId64, i ? "x" : "", v);
    }
    return text.s;
}

static void add_word(tq_string *text, bool *any, const char *name, const char *value)
{
    tq_string_printf(text, "%s%s=%s", *any ? ", " : "", name, value);
    *any = true;
}

static void add_constants(const tq_node *node, tq_string *text, bool *any)
{
    for (int i = 1; i < tq_node_n_inputs(node); i++) {
        const tq_value *value = tq_node_input(node, i);
        const tq_tensor *tensor = value ? tq_value_tensor(value) : NULL;
        const char *number = tensor ? constant_text(tensor, text->arena) : NULL;
        if (number && input_name(node, i))
            add_word(text, any, input_name(node, i), number);
    }
}

const char *tq_report_node(const tq_node *node, tq_arena *arena)
{
    const tq_attrs *attrs = tq_node_attrs(node);
    const tq_value *weight = tq_node_input(node, 1);
    tq_string text = { .arena = arena };
    bool any = false;
    tq_string_printf(&text, "%s(", tq_node_op_name(node));
    if (is_weight(weight)) {
        const tq_type *type = tq_value_type(weight);
        tq_string_printf(&text, "%s", dims_text(arena, type->rank, type->dims));
        any = true;
    }
    if (!tq_node_has_flag(node, TQ_OP_LINEAR))
        add_constants(node, &text, &any);
    for (int i = 0; i < tq_attrs_count(attrs); i++) {
        const tq_attr *attr = tq_attrs_at(attrs, i);
        const bool is_dtype = tq_node_is(node, "Cast") && strcmp(attr->name, "to") == 0;
        if (is_dtype) /* a number in ONNX */
            add_word(&text, &any, attr->name,
                     tq_dtype_name(tq_value_type(tq_node_output(node, 0))->dtype));
        else if (!is_default(tq_node_op(node), attr) && !is_plain(node, attr))
            add_word(&text, &any, attr->name, attr_text(arena, attr));
    }
    tq_string_add(&text, ")", 1);
    return tq_text_clean(arena, text.s);
}
