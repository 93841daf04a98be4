/* Rules in pipelines: they join at their anchors or by their stage. */
#include "rules.h"

static char order[512];

static void note(void *context, const char *editor, const tq_graph *graph)
{
    (void)context, (void)graph;
    snprintf(order + strlen(order), sizeof order - strlen(order), "%s ", editor);
}

static tq_status run(const char *rules)
{
    tq_arena *arena = tq_arena_create();
    tq_graph *graph = check_graph("input x: f32[4]  a = Sigmoid(x)  y = Neg(a)");
    tq_edit edit = { .registry = check_registry(), .dump = note, .dump_after = "all" };
    CHECK_OK(tq_rules_parse(check_registry(), rules, "test", arena, &edit.n_more, &edit.more));
    *order = 0;
    const tq_status status = tq_pipeline_run(check_registry(), "fold", &graph, &edit);
    tq_graph_destroy(graph);
    tq_arena_destroy(arena);
    return status;
}

#define RULE(name, header) "rule " name " { " header " y = Neg(Sigmoid(x)) => y = Sigmoid(Neg(x)) } "

TEST(rules_stand_at_their_anchors)
{
    CHECK_OK(run(RULE("b", "before \"fold-batchnorm\"") RULE("a", "after \"remove-identity\"")));
    CHECK_STR(order, "remove-identity a fold-constants b fold-batchnorm ");
}

TEST(rules_without_anchors_stand_behind_their_stage)
{
    CHECK_OK(run(RULE("c", "stage canonicalise") RULE("d", "stage fold") RULE("e", "")));
    CHECK_STR(order, "remove-identity fold-constants c fold-batchnorm d e ");
}

TEST(a_rule_may_stand_at_another_rule)
{
    CHECK_OK(run(RULE("a", "after \"remove-identity\"") RULE("b", "after a")));
    CHECK_STR(order, "remove-identity a b fold-constants fold-batchnorm ");
}

TEST(an_anchor_that_is_not_there_is_refused)
{
    CHECK_FAILS(run(RULE("a", "after integerise")), TQ_ERR_NOT_FOUND,
                "editor 'a': pipeline 'fold' has no editor 'integerise'");
}
