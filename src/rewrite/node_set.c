/* A set of nodes: open addressing; membership only, never order. */
#include "rewrite/rewrite.h"

static size_t slot_of(const tq_node_set *set, const tq_node *node)
{
    size_t i = ((uintptr_t)node >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20 & (set->capacity - 1);
    while (set->slots[i] && set->slots[i] != node)
        i = (i + 1) & (set->capacity - 1);
    return i;
}

bool tq_node_set_has(const tq_node_set *set, const tq_node *node)
{
    return set->n && set->slots[slot_of(set, node)];
}

void tq_node_set_add(tq_node_set *set, const tq_node *node)
{
    if ((set->n + 1) * 2 > set->capacity) {
        tq_node_set bigger = { .capacity = set->capacity ? set->capacity * 2 : 64,
                               .arena = set->arena };
        bigger.slots = TQ_NEW_N(set->arena, const tq_node *, bigger.capacity);
        for (size_t i = 0; i < set->capacity; i++)
            if (set->slots[i])
                tq_node_set_add(&bigger, set->slots[i]);
        *set = bigger;
    }
    const size_t i = slot_of(set, node);
    set->n += !set->slots[i];
    set->slots[i] = node;
}
