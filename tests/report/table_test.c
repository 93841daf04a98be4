/* Tables of text. */
#include "check.h"

TEST(columns_are_as_wide_as_their_widest_cell)
{
    tq_arena *arena = tq_arena_create();
    tq_table *table = tq_table_create(arena, 3, (const char *[]){ "name", ">n", "note" });
    tq_table_add(table, (const char *[]){ "a", "1", NULL });
    tq_table_add(table, (const char *[]){ "longer", "1000", "x" });
    CHECK_STR(tq_table_print(table), "name       n  note\n"
                                     "a          1\n"
                                     "longer  1000  x\n");
    tq_arena_destroy(arena);
}

TEST(a_name_cannot_break_the_line)
{
    tq_arena *arena = tq_arena_create();
    tq_table *table = tq_table_create(arena, 1, (const char *[]){ "name" });
    tq_table_add(table, (const char *[]){ "a\n\033[2Jb" });
    CHECK_STR(tq_table_print(table), "name\na??[2Jb\n");
    tq_arena_destroy(arena);
}

TEST(letters_beyond_ascii_take_one_place)
{
    tq_arena *arena = tq_arena_create();
    tq_table *table = tq_table_create(arena, 2, (const char *[]){ "n", "m" });
    tq_table_add(table, (const char *[]){ "\xc3\xa9", "1" });
    CHECK_STR(tq_table_print(table), "n  m\n\xc3\xa9  1\n");
    tq_arena_destroy(arena);
}
