/* Sets of names: open addressing with FNV-1a, kept at most half full. */
#include "onnx/onnx_internal.h"

#include <string.h>

static struct tq_name_entry *slot_of(const tq_name_set *set, const char *name)
{
    uint64_t hash = 14695981039346656037u;
    for (const char *c = name; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    size_t i = hash & (set->capacity - 1);
    while (set->slots[i].name && strcmp(set->slots[i].name, name) != 0)
        i = (i + 1) & (set->capacity - 1);
    return &set->slots[i];
}

int64_t tq_name_set_find(const tq_name_set *set, const char *name)
{
    if (!set->n)
        return -1;
    const struct tq_name_entry *slot = slot_of(set, name);
    return slot->name ? slot->item : -1;
}

static void grow(tq_name_set *set)
{
    const tq_name_set old = *set;
    set->capacity = old.capacity ? 2 * old.capacity : 64;
    set->slots = TQ_NEW_N(set->arena, struct tq_name_entry, set->capacity);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].name)
            *slot_of(set, old.slots[i].name) = old.slots[i];
}

bool tq_name_set_add(tq_name_set *set, const char *name, int64_t item)
{
    if (2 * (set->n + 1) > set->capacity)
        grow(set);
    struct tq_name_entry *slot = slot_of(set, name);
    if (slot->name)
        return false;
    *slot = (struct tq_name_entry){ name, item };
    set->n++;
    return true;
}
