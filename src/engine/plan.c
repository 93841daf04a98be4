/* Planning: a graph and concrete input types become slots (values) and steps (nodes in order), each
 * step with the first kernel that this CPU has and that accepts its types, else with the operator's
 * reference. */
#include "base/base.h"
#include "engine/phases_internal.h"

#include <stdlib.h>
#include <string.h>

tq_status tq_engine_wrap(tq_status status, const tq_node *node)
{
    return tq_wrap(status, "node '%s' (%s)", tq_node_name(node), tq_node_op_name(node));
}

/* ---- slots ------------------------------------------------------------------------------ */

/* Values sorted by address, to find the slot of one. The order is used for nothing else. */
typedef struct tq_plan_key {
    const tq_value *value;
    int slot;
} key;

enum { SLOTS_A_VALUE = 4, STEPS_A_NODE = 4 }; /* fused layers hold values in layouts too */

static int compare_keys(const void *a, const void *b)
{
    const uintptr_t x = (uintptr_t)((const key *)a)->value, y = (uintptr_t)((const key *)b)->value;
    return x < y ? -1 : x > y;
}

int tq_plan_slot(const tq_plan *p, const tq_value *value)
{
    if (!value)
        return -1;
    const key wanted = { .value = value };
    const key *found =
        bsearch(&wanted, p->keys, (size_t)p->n_values, sizeof *p->keys, compare_keys);
    TQ_ASSERT(found);
    return found->slot;
}

/** Initialisers are read through the graph that the caller keeps: the trainer writes them there. */
static tq_status find_original(tq_engine *engine, tq_slot *slot)
{
    slot->original = tq_graph_find_value(engine->original, tq_value_name(slot->value));
    TQ_ASSERT(slot->original && tq_value_is_const(slot->original));
    slot->tensor.data = tq_value_tensor(slot->original)->data;
    return TQ_OK;
}

static tq_status check_known(const tq_slot *slot)
{
    const tq_node *producer = tq_value_producer(slot->value);
    size_t size = 0;
    if (tq_type_is_known(&slot->tensor.type) && slot->tensor.type.dtype != TQ_NONE)
        return tq_wrap(tq_type_size(&slot->tensor.type, &size), "value '%s'",
                       tq_value_name(slot->value));
    return producer ? tq_engine_wrap(tq_fail(TQ_ERR_UNSUPPORTED,
                                             "cannot run: the shape of '%s' depends on data",
                                             tq_value_name(slot->value)),
                                     producer)
                    : tq_fail(TQ_ERR_SHAPE, "the type of '%s' is not known: %s",
                              tq_value_name(slot->value), tq_type_text(&slot->tensor.type).s);
}

static tq_status make_slots(tq_plan *p)
{
    tq_engine *engine = p->engine;
    p->n_values = engine->n_slots = tq_graph_n_values(engine->graph);
    engine->slots = TQ_NEW_N(engine->arena, tq_slot, SLOTS_A_VALUE * engine->n_slots + 1);
    p->keys = TQ_NEW_N(p->scratch, key, engine->n_slots);
    for (int i = 0; i < engine->n_slots; i++) {
        tq_slot *slot = &engine->slots[i];
        slot->value = tq_graph_value(engine->graph, i);
        slot->tensor.type = *tq_value_type(slot->value);
        slot->first = slot->last = -1;
        p->keys[i] = (key){ slot->value, i };
        TQ_TRY(check_known(slot));
        if (tq_value_is_const(slot->value)) {
            slot->place = TQ_PLACE_CONSTANT;
            TQ_TRY(find_original(engine, slot));
        } else {
            slot->place = tq_value_is_input(slot->value) ? TQ_PLACE_INPUT : TQ_PLACE_BLOCK;
        }
    }
    qsort(p->keys, (size_t)engine->n_slots, sizeof *p->keys, compare_keys);
    for (int i = 0; i < tq_graph_n_inputs(engine->graph); i++)
        engine->slots[tq_plan_slot(p, tq_graph_input(engine->graph, i))].source = i;
    return TQ_OK;
}

/* ---- steps ------------------------------------------------------------------------------ */

static int *find_slots(const tq_plan *p, const tq_node *node, bool is_out, int n)
{
    int *slots = TQ_NEW_N(p->engine->arena, int, n + 1);
    for (int i = 0; i < n; i++)
        slots[i] = tq_plan_slot(p, is_out ? tq_node_output(node, i) : tq_node_input(node, i));
    return slots;
}

/** An optional output that nobody reads is as good as absent, unless all values are kept. */
static void drop_unread(const tq_plan *p, const tq_node *node, int *slots)
{
    const char *const *names = tq_node_op(node)->outputs;
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        const tq_value *value = tq_node_output(node, i);
        if (p->engine->options.keep_all || slots[i] < 0 || i >= TQ_OP_MAX_NAMES || !names[i] ||
            names[i][0] != '?' || tq_value_n_consumers(value) > 0 || tq_value_is_output(value))
            continue;
        p->engine->slots[slots[i]].place = TQ_PLACE_NOWHERE;
        slots[i] = -1;
    }
}

static const tq_type **find_types(const tq_plan *p, const int *slots, int n)
{
    const tq_type **types = TQ_NEW_N(p->engine->arena, const tq_type *, n + 1);
    for (int i = 0; i < n; i++)
        types[i] = slots[i] < 0 ? NULL : &p->engine->slots[slots[i]].tensor.type;
    return types;
}

/* Data pointers come at each run. */
void tq_plan_bind(const tq_plan *p, const tq_node *node, tq_op_run *out_run, int **out_in,
                  int **out_out)
{
    const tq_engine *engine = p->engine;
    const int n_in = tq_node_n_inputs(node), n_out = tq_node_n_outputs(node);
    *out_in = find_slots(p, node, false, n_in);
    *out_out = find_slots(p, node, true, n_out);
    drop_unread(p, node, *out_out);
    bool *in_const = TQ_NEW_N(engine->arena, bool, n_in + 1);
    for (int i = 0; i < n_in; i++)
        in_const[i] = (*out_in)[i] >= 0 && engine->slots[(*out_in)[i]].place == TQ_PLACE_CONSTANT &&
                      !engine->options.constants_change;
    *out_run = (tq_op_run){
        .n_in = n_in,
        .n_out = n_out,
        .in = TQ_NEW_N(engine->arena, const void *, n_in + 1),
        .out = TQ_NEW_N(engine->arena, void *, n_out + 1),
        .in_types = find_types(p, *out_in, n_in),
        .out_types = find_types(p, *out_out, n_out),
        .in_const = in_const,
        .attrs = tq_node_attrs(node),
        .registry = tq_graph_registry(engine->graph),
        .pool = engine->options.reference_only ? NULL : engine->options.pool,
        .n_shards = engine->options.n_shards,
        .bf16 = engine->options.bf16,
    };
}

/** Does `kernel` take this step? Its state is then prepared. One that finds out only while
 * preparing that it cannot (TQ_ERR_UNSUPPORTED) is passed over. */
static tq_status try_kernel(tq_step *step, const tq_kernel *kernel, bool *out_taken)
{
    *out_taken = false;
    if ((kernel->needs & tq_cpu_flags()) != kernel->needs || !kernel->accepts(&step->run))
        return TQ_OK;
    const tq_status status = kernel->prepare ? kernel->prepare(&step->run, &step->state) : TQ_OK;
    if (status && tq_status_code(status) == TQ_ERR_UNSUPPORTED) {
        tq_status_drop(status);
        return TQ_OK;
    }
    if (status)
        return status;
    step->kernel = kernel;
    *out_taken = true;
    return TQ_OK;
}

static tq_status choose_kernel(tq_engine *engine, tq_step *step)
{
    const tq_registry *registry = step->run.registry;
    const tq_op *op = tq_node_op(step->node);
    const int n = engine->options.reference_only ? 0 : tq_registry_count(registry, TQ_KIND_KERNEL);
    for (int i = 0; i < n && !step->kernel; i++) {
        const tq_entry *entry = tq_registry_at(registry, TQ_KIND_KERNEL, i);
        bool taken = false;
        if (!strcmp(entry->name, op->entry.name))
            TQ_TRY(try_kernel(step, (const tq_kernel *)entry, &taken));
    }
    if (step->kernel) {
        const size_t size =
            step->kernel->scratch_size ? step->kernel->scratch_size(&step->run, step->state) : 0;
        engine->scratch_size = size > engine->scratch_size ? size : engine->scratch_size;
        return TQ_OK;
    }
    return op->reference ? TQ_OK : tq_fail(TQ_ERR_UNSUPPORTED, "cannot run");
}

tq_status tq_plan_add_node(tq_plan *p, const tq_node *node)
{
    tq_step *step = &p->engine->steps[p->engine->n_steps++];
    step->node = node;
    step->macs = tq_node_macs(node);
    tq_plan_bind(p, node, &step->run, &step->in, &step->out);
    return tq_engine_wrap(choose_kernel(p->engine, step), node);
}

/** One step a node, but where layers stand for several. */
static tq_status add_nodes(tq_plan *p)
{
    TQ_TRY(tq_plan_fuse(p));
    int index = 0;
    for (tq_node *node = tq_graph_first(p->engine->graph); node; node = tq_node_next(node)) {
        bool taken = false;
        TQ_TRY(tq_plan_add_fused(p, index++, &taken));
        if (!taken)
            TQ_TRY(tq_plan_add_node(p, node));
    }
    return TQ_OK;
}

static void number_steps(tq_plan *p)
{
    tq_engine *engine = p->engine;
    tq_index places = tq_index_make(p->scratch, tq_graph_n_nodes(engine->graph));
    int n = 0;
    for (const tq_node *node = tq_graph_first(engine->graph); node; node = tq_node_next(node))
        tq_index_set(&places, node, n++);
    for (int i = 0; i < engine->n_steps; i++)
        engine->steps[i].place = tq_index_find(&places, engine->steps[i].node);
}

static tq_status make_steps(tq_plan *p)
{
    tq_engine *engine = p->engine;
    engine->steps =
        TQ_NEW_N(engine->arena, tq_step, STEPS_A_NODE * tq_graph_n_nodes(engine->graph) + 1);
    engine->needs_rows = TQ_NEW_N(engine->arena, bool, p->n_inputs + 1);
    TQ_TRY(tq_phased_plan_make(p, &p->phased));
    for (int i = 0; !p->phased && i < p->n_inputs; i++)
        engine->needs_rows[i] = true;
    if (!p->phased)
        return add_nodes(p);
    p->has_more = tq_phased_choose_again(p->phased, p->stored_limit);
    tq_phased_plan_copy(p->phased);
    return tq_phased_plan_add_steps(p->phased);
}

static void make_outputs(tq_plan *p)
{
    tq_engine *engine = p->engine;
    engine->n_outputs = tq_graph_n_outputs(engine->graph);
    engine->outputs = TQ_NEW_N(engine->arena, int, engine->n_outputs + 1);
    engine->results = TQ_NEW_N(engine->arena, tq_tensor, engine->n_outputs + 1);
    engine->copied = TQ_NEW_N(engine->arena, bool, engine->n_outputs + 1);
    for (int i = 0; i < engine->n_outputs; i++) {
        engine->outputs[i] = tq_plan_slot(p, tq_graph_output(engine->graph, i));
        tq_slot *slot = &engine->slots[engine->outputs[i]];
        if (slot->place == TQ_PLACE_BLOCK)
            slot->place = TQ_PLACE_OUTPUT;
        engine->copied[i] = slot->place == TQ_PLACE_INPUT;
    }
}

/* ---- the whole -------------------------------------------------------------------------- */

static int default_shards(const tq_type *types, int n)
{
    const int64_t batch = n > 0 && types[0].rank > 0 ? types[0].dims[0] : 1;
    return (int)tq_clip_i64(batch, 1, 16);
}

static tq_status make_plan(void *context)
{
    tq_plan *p = context;
    tq_engine *engine = p->engine;
    engine->arena = tq_arena_create();
    p->scratch = tq_arena_create();
    engine->graph = tq_graph_clone(engine->original);
    TQ_TRY(tq_graph_sort(engine->graph));
    if (!engine->options.keep_all)
        tq_graph_sweep(engine->graph);
    TQ_TRY(tq_graph_infer_for(engine->graph, p->input_types, p->n_inputs));
    TQ_TRY(make_slots(p));
    make_outputs(p);
    TQ_TRY(make_steps(p));
    number_steps(p);
    return tq_engine_lay_out(engine);
}

static tq_status create(const tq_graph *graph, const tq_engine_options *options, tq_plan *p,
                        tq_engine **out_engine)
{
    *out_engine = NULL;
    p->engine = tq_allocate(sizeof *p->engine);
    if (!p->engine)
        return tq_fail(TQ_ERR_MEMORY, "no memory for an engine");
    p->engine->original = graph;
    p->engine->options = *options;
    if (p->engine->options.n_shards <= 0)
        p->engine->options.n_shards = default_shards(p->input_types, p->n_inputs);
    const tq_status status = tq_guard(make_plan, p);
    tq_plan_drop_fusions(p);
    tq_phased_plan_drop(p->phased);
    tq_arena_destroy(p->scratch);
    if (status)
        tq_engine_destroy(p->engine);
    else
        *out_engine = p->engine;
    return status;
}

tq_status tq_engine_create(const tq_graph *graph, const tq_type *input_types, int n_inputs,
                           const tq_engine_options *options, tq_engine **out_engine)
{
    const tq_engine_options given = options ? *options : (tq_engine_options){ 0 };
    const size_t most = given.memory > 0 ? given.memory : SIZE_MAX;
    *out_engine = NULL;
    if (n_inputs != tq_graph_n_inputs(graph))
        return tq_fail(TQ_ERR_VALUE, "the graph has %d inputs, %d types given",
                       tq_graph_n_inputs(graph), n_inputs);
    for (size_t limit = most;;) {
        tq_plan p = { .input_types = input_types, .n_inputs = n_inputs, .stored_limit = limit };
        TQ_TRY(create(graph, &given, &p, out_engine));
        const size_t size = tq_engine_memory(*out_engine);
        if (size <= most)
            return TQ_OK;
        tq_engine_destroy(*out_engine);
        *out_engine = NULL;
        if (!p.has_more)
            return tq_fail(TQ_ERR_MEMORY,
                           "all arrays take at least %.1f MB, and %.1f MB are allowed; allow more "
                           "or make the batch smaller",
                           (double)size * 1e-6, (double)most * 1e-6);
        limit = limit > size - most ? limit - (size - most) : 0; /* there are other arrays too */
    }
}

void tq_engine_destroy(tq_engine *engine)
{
    if (!engine)
        return;
    for (int i = 0; i < engine->n_steps; i++) {
        const tq_kernel *kernel = engine->steps[i].kernel;
        tq_layer_destroy(engine->steps[i].layer);
        if (kernel && kernel->release)
            kernel->release(engine->steps[i].state);
    }
    for (int i = 0; i < engine->n_units; i++)
        if (engine->units[i].sharded->release)
            engine->units[i].sharded->release(engine->units[i].state);
    for (int i = 0; engine->slots && i < engine->n_slots; i++)
        tq_buffer_release(engine->slots[i].tensor.buffer);
    for (int i = 0; engine->results && i < engine->n_outputs; i++)
        tq_buffer_release(engine->results[i].buffer);
    tq_buffer_release(engine->totals_buffer);
    tq_buffer_release(engine->block);
    tq_buffer_release(engine->scratch);
    tq_graph_destroy(engine->graph);
    tq_arena_destroy(engine->arena);
    free(engine);
}
