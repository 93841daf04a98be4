/* Memory that runs out at each allocation in turn: import, export and weights end in one error and
 * leak nothing (the sanitiser build would say so). This program's tq_allocate takes the place of
 * the library's. */
#include "check.h"
#include "base/base.h"

static int n_left = INT32_MAX; /* allocations that still succeed */

void *tq_allocate(size_t size)
{
    return n_left-- > 0 ? calloc(1, size ? size : 1) : NULL;
}

/** Runs the body with 0, 1, 2, ... allocations until it succeeds. */
static void check_failures(tq_status (*body)(void))
{
    for (int n = 0; n < 5000; n++) {
        n_left = n;
        const tq_status status = body();
        n_left = INT32_MAX;
        if (!status)
            return;
        CHECK_EQ(tq_status_code(status), TQ_ERR_MEMORY, "%s", tq_status_text(status));
        tq_status_drop(status);
    }
    check_fail(__FILE__, __LINE__, "never succeeds");
}

static tq_graph *graph;
static const char *path;

static tq_status export(void)
{
    return tq_onnx_export(graph, path, 10);
}

TEST(an_export_without_memory_ends_cleanly)
{
    static char text[1024];
    snprintf(text, sizeof text, "%s/m.onnx", check_folder());
    path = text;
    graph = check_graph("input x: f32[1,4] const lo: f32[] = {0} y = Clip(x, lo)");
    check_failures(export);
    tq_graph_destroy(graph);
}
