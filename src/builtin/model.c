/* Loading a model: import, then what makes of others' quantised networks ones of ours. */
#include <truq/edit.h>
#include <truq/model.h>
#include <truq/onnx.h>
#include <truq/tflite.h>

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

tq_status tq_model_load(const tq_registry *registry, const char *path, const char *dialect,
                        tq_graph **out_graph)
{
    if (dialect)
        TQ_TRY(check_dialect(dialect));
    tq_graph *graph = NULL;
    TQ_TRY(tq_tflite_is_file(path) ? tq_tflite_import(registry, path, &graph)
                                   : tq_onnx_import(registry, path, &graph));
    if (dialect)
        tq_graph_set_meta(graph, "dialect", dialect);
    const tq_status status = tq_pipeline_run(registry, "lift", &graph, NULL);
    if (status) {
        tq_graph_destroy(graph);
        return tq_wrap(status, "cannot load '%s'", path);
    }
    *out_graph = graph;
    return TQ_OK;
}
