/* Putting a replacement in the place of a match: its statements are evaluated in order, then each
 * output of the pattern that was given a new value hands its readers, its name and its metadata
 * over. The interface is checked: the new value must have the type of the old one. Nodes of the
 * match that nobody reads any more go. */
#include "rewrite/rule_internal.h"

#include <string.h>

typedef struct applier {
    tq_rule_scope scope;
    tq_graph *graph;
    const tq_rule_found *found;
    tq_rule_item *items;
} applier;

static bool is_made(const applier *a, const tq_node *node)
{
    for (int i = 0; i < a->scope.n_made; i++)
        if (a->scope.made[i] == node)
            return true;
    return false;
}

/* ---- statements ---- */

static tq_status run_statement(applier *a, const tq_rule_statement *statement)
{
    tq_rule_item results[TQ_RULE_MAX_ARGS] = { 0 };
    if (statement->n_targets == 1)
        TQ_TRY(tq_rule_evaluate(&a->scope, statement->value, &results[0]));
    else
        TQ_TRY(tq_rule_call(&a->scope, statement->value, statement->n_targets, results));
    for (int i = 0; i < statement->n_targets; i++)
        a->items[statement->targets[i]] = results[i];
    return TQ_OK;
}

/* ---- readers ---- */

static bool is_target(const tq_rule *rule, int name)
{
    for (int i = 0; i < rule->n_statements; i++)
        for (int k = 0; k < rule->statements[i].n_targets; k++)
            if (rule->statements[i].targets[k] == name)
                return true;
    return false;
}

/* A node of the match whose outputs all get new values: nothing of it is read any more. */
static bool is_replaced(const applier *a, const tq_node *node)
{
    const tq_rule *rule = a->found->rule;
    for (int k = 0; k < rule->n_nodes; k++) {
        const tq_rule_node *wanted = &rule->nodes[k];
        bool all = true;
        for (int i = 0; i < wanted->n_outputs; i++)
            all = all && is_target(rule, wanted->outputs[i]);
        for (int i = 0; all && i < a->found->count[k]; i++)
            if (a->found->nodes[k][i] == node)
                return true;
    }
    return false;
}

/* Does anybody but the rule itself see this value? */
static bool is_seen(const applier *a, const tq_value *value)
{
    for (int i = 0; i < tq_value_n_consumers(value); i++) {
        const tq_node *node = tq_value_consumer(value, i);
        if (!is_made(a, node) && !is_replaced(a, node))
            return true;
    }
    return tq_value_is_output(value);
}

/* ---- interface ---- */

static bool fits(const tq_type *old, const tq_type *new)
{
    if (old->dtype != new->dtype)
        return false;
    if (old->rank < 0 || new->rank < 0)
        return true;
    bool same = old->rank == new->rank;
    for (int i = 0; same && i < old->rank; i++)
        same = old->dims[i] == new->dims[i] || old->dims[i] == TQ_DIM_ANY ||
               new->dims[i] == TQ_DIM_ANY;
    return same;
}

static tq_status check_interface(const applier *a, int name, const tq_rule_statement *statement)
{
    const tq_rule *rule = a->found->rule;
    const tq_rule_item *item = &a->items[name];
    const char *text = rule->names[name].text;
    if (item->kind != TQ_ITEM_VALUE)
        return tq_rule_fail(TQ_ERR_VALUE, rule->source, statement->place,
                            "'%s' is replaced by something that is no value", text);
    const tq_type *old = tq_value_type(a->found->values[name]), *new = tq_value_type(item->value);
    if (fits(old, new) || !is_seen(a, a->found->values[name]))
        return TQ_OK;
    return tq_rule_fail(TQ_ERR_SHAPE, rule->source, statement->place,
                        "'%s' is %s ('%s'), its replacement %s", text, tq_type_text(old).s,
                        tq_value_name(a->found->values[name]), tq_type_text(new).s);
}

/* ---- handing over ---- */

/* Every reader but the new nodes and those that go, and every output of the graph. */
static void redirect(const applier *a, tq_value *from, tq_value *to)
{
    for (int i = 0; i < tq_value_n_consumers(from);) {
        tq_node *node = tq_value_consumer(from, i);
        if (is_made(a, node) || is_replaced(a, node)) {
            i++;
            continue;
        }
        for (int k = 0; k < tq_node_n_inputs(node); k++)
            if (tq_node_input(node, k) == from)
                tq_node_set_input(node, k, to);
    }
    for (int i = 0; i < tq_graph_n_outputs(a->graph); i++)
        if (tq_graph_output(a->graph, i) == from)
            tq_graph_set_output(a->graph, i, to);
}

static void copy_metas(const tq_value *from, tq_value *to)
{
    const char *key, *text;
    for (int i = 0; tq_value_meta_at(from, i, &key, &text); i++)
        if (!tq_value_meta(to, key))
            tq_value_set_meta(to, key, text);
}

static void copy_node_metas(const tq_node *from, tq_node *to)
{
    const char *key, *text;
    for (int i = 0; tq_node_meta_at(from, i, &key, &text); i++)
        tq_node_set_meta(to, key, text);
}

/* A graph output needs a name of its own: an input, a constant or another output stay what they
 * are. */
static tq_status separate(applier *a, const tq_value *old, tq_value **value)
{
    const tq_node *producer = tq_value_producer(*value);
    if (!tq_value_is_output(old) || (producer && !tq_value_is_output(*value)))
        return TQ_OK;
    TQ_TRY(tq_graph_emit(a->graph, a->scope.before, "Identity", value, 1, NULL, 0, value));
    TQ_PUSH(a->scope.arena, a->scope.made, a->scope.n_made, a->scope.made_capacity,
            tq_value_producer(*value));
    return TQ_OK;
}

typedef struct handover {
    tq_value *old, *new;
    const char *name;
    const tq_node *producer; /* of the old value */
    bool was_output;
} handover;

static tq_status hand_over(applier *a, int name, const tq_rule_statement *statement, handover *h)
{
    TQ_TRY(check_interface(a, name, statement));
    *h = (handover){ .old = a->found->values[name], .new = a->items[name].value };
    if (h->new == h->old)
        return TQ_OK;
    TQ_TRY(separate(a, h->old, &h->new));
    h->name = tq_value_name(h->old);
    h->producer = tq_value_producer(h->old);
    h->was_output = tq_value_is_output(h->old);
    redirect(a, h->old, h->new);
    return TQ_OK;
}

/* ---- cleaning up ---- */

static bool is_dead(const tq_node *node)
{
    for (int i = 0; i < tq_node_n_outputs(node); i++)
        if (tq_value_n_consumers(tq_node_output(node, i)) ||
            tq_value_is_output(tq_node_output(node, i)))
            return false;
    return true;
}

static void remove_dead(const applier *a)
{
    const tq_rule_found *found = a->found;
    for (bool any = true; any;) {
        any = false;
        for (int k = 0; k < found->rule->n_nodes; k++)
            for (int i = 0; i < found->count[k]; i++) {
                tq_node *node = found->nodes[k][i];
                if (!node || !is_dead(node))
                    continue;
                tq_graph_remove_node(a->graph, node);
                found->nodes[k][i] = NULL;
                any = true;
            }
    }
}

/* The new value goes by the old one's name: where it is new itself, or leaves the network. */
static void take_name(const applier *a, const handover *h)
{
    tq_node *producer = tq_value_producer(h->new);
    const bool made = producer && is_made(a, producer);
    if (h->new == h->old || (!made && !h->was_output))
        return;
    if (tq_graph_find_value(a->graph, h->name) == h->old) /* still read by new nodes */
        tq_value_set_name(h->old, tq_arena_printf(a->scope.arena, "%s/before", h->name));
    tq_value_set_name(h->new, h->name);
    if (!made)
        return;
    copy_metas(h->old, h->new);
    if (tq_value_output_index(h->new) != 0 ||
        tq_graph_find_node(a->graph, tq_node_name(h->producer)))
        return;
    tq_node_set_name(producer, tq_node_name(h->producer));
    if (tq_node_op(producer) == tq_node_op(h->producer))
        copy_node_metas(h->producer, producer);
}

/* The last value that statements gave to each output of the pattern. */
static tq_status replace(applier *a)
{
    const tq_rule *rule = a->found->rule;
    handover *all = TQ_NEW_N(a->scope.arena, handover, rule->n_captures);
    int n = 0;
    for (int name = 0; name < rule->n_captures; name++) {
        const tq_rule_statement *last = NULL;
        for (int i = 0; is_target(rule, name) && i < rule->n_statements; i++)
            for (int k = 0; k < rule->statements[i].n_targets; k++)
                if (rule->statements[i].targets[k] == name)
                    last = &rule->statements[i];
        if (last)
            TQ_TRY(hand_over(a, name, last, &all[n++]));
    }
    remove_dead(a);
    for (int i = 0; i < n; i++)
        take_name(a, &all[i]);
    return TQ_OK;
}

tq_status tq_rule_apply(const tq_rule_found *found, tq_arena *arena, tq_rule_heirs *heirs)
{
    const tq_rule *rule = found->rule;
    tq_node *last = found->nodes[rule->n_nodes - 1][0];
    applier a = { .graph = found->graph, .found = found };
    a.items = TQ_NEW_N(arena, tq_rule_item, rule->n_names);
    for (int i = 0; i < rule->n_captures; i++)
        if (found->values[i])
            a.items[i] = (tq_rule_item){ .kind = TQ_ITEM_VALUE, .value = found->values[i] };
    a.scope = (tq_rule_scope){ .found = found,
                               .arena = arena,
                               .items = a.items,
                               .replaces = true,
                               .before = tq_node_next(last),
                               .prefix = tq_node_name(last),
                               .heirs = heirs };
    for (int i = 0; i < rule->n_statements; i++)
        TQ_TRY(run_statement(&a, &rule->statements[i]));
    return replace(&a);
}
