/* Sums over shards that several ranks run. Those of batch norms are needed at once and are small:
 * all of a phase travel in one message. Gradients of weights are needed at the end and are large:
 * they gather in buckets and travel while the phases after them run. */
#include "base/base.h"
#include "engine/phases_internal.h"

#include <string.h>

enum { BUCKET_SIZE = 1 << 20 };

/* ---- planning ---------------------------------------------------------------------------- */

typedef struct planning {
    tq_engine *engine;
    int *bucket_of; /* by slot: in which bucket it is summed, or what it is made of; -1: in none */
    size_t capacity, works_capacity;
    tq_bucket open;
    tq_phase *last; /* phase so far */
} planning;

static void close_bucket(planning *p)
{
    tq_engine *e = p->engine;
    if (p->open.n_works == 0)
        return;
    TQ_PUSH(e->arena, e->buckets, e->n_buckets, p->capacity, p->open);
    p->open = (tq_bucket){ .begin = e->totals_size, .end = e->totals_size };
    p->works_capacity = 0;
    p->last->n_buckets = e->n_buckets;
}

static void defer(planning *p, tq_work *w)
{
    tq_engine *e = p->engine;
    w->is_deferred = true;
    w->total = e->totals_size;
    e->totals_size = p->open.end = e->totals_size + w->partial_size;
    TQ_PUSH(e->arena, p->open.works, p->open.n_works, p->works_capacity, w);
    for (int i = 0; i < w->run.n_out; i++)
        if (w->out_slots[i] >= 0 && w->out[i].place == TQ_OPERAND_NONE)
            p->bucket_of[w->out_slots[i]] = e->n_buckets;
}

/** Returns the bytes of the phase's sums in f64. */
static size_t plan_phase(planning *p, tq_phase *phase)
{
    size_t small = 0;
    p->last = phase;
    for (int i = 0; i < phase->n_works; i++) {
        tq_work *w = &phase->works[i];
        if (w->partial >= 0 && w->part->sums == TQ_SUM_F32)
            defer(p, w);
        else if (w->partial >= 0)
            small += w->partial_size;
    }
    phase->n_buckets = p->engine->n_buckets;
    if (p->open.end - p->open.begin >= BUCKET_SIZE)
        close_bucket(p);
    return small;
}

/** What a step reads must be summed before it; what it makes of that waits for nothing more, but a
 *  reshaped sum is no step at all: its readers wait themselves. */
static void plan_waiting(planning *p, tq_step *step)
{
    int needed = -1;
    for (int i = 0; i < step->run.n_in; i++)
        if (step->in[i] >= 0 && p->bucket_of[step->in[i]] > needed)
            needed = p->bucket_of[step->in[i]];
    if (needed == p->engine->n_buckets)
        close_bucket(p);
    step->n_buckets = needed + 1;
    for (int i = 0; !step->phase && i < step->run.n_out; i++)
        if (step->out[i] >= 0)
            p->bucket_of[step->out[i]] = needed;
}

tq_status tq_exchange_plan(tq_engine *e)
{
    planning p = { .engine = e };
    size_t small = 0;
    p.bucket_of = TQ_NEW_N(e->arena, int, e->n_slots + 1);
    for (int i = 0; i < e->n_slots; i++)
        p.bucket_of[i] = -1;
    for (int i = 0; i < e->n_steps; i++) {
        plan_waiting(&p, &e->steps[i]);
        const size_t size = e->steps[i].phase ? plan_phase(&p, e->steps[i].phase) : 0;
        small = size > small ? size : small;
    }
    close_bucket(&p);
    e->small = TQ_NEW_N(e->arena, char, small + 1);
    TQ_TRY(tq_buffer_create(e->totals_size + 1, &e->totals_buffer));
    e->totals = tq_buffer_data(e->totals_buffer);
    return TQ_OK;
}

/* ---- running ----------------------------------------------------------------------------- */

static double *small_total(const tq_engine *e, const tq_work *w)
{
    const bool is_small = w->partial >= 0 && w->part->sums == TQ_SUM_F64;
    return is_small ? e->slots[w->partial].tensor.data : NULL;
}

/** All sums in f64 of a phase, in one message. */
static tq_status sum_small(tq_engine *e, const tq_phase *phase)
{
    const tq_exchange *x = e->options.exchange;
    size_t size = 0, at = 0;
    for (int i = 0; i < phase->n_works; i++) {
        const tq_work *w = &phase->works[i];
        const double *total = small_total(e, w);
        if (total)
            memcpy(e->small + size, total, w->partial_size);
        size += total ? w->partial_size : 0;
    }
    if (size == 0)
        return TQ_OK;
    TQ_TRY(x->sum_f64(x->context, (double *)(void *)e->small, (int64_t)(size / sizeof(double))));
    for (int i = 0; i < phase->n_works; i++) {
        tq_work *w = &phase->works[i];
        double *total = small_total(e, w);
        if (!total)
            continue;
        memcpy(total, e->small + at, w->partial_size);
        at += w->partial_size;
        if (w->part->finish)
            w->part->finish(w->state, &w->run, total);
    }
    return TQ_OK;
}

tq_status tq_exchange_phase(tq_engine *e, const tq_phase *phase)
{
    const tq_exchange *x = e->options.exchange;
    for (; e->n_begun < phase->n_buckets; e->n_begun++) {
        tq_bucket *b = &e->buckets[e->n_begun];
        TQ_TRY(x->begin_sum_f32(x->context, (float *)(void *)(e->totals + b->begin),
                                (int64_t)((b->end - b->begin) / sizeof(float)), &b->work));
    }
    TQ_TRY(sum_small(e, phase));
    for (int i = 0; i < phase->n_gathered; i++)
        TQ_TRY(x->gather(x->context, e->slots[phase->gathered[i].slot].tensor.data,
                         phase->gathered[i].row_size));
    return x->progress(x->context);
}

tq_status tq_exchange_finish(tq_engine *e, int n_buckets)
{
    const tq_exchange *x = e->options.exchange;
    for (; e->n_finished < n_buckets; e->n_finished++) {
        tq_bucket *b = &e->buckets[e->n_finished];
        TQ_TRY(x->finish(x->context, b->work));
        for (int i = 0; i < b->n_works; i++)
            b->works[i]->part->finish(b->works[i]->state, &b->works[i]->run,
                                      e->totals + b->works[i]->total);
    }
    return TQ_OK;
}
