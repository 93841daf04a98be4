/* Finding a rule's pattern: from its last node, step by step along the plan, with backtracking over
 * the orders of commutative inputs, the consumers of a value and the lengths of repeated parts.
 * What was bound last is undone first (a trail), and tries are counted: a hostile pattern stops
 * with an error instead of running for ever. */
#include "rewrite/rule_internal.h"

#include <string.h>

/* ---- the plan ---- */

typedef struct planner {
    tq_rule *rule;
    bool *placed, *known; /* nodes, names */
} planner;

static void place(planner *p, int step, int node, int name, bool forward)
{
    const tq_rule_node *n = &p->rule->nodes[node];
    p->rule->steps[step] = (tq_rule_step){ node, name, forward };
    p->placed[node] = true;
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i].kind == TQ_INPUT_NAME)
            p->known[n->inputs[i].name] = true;
    for (int i = 0; i < n->n_outputs; i++)
        p->known[n->outputs[i]] = true;
}

static int known_output(const planner *p, const tq_rule_node *node)
{
    for (int i = 0; i < node->n_outputs; i++)
        if (p->known[node->outputs[i]])
            return node->outputs[i];
    return -1;
}

static int known_input(const planner *p, const tq_rule_node *node)
{
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i].kind == TQ_INPUT_NAME && p->known[node->inputs[i].name])
            return node->inputs[i].name;
    return -1;
}

/* The next node that hangs on what is known: rather a maker than a reader. */
static bool place_next(planner *p, int step)
{
    for (int forward = 0; forward < 2; forward++)
        for (int k = p->rule->n_nodes - 1; k >= 0; k--) {
            const tq_rule_node *node = &p->rule->nodes[k];
            if (p->placed[k] || (forward && (node->min != 1 || node->max != 1)))
                continue;
            const int name = forward ? known_input(p, node) : known_output(p, node);
            if (name < 0)
                continue;
            place(p, step, k, name, forward);
            return true;
        }
    return false;
}

tq_status tq_rule_plan(tq_rule *rule, tq_arena *arena)
{
    planner p = { .rule = rule,
                  .placed = TQ_NEW_N(arena, bool, rule->n_nodes),
                  .known = TQ_NEW_N(arena, bool, rule->n_names) };
    const int last = rule->n_nodes - 1;
    rule->steps = TQ_NEW_N(arena, tq_rule_step, rule->n_nodes);
    if (rule->nodes[last].min == 0)
        return tq_rule_fail(TQ_ERR_FORMAT, rule->source, rule->nodes[last].place,
                            "the last node of a pattern cannot be left out");
    place(&p, 0, last, rule->nodes[last].outputs[0], false);
    for (int step = 1; step < rule->n_nodes; step++)
        if (!place_next(&p, step)) {
            int k = last;
            while (p.placed[k])
                k--;
            return tq_rule_fail(TQ_ERR_FORMAT, rule->source, rule->nodes[k].place,
                                "this part does not hang together with the last statement");
        }
    return TQ_OK;
}

/* ---- binding ---- */

typedef enum binding { UNBOUND, BOUND, ABSENT } binding;

typedef struct matcher {
    const tq_rule *rule;
    tq_graph *graph;
    tq_arena *arena;
    tq_rule_found *found;
    binding *state;      /* of each capture */
    int *trail, n_trail; /* captures bound so far */
    int n_tries;
    tq_status status;
} matcher;

static bool bind(matcher *m, int name, tq_value *value)
{
    if (m->state[name] != UNBOUND)
        return m->found->values[name] == value;
    m->state[name] = value ? BOUND : ABSENT;
    m->found->values[name] = value;
    m->trail[m->n_trail++] = name;
    return true;
}

static void undo(matcher *m, int n_trail)
{
    while (m->n_trail > n_trail) {
        const int name = m->trail[--m->n_trail];
        m->state[name] = UNBOUND;
        m->found->values[name] = NULL;
    }
}

static bool is_taken(const matcher *m, const tq_node *node)
{
    for (int k = 0; k < m->rule->n_nodes; k++)
        for (int i = 0; i < m->found->count[k]; i++)
            if (m->found->nodes[k][i] == node)
                return true;
    return false;
}

/* ---- one node, one input ---- */

static bool equals_number(const tq_value *value, double number)
{
    const tq_tensor *tensor = tq_value_tensor(value);
    if (!tensor || tq_tensor_count(tensor) != 1)
        return false;
    const double v = tq_load_f64(tensor->data, tensor->type.dtype, 0);
    return tensor->type.dtype == TQ_F32 ? (float)v == (float)number : v == number;
}

static bool has_needs(const tq_value *value, unsigned needs)
{
    const bool is_const = tq_value_is_const(value);
    if ((needs & TQ_NEEDS_CONST && !is_const) || (needs & TQ_NEEDS_DYNAMIC && is_const) ||
        (needs & TQ_NEEDS_INPUT && !tq_value_is_input(value)))
        return false;
    return !(needs & TQ_NEEDS_SCALAR) || tq_type_count(tq_value_type(value)) == 1;
}

static bool match_input(matcher *m, const tq_rule_input *input, tq_value *value)
{
    switch (input->kind) {
    case TQ_INPUT_ABSENT:
        return !value;
    case TQ_INPUT_ANY:
        return value || input->optional;
    case TQ_INPUT_NUMBER:
        return value && equals_number(value, input->number);
    case TQ_INPUT_NAME:
        break;
    }
    if (!value)
        return input->optional && bind(m, input->name, NULL);
    return has_needs(value, m->rule->names[input->name].needs) && bind(m, input->name, value);
}

static bool is_one_of(const tq_rule_node *wanted, const tq_node *node)
{
    for (int i = 0; i < wanted->n_ops; i++)
        if (wanted->ops[i] == tq_node_op(node))
            return true;
    return wanted->n_ops == 0;
}

static bool is_unread(const tq_value *value)
{
    return tq_value_n_consumers(value) == 0 && !tq_value_is_output(value);
}

/* All but inputs and captures. */
static bool node_fits(const tq_rule_node *wanted, const tq_node *node)
{
    const int n_inputs = tq_node_n_inputs(node);
    if (!is_one_of(wanted, node) || (!wanted->rest && n_inputs > wanted->n_inputs))
        return false;
    const tq_value *output = tq_node_output(node, 0);
    if (wanted->sole && (tq_value_n_consumers(output) != 1 || tq_value_is_output(output)))
        return false;
    for (int i = wanted->n_outputs; i < tq_node_n_outputs(node); i++)
        if (!is_unread(tq_node_output(node, i)))
            return false;
    return tq_node_n_outputs(node) >= wanted->n_outputs;
}

static bool check(matcher *m, const tq_expr *condition)
{
    tq_rule_scope scope = { .found = m->found, .arena = m->arena };
    bool holds = false;
    if (!m->status)
        m->status = tq_rule_holds(&scope, condition, &holds);
    return !m->status && holds;
}

/* Conditions on attributes; those that need captures wait until all is bound. */
static bool attrs_fit(matcher *m, int k, bool at_once)
{
    const tq_rule_node *wanted = &m->rule->nodes[k];
    for (int i = 0; i < wanted->n_attrs; i++)
        if (wanted->attrs[i].at_once == at_once && !check(m, wanted->attrs[i].condition))
            return false;
    return true;
}

/* ---- steps ---- */

static bool match_step(matcher *m, int step);

static bool all_hold(matcher *m)
{
    for (int k = 0; k < m->rule->n_nodes; k++)
        if (m->found->count[k] && !attrs_fit(m, k, false))
            return false;
    for (int i = 0; i < m->rule->n_conditions; i++)
        if (!check(m, m->rule->conditions[i]))
            return false;
    return true;
}

/* Inputs from `first` on, input i read at `order[i]`. */
static bool match_inputs(matcher *m, const tq_rule_node *wanted, const tq_node *node, int first,
                         const int *order)
{
    for (int i = first; i < wanted->n_inputs; i++)
        if (!match_input(m, &wanted->inputs[i], tq_node_input(node, order[i])))
            return false;
    return true;
}

/* The next order of n indices, as in a dictionary; false behind the last one. */
static bool next_order(int *order, int n)
{
    int i = n - 2;
    while (i >= 0 && order[i] > order[i + 1])
        i--;
    if (i < 0)
        return false;
    int k = n - 1;
    while (order[k] < order[i])
        k--;
    const int swapped = order[i];
    order[i] = order[k];
    order[k] = swapped;
    for (int a = i + 1, b = n - 1; a < b; a++, b--) {
        const int other = order[a];
        order[a] = order[b];
        order[b] = other;
    }
    return true;
}

static bool match_orders(matcher *m, const tq_rule_node *wanted, const tq_node *node, int step)
{
    int order[TQ_RULE_MAX_ARGS];
    for (int i = 0; i < wanted->n_inputs; i++)
        order[i] = i;
    do {
        const int n_trail = m->n_trail;
        if (match_inputs(m, wanted, node, 0, order) && match_step(m, step + 1))
            return true;
        undo(m, n_trail);
    } while (wanted->commutative && !m->status && next_order(order, wanted->n_inputs));
    return false;
}

static bool match_node(matcher *m, int step, tq_node *node)
{
    const int k = m->rule->steps[step].node;
    const tq_rule_node *wanted = &m->rule->nodes[k];
    if (is_taken(m, node) || !node_fits(wanted, node))
        return false;
    const int n_trail = m->n_trail;
    m->found->nodes[k] = TQ_NEW(m->arena, tq_node *);
    m->found->nodes[k][0] = node;
    m->found->count[k] = 1;
    bool fits = attrs_fit(m, k, true);
    for (int i = 0; fits && i < wanted->n_outputs; i++)
        fits = has_needs(tq_node_output(node, i), m->rule->names[wanted->outputs[i]].needs) &&
               bind(m, wanted->outputs[i], tq_node_output(node, i));
    if (fits && match_orders(m, wanted, node, step))
        return true;
    undo(m, n_trail);
    m->found->count[k] = 0;
    return false;
}

/* Nodes from `value` backwards along input 0 that fit a repeated part, at most `max`. */
static int collect(matcher *m, int k, tq_value *value, tq_node ***out)
{
    const tq_rule_node *wanted = &m->rule->nodes[k];
    int n = 0;
    size_t capacity = 0;
    tq_node **nodes = NULL;
    while (value && n < wanted->max) {
        tq_node *node = tq_value_producer(value);
        if (!node || tq_value_output_index(value) != 0 || !node_fits(wanted, node) ||
            is_taken(m, node))
            break;
        m->found->nodes[k] = &node; /* the condition looks at this one */
        m->found->count[k] = 1;
        const bool fits = attrs_fit(m, k, true);
        m->found->count[k] = 0;
        if (!fits)
            break;
        TQ_PUSH(m->arena, nodes, n, capacity, node);
        value = tq_node_input(node, 0);
    }
    *out = nodes;
    return n;
}

static bool match_chain_of(matcher *m, int step, tq_value *value, int n)
{
    static const int order[TQ_RULE_MAX_ARGS] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };
    const int k = m->rule->steps[step].node;
    const tq_rule_node *wanted = &m->rule->nodes[k];
    m->found->count[k] = n;
    for (int i = 0; i < n; i++) {
        if (!match_inputs(m, wanted, m->found->nodes[k][i], 1, order))
            return false;
        value = tq_node_input(m->found->nodes[k][i], 0);
    }
    return match_input(m, &wanted->inputs[0], value) && match_step(m, step + 1);
}

/* An optional or repeated part that ends in `value`: the longest chain that lets the rest match. */
static bool match_chain(matcher *m, int step, tq_value *value)
{
    const int k = m->rule->steps[step].node;
    tq_node **nodes;
    const int n_most = collect(m, k, value, &nodes), n_trail = m->n_trail;
    if (!bind(m, m->rule->nodes[k].outputs[0], value))
        return false;
    const int n_bound = m->n_trail;
    m->found->nodes[k] = nodes;
    for (int n = n_most; n >= m->rule->nodes[k].min && !m->status; n--) {
        if (match_chain_of(m, step, value, n))
            return true;
        undo(m, n_bound);
    }
    undo(m, n_trail);
    m->found->count[k] = 0;
    return false;
}

static bool match_readers(matcher *m, int step, tq_value *value)
{
    for (int i = 0; i < tq_value_n_consumers(value) && !m->status; i++) {
        tq_node *node = tq_value_consumer(value, i);
        bool seen = false; /* it may read the value twice */
        for (int k = 0; k < i && !seen; k++)
            seen = tq_value_consumer(value, k) == node;
        if (!seen && match_node(m, step, node))
            return true;
    }
    return false;
}

static bool match_step(matcher *m, int step)
{
    if (step == m->rule->n_nodes)
        return all_hold(m);
    if (++m->n_tries > TQ_RULE_MAX_TRIES) {
        if (!m->status)
            m->status = tq_fail(TQ_ERR_CHECK,
                                "the pattern needs more than %d tries here; say more "
                                "of what it is to match",
                                TQ_RULE_MAX_TRIES);
        return false;
    }
    const tq_rule_step *s = &m->rule->steps[step];
    const tq_rule_node *wanted = &m->rule->nodes[s->node];
    tq_value *value = m->found->values[s->name];
    if (!value)
        return false;
    if (s->forward)
        return match_readers(m, step, value);
    if (wanted->min != 1 || wanted->max != 1)
        return match_chain(m, step, value);
    tq_node *producer = tq_value_producer(value);
    return producer && match_node(m, step, producer);
}

/* ---- from outside ---- */

static tq_rule_found *new_found(const tq_rule *rule, tq_graph *graph, tq_arena *arena)
{
    tq_rule_found *found = TQ_NEW(arena, tq_rule_found);
    found->rule = rule;
    found->graph = graph;
    found->nodes = TQ_NEW_N(arena, tq_node **, rule->n_nodes);
    found->count = TQ_NEW_N(arena, int, rule->n_nodes);
    found->values = TQ_NEW_N(arena, tq_value *, rule->n_captures);
    return found;
}

tq_status tq_rule_match_at(const tq_rule *rule, tq_graph *graph, tq_node *last, tq_arena *arena,
                           tq_rule_found **out)
{
    const tq_rule_node *wanted = &rule->nodes[rule->n_nodes - 1];
    *out = NULL;
    if (!is_one_of(wanted, last) || !node_fits(wanted, last))
        return TQ_OK;
    matcher m = { .rule = rule, .graph = graph, .arena = arena };
    m.found = new_found(rule, graph, arena);
    m.state = TQ_NEW_N(arena, binding, rule->n_captures);
    m.trail = TQ_NEW_N(arena, int, rule->n_captures);
    const bool matches =
        wanted->max == 1 ? match_node(&m, 0, last) : match_chain(&m, 0, tq_node_output(last, 0));
    if (m.status)
        return tq_wrap(m.status, "at node '%s'", tq_node_name(last));
    if (matches)
        *out = m.found;
    return TQ_OK;
}
