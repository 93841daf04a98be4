/* The files: the annotated network, its configuration, and the features of every fused layer for
 * one input, against which the target checks itself. Features are one integer a line, H, W, C
 * order. */
#include "backends/dory/dory_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>

#include <truq/engine.h>
#include <truq/onnx.h>

typedef struct writer {
    const dory_net *net;
    const tq_export_request *request;
    int n_written;
    size_t capacity;
    const char **written;
} writer;

static tq_status write_file(writer *w, const char *name, const char *text, size_t size)
{
    const char *path = tq_arena_printf(w->net->arena, "%s/%s", w->request->folder, name);
    TQ_TRY(tq_file_write(path, text, size));
    TQ_PUSH(w->net->arena, w->written, w->n_written, w->capacity, path);
    return TQ_OK;
}

/* ---- features ---- */

static void print_elements(FILE *out, const tq_tensor *x)
{
    const int64_t *d = x->type.dims;
    if (x->type.rank != 4) {
        for (int64_t i = 0; i < tq_tensor_count(x); i++)
            fprintf(out, "%" PRId64 ",\n", tq_load_i64(x->data, x->type.dtype, i));
        return;
    }
    for (int64_t h = 0; h < d[2]; h++)
        for (int64_t i = 0; i < d[3]; i++)
            for (int64_t c = 0; c < d[1]; c++)
                fprintf(out, "%" PRId64 ",\n",
                        tq_load_i64(x->data, x->type.dtype, (c * d[2] + h) * d[3] + i));
}

static tq_status write_features(writer *w, const char *file, const char *title, const tq_tensor *x)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    fprintf(out, "# %s (shape [", title);
    for (int i = 0; i < x->type.rank; i++)
        fprintf(out, "%s%" PRId64, i ? ", " : "", x->type.dims[i]);
    fputs("]),\n", out);
    print_elements(out, x);
    tq_status status = fclose(out) == 0 ? TQ_OK : tq_fail(TQ_ERR_MEMORY, "out of memory");
    if (!status)
        status = write_file(w, file, text, size);
    free(text);
    return status;
}

static tq_status write_all_features(writer *w, const tq_engine *engine)
{
    TQ_TRY(write_features(w, "input.txt", "input", &w->request->inputs[0]));
    for (int i = 0; i < w->net->n; i++) {
        const dory_layer *layer = &w->net->layers[i];
        const tq_tensor *x = tq_engine_value(engine, tq_value_name(layer->result));
        if (!x)
            return tq_fail(TQ_ERR_CHECK, "value '%s' was not kept", tq_value_name(layer->result));
        const char *file = tq_arena_printf(w->net->arena, "out_layer%d.txt", i);
        TQ_TRY(write_features(w, file, layer->name, x));
    }
    return write_features(w, "output.txt", "output", tq_engine_output(engine, 0));
}

static tq_status run_and_write(writer *w)
{
    const tq_export_request *r = w->request;
    tq_engine *engine;
    TQ_TRY(tq_engine_create(w->net->graph, &r->inputs[0].type, 1,
                            &(tq_engine_options){ .keep_all = true }, &engine));
    tq_status status = tq_engine_run(engine, r->inputs, 1, 0);
    if (!status)
        status = write_all_features(w, engine);
    tq_engine_destroy(engine);
    return status;
}

/* ---- configuration ---- */

static tq_status write_config(writer *w, const char *onnx_file)
{
    cJSON *json = cJSON_CreateObject();
    const bool is_signed = tq_value_type(tq_graph_input(w->net->graph, 0))->dtype == TQ_I8;
    cJSON_AddNumberToObject(json, "BNRelu_bits", 64);
    cJSON_AddStringToObject(json, "onnx_file", onnx_file);
    cJSON_AddNumberToObject(json, "code reserved space", 160000);
    cJSON_AddNumberToObject(json, "n_inputs", 1);
    cJSON_AddNumberToObject(json, "input_bits", 8);
    cJSON_AddBoolToObject(json, "input_signed", is_signed);
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    if (!text)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    const char *file = tq_arena_printf(w->net->arena, "config_%s.json", w->request->name);
    const tq_status status = write_file(w, file, text, strlen(text));
    cJSON_free(text);
    return status;
}

static tq_status write_network(writer *w, const tq_graph *spelt, const char *onnx_file)
{
    const char *path = tq_arena_printf(w->net->arena, "%s/%s", w->request->folder, onnx_file);
    TQ_TRY(tq_onnx_export(spelt, path, 10));
    TQ_PUSH(w->net->arena, w->written, w->n_written, w->capacity, path);
    return TQ_OK;
}

tq_status dory_write(const dory_net *net, const tq_graph *spelt, const tq_export_request *request)
{
    writer w = { .net = net, .request = request };
    if (mkdir(request->folder, 0777) != 0 && errno != EEXIST)
        return tq_fail(TQ_ERR_IO, "cannot create '%s': %s", request->folder, strerror(errno));
    const char *onnx_file = tq_arena_printf(net->arena, "%s_ql_integerized.onnx", request->name);
    tq_status status = write_network(&w, spelt, onnx_file);
    if (!status)
        status = write_config(&w, onnx_file);
    if (!status)
        status = run_and_write(&w);
    for (int i = 0; status && i < w.n_written; i++)
        remove(w.written[i]); /* nothing half-written */
    return status;
}
