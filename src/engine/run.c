/* Running a planned graph: bind the caller's inputs and the initialisers, then one step after the
 * other. */
#include "engine/phases_internal.h"

#include <string.h>
#include <time.h>

double tq_engine_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/** SplitMix64's mixing (Steele, Lea and Flood, 2014): each node has a seed of its own. */
static uint64_t mix(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static tq_status check_inputs(const tq_engine *engine, const tq_tensor *inputs, int n_inputs)
{
    if (n_inputs != tq_graph_n_inputs(engine->graph))
        return tq_fail(TQ_ERR_VALUE, "the graph has %d inputs, %d given",
                       tq_graph_n_inputs(engine->graph), n_inputs);
    for (int i = 0; i < n_inputs; i++) {
        const tq_value *value = tq_graph_input(engine->graph, i);
        if (!tq_type_equal(&inputs[i].type, tq_value_type(value)))
            return tq_fail(TQ_ERR_SHAPE, "input '%s' is %s; the engine was planned for %s",
                           tq_value_name(value), tq_type_text(&inputs[i].type).s,
                           tq_type_text(tq_value_type(value)).s);
        if (!inputs[i].data && tq_tensor_count(&inputs[i]) > 0)
            return tq_fail(TQ_ERR_VALUE, "input '%s' has no data", tq_value_name(value));
    }
    return TQ_OK;
}

/** An initialiser may have moved (first write copies it) or changed its type behind our back. */
static tq_status refresh_constant(tq_slot *slot)
{
    const tq_tensor *tensor = tq_value_tensor(slot->original);
    if (!tensor || !tq_type_equal(&tensor->type, &slot->tensor.type))
        return tq_fail(TQ_ERR_STATE, "constant '%s' changed its type after planning",
                       tq_value_name(slot->original));
    slot->tensor.data = tensor->data;
    return TQ_OK;
}

/** Slots are in order of creation, but an alias may be older than what it stands for: two rounds.
 */
static tq_status bind_slots(tq_engine *engine, const tq_tensor *inputs)
{
    for (int i = 0; i < engine->n_slots; i++) {
        tq_slot *slot = &engine->slots[i];
        if (slot->place == TQ_PLACE_INPUT)
            slot->tensor.data = inputs[slot->source].data;
        else if (slot->place == TQ_PLACE_CONSTANT && engine->options.constants_change)
            TQ_TRY(refresh_constant(slot));
    }
    for (int i = 0; i < engine->n_slots; i++) {
        int root = i;
        while (engine->slots[root].place == TQ_PLACE_ALIAS)
            root = engine->slots[root].source;
        engine->slots[i].tensor.data = engine->slots[root].tensor.data;
    }
    return TQ_OK;
}

static void run_node(tq_engine *engine, tq_step *step, uint64_t seed)
{
    const void **in = (const void **)step->run.in;
    void **out = (void **)step->run.out;
    for (int i = 0; i < step->run.n_in; i++)
        in[i] = step->in[i] < 0 ? NULL : engine->slots[step->in[i]].tensor.data;
    for (int i = 0; i < step->run.n_out; i++)
        out[i] = step->out[i] < 0 ? NULL : engine->slots[step->out[i]].tensor.data;
    step->run.seed = mix(seed, (uint64_t)step->place);
    step->run.scratch = tq_buffer_data(engine->scratch);
    if (step->kernel)
        step->kernel->run(&step->run, step->state);
    else
        tq_node_op(step->node)->reference(&step->run);
}

/* ---- fused layers -------------------------------------------------------------------------- */

typedef struct layers {
    tq_engine *engine;
    int first, end; /* steps */
} layers;

static void run_layer(const tq_engine *engine, const tq_step *step, tq_pool *pool)
{
    tq_layer_run run = { .out = engine->slots[step->out[0]].tensor.data, .pool = pool };
    for (int k = 0; k < step->layer->n_in; k++)
        run.in[k] = engine->slots[step->in[k]].tensor.data;
    step->layer->kind->run(step->layer, &run);
}

/** On all threads: each walks through the layers and takes part in each. */
static void walk_layers(void *context, tq_pool *pool)
{
    const layers *l = context;
    for (int i = l->first; i < l->end; i++)
        run_layer(l->engine, &l->engine->steps[i], pool);
}

/** One after the other, since a thread on a walk may find a layer done. */
static void time_layers(const layers *l)
{
    for (int i = l->first; i < l->end; i++) {
        const double start = tq_engine_now();
        run_layer(l->engine, &l->engine->steps[i], l->engine->options.pool);
        l->engine->steps[i].seconds += tq_engine_now() - start;
    }
}

/** The layers from step `first` on; returns the step after them. */
static int run_layers(tq_engine *engine, int first)
{
    layers l = { engine, first, first + 1 };
    while (l.end < engine->n_steps && engine->steps[l.end].layer)
        l.end++;
    if (engine->options.profile)
        time_layers(&l);
    else
        tq_pool_together(engine->options.pool, walk_layers, &l);
    return l.end;
}

/* ---- a run --------------------------------------------------------------------------------- */

static tq_status run_step(tq_engine *engine, tq_step *step, uint64_t seed)
{
    if (step->skip)
        return TQ_OK;
    const double start = engine->options.profile ? tq_engine_now() : 0.0;
    TQ_TRY(tq_exchange_finish(engine, step->n_buckets));
    if (step->phase)
        TQ_TRY(tq_phase_run(engine, step));
    else
        run_node(engine, step, seed);
    if (engine->options.profile)
        step->seconds += tq_engine_now() - start;
    return TQ_OK;
}

/** Outputs that are inputs are copied, so that the caller may let go of the input. */
static void finish_outputs(tq_engine *engine)
{
    for (int i = 0; i < engine->n_outputs; i++) {
        const tq_slot *slot = &engine->slots[engine->outputs[i]];
        if (!engine->copied[i])
            engine->results[i].data = slot->tensor.data;
        else if (tq_tensor_count(&slot->tensor) > 0)
            memcpy(engine->results[i].data, slot->tensor.data,
                   (size_t)tq_tensor_count(&slot->tensor) * tq_dtype_size(slot->tensor.type.dtype));
    }
}

tq_status tq_engine_run(tq_engine *engine, const tq_tensor *inputs, int n_inputs, uint64_t seed)
{
    TQ_TRY(check_inputs(engine, inputs, n_inputs));
    TQ_TRY(bind_slots(engine, inputs));
    engine->n_begun = engine->n_finished = 0;
    for (int i = 0; i < engine->n_steps;) {
        if (engine->steps[i].layer) {
            i = run_layers(engine, i);
            continue;
        }
        TQ_TRY(run_step(engine, &engine->steps[i], seed));
        i++;
    }
    TQ_TRY(tq_exchange_finish(engine, engine->n_buckets));
    finish_outputs(engine);
    return TQ_OK;
}

const tq_tensor *tq_engine_output(const tq_engine *engine, int i)
{
    return i >= 0 && i < engine->n_outputs ? &engine->results[i] : NULL;
}

const tq_tensor *tq_engine_value(const tq_engine *engine, const char *name)
{
    for (int i = 0; i < engine->n_slots; i++) {
        const tq_slot *slot = &engine->slots[i];
        if (!slot->value || strcmp(tq_value_name(slot->value), name))
            continue;
        const bool kept = engine->options.keep_all || slot->place == TQ_PLACE_CONSTANT ||
                          slot->place == TQ_PLACE_OUTPUT || slot->place == TQ_PLACE_INPUT;
        return kept && slot->tensor.data ? &slot->tensor : NULL;
    }
    return NULL;
}

bool tq_engine_needs_all_rows(const tq_engine *engine, int i)
{
    return engine->needs_rows[i];
}

double tq_engine_shard_seconds(const tq_engine *engine)
{
    return engine->shard_seconds;
}

size_t tq_engine_memory(const tq_engine *engine)
{
    return engine->block_size;
}

int tq_engine_n_steps(const tq_engine *engine)
{
    return engine->n_steps;
}

const char *tq_engine_step(const tq_engine *engine, int i, const char **out_node,
                           double *out_seconds)
{
    const tq_step *step = &engine->steps[i];
    if (out_node)
        *out_node = tq_node_name(step->node);
    if (out_seconds)
        *out_seconds = step->seconds;
    if (step->layer)
        return step->layer->kind->brief;
    if (step->phase)
        return "shards";
    return step->skip ? "alias" : step->kernel ? step->kernel->entry.brief : "reference";
}

int tq_engine_n_stages(const tq_engine *engine, int step)
{
    const tq_phase *phase = engine->steps[step].phase;
    return phase ? phase->n_stages : 0;
}

const char *tq_engine_stage(const tq_engine *engine, int step, int k, const char **out_node,
                            double *out_seconds, int64_t *out_macs)
{
    const tq_phase_stage *stage = &engine->steps[step].phase->stages[k];
    *out_node = tq_node_name(stage->node);
    *out_macs = stage->macs;
    *out_seconds = 0.0;
    for (int i = 0; stage->seconds && i < tq_pool_size(engine->options.pool); i++)
        *out_seconds += stage->seconds[i];
    return stage->operators;
}

static int64_t bytes_of(const tq_engine *engine, int slot)
{
    size_t size = slot < 0 ? 0 : engine->slots[slot].size;
    if (slot >= 0 && size == 0)
        tq_status_drop(tq_type_size(&engine->slots[slot].tensor.type, &size));
    return (int64_t)size;
}

void tq_engine_step_cost(const tq_engine *engine, int i, int64_t *out_macs, int64_t *out_bytes)
{
    const tq_step *step = &engine->steps[i];
    *out_macs = step->macs;
    *out_bytes = 0;
    for (int k = 0; k < step->run.n_in && !step->skip; k++)
        *out_bytes += bytes_of(engine, step->in[k]);
    for (int k = 0; k < step->run.n_out && !step->skip; k++)
        *out_bytes += bytes_of(engine, step->out[k]);
}
