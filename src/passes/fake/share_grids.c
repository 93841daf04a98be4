/* Quantisers that have one grid share their parameters. Who does, a recipe says in three ways:
 *
 *   share: concat     with the other operands, and the result, of the concatenations it meets
 *   share: add        with the other operands, and the result, of the additions it meets
 *   share: WORD       with all that have that word
 *   merge: [[a, b]]   by the names of nodes or values
 *
 * What is named must have equal ranges, roundings and rules for scales, and the conversion stops if
 * it has not; what only meets stays apart then, which the log says (Graffitist's
 * auto_merge_quant_layers and manual_merge). A shared grid is observed by all who share it; of two
 * equal quantisers in a row fuse-activations then takes one away. */
#include "passes/fake/fake.h"
#include "rewrite/rewrite.h"

#include <string.h>

enum { MAX_MEETING = 64 };

static const char *share_of(const tq_node *fake)
{
    return tq_attr_string(tq_node_attrs(fake), "share");
}

static bool is_fake(const tq_node *node)
{
    return node && tq_node_is(node, "FakeQuantize");
}

static bool has_own_parameters(const tq_node *fake)
{
    for (int i = 1; i < tq_node_n_inputs(fake); i++)
        if (!tq_node_is_const_from(fake, i) ||
            tq_type_count(tq_value_type(tq_node_input(fake, i))) != 1)
            return false;
    return true;
}

/* Can both have one grid? *out_why: what differs. */
static bool agree(const tq_node *a, const tq_node *b, const char **out_why)
{
    static const char *const numbers[] = { "q_min",       "n_levels",     "step",
                                           "free_offset", "power_of_two", "unsigned_if_positive" };
    static const char *const words[] = { "quantizer", "rounding" };
    const tq_attrs *x = tq_node_attrs(a), *y = tq_node_attrs(b);
    *out_why = "parameters: they follow a constant or are of channels";
    if (!has_own_parameters(a) || !has_own_parameters(b))
        return false;
    for (int i = 0; i < TQ_COUNT(words); i++)
        if (strcmp(tq_attr_string(x, *out_why = words[i]), tq_attr_string(y, words[i])) != 0)
            return false;
    for (int i = 0; i < TQ_COUNT(numbers); i++)
        if (tq_attr_int(x, *out_why = numbers[i]) != tq_attr_int(y, numbers[i]))
            return false;
    return true;
}

/* The larger group keeps its parameters, so that a long chain costs no more than its length. */
static void join(const tq_node *a, const tq_node *b, const tq_edit *edit)
{
    if (tq_node_input(a, 1) == tq_node_input(b, 1))
        return;
    const bool a_stays = tq_value_n_consumers(tq_node_input(a, 1)) >=
                         tq_value_n_consumers(tq_node_input(b, 1));
    for (int i = 1; i < tq_node_n_inputs(a); i++) {
        tq_value *of_a = tq_node_input(a, i), *of_b = tq_node_input(b, i);
        tq_value_redirect_consumers(a_stays ? of_b : of_a, a_stays ? of_a : of_b);
    }
    tq_edit_log(edit, "'%s' shares the grid of '%s'", tq_node_name(b), tq_node_name(a));
}

static tq_status join_named(const tq_node *a, const tq_node *b, const tq_edit *edit)
{
    const char *why;
    if (!agree(a, b, &why))
        return tq_fail(TQ_ERR_VALUE, "'%s' and '%s' cannot share a grid, they differ in %s",
                       tq_node_name(a), tq_node_name(b), why);
    join(a, b, edit);
    return TQ_OK;
}

/* ---- what meets ---- */

typedef struct meeting {
    int n;
    const tq_node *fakes[MAX_MEETING];
} meeting;

static void add_if_shared(meeting *m, const tq_node *fake, const char *word)
{
    const bool of_addition =
        strcmp(word, "add") == 0 && strcmp(tq_attr_string(tq_node_attrs(fake), "slot"), "add") == 0;
    if ((of_addition || strcmp(share_of(fake), word) == 0) && m->n < MAX_MEETING)
        m->fakes[m->n++] = fake;
}

/* The quantisers that a value passed last, through what keeps codes. */
static void add_before(meeting *m, const tq_value *value, const char *word, int depth)
{
    const tq_node *node = value ? tq_value_producer(value) : NULL;
    if (!node || depth == 0 || (!is_fake(node) && !tq_fake_keeps_grid(node)))
        return;
    if (is_fake(node))
        add_if_shared(m, node, word);
    const int n = tq_node_is(node, "Concat") ? tq_node_n_inputs(node) : 1;
    for (int i = 0; i < n; i++)
        add_before(m, tq_node_input(node, i), word, depth - 1);
}

static void join_meeting(const tq_node *where, const char *word, const tq_edit *edit)
{
    enum { DEPTH = 16 };
    meeting m = { 0 };
    const tq_value *y = tq_node_output(where, 0);
    for (int i = 0; i < tq_node_n_inputs(where); i++)
        add_before(&m, tq_node_input(where, i), word, DEPTH);
    for (int i = 0; i < tq_value_n_consumers(y); i++)
        if (is_fake(tq_value_consumer(y, i)))
            add_if_shared(&m, tq_value_consumer(y, i), word);
    for (int i = 1; i < m.n; i++) {
        const char *why;
        if (agree(m.fakes[0], m.fakes[i], &why))
            join(m.fakes[0], m.fakes[i], edit);
        else
            tq_edit_log(edit, "'%s' and '%s' meet in '%s' but differ in %s",
                        tq_node_name(m.fakes[0]), tq_node_name(m.fakes[i]), tq_node_name(where),
                        why);
    }
}

/* ---- what is named ---- */

static tq_status join_words(tq_graph *graph, const tq_edit *edit)
{
    for (const tq_node *a = tq_graph_first(graph); a; a = tq_node_next(a)) {
        const char *word = is_fake(a) ? share_of(a) : "";
        if (!*word || strcmp(word, "concat") == 0 || strcmp(word, "add") == 0)
            continue;
        for (const tq_node *b = tq_node_next(a); b; b = tq_node_next(b))
            if (is_fake(b) && strcmp(share_of(b), word) == 0)
                TQ_TRY(tq_wrap(join_named(a, b, edit), "share '%s'", word));
    }
    return TQ_OK;
}

/* The quantiser of a name: the node itself, or the one on the value (or on the node's output). */
static tq_status find_named(const tq_graph *graph, const char *name, const tq_node **out_fake)
{
    const tq_node *node = tq_graph_find_node(graph, name);
    const tq_value *value = tq_graph_find_value(graph, name);
    *out_fake = node;
    if (is_fake(node))
        return TQ_OK;
    if (!value && node)
        value = tq_node_output(node, 0);
    if (!value)
        return tq_fail(TQ_ERR_NOT_FOUND, "merge: there is no node and no value '%s'", name);
    *out_fake = tq_value_producer(value);
    for (int i = 0; i < tq_value_n_consumers(value) && !is_fake(*out_fake); i++)
        *out_fake = tq_value_consumer(value, i);
    return is_fake(*out_fake) ? TQ_OK : tq_fail(TQ_ERR_VALUE, "merge: '%s' has no quantiser", name);
}

static tq_status join_list(const tq_graph *graph, const char *const *names, const tq_edit *edit)
{
    const tq_node *first, *other;
    TQ_TRY(find_named(graph, names[0], &first));
    for (int i = 1; names[i]; i++) {
        TQ_TRY(find_named(graph, names[i], &other));
        TQ_TRY(tq_wrap(join_named(first, other, edit), "merge"));
    }
    return TQ_OK;
}

static tq_status run(tq_graph *graph, const tq_edit *edit)
{
    const tq_recipe *recipe;
    TQ_TRY(tq_fake_recipe(edit, &recipe));
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        if (tq_node_is(node, "Concat"))
            join_meeting(node, "concat", edit);
        else if (tq_fake_is_sum(node))
            join_meeting(node, "add", edit);
    }
    TQ_TRY(join_words(graph, edit));
    for (int i = 0; recipe->merges && recipe->merges[i]; i++)
        TQ_TRY(join_list(graph, recipe->merges[i], edit));
    tq_graph_sweep(graph);
    return TQ_OK;
}

const tq_editor tq_editor_share_grids = {
    .entry = { .name = "share-grids",
               .brief = "quantisers that a recipe puts together have one grid",
               .source = "Graffitist's merges, arXiv:1903.08066" },
    .stage = TQ_EDIT_FAKE,
    .after = "interpose-quantizers",
    .run = run,
};
