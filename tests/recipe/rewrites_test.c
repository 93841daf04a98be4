/* Rules inside recipes. */
#include "check.h"

static const char *write_recipe(const char *rewrites)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/r.yaml", check_folder());
    FILE *file = fopen(path, "w");
    CHECK(file);
    fprintf(file, "name: r\nbase: pact8\nrewrites:%s\n", rewrites);
    CHECK_EQ(fclose(file), 0);
    return path;
}

static const char *const rule = " |\n"
                                "  rule to_relu {\n"
                                "    after \"remove-identity\"\n"
                                "    y = Abs(x) => y = Relu(x)\n"
                                "  }\n";

TEST(a_recipe_brings_rules)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    CHECK_OK(tq_recipe_load(check_registry(), write_recipe(rule), arena, &recipe));
    CHECK_EQ(recipe->n_editors, 1);
    CHECK_STR(recipe->editors[0]->entry.name, "to_relu");
    CHECK_STR(recipe->editors[0]->after, "remove-identity");
    tq_arena_destroy(arena);
}

TEST(several_blocks_are_a_list)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    CHECK_OK(tq_recipe_load(check_registry(),
                            write_recipe("\n  - rule a { y = Abs(x) => y = Relu(x) }\n"
                                         "  - rule b { y = Neg(x) => y = Relu(x) }\n"),
                            arena, &recipe));
    CHECK_EQ(recipe->n_editors, 2);
    CHECK_STR(recipe->editors[1]->entry.name, "b");
    tq_arena_destroy(arena);
}

TEST(rules_of_a_recipe_run_in_its_pipeline)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    tq_graph *graph = check_graph("input x: f32[1,2,4,4]  const w: f32[2,2,1,1] = random(1)"
                                  " c = Conv(x, w)  a = Abs(c)  y = Conv(a, w)");
    CHECK_OK(tq_recipe_load(check_registry(), write_recipe(rule), arena, &recipe));
    CHECK_OK(tq_f2f_run(&graph, recipe, NULL, NULL));
    CHECK_EQ(check_count(graph, "Relu"), 1);
    CHECK_EQ(check_count(graph, "Abs"), 0);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
}

TEST(an_error_points_at_file_and_place)
{
    tq_arena *arena = tq_arena_create();
    const tq_recipe *recipe;
    CHECK_FAILS(tq_recipe_load(check_registry(), write_recipe(" |\n  rule a {\n    y = Rely(x) => y = x }\n"), arena, &recipe),
                TQ_ERR_NOT_FOUND, "r.yaml: line 5, column 9: unknown operator 'Rely'");
    CHECK_FAILS(tq_recipe_load(check_registry(), write_recipe("\n  - |-\n    # one\n    rule a { y = Relu(x) => y = z }"), arena,
                               &recipe),
                TQ_ERR_FORMAT, "r.yaml: line 6, column 33: nothing is named 'z' here");
    CHECK_FAILS(tq_recipe_load(check_registry(), write_recipe(" 'rule a { y = Rely(x) => y = x }'"), arena, &recipe),
                TQ_ERR_NOT_FOUND, "r.yaml:3:11: rewrites: line 1, column 14: unknown operator 'Rely'");
    CHECK_FAILS(tq_recipe_load(check_registry(), write_recipe(" {a: b}"), arena, &recipe), TQ_ERR_VALUE,
                "'rewrites' takes text");
    tq_arena_destroy(arena);
}
