/* Arenas when there is memory. */
#include "check.h"

TEST(pieces_are_aligned_zeroed_and_apart)
{
    tq_arena *arena = tq_arena_create();
    unsigned char *previous = NULL;
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *piece = tq_arena_alloc(arena, size);
        CHECK_EQ((uintptr_t)piece % 16, 0);
        CHECK(piece != previous);
        for (size_t i = 0; i < size; i++)
            CHECK_EQ(piece[i], 0);
        memset(piece, 0xff, size);
        previous = piece;
    }
    tq_arena_destroy(arena);
}

TEST(a_large_piece_does_not_end_the_block_in_use)
{
    tq_arena *arena = tq_arena_create();
    char *a = tq_arena_alloc(arena, 16);
    memset(tq_arena_alloc(arena, 10000000), 1, 10000000);
    char *b = tq_arena_alloc(arena, 16);
    CHECK_EQ(b - a, 16);
    tq_arena_destroy(arena);
}

TEST(copies_are_equal_and_null_stays_null)
{
    tq_arena *arena = tq_arena_create();
    CHECK_STR(tq_arena_strdup(arena, "conv1"), "conv1");
    CHECK_STR(tq_arena_strndup(arena, "conv1/weight", 5), "conv1");
    CHECK_STR(tq_arena_strndup(arena, "conv1", 50), "conv1");
    CHECK_STR(tq_arena_printf(arena, "%s_%d", "conv", 12), "conv_12");
    CHECK_EQ(memcmp(tq_arena_memdup(arena, "\1\2\0\3", 4), "\1\2\0\3", 4), 0);
    CHECK(!tq_arena_strdup(arena, NULL) && !tq_arena_strndup(arena, NULL, 3));
    CHECK(!tq_arena_memdup(arena, NULL, 3));
    tq_arena_destroy(arena);
    tq_arena_destroy(NULL);
}

TEST(a_pushed_array_keeps_its_items)
{
    tq_arena *arena = tq_arena_create();
    int *items = NULL, n = 0;
    size_t capacity = 0;
    for (int i = 0; i < 1000; i++)
        TQ_PUSH(arena, items, n, capacity, i * i);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(items[i], i * i);
    tq_arena_destroy(arena);
}
