/* A quantiser right behind a quantiser with the same parameters and range does nothing: it goes
 * (DIANA's activation fuser). */
#include "passes/fake/fake.h"

#include <string.h>

enum { FIRST, SECOND };

static const tq_pattern pattern = {
    .n_nodes = 2,
    .nodes = {
        [FIRST] = { .op = "FakeQuantize" },
        [SECOND] = { .op = "FakeQuantize", .inputs = { TQ_FROM(FIRST) } },
    },
};

static bool accept(const tq_match *m)
{
    const tq_node *first = m->nodes[FIRST], *second = m->nodes[SECOND];
    const tq_attrs *a = tq_node_attrs(first), *b = tq_node_attrs(second);
    if (tq_node_n_inputs(first) != tq_node_n_inputs(second))
        return false;
    for (int i = 1; i < tq_node_n_inputs(first); i++)
        if (tq_node_input(first, i) != tq_node_input(second, i))
            return false;
    static const char *const same[] = { "q_min", "n_levels",    "step",
                                        "axis",  "free_offset", "power_of_two" };
    for (int i = 0; i < TQ_COUNT(same); i++)
        if (tq_attr_int(a, same[i]) != tq_attr_int(b, same[i]))
            return false;
    return strcmp(tq_attr_string(a, "quantizer"), tq_attr_string(b, "quantizer")) == 0;
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_value_redirect_consumers(tq_node_output(m->nodes[SECOND], 0),
                                tq_node_output(m->nodes[FIRST], 0));
    tq_graph_remove_node(graph, m->nodes[SECOND]);
    return TQ_OK;
}

const tq_editor tq_editor_fuse_activations = {
    .entry = { .name = "fuse-activations", .brief = "of two equal quantisers in a row one goes" },
    .stage = TQ_EDIT_FAKE,
    .after = "interpose-quantizers",
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
