/* Weights files: eight bytes with the length of a JSON header, the header, the data of all tensors.
 *   {"conv.weight": {"dtype": "F32", "shape": [8, 3, 3, 3], "data_offsets": [0, 864]}, ...}
 * Source: github.com/huggingface/safetensors, format description. */
#include "onnx/onnx_internal.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_HEADER = 100 << 20, ALIGNMENT = 8 };

static const struct {
    const char *name;
    tq_dtype dtype;
} dtypes[] = {
    { "BOOL", TQ_BOOL }, { "U8", TQ_U8 },   { "I8", TQ_I8 },   { "U16", TQ_U16 }, { "I16", TQ_I16 },
    { "U32", TQ_U32 },   { "I32", TQ_I32 }, { "U64", TQ_U64 }, { "I64", TQ_I64 }, { "F16", TQ_F16 },
    { "BF16", TQ_BF16 }, { "F32", TQ_F32 }, { "F64", TQ_F64 },
};

/* ---- reading ---- */

static tq_status read_dtype(const cJSON *item, tq_dtype *out)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "dtype"));
    if (!name)
        return tq_fail(TQ_ERR_FORMAT, "has no dtype");
    for (int i = 0; i < TQ_COUNT(dtypes); i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *out = dtypes[i].dtype;
            return TQ_OK;
        }
    return tq_fail(TQ_ERR_UNSUPPORTED, "dtype '%s' is not supported", name);
}

/** A JSON number that is a count. */
static bool read_count(const cJSON *item, int64_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 0x1p53))
        return false;
    *out = (int64_t)item->valuedouble;
    return (double)*out == item->valuedouble;
}

static tq_status read_type(const cJSON *item, tq_type *out)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
    *out = (tq_type){ 0 };
    TQ_TRY(read_dtype(item, &out->dtype));
    if (!cJSON_IsArray(shape))
        return tq_fail(TQ_ERR_FORMAT, "has no shape");
    const cJSON *dim;
    cJSON_ArrayForEach(dim, shape)
    {
        if (out->rank == TQ_MAX_RANK)
            return tq_fail(TQ_ERR_UNSUPPORTED, "has more than %d dimensions", TQ_MAX_RANK);
        if (!read_count(dim, &out->dims[out->rank++]))
            return tq_fail(TQ_ERR_FORMAT, "its shape is not a list of sizes");
    }
    size_t size;
    return tq_type_size(out, &size);
}

static tq_status read_tensor(const cJSON *item, const uint8_t *data, size_t data_size,
                             tq_tensor *out)
{
    tq_type type;
    int64_t begin, end;
    size_t size = 0;
    TQ_TRY(read_type(item, &type));
    TQ_TRY(tq_type_size(&type, &size));
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    if (!cJSON_IsArray(offsets) || !read_count(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !read_count(cJSON_GetArrayItem(offsets, 1), &end) || begin > end)
        return tq_fail(TQ_ERR_FORMAT, "its data_offsets are not two positions");
    if ((uint64_t)end > data_size)
        return tq_fail(TQ_ERR_FORMAT, "its data ends at byte %" PRId64 ", the file has %zu", end,
                       data_size);
    if ((uint64_t)(end - begin) != size)
        return tq_fail(TQ_ERR_FORMAT, "has %" PRId64 " bytes, %s needs %zu", end - begin,
                       tq_type_text(&type).s, size);
    return tq_tensor_init_from(out, &type, data + begin);
}

typedef struct load {
    const char *path;
    tq_arena *arena;
    const uint8_t *data;
    size_t data_size;
    const cJSON *header;
    tq_name_set seen;
    int n;
    const char **names;
    tq_tensor *tensors;
} load;

static tq_status read_all(void *context)
{
    load *job = context;
    const int n = cJSON_GetArraySize(job->header);
    job->seen.arena = job->arena;
    job->names = TQ_NEW_N(job->arena, const char *, n + 1);
    job->tensors = TQ_NEW_N(job->arena, tq_tensor, n + 1);
    const cJSON *item;
    cJSON_ArrayForEach(item, job->header)
    {
        if (strcmp(item->string, "__metadata__") == 0)
            continue;
        const char *name = tq_arena_strdup(job->arena, item->string);
        if (!tq_name_set_add(&job->seen, name, 0))
            return tq_fail(TQ_ERR_FORMAT, "tensor '%s' is there twice", name);
        const tq_status status =
            read_tensor(item, job->data, job->data_size, &job->tensors[job->n]);
        if (status)
            return tq_wrap(status, "tensor '%s'", name);
        job->names[job->n++] = name;
    }
    return TQ_OK;
}

static tq_status parse_header(const uint8_t *bytes, size_t size, cJSON **out_header,
                              size_t *out_start)
{
    uint64_t length = 0;
    for (int i = 7; i >= 0 && size >= 8; i--)
        length = length << 8 | bytes[i];
    if (size < 8 || length > size - 8 || length > LARGEST_HEADER)
        return tq_fail(TQ_ERR_FORMAT, "not a safetensors file, or cut off");
    *out_header = cJSON_ParseWithLength((const char *)bytes + 8, (size_t)length);
    *out_start = 8 + (size_t)length;
    if (cJSON_IsObject(*out_header))
        return TQ_OK;
    cJSON_Delete(*out_header);
    return tq_fail(TQ_ERR_FORMAT, "not a safetensors file: its header is no JSON object");
}

static tq_status load_bytes(load *job, const uint8_t *bytes, size_t size)
{
    cJSON *header = NULL;
    size_t start = 0;
    TQ_TRY(parse_header(bytes, size, &header, &start));
    job->header = header;
    job->data = bytes + start;
    job->data_size = size - start;
    const tq_status status = tq_guard(read_all, job);
    for (int i = 0; status && job->tensors && i <= job->n; i++)
        tq_tensor_reset(&job->tensors[i]);
    cJSON_Delete(header);
    return status;
}

tq_status tq_safetensors_load(const char *path, tq_arena *arena, int *out_n,
                              const char ***out_names, tq_tensor **out_tensors)
{
    void *bytes;
    size_t size;
    TQ_TRY(tq_file_read(path, &bytes, &size));
    load job = { .path = path, .arena = arena };
    const tq_status status = load_bytes(&job, bytes, size);
    free(bytes);
    if (status)
        return tq_wrap(status, "cannot load '%s'", path);
    *out_n = job.n;
    *out_names = job.names;
    *out_tensors = job.tensors;
    return TQ_OK;
}

/* ---- writing ---- */

static const char *dtype_name(tq_dtype dtype)
{
    for (int i = 0; i < TQ_COUNT(dtypes); i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].name;
    return NULL;
}

static size_t size_of(const tq_tensor *tensor)
{
    return (size_t)tq_tensor_count(tensor) * tq_dtype_size(tensor->type.dtype);
}

static bool add_number(cJSON *array, double number)
{
    return cJSON_AddItemToArray(array, cJSON_CreateNumber(number));
}

static tq_status add_entry(cJSON *header, const tq_value *value, size_t *offset)
{
    const tq_tensor *tensor = tq_value_tensor(value);
    const char *dtype = dtype_name(tensor->type.dtype);
    if (!dtype)
        return tq_fail(TQ_ERR_UNSUPPORTED, "constant '%s' is %s, which safetensors has not",
                       tq_value_name(value), tq_dtype_name(tensor->type.dtype));
    cJSON *item = cJSON_AddObjectToObject(header, tq_value_name(value));
    bool ok = item && cJSON_AddStringToObject(item, "dtype", dtype);
    cJSON *shape = ok ? cJSON_AddArrayToObject(item, "shape") : NULL;
    for (int i = 0; shape && i < tensor->type.rank; i++)
        ok = ok && add_number(shape, (double)tensor->type.dims[i]);
    cJSON *offsets = ok && shape ? cJSON_AddArrayToObject(item, "data_offsets") : NULL;
    ok = offsets && add_number(offsets, (double)*offset) &&
         add_number(offsets, (double)(*offset + size_of(tensor)));
    *offset += size_of(tensor);
    return ok ? TQ_OK : tq_fail(TQ_ERR_MEMORY, "out of memory");
}

/** The header's text, padded with blanks so that the data is aligned; the caller frees it. */
static tq_status make_header(const tq_graph *graph, char **out_text, size_t *out_length)
{
    cJSON *header = cJSON_CreateObject();
    tq_status status = header ? TQ_OK : tq_fail(TQ_ERR_MEMORY, "out of memory");
    size_t offset = 0;
    for (int i = 0; !status && i < tq_graph_n_values(graph); i++)
        if (tq_value_is_const(tq_graph_value(graph, i)))
            status = add_entry(header, tq_graph_value(graph, i), &offset);
    char *text = status ? NULL : cJSON_PrintUnformatted(header);
    cJSON_Delete(header);
    if (status)
        return status;
    const size_t length = text ? strlen(text) : 0;
    *out_length = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *out_text = text ? realloc(text, *out_length + 1) : NULL;
    if (!*out_text) {
        free(text);
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    }
    memset(*out_text + length, ' ', *out_length - length);
    return TQ_OK;
}

static tq_status write_all(const tq_graph *graph, tq_file *file, const char *header, size_t length)
{
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (uint8_t)(length >> 8 * i);
    TQ_TRY(tq_file_put(file, prefix, sizeof prefix));
    TQ_TRY(tq_file_put(file, header, length));
    for (int i = 0; i < tq_graph_n_values(graph); i++) {
        const tq_tensor *tensor = tq_value_tensor(tq_graph_value(graph, i));
        if (tensor)
            TQ_TRY(tq_file_put(file, tensor->data, size_of(tensor)));
    }
    TQ_TRY(tq_file_finish(file));
    return tq_file_commit(file);
}

tq_status tq_safetensors_save(const tq_graph *graph, const char *path)
{
    char *header;
    size_t length;
    const tq_status failed = make_header(graph, &header, &length);
    if (failed)
        return tq_wrap(failed, "cannot write '%s'", path);
    tq_file file;
    tq_status status = tq_file_open(path, &file);
    if (!status)
        status = write_all(graph, &file, header, length);
    tq_file_close(&file);
    free(header);
    return status;
}
