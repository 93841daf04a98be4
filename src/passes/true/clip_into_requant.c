/* A clip behind a requantisation narrows its bounds: clip(clip(x, a, b), c, d) = clip(x, c', d')
 * with c', d' the bounds c, d brought into [a, b]. Exact. */
#include <truq/edit.h>
#include <truq/op.h>

enum { REQUANT, CLIP };

static const tq_tensor *bound(const tq_node *clip, int i)
{
    return tq_node_n_inputs(clip) > i && tq_node_input(clip, i)
               ? tq_value_tensor(tq_node_input(clip, i))
               : NULL;
}

/* Bounds that are there are single constants. */
static bool is_constant(const tq_node *clip)
{
    for (int i = 1; i <= 2; i++)
        if (tq_node_n_inputs(clip) > i && tq_node_input(clip, i) &&
            (!bound(clip, i) || tq_tensor_count(bound(clip, i)) != 1))
            return false;
    return true;
}

static const tq_pattern pattern = {
    .n_nodes = 2,
    .nodes = {
        [REQUANT] = { .op = "Requant", .sole_consumer = true },
        [CLIP] = { .op = "Clip", .inputs = { TQ_FROM(REQUANT) }, .accept = is_constant },
    },
};

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    tq_node *requant = m->nodes[REQUANT], *clip = m->nodes[CLIP];
    const int64_t lo = tq_attr_int(tq_node_attrs(requant), "q_min");
    const int64_t hi = tq_attr_int(tq_node_attrs(requant), "q_max");
    const tq_tensor *c = bound(clip, 1), *d = bound(clip, 2);
    const int64_t min = c ? tq_clip_i64(tq_load_i64(c->data, c->type.dtype, 0), lo, hi) : lo;
    const int64_t max = d ? tq_clip_i64(tq_load_i64(d->data, d->type.dtype, 0), lo, hi) : hi;
    tq_node_set_attr(requant, &TQ_INT("q_min", min < max ? min : max));
    tq_node_set_attr(requant, &TQ_INT("q_max", max));
    tq_value_set_meta(tq_node_output(requant, 0), "quant.of", /* it stands for the clipped one */
                      tq_value_meta(tq_node_output(clip, 0), "quant.of"));
    tq_value_redirect_consumers(tq_node_output(clip, 0), tq_node_output(requant, 0));
    tq_graph_remove_node(graph, clip);
    return TQ_OK;
}

const tq_editor tq_editor_clip_into_requant = {
    .entry = { .name = "clip-into-requant",
               .brief = "a clip behind a requantisation narrows its bounds; bit-exact" },
    .stage = TQ_EDIT_CLEAN,
    .by_name = true,
    .pattern = &pattern,
    .apply = apply,
};
