/* One node of a file becomes one of the graph: its names are resolved, its attributes read, its
 * form brought up to date, and what the operator does not list is sorted: harmless (dropped), known
 * to ONNX but not implemented (an error), or an exporter's own note (metadata "attr.NAME"). */
#include "onnx/onnx_internal.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_ATTRIBUTES = 1000 };

/* ---- attributes ---- */

static tq_status read_text(tq_arena *arena, const ProtobufCBinaryData *bytes, const char **out)
{
    if (bytes->len && memchr(bytes->data, 0, bytes->len))
        return tq_fail(TQ_ERR_FORMAT, "its text holds a NUL");
    *out = tq_arena_strndup(arena, bytes->len ? (const char *)bytes->data : "", bytes->len);
    return TQ_OK;
}

static tq_status read_texts(tq_arena *arena, const Onnx__AttributeProto *proto, tq_attr *attr)
{
    const char **strings = TQ_NEW_N(arena, const char *, proto->n_strings + 1);
    for (size_t i = 0; i < proto->n_strings; i++)
        TQ_TRY(read_text(arena, &proto->strings[i], &strings[i]));
    attr->kind = TQ_ATTR_STRINGS;
    attr->n = (int)proto->n_strings;
    attr->strings = strings;
    return TQ_OK;
}

static tq_status read_attr_tensor(tq_onnx_reader *reader, const Onnx__AttributeProto *proto,
                                  tq_attr *attr)
{
    if (!proto->t)
        return tq_fail(TQ_ERR_FORMAT, "holds no tensor");
    tq_tensor *tensor = tq_reader_hold(reader);
    TQ_TRY(tq_onnx_read_tensor(proto->t, reader->folder, tensor));
    attr->tensor = *tensor;
    attr->kind = TQ_ATTR_TENSOR;
    return TQ_OK;
}

static tq_status read_attr(tq_onnx_reader *reader, const Onnx__AttributeProto *proto, tq_attr *attr)
{
    const char *name = proto->name;
    if (proto->ref_attr_name && *proto->ref_attr_name)
        return tq_fail(TQ_ERR_UNSUPPORTED, "refers to an attribute of a function");
    switch ((int)proto->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        *attr = TQ_INT(name, proto->i);
        return TQ_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        *attr = TQ_FLOAT(name, proto->f);
        return TQ_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        *attr = TQ_STRING(name, NULL);
        return read_text(reader->arena, &proto->s, &attr->s);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        *attr = TQ_INTS(name, (int)proto->n_ints, proto->ints);
        return TQ_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        *attr = (tq_attr){
            .name = name, .kind = TQ_ATTR_FLOATS, .n = (int)proto->n_floats, .floats = proto->floats
        };
        return TQ_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        *attr = (tq_attr){ .name = name };
        return read_texts(reader->arena, proto, attr);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        *attr = (tq_attr){ .name = name };
        return read_attr_tensor(reader, proto, attr);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED:
        return tq_fail(TQ_ERR_FORMAT, "does not say its type");
    default:
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "graphs, sparse tensors and types as attributes are not supported");
    }
}

static tq_status read_attrs(tq_draft *draft, const Onnx__NodeProto *proto)
{
    if (proto->n_attribute > MAX_ATTRIBUTES)
        return tq_fail(TQ_ERR_FORMAT, "has %zu attributes, at most %d make sense",
                       proto->n_attribute, MAX_ATTRIBUTES);
    for (size_t i = 0; i < proto->n_attribute; i++) {
        const Onnx__AttributeProto *item = proto->attribute[i];
        if (!item->name || !*item->name)
            return tq_fail(TQ_ERR_FORMAT, "attribute %zu has no name", i);
        if (tq_draft_find(draft, item->name))
            return tq_fail(TQ_ERR_FORMAT, "has attribute '%s' twice", item->name);
        tq_attr attr;
        const tq_status status = read_attr(draft->reader, item, &attr);
        if (status)
            return tq_wrap(status, "attribute '%s'", item->name);
        TQ_PUSH(draft->arena, draft->attrs, draft->n_attrs, draft->attrs_capacity, attr);
    }
    return TQ_OK;
}

static const tq_attr *find_listed(const tq_op *op, const char *name)
{
    for (int i = 0; i < TQ_OP_MAX_ATTRS && op->attrs[i].name; i++)
        if (strcmp(op->attrs[i].name, name) == 0)
            return &op->attrs[i];
    return NULL;
}

static const char *kind_name(tq_attr_kind kind)
{
    static const char *const names[] = {
        "nothing",  "an integer", "a float",           "a string",
        "integers", "floats",     "a list of strings", "a tensor"
    };
    return names[kind];
}

/** Exporters of integer networks write numbers as tensors of one element: the operator's kind
 * counts. */
static void adapt_kind(tq_attr *attr, tq_attr_kind wanted)
{
    const tq_tensor *tensor = &attr->tensor;
    if (attr->kind != TQ_ATTR_TENSOR || tq_tensor_count(tensor) != 1)
        return;
    const tq_dtype dtype = tensor->type.dtype;
    const double value = tq_load_f64(tensor->data, dtype, 0);
    const int64_t integer = tq_load_i64(tensor->data, dtype, 0);
    if (wanted == TQ_ATTR_FLOAT || (wanted == TQ_ATTR_INT && value == (double)integer)) {
        attr->i = integer;
        attr->f = (float)value;
        attr->kind = wanted;
    }
}

typedef struct sorted {
    int n_kept, n_notes;
    tq_attr *kept;  /* what the operator lists */
    tq_attr *notes; /* become metadata */
} sorted;

/** An attribute that the operator does not list. */
static tq_status sort_unlisted(const tq_draft *draft, const tq_op *op, tq_attr *attr, sorted *out)
{
    const bool is_onnx = !op->domain && tq_onnx_attr_since(draft->op, attr->name) > 0;
    if (is_onnx && tq_onnx_attr_is_harmless(draft->op, attr))
        return TQ_OK;
    if (is_onnx)
        return tq_fail(TQ_ERR_UNSUPPORTED, "attribute '%s' is not supported", attr->name);
    adapt_kind(attr, TQ_ATTR_INT);
    adapt_kind(attr, TQ_ATTR_FLOAT);
    if (attr->kind != TQ_ATTR_INT && attr->kind != TQ_ATTR_FLOAT && attr->kind != TQ_ATTR_STRING)
        return tq_fail(TQ_ERR_UNSUPPORTED, "attribute '%s' is not known", attr->name);
    out->notes[out->n_notes++] = *attr;
    return TQ_OK;
}

static tq_status sort_attrs(const tq_draft *draft, const tq_op *op, sorted *out)
{
    out->kept = TQ_NEW_N(draft->arena, tq_attr, draft->n_attrs + 1);
    out->notes = TQ_NEW_N(draft->arena, tq_attr, draft->n_attrs + 1);
    for (int i = 0; i < draft->n_attrs; i++) {
        tq_attr *attr = &draft->attrs[i];
        const tq_attr *listed = find_listed(op, attr->name);
        if (!listed) {
            TQ_TRY(sort_unlisted(draft, op, attr, out));
            continue;
        }
        if (op->domain && attr->kind != listed->kind)
            adapt_kind(attr, listed->kind);
        if (attr->kind != listed->kind)
            return tq_fail(TQ_ERR_FORMAT, "attribute '%s' is %s, expected %s", attr->name,
                           kind_name(attr->kind), kind_name(listed->kind));
        out->kept[out->n_kept++] = *attr;
    }
    return TQ_OK;
}

/* ---- inputs and outputs ---- */

static tq_status find_input(tq_onnx_reader *reader, const char *name, int position,
                            tq_value **out_value)
{
    *out_value = *name ? tq_graph_find_value(reader->graph, name) : NULL;
    if (*out_value || !*name)
        return TQ_OK;
    const int64_t maker = tq_name_set_find(&reader->made, name);
    if (maker < 0)
        return tq_fail(TQ_ERR_FORMAT, "reads '%s', which nothing makes", name);
    return tq_fail(TQ_ERR_FORMAT,
                   "reads '%s', which node %" PRId64 " makes only later (this is node %d): the "
                   "nodes form a cycle or are not in topological order",
                   name, maker, position);
}

static tq_status read_inputs(tq_draft *draft, const Onnx__NodeProto *proto, int position)
{
    draft->inputs = TQ_NEW_N(draft->arena, tq_value *, proto->n_input + TQ_DRAFT_SPARE);
    draft->n_inputs = (int)proto->n_input;
    for (int i = 0; i < draft->n_inputs; i++)
        TQ_TRY(find_input(draft->reader, proto->input[i], position, &draft->inputs[i]));
    while (draft->n_inputs > 0 && !draft->inputs[draft->n_inputs - 1])
        draft->n_inputs--;
    return TQ_OK;
}

static tq_status read_outputs(tq_draft *draft, const Onnx__NodeProto *proto)
{
    draft->n_outputs = (int)proto->n_output;
    while (draft->n_outputs > 0 && !*proto->output[draft->n_outputs - 1])
        draft->n_outputs--;
    if (draft->n_outputs == 0)
        return tq_fail(TQ_ERR_FORMAT, "has no output");
    draft->outputs = TQ_NEW_N(draft->arena, const char *, draft->n_outputs);
    for (int i = 0; i < draft->n_outputs; i++)
        draft->outputs[i] = *proto->output[i] ? proto->output[i]
                                              : tq_reader_fresh_value(draft->reader, draft->name);
    return TQ_OK;
}

/* ---- constants ---- */

static tq_status numbers_to_tensor(const tq_attr *attr, tq_tensor *out)
{
    const bool is_float = attr->kind == TQ_ATTR_FLOAT || attr->kind == TQ_ATTR_FLOATS;
    const bool is_list = attr->kind == TQ_ATTR_INTS || attr->kind == TQ_ATTR_FLOATS;
    const tq_type type = tq_type_make(is_float ? TQ_F32 : TQ_I64, is_list, (int64_t[]){ attr->n });
    const void *lists[] = { attr->ints, attr->floats }, *numbers[] = { &attr->i, &attr->f };
    return tq_tensor_init_from(out, &type, is_list ? lists[is_float] : numbers[is_float]);
}

/** A Constant node: one attribute says value, value_int(s) or value_float(s). */
static tq_status add_constant_node(tq_draft *draft)
{
    if (draft->n_attrs != 1 || strncmp(draft->attrs[0].name, "value", 5) != 0)
        return tq_fail(TQ_ERR_FORMAT, "needs exactly one attribute that holds its value");
    if (draft->n_outputs != 1 || draft->n_inputs != 0)
        return tq_fail(TQ_ERR_FORMAT, "has %d inputs and %d outputs, expected 0 and 1",
                       draft->n_inputs, draft->n_outputs);
    const tq_attr *attr = &draft->attrs[0];
    tq_value *value;
    if (attr->kind == TQ_ATTR_TENSOR)
        return tq_reader_add_constant(draft->reader, draft->outputs[0], &attr->tensor, &value);
    if (attr->kind == TQ_ATTR_STRING || attr->kind == TQ_ATTR_STRINGS)
        return tq_fail(TQ_ERR_UNSUPPORTED, "text as a value is not supported");
    tq_tensor *tensor = tq_reader_hold(draft->reader);
    TQ_TRY(numbers_to_tensor(attr, tensor));
    return tq_reader_add_constant(draft->reader, draft->outputs[0], tensor, &value);
}

/* ---- operators ---- */

/** An operator of ONNX must not be younger than the opset. */
static tq_status check_age(const tq_draft *draft)
{
    const int since = *draft->domain ? 0 : tq_onnx_op_since(draft->op);
    if (since <= draft->opset)
        return TQ_OK;
    return tq_fail(TQ_ERR_UNSUPPORTED, "%s came with opset %d, the model declares %d", draft->op,
                   since, draft->opset);
}

/** Operators of other domains than ONNX's are found by name in theirs, or, where an exporter put
 * them into ONNX's, by name alone. Ours has those of ONNX too, for dtypes that they lack there.
 * Gradients are made, never read. */
static bool is_in_domain(const tq_op *op, const char *domain)
{
    return !*domain || (op->domain ? strcmp(op->domain, domain) == 0 : strcmp(domain, "truq") == 0);
}

static tq_status find_op(const tq_draft *draft, const tq_op **out_op)
{
    const tq_registry *registry = tq_graph_registry(draft->graph);
    const tq_op *op = (const tq_op *)(const void *)tq_registry_get(registry, TQ_KIND_OP, draft->op);
    const bool found = op && !(op->flags & TQ_OP_GRADIENT) && is_in_domain(op, draft->domain);
    if (!found)
        return tq_fail(TQ_ERR_UNSUPPORTED, "operator '%s' of domain '%s' is not supported%s",
                       draft->op, *draft->domain ? draft->domain : "ai.onnx",
                       *draft->domain && strcmp(draft->domain, "truq") != 0
                           ? "; the plug-in that has it must be named"
                           : "");
    *out_op = op;
    return TQ_OK;
}

/** How many names the operator lists; INT_MAX when the last may repeat. */
static int n_listed(const char *const *names)
{
    int n = 0;
    for (; n < TQ_OP_MAX_NAMES && names[n]; n++)
        if (strlen(names[n]) > 3 && strcmp(names[n] + strlen(names[n]) - 3, "...") == 0)
            return INT32_MAX;
    return n;
}

static tq_status check_counts(const tq_draft *draft, const tq_op *op)
{
    if (draft->n_inputs > n_listed(op->inputs))
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %d inputs, %d are supported", draft->n_inputs,
                       n_listed(op->inputs));
    if (draft->n_outputs > n_listed(op->outputs))
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %d outputs, %d are supported", draft->n_outputs,
                       n_listed(op->outputs));
    return TQ_OK;
}

/** A dtype that ONNX allows here and the operator does not have is not the file's fault. */
static tq_status blame(const tq_draft *draft, tq_status status)
{
    const tq_value *x = tq_draft_input(draft, 0);
    const tq_dtype dtype = x ? tq_value_type(x)->dtype : TQ_NONE;
    const bool common = dtype == TQ_F32 || dtype == TQ_U8 || dtype == TQ_I8 || dtype == TQ_I32 ||
                        dtype == TQ_I64 || dtype == TQ_NONE;
    if (!status || common || tq_status_code(status) != TQ_ERR_TYPE || *draft->domain)
        return status;
    const tq_status not_onnx = tq_onnx_check_dtype(draft->op, draft->opset, dtype);
    if (not_onnx) {
        tq_status_drop(not_onnx);
        return status;
    }
    const tq_status blamed = tq_fail(TQ_ERR_UNSUPPORTED, "%s", tq_status_text(status));
    tq_status_drop(status);
    return blamed;
}

static tq_status add_node(const tq_draft *draft, const tq_op *op, const sorted *attrs,
                          tq_node **out_node)
{
    return tq_graph_add_node(draft->graph,
                             &(tq_node_spec){ .op = op->entry.name,
                                              .domain = op->domain ? op->domain : "",
                                              .name = draft->name,
                                              .n_inputs = draft->n_inputs,
                                              .inputs = draft->inputs,
                                              .n_outputs = draft->n_outputs,
                                              .output_names = draft->outputs,
                                              .n_attrs = attrs->n_kept,
                                              .attrs = attrs->kept },
                             out_node);
}

static tq_status add_to_graph(tq_draft *draft, const tq_op *op)
{
    sorted attrs = { 0 };
    TQ_TRY(check_counts(draft, op));
    TQ_TRY(sort_attrs(draft, op, &attrs));
    tq_node *node = NULL;
    tq_status status = add_node(draft, op, &attrs, &node);
    const tq_dtype half = tq_onnx_half_of(draft, status);
    const char *const *names = NULL;
    if (half) {
        tq_status_drop(status);
        TQ_TRY(tq_onnx_widen(draft, &names));
        status = add_node(draft, op, &attrs, &node);
    }
    TQ_TRY(blame(draft, status));
    for (int i = 0; i < attrs.n_notes; i++)
        tq_node_set_meta(node, tq_arena_printf(draft->arena, "attr.%s", attrs.notes[i].name),
                         tq_attr_to_text(draft->arena, &attrs.notes[i]));
    return half ? tq_onnx_narrow(draft, half, names) : TQ_OK;
}

static tq_status build(tq_draft *draft, const Onnx__NodeProto *proto, int position)
{
    TQ_TRY(read_inputs(draft, proto, position));
    TQ_TRY(read_outputs(draft, proto));
    TQ_TRY(read_attrs(draft, proto));
    if (!*draft->domain && strcmp(draft->op, "Constant") == 0)
        return add_constant_node(draft);
    TQ_TRY(check_age(draft));
    TQ_TRY(tq_onnx_upgrade(draft));
    const tq_op *op = NULL;
    if (!draft->done)
        TQ_TRY(find_op(draft, &op));
    return draft->done ? TQ_OK : add_to_graph(draft, op);
}

static tq_status check_identity(const tq_onnx_reader *reader, const Onnx__NodeProto *proto,
                                tq_draft *draft)
{
    if (!proto->op_type || !*proto->op_type)
        return tq_fail(TQ_ERR_FORMAT, "has no operator");
    const char *domain = proto->domain ? proto->domain : "";
    draft->op = proto->op_type;
    draft->domain = strcmp(domain, "ai.onnx") == 0 ? "" : domain;
    draft->opset = (int)tq_name_set_find(&reader->domains, draft->domain);
    if (draft->opset < 0)
        return tq_fail(TQ_ERR_FORMAT, "the model does not import its domain '%s'",
                       *domain ? domain : "ai.onnx");
    return TQ_OK;
}

/** The file's name if this node is the first to bear it, else "NAME_POSITION" or "Conv_3". */
static const char *name_of(tq_onnx_reader *reader, const Onnx__NodeProto *proto, int position)
{
    const char *name = proto->name && *proto->name ? proto->name : NULL;
    if (name && tq_name_set_find(&reader->node_names, name) == position)
        return name;
    const char *base = name ? name : proto->op_type && *proto->op_type ? proto->op_type : "node";
    return tq_reader_fresh_node(reader, tq_arena_printf(reader->arena, "%s_%d", base, position));
}

tq_status tq_reader_add_node(tq_onnx_reader *reader, const Onnx__NodeProto *proto, int position)
{
    tq_draft draft = { .arena = reader->arena, .graph = reader->graph, .reader = reader };
    draft.name = name_of(reader, proto, position);
    tq_status status = check_identity(reader, proto, &draft);
    if (!status)
        status = build(&draft, proto, position);
    const bool named = status && strncmp(tq_status_text(status), "node '", 6) == 0;
    return named ? status
                 : tq_wrap(status, "node '%s' (%s)", draft.name,
                           proto->op_type ? proto->op_type : "");
}
