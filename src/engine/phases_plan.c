/* Which nodes run shard by shard, in which form, and in which phase each of their parts. */
#include "base/base.h"
#include "engine/phases_internal.h"

#include <string.h>

static int at_least(int a, int b)
{
    return a > b ? a : b;
}

/* ---- growing lists ----------------------------------------------------------------------------
 */

static tq_slot *slot_of(const tq_phased_plan *p, int slot)
{
    return &p->plan->engine->slots[slot];
}

const tq_type *tq_array_type(const tq_phased_plan *p, int array)
{
    return &slot_of(p, p->arrays[array].value)->tensor.type;
}

int tq_phased_add_array(tq_phased_plan *p, int value, tq_form form, int maker, int phase)
{
    const tq_type *type = &slot_of(p, value)->tensor.type;
    const size_t element =
        form == TQ_FORM_PLAIN ? tq_dtype_size(type->dtype) : tq_form_element(form);
    const tq_array array = { .value = value,
                             .form = form,
                             .size = (size_t)tq_form_count(type, form) * element,
                             .maker = maker,
                             .phase = phase,
                             .last_use = -1,
                             .slot = -1,
                             .first_stage = -1,
                             .last_stage = -1,
                             .buffer = -1 };
    TQ_PUSH(p->plan->scratch, p->arrays, p->n_arrays, p->arrays_capacity, array);
    return p->n_arrays - 1;
}

int tq_phased_add_item(tq_phased_plan *p, int unit, int part, int phase)
{
    const tq_op_run *run = &p->units[unit].run;
    tq_item item = { .unit = unit, .part = part, .phase = phase, .partial = -1 };
    item.in = TQ_NEW_N(p->plan->scratch, int, run->n_in + 1);
    item.out = TQ_NEW_N(p->plan->scratch, int, run->n_out + 1);
    for (int i = 0; i < run->n_in; i++)
        item.in[i] = -1;
    for (int i = 0; i < run->n_out; i++)
        item.out[i] = -1;
    TQ_PUSH(p->plan->scratch, p->items, p->n_items, p->items_capacity, item);
    p->n_phases = phase >= p->n_phases ? phase + 1 : p->n_phases;
    return p->n_items - 1;
}

/* ---- units ------------------------------------------------------------------------------------
 */

/** Does the value have one row for each data point? */
static bool is_batch(const tq_phased_plan *p, int slot)
{
    const tq_type *type = slot < 0 ? NULL : &slot_of(p, slot)->tensor.type;
    const bool is_values = type && type->dtype == TQ_F32 && type->rank >= 2;
    const bool is_labels = type && type->dtype == TQ_I64 && type->rank == 1;
    return (is_values || is_labels) && p->depends[slot] && type->dims[0] == p->batch &&
           tq_type_count(type) > 0;
}

static bool ports_fit(const tq_phased_plan *p, const tq_unit *u)
{
    for (int k = 0; k < u->sharded->n_parts; k++) {
        for (int i = 0; i < u->run.n_in; i++)
            if (u->ports.reads[k] >> i & 1 && !is_batch(p, u->in[i]))
                return false;
        for (int i = 0; i < u->run.n_out; i++)
            if (u->ports.writes[k] >> i & 1 && !is_batch(p, u->out[i]))
                return false;
    }
    return true;
}

static void release(tq_unit *u)
{
    if (u->sharded && u->sharded->release)
        u->sharded->release(u->state);
    u->sharded = NULL;
}

/** Ranks add up what their shards sum, but do not join it in other ways. */
static bool can_share(const tq_phased_plan *p, const tq_unit *u)
{
    bool joins = false;
    for (int k = 0; k < u->sharded->n_parts; k++)
        joins = joins || u->sharded->parts[k].sums == TQ_SUM_JOIN;
    return !joins || !p->plan->engine->options.exchange;
}

static void mark_dependence(tq_phased_plan *p, const tq_unit *u)
{
    bool any = false;
    for (int i = 0; i < u->run.n_in; i++)
        any = any || (u->in[i] >= 0 && p->depends[u->in[i]]);
    for (int i = 0; i < u->run.n_out; i++)
        if (u->out[i] >= 0)
            p->depends[u->out[i]] = any;
}

/** The node as a unit; its `sharded` is NULL if it is none. */
static tq_status read_node(tq_phased_plan *p, const tq_node *node, tq_unit *out_unit)
{
    tq_unit u = { .node = node, .macs = tq_node_macs(node) };
    tq_plan_bind(p->plan, node, &u.run, &u.in, &u.out);
    mark_dependence(p, &u);
    TQ_TRY(tq_sharded_prepare(tq_node_op(node), &u.run, &u.ports, &u.sharded, &u.state));
    if (u.sharded && (!ports_fit(p, &u) || !can_share(p, &u)))
        release(&u);
    *out_unit = u;
    return TQ_OK;
}

static tq_status find_units(tq_phased_plan *p, int *unit_of)
{
    tq_graph *graph = p->plan->engine->graph;
    for (int i = 0; i < tq_graph_n_inputs(graph); i++)
        p->depends[tq_plan_slot(p->plan, tq_graph_input(graph, i))] = true;
    int index = 0;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node), index++) {
        tq_unit unit;
        TQ_TRY(tq_engine_wrap(read_node(p, node, &unit), node));
        unit_of[index] = unit.sharded ? p->n_units : -1;
        if (unit.sharded)
            TQ_PUSH(p->plan->scratch, p->units, p->n_units, p->units_capacity, unit);
    }
    return TQ_OK;
}

/* ---- forms ------------------------------------------------------------------------------------
 */

static int class_of(const tq_phased_plan *p, int slot)
{
    while (p->class_of[slot] != slot)
        slot = p->class_of[slot];
    return slot;
}

static void join(tq_phased_plan *p, int *first, int slot)
{
    if (*first < 0)
        *first = slot;
    else
        p->class_of[class_of(p, slot)] = class_of(p, *first);
}

/** Arrays that one tile part reads and writes have one form. */
static void join_tiles(tq_phased_plan *p, const tq_unit *u)
{
    int first = -1;
    for (int k = 0; k < u->sharded->n_parts; k++) {
        if (u->sharded->parts[k].kind != TQ_PART_TILE)
            continue;
        for (int i = 0; i < u->run.n_in; i++)
            if (u->ports.reads[k] >> i & 1)
                join(p, &first, u->in[i]);
        for (int i = 0; i < u->run.n_out; i++)
            if (u->ports.writes[k] >> i & 1)
                join(p, &first, u->out[i]);
    }
}

/** Marks the classes of what must or had better be blocked; returns whether a part on samples is
 *  among the reasons. */
static bool mark_blocked(tq_phased_plan *p, const tq_unit *u)
{
    bool any = false;
    for (int k = 0; k < u->sharded->n_parts; k++) {
        const tq_shard_part *part = &u->sharded->parts[k];
        const bool is_tile = part->kind == TQ_PART_TILE;
        for (int i = 0; i < u->run.n_in; i++)
            if (u->ports.reads[k] >> i & 1 &&
                (is_tile ? !part->any_form : u->ports.in[i] != TQ_FORM_PLAIN))
                p->is_blocked[class_of(p, u->in[i])] = true, any |= !is_tile;
        for (int i = 0; i < u->run.n_out; i++)
            if (u->ports.writes[k] >> i & 1 &&
                (is_tile ? !part->any_form : u->ports.out[i] != TQ_FORM_PLAIN))
                p->is_blocked[class_of(p, u->out[i])] = true, any |= !is_tile;
    }
    return any;
}

static bool find_forms(tq_phased_plan *p)
{
    bool any = false;
    for (int i = 0; i < p->plan->n_values; i++)
        p->class_of[i] = i;
    for (int i = 0; i < p->n_units; i++)
        join_tiles(p, &p->units[i]);
    for (int i = 0; i < p->n_units; i++)
        any |= mark_blocked(p, &p->units[i]);
    return any;
}

static tq_form form_of(const tq_phased_plan *p, const tq_unit *u, int part, bool is_out, int i)
{
    if (u->sharded->parts[part].kind != TQ_PART_TILE)
        return is_out ? u->ports.out[i] : u->ports.in[i];
    const int slot = is_out ? u->out[i] : u->in[i];
    return p->is_blocked[class_of(p, slot)] ? TQ_FORM_BLOCKED : TQ_FORM_PLAIN;
}

/* ---- arrays ------------------------------------------------------------------------------------
 */

/** The array of a value in whatever form there is; one that no unit made is plain. */
static int any_array(tq_phased_plan *p, int slot)
{
    for (int form = 0; form < TQ_N_FORMS; form++)
        if (p->array_of[form][slot] >= 0)
            return p->array_of[form][slot];
    return p->array_of[TQ_FORM_PLAIN][slot] =
               tq_phased_add_array(p, slot, TQ_FORM_PLAIN, -1, p->ready[slot]);
}

/** The array is read in `phase`; so is what it is a mere conversion of. */
static void touch(tq_phased_plan *p, int array, int phase)
{
    for (int a = array; a >= 0;) {
        const int maker = p->arrays[a].maker;
        p->arrays[a].last_use = at_least(p->arrays[a].last_use, phase);
        a = maker >= 0 && p->units[p->items[maker].unit].is_conversion &&
                    tq_part_of(p, &p->items[maker])->kind == TQ_PART_TILE
                ? p->items[maker].in[0]
                : -1;
    }
}

/** An item that brings `array` into another form, in `phase`. */
static tq_status convert(tq_phased_plan *p, int array, tq_form to, int phase, int *out_array)
{
    const int slot = p->arrays[array].value;
    tq_unit u = { .node = tq_value_producer(slot_of(p, slot)->value), .is_conversion = true };
    if (!u.node)
        u.node = tq_value_consumer(slot_of(p, slot)->value, 0);
    TQ_TRY(tq_convert_prepare(tq_array_type(p, array), p->arrays[array].form, to, &u.ports,
                              &u.sharded, &u.state));
    u.in = TQ_NEW(p->plan->engine->arena, int);
    u.out = TQ_NEW(p->plan->engine->arena, int);
    u.in[0] = u.out[0] = slot;
    u.run = (tq_op_run){ .n_in = 1, .n_out = 1 };
    u.run.in = TQ_NEW(p->plan->engine->arena, const void *);
    u.run.out = TQ_NEW(p->plan->engine->arena, void *);
    TQ_PUSH(p->plan->scratch, p->units, p->n_units, p->units_capacity, u);
    const int item = tq_phased_add_item(p, p->n_units - 1, 0, phase);
    *out_array = p->array_of[to][slot] = tq_phased_add_array(p, slot, to, item, phase);
    p->items[item].in[0] = array;
    p->items[item].out[0] = *out_array;
    touch(p, array, phase);
    return TQ_OK;
}

/** The value's array in this form, made from the nearest one: plain and bf16 meet in blocks of f32.
 */
static tq_status need_array(tq_phased_plan *p, int slot, tq_form form, int phase, int *out_array)
{
    const int some = any_array(p, slot);
    *out_array = p->array_of[form][slot];
    if (*out_array >= 0)
        return TQ_OK;
    int from = p->array_of[TQ_FORM_BLOCKED][slot];
    if (form == TQ_FORM_BLOCKED)
        from = p->array_of[TQ_FORM_HALF][slot] >= 0 ? p->array_of[TQ_FORM_HALF][slot] : some;
    else if (from < 0)
        TQ_TRY(convert(p, some, TQ_FORM_BLOCKED, phase, &from));
    return convert(p, from, form, phase, out_array);
}

/* ---- phases -------------------------------------------------------------------------------------
 */

/** The first phase in which all is there that the part reads. */
static int first_phase(tq_phased_plan *p, const tq_unit *u, int k)
{
    const unsigned all = u->ports.reads[0] | u->ports.reads[TQ_MAX_PARTS - 1];
    int phase = k > 0 && u->sharded->parts[k].is_second ? u->phase_of[k - 1] + 1 : 0;
    for (int i = 0; i < u->run.n_in; i++) {
        if (u->in[i] < 0)
            continue;
        if (u->ports.reads[k] >> i & 1) {
            const int some = any_array(p, u->in[i]);
            const int right = p->array_of[form_of(p, u, k, false, i)][u->in[i]];
            phase = at_least(phase, p->arrays[right < 0 ? some : right].phase);
        } else if (!(all >> i & 1) &&
                   !is_batch(p, u->in[i])) { /* of others only the type is read */
            phase = at_least(phase, p->ready[u->in[i]]);
        }
    }
    return phase;
}

static tq_status place_part(tq_phased_plan *p, int unit, int k)
{
    const int phase = first_phase(p, &p->units[unit], k);
    const tq_op_run run = p->units[unit].run;
    int arrays[TQ_OP_MAX_NAMES];
    for (int i = 0; i < run.n_in; i++) {
        const tq_unit *u = &p->units[unit]; /* conversions make the list grow */
        arrays[i] = -1;
        if (u->ports.reads[k] >> i & 1)
            TQ_TRY(need_array(p, u->in[i], form_of(p, u, k, false, i), phase, &arrays[i]));
    }
    const int index = tq_phased_add_item(p, unit, k, phase);
    for (int i = 0; i < run.n_in; i++) {
        p->items[index].in[i] = arrays[i];
        if (arrays[i] < 0)
            continue;
        tq_array *a = &p->arrays[arrays[i]];
        touch(p, arrays[i], phase);
        a->for_batch = a->for_batch || (a->phase == phase &&
                                        tq_part_of(p, &p->items[index])->kind == TQ_PART_BATCH);
    }
    tq_unit *u = &p->units[unit];
    u->phase_of[k] = phase;
    for (int i = 0; i < run.n_out; i++)
        if (u->ports.writes[k] >> i & 1) {
            const tq_form form = form_of(p, u, k, true, i);
            const bool is_late = u->sharded->parts[k].kind == TQ_PART_BATCH;
            const int array =
                tq_phased_add_array(p, u->out[i], form, is_late ? -1 : index, phase + is_late);
            p->array_of[form][u->out[i]] = p->items[index].out[i] = array;
            p->ready[u->out[i]] = at_least(p->ready[u->out[i]], phase + is_late);
        }
    return TQ_OK;
}

/** Outputs that are no batch arrays come after the shards of the part that sums. */
static void note_sums(tq_phased_plan *p, const tq_unit *u)
{
    const unsigned all = u->ports.writes[0] | u->ports.writes[TQ_MAX_PARTS - 1];
    int k = 0;
    while (k < u->sharded->n_parts - 1 && !u->sharded->parts[k].finish)
        k++;
    for (int i = 0; i < u->run.n_out; i++)
        if (u->out[i] >= 0 && !(all >> i & 1))
            p->ready[u->out[i]] = u->phase_of[k] + 1;
}

static tq_status place_unit(tq_phased_plan *p, int unit)
{
    for (int k = 0; k < p->units[unit].sharded->n_parts; k++)
        TQ_TRY(place_part(p, unit, k));
    note_sums(p, &p->units[unit]);
    return TQ_OK;
}

/** A reader of the value as a whole: brought into the plain form where it is made. Returns, in
 *  *out_after, the phase that it follows. */
static tq_status need_whole(tq_phased_plan *p, int slot, bool all_rows, int *out_after)
{
    int array = p->array_of[TQ_FORM_PLAIN][slot];
    if (slot_of(p, slot)->place == TQ_PLACE_INPUT)
        p->plan->engine->needs_rows[slot_of(p, slot)->source] = true;
    for (int form = TQ_FORM_BLOCKED; array < 0 && form < TQ_N_FORMS; form++) {
        const int made = p->array_of[form][slot];
        if (made >= 0)
            TQ_TRY(need_array(p, slot, TQ_FORM_PLAIN, p->arrays[made].phase, &array));
    }
    if (array >= 0) {
        p->arrays[array].for_whole = true;
        p->arrays[array].is_gathered |= all_rows;
    }
    if (array >= 0 && p->arrays[array].maker >= 0) {
        *out_after = at_least(*out_after, p->arrays[array].phase);
    } else {
        *out_after = at_least(*out_after, p->ready[slot] - 1);
    }
    return TQ_OK;
}

static tq_status place_whole(tq_phased_plan *p, const tq_node *node)
{
    struct tq_whole *w = &p->whole[p->n_whole++];
    *w = (struct tq_whole){ .node = node, .after = -1, .is_constant = true };
    for (int i = 0; i < tq_node_n_inputs(node); i++) {
        const int slot = tq_plan_slot(p->plan, tq_node_input(node, i));
        if (slot < 0)
            continue;
        w->is_constant = w->is_constant && !p->depends[slot];
        TQ_TRY(need_whole(p, slot, true, &w->after));
    }
    for (int i = 0; i < tq_node_n_outputs(node); i++) {
        const int slot = tq_plan_slot(p->plan, tq_node_output(node, i));
        if (slot >= 0)
            p->ready[slot] = w->after + 1;
    }
    return TQ_OK;
}

/** What depends on constants alone waits until it is needed: then it is in the cache. */
static void delay_constants(tq_phased_plan *p, const tq_index *whole_of, const tq_index *unit_of)
{
    for (int i = p->n_whole; i-- > 0;) {
        struct tq_whole *w = &p->whole[i];
        int after = p->n_phases - 1;
        for (int o = 0; w->is_constant && o < tq_node_n_outputs(w->node); o++) {
            const tq_value *value = tq_node_output(w->node, o);
            for (int c = 0; value && c < tq_value_n_consumers(value); c++) {
                const tq_node *reader = tq_value_consumer(value, c);
                const int unit = tq_index_find(unit_of, reader);
                const int whole = tq_index_find(whole_of, reader);
                const int most = unit >= 0 ? p->units[unit].phase_of[0] - 1 : p->whole[whole].after;
                after = most < after ? most : after;
            }
        }
        w->after = w->is_constant ? after : w->after;
    }
}

static bool has_unit_reader(const tq_node *node, const tq_index *unit_of)
{
    for (int o = 0; o < tq_node_n_outputs(node); o++) {
        const tq_value *value = tq_node_output(node, o);
        for (int c = 0; value && c < tq_value_n_consumers(value); c++)
            if (tq_index_find(unit_of, tq_value_consumer(value, c)) >= 0)
                return true;
    }
    return false;
}

/** Sums that are on their way between ranks are read as late as possible. */
static void delay_sums(tq_phased_plan *p, const tq_index *unit_of)
{
    bool *is_late = TQ_NEW_N(p->plan->scratch, bool, p->plan->n_values + 1);
    for (int u = 0; u < p->n_units; u++)
        for (int i = 0; i < p->units[u].run.n_out; i++)
            if (p->units[u].sharded->parts[0].sums == TQ_SUM_F32 && p->units[u].out[i] >= 0)
                is_late[p->units[u].out[i]] = true;
    for (int i = 0; i < p->n_whole; i++) {
        const tq_node *node = p->whole[i].node;
        bool any = false;
        for (int k = 0; k < tq_node_n_inputs(node); k++) {
            const int slot = tq_plan_slot(p->plan, tq_node_input(node, k));
            any = any || (slot >= 0 && is_late[slot]);
        }
        if (!any || has_unit_reader(node, unit_of))
            continue;
        p->whole[i].after = p->n_phases - 1;
        for (int k = 0; k < tq_node_n_outputs(node); k++) {
            const int slot = tq_plan_slot(p->plan, tq_node_output(node, k));
            if (slot >= 0)
                is_late[slot] = true;
        }
    }
}

static tq_status place_nodes(tq_phased_plan *p, const int *unit_of)
{
    const tq_graph *graph = p->plan->engine->graph;
    const tq_exchange *exchange = p->plan->engine->options.exchange;
    const bool own = exchange && exchange->own_outputs;
    const int n = tq_graph_n_nodes(graph);
    tq_index wholes = tq_index_make(p->plan->scratch, n);
    tq_index units = tq_index_make(p->plan->scratch, n);
    p->whole = TQ_NEW_N(p->plan->scratch, struct tq_whole, n + 1);
    int index = 0, after = 0;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node), index++) {
        if (unit_of[index] >= 0) {
            tq_index_set(&units, node, unit_of[index]);
            TQ_TRY(place_unit(p, unit_of[index]));
        } else {
            tq_index_set(&wholes, node, p->n_whole);
            TQ_TRY(place_whole(p, node));
        }
    }
    for (int i = 0; i < tq_graph_n_outputs(graph); i++)
        TQ_TRY(need_whole(p, tq_plan_slot(p->plan, tq_graph_output(graph, i)), !own, &after));
    delay_constants(p, &wholes, &units);
    if (exchange)
        delay_sums(p, &units);
    return TQ_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------
 */

static bool is_possible(const tq_plan *plan)
{
    const tq_engine_options *o = &plan->engine->options;
    return !o->keep_all && !o->reference_only && tq_block_size() > 0 && plan->n_inputs > 0 &&
           plan->input_types[0].rank > 0 && plan->input_types[0].dims[0] > 0;
}

static int *filled(tq_arena *arena, int n, int value)
{
    int *numbers = TQ_NEW_N(arena, int, n + 1);
    for (int i = 0; i < n; i++)
        numbers[i] = value;
    return numbers;
}

/** The shards and data points of this rank. */
static void find_share(tq_phased_plan *p)
{
    const tq_engine_options *o = &p->plan->engine->options;
    int64_t unused, row_end;
    p->shard_begin = o->exchange ? o->exchange->shard_begin : 0;
    p->shard_end = o->exchange ? o->exchange->shard_end : o->n_shards;
    tq_shard_range(p->batch, o->n_shards, p->shard_begin, &p->row_begin, &unused);
    tq_shard_range(p->batch, o->n_shards, p->shard_end - 1, &unused, &row_end);
    p->n_rows = row_end - p->row_begin;
}

tq_status tq_phased_plan_make(tq_plan *plan, tq_phased_plan **out_plan)
{
    *out_plan = NULL;
    if (!is_possible(plan))
        return TQ_OK;
    tq_phased_plan *p = TQ_NEW(plan->scratch, tq_phased_plan);
    *out_plan = p; /* dropped by the caller, whatever comes */
    p->plan = plan;
    p->batch = plan->input_types[0].dims[0];
    find_share(p);
    p->class_of = filled(plan->scratch, plan->n_values, 0);
    p->ready = filled(plan->scratch, plan->n_values, 0);
    p->is_blocked = TQ_NEW_N(plan->scratch, bool, plan->n_values + 1);
    p->depends = TQ_NEW_N(plan->scratch, bool, plan->n_values + 1);
    for (int form = 0; form < TQ_N_FORMS; form++)
        p->array_of[form] = filled(plan->scratch, plan->n_values, -1);
    int *unit_of = filled(plan->scratch, tq_graph_n_nodes(plan->engine->graph), -1);
    TQ_TRY(find_units(p, unit_of));
    if (find_forms(p))
        return place_nodes(p, unit_of);
    tq_phased_plan_drop(p);
    *out_plan = NULL;
    return TQ_OK;
}

void tq_phased_plan_drop(tq_phased_plan *plan)
{
    for (int i = 0; plan && i < plan->n_units; i++)
        release(&plan->units[i]);
    if (plan)
        plan->n_units = 0;
}
