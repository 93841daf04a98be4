/* Where activations lie. A value lives from the step that writes it to the last step that reads it;
 * values whose lives do not meet may share bytes. Largest first, each goes into the tightest gap
 * between those already placed that live at the same time (greedy by size; Pisarchyk and Lee, 2020,
 * arXiv:2001.03288). Ties go by order of creation, so the layout is a function of the graph alone.
 */
#include "engine/engine_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

static bool moves_nothing(const tq_node *node)
{
    static const char *const names[] = { "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity" };
    for (int i = 0; i < TQ_COUNT(names); i++)
        if (tq_node_is(node, names[i]))
            return true;
    return false;
}

/** The slot whose bytes slot `s` reads in the end. */
static int root_of(const tq_engine *engine, int s)
{
    while (engine->slots[s].place == TQ_PLACE_ALIAS)
        s = engine->slots[s].source;
    return s;
}

/** Reshape and its like: the output is the input's bytes under another shape, unless it must
 * outlive the run. */
static void find_aliases(tq_engine *engine)
{
    for (int i = 0; i < engine->n_steps; i++) {
        tq_step *step = &engine->steps[i];
        if (step->layer || step->phase || !moves_nothing(step->node) || step->in[0] < 0 ||
            step->out[0] < 0)
            continue;
        const tq_type *from = &engine->slots[step->in[0]].tensor.type;
        tq_slot *to = &engine->slots[step->out[0]];
        if (to->place != TQ_PLACE_BLOCK || from->dtype != to->tensor.type.dtype ||
            tq_type_count(from) != tq_type_count(&to->tensor.type))
            continue;
        to->place = TQ_PLACE_ALIAS;
        to->source = step->in[0];
        step->skip = true;
    }
}

static void find_lives(tq_engine *engine)
{
    for (int i = 0; i < engine->n_steps; i++) {
        const tq_step *step = &engine->steps[i];
        for (int k = 0; k < step->run.n_out; k++)
            if (step->out[k] >= 0) {
                tq_slot *slot = &engine->slots[root_of(engine, step->out[k])];
                slot->first = slot->first < 0 ? i : slot->first;
                slot->last = i;
            }
        for (int k = 0; k < step->run.n_in; k++)
            if (step->in[k] >= 0)
                engine->slots[root_of(engine, step->in[k])].last = i;
    }
}

/* ---- offsets ---------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    const tq_slot *x = *(tq_slot *const *)a, *y = *(tq_slot *const *)b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x < y ? -1 : x > y; /* slots are one array in order of creation */
}

static bool live_together(const tq_slot *a, const tq_slot *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/** Start of the smallest gap that holds `slot` among `placed` (in order of offset), or the end. */
static size_t best_offset(const tq_slot *slot, tq_slot *const *placed, int n)
{
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (int i = 0; i < n; i++) {
        if (!live_together(slot, placed[i]))
            continue;
        const size_t gap = placed[i]->offset > end ? placed[i]->offset - end : 0;
        if (gap >= slot->size && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        const size_t after = placed[i]->offset + placed[i]->size;
        end = after > end ? after : end;
    }
    return best == SIZE_MAX ? end : best;
}

static void insert_by_offset(tq_slot **placed, int n, tq_slot *slot)
{
    int i = n;
    for (; i > 0 && placed[i - 1]->offset > slot->offset; i--)
        placed[i] = placed[i - 1];
    placed[i] = slot;
}

static void assign_offsets(tq_engine *engine, tq_slot **slots, int n, tq_slot **placed)
{
    qsort(slots, (size_t)n, sizeof(tq_slot *), by_size);
    size_t end = 0;
    for (int i = 0; i < n; i++) {
        /* keep_all: nothing shares, each follows the one before */
        slots[i]->offset = engine->options.keep_all ? end : best_offset(slots[i], placed, i);
        if (!engine->options.keep_all)
            insert_by_offset(placed, i, slots[i]);
        const size_t after = slots[i]->offset + slots[i]->size;
        end = after > end ? after : end;
    }
    engine->block_size = end;
}

static tq_status place_block(tq_engine *engine)
{
    tq_slot **slots = TQ_NEW_N(engine->arena, tq_slot *, engine->n_slots + 1);
    tq_slot **placed = TQ_NEW_N(engine->arena, tq_slot *, engine->n_slots + 1);
    int n = 0;
    for (int i = 0; i < engine->n_slots; i++) {
        tq_slot *slot = &engine->slots[i];
        if (slot->place != TQ_PLACE_BLOCK)
            continue;
        if (slot->size == 0)
            TQ_TRY(tq_type_size(&slot->tensor.type, &slot->size));
        slot->size = (slot->size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        slots[n++] = slot;
    }
    assign_offsets(engine, slots, n, placed);
    TQ_TRY(
        tq_wrap(tq_buffer_create(engine->block_size + ALIGNMENT, &engine->block), "activations"));
    for (int i = 0; i < n; i++)
        slots[i]->tensor.data = (char *)tq_buffer_data(engine->block) + slots[i]->offset;
    return TQ_OK;
}

/* ---- outputs ---------------------------------------------------------------------------- */

static tq_status place_outputs(tq_engine *engine)
{
    for (int i = 0; i < engine->n_slots; i++) {
        tq_slot *slot = &engine->slots[i];
        const tq_type type = slot->tensor.type;
        if (slot->place == TQ_PLACE_OUTPUT)
            TQ_TRY(tq_tensor_init(&slot->tensor, &type));
    }
    for (int i = 0; i < engine->n_outputs; i++) {
        const tq_slot *slot = &engine->slots[engine->outputs[i]];
        if (engine->copied[i])
            TQ_TRY(tq_tensor_init(&engine->results[i], &slot->tensor.type));
        else
            engine->results[i] =
                (tq_tensor){ .type = slot->tensor.type, .data = slot->tensor.data };
    }
    return TQ_OK;
}

tq_status tq_engine_lay_out(tq_engine *engine)
{
    find_aliases(engine);
    find_lives(engine);
    TQ_TRY(place_block(engine));
    TQ_TRY(place_outputs(engine));
    return tq_wrap(tq_buffer_create(engine->scratch_size + ALIGNMENT, &engine->scratch), "scratch");
}
