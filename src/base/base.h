/* What the base room offers to the rooms above it beyond the public headers. */
#ifndef TRUQ_BASE_BASE_H
#define TRUQ_BASE_BASE_H

#include <truq/memory.h>

/** `size` zeroed bytes from the heap or NULL; free() gives them back. All memory of arenas, errors,
 *  buffers, pools and registries comes from here: it has a file of its own, so that a test that
 *  defines it instead decides which allocation fails. */
void *tq_allocate(size_t size);

/** Unwinds to the innermost tq_guard of this thread; aborts where there is none. */
__attribute__((noreturn)) void tq_memory_exhausted(void);

/** Numbers of at most n things, by their address; -1: none was set. Nothing can be walked in the order of addresses. */
typedef struct tq_index {
    size_t mask;
    const void **keys;
    int *numbers;
} tq_index;
tq_index tq_index_make(tq_arena *arena, int n);
void tq_index_set(tq_index *index, const void *key, int number);
int tq_index_find(const tq_index *index, const void *key);

/** How tq_tree_share cuts a node of the tree of tq_tree_sum, 2 <= n_ranks <= n_shards: its left child
 *  has n_left_shards of the parts and n_left_ranks of the ranks. */
typedef struct tq_tree_cut {
    int64_t n_left_shards;
    int n_left_ranks;
} tq_tree_cut;
tq_tree_cut tq_tree_split(int64_t n_shards, int n_ranks);

#endif
