/* Which node runs where: the backend's table (for networks that are not integers yet: what becomes
 * of the node on the dry road) decides, a list of operators may narrow it. Devices that are written
 * already stay: a person may have placed them. */
#include "passes/device/device_internal.h"

#include "rewrite/rewrite.h"

#include <string.h>

/* Is `op` an item of "Conv,Relu"? */
static bool is_listed(const char *list, const char *op)
{
    const size_t n = strlen(op);
    for (const char *at = list; at && *at;) {
        const char *comma = strchr(at, ',');
        const size_t length = comma ? (size_t)(comma - at) : strlen(at);
        if (length == n && strncmp(at, op, n) == 0)
            return true;
        at = comma ? comma + 1 : NULL;
    }
    return false;
}

static bool may_leave(const tq_graph *graph, const tq_node *node)
{
    const char *list = tq_graph_meta(graph, "device.ops");
    return !list || is_listed(list, tq_node_op_name(node)) ||
           is_listed(list, tq_recipe_type_name(node));
}

/* A quantiser goes with what stands beside it. */
static bool goes_along(const tq_node *node)
{
    return tq_node_is(node, "FakeQuantize") || tq_node_is(node, "WeightRange") ||
           tq_node_is(node, "Observer");
}

/* `why` not: NULL if the device takes the node. */
static void place(tq_node *node, const tq_backend *backend, const char *why, int *n_placed)
{
    if (tq_node_meta(node, "device") || goes_along(node))
        return;
    tq_node_set_meta(node, "device", why ? "cpu" : backend->entry.name);
    tq_node_set_meta(node, "device.why", why);
    *n_placed += !why;
}

/* Integers are there because they were given to the target: the list, which names operators on
 * reals, was asked then. */
static void place_integers(tq_graph *graph, const tq_backend *backend, int *n_placed)
{
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        const tq_status status = tq_backend_check_node(backend, node);
        place(node, backend, status ? tq_status_text(status) : NULL, n_placed);
        tq_status_drop(status);
    }
}

static tq_status place_reals(tq_graph *graph, const tq_backend *backend, const tq_edit *edit,
                             int *n_placed)
{
    tq_arena *arena = tq_scratch_create();
    tq_feasibility f;
    const tq_status status = tq_feasibility_run(graph, backend, edit->recipe, arena, &f);
    int i = 0;
    for (tq_node *node = tq_graph_first(graph); node && !status; node = tq_node_next(node), i++) {
        const char *why = f.nodes[i].verdict == TQ_NEVER_RUNS ? f.nodes[i].why : NULL;
        if (!may_leave(graph, node))
            why = tq_arena_printf(arena, "%s is not among the operators for the device",
                                  tq_node_op_name(node));
        place(node, backend, why, n_placed);
    }
    tq_arena_destroy(arena);
    return status;
}

static bool all_placed(const tq_graph *graph)
{
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (!tq_node_meta(node, "device") && !goes_along(node))
            return false;
    return true;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const char *name = tq_graph_meta(graph, "device.backend");
    const tq_entry *entry;
    int n_placed = 0;
    TQ_TRY(tq_registry_find(tq_graph_registry(graph), TQ_KIND_BACKEND, name ? name : "generic",
                            &entry));
    const tq_backend *backend = (const tq_backend *)(const void *)entry;
    if (all_placed(graph))
        return TQ_OK;
    if (tq_is_integer_network(graph))
        place_integers(graph, backend, &n_placed);
    else
        TQ_TRY(place_reals(graph, backend, edit, &n_placed));
    tq_edit_log(edit, "%d of %d nodes placed on '%s'", n_placed, tq_graph_n_nodes(graph),
                backend->entry.name);
    return TQ_OK;
}

const tq_editor tq_editor_assign_devices = {
    .entry = { .name = "assign-devices",
               .brief = "notes with each node whether the backend or the cpu runs it" },
    .stage = TQ_EDIT_CANONICALISE,
    .annotates = true,
    .by_name = true,
    .run = run,
};
