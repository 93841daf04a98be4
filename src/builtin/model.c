/* Loading a model: import, then what makes of others' quantised networks ones of ours. */
#include <truq/edit.h>
#include <truq/model.h>
#include <truq/onnx.h>
#include <truq/tflite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tq_status check_dialect(const char *dialect)
{
    const size_t n = strlen(dialect);
    for (const char *known = TQ_DIALECTS; *known; known += strspn(known, ", ")) {
        const size_t n_known = strcspn(known, ",");
        if (n == n_known && memcmp(dialect, known, n) == 0)
            return TQ_OK;
        known += n_known;
    }
    return tq_fail(TQ_ERR_VALUE, "unknown dialect '%s'; known: " TQ_DIALECTS, dialect);
}

/** Is it what tq_graph_print writes: graph "NAME" {? */
static bool is_text(const char *path)
{
    static const char start[] = "graph \"";
    char head[sizeof start] = { 0 };
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    const size_t n = fread(head, 1, strlen(start), file);
    fclose(file);
    return n == strlen(start) && strcmp(head, start) == 0;
}

static tq_status parse(const tq_registry *registry, const char *text, size_t size, tq_graph **out)
{
    if (strlen(text) != size)
        return tq_fail(TQ_ERR_FORMAT, "byte %zu of the text is 0", strlen(text));
    if (strstr(text, " = crc32:"))
        return tq_fail(TQ_ERR_VALUE, "constants are elided to checksums; 'truq codegen' without "
                                     "--elements writes them whole");
    return tq_graph_parse(registry, text, out);
}

static tq_status import_text(const tq_registry *registry, const char *path, tq_graph **out)
{
    void *text;
    size_t size;
    TQ_TRY(tq_file_read(path, &text, &size));
    const tq_status status = parse(registry, text, size, out);
    free(text);
    return tq_wrap(status, "'%s'", path);
}

static tq_status import(const tq_registry *registry, const char *path, tq_graph **out)
{
    return tq_tflite_is_file(path) ? tq_tflite_import(registry, path, out)
           : is_text(path)         ? import_text(registry, path, out)
                                   : tq_onnx_import(registry, path, out);
}

tq_status tq_model_load(const tq_registry *registry, const char *path, const char *dialect,
                        tq_graph **out_graph)
{
    if (dialect)
        TQ_TRY(check_dialect(dialect));
    tq_graph *graph = NULL;
    TQ_TRY(import(registry, path, &graph));
    if (dialect)
        tq_graph_set_meta(graph, "dialect", dialect);
    tq_status status = tq_graph_verify(graph);
    if (!status)
        status = tq_pipeline_run(registry, "lift", &graph, NULL);
    if (status) {
        tq_graph_destroy(graph);
        return tq_wrap(status, "cannot load '%s'", path);
    }
    *out_graph = graph;
    return TQ_OK;
}
