/* The graph mode begins: observers stand where a recipe would put quantisers. The editors of F2F
 * place the quantisers, then each becomes an Observer with its range, granularity and slot; those
 * that shared parameters share a group. What a person quantised by hand (FakeQuantize,
 * QuantizeLinear and DequantizeLinear) stays, and nothing is observed beside it. Without a recipe
 * the ranges are those of pact8. A network that has observers is left as it is. */
#include "passes/fake/fake.h"
#include "passes/graph_mode/observed.h"
#include "rewrite/rewrite.h"

#include <truq/fake.h>

#include <stdlib.h>
#include <string.h>

bool tq_observed_statistics(const tq_node *observer, tq_statistics *out)
{
    const char *n = tq_node_meta(observer, "observed.n");
    const char *texts[] = { tq_node_meta(observer, "observed.min"),
                            tq_node_meta(observer, "observed.max"),
                            tq_node_meta(observer, "observed.mean"),
                            tq_node_meta(observer, "observed.m2") };
    double *const fields[] = { &out->min, &out->max, &out->mean, &out->m2 };
    tq_statistics_reset(out);
    if (!n)
        return false;
    out->n = strtoll(n, NULL, 10);
    for (int i = 0; i < TQ_COUNT(fields); i++) {
        if (!texts[i])
            return false;
        *fields[i] = strtod(texts[i], NULL);
    }
    return out->n > 0;
}

tq_range tq_observed_range(const tq_node *observer)
{
    tq_range range = tq_fake_range(tq_node_attrs(observer));
    range.step = 1;
    return range;
}

bool tq_is_on_written_grid(const tq_value *value)
{
    const tq_node *node = tq_value_producer(value);
    while (node && tq_node_has_flag(node, TQ_OP_MOVES) && !tq_node_is(node, "Concat") &&
           !tq_node_is(node, "Observer"))
        node = tq_value_producer(tq_node_input(node, 0));
    return node && (tq_node_is(node, "DequantizeLinear") || tq_node_is(node, "FakeQuantize"));
}

/* ---- quantisers become observers ---- */

typedef struct insertion {
    tq_graph *graph;
    tq_arena *arena;
    int n_before;
    const char **before; /* quantisers that a person placed */
} insertion;

static bool was_there(const insertion *in, const tq_node *node)
{
    for (int i = 0; i < in->n_before; i++)
        if (strcmp(in->before[i], tq_node_name(node)) == 0)
            return true;
    return false;
}

static void remember(insertion *in)
{
    in->before = TQ_NEW_N(in->arena, const char *, tq_graph_n_nodes(in->graph) + 1);
    for (const tq_node *node = tq_graph_first(in->graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "FakeQuantize"))
            in->before[in->n_before++] = tq_arena_strdup(in->arena, tq_node_name(node));
}

/* Parameters that several quantisers read name their group. */
static const char *group_of(const tq_node *fake)
{
    const tq_value *parameter = tq_node_input(fake, 1);
    int n = 0;
    for (int i = 0; i < tq_value_n_consumers(parameter); i++)
        n += tq_node_is(tq_value_consumer(parameter, i), "FakeQuantize");
    return n > 1 && tq_value_is_const(parameter) ? tq_value_name(parameter) : "";
}

/* A value whose every reader quantises it by hand, or that comes from codes, needs no observer. */
static bool is_quantized_by_hand(const tq_node *fake)
{
    const tq_value *x = tq_node_input(fake, 0), *y = tq_node_output(fake, 0);
    bool all = tq_value_n_consumers(y) > 0;
    for (int i = 0; i < tq_value_n_consumers(y); i++)
        all = all && tq_node_is(tq_value_consumer(y, i), "QuantizeLinear");
    return all || tq_is_on_written_grid(x);
}

static tq_status observe(const insertion *in, tq_node *fake, const char *group)
{
    static const char *const kept[] = { "q_min",
                                        "n_levels",
                                        "axis",
                                        "free_offset",
                                        "power_of_two",
                                        "observe",
                                        "unsigned_if_positive" };
    const tq_attrs *from = tq_node_attrs(fake);
    tq_value *x = tq_node_input(fake, 0), *y = tq_node_output(fake, 0);
    tq_attr attrs[TQ_COUNT(kept) + 4];
    int n = 0;
    for (int i = 0; i < TQ_COUNT(kept); i++)
        attrs[n++] = TQ_INT(kept[i], tq_attr_int(from, kept[i]));
    attrs[n++] = TQ_STRING("kind", tq_attr_string(from, "init"));
    attrs[n++] = TQ_STRING("name", tq_value_name(x));
    attrs[n++] = TQ_STRING("slot", tq_attr_string(from, "slot"));
    attrs[n++] = TQ_STRING("group", group);
    tq_node *observer;
    TQ_TRY(tq_graph_add_node(
        in->graph,
        &(tq_node_spec){ .op = "Observer",
                         .name = tq_arena_printf(in->arena, "%s.observer", tq_value_name(x)),
                         .inputs = &x,
                         .n_inputs = 1,
                         .attrs = attrs,
                         .n_attrs = n,
                         .before = fake },
        &observer));
    tq_value_redirect_consumers(y, tq_node_output(observer, 0));
    return TQ_OK;
}

static void bypass(const tq_node *fake)
{
    tq_value_redirect_consumers(tq_node_output(fake, 0), tq_node_input(fake, 0));
}

static tq_status replace_quantizers(const insertion *in, const tq_edit *edit)
{
    int n = 0;
    const char **groups = TQ_NEW_N(in->arena, const char *, tq_graph_n_nodes(in->graph) + 1);
    for (const tq_node *node = tq_graph_first(in->graph); node; node = tq_node_next(node), n++)
        groups[n] = tq_node_is(node, "FakeQuantize") ? group_of(node) : NULL;
    int i = 0, n_observers = 0;
    for (tq_node *node = tq_graph_first(in->graph), *next; node; node = next, i++) {
        next = tq_node_next(node);
        if (!groups[i] || was_there(in, node))
            continue;
        if (is_quantized_by_hand(node))
            bypass(node);
        else
            TQ_TRY(observe(in, node, groups[i]));
        n_observers++;
        tq_graph_remove_node(in->graph, node);
    }
    tq_graph_sweep(in->graph);
    tq_edit_log(edit, "%d observers inserted", n_observers);
    return TQ_OK;
}

/* ---- the editor ---- */

static tq_status place_quantizers(tq_graph *graph, const tq_edit *edit)
{
    static const char *const editors[] = { "quantize-weights", "quantize-activations",
                                           "harmonise-adds",   "quantize-pools",
                                           "quantize-concats", "quantize-inputs",
                                           "quantize-borders", "interpose-quantizers",
                                           "fuse-activations" };
    const tq_entry *entry;
    tq_edit own = { .registry = tq_graph_registry(graph), .recipe = edit->recipe };
    if (!own.recipe) {
        TQ_TRY(tq_registry_find(own.registry, TQ_KIND_RECIPE, "pact8", &entry));
        own.recipe = (const tq_recipe *)(const void *)entry;
    }
    for (int i = 0; i < TQ_COUNT(editors); i++) {
        TQ_TRY(tq_registry_find(own.registry, TQ_KIND_EDITOR, editors[i], &entry));
        TQ_TRY(tq_editor_apply((const tq_editor *)(const void *)entry, graph, &own, NULL));
    }
    return TQ_OK;
}

static bool is_under_way(const tq_graph *graph)
{
    if (tq_graph_meta(graph, "graph-mode"))
        return true;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "Observer"))
            return true;
    return false;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    if (is_under_way(graph))
        return TQ_OK;
    insertion in = { .graph = graph, .arena = tq_scratch_create() };
    remember(&in);
    tq_status status = place_quantizers(graph, edit);
    if (!status)
        status = replace_quantizers(&in, edit);
    tq_arena_destroy(in.arena);
    tq_graph_set_meta(graph, "graph-mode", "observers");
    return status;
}

const tq_editor tq_editor_insert_observers = {
    .entry = { .name = "insert-observers",
               .brief = "observers where a recipe would put quantisers" },
    .stage = TQ_EDIT_FAKE,
    .by_name = true,
    .run = run,
};
