/* Names to things: a hash table with linear probing. Order of iteration is never used. */
#include "ir/ir_internal.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *name)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 1099511628211u;
    return h;
}

static size_t slot_of(const tq_names *names, const char *name)
{
    size_t i = hash(name) & (names->capacity - 1);
    while (names->slots[i].name && strcmp(names->slots[i].name, name) != 0)
        i = (i + 1) & (names->capacity - 1);
    return i;
}

void *tq_names_find(const tq_names *names, const char *name)
{
    return names->n && name ? names->slots[slot_of(names, name)].item : NULL;
}

static void grow(tq_names *names)
{
    tq_names bigger = { .capacity = names->capacity ? names->capacity * 2 : 64 };
    bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots);
    TQ_ASSERT(bigger.slots);
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slots[i].name)
            tq_names_add(&bigger, names->slots[i].name, names->slots[i].item);
    free(names->slots);
    *names = bigger;
}

void tq_names_add(tq_names *names, const char *name, void *item)
{
    if ((names->n + 1) * 2 > names->capacity)
        grow(names);
    struct tq_name_slot *slot = &names->slots[slot_of(names, name)];
    names->n += !slot->name;
    *slot = (struct tq_name_slot){ name, item };
}

void tq_names_remove(tq_names *names, const char *name)
{
    if (!names->n)
        return;
    size_t i = slot_of(names, name);
    if (!names->slots[i].name)
        return;
    names->n--;
    names->slots[i] = (struct tq_name_slot){ 0 };
    /* Close the gap: entries after it may have been pushed past their place. */
    const size_t mask = names->capacity - 1;
    for (size_t k = (i + 1) & mask; names->slots[k].name; k = (k + 1) & mask) {
        const struct tq_name_slot moved = names->slots[k];
        names->slots[k] = (struct tq_name_slot){ 0 };
        names->slots[slot_of(names, moved.name)] = moved;
    }
}

void tq_names_free(tq_names *names)
{
    free(names->slots);
    *names = (tq_names){ 0 };
}
