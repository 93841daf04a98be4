/* ONNX files to graphs. A file is material from outside: the wire format is checked first, then
 * every name, shape and size before anything is built from it. Nodes come in topological order (as
 * ONNX demands), so one walk resolves names, upgrades forms and infers types. */
#include "onnx/onnx_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const char *text)
{
    return text ? text : "";
}

/* ---- names ---- */

static const char *fresh(tq_onnx_reader *reader, tq_name_set *used, const char *wanted)
{
    const char *name = wanted;
    for (int i = 1; !tq_name_set_add(used, name, -2); i++)
        name = tq_arena_printf(reader->arena, "%s_%d", wanted, i);
    return name;
}

const char *tq_reader_find_prop(const tq_onnx_reader *reader, const char *key)
{
    const int64_t i = tq_name_set_find(&reader->props, key);
    return i < 0 ? NULL : text_of(reader->model->metadata_props[i]->value);
}

const char *tq_reader_fresh_value(tq_onnx_reader *reader, const char *wanted)
{
    return fresh(reader, &reader->value_names, wanted);
}

const char *tq_reader_fresh_node(tq_onnx_reader *reader, const char *wanted)
{
    return fresh(reader, &reader->node_names, wanted);
}

static tq_status add_source(tq_onnx_reader *reader, tq_name_set *sources, const char *what,
                            const char *name, size_t i)
{
    if (!name || !*name)
        return tq_fail(TQ_ERR_FORMAT, "%s %zu has no name", what, i);
    if (!tq_name_set_add(sources, name, (int64_t)i))
        return tq_fail(TQ_ERR_FORMAT, "two %ss are named '%s'", what, name);
    tq_name_set_add(&reader->value_names, name, (int64_t)i);
    return TQ_OK;
}

static tq_status add_made(tq_onnx_reader *reader, const tq_name_set *inputs,
                          const tq_name_set *constants, const Onnx__NodeProto *node,
                          size_t position)
{
    for (size_t k = 0; k < node->n_output; k++) {
        const char *name = node->output[k];
        if (!*name)
            continue;
        if (tq_name_set_find(inputs, name) >= 0 || tq_name_set_find(constants, name) >= 0 ||
            !tq_name_set_add(&reader->made, name, (int64_t)position))
            return tq_fail(TQ_ERR_FORMAT, "value '%s' is made twice, again by node %zu (%s)", name,
                           position, text_of(node->op_type));
        tq_name_set_add(&reader->value_names, name, (int64_t)position);
    }
    for (size_t k = 0; k < node->n_input; k++)
        tq_name_set_add(&reader->value_names, node->input[k], (int64_t)position);
    if (node->name && *node->name)
        tq_name_set_add(&reader->node_names, node->name, (int64_t)position);
    return TQ_OK;
}

static void collect_props(tq_onnx_reader *reader)
{
    const Onnx__ModelProto *model = reader->model;
    for (size_t i = 0; i < model->n_metadata_props; i++)
        if (model->metadata_props[i]->key)
            tq_name_set_add(&reader->props, model->metadata_props[i]->key, (int64_t)i);
}

/** All names of the file, so that names made here never collide with later ones; each value is made
 *  once. An initialiser may repeat a graph input: it is the input's value. */
static tq_status collect_names(tq_onnx_reader *reader, tq_name_set *out_constants)
{
    const Onnx__GraphProto *graph = reader->model->graph;
    tq_name_set inputs = { .arena = reader->arena };
    collect_props(reader);
    for (size_t i = 0; i < graph->n_input; i++)
        TQ_TRY(add_source(reader, &inputs, "graph input", graph->input[i]->name, i));
    for (size_t i = 0; i < graph->n_initializer; i++)
        TQ_TRY(add_source(reader, out_constants, "initialiser", graph->initializer[i]->name, i));
    for (size_t i = 0; i < graph->n_node; i++)
        TQ_TRY(add_made(reader, &inputs, out_constants, graph->node[i], i));
    return TQ_OK;
}

/* ---- model ---- */

static tq_status check_opset(const char *domain, int64_t version)
{
    if (!*domain && (version < TQ_ONNX_MIN_OPSET || version > TQ_ONNX_MAX_OPSET))
        return tq_fail(TQ_ERR_UNSUPPORTED, "opset %" PRId64 " is not supported, %d to %d are",
                       version, TQ_ONNX_MIN_OPSET, TQ_ONNX_MAX_OPSET);
    if (strcmp(domain, "truq") == 0 && version != 1)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "version %" PRId64 " of domain 'truq' is not supported, 1 is", version);
    if (version < 0 || version > INT32_MAX)
        return tq_fail(TQ_ERR_FORMAT, "domain '%s' has version %" PRId64, domain, version);
    return TQ_OK;
}

static tq_status read_opsets(tq_onnx_reader *reader)
{
    const Onnx__ModelProto *model = reader->model;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *item = model->opset_import[i];
        const bool is_onnx = !item->domain || strcmp(item->domain, "ai.onnx") == 0;
        const char *domain = is_onnx ? "" : item->domain;
        TQ_TRY(check_opset(domain, item->version));
        if (!tq_name_set_add(&reader->domains, domain, item->version))
            return tq_fail(TQ_ERR_FORMAT, "domain '%s' is imported twice", domain);
    }
    if (model->n_opset_import == 0)
        return tq_fail(TQ_ERR_FORMAT, "the model says no opset");
    return TQ_OK;
}

static tq_status check_model(const Onnx__ModelProto *model)
{
    if (!model->graph)
        return tq_fail(TQ_ERR_FORMAT, "not an ONNX model: it holds no graph");
    if (!model->has_ir_version || model->ir_version < 1)
        return tq_fail(TQ_ERR_FORMAT, "not an ONNX model: it says no IR version");
    if (model->ir_version > TQ_ONNX_MAX_IR)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "IR version %" PRId64 " is newer than %d, the last known", model->ir_version,
                       TQ_ONNX_MAX_IR);
    if (model->n_functions)
        return tq_fail(TQ_ERR_UNSUPPORTED, "functions (here '%s') are not supported; inline them",
                       text_of(model->functions[0]->name));
    if (model->graph->n_sparse_initializer)
        return tq_fail(TQ_ERR_UNSUPPORTED, "sparse initialisers are not supported");
    if (model->graph->n_node > INT32_MAX / 4 || model->graph->n_input > INT32_MAX / 4)
        return tq_fail(TQ_ERR_FORMAT, "the graph is too large");
    return TQ_OK;
}

/* ---- inputs, constants, outputs ---- */

static tq_status read_dim(const Onnx__TensorShapeProto__Dimension *dim, int axis, int64_t *out)
{
    *out = TQ_DIM_ANY;
    if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
        return TQ_OK;
    if (dim->dim_value < 0)
        return tq_fail(TQ_ERR_FORMAT, "dimension %d is %" PRId64, axis, dim->dim_value);
    *out = dim->dim_value;
    return TQ_OK;
}

/** The dims that are known must multiply to something that could exist. */
static tq_status check_volume(const tq_type *type)
{
    tq_type least = *type;
    size_t size;
    for (int i = 0; i < type->rank; i++)
        least.dims[i] = type->dims[i] == TQ_DIM_ANY ? 1 : type->dims[i];
    return type->rank < 0 ? TQ_OK : tq_type_size(&least, &size);
}

static tq_status read_type(const Onnx__TypeProto *proto, tq_type *out)
{
    if (!proto || proto->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET)
        return tq_fail(TQ_ERR_FORMAT, "has no tensor type");
    if (proto->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return tq_fail(TQ_ERR_UNSUPPORTED, "only tensors are supported as values");
    const Onnx__TypeProto__Tensor *tensor = proto->tensor_type;
    *out = (tq_type){ .dtype = tq_dtype_from_onnx(tensor->elem_type), .rank = -1 };
    if (!tensor->elem_type)
        return tq_fail(TQ_ERR_FORMAT, "has no data type");
    if (out->dtype == TQ_NONE)
        return tq_fail(TQ_ERR_UNSUPPORTED, "data type %s is not supported",
                       tq_onnx_dtype_text(tensor->elem_type).s);
    if (!tensor->shape)
        return TQ_OK;
    if (tensor->shape->n_dim > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %zu dimensions, at most %d are supported",
                       tensor->shape->n_dim, TQ_MAX_RANK);
    out->rank = (int)tensor->shape->n_dim;
    for (int i = 0; i < out->rank; i++)
        TQ_TRY(read_dim(tensor->shape->dim[i], i, &out->dims[i]));
    return check_volume(out);
}

/** Names of symbolic dimensions stay with the value as "dim.AXIS". */
static void keep_dim_names(tq_value *value, const Onnx__TypeProto *proto)
{
    const bool has_shape = proto && proto->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
                           proto->tensor_type->shape;
    const tq_type *type = tq_value_type(value);
    for (int i = 0; has_shape && i < type->rank; i++) {
        if ((size_t)i >= proto->tensor_type->shape->n_dim || type->dims[i] != TQ_DIM_ANY)
            continue;
        const Onnx__TensorShapeProto__Dimension *dim = proto->tensor_type->shape->dim[i];
        char key[32];
        snprintf(key, sizeof key, "dim.%d", i);
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
            *dim->dim_param)
            tq_value_set_meta(value, key, dim->dim_param);
    }
}

static tq_status read_inputs(tq_onnx_reader *reader, const tq_name_set *constants)
{
    const Onnx__GraphProto *graph = reader->model->graph;
    for (size_t i = 0; i < graph->n_input; i++) {
        const Onnx__ValueInfoProto *input = graph->input[i];
        if (tq_name_set_find(constants, input->name) >= 0)
            continue; /* IR version 3 listed initialisers among the inputs */
        tq_type type;
        tq_value *value = NULL;
        tq_status status = read_type(input->type, &type);
        if (!status)
            status = tq_graph_add_input(reader->graph, input->name, &type, &value);
        if (status)
            return tq_wrap(status, "graph input '%s'", input->name);
        keep_dim_names(value, input->type);
    }
    return TQ_OK;
}

struct tq_held_tensor {
    tq_tensor tensor;
    struct tq_held_tensor *next;
};

tq_tensor *tq_reader_hold(tq_onnx_reader *reader)
{
    struct tq_held_tensor *held = TQ_NEW(reader->arena, struct tq_held_tensor);
    held->next = reader->held;
    reader->held = held;
    return &held->tensor;
}

static void release_held(tq_onnx_reader *reader)
{
    for (struct tq_held_tensor *held = reader->held; held; held = held->next)
        tq_tensor_reset(&held->tensor);
}

tq_status tq_reader_add_constant(tq_onnx_reader *reader, const char *name, const tq_tensor *tensor,
                                 tq_value **out_value)
{
    return tq_graph_add_constant(reader->graph, name, tensor, out_value);
}

static tq_status read_constants(tq_onnx_reader *reader)
{
    const Onnx__GraphProto *graph = reader->model->graph;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *proto = graph->initializer[i];
        tq_tensor *tensor = tq_reader_hold(reader);
        tq_value *value;
        tq_status status = tq_onnx_read_tensor(proto, reader->folder, tensor);
        if (!status)
            status = tq_reader_add_constant(reader, proto->name, tensor, &value);
        if (status)
            return tq_wrap(status, "initialiser '%s'", proto->name);
    }
    return TQ_OK;
}

static tq_status read_outputs(tq_onnx_reader *reader)
{
    const Onnx__GraphProto *graph = reader->model->graph;
    if (graph->n_output == 0)
        return tq_fail(TQ_ERR_FORMAT, "the graph has no output");
    for (size_t i = 0; i < graph->n_output; i++) {
        const char *name = text_of(graph->output[i]->name);
        tq_value *value = *name ? tq_graph_find_value(reader->graph, name) : NULL;
        if (!value)
            return tq_fail(TQ_ERR_FORMAT, "graph output '%s' is made by nothing", name);
        tq_graph_add_output(reader->graph, value);
        keep_dim_names(value, graph->output[i]->type);
    }
    return TQ_OK;
}

static tq_status read_metadata(tq_onnx_reader *reader)
{
    const Onnx__ModelProto *model = reader->model;
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = model->metadata_props[i];
        if (entry->key && *entry->key)
            TQ_TRY(tq_onnx_read_meta(reader->graph, entry->key, text_of(entry->value)));
    }
    return TQ_OK;
}

static tq_status read_model(tq_onnx_reader *reader)
{
    const Onnx__GraphProto *graph = reader->model->graph;
    tq_name_set constants = { .arena = reader->arena };
    TQ_TRY(read_opsets(reader));
    TQ_TRY(collect_names(reader, &constants));
    if (graph->name && *graph->name)
        tq_graph_set_name(reader->graph, graph->name);
    TQ_TRY(read_inputs(reader, &constants));
    TQ_TRY(read_constants(reader));
    for (size_t i = 0; i < graph->n_node; i++)
        TQ_TRY(tq_reader_add_node(reader, graph->node[i], (int)i));
    TQ_TRY(read_outputs(reader));
    TQ_TRY(read_metadata(reader));
    return tq_graph_stage(reader->graph) == TQ_STAGE_TRUE ? tq_graph_verify(reader->graph) : TQ_OK;
}

/* ---- one import, whatever happens in it ---- */

typedef struct import {
    const tq_registry *registry;
    tq_onnx_reader reader;
} import;

static tq_status run(void *context)
{
    import *job = context;
    tq_onnx_reader *reader = &job->reader;
    reader->arena = tq_arena_create();
    tq_name_set *sets[] = { &reader->domains, &reader->value_names, &reader->node_names,
                            &reader->made, &reader->props };
    for (int i = 0; i < TQ_COUNT(sets); i++)
        sets[i]->arena = reader->arena;
    reader->graph = tq_graph_create(job->registry);
    return read_model(reader);
}

static tq_status import_bytes(const tq_registry *registry, const void *bytes, size_t size,
                              const char *folder, tq_graph **out_graph)
{
    TQ_TRY(tq_wire_check(&onnx__model_proto__descriptor, bytes, size));
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    if (!model)
        return tq_fail(TQ_ERR_FORMAT, "not an ONNX model, or damaged");
import job = {.registry = registry, .reader = {.model = model, .folder = folder } };
    tq_status status = check_model(model);
    if (!status)
        status = tq_guard(run, &job);
    release_held(&job.reader);
    tq_arena_destroy(job.reader.arena);
    onnx__model_proto__free_unpacked(model, NULL);
    if (status) {
        tq_graph_destroy(job.reader.graph);
        return status;
    }
    *out_graph = job.reader.graph;
    return TQ_OK;
}

tq_status tq_onnx_import_bytes(const tq_registry *registry, const void *bytes, size_t size,
                               const char *name, const char *folder, tq_graph **out_graph)
{
    return tq_wrap(import_bytes(registry, bytes, size, folder, out_graph), "cannot import '%s'",
                   name);
}

/** The folder a file lies in; the caller frees it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

tq_status tq_onnx_import(const tq_registry *registry, const char *path, tq_graph **out_graph)
{
    void *bytes;
    size_t size;
    TQ_TRY(tq_file_read(path, &bytes, &size));
    char *folder = folder_of(path);
    const tq_status status =
        folder ? tq_onnx_import_bytes(registry, bytes, size, path, folder, out_graph)
               : tq_fail(TQ_ERR_MEMORY, "cannot import '%s': out of memory", path);
    free(folder);
    free(bytes);
    return status;
}
