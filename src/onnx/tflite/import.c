/* TensorFlow Lite models to graphs. The graph has the form of an ONNX network with QuantizeLinear
 * and DequantizeLinear: every operator computes reals, every quantised tensor of the file is a pair
 * behind the operator that makes it. Images are N, C, H, W, at inputs and outputs too; the batch is
 * free where the file says 1. Operators have no names in these files: they take that of what they
 * make. */
#include "tflite.h"

#include <truq/onnx.h>
#include <truq/tflite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- inputs and outputs ---- */

static tq_status add_input(tq_tflite_builder *b, int i)
{
    const int at = b->model->inputs[i];
    if (at < 0)
        return tq_fail(TQ_ERR_FORMAT, "graph input %d is no tensor", i);
    const tq_tflite_tensor *t = &b->model->tensors[at];
    tq_tflite_value *v = &b->values[at];
    if (v->real || t->data)
        return tq_fail(TQ_ERR_FORMAT, "graph input '%s' is given twice", t->name);
    if (t->type.dtype == TQ_NONE)
        return tq_fail(TQ_ERR_UNSUPPORTED, "graph input '%s' is of type %lld", t->name,
                       (long long)t->type_number);
    tq_type type = t->type;
    for (int d = 0; d < type.rank; d++)
        type.dims[tq_tflite_axis(type.rank, d)] = t->type.dims[d];
    if (type.rank > 1 && type.dims[0] == 1)
        type.dims[0] = TQ_DIM_ANY;
    TQ_TRY(tq_graph_add_input(b->graph, t->name, &type, &v->real));
    if (tq_dtype_is_float(type.dtype))
        return TQ_OK;
    if (t->n_scales != 1)
        return tq_fail(TQ_ERR_UNSUPPORTED, "graph input '%s' is %s with %lld scales, expected one",
                       t->name, tq_type_text(&t->type).s, (long long)t->n_scales);
    v->codes = v->real;
    b->name = tq_arena_printf(b->arena, "%s.dequantize", t->name);
    return tq_tflite_dequantize_input(b, t, v->codes, &v->real);
}

static tq_status add_output(tq_tflite_builder *b, int i)
{
    const int at = b->model->outputs[i];
    const tq_tflite_operator read = { .n_inputs = 1, .inputs = (int[]){ at } };
    tq_value *real;
    if (at < 0)
        return tq_fail(TQ_ERR_FORMAT, "graph output %d is no tensor", i);
    b->op = &read;
    b->name = b->model->tensors[at].name;
    TQ_TRY(tq_tflite_real(b, 0, &real));
    TQ_TRY(tq_tflite_quantize_output(b, &b->model->tensors[at], &b->values[at]));
    const tq_tflite_value *v = &b->values[at];
    tq_value *y = v->codes ? v->codes : v->real;
    if (v->codes && v->real != v->codes) { /* the interface has the name */
        const char *name = tq_arena_strdup(b->arena, tq_value_name(v->real));
        tq_value_set_name(v->real, tq_arena_printf(b->arena, "%s.real", name));
        tq_value_set_name(y, name);
    }
    tq_graph_add_output(b->graph, y);
    return TQ_OK;
}

/* ---- operators ---- */

static tq_status build(tq_tflite_builder *b)
{
    static tq_status (*const families[])(
        tq_tflite_builder *, bool *) = { tq_tflite_build_linear, tq_tflite_build_elementwise,
                                         tq_tflite_build_pool, tq_tflite_build_shape };
    bool known = false;
    for (int i = TQ_COUNT(families) - 1; i >= 0 && !known; i--)
        TQ_TRY(families[i](b, &known));
    if (known)
        return TQ_OK;
    if (*b->op->custom)
        return tq_fail(TQ_ERR_UNSUPPORTED, "custom operator '%s' is not supported", b->op->custom);
    return tq_fail(TQ_ERR_UNSUPPORTED, "%s is not supported", tq_tflite_operator_name(b->op->code));
}

static tq_status build_all(tq_tflite_builder *b)
{
    for (int i = 0; i < b->model->n_inputs; i++)
        TQ_TRY(add_input(b, i));
    for (int i = 0; i < b->model->n_operators; i++) {
        b->op = &b->model->operators[i];
        if (b->op->gone)
            continue;
        const tq_tflite_tensor *y = tq_tflite_output(b, 0);
        const size_t n = y ? strcspn(y->name, ";") : 0;
        b->name = n ? tq_arena_strndup(b->arena, y->name, n) : "operator";
        TQ_TRY(tq_wrap(build(b), "operator %d (%s, '%s')", i, tq_tflite_operator_name(b->op->code),
                       b->name));
    }
    for (int i = 0; i < b->model->n_outputs; i++)
        TQ_TRY(add_output(b, i));
    if (b->model->n_outputs == 0)
        return tq_fail(TQ_ERR_FORMAT, "the model has no output");
    return TQ_OK;
}

/* ---- one import, whatever happens in it ---- */

typedef struct import {
    const tq_flat *file;
    tq_tflite_builder builder;
} import;

static tq_status run(void *context)
{
    import *job = context;
    tq_tflite_builder *b = &job->builder;
    tq_tflite_model model;
    TQ_TRY(tq_tflite_read(job->file, b->arena, &model));
    tq_tflite_join_dilations(&model);
    b->model = &model;
    b->values = TQ_NEW_N(b->arena, tq_tflite_value, model.n_tensors + 1);
    tq_graph_set_meta(b->graph, "dialect", "tflite");
    TQ_TRY(build_all(b));
    tq_graph_sweep(b->graph);
    return tq_graph_verify(b->graph);
}

tq_status tq_tflite_import_bytes(const tq_registry *registry, const void *bytes, size_t size,
                                 const char *name, tq_graph **out_graph)
{
    const tq_flat file = { bytes, size };
import job = {.file = & file };
    job.builder.arena = tq_arena_create();
    job.builder.graph = tq_graph_create(registry);
    const tq_status status = tq_guard(run, &job);
    tq_arena_destroy(job.builder.arena);
    if (status) {
        tq_graph_destroy(job.builder.graph);
        return tq_wrap(status, "cannot import '%s'", name);
    }
    *out_graph = job.builder.graph;
    return TQ_OK;
}

tq_status tq_tflite_import(const tq_registry *registry, const char *path, tq_graph **out_graph)
{
    void *bytes;
    size_t size;
    TQ_TRY(tq_file_read(path, &bytes, &size));
    const tq_status status = tq_tflite_import_bytes(registry, bytes, size, path, out_graph);
    free(bytes);
    return status;
}

bool tq_tflite_is_file(const char *path)
{
    char head[8] = { 0 };
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    const size_t n = fread(head, 1, sizeof head, file);
    fclose(file);
    return n == sizeof head && memcmp(head + 4, "TFL3", 4) == 0;
}
