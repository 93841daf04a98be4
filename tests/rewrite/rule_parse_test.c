/* Errors in the text of rules point at line and column; hostile texts end with an error. */
#include "rules.h"

static char *repeat(const char *text, int n)
{
    char *all = calloc(strlen(text) * (size_t)n + 1, 1), *at = all;
    for (int i = 0; i < n; i++)
        at = stpcpy(at, text);
    return all;
}

static void check_wrapped_error(const char *before, const char *part, int n, const char *after, const char *message)
{
    char *middle = repeat(part, n);
    char *text = calloc(strlen(before) + strlen(middle) + strlen(after) + 1, 1);
    strcat(strcat(strcpy(text, before), middle), after);
    rules_check_error(text, TQ_ERR_FORMAT, message);
    free(text);
    free(middle);
}

TEST(an_unexpected_sign_is_placed)
{
    rules_check_error("rule a {\n  y = Relu(x)\n  => y = ! }", TQ_ERR_FORMAT, "test: line 3, column 10: unexpected '!'");
}

TEST(an_unknown_operator_is_placed_and_corrected)
{
    rules_check_error("rule a { y = Relu(x) where dimz(x) == 1 => y = x }", TQ_ERR_NOT_FOUND,
                      "test: line 1, column 28: there is no function 'dimz'");
    rules_check_error("rule a {\n  y = Rely(x) => y = x }", TQ_ERR_NOT_FOUND, "test: line 2, column 7: unknown operator 'Rely'; did you mean 'Relu'?");
}

TEST(an_unknown_attribute_is_placed)
{
    rules_check_error("rule a { y = Conv(x, w) [grup = 1] => y = x }", TQ_ERR_NOT_FOUND,
                      "line 1, column 26: Conv has no attribute 'grup'; it has");
    rules_check_error("rule a { y = Conv(x, w) => y = Conv(x, w) [grup = 1] }", TQ_ERR_NOT_FOUND,
                      "line 1, column 44: Conv has no attribute 'grup'");
    rules_check_error("rule a { y = Conv(x, w) where y.grup == 1 => y = x }", TQ_ERR_NOT_FOUND,
                      "column 33: Conv has no attribute 'grup'");
}

TEST(an_unknown_name_is_placed)
{
    rules_check_error("rule a { y = Relu(x) where z == 1 => y = x }", TQ_ERR_FORMAT, "column 28: nothing is named 'z' here");
    rules_check_error("rule a { y = Relu(x) => y = x + q }", TQ_ERR_FORMAT, "nothing is named 'q' here");
    rules_check_error("rule a { y = Relu(x) => k = k + 1 y = x }", TQ_ERR_FORMAT, "nothing is named 'k' here");
}

TEST(what_goes_into_a_pattern_cannot_be_replaced)
{
    rules_check_error("rule a { y = Relu(x) => x = y }", TQ_ERR_FORMAT, "'x' goes into the pattern");
}

TEST(a_replacement_must_replace_something)
{
    rules_check_error("rule a { y = Relu(x) => k = x }", TQ_ERR_FORMAT, "gives none of the pattern's outputs");
}

TEST(a_pattern_must_hang_together)
{
    rules_check_error("rule a { z = Neg(w)\n y = Relu(x) => y = x }", TQ_ERR_FORMAT, "line 1, column 14: this part does not hang");
}

TEST(the_last_node_cannot_be_optional)
{
    rules_check_error("rule a { y = Relu(x)? => y = x }", TQ_ERR_FORMAT, "cannot be left out");
}

TEST(a_value_has_one_maker)
{
    rules_check_error("rule a { y = Relu(x) y = Neg(x) => y = x }", TQ_ERR_FORMAT, "'y' has two makers");
}

TEST(conditions_add_no_nodes)
{
    rules_check_error("rule a { y = Relu(x) where Neg(x) == 1 => y = x }", TQ_ERR_FORMAT, "that belongs behind '=>'");
    rules_check_error("rule a { y = Relu(x) where cast(x, \"f32\") == 1 => y = x }", TQ_ERR_FORMAT, "that belongs behind '=>'");
}

TEST(functions_check_their_arguments)
{
    rules_check_error("rule a { y = Relu(x) where dims() == 1 => y = x }", TQ_ERR_FORMAT, "dims takes 1 to 2 arguments, not 0");
}

TEST(conditions_on_repeated_parts_are_literal)
{
    rules_check_error("rule a { y = Neg(LeakyRelu(x)* [alpha == dims(x, 0)]) => y = x }", TQ_ERR_FORMAT, "takes only literals");
}

TEST(a_text_must_end)
{
    rules_check_error("rule a \"no end", TQ_ERR_FORMAT, "line 1, column 8: a quoted text does not end");
    rules_check_error("rule a { y = Relu(x)", TQ_ERR_FORMAT, "expected '=>', found 'the end'");
    rules_check_error("", TQ_ERR_FORMAT, "expected 'rule', found 'the end'");
}

TEST(stages_are_known)
{
    rules_check_error("rule a { stage soon; y = Relu(x) => y = x }", TQ_ERR_FORMAT, "'soon' is no stage");
}

TEST(rules_have_names_of_their_own)
{
    rules_check_error("rule a { y = Relu(x) => y = x } rule a { y = Relu(x) => y = x }", TQ_ERR_FORMAT,
                      "two rules are named 'a'");
}

TEST(headers_are_read)
{
    tq_arena *arena = tq_arena_create();
    const tq_editor *editor = rule_of("rule \"fold-it\" \"folds\" { stage fold; after \"remove-identity\"; before other;"
                                      " y = Relu(x) => y = x } # a comment",
                                      arena);
    CHECK_STR(editor->entry.name, "fold-it");
    CHECK_STR(editor->entry.brief, "folds");
    CHECK_EQ(editor->stage, TQ_EDIT_FOLD);
    CHECK_STR(editor->after, "remove-identity");
    CHECK_STR(editor->before, "other");
    tq_arena_destroy(arena);
}

TEST(values_may_have_the_names_of_words)
{
    rules_check("input x: f32[4]  y = Relu(x)", "rule a { stage = Relu(after) => before = Neg(after) stage = Abs(before) }",
                "input x: f32[4]  y/Neg = Neg(x)  y = Abs(y/Neg)");
}

TEST(hostile_texts_end_with_an_error)
{
    check_wrapped_error("rule a { y = ", "Relu(", 5000, "", "");
    check_wrapped_error("rule a { y = Relu(x) => y = ", "(", 9000, "", "nested too deep");
    check_wrapped_error("rule a { y = Relu(x) => y = ", "-", 9000, "x }", "nested too deep");
    check_wrapped_error("rule a { y = Relu(x) => y = x ", "+ x ", 9000, "}", "more than 48 operations");
    check_wrapped_error("rule a { y = Relu(x) where ", "not ", 9000, "}", "nested too deep");
    check_wrapped_error("rule a { y = Sum(", "x,", 9000, "x) => y = x }", "more than 32 inputs");
    check_wrapped_error("", "#", 70000, "", "more than 64 KiB");
    check_wrapped_error("rule a { y = ", "n", 300, "(x) }", "longer than 256");
}

TEST(every_cut_of_a_rule_is_an_error_or_a_rule)
{
    const char *rule = "rule a \"b\" { stage fold; c = Conv(x, w: const, b: const?) [group = 1] sole "
                       "y = Mul(Relu(c)?, s: scalar) commutative where rank(x) == 4, not s == 0 and dims(w, 0) in [1, 2] "
                       "=> k = along(s, 0, 4) y = Conv(x, w * k, (b ?? 0) * s) [...c, group = 1] }";
    char *cut = strdup(rule);
    for (size_t n = strlen(rule); n-- > 0;) {
        tq_arena *arena = tq_arena_create();
        int count;
        const tq_editor *const *editors;
        cut[n] = 0;
        const tq_status status = tq_rules_parse(check_registry(), cut, "test", arena, &count, &editors);
        CHECK(status && strstr(tq_status_text(status), "test: line 1, column "));
        tq_status_drop(status);
        tq_arena_destroy(arena);
    }
    free(cut);
}
