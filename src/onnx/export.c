/* Graphs to ONNX files. The model is put together as protobuf-c structs whose tensors point into
 * the graph's own data, then streamed to a temporary file: no copy of the weights is made. What is
 * written depends on the graph and the opset only: no time, host or path.
 * More constants than protobuf's 2 GiB allow go to FILE.data. */
#include "onnx/onnx_internal.h"

#include <string.h>

enum { SMALLEST_EXTERNAL = 1024, EXTERNAL_ALIGNMENT = 4096 };
static const size_t largest_inline = ((size_t)2 << 30) - ((size_t)64 << 20);

static char *own(tq_arena *arena, const char *text)
{
    return tq_arena_strdup(arena, text);
}

static Onnx__StringStringEntryProto *make_entry(tq_arena *arena, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *entry = TQ_NEW(arena, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(entry);
    entry->key = own(arena, key);
    entry->value = own(arena, value);
    return entry;
}

/* ---- tensors ---- */

void tq_onnx_fill_tensor(tq_arena *arena, const tq_tensor *tensor, Onnx__TensorProto *proto)
{
    const tq_type *type = &tensor->type;
    proto->n_dims = (size_t)type->rank;
    proto->dims = tq_arena_memdup(arena, type->dims, sizeof type->dims);
    proto->has_data_type = 1;
    proto->data_type = tq_dtype_to_onnx(type->dtype);
    proto->has_raw_data = 1;
    proto->raw_data.len = tq_onnx_raw_size(type);
    proto->raw_data.data = tensor->data;
    if (type->dtype == TQ_U4 || type->dtype == TQ_I4) {
        proto->raw_data.data = tq_arena_alloc(arena, proto->raw_data.len + 1);
        tq_onnx_pack4(tensor, proto->raw_data.data);
    }
}

/** Constants that some written node reads, or that no node ever read. */
static bool is_written(const tq_onnx_writer *writer, const tq_value *value)
{
    if (!tq_value_is_const(value))
        return false;
    return tq_value_n_consumers(value) == 0 || tq_value_is_output(value) ||
           tq_name_set_find(&writer->used, tq_value_name(value)) >= 0;
}

/** 4-bit dtypes came with opset 21. */
static bool needs_21(tq_dtype dtype)
{
    return dtype == TQ_U4 || dtype == TQ_I4;
}

static tq_status check_dtype(const tq_onnx_writer *writer, const tq_value *value)
{
    const tq_dtype dtype = tq_value_type(value)->dtype;
    if (needs_21(dtype) && writer->opset < 21)
        return tq_fail(TQ_ERR_UNSUPPORTED, "value '%s' is %s, which needs opset 21 or newer",
                       tq_value_name(value), tq_dtype_name(dtype));
    return TQ_OK;
}

static tq_status add_constants(tq_onnx_writer *writer, Onnx__GraphProto *proto)
{
    const tq_graph *graph = writer->graph;
    const int n = tq_graph_n_values(graph);
    proto->initializer = TQ_NEW_N(writer->arena, Onnx__TensorProto *, n + 1);
    for (int i = 0; i < n; i++) {
        const tq_value *value = tq_graph_value(graph, i);
        TQ_TRY(check_dtype(writer, value));
        if (!is_written(writer, value))
            continue;
        Onnx__TensorProto *tensor = TQ_NEW(writer->arena, Onnx__TensorProto);
        onnx__tensor_proto__init(tensor);
        tensor->name = own(writer->arena, tq_value_name(value));
        tq_onnx_fill_tensor(writer->arena, tq_value_tensor(value), tensor);
        proto->initializer[proto->n_initializer++] = tensor;
    }
    return TQ_OK;
}

/* ---- external data ---- */

static size_t total_size(const Onnx__GraphProto *proto)
{
    size_t total = 0;
    for (size_t i = 0; i < proto->n_initializer; i++)
        total += proto->initializer[i]->raw_data.len;
    return total;
}

static size_t aligned(size_t offset)
{
    return (offset + EXTERNAL_ALIGNMENT - 1) / EXTERNAL_ALIGNMENT * EXTERNAL_ALIGNMENT;
}

/** Writes one tensor's bytes at the next aligned offset and says in the message where they are. */
static tq_status move_out(tq_onnx_writer *writer, Onnx__TensorProto *proto, tq_file *file,
                          size_t *offset)
{
    static const uint8_t padding[EXTERNAL_ALIGNMENT];
    tq_arena *arena = writer->arena;
    const size_t start = aligned(*offset);
    TQ_TRY(tq_file_put(file, padding, start - *offset));
    TQ_TRY(tq_file_put(file, proto->raw_data.data, proto->raw_data.len));
    *offset = start + proto->raw_data.len;
    proto->n_external_data = 3;
    proto->external_data = TQ_NEW_N(arena, Onnx__StringStringEntryProto *, 3);
    proto->external_data[0] = make_entry(arena, "location", writer->data_name);
    proto->external_data[1] = make_entry(arena, "offset", tq_arena_printf(arena, "%zu", start));
    proto->external_data[2] =
        make_entry(arena, "length", tq_arena_printf(arena, "%zu", proto->raw_data.len));
    proto->has_data_location = 1;
    proto->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    proto->has_raw_data = 0;
    return TQ_OK;
}

static tq_status write_external(tq_onnx_writer *writer, tq_file *file)
{
    const Onnx__GraphProto *graph = writer->model.graph;
    size_t offset = 0;
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->raw_data.len >= SMALLEST_EXTERNAL)
            TQ_TRY(move_out(writer, graph->initializer[i], file, &offset));
    return tq_file_finish(file);
}

/* ---- types ---- */

static Onnx__TensorShapeProto *make_shape(tq_arena *arena, const tq_value *value)
{
    const tq_type *type = tq_value_type(value);
    Onnx__TensorShapeProto *shape = TQ_NEW(arena, Onnx__TensorShapeProto);
    onnx__tensor_shape_proto__init(shape);
    shape->n_dim = (size_t)type->rank;
    shape->dim = TQ_NEW_N(arena, Onnx__TensorShapeProto__Dimension *, type->rank + 1);
    for (int i = 0; i < type->rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = TQ_NEW(arena, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(dim);
        const char *name = tq_value_meta(value, tq_arena_printf(arena, "dim.%d", i));
        if (type->dims[i] != TQ_DIM_ANY) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = type->dims[i];
        } else if (name) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = own(arena, name);
        }
        shape->dim[i] = dim;
    }
    return shape;
}

static Onnx__ValueInfoProto *make_info(tq_arena *arena, const tq_value *value)
{
    Onnx__ValueInfoProto *info = TQ_NEW(arena, Onnx__ValueInfoProto);
    Onnx__TypeProto *type = TQ_NEW(arena, Onnx__TypeProto);
    Onnx__TypeProto__Tensor *tensor = TQ_NEW(arena, Onnx__TypeProto__Tensor);
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = 1;
    tensor->elem_type = tq_dtype_to_onnx(tq_value_type(value)->dtype);
    if (tq_value_type(value)->rank >= 0)
        tensor->shape = make_shape(arena, value);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = own(arena, tq_value_name(value));
    info->type = type;
    return info;
}

static void add_infos(const tq_onnx_writer *writer, Onnx__GraphProto *proto)
{
    const tq_graph *graph = writer->graph;
    tq_arena *arena = writer->arena;
    const int n_values = tq_graph_n_values(graph);
    proto->n_input = (size_t)tq_graph_n_inputs(graph);
    proto->input = TQ_NEW_N(arena, Onnx__ValueInfoProto *, proto->n_input + 1);
    for (size_t i = 0; i < proto->n_input; i++)
        proto->input[i] = make_info(arena, tq_graph_input(graph, (int)i));
    proto->n_output = (size_t)tq_graph_n_outputs(graph);
    proto->output = TQ_NEW_N(arena, Onnx__ValueInfoProto *, proto->n_output + 1);
    for (size_t i = 0; i < proto->n_output; i++)
        proto->output[i] = make_info(arena, tq_graph_output(graph, (int)i));
    proto->value_info = TQ_NEW_N(arena, Onnx__ValueInfoProto *, n_values + 1);
    for (int i = 0; i < n_values; i++) {
        const tq_value *value = tq_graph_value(graph, i);
        if (tq_value_producer(value) && !tq_value_is_output(value))
            proto->value_info[proto->n_value_info++] = make_info(arena, value);
    }
}

/* ---- model ---- */

void tq_writer_put_prop(tq_onnx_writer *writer, const char *key, const char *text)
{
    TQ_PUSH(writer->arena, writer->props, writer->n_props, writer->props_capacity,
            make_entry(writer->arena, key, text));
}

static Onnx__OperatorSetIdProto *make_opset(tq_arena *arena, const char *domain, int version)
{
    Onnx__OperatorSetIdProto *opset = TQ_NEW(arena, Onnx__OperatorSetIdProto);
    onnx__operator_set_id_proto__init(opset);
    opset->domain = own(arena, domain);
    opset->has_version = 1;
    opset->version = version;
    return opset;
}

static void add_opsets(tq_onnx_writer *writer)
{
    Onnx__ModelProto *model = &writer->model;
    model->opset_import =
        TQ_NEW_N(writer->arena, Onnx__OperatorSetIdProto *, writer->n_domains + 1);
    model->opset_import[0] = make_opset(writer->arena, "", writer->opset);
    for (int i = 0; i < writer->n_domains; i++)
        model->opset_import[i + 1] = make_opset(writer->arena, writer->domain_names[i], 1);
    model->n_opset_import = (size_t)writer->n_domains + 1;
}

/** The oldest IR version that goes with the opset, so that old readers can follow. */
static int64_t ir_version_of(int opset)
{
    return opset < 13 ? 7 : opset < 19 ? 8 : opset < 21 ? 9 : 10;
}

static tq_status build_model(tq_onnx_writer *writer)
{
    Onnx__ModelProto *model = &writer->model;
    Onnx__GraphProto *graph = TQ_NEW(writer->arena, Onnx__GraphProto);
    onnx__model_proto__init(model);
    onnx__graph_proto__init(graph);
    TQ_TRY(tq_writer_add_nodes(writer));
    graph->n_node = (size_t)writer->n_nodes;
    graph->node = TQ_NEW_N(writer->arena, Onnx__NodeProto *, writer->n_nodes + 1);
    for (int i = 0; i < writer->n_nodes; i++)
        graph->node[i] = &writer->nodes[i];
    graph->name = own(writer->arena, tq_graph_name(writer->graph));
    TQ_TRY(add_constants(writer, graph));
    add_infos(writer, graph);
    model->graph = graph;
    model->has_ir_version = 1;
    model->ir_version = ir_version_of(writer->opset);
    model->producer_name = own(writer->arena, "truq");
    model->producer_version = own(writer->arena, TQ_VERSION);
    add_opsets(writer);
    tq_writer_add_metadata(writer);
    model->n_metadata_props = writer->n_props;
    model->metadata_props = writer->props;
    return TQ_OK;
}

/* ---- bytes ---- */

typedef struct sink {
    ProtobufCBuffer base;
    tq_file *file;
    tq_status status;
} sink;

static void append(ProtobufCBuffer *buffer, size_t size, const uint8_t *bytes)
{
    sink *s = (sink *)buffer;
    if (!s->status)
        s->status = tq_file_put(s->file, bytes, size);
}

static tq_status write_model(const tq_onnx_writer *writer, tq_file *file)
{
    sink s = { { append }, file, TQ_OK };
    protobuf_c_message_pack_to_buffer(&writer->model.base, &s.base);
    return s.status ? s.status : tq_file_finish(file);
}

typedef struct export
{
    tq_onnx_writer writer;
    const char *path;
    tq_file model, data;
}
export;

/** Both files are complete before either takes its place. */
static tq_status write_files(export *job)
{
    tq_onnx_writer *writer = &job->writer;
    const bool needs_data = total_size(writer->model.graph) > writer->inline_limit;
    TQ_TRY(tq_file_open(job->path, &job->model));
    if (needs_data) {
        const char *data_path = tq_arena_printf(writer->arena, "%s.data", job->path);
        const char *slash = strrchr(data_path, '/');
        writer->data_name = slash ? slash + 1 : data_path;
        TQ_TRY(tq_file_open(data_path, &job->data));
        TQ_TRY(write_external(writer, &job->data));
    }
    TQ_TRY(write_model(writer, &job->model));
    if (needs_data)
        TQ_TRY(tq_file_commit(&job->data));
    return tq_file_commit(&job->model);
}

static tq_status run(void *context)
{
    export *job = context;
    tq_onnx_writer *writer = &job->writer;
    writer->arena = tq_arena_create();
    writer->used.arena = writer->domains.arena = writer->arena;
    TQ_TRY(build_model(writer));
    return write_files(job);
}

/** 17, or the first later opset that has all operators; what none has does not count. */
static int default_opset(const tq_graph *graph)
{
    int opset = 17;
    for (int i = 0; i < tq_graph_n_values(graph); i++)
        if (needs_21(tq_value_type(tq_graph_value(graph, i))->dtype))
            opset = 21;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        int needed = opset;
        while (needed <= TQ_ONNX_MAX_WRITTEN && !tq_onnx_has_form(graph, node, needed))
            needed++;
        opset = needed <= TQ_ONNX_MAX_WRITTEN ? needed : opset;
    }
    return opset;
}

static tq_status check_opset(int opset)
{
    if (opset == 10 || (opset >= 13 && opset <= TQ_ONNX_MAX_WRITTEN))
        return TQ_OK;
    return tq_fail(TQ_ERR_UNSUPPORTED, "opset %d cannot be written; 10 and 13 to %d can", opset,
                   TQ_ONNX_MAX_WRITTEN);
}

tq_status tq_onnx_write(const tq_graph *graph, const char *path, int opset, size_t inline_limit)
{
    export job = {
        .writer = { .graph = graph, .opset = opset, .inline_limit = inline_limit },
        .path = path,
    };
    tq_status status = check_opset(opset);
    if (!status)
        status = tq_guard(run, &job);
    tq_file_close(&job.model);
    tq_file_close(&job.data);
    tq_arena_destroy(job.writer.arena);
    const bool says_file = status && tq_status_code(status) == TQ_ERR_IO;
    return says_file ? status : tq_wrap(status, "cannot export '%s'", path);
}

tq_status tq_onnx_export(const tq_graph *graph, const char *path, int opset)
{
    return tq_onnx_write(graph, path, opset ? opset : default_opset(graph), largest_inline);
}
