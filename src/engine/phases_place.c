/* Stages of a phase, where its arrays lie, and the steps of the engine. */
#include "base/base.h"
#include "engine/phases_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, MIN_PIXELS = 16, MAX_PIXELS = 128, TILE_BYTES = 24 << 10 };

static size_t round_up(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- what nobody reads
 * ----------------------------------------------------------------------------
 */

static bool sums(const tq_phased_plan *p, const tq_item *item)
{
    return tq_part_of(p, item)->sums != TQ_SUM_NOTHING && !item->is_copy;
}

/** Takes out items whose arrays were all made again by those who read them. */
static void drop_dead(tq_phased_plan *p, tq_item_list *list)
{
    int n_left = 0;
    for (int i = 0; i < list->n; i++) {
        const tq_item *item = &p->items[list->items[i]];
        for (int k = 0; k < p->units[item->unit].run.n_in; k++)
            if (item->in[k] >= 0)
                p->arrays[item->in[k]].n_readers++;
    }
    for (int i = list->n; i-- > 0;) {
        const tq_item *item = &p->items[list->items[i]];
        bool is_needed = sums(p, item) || tq_part_of(p, item)->kind == TQ_PART_BATCH;
        for (int k = 0; k < p->units[item->unit].run.n_out; k++)
            is_needed = is_needed || (item->out[k] >= 0 && (p->arrays[item->out[k]].is_stored ||
                                                            p->arrays[item->out[k]].n_readers > 0));
        for (int k = 0; !is_needed && k < p->units[item->unit].run.n_in; k++)
            if (item->in[k] >= 0)
                p->arrays[item->in[k]].n_readers--;
        if (!is_needed)
            list->items[i] = -1;
    }
    for (int i = 0; i < list->n; i++)
        if (list->items[i] >= 0)
            list->items[n_left++] = list->items[i];
    list->n = n_left;
}

/* ---- stages
 * --------------------------------------------------------------------------------------
 */

/** The array that says what shape a tile item has. */
static int shape_of(const tq_phased_plan *p, const tq_item *item)
{
    for (int i = 0; i < p->units[item->unit].run.n_in; i++)
        if (item->in[i] >= 0)
            return item->in[i];
    for (int i = 0; i < p->units[item->unit].run.n_out; i++)
        if (item->out[i] >= 0)
            return item->out[i];
    return -1;
}

static bool share_stage(const tq_phased_plan *p, const tq_item *a, const tq_item *b)
{
    const int x = shape_of(p, a), y = shape_of(p, b);
    return a->level == b->level && tq_part_of(p, a)->kind == TQ_PART_TILE &&
           tq_part_of(p, b)->kind == TQ_PART_TILE &&
           tq_forms_agree(p->arrays[x].form, p->arrays[y].form) &&
           tq_type_equal(tq_array_type(p, x), tq_array_type(p, y));
}

/** Orders the list by level, items that share a stage together; returns the number of stages. */
static int make_stages(tq_phased_plan *p, tq_item_list *list)
{
    int *order = TQ_NEW_N(p->plan->scratch, int, list->n + 1);
    bool *is_taken = TQ_NEW_N(p->plan->scratch, bool, list->n + 1);
    int n = 0, n_stages = 0;
    for (int level = 0; n < list->n; level++)
        for (int i = 0; i < list->n; i++) {
            const tq_item *first = &p->items[list->items[i]];
            if (is_taken[i] || first->level != level)
                continue;
            for (int k = i; k < list->n; k++) {
                tq_item *item = &p->items[list->items[k]];
                if (is_taken[k] || (k != i && !share_stage(p, first, item)))
                    continue;
                is_taken[k] = true;
                item->stage = n_stages;
                order[n++] = list->items[k];
            }
            n_stages++;
        }
    list->items = order;
    return n_stages;
}

/** In which stages arrays of this phase live, and which of them leave their tile. */
static void find_lives(tq_phased_plan *p, const tq_item_list *list)
{
    for (int i = 0; i < list->n; i++) {
        const tq_item *item = &p->items[list->items[i]];
        for (int k = 0; k < p->units[item->unit].run.n_out; k++)
            if (item->out[k] >= 0) {
                tq_array *a = &p->arrays[item->out[k]];
                a->first_stage = a->last_stage = item->stage;
                a->is_out_of_tile = a->is_out_of_tile || tq_part_of(p, item)->kind != TQ_PART_TILE;
            }
        for (int k = 0; k < p->units[item->unit].run.n_in; k++) {
            tq_array *a = item->in[k] < 0 ? NULL : &p->arrays[item->in[k]];
            if (!a || a->maker < 0 || a->phase != item->phase)
                continue;
            a->last_stage = item->stage > a->last_stage ? item->stage : a->last_stage;
            a->is_out_of_tile = a->is_out_of_tile || item->stage != a->first_stage;
        }
    }
}

/* ---- memory of a phase
 * -----------------------------------------------------------------------------
 */

static int64_t most_samples(const tq_phased_plan *p)
{
    const int64_t n_shards = p->plan->engine->options.n_shards;
    return (p->batch + n_shards - 1) / n_shards;
}

static size_t scratch_size_of(const tq_phased_plan *p, int array)
{
    return round_up(p->arrays[array].size * (size_t)most_samples(p));
}

/** First place in the worker's scratch that is free while the array lives. `placed` is in order of
 *  offset. */
static void place_scratch(tq_phased_plan *p, int array, int *placed, int *n_placed, size_t *end)
{
    tq_array *a = &p->arrays[array];
    const size_t size = scratch_size_of(p, array);
    size_t offset = 0;
    int at = 0;
    for (int i = 0; i < *n_placed; i++) {
        const tq_array *other = &p->arrays[placed[i]];
        const bool meet =
            other->first_stage <= a->last_stage && a->first_stage <= other->last_stage;
        if (meet && other->offset >= offset + size)
            break;
        if (meet && other->offset + scratch_size_of(p, placed[i]) > offset)
            offset = other->offset + scratch_size_of(p, placed[i]);
    }
    a->offset = offset;
    while (at < *n_placed && p->arrays[placed[at]].offset <= offset)
        at++;
    memmove(placed + at + 1, placed + at, (size_t)(*n_placed - at) * sizeof *placed);
    placed[at] = array;
    ++*n_placed;
    *end = offset + size > *end ? offset + size : *end;
}

/** Buffers of a stage's tile: one is free again after the last reader. Returns how many. */
static int place_buffers(tq_phased_plan *p, const tq_item_list *list, int begin, int end)
{
    int n_buffers = 0;
    int *free_at = TQ_NEW_N(p->plan->scratch, int, end - begin + 1); /* by buffer: index of item */
    for (int i = begin; i < end; i++) {
        const tq_item *item = &p->items[list->items[i]];
        for (int k = 0; k < p->units[item->unit].run.n_out; k++) {
            tq_array *a = item->out[k] < 0 ? NULL : &p->arrays[item->out[k]];
            if (!a || a->is_stored || a->is_out_of_tile)
                continue;
            int last = i, b = 0;
            for (int r = i + 1; r < end; r++)
                for (int q = 0; q < p->units[p->items[list->items[r]].unit].run.n_in; q++)
                    last = p->items[list->items[r]].in[q] == item->out[k] ? r : last;
            while (b < n_buffers && free_at[b] >= i)
                b++;
            n_buffers = b == n_buffers ? b + 1 : n_buffers;
            free_at[b] = last;
            a->buffer = b;
        }
    }
    return n_buffers;
}

/* ---- slots
 * ----------------------------------------------------------------------------------------
 */

static int add_slot(tq_engine *engine, size_t size)
{
    engine->slots[engine->n_slots] =
        (tq_slot){ .place = TQ_PLACE_BLOCK, .first = -1, .last = -1, .size = round_up(size) };
    return engine->n_slots++;
}

/** A stored array has the slot of its value, of the whole batch, or in blocks one of its own, of
 * the rows of this rank. */
static int slot_of(tq_phased_plan *p, int array)
{
    tq_array *a = &p->arrays[array];
    if (a->form == TQ_FORM_PLAIN)
        return a->value;
    if (a->slot < 0)
        a->slot = add_slot(p->plan->engine, a->size * (size_t)p->n_rows);
    return a->slot;
}

static bool is_in_slot(const tq_phased_plan *p, int array)
{
    return p->arrays[array].maker < 0 || p->arrays[array].is_stored;
}

/** Plain slots that nothing writes. */
static void drop_plain_slots(tq_phased_plan *p)
{
    for (int u = 0; u < p->n_units; u++)
        for (int k = 0; k < p->units[u].sharded->n_parts; k++)
            for (int i = 0; i < p->units[u].run.n_out; i++) {
                const int slot = p->units[u].out[i];
                if (!(p->units[u].ports.writes[k] >> i & 1))
                    continue;
                const int plain = p->array_of[TQ_FORM_PLAIN][slot];
                if (plain < 0 || !is_in_slot(p, plain))
                    p->plan->engine->slots[slot].place = TQ_PLACE_NOWHERE;
            }
}

/* ---- steps
 * ------------------------------------------------------------------------------------------
 */

/** What a phase reads and writes of the engine's slots, for the planner of memory. */
typedef struct uses {
    tq_arena *arena;
    int *in, *out, n_in, n_out;
    size_t in_capacity, out_capacity;
} uses;

static void read_slot(uses *u, int slot)
{
    if (slot >= 0)
        TQ_PUSH(u->arena, u->in, u->n_in, u->in_capacity, slot);
}

static void write_slot(uses *u, int slot)
{
    if (slot >= 0)
        TQ_PUSH(u->arena, u->out, u->n_out, u->out_capacity, slot);
}

static tq_operand operand_of(tq_phased_plan *p, int array, size_t buffer_size)
{
    if (array < 0)
        return (tq_operand){ .place = TQ_OPERAND_NONE };
    const tq_array *a = &p->arrays[array];
    tq_operand o = { .stride = a->size, .element = tq_form_element(a->form) };
    if (is_in_slot(p, array)) {
        o.place = TQ_OPERAND_SLOT;
        o.slot = slot_of(p, array);
        o.first = a->form == TQ_FORM_PLAIN ? 0 : p->row_begin;
    } else if (a->is_out_of_tile) {
        o.place = TQ_OPERAND_SCRATCH;
        o.offset = a->offset;
    } else {
        o.place = TQ_OPERAND_BUFFER;
        o.offset = (size_t)a->buffer * buffer_size;
    }
    return o;
}

static bool has_array(const tq_phased_plan *p, int slot)
{
    bool any = false;
    for (int form = 0; form < TQ_N_FORMS; form++)
        any = any || p->array_of[form][slot] >= 0;
    return any;
}

/** Slots of inputs and outputs that are no batch arrays of this part. */
static void note_small(const tq_phased_plan *p, const tq_item *item, uses *u)
{
    const tq_unit *unit = &p->units[item->unit];
    const unsigned reads = unit->ports.reads[0] | unit->ports.reads[TQ_MAX_PARTS - 1];
    const unsigned writes = unit->ports.writes[0] | unit->ports.writes[TQ_MAX_PARTS - 1];
    for (int i = 0; i < unit->run.n_in; i++)
        if (!(reads >> i & 1) && unit->in[i] >= 0 &&
            p->plan->engine->slots[unit->in[i]].place != TQ_PLACE_NOWHERE &&
            !has_array(p, unit->in[i]))
            read_slot(u, unit->in[i]);
    for (int i = 0; i < unit->run.n_out; i++)
        if (!(writes >> i & 1) && unit->out[i] >= 0 && sums(p, item))
            write_slot(u, unit->out[i]);
}

static void fill_work(tq_phased_plan *p, tq_item *item, size_t buffer_size, tq_work *w, uses *u)
{
    tq_engine *engine = p->plan->engine;
    tq_unit *unit = &p->units[item->unit];
    const tq_shard_part *part = tq_part_of(p, item);
    *w = (tq_work){ .part = part,
                    .state = unit->state,
                    .run = unit->run,
                    .in_slots = unit->in,
                    .out_slots = unit->out,
                    .begins = !unit->begins[item->part],
                    .partial = -1 };
    unit->begins[item->part] = true;
    w->in = TQ_NEW_N(engine->arena, tq_operand, unit->run.n_in + 1);
    w->out = TQ_NEW_N(engine->arena, tq_operand, unit->run.n_out + 1);
    for (int i = 0; i < unit->run.n_in; i++) {
        w->in[i] = operand_of(p, item->in[i], buffer_size);
        if (w->in[i].place == TQ_OPERAND_SLOT)
            read_slot(u, w->in[i].slot);
    }
    for (int i = 0; i < unit->run.n_out; i++) {
        w->out[i] = operand_of(p, item->out[i], buffer_size);
        if (w->out[i].place == TQ_OPERAND_SLOT)
            write_slot(u, w->out[i].slot);
        if (item->out[i] >= 0)
            w->is_masked = part->kind == TQ_PART_TILE && !part->keeps_zero &&
                           p->arrays[item->out[i]].form == TQ_FORM_BLOCKED;
    }
    if (sums(p, item)) {
        w->partial_size = round_up(part->partial_size(unit->state));
        w->partial =
            add_slot(engine, part->kind == TQ_PART_BATCH
                                 ? w->partial_size
                                 : w->partial_size * (size_t)(p->shard_end - p->shard_begin));
        write_slot(u, w->partial);
    }
    note_small(p, item, u);
}

/** The loops of a stage of tiles. */
static void shape_stage(const tq_phased_plan *p, const tq_item *item, int n_arrays,
                        tq_phase_stage *s)
{
    const int array = shape_of(p, item);
    const tq_type *type = tq_array_type(p, array);
    const bool is_blocked = p->arrays[array].form != TQ_FORM_PLAIN;
    s->is_tiles = true;
    s->block = is_blocked ? tq_block_size() : 1;
    s->n_channels = is_blocked ? type->dims[1] : 0;
    s->n_blocks = is_blocked ? (type->dims[1] + s->block - 1) / s->block : 1;
    s->n_pixels = tq_type_count_from(type, is_blocked ? 2 : 1);
    const int64_t fit = TILE_BYTES / (int64_t)sizeof(float) / s->block / n_arrays;
    const int64_t unit = is_blocked ? 1 : tq_block_size();
    s->tile_pixels = tq_clip_i64(fit, MIN_PIXELS * unit, MAX_PIXELS * unit);
}

/** How many arrays the tiles of items begin .. end - 1 touch. */
static int count_arrays(const tq_phased_plan *p, const tq_item_list *list, int begin, int end)
{
    int n = 1;
    for (int i = begin; i < end; i++) {
        const tq_item *item = &p->items[list->items[i]];
        for (int k = 0; k < p->units[item->unit].run.n_in; k++)
            n += item->in[k] >= 0 && p->arrays[item->in[k]].buffer < 0;
        for (int k = 0; k < p->units[item->unit].run.n_out; k++)
            n += item->out[k] >= 0 && p->arrays[item->out[k]].buffer < 0;
    }
    return n;
}

static void place_phase_scratch(tq_phased_plan *p, const tq_item_list *list, tq_phase *phase)
{
    size_t end = 0, own = 0;
    int n_most = 0, n_placed = 0;
    for (int i = 0; i < list->n; i++)
        n_most += p->units[p->items[list->items[i]].unit].run.n_out;
    int *placed = TQ_NEW_N(p->plan->scratch, int, n_most + 1);
    for (int i = 0; i < list->n; i++) {
        const tq_item *item = &p->items[list->items[i]];
        const tq_shard_part *part = tq_part_of(p, item);
        for (int k = 0; k < p->units[item->unit].run.n_out; k++)
            if (item->out[k] >= 0 && !p->arrays[item->out[k]].is_stored &&
                p->arrays[item->out[k]].is_out_of_tile)
                place_scratch(p, item->out[k], placed, &n_placed, &end);
        if (part->scratch_size) {
            const size_t size = round_up(part->scratch_size(p->units[item->unit].state));
            own = size > own ? size : own;
        }
    }
    phase->buffers_offset = end; /* tiles and parts on samples do not run at once */
    phase->worker_size = end + own;
}

static void describe_stage(const tq_phased_plan *p, const tq_item_list *list, int begin, int end,
                           tq_phase_stage *s)
{
    const tq_engine *engine = p->plan->engine;
    s->operators = "";
    for (int i = begin; i < end; i++) {
        const tq_item *item = &p->items[list->items[i]];
        const tq_unit *unit = &p->units[item->unit];
        const char *name = unit->is_conversion ? "(layout)" : tq_node_op_name(unit->node);
        s->operators =
            tq_arena_printf(engine->arena, "%s%s%s", s->operators, i == begin ? "" : " ", name);
        s->node = unit->node;
        s->macs += item->is_copy ? 0 : unit->macs;
    }
    if (engine->options.profile)
        s->seconds = TQ_NEW_N(engine->arena, double, tq_pool_size(engine->options.pool));
}

static void make_stage(tq_phased_plan *p, const tq_item_list *list, int begin, int end,
                       tq_phase *phase, tq_phase_stage *s, uses *u)
{
    const tq_item *first = &p->items[list->items[begin]];
    size_t buffer_size = 0;
    if (tq_part_of(p, first)->kind == TQ_PART_TILE) {
        const int n_buffers = place_buffers(p, list, begin, end);
        shape_stage(p, first, n_buffers + count_arrays(p, list, begin, end), s);
        buffer_size = round_up((size_t)(s->tile_pixels * s->block) * sizeof(float));
        const size_t size = phase->buffers_offset + (size_t)n_buffers * buffer_size;
        phase->worker_size = size > phase->worker_size ? size : phase->worker_size;
    }
    describe_stage(p, list, begin, end, s);
    s->n_works = end - begin;
    s->works = TQ_NEW_N(p->plan->engine->arena, tq_work *, s->n_works);
    for (int i = begin; i < end; i++) {
        fill_work(p, &p->items[list->items[i]], buffer_size, &phase->works[i], u);
        phase->works[i].seconds = s->seconds; /* the caller is worker 0 */
        s->works[i - begin] = &phase->works[i];
    }
}

/** What whole nodes and the caller read of this phase. */
static void list_gathered(const tq_phased_plan *p, const tq_item_list *list, tq_phase *phase)
{
    if (!p->plan->engine->options.exchange)
        return;
    phase->gathered =
        TQ_NEW_N(p->plan->engine->arena, struct tq_gathered, list->n * TQ_OP_MAX_NAMES + 1);
    for (int i = 0; i < list->n; i++) {
        const tq_item *item = &p->items[list->items[i]];
        for (int k = 0; k < p->units[item->unit].run.n_out; k++) {
            const tq_array *a = item->out[k] < 0 ? NULL : &p->arrays[item->out[k]];
            if (a && a->is_gathered)
                phase->gathered[phase->n_gathered++] = (struct tq_gathered){ a->value, a->size };
        }
    }
}

static void add_phase(tq_phased_plan *p, tq_item_list *list)
{
    tq_engine *engine = p->plan->engine;
    drop_dead(p, list);
    if (list->n == 0)
        return;
    tq_phase *phase = TQ_NEW(engine->arena, tq_phase);
    uses u = { .arena = engine->arena };
    phase->n_stages = make_stages(p, list);
    phase->n_works = list->n;
    phase->works = TQ_NEW_N(engine->arena, tq_work, list->n);
    phase->stages = TQ_NEW_N(engine->arena, tq_phase_stage, phase->n_stages);
    phase->batch = p->batch;
    phase->n_shards = engine->options.n_shards;
    phase->shard_begin = p->shard_begin;
    phase->n_own = p->shard_end - p->shard_begin;
    list_gathered(p, list, phase);
    find_lives(p, list);
    place_phase_scratch(p, list, phase);
    for (int begin = 0, end; begin < list->n; begin = end) {
        const int stage = p->items[list->items[begin]].stage;
        for (end = begin; end < list->n && p->items[list->items[end]].stage == stage;)
            end++;
        make_stage(p, list, begin, end, phase, &phase->stages[stage], &u);
    }
    const size_t size = round_up(phase->worker_size) * (size_t)tq_pool_size(engine->options.pool);
    engine->scratch_size = size > engine->scratch_size ? size : engine->scratch_size;
    tq_step *step = &engine->steps[engine->n_steps++];
    *step =
        (tq_step){ .node = p->units[p->items[list->items[list->n - 1]].unit].node, .phase = phase };
    for (int i = 0; i < list->n; i++)
        if (!p->items[list->items[i]].is_copy && p->items[list->items[i]].part == 0)
            step->macs += p->units[p->items[list->items[i]].unit].macs;
    step->in = u.in;
    step->out = u.out;
    step->run.n_in = u.n_in;
    step->run.n_out = u.n_out;
}

/** The engine releases the states of units; more of them than nodes, for conversions are among
 * them.
 */
static void hand_over(tq_phased_plan *p)
{
    tq_engine *engine = p->plan->engine;
    engine->units = TQ_NEW_N(engine->arena, tq_released, p->n_units + 1);
    for (int i = 0; i < p->n_units; i++)
        engine->units[engine->n_units++] = (tq_released){ p->units[i].sharded, p->units[i].state };
    p->n_units = 0;
}

tq_status tq_phased_plan_add_steps(tq_phased_plan *p)
{
    drop_plain_slots(p);
    for (int phase = -1; phase < p->n_phases; phase++) {
        if (phase >= 0)
            add_phase(p, &p->phases[phase]);
        for (int i = 0; i < p->n_whole; i++)
            if (p->whole[i].after == phase)
                TQ_TRY(tq_plan_add_node(p->plan, p->whole[i].node));
    }
    hand_over(p);
    return p->plan->engine->options.exchange ? tq_exchange_plan(p->plan->engine) : TQ_OK;
}
