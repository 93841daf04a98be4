/* Leaving: sample codes, and the files of a backend. */
#include "train/road/road_internal.h"

#include <truq/onnx.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { SAMPLE_SEED = 1 }; /* of the input that is used when none is given */

tq_status tq_folder_create(const char *path)
{
    tq_arena *arena = tq_scratch_create();
    char *part = tq_arena_strdup(arena, path);
    bool failed = false;
    for (char *c = part + 1; *part && !failed; c++) {
        const char here = *c;
        if (here && here != '/')
            continue;
        *c = 0;
        failed = mkdir(part, 0777) != 0 && errno != EEXIST;
        *c = here;
        if (!here)
            break;
    }
    const int error = failed ? errno : ENOTDIR;
    struct stat info;
    const bool is_folder = !failed && stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    tq_arena_destroy(arena);
    return is_folder ? TQ_OK
                     : tq_fail(TQ_ERR_IO, "cannot create folder '%s': %s", path, strerror(error));
}

tq_status tq_sample_codes(const tq_graph *graph, const tq_preset *preset, const tq_sample *sample,
                          tq_tensor *out_codes)
{
    if (tq_graph_n_inputs(graph) != 1)
        return tq_fail(TQ_ERR_UNSUPPORTED, "the network has %d inputs; a sample is one",
                       tq_graph_n_inputs(graph));
    const tq_type *type = tq_value_type(tq_graph_input(graph, 0));
    tq_loader_options options = { .preset = preset, .batch = 1 };
    if (type->rank == 4 && type->dims[2] > 0 && type->dims[3] > 0) {
        options.height = type->dims[2];
        options.width = type->dims[3];
    }
    if (type->rank > 0)
        options.sample_type = tq_type_make(TQ_F32, type->rank - 1, type->dims + 1);
    tq_random random;
    tq_random_init(&random, SAMPLE_SEED, 0, 0);
    tq_tensor x, codes;
    TQ_TRY(tq_preset_apply(tq_graph_registry(graph), &options, sample, &random, &x));
    tq_type batched = { .dtype = x.type.dtype, .rank = x.type.rank + 1, .dims = { 1 } };
    memcpy(batched.dims + 1, x.type.dims, sizeof batched.dims - sizeof batched.dims[0]);
    x.type = batched;
    tq_status status = tq_feed(graph, 0, &x, &codes);
    if (!status)
        status = tq_tensor_copy(&codes, out_codes); /* it may borrow x */
    tq_tensor_reset(&codes);
    tq_tensor_reset(&x);
    return status;
}

/* ---- random codes ---- */

static tq_status random_codes(const tq_graph *graph, int i, tq_tensor *out)
{
    const tq_value *value = tq_graph_input(graph, i);
    tq_type type = *tq_value_type(value);
    if (type.rank > 0 && type.dims[0] == TQ_DIM_ANY)
        type.dims[0] = 1;
    if (!tq_type_is_known(&type))
        return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s; give a sample, its shape is not known",
                       tq_value_name(value), tq_type_text(&type).s);
    const bool integer = tq_dtype_is_integer(type.dtype);
    int64_t lo = integer ? tq_clip_i64(tq_dtype_min(type.dtype), -128, 0) : 0;
    int64_t hi = integer ? tq_clip_i64(tq_dtype_max(type.dtype), 1, lo ? 127 : 255) : 255;
    tq_value_meta_i64(value, "quant.q_min", &lo);
    tq_value_meta_i64(value, "quant.q_max", &hi);
    if (hi < lo || hi - lo >= INT64_C(1) << 32)
        return tq_fail(TQ_ERR_VALUE, "input '%s': its codes are said to span %lld to %lld",
                       tq_value_name(value), (long long)lo, (long long)hi);
    TQ_TRY(tq_tensor_init(out, &type));
    tq_random random;
    tq_random_init(&random, SAMPLE_SEED, 0, (uint64_t)i);
    for (int64_t k = 0; k < tq_tensor_count(out); k++)
        tq_store_i64(out->data, type.dtype, k, lo + tq_random_below(&random, hi - lo + 1));
    return TQ_OK;
}

/* ---- writing ---- */

/** The network's name as it may stand in a file name. */
static const char *file_name(const tq_graph *graph, tq_arena *arena)
{
    const char *text = tq_graph_name(graph);
    char *name = tq_arena_strndup(arena, text && *text ? text : "network", 64);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
            *c = '_';
    return name;
}

static tq_status check(const tq_graph *graph, const tq_backend *backend)
{
    if (tq_graph_stage(graph) != TQ_STAGE_TRUE)
        return tq_fail(TQ_ERR_STATE, "it is a %s network; run 'truq f2t' first",
                       tq_stage_name(tq_graph_stage(graph)));
    return tq_backend_check_graph(backend, graph);
}

static tq_status write_files(const tq_graph *graph, const tq_backend *backend,
                             const tq_export_request *request, tq_arena *arena)
{
    const char *wrote =
        tq_arena_printf(arena, "wrote %s: what %s takes", request->folder, backend->entry.name);
    if (backend->export_files) {
        TQ_TRY(backend->export_files(graph, request));
    } else {
        TQ_TRY(tq_folder_create(request->folder));
        const char *path = tq_arena_printf(arena, "%s/%s.onnx", request->folder, request->name);
        TQ_TRY(tq_onnx_export(graph, path, 0));
        wrote = tq_arena_printf(arena, "wrote %s", path);
    }
    if (request->log)
        request->log(request->context, wrote);
    return TQ_OK;
}

tq_status tq_export_run(const tq_graph *graph, const char *backend, const tq_tensor *inputs,
                        const char *folder, void (*log)(void *context, const char *line),
                        void *context)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(tq_graph_registry(graph), TQ_KIND_BACKEND, backend, &entry));
    const tq_backend *target = (const tq_backend *)(const void *)entry;
    TQ_TRY(check(graph, target));
    tq_arena *arena = tq_scratch_create();
    const int n = tq_graph_n_inputs(graph);
    tq_tensor *random = TQ_NEW_N(arena, tq_tensor, n);
    tq_status status = TQ_OK;
    for (int i = 0; i < n && !inputs && !status; i++)
        status = random_codes(graph, i, &random[i]);
    const tq_export_request request = { .folder = folder,
                                        .name = file_name(graph, arena),
                                        .inputs = inputs ? inputs : random,
                                        .n_inputs = n,
                                        .registry = tq_graph_registry(graph),
                                        .log = log,
                                        .context = context };
    if (!status)
        status = write_files(graph, target, &request, arena);
    for (int i = 0; i < n; i++)
        tq_tensor_reset(&random[i]);
    tq_arena_destroy(arena);
    return status;
}
