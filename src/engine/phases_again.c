/* What a backward pass computes again instead of keeping it, where memory is short (gradient
 * checkpointing; Chen et al. 2016, arXiv:1604.06174). Sums over the batch are kept, so whatever
 * lies between two stored arrays of the forward pass can be made again shard by shard in the phase
 * that reads it. First goes what is large, lives long and costs little, such as the result of a
 * depthwise convolution; neighbours, which would be made again one after the other, go last. */
#include "base/base.h"
#include "engine/phases_internal.h"

#include <stdlib.h>

typedef struct candidate {
    int array;
    double gain; /* bytes times phases, by what it costs to make them */
} candidate;

static bool is_candidate(const tq_phased_plan *p, const tq_array *a)
{
    if (a->maker < 0 || a->for_whole || a->for_batch || a->last_use <= a->phase)
        return false;
    const tq_shard_part *part = tq_part_of(p, &p->items[a->maker]);
    return part->kind == TQ_PART_SAMPLE && part->sums == TQ_SUM_NOTHING;
}

static int by_gain(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->gain != y->gain)
        return x->gain > y->gain ? -1 : 1;
    return x->array - y->array;
}

/** made_of[i]: array i is made of one in `set`, at once or by parts on tiles. Arrays are in order
 * of making. */
static void spread(const tq_phased_plan *p, const bool *set, bool *made_of)
{
    for (int i = 0; i < p->n_arrays; i++) {
        made_of[i] = false;
        if (p->arrays[i].maker < 0)
            continue;
        const tq_item *maker = &p->items[p->arrays[i].maker];
        for (int k = 0; k < p->units[maker->unit].run.n_in; k++)
            if (maker->in[k] >= 0)
                made_of[i] |=
                    set[maker->in[k]] || (tq_is_of_tiles(p, maker->in[k]) && made_of[maker->in[k]]);
    }
}

typedef struct neighbours {
    bool *chosen, *of_chosen, *one, *of_one; /* by array */
} neighbours;

static bool has_neighbour(const tq_phased_plan *p, neighbours *n, int array)
{
    n->one[array] = true;
    spread(p, n->chosen, n->of_chosen);
    spread(p, n->one, n->of_one);
    n->one[array] = false;
    bool any = n->of_chosen[array];
    for (int i = 0; i < p->n_arrays; i++)
        any |= n->chosen[i] && n->of_one[i];
    return any;
}

/** Neighbours of what stands before them move behind all others; the order is kept otherwise. */
static void move_neighbours(const tq_phased_plan *p, candidate *list, int n)
{
    candidate *late = TQ_NEW_N(p->plan->scratch, candidate, n + 1);
    bool *flags = TQ_NEW_N(p->plan->scratch, bool, 4 * p->n_arrays + 1);
    neighbours found = { flags, flags + p->n_arrays, flags + 2 * p->n_arrays,
                         flags + 3 * p->n_arrays };
    int n_early = 0, n_late = 0;
    for (int i = 0; i < n; i++) {
        if (has_neighbour(p, &found, list[i].array)) {
            late[n_late++] = list[i];
            continue;
        }
        found.chosen[list[i].array] = true;
        list[n_early++] = list[i];
    }
    for (int i = 0; i < n_late; i++)
        list[n_early + i] = late[i];
}

/** Bytes of stored arrays, in the phase where they are most. */
static size_t most_stored(const tq_phased_plan *p)
{
    size_t most = 0;
    size_t *live = TQ_NEW_N(p->plan->scratch, size_t, p->n_phases + 1);
    for (int i = 0; i < p->n_arrays; i++) {
        const tq_array *a = &p->arrays[i];
        if (a->maker >= 0 && a->is_stored)
            for (int phase = a->phase; phase <= a->last_use; phase++)
                live[phase] += a->size * (size_t)p->batch;
    }
    for (int phase = 0; phase < p->n_phases; phase++)
        most = live[phase] > most ? live[phase] : most;
    return most;
}

bool tq_phased_choose_again(tq_phased_plan *p, size_t limit)
{
    candidate *list = TQ_NEW_N(p->plan->scratch, candidate, p->n_arrays + 1);
    int n = 0, i = 0;
    for (int k = 0; k < p->n_arrays; k++) {
        const tq_array *a = &p->arrays[k];
        if (!is_candidate(p, a))
            continue;
        const double cost = (double)p->units[p->items[a->maker].unit].macs + (double)a->size;
        list[n++] = (candidate){ k, (double)a->size * (a->last_use - a->phase) / cost };
    }
    qsort(list, (size_t)n, sizeof *list, by_gain);
    move_neighbours(p, list, n);
    tq_phased_choose_stored(p);
    while (i < n && most_stored(p) > limit) {
        p->arrays[list[i++].array].is_again = true;
        tq_phased_choose_stored(p);
    }
    return i < n;
}
