/* The tables of a .tflite file as plain structs, every number checked. Field numbers are those of
 * the schema's public version 3 (tensorflow/compiler/mlir/lite/schema/schema.fbs). */
#include "tflite.h"

#include <math.h>
#include <string.h>

enum { MODEL_CODES = 1, MODEL_SUBGRAPHS = 2, MODEL_BUFFERS = 4 };
enum { CODE_OLD = 0, CODE_CUSTOM = 1, CODE_BUILTIN = 3 };
enum { GRAPH_TENSORS = 0, GRAPH_INPUTS = 1, GRAPH_OUTPUTS = 2, GRAPH_OPERATORS = 3 };
enum {
    TENSOR_SHAPE = 0,
    TENSOR_TYPE = 1,
    TENSOR_BUFFER = 2,
    TENSOR_NAME = 3,
    TENSOR_GRID = 4,
    TENSOR_SPARSITY = 6,
    TENSOR_SIGNATURE = 7,
};
enum { GRID_SCALE = 2, GRID_ZERO = 3, GRID_DETAILS = 4, GRID_AXIS = 6 };
enum { OPERATOR_CODE = 0, OPERATOR_INPUTS = 1, OPERATOR_OUTPUTS = 2, OPERATOR_OPTIONS = 4 };
enum { BUFFER_DATA = 0, BUFFER_OFFSET = 1, BUFFER_SIZE = 2 };

typedef struct reader {
    const tq_flat *file;
    tq_arena *arena;
    tq_flat_vector buffers, codes;
    tq_tflite_model *model;
    size_t budget; /* elements that may still be copied out of the file */
} reader;

/* Vectors may share their bytes: a small file must not become a large model. */
static tq_status spend(reader *r, int64_t n)
{
    if ((uint64_t)n > r->budget)
        return tq_fail(TQ_ERR_FORMAT, "refers to the same bytes too often");
    r->budget -= (size_t)n;
    return TQ_OK;
}

static tq_status read_text(reader *r, const tq_flat_table *table, int field, const char **out)
{
    TQ_TRY(tq_flat_text(table, field, r->arena, out));
    return spend(r, (int64_t)strlen(*out));
}

static tq_dtype dtype_of(int64_t type)
{
    switch (type) {
    case TQ_TFLITE_FLOAT32:
        return TQ_F32;
    case TQ_TFLITE_FLOAT16:
        return TQ_F16;
    case TQ_TFLITE_INT32:
        return TQ_I32;
    case TQ_TFLITE_UINT8:
        return TQ_U8;
    case TQ_TFLITE_INT64:
        return TQ_I64;
    case TQ_TFLITE_BOOL:
        return TQ_BOOL;
    case TQ_TFLITE_INT16:
        return TQ_I16;
    case TQ_TFLITE_INT8:
        return TQ_I8;
    case TQ_TFLITE_INT4:
        return TQ_I4;
    default:
        return TQ_NONE;
    }
}

/* ---- tensors ---- */

static tq_status read_shape(const tq_flat_table *table, tq_type *out)
{
    tq_flat_vector shape;
    size_t size;
    TQ_TRY(tq_flat_vector_of(table, TENSOR_SHAPE, 4, &shape));
    if (shape.n > TQ_MAX_RANK)
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %lld axes, at most %d are supported",
                       (long long)shape.n, TQ_MAX_RANK);
    out->rank = (int)shape.n;
    for (int i = 0; i < out->rank; i++) {
        out->dims[i] = tq_flat_int_at(&shape, i);
        if (out->dims[i] < 0)
            return tq_fail(TQ_ERR_UNSUPPORTED, "axis %d has size %lld; the shape must be fixed", i,
                           (long long)out->dims[i]);
    }
    return out->dtype == TQ_NONE ? TQ_OK : tq_type_size(out, &size);
}

/* The signature has -1 where the shape has 1 because nobody knows. */
static tq_status read_signature(const tq_flat_table *table, tq_tflite_tensor *t)
{
    tq_flat_vector signature;
    TQ_TRY(tq_flat_vector_of(table, TENSOR_SIGNATURE, 4, &signature));
    for (int d = 0; d < t->type.rank && signature.n == t->type.rank; d++)
        if (tq_flat_int_at(&signature, d) < 0 && t->type.dims[d] == 1)
            t->open |= 1u << d;
    return TQ_OK;
}

/* Scales, and as many zero points; a table of quantisation may hold neither. */
static tq_status read_grid(reader *r, const tq_flat_table *table, tq_tflite_tensor *t)
{
    tq_flat_table grid;
    tq_flat_vector scale, zero;
    int64_t details = 0, axis = 0;
    TQ_TRY(tq_flat_child(table, TENSOR_GRID, &grid));
    TQ_TRY(tq_flat_int(&grid, GRID_DETAILS, 1, &details));
    if (details != 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "has quantisation of kind %lld, only scales are known",
                       (long long)details);
    TQ_TRY(tq_flat_vector_of(&grid, GRID_SCALE, 4, &scale));
    TQ_TRY(tq_flat_vector_of(&grid, GRID_ZERO, 8, &zero));
    TQ_TRY(tq_flat_int(&grid, GRID_AXIS, 4, &axis));
    if (scale.n == 0)
        return TQ_OK;
    if (zero.n != 0 && zero.n != 1 && zero.n != scale.n)
        return tq_fail(TQ_ERR_FORMAT, "has %lld scales and %lld zero points", (long long)scale.n,
                       (long long)zero.n);
    if (scale.n > 1 && (axis < 0 || axis >= t->type.rank || t->type.dims[axis] != scale.n))
        return tq_fail(TQ_ERR_FORMAT, "has %lld scales along axis %lld of %s", (long long)scale.n,
                       (long long)axis, tq_type_text(&t->type).s);
    TQ_TRY(spend(r, scale.n));
    float *scales = TQ_NEW_N(r->arena, float, scale.n);
    int64_t *zeros = TQ_NEW_N(r->arena, int64_t, scale.n);
    for (int64_t i = 0; i < scale.n; i++) {
        scales[i] = tq_flat_float_at(&scale, i);
        zeros[i] = zero.n ? tq_flat_int_at(&zero, zero.n == 1 ? 0 : i) : 0;
        if (!isfinite(scales[i]) || scales[i] < 0.0f)
            return tq_fail(TQ_ERR_FORMAT, "has scale %g", (double)scales[i]);
        if (t->type.dtype != TQ_NONE && tq_dtype_is_integer(t->type.dtype) &&
            (zeros[i] < tq_dtype_min(t->type.dtype) || zeros[i] > tq_dtype_max(t->type.dtype)))
            return tq_fail(TQ_ERR_FORMAT, "has zero point %lld, outside %s", (long long)zeros[i],
                           tq_dtype_name(t->type.dtype));
    }
    t->n_scales = scale.n;
    t->scales = scales;
    t->zero_points = zeros;
    t->axis = (int)axis;
    return TQ_OK;
}

/* Bytes of the tensor in the file: 4-bit elements lie in pairs. */
static tq_status data_size_of(const tq_type *type, size_t *out)
{
    TQ_TRY(tq_type_size(type, out));
    if (type->dtype == TQ_I4)
        *out = (*out + 1) / 2;
    return TQ_OK;
}

/* Buffer 0 is the empty one, of what is no constant. Large files keep data behind the tables. */
static tq_status read_data(reader *r, const tq_flat_table *table, tq_tflite_tensor *t)
{
    int64_t buffer = 0, offset = 0, size = 0;
    tq_flat_table item;
    tq_flat_vector data;
    size_t wanted = 0;
    TQ_TRY(tq_flat_int(table, TENSOR_BUFFER, 4, &buffer));
    if (buffer < 0 || buffer >= r->buffers.n)
        return tq_fail(TQ_ERR_FORMAT, "is in buffer %lld of %lld", (long long)buffer,
                       (long long)r->buffers.n);
    TQ_TRY(tq_flat_table_at(&r->buffers, buffer, &item));
    TQ_TRY(tq_flat_vector_of(&item, BUFFER_DATA, 1, &data));
    TQ_TRY(tq_flat_int(&item, BUFFER_OFFSET, 8, &offset));
    TQ_TRY(tq_flat_int(&item, BUFFER_SIZE, 8, &size));
    size_t at = data.at, n = (size_t)data.n;
    if (data.n == 0 && offset > 1) {
        if (size < 0 || (uint64_t)offset > r->file->size ||
            (uint64_t)size > r->file->size - (uint64_t)offset)
            return tq_fail(TQ_ERR_FORMAT, "has %lld bytes at byte %lld, beyond the file",
                           (long long)size, (long long)offset);
        at = (size_t)offset;
        n = (size_t)size;
    }
    if (n == 0 || t->type.dtype == TQ_NONE)
        return TQ_OK;
    TQ_TRY(data_size_of(&t->type, &wanted));
    if (n != wanted)
        return tq_fail(TQ_ERR_FORMAT, "is %s, which takes %zu bytes, but has %zu",
                       tq_type_text(&t->type).s, wanted, n);
    t->data = r->file->bytes + at;
    t->data_size = n;
    return TQ_OK;
}

static tq_status read_tensor(reader *r, const tq_flat_table *table, int i, tq_tflite_tensor *t)
{
    tq_flat_table sparsity;
    TQ_TRY(read_text(r, table, TENSOR_NAME, &t->name));
    if (!*t->name)
        t->name = tq_arena_printf(r->arena, "t%d", i);
    TQ_TRY(tq_flat_int(table, TENSOR_TYPE, 1, &t->type_number));
    t->type.dtype = dtype_of(t->type_number);
    TQ_TRY(tq_flat_child(table, TENSOR_SPARSITY, &sparsity));
    if (sparsity.file)
        return tq_fail(TQ_ERR_UNSUPPORTED, "is sparse");
    TQ_TRY(read_shape(table, &t->type));
    TQ_TRY(read_signature(table, t));
    TQ_TRY(read_grid(r, table, t));
    return read_data(r, table, t);
}

static tq_status read_tensors(reader *r, const tq_flat_table *graph)
{
    tq_flat_vector tensors;
    TQ_TRY(tq_flat_vector_of(graph, GRAPH_TENSORS, 4, &tensors));
    r->model->n_tensors = (int)tensors.n;
    r->model->tensors = TQ_NEW_N(r->arena, tq_tflite_tensor, tensors.n + 1);
    for (int i = 0; i < (int)tensors.n; i++) {
        tq_flat_table table;
        tq_tflite_tensor *t = &r->model->tensors[i];
        TQ_TRY(tq_flat_table_at(&tensors, i, &table));
        tq_status status = read_tensor(r, &table, i, t);
        if (status)
            return tq_wrap(status, "tensor '%s'", t->name ? t->name : "");
    }
    return TQ_OK;
}

/* ---- operators ---- */

static tq_status read_positions(reader *r, const tq_flat_table *table, int field, const char *what,
                                int *out_n, int **out)
{
    tq_flat_vector positions;
    TQ_TRY(tq_flat_vector_of(table, field, 4, &positions));
    TQ_TRY(spend(r, positions.n));
    int *list = TQ_NEW_N(r->arena, int, positions.n + 1);
    for (int64_t i = 0; i < positions.n; i++) {
        const int64_t at = tq_flat_int_at(&positions, i);
        if (at < -1 || at >= r->model->n_tensors)
            return tq_fail(TQ_ERR_FORMAT, "%s %lld is tensor %lld of %d", what, (long long)i,
                           (long long)at, r->model->n_tensors);
        list[i] = (int)at;
    }
    *out_n = (int)positions.n;
    *out = list;
    return TQ_OK;
}

/* Codes up to 127 lie in the old field, others in the new one. */
static tq_status read_code(reader *r, int64_t i, tq_tflite_operator *out)
{
    tq_flat_table code;
    int64_t old = 0, builtin = 0;
    if (i < 0 || i >= r->codes.n)
        return tq_fail(TQ_ERR_FORMAT, "is of operator code %lld of %lld", (long long)i,
                       (long long)r->codes.n);
    TQ_TRY(tq_flat_table_at(&r->codes, i, &code));
    TQ_TRY(tq_flat_int(&code, CODE_OLD, 1, &old));
    TQ_TRY(tq_flat_int(&code, CODE_BUILTIN, 4, &builtin));
    out->code = builtin > old ? builtin : old;
    return read_text(r, &code, CODE_CUSTOM, &out->custom);
}

static tq_status read_operator(reader *r, const tq_flat_table *table, tq_tflite_operator *out)
{
    int64_t code = 0;
    TQ_TRY(tq_flat_int(table, OPERATOR_CODE, 4, &code));
    TQ_TRY(read_code(r, code, out));
    TQ_TRY(read_positions(r, table, OPERATOR_INPUTS, "input", &out->n_inputs, &out->inputs));
    int *outputs;
    TQ_TRY(read_positions(r, table, OPERATOR_OUTPUTS, "output", &out->n_outputs, &outputs));
    out->outputs = outputs;
    return tq_flat_child(table, OPERATOR_OPTIONS, &out->options);
}

static tq_status read_operators(reader *r, const tq_flat_table *graph)
{
    tq_flat_vector operators;
    TQ_TRY(tq_flat_vector_of(graph, GRAPH_OPERATORS, 4, &operators));
    r->model->n_operators = (int)operators.n;
    r->model->operators = TQ_NEW_N(r->arena, tq_tflite_operator, operators.n + 1);
    for (int i = 0; i < (int)operators.n; i++) {
        tq_flat_table table;
        TQ_TRY(tq_flat_table_at(&operators, i, &table));
        TQ_TRY(tq_wrap(read_operator(r, &table, &r->model->operators[i]), "operator %d", i));
    }
    return TQ_OK;
}

tq_status tq_tflite_read(const tq_flat *file, tq_arena *arena, tq_tflite_model *out)
{
    reader r = { .file = file, .arena = arena, .model = out, .budget = 4 * file->size };
    tq_flat_table model, graph;
    tq_flat_vector graphs;
    *out = (tq_tflite_model){ 0 };
    TQ_TRY(tq_flat_root(file, "TFL3", &model));
    TQ_TRY(tq_flat_vector_of(&model, MODEL_CODES, 4, &r.codes));
    TQ_TRY(tq_flat_vector_of(&model, MODEL_SUBGRAPHS, 4, &graphs));
    TQ_TRY(tq_flat_vector_of(&model, MODEL_BUFFERS, 4, &r.buffers));
    if (graphs.n != 1)
        return tq_fail(TQ_ERR_UNSUPPORTED, "has %lld subgraphs, one is supported",
                       (long long)graphs.n);
    TQ_TRY(tq_flat_table_at(&graphs, 0, &graph));
    TQ_TRY(read_tensors(&r, &graph));
    int *inputs, *outputs;
    TQ_TRY(read_positions(&r, &graph, GRAPH_INPUTS, "graph input", &out->n_inputs, &inputs));
    TQ_TRY(read_positions(&r, &graph, GRAPH_OUTPUTS, "graph output", &out->n_outputs, &outputs));
    out->inputs = inputs;
    out->outputs = outputs;
    return read_operators(&r, &graph);
}
