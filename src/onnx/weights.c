/* Weights by name into the constants of a graph: all of them or none. */
#include "onnx/onnx_internal.h"

#include <string.h>

/** Does the network learn this constant? Shapes, axes and scalar settings are not asked for. */
static bool is_parameter(const tq_value *value)
{
    const tq_type *type = tq_value_type(value);
    if (!tq_value_is_const(value) || type->rank < 1)
        return false;
    for (int i = 0; i < tq_value_n_consumers(value); i++) {
        const tq_node *node = tq_value_consumer(value, i);
        const bool is_weight = tq_node_has_flag(node, TQ_OP_LINEAR);
        if (is_weight || tq_dtype_is_float(type->dtype))
            return true;
    }
    return false;
}

/** Counters that PyTorch keeps beside its batch norms. */
static bool is_ignored(const char *name)
{
    static const char counter[] = "num_batches_tracked";
    const size_t n = strlen(name), k = sizeof counter - 1;
    return n >= k && strcmp(name + n - k, counter) == 0 && (n == k || name[n - k - 1] == '.');
}

static bool fits(const tq_type *wanted, const tq_type *given)
{
    const bool both_float = tq_dtype_is_float(wanted->dtype) && tq_dtype_is_float(given->dtype);
    tq_type as_wanted = *given;
    if (both_float)
        as_wanted.dtype = wanted->dtype;
    return tq_type_equal(wanted, &as_wanted);
}

/** A list of names under one heading, for the message. */
typedef struct complaint {
    const char *heading, *text;
} complaint;

static void complain(tq_arena *arena, complaint *c, const char *item)
{
    c->text = c->text ? tq_arena_printf(arena, "%s, %s", c->text, item) : item;
}

typedef struct apply {
    tq_graph *graph;
    int n;
    const char *const *names;
    const tq_tensor *tensors;
    tq_arena *arena;
    int n_pairs; /* constants to change */
    tq_value **values;
    tq_tensor *fresh, *old; /* owned, [n_pairs] */
    bool applied;
} apply;

static tq_status report(tq_arena *arena, const complaint *complaints, int n)
{
    const char *text = NULL;
    for (int i = 0; i < n; i++)
        if (complaints[i].text)
            text = tq_arena_printf(arena, "%s%s%s: %s", text ? text : "", text ? "; " : "",
                                   complaints[i].heading, complaints[i].text);
    return text ? tq_fail(TQ_ERR_VALUE, "the weights do not fit the network: %s", text) : TQ_OK;
}

static const char *mismatch(tq_arena *arena, const tq_value *value, const tq_tensor *tensor)
{
    return tq_arena_printf(arena, "'%s' (given %s, needed %s)", tq_value_name(value),
                           tq_type_text(&tensor->type).s, tq_type_text(tq_value_type(value)).s);
}

/** Pairs names with constants; one error lists all that is wrong. */
static tq_status match(apply *job)
{
    enum { MISSING, EXTRA, SHAPES, TWICE };
    complaint wrong[] = { [MISSING] = { "missing", NULL },
                          [EXTRA] = { "extra", NULL },
                          [SHAPES] = { "of another shape or dtype", NULL },
                          [TWICE] = { "given twice", NULL } };
    tq_arena *arena = job->arena;
    tq_name_set given = { .arena = arena };
    for (int i = 0; i < job->n; i++) {
        tq_value *value = tq_graph_find_value(job->graph, job->names[i]);
        const char *quoted = tq_arena_printf(arena, "'%s'", job->names[i]);
        if (!tq_name_set_add(&given, job->names[i], i))
            complain(arena, &wrong[TWICE], quoted);
        else if (!value || !tq_value_is_const(value)) {
            if (!is_ignored(job->names[i]))
                complain(arena, &wrong[EXTRA], quoted);
        } else if (!fits(tq_value_type(value), &job->tensors[i].type))
            complain(arena, &wrong[SHAPES], mismatch(arena, value, &job->tensors[i]));
    }
    for (int i = 0; i < tq_graph_n_values(job->graph); i++) {
        const tq_value *value = tq_graph_value(job->graph, i);
        if (is_parameter(value) && tq_name_set_find(&given, tq_value_name(value)) < 0)
            complain(arena, &wrong[MISSING], tq_arena_printf(arena, "'%s'", tq_value_name(value)));
    }
    return report(arena, wrong, TQ_COUNT(wrong));
}

static tq_status convert(apply *job)
{
    job->values = TQ_NEW_N(job->arena, tq_value *, job->n + 1);
    job->fresh = TQ_NEW_N(job->arena, tq_tensor, job->n + 1);
    job->old = TQ_NEW_N(job->arena, tq_tensor, job->n + 1);
    for (int i = 0; i < job->n; i++) {
        tq_value *value = tq_graph_find_value(job->graph, job->names[i]);
        if (!value || !tq_value_is_const(value))
            continue;
        const int k = job->n_pairs;
        TQ_TRY(tq_tensor_cast(&job->tensors[i], tq_value_type(value)->dtype, &job->fresh[k]));
        job->values[k] = value;
        job->old[k] = tq_tensor_share(tq_value_tensor(value));
        job->n_pairs++;
    }
    return TQ_OK;
}

static void set_all(const apply *job, const tq_tensor *tensors)
{
    for (int i = 0; i < job->n_pairs; i++)
        tq_value_set_tensor(job->values[i], &tensors[i]);
}

static tq_status infer(void *context)
{
    return tq_graph_infer(((apply *)context)->graph);
}

static tq_status run(void *context)
{
    apply *job = context;
    job->arena = tq_arena_create();
    TQ_TRY(match(job));
    TQ_TRY(convert(job));
    job->applied = true;
    set_all(job, job->fresh);
    return infer(job); /* shapes among the constants may steer types */
}

tq_status tq_weights_apply(tq_graph *graph, int n, const char *const *names,
                           const tq_tensor *tensors)
{
    apply job = { .graph = graph, .n = n, .names = names, .tensors = tensors };
    const tq_status status = tq_guard(run, &job);
    if (status && job.applied) {
        set_all(&job, job.old);
        tq_status_drop(tq_guard(infer, &job));
    }
    for (int i = 0; i < job.n_pairs; i++) {
        tq_tensor_reset(&job.fresh[i]);
        tq_tensor_reset(&job.old[i]);
    }
    tq_arena_destroy(job.arena);
    return status;
}
