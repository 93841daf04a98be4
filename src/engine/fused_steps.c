/* Steps for fused layers. A value that layers make or read has a slot in a layout besides its own:
 * where a layer reads what no layer made, a step brings it into the layout first, and where anyone
 * else reads what a layer made, a step brings it back. The border of a layout is the largest that a
 * reader needs; a reader that needs another filling gets a copy. */
#include "engine/engine_internal.h"

#include <stdlib.h>

/** A value as layers hold it. */
typedef struct held {
    bool is_wanted; /* some layer reads it */
    tq_border border;
    tq_codes_layout layout;
    int slot; /* -1: not made yet */
} held;

typedef struct tq_fused_plan {
    int n_nodes;
    const tq_node **nodes;
    tq_fusion *fusions; /* [n_nodes]: of which the node is the last */
    bool *is_member;    /* [n_nodes] */
    held *values;       /* by slot of the value */
    struct by_address {
        const tq_node *node;
        int index;
    } * by_address;
} tq_fused_plan;

/* ---- nodes ------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    const uintptr_t x = (uintptr_t)((const struct by_address *)a)->node;
    const uintptr_t y = (uintptr_t)((const struct by_address *)b)->node;
    return x < y ? -1 : x > y;
}

static int index_of(const tq_fused_plan *f, const tq_node *node)
{
    const struct by_address wanted = { .node = node };
    const struct by_address *found =
        bsearch(&wanted, f->by_address, (size_t)f->n_nodes, sizeof wanted, compare);
    TQ_ASSERT(found);
    return found->index;
}

static void list_nodes(tq_plan *p, tq_fused_plan *f)
{
    const int n = tq_graph_n_nodes(p->engine->graph);
    f->nodes = TQ_NEW_N(p->scratch, const tq_node *, n + 1);
    f->fusions = TQ_NEW_N(p->scratch, tq_fusion, n + 1);
    f->is_member = TQ_NEW_N(p->scratch, bool, n + 1);
    f->by_address = TQ_NEW_N(p->scratch, struct by_address, n + 1);
    f->values = TQ_NEW_N(p->scratch, held, p->n_values + 1);
    for (const tq_node *node = tq_graph_first(p->engine->graph); node; node = tq_node_next(node)) {
        f->by_address[f->n_nodes] = (struct by_address){ node, f->n_nodes };
        f->nodes[f->n_nodes++] = node;
    }
    qsort(f->by_address, (size_t)n, sizeof *f->by_address, compare);
    for (int i = 0; i < p->n_values; i++)
        f->values[i].slot = -1;
}

/* ---- what to fuse ------------------------------------------------------------------------ */

static bool is_empty(const tq_border *b)
{
    return b->top == 0 && b->left == 0 && b->bottom == 0 && b->right == 0;
}

/** The first reader that needs a border decides what fills it. */
static void want(held *value, const tq_border *need)
{
    value->is_wanted = true;
    if (is_empty(need) || (!is_empty(&value->border) && value->border.fill != need->fill))
        return;
    value->border = tq_border_join(&value->border, need);
}

tq_status tq_plan_fuse(tq_plan *p)
{
    const tq_engine_options *options = &p->engine->options;
    if (options->keep_all || options->reference_only || options->constants_change)
        return TQ_OK;
    tq_fused_plan *f = p->fused = TQ_NEW(p->scratch, tq_fused_plan);
    list_nodes(p, f);
    for (int i = 0; i < f->n_nodes; i++) {
        tq_fusion *fusion = &f->fusions[i];
        TQ_TRY(tq_engine_wrap(tq_engine_match(f->nodes[i], fusion), f->nodes[i]));
        if (!fusion->layer)
            continue;
        for (int k = 0; k < fusion->n_members; k++)
            f->is_member[index_of(f, fusion->members[k])] = true;
        for (int k = 0; k < fusion->layer->n_in; k++)
            want(&f->values[tq_plan_slot(p, fusion->in[k])], &fusion->layer->need[k]);
    }
    return TQ_OK;
}

void tq_plan_drop_fusions(tq_plan *p)
{
    for (int i = 0; p->fused && i < p->fused->n_nodes; i++)
        tq_layer_destroy(p->fused->fusions[i].layer);
}

/* ---- steps ------------------------------------------------------------------------------ */

static int add_slot(tq_engine *engine, const tq_codes_layout *layout)
{
    engine->slots[engine->n_slots] =
        (tq_slot){ .place = TQ_PLACE_BLOCK, .first = -1, .last = -1, .size = layout->size };
    return engine->n_slots++;
}

static tq_codes_layout layout_of(const tq_value *value, const tq_border *border)
{
    return tq_codes_layout_make(tq_value_type(value), border);
}

/** A step that owns `layer`, whose layouts are known. */
static tq_step *add_step(tq_plan *p, const tq_node *node, tq_layer *layer, const int *in, int out)
{
    tq_engine *engine = p->engine;
    tq_step *step = &engine->steps[engine->n_steps++];
    *step = (tq_step){ .node = node, .layer = layer };
    step->in = TQ_NEW_N(engine->arena, int, TQ_LAYER_MAX_INPUTS);
    step->out = TQ_NEW_N(engine->arena, int, 1);
    for (int i = 0; i < layer->n_in; i++)
        step->in[i] = in[i];
    step->out[0] = out;
    step->run = (tq_op_run){ .n_in = layer->n_in,
                             .n_out = 1,
                             .in = TQ_NEW_N(engine->arena, const void *, TQ_LAYER_MAX_INPUTS),
                             .out = TQ_NEW_N(engine->arena, void *, 1),
                             .pool = engine->options.pool };
    layer->kind->place(layer);
    return step;
}

/** Makes sure that the value lies in its layout. */
static tq_status hold(tq_plan *p, const tq_node *node, const tq_value *value)
{
    const int plain = tq_plan_slot(p, value);
    held *h = &p->fused->values[plain];
    if (h->slot >= 0)
        return TQ_OK;
    tq_layer *layer;
    TQ_TRY(tq_layer_pack_create(&layer));
    h->layout = layer->out = layout_of(value, &h->border);
    h->slot = add_slot(p->engine, &h->layout);
    add_step(p, node, layer, &plain, h->slot);
    return TQ_OK;
}

/** Input k of a layer: the value's layout, or a copy with the filling that the layer needs. */
static tq_status bind_input(tq_plan *p, const tq_node *node, tq_fusion *fusion, int k,
                            int *out_slot)
{
    TQ_TRY(hold(p, node, fusion->in[k]));
    const held *h = &p->fused->values[tq_plan_slot(p, fusion->in[k])];
    const tq_border *need = &fusion->layer->need[k];
    *out_slot = h->slot;
    fusion->layer->in[k] = h->layout;
    if (is_empty(need) || h->layout.border.fill == need->fill)
        return TQ_OK;
    tq_layer *move;
    TQ_TRY(tq_layer_move_create(&move));
    move->in[0] = h->layout;
    fusion->layer->in[k] = move->out = layout_of(fusion->in[k], need);
    *out_slot = add_slot(p->engine, &move->out);
    add_step(p, node, move, &h->slot, *out_slot);
    return TQ_OK;
}

/** Does anyone but layers read the value? */
static bool is_read_plain(const tq_plan *p, const tq_value *value)
{
    for (int i = 0; i < tq_value_n_consumers(value); i++)
        if (!p->fused->is_member[index_of(p->fused, tq_value_consumer(value, i))])
            return true;
    return tq_value_is_output(value);
}

static tq_status add_unpack(tq_plan *p, const tq_node *node, const held *h, int plain)
{
    tq_layer *layer;
    TQ_TRY(tq_layer_unpack_create(&layer));
    layer->in[0] = h->layout;
    add_step(p, node, layer, &h->slot, plain);
    return TQ_OK;
}

static tq_status add_fusion(tq_plan *p, const tq_node *node, tq_fusion *fusion)
{
    int in[TQ_LAYER_MAX_INPUTS];
    tq_layer *layer = fusion->layer;
    for (int k = 0; k < layer->n_in; k++)
        TQ_TRY(bind_input(p, node, fusion, k, &in[k]));
    const int plain = tq_plan_slot(p, fusion->out);
    held *h = &p->fused->values[plain];
    int64_t macs = 0;
    for (int k = 0; k < fusion->n_members; k++)
        macs += tq_node_macs(fusion->members[k]);
    fusion->layer = NULL; /* the step owns it */
    if (layer->is_out_plain) {
        add_step(p, node, layer, in, plain)->macs = macs;
        return TQ_OK;
    }
    h->layout = layer->out = layout_of(fusion->out, &h->border);
    h->slot = add_slot(p->engine, &h->layout);
    add_step(p, node, layer, in, h->slot)->macs = macs;
    if (is_read_plain(p, fusion->out))
        return add_unpack(p, node, h, plain);
    p->engine->slots[plain].place = TQ_PLACE_NOWHERE;
    return TQ_OK;
}

tq_status tq_plan_add_fused(tq_plan *p, int index, bool *out_taken)
{
    tq_fused_plan *f = p->fused;
    *out_taken = f && f->is_member[index];
    if (!*out_taken)
        return TQ_OK;
    if (f->fusions[index].layer)
        return tq_engine_wrap(add_fusion(p, f->nodes[index], &f->fusions[index]), f->nodes[index]);
    for (int i = 0; i < tq_node_n_outputs(f->nodes[index]); i++) {
        const int slot = tq_plan_slot(p, tq_node_output(f->nodes[index], i));
        if (slot >= 0)
            p->engine->slots[slot].place = TQ_PLACE_NOWHERE;
    }
    return TQ_OK;
}
