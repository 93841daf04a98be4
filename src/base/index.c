/* From a node or value to its number: open addressing on the pointer. Nothing is ever walked in the
 * order of the table, so no result depends on addresses. */
#include "base/base.h"

static size_t slot_of(const tq_index *index, const void *key)
{
    size_t at = (size_t)(((uintptr_t)key >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & index->mask;
    while (index->keys[at] && index->keys[at] != key)
        at = (at + 1) & index->mask;
    return at;
}

tq_index tq_index_make(tq_arena *arena, int n)
{
    size_t size = 16;
    while (size < 2 * (size_t)n + 2)
        size *= 2;
    return (tq_index){ .mask = size - 1,
                       .keys = TQ_NEW_N(arena, const void *, size),
                       .numbers = TQ_NEW_N(arena, int, size) };
}

void tq_index_set(tq_index *index, const void *key, int number)
{
    const size_t at = slot_of(index, key);
    index->keys[at] = key;
    index->numbers[at] = number;
}

int tq_index_find(const tq_index *index, const void *key)
{
    const size_t at = slot_of(index, key);
    return index->keys[at] ? index->numbers[at] : -1;
}
