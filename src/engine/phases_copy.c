/* What lies in memory between phases and what is made again, and the order of items in a phase.
 *
 * An elementwise array that a later phase reads is made again there if all that it is made of is
 * there then anyway, and it takes few steps: sums of residual branches would begin with the first
 * one each time. So is one that was chosen for it, where memory is short (phases_again.c); else
 * it is stored. Items of a phase have levels: a part on samples comes one level after what it
 * reads, tiles of one shape on one level share a loop. A tile that reads what a loop before it
 * made, and did not write down, makes it again too. */
#include "engine/phases_internal.h"

#include <limits.h>
#include <stdint.h>

enum { MOST_AGAIN = 7, MOST_WHERE_SHORT = 32 }; /* tiles; of memory */

/* ---- what is stored ---------------------------------------------------------------------- */

static bool is_in_memory(const tq_array *a)
{
    return a->maker < 0 || a->is_stored;
}

/** The level of a later phase at which a part on samples can have the array. */
static int level_for_samples(const tq_phased_plan *p, int array)
{
    const tq_array *a = &p->arrays[array];
    return is_in_memory(a) ? 0 : a->level + tq_is_of_tiles(p, array);
}

/** Where the array's maker can run again, and until when what it reads is there. */
static int level_of_maker(const tq_phased_plan *p, int array, int *out_until)
{
    const tq_item *maker = &p->items[p->arrays[array].maker];
    int level = 0;
    *out_until = INT_MAX;
    for (int i = 0; i < p->units[maker->unit].run.n_in; i++) {
        if (maker->in[i] < 0)
            continue;
        const tq_array *in = &p->arrays[maker->in[i]];
        const int until = in->maker < 0 ? INT_MAX : in->is_stored ? in->last_use : in->until;
        const int least = tq_is_of_tiles(p, array) ? in->level : level_for_samples(p, maker->in[i]);
        level = least > level ? least : level;
        *out_until = until < *out_until ? until : *out_until;
    }
    return level;
}

/** How many tiles make the array again. */
static int cost_of(const tq_phased_plan *p, int array)
{
    const tq_item *maker = &p->items[p->arrays[array].maker];
    int cost = 1;
    for (int i = 0; i < p->units[maker->unit].run.n_in; i++)
        if (maker->in[i] >= 0 && !is_in_memory(&p->arrays[maker->in[i]]))
            cost += p->arrays[maker->in[i]].cost;
    return cost;
}

/** Arrays are in order of making, so what one is made of is decided before it. */
void tq_phased_choose_stored(tq_phased_plan *p)
{
    const int most = p->plan->stored_limit < SIZE_MAX ? MOST_WHERE_SHORT : MOST_AGAIN;
    for (int i = 0; i < p->n_arrays; i++) {
        tq_array *a = &p->arrays[i];
        if (a->maker < 0)
            continue;
        const bool tile = tq_is_of_tiles(p, i);
        a->level = level_of_maker(p, i, &a->until) + !tile;
        if (!tile && !a->is_again)
            a->until = -1;
        a->cost = cost_of(p, i);
        const bool is_dear = tile && a->cost > most;
        a->is_stored = a->for_whole || a->for_batch ||
                       (a->last_use > a->phase && (is_dear || a->last_use > a->until));
        if (a->is_stored)
            a->level = 0;
    }
}

/* ---- copies ------------------------------------------------------------------------------------
 */

/** Copies of one phase: array `from` at a level is array `to`. */
typedef struct copies {
    tq_phased_plan *p;
    int phase, n;
    size_t capacity;
    struct copy {
        int from, level, to;
    } * all;
} copies;

static void append(copies *c, int item)
{
    tq_item_list *list = &c->p->phases[c->phase];
    TQ_PUSH(c->p->plan->scratch, list->items, list->n, list->capacity, item);
}

/** In memory, or in the worker's, for all that come later in this phase. */
static bool is_written_down(const tq_phased_plan *p, int array)
{
    const tq_array *a = &p->arrays[array];
    return is_in_memory(a) || a->is_out_of_tile || !tq_is_of_tiles(p, array);
}

static int array_at_level(copies *c, int array, int level);
static int array_for_samples(copies *c, int array, int level, bool is_batch);

/** What a part on samples made is made again once, whatever the level of its reader. */
static int copy_at_level(copies *c, int array, int level)
{
    tq_phased_plan *p = c->p;
    const tq_item maker = p->items[p->arrays[array].maker];
    const bool tile = tq_is_of_tiles(p, array);
    if (!tile)
        level = p->arrays[array].level - 1;
    for (int i = 0; i < c->n; i++)
        if (c->all[i].from == array && c->all[i].level == level)
            return c->all[i].to;
    const int item = tq_phased_add_item(p, maker.unit, maker.part, c->phase);
    p->items[item].is_copy = true;
    p->items[item].level = level;
    for (int i = 0; i < p->units[maker.unit].run.n_in; i++)
        if (maker.in[i] >= 0) {
            const int in = tile ? array_at_level(c, maker.in[i], level)
                                : array_for_samples(c, maker.in[i], level, false);
            p->items[item].in[i] = in;
        }
    const int to =
        tq_phased_add_array(p, p->arrays[array].value, p->arrays[array].form, item, c->phase);
    for (int i = 0; i < p->units[maker.unit].run.n_out; i++)
        if (maker.out[i] == array)
            p->items[item].out[i] = to;
    append(c, item);
    TQ_PUSH(p->plan->scratch, c->all, c->n, c->capacity, ((struct copy){ array, level, to }));
    return to;
}

/** The array as a tile at `level` of this phase reads it. */
static int array_at_level(copies *c, int array, int level)
{
    const tq_array *a = &c->p->arrays[array];
    const bool is_here = a->maker >= 0 && a->phase == c->phase;
    if (is_here ? c->p->items[a->maker].level == level || is_written_down(c->p, array)
                : is_in_memory(a))
        return array;
    return copy_at_level(c, array, level);
}

/** The array as a part on samples reads it, one level later; one on all shards reads from memory.
 */
static int array_for_samples(copies *c, int array, int level, bool is_batch)
{
    tq_array *a = &c->p->arrays[array];
    if (a->maker < 0 || (a->phase != c->phase && a->is_stored))
        return array;
    const int from = a->phase == c->phase ? array : copy_at_level(c, array, level - 1);
    c->p->arrays[from].is_out_of_tile = true;
    c->p->arrays[from].is_stored = c->p->arrays[from].is_stored || is_batch;
    return from;
}

/* ---- levels ------------------------------------------------------------------------------------
 */

static bool have_one_shape(const tq_phased_plan *p, int array, int other)
{
    return tq_forms_agree(p->arrays[array].form, p->arrays[other].form) &&
           tq_type_equal(tq_array_type(p, array), tq_array_type(p, other));
}

static int level_of(const tq_phased_plan *p, const tq_item *item)
{
    const bool tile = tq_part_of(p, item)->kind == TQ_PART_TILE;
    int level = 0, first = -1;
    for (int i = 0; i < p->units[item->unit].run.n_in; i++) {
        if (item->in[i] < 0)
            continue;
        first = first < 0 ? item->in[i] : first;
        const tq_array *a = &p->arrays[item->in[i]];
        int least = 0;
        if (a->maker >= 0 && a->phase == item->phase)
            least = p->items[a->maker].level + !(tile && tq_is_of_tiles(p, item->in[i]) &&
                                                 have_one_shape(p, item->in[i], first));
        else
            least = tile ? a->level : level_for_samples(p, item->in[i]);
        level = least > level ? least : level;
    }
    return level;
}

static void add_item(copies *c, int index)
{
    tq_phased_plan *p = c->p;
    const int level = p->items[index].level = level_of(p, &p->items[index]);
    const bool tile = tq_part_of(p, &p->items[index])->kind == TQ_PART_TILE;
    for (int i = 0; i < p->units[p->items[index].unit].run.n_in; i++) {
        const int array = p->items[index].in[i];
        if (array < 0)
            continue;
        const int in =
            tile ? array_at_level(c, array, level)
                 : array_for_samples(c, array, level,
                                     tq_part_of(p, &p->items[index])->kind == TQ_PART_BATCH);
        p->items[index].in[i] = in; /* copies make the list grow */
    }
    append(c, index);
}

/* Makers stay as they were planned while copies are taken of them, so phases are done from the last
 * to the first: copies of a phase only ask for makers in phases before it, or in it. */
void tq_phased_plan_copy(tq_phased_plan *p)
{
    tq_item_list *planned = TQ_NEW_N(p->plan->scratch, tq_item_list, p->n_phases + 1);
    p->phases = TQ_NEW_N(p->plan->scratch, tq_item_list, p->n_phases + 1);
    for (int i = 0; i < p->n_items; i++) {
        tq_item_list *list = &planned[p->items[i].phase];
        TQ_PUSH(p->plan->scratch, list->items, list->n, list->capacity, i);
    }
    for (int phase = p->n_phases; phase-- > 0;) {
        copies c = { .p = p, .phase = phase };
        for (int i = 0; i < planned[phase].n; i++)
            add_item(&c, planned[phase].items[i]);
    }
}
