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

/** Names under one heading, for the message. */
typedef struct complaint {
    const char *heading;
    int n;
    size_t capacity, length;
    const char **items;
} complaint;

static void complain(tq_arena *arena, complaint *c, const char *item)
{
    TQ_PUSH(arena, c->items, c->n, c->capacity, item);
    c->length += strlen(item) + 2;
}

/** What is wrong with the names, one list a kind. */
enum { MISSING, EXTRA, SHAPES, TWICE, N_KINDS };

typedef struct apply {
    tq_graph *graph;
    int n;
    const char *const *names;
    const tq_tensor *tensors;
    const char **rest; /* NULL: all must fit; else what did not goes here, into `keeper` */
    tq_arena *arena, *keeper;
    complaint wrong[N_KINDS];
    int n_pairs; /* constants to change */
    tq_value **values;
    tq_tensor *fresh, *old; /* owned, [n_pairs] */
    bool *taken;            /* [n]: this tensor goes into a constant */
    bool applied;
} apply;

static char *append(char *at, const char *text)
{
    const size_t n = strlen(text);
    memcpy(at, text, n + 1);
    return at + n;
}

/** "missing: 'a', 'b'; extra: 'c'", or NULL. */
static const char *list_all(tq_arena *arena, const complaint *complaints)
{
    size_t length = 1;
    for (int k = 0; k < N_KINDS; k++)
        length += complaints[k].length + strlen(complaints[k].heading) + 4;
    char *text = tq_arena_alloc(arena, length), *at = text;
    for (int k = 0; k < N_KINDS; k++)
        for (int i = 0; i < complaints[k].n; i++) {
            if (i == 0) {
                at = append(at, at == text ? "" : "; ");
                at = append(append(at, complaints[k].heading), ": ");
            }
            at = append(append(at, i ? ", " : ""), complaints[k].items[i]);
        }
    return at == text ? NULL : text;
}

static const char *mismatch(tq_arena *arena, const tq_value *value, const tq_tensor *tensor)
{
    return tq_arena_printf(arena, "'%s' (given %s, needed %s)", tq_value_name(value),
                           tq_type_text(&tensor->type).s, tq_type_text(tq_value_type(value)).s);
}

/** Pairs names with constants and notes all that is wrong. */
static void match(apply *job)
{
    static const char *const headings[] = { "missing", "extra", "of another shape or dtype",
                                            "given twice" };
    complaint *wrong = job->wrong;
    tq_arena *arena = job->arena;
    tq_name_set given = { .arena = arena };
    for (int k = 0; k < N_KINDS; k++)
        wrong[k].heading = headings[k];
    job->taken = TQ_NEW_N(arena, bool, job->n + 1);
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
        else
            job->taken[i] = true;
    }
    for (int i = 0; i < tq_graph_n_values(job->graph); i++) {
        const tq_value *value = tq_graph_value(job->graph, i);
        if (is_parameter(value) && tq_name_set_find(&given, tq_value_name(value)) < 0)
            complain(arena, &wrong[MISSING], tq_arena_printf(arena, "'%s'", tq_value_name(value)));
    }
}

/** One error lists all that is wrong; where the rest may stay, only that nothing fits is one. */
static tq_status report(apply *job)
{
    bool any = false;
    for (int i = 0; i < job->n; i++)
        any = any || job->taken[i];
    const char *text = list_all(job->rest ? job->keeper : job->arena, job->wrong);
    if (job->rest && any)
        *job->rest = text;
    else if (text)
        return tq_fail(TQ_ERR_VALUE, "the weights do not fit the network: %s", text);
    return TQ_OK;
}

static tq_status convert(apply *job)
{
    job->values = TQ_NEW_N(job->arena, tq_value *, job->n + 1);
    job->fresh = TQ_NEW_N(job->arena, tq_tensor, job->n + 1);
    job->old = TQ_NEW_N(job->arena, tq_tensor, job->n + 1);
    for (int i = 0; i < job->n; i++) {
        tq_value *value = tq_graph_find_value(job->graph, job->names[i]);
        if (!job->taken[i])
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
    match(job);
    TQ_TRY(report(job));
    TQ_TRY(convert(job));
    job->applied = true;
    set_all(job, job->fresh);
    return infer(job); /* shapes among the constants may steer types */
}

static tq_status apply_all(apply *job)
{
    const tq_status status = tq_guard(run, job);
    if (status && job->applied) {
        set_all(job, job->old);
        tq_status_drop(tq_guard(infer, job));
    }
    for (int i = 0; i < job->n_pairs; i++) {
        tq_tensor_reset(&job->fresh[i]);
        tq_tensor_reset(&job->old[i]);
    }
    tq_arena_destroy(job->arena);
    return status;
}

tq_status tq_weights_apply(tq_graph *graph, int n, const char *const *names,
                           const tq_tensor *tensors)
{
    return apply_all(&(apply){ .graph = graph, .n = n, .names = names, .tensors = tensors });
}

tq_status tq_weights_apply_some(tq_graph *graph, int n, const char *const *names,
                                const tq_tensor *tensors, tq_arena *arena, int *out_n_applied,
                                const char **out_rest)
{
    apply job = { .graph = graph, .n = n, .names = names, .tensors = tensors };
    job.keeper = arena;
    job.rest = out_rest;
    *out_rest = NULL;
    const tq_status status = apply_all(&job);
    *out_n_applied = status ? 0 : job.n_pairs;
    return status;
}
