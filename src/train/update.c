/* The update of parameters by an optimiser: elementwise, so that the pieces into which it is cut,
 * and the threads over which they go, change no bit. */
#include "train/train_internal.h"

#include <math.h>
#include <string.h>

enum { PIECE = 16384 };

/** A run of elements of one parameter. */
typedef struct tq_update_piece {
    int parameter;
    int64_t begin, n;
} piece;

void tq_updater_prepare(tq_updater *updater, const tq_parameters *parameters, tq_pool *pool)
{
    size_t capacity = 0;
    updater->parameters = parameters;
    updater->pool = pool;
    for (int i = 0; i < parameters->n; i++) {
        tq_parameter *p = &parameters->items[i];
        for (int s = 0; s < updater->optimizer->n_states; s++)
            p->states[s] = TQ_NEW_N(parameters->arena, float, p->n);
        for (int64_t begin = 0; begin < p->n; begin += PIECE) {
            const int64_t n = p->n - begin < PIECE ? p->n - begin : PIECE;
            TQ_PUSH(parameters->arena, updater->pieces, updater->n_pieces, capacity,
                    ((piece){ i, begin, n }));
        }
    }
}

/** A bound moves by at most a factor of 2 in a step and never through 0: one large gradient must
 * not leave a grid without levels (a dead alpha). */
static void hold_bound(int64_t n, const float *before, float *now)
{
    for (int64_t i = 0; i < n; i++) {
        const float size = fabsf(before[i]);
        if (size > 0.0f && isfinite(now[i]))
            now[i] = copysignf(
                tq_clipf(copysignf(1.0f, before[i]) * now[i], 0.5f * size, 2.0f * size), before[i]);
    }
}

static void update_bound(const tq_updater *u, const piece *p, const float *grad,
                         float *const *states)
{
    enum { MAX_RUN = 64 };
    const tq_parameter *parameter = &u->parameters->items[p->parameter];
    const double decay = parameter->decays ? u->params.pact_decay : 0.0;
    for (int64_t at = 0; at < p->n; at += MAX_RUN) {
        const int64_t n = p->n - at < MAX_RUN ? p->n - at : MAX_RUN;
        float before[MAX_RUN], *now = parameter->data + p->begin + at;
        float *run_states[TQ_OPTIMIZER_MAX_STATES] = { NULL };
        for (int s = 0; s < u->optimizer->n_states; s++)
            run_states[s] = states[s] + at;
        memcpy(before, now, (size_t)n * sizeof *now);
        u->optimizer->update(&u->params, u->lr * parameter->lr_factor, decay, u->step, n, now,
                             grad + at, run_states);
        hold_bound(n, before, now);
    }
}

static void update_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const tq_updater *u = context;
    const piece *p = &u->pieces[i];
    const tq_parameter *parameter = &u->parameters->items[p->parameter];
    if (parameter->frozen)
        return;
    const float *grad = tq_engine_output(u->engine, 2 + p->parameter)->data;
    float *states[TQ_OPTIMIZER_MAX_STATES] = { NULL };
    for (int s = 0; s < u->optimizer->n_states; s++)
        states[s] = parameter->states[s] + p->begin;
    if (parameter->role == TQ_ROLE_BOUND)
        update_bound(u, p, grad + p->begin, states);
    else
        u->optimizer->update(&u->params, u->lr * parameter->lr_factor, u->params.weight_decay,
                             u->step, p->n, parameter->data + p->begin, grad + p->begin, states);
}

void tq_updater_step(tq_updater *updater, const tq_training *training, double lr, int64_t step)
{
    const tq_parameters *parameters = updater->parameters;
    updater->engine = training->engine;
    updater->lr = lr;
    updater->step = step;
    tq_parallel_for(updater->pool, updater->n_pieces, update_piece, updater);
    for (int i = 0; i < training->n_statistics; i++) {
        const tq_statistic *s = &parameters->statistics[training->statistics[i]];
        const tq_tensor *now = tq_engine_output(training->engine, 2 + parameters->n + i);
        memcpy(s->data, now->data, (size_t)s->n * sizeof(float));
    }
}
