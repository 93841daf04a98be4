/* The walk of a recurrent layer: each sequence of each direction on its own, from its first step to
 * its last (in reverse: from its last to its first). Steps behind the end of a sequence give 0 in
 * Y, and Y_h and Y_c are those of its last step; lengths beyond the array count as its length.
 * Floats; sums in double, rounded once for each element of the output. */
#include "ops/recurrent_internal.h"

#include <math.h>
#include <string.h>

enum {
    X = TQ_RECURRENT_X,
    W = TQ_RECURRENT_W,
    R = TQ_RECURRENT_R,
    B = TQ_RECURRENT_B,
    LENGTHS = TQ_RECURRENT_LENGTHS,
    P = TQ_RECURRENT_P,
    Y = TQ_RECURRENT_Y
};

/* ---- inference ------------------------------------------------------------------------------ */

typedef enum directions { FORWARD, REVERSE, BIDIRECTIONAL } directions;

static tq_status read_direction(const tq_attrs *attrs, directions *out)
{
    const char *text = tq_attr_string(attrs, "direction");
    static const char *const names[] = { "forward", "reverse", "bidirectional" };
    for (int i = FORWARD; i <= BIDIRECTIONAL; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (directions)i;
            return TQ_OK;
        }
    return tq_fail(TQ_ERR_VALUE, "direction is '%s'; expected forward, reverse or bidirectional",
                   text);
}

typedef struct sizes {
    int64_t steps, batch, input, hidden, directions;
    bool batch_first;
} sizes;

static sizes read_sizes(const tq_attrs *attrs, const tq_type *x, const tq_type *r)
{
    const bool batch_first = tq_attr_int(attrs, "layout") != 0;
    return (sizes){ .steps = x->dims[batch_first],
                    .batch = x->dims[!batch_first],
                    .input = x->dims[2],
                    .hidden = r->dims[2],
                    .directions = r->dims[0],
                    .batch_first = batch_first };
}

/** Input i, where it is there, is [dims]. */
static tq_status check_input(const tq_op_types *t, int i, int rank, const int64_t *dims)
{
    if (!tq_op_has(t, i))
        return TQ_OK;
    TQ_TRY(tq_op_need_rank(t, i, rank, rank));
    TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(i == LENGTHS ? TQ_I32 : t->in[X]->dtype)));
    const tq_type expected = tq_type_make(t->in[i]->dtype, rank, dims);
    for (int d = 0; d < rank; d++)
        if (!tq_dim_fits(t->in[i]->dims[d], dims[d]))
            return tq_fail(TQ_ERR_SHAPE, "input %d is %s; expected %s", i, tq_type_text(t->in[i]).s,
                           tq_type_text(&expected).s);
    return TQ_OK;
}

static tq_status check_hidden(const tq_op_types *t, const sizes *s)
{
    const int64_t given = tq_attr_int(t->attrs, "hidden_size");
    if (s->hidden == TQ_DIM_ANY || s->directions == TQ_DIM_ANY)
        return tq_fail(TQ_ERR_SHAPE, "R is %s; its shape must be known", tq_type_text(t->in[R]).s);
    if (tq_attrs_has(t->attrs, "hidden_size") && given != s->hidden)
        return tq_fail(TQ_ERR_SHAPE, "hidden_size is %lld, R is %s", (long long)given,
                       tq_type_text(t->in[R]).s);
    if (s->hidden > TQ_RECURRENT_HIDDEN)
        return tq_fail(TQ_ERR_UNSUPPORTED, "R is %s; hidden sizes of up to %d are implemented",
                       tq_type_text(t->in[R]).s, TQ_RECURRENT_HIDDEN);
    return TQ_OK;
}

static tq_status check_shapes(const tq_op_types *t, const tq_recurrent_cell *cell, const sizes *s)
{
    const int64_t n_rows = cell->n_gates * s->hidden;
    TQ_TRY(check_input(t, W, 3, (int64_t[]){ s->directions, n_rows, s->input }));
    TQ_TRY(check_input(t, R, 3, (int64_t[]){ s->directions, n_rows, s->hidden }));
    TQ_TRY(check_input(t, B, 2, (int64_t[]){ s->directions, 2 * n_rows }));
    TQ_TRY(check_input(t, LENGTHS, 1, &s->batch));
    const int64_t first = s->batch_first ? s->batch : s->directions;
    const int64_t second = s->batch_first ? s->directions : s->batch;
    for (int i = TQ_RECURRENT_INITIAL_H; i <= TQ_RECURRENT_INITIAL_C; i++)
        TQ_TRY(check_input(t, i, 3, (int64_t[]){ first, second, s->hidden }));
    return check_input(t, P, 2, (int64_t[]){ s->directions, 3 * s->hidden });
}

static void set_outputs(tq_op_types *t, const sizes *s)
{
    const int64_t y[][4] = { { s->steps, s->directions, s->batch, s->hidden },
                             { s->batch, s->steps, s->directions, s->hidden } };
    const int64_t last[][3] = { { s->directions, s->batch, s->hidden },
                                { s->batch, s->directions, s->hidden } };
    for (int i = 0; i < t->n_out; i++)
        t->out[i] = i == Y ? tq_type_make(t->in[X]->dtype, 4, y[s->batch_first])
                           : tq_type_make(t->in[X]->dtype, 3, last[s->batch_first]);
}

tq_status tq_recurrent_infer(tq_op_types *t, const tq_recurrent_cell *cell)
{
    for (int i = X; i <= R; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPES_FLOAT));
        TQ_TRY(tq_op_need_rank(t, i, 3, 3));
    }
    directions direction = FORWARD;
    TQ_TRY(read_direction(t->attrs, &direction));
    const sizes s = read_sizes(t->attrs, t->in[X], t->in[R]);
    TQ_TRY(check_hidden(t, &s));
    if (s.directions != (direction == BIDIRECTIONAL ? 2 : 1))
        return tq_fail(TQ_ERR_SHAPE, "direction is %s, R is %s; its first axis must be %d",
                       tq_attr_string(t->attrs, "direction"), tq_type_text(t->in[R]).s,
                       direction == BIDIRECTIONAL ? 2 : 1);
    TQ_TRY(check_shapes(t, cell, &s));
    tq_recurrent_function functions[2 * TQ_RECURRENT_FUNCTIONS];
    TQ_TRY(tq_recurrent_read_functions(t->attrs, cell, (int)s.directions, functions));
    set_outputs(t, &s);
    return TQ_OK;
}

int64_t tq_recurrent_macs(const tq_op_types *t)
{
    const sizes s = read_sizes(t->attrs, t->in[X], t->in[R]);
    const int64_t n_columns = s.input == TQ_DIM_ANY ? TQ_DIM_ANY : s.input + s.hidden;
    const int64_t n_rows = tq_dim_mul(s.directions, t->in[R]->dims[1]);
    return tq_dim_mul(tq_dim_mul(s.steps, s.batch), tq_dim_mul(n_rows, n_columns));
}

/* ---- running -------------------------------------------------------------------------------- */

/** sum over i of w[at + i] v[i], in eight parts that are added from left to right. */
static double dot(const void *w, tq_dtype dtype, int64_t at, const double *v, int64_t n)
{
    enum { PARTS = 8 };
    double sums[PARTS] = { 0.0 }, sum = 0.0;
    int64_t i = 0;
    if (dtype == TQ_F32) {
        const float *row = (const float *)w + at;
        for (; i + PARTS <= n; i += PARTS)
            for (int k = 0; k < PARTS; k++)
                sums[k] += (double)row[i + k] * v[i + k];
    }
    for (; i < n; i++)
        sum += tq_load_f64(w, dtype, at + i) * v[i];
    for (int k = 0; k < PARTS; k++)
        sum += sums[k];
    return sum;
}

void tq_recurrent_add(const tq_recurrent_step *s, int gate, const double *v, double *out)
{
    const tq_op_run *run = s->run;
    const int64_t n_rows = run->in_types[R]->dims[1], n = s->n_hidden;
    const tq_dtype dtype = run->in_types[R]->dtype;
    for (int64_t j = 0; j < n; j++) {
        const int64_t row = gate * n + j;
        out[j] += dot(run->in[R], dtype, (s->direction * n_rows + row) * n, v, n);
        if (tq_run_has(run, B))
            out[j] += tq_load_f64(run->in[B], dtype, s->direction * 2 * n_rows + n_rows + row);
    }
}

double tq_recurrent_apply(const tq_recurrent_step *s, int i, double x)
{
    return s->functions[i].f(x, s->functions[i].alpha, s->functions[i].beta);
}

double tq_recurrent_clip_apply(const tq_recurrent_step *s, int i, double x)
{
    return tq_recurrent_apply(s, i, x < -s->clip ? -s->clip : x > s->clip ? s->clip : x);
}

typedef struct job {
    const tq_op_run *run;
    const tq_recurrent_cell *cell;
    sizes s;
    directions direction;
    double clip;
    tq_recurrent_function functions[2 * TQ_RECURRENT_FUNCTIONS];
} job;

/** The gates of one step before h has a part in them: W x + Wb. */
static void start_gates(const job *j, int64_t direction, int64_t x_at,
                        double (*gates)[TQ_RECURRENT_HIDDEN])
{
    enum { CHUNK = 1024 };
    double x[CHUNK];
    const tq_op_run *run = j->run;
    const tq_dtype dtype = run->in_types[X]->dtype;
    const int64_t n_hidden = j->s.hidden, n_rows = run->in_types[W]->dims[1];
    for (int64_t row = 0; row < n_rows; row++)
        gates[row / n_hidden][row % n_hidden] =
            tq_run_has(run, B) ? tq_load_f64(run->in[B], dtype, direction * 2 * n_rows + row) : 0.0;
    for (int64_t first = 0; first < j->s.input; first += CHUNK) {
        const int64_t left = j->s.input - first, n = left < CHUNK ? left : CHUNK;
        for (int64_t i = 0; i < n; i++)
            x[i] = tq_load_f64(run->in[X], dtype, x_at + first + i);
        for (int64_t row = 0; row < n_rows; row++)
            gates[row / n_hidden][row % n_hidden] +=
                dot(run->in[W], dtype, (direction * n_rows + row) * j->s.input + first, x, n);
    }
}

static void load_state(const job *j, int input, int64_t at, double *out)
{
    const bool given = tq_run_has(j->run, input);
    for (int64_t i = 0; i < j->s.hidden; i++)
        out[i] = given ? tq_load_f64(j->run->in[input], j->run->in_types[X]->dtype, at + i) : 0.0;
}

/** NULL: zeros. */
static void store(const job *j, int output, int64_t at, const double *values)
{
    if (output >= j->run->n_out || !j->run->out[output])
        return;
    for (int64_t i = 0; i < j->s.hidden; i++)
        tq_store_f64(j->run->out[output], j->run->in_types[X]->dtype, at + i,
                     values ? values[i] : 0.0);
}

static int64_t length_of(const job *j, int64_t sample)
{
    if (!tq_run_has(j->run, LENGTHS))
        return j->s.steps;
    return tq_clip_i64(((const int32_t *)j->run->in[LENGTHS])[sample], 0, j->s.steps);
}

/** Where step `time` of a sequence starts in X and in Y. */
static int64_t x_at(const sizes *s, int64_t time, int64_t sample)
{
    return (s->batch_first ? sample * s->steps + time : time * s->batch + sample) * s->input;
}

static int64_t y_at(const sizes *s, int64_t time, int64_t direction, int64_t sample)
{
    return (s->batch_first ? (sample * s->steps + time) * s->directions + direction
                           : (time * s->directions + direction) * s->batch + sample) *
           s->hidden;
}

static void run_sequence(const job *j, int64_t direction, int64_t sample)
{
    double h[TQ_RECURRENT_HIDDEN], c[TQ_RECURRENT_HIDDEN], work[TQ_RECURRENT_HIDDEN];
    double gates[TQ_RECURRENT_GATES][TQ_RECURRENT_HIDDEN];
    const sizes *s = &j->s;
    const bool reverse = j->direction == REVERSE || direction == 1;
    const int64_t n_steps = length_of(j, sample);
    const int64_t state_at =
        (s->batch_first ? sample * s->directions + direction : direction * s->batch + sample) *
        s->hidden;
    const tq_recurrent_step step = { .run = j->run,
                                     .direction = direction,
                                     .n_hidden = s->hidden,
                                     .clip = j->clip,
                                     .functions = j->functions + direction * j->cell->n_functions,
                                     .gates = gates,
                                     .h = h,
                                     .c = c,
                                     .work = work };
    load_state(j, TQ_RECURRENT_INITIAL_H, state_at, h);
    load_state(j, TQ_RECURRENT_INITIAL_C, state_at, c);
    for (int64_t k = 0; k < n_steps; k++) {
        const int64_t time = reverse ? n_steps - 1 - k : k;
        start_gates(j, direction, x_at(s, time, sample), gates);
        j->cell->step(&step);
        store(j, Y, y_at(s, time, direction, sample), h);
    }
    for (int64_t time = n_steps; time < s->steps; time++)
        store(j, Y, y_at(s, time, direction, sample), NULL);
    store(j, TQ_RECURRENT_LAST_H, state_at, h);
    store(j, TQ_RECURRENT_LAST_C, state_at, c);
}

static void sequences(void *context, int64_t begin, int64_t end)
{
    const job *j = context;
    for (int64_t i = begin; i < end; i++)
        run_sequence(j, i / j->s.batch, i % j->s.batch);
}

void tq_recurrent_run(const tq_op_run *run, const tq_recurrent_cell *cell)
{
    job j = { .run = run,
              .cell = cell,
              .s = read_sizes(run->attrs, run->in_types[X], run->in_types[R]) };
    const double clip = (double)tq_attr_float(run->attrs, "clip");
    j.clip = clip > 0 ? clip : INFINITY;
    tq_status status = read_direction(run->attrs, &j.direction);
    TQ_ASSERT(!status);
    status = tq_recurrent_read_functions(run->attrs, cell, (int)j.s.directions, j.functions);
    TQ_ASSERT(!status);
    tq_run_for(run, j.s.directions * j.s.batch, 1, sequences, &j);
}
