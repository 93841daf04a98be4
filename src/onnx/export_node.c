/* Nodes of a graph as messages: in the form of the opset asked for, with the attributes that opset
 * knows. In opset 10, the dialect of integer exporters, metadata "attr.NAME" becomes attributes
 * again; elsewhere they would not pass a checker and stay metadata. */
#include "onnx/onnx_internal.h"

#include <string.h>

static char *own(tq_arena *arena, const char *text)
{
    return tq_arena_strdup(arena, text ? text : "");
}

/* ---- attributes ---- */

static ProtobufCBinaryData bytes_of(tq_arena *arena, const char *text)
{
    return (ProtobufCBinaryData){ strlen(text), (uint8_t *)own(arena, text) };
}

static Onnx__TensorProto *make_tensor(tq_arena *arena, const tq_tensor *tensor)
{
    Onnx__TensorProto *proto = TQ_NEW(arena, Onnx__TensorProto);
    onnx__tensor_proto__init(proto);
    tq_onnx_fill_tensor(arena, tensor, proto);
    return proto;
}

static tq_status write_attr(tq_arena *arena, const tq_attr *attr, Onnx__AttributeProto *proto)
{
    onnx__attribute_proto__init(proto);
    proto->name = own(arena, attr->name);
    proto->has_type = 1;
    switch (attr->kind) {
    case TQ_ATTR_INT:
        proto->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        proto->has_i = 1;
        proto->i = attr->i;
        return TQ_OK;
    case TQ_ATTR_FLOAT:
        proto->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        proto->has_f = 1;
        proto->f = attr->f;
        return TQ_OK;
    case TQ_ATTR_STRING:
        proto->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
        proto->has_s = 1;
        proto->s = bytes_of(arena, attr->s ? attr->s : "");
        return TQ_OK;
    case TQ_ATTR_INTS:
        proto->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        proto->n_ints = (size_t)attr->n;
        proto->ints = tq_arena_memdup(arena, attr->ints, (size_t)attr->n * sizeof *attr->ints);
        return TQ_OK;
    case TQ_ATTR_FLOATS:
        proto->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
        proto->n_floats = (size_t)attr->n;
        proto->floats =
            tq_arena_memdup(arena, attr->floats, (size_t)attr->n * sizeof *attr->floats);
        return TQ_OK;
    case TQ_ATTR_STRINGS:
        proto->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS;
        proto->n_strings = (size_t)attr->n;
        proto->strings = TQ_NEW_N(arena, ProtobufCBinaryData, attr->n + 1);
        for (int i = 0; i < attr->n; i++)
            proto->strings[i] = bytes_of(arena, attr->strings[i]);
        return TQ_OK;
    case TQ_ATTR_TENSOR:
        proto->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
        proto->t = make_tensor(arena, &attr->tensor);
        return TQ_OK;
    default:
        return tq_fail(TQ_ERR_VALUE, "attribute '%s' has no value", attr->name);
    }
}

/** Leaves out what the opset does not know yet, where that changes nothing. */
static tq_status keep_known_attrs(tq_draft *draft)
{
    for (int i = draft->n_attrs - 1; i >= 0; i--) {
        const tq_attr *attr = &draft->attrs[i];
        const int since = tq_onnx_attr_since(draft->op, attr->name);
        if (since <= draft->opset)
            continue;
        if (!tq_onnx_attr_is_harmless(draft->op, attr))
            return tq_fail(TQ_ERR_UNSUPPORTED, "attribute '%s' came with opset %d, not %d",
                           attr->name, since, draft->opset);
        tq_draft_remove(draft, attr->name);
    }
    return TQ_OK;
}

/** Notes of exporters become attributes again. */
static void add_noted_attrs(tq_draft *draft, const tq_node *node)
{
    const char *key, *text;
    for (int i = 0; tq_node_meta_at(node, i, &key, &text); i++)
        if (strncmp(key, "attr.", 5) == 0 && key[5] && !tq_draft_find(draft, key + 5))
            tq_draft_set(draft, tq_attr_from_text(draft->arena, key + 5, text));
}

static tq_status write_attrs(const tq_draft *draft, Onnx__NodeProto *proto)
{
    proto->n_attribute = (size_t)draft->n_attrs;
    proto->attribute = TQ_NEW_N(draft->arena, Onnx__AttributeProto *, draft->n_attrs + 1);
    for (int i = 0; i < draft->n_attrs; i++) {
        proto->attribute[i] = TQ_NEW(draft->arena, Onnx__AttributeProto);
        TQ_TRY(write_attr(draft->arena, &draft->attrs[i], proto->attribute[i]));
    }
    return TQ_OK;
}

/* ---- nodes ---- */

static void read_node(tq_onnx_writer *writer, const tq_node *node, tq_draft *draft)
{
    tq_arena *arena = writer->arena;
    const tq_op *op = tq_node_op(node);
    const tq_attrs *attrs = tq_node_attrs(node);
    *draft = (tq_draft){ .arena = arena,
                         .op = op->entry.name,
                         .domain = op->domain ? op->domain : "",
                         .name = tq_node_name(node),
                         .opset = writer->opset,
                         .n_inputs = tq_node_n_inputs(node),
                         .n_outputs = tq_node_n_outputs(node) };
    draft->inputs = TQ_NEW_N(arena, tq_value *, draft->n_inputs + TQ_DRAFT_SPARE);
    for (int i = 0; i < draft->n_inputs; i++)
        draft->inputs[i] = tq_node_input(node, i);
    draft->outputs = TQ_NEW_N(arena, const char *, draft->n_outputs + 1);
    for (int i = 0; i < draft->n_outputs; i++)
        draft->outputs[i] = tq_value_name(tq_node_output(node, i));
    for (int i = 0; i < tq_attrs_count(attrs); i++)
        tq_draft_set(draft, *tq_attrs_at(attrs, i));
}

/** Does this opset have the operator, and for this dtype? */
static tq_status check_version(const tq_draft *draft)
{
    const int since = tq_onnx_op_since(draft->op);
    const tq_value *x = tq_draft_input(draft, 0);
    if (since == 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "is no operator of ONNX");
    if (since > draft->opset)
        return tq_fail(TQ_ERR_UNSUPPORTED, "came with opset %d, not %d", since, draft->opset);
    return x ? tq_onnx_check_dtype(draft->op, draft->opset, tq_value_type(x)->dtype) : TQ_OK;
}

/** Operators of ONNX on integers that ONNX itself gives them in no version: they go into our
 * domain. */
static bool is_beyond_onnx(const tq_draft *draft)
{
    const tq_value *x = tq_draft_input(draft, 0);
    const tq_dtype dtype = x ? tq_value_type(x)->dtype : TQ_NONE;
    if (dtype == TQ_NONE || !tq_dtype_is_integer(dtype) || draft->opset == TQ_ONNX_DIALECT_OPSET)
        return false;
    const tq_status status = tq_onnx_check_dtype(draft->op, TQ_ONNX_MAX_WRITTEN, dtype);
    tq_status_drop(status);
    return status != NULL;
}

static tq_status convert(tq_draft *draft)
{
    TQ_TRY(check_version(draft));
    TQ_TRY(tq_onnx_downgrade(draft));
    return keep_known_attrs(draft);
}

static tq_status write_node(tq_onnx_writer *writer, const tq_draft *draft, Onnx__NodeProto *proto)
{
    tq_arena *arena = writer->arena;
    onnx__node_proto__init(proto);
    proto->name = own(arena, draft->name);
    proto->op_type = own(arena, draft->op);
    if (*draft->domain)
        proto->domain = own(arena, draft->domain);
    proto->n_input = (size_t)draft->n_inputs;
    proto->input = TQ_NEW_N(arena, char *, draft->n_inputs + 1);
    for (int i = 0; i < draft->n_inputs; i++) {
        proto->input[i] = own(arena, draft->inputs[i] ? tq_value_name(draft->inputs[i]) : "");
        tq_name_set_add(&writer->used, proto->input[i], 0);
    }
    proto->n_output = (size_t)draft->n_outputs;
    proto->output = TQ_NEW_N(arena, char *, draft->n_outputs + 1);
    for (int i = 0; i < draft->n_outputs; i++)
        proto->output[i] = own(arena, draft->outputs[i]);
    return write_attrs(draft, proto);
}

static tq_status add_node(tq_onnx_writer *writer, const tq_node *node, Onnx__NodeProto *proto)
{
    tq_draft draft;
    read_node(writer, node, &draft);
    if (!*draft.domain && is_beyond_onnx(&draft))
        draft.domain = "truq";
    if (!*draft.domain)
        TQ_TRY(convert(&draft));
    else if (tq_name_set_add(&writer->domains, draft.domain, 0))
        TQ_PUSH(writer->arena, writer->domain_names, writer->n_domains, writer->domains_capacity,
                draft.domain);
    for (const tq_dropped_input *d = draft.dropped; d; d = d->next)
        tq_writer_put_prop(writer, tq_onnx_constant_key(writer->arena, draft.name, d->attr),
                           d->value);
    if (writer->opset == TQ_ONNX_DIALECT_OPSET)
        add_noted_attrs(&draft, node);
    return write_node(writer, &draft, proto);
}

bool tq_onnx_has_form(const tq_graph *graph, const tq_node *node, int opset)
{
    tq_arena *arena = tq_scratch_create();
    tq_onnx_writer writer = { .graph = graph, .opset = opset, .arena = arena };
    tq_draft draft;
    read_node(&writer, node, &draft);
    const tq_status status = *draft.domain || is_beyond_onnx(&draft) ? TQ_OK : convert(&draft);
    tq_status_drop(status);
    tq_arena_destroy(arena);
    return !status;
}

tq_status tq_writer_add_nodes(tq_onnx_writer *writer)
{
    const tq_node *node = tq_graph_first(writer->graph);
    writer->nodes = TQ_NEW_N(writer->arena, Onnx__NodeProto, tq_graph_n_nodes(writer->graph) + 1);
    for (; node; node = tq_node_next(node)) {
        const tq_status status = add_node(writer, node, &writer->nodes[writer->n_nodes++]);
        if (status)
            return tq_wrap(status, "node '%s' (%s)", tq_node_name(node), tq_node_op_name(node));
    }
    return TQ_OK;
}
