/* Mean of each window (ONNX AveragePool-22), and its gradient.
 *
 *   y[n, c, o] = 1 / d[o] * sum over taps inside x,      dx gets dy / d[o] at each of them
 *
 * d[o] counts the taps inside x, with count_include_pad those inside the padded x (in ceil_mode the
 * last window may reach beyond that; the rest does not count). f32; sums in double.
 *
 * On codes it is SumPool with scale / d; where d varies the sums are first multiplied by lcm(d) /
 * d[o]. */
#include "ops/pool_internal.h"

#include <string.h>

enum { X, DY };

static bool counts_padding(const tq_attrs *attrs)
{
    return tq_attr_int(attrs, "count_include_pad") != 0;
}

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, X, TQ_DTYPE_BIT(TQ_F32)));
    TQ_TRY(tq_op_need_rank(t, X, 3, 5));
    tq_window window;
    TQ_TRY(tq_pool_read(t->attrs, t->in[X], &window));
    t->out[0] = tq_window_type(&window, t->in[X], t->in[X]->dims[1]);
    return TQ_OK;
}

static void planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_window window = tq_pool_of(run->attrs, run->in_types[X]);
    const bool padding = counts_padding(run->attrs);
    const int64_t in_size = tq_window_volume(window.in), out_size = tq_window_volume(window.out);
    for (int64_t o = 0; o < out_size; o++) {
        const tq_taps taps = tq_taps_at(&window, o);
        const double divisor = (double)tq_pool_divisor(&window, o, padding);
        for (int64_t plane = begin; plane < end; plane++) {
            const double sum = tq_taps_sum_f32(&taps, (const float *)run->in[X] + plane * in_size);
            ((float *)run->out[0])[plane * out_size + o] = divisor > 0 ? (float)(sum / divisor) : 0;
        }
    }
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[X], 2), 16, planes, (void *)run);
}

static tq_status gradient(tq_grad *g)
{
    return tq_grad_emit(g, X, "AveragePoolGrad", tq_grad_input(g, X), tq_grad_of_output(g, 0));
}

/* ---- integers ------------------------------------------------------------------------------ */

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/** Least common multiple of all divisors; 0 when it grows beyond 31 bits or a window is empty. */
static int64_t common_divisor(const tq_window *w, bool padding)
{
    int64_t lcm = 1;
    for (int64_t o = 0; o < tq_window_volume(w->out); o++) {
        const int64_t divisor = tq_pool_divisor(w, o, padding);
        if (divisor == 0)
            return 0;
        lcm = tq_dim_mul(lcm / gcd(lcm, divisor), divisor);
        if (lcm > INT32_MAX)
            return 0;
    }
    return lcm;
}

/** The padding counts and real 0 is not code 0. */
static bool padding_shifts(const tq_window *w, const tq_codes *x, bool padding)
{
    bool offset = false, padded = false;
    for (int c = 0; c < x->n; c++)
        offset = offset || x->offset[c] != 0.0;
    for (int64_t o = 0; padding && !padded && o < tq_window_volume(w->out); o++)
        padded = tq_pool_divisor(w, o, true) != tq_pool_divisor(w, o, false);
    return offset && padded;
}

/** sums * (lcm / d[o]), where that is not 1 everywhere; *bounds are those of the result. */
static tq_status equalise(tq_integerise *t, const tq_window *w, bool padding, int64_t lcm,
                          const tq_codes *x, tq_value **sums, tq_interval *bounds)
{
    const int64_t n = tq_window_volume(w->out);
    int64_t *factors = TQ_NEW_N(tq_int_arena(t), int64_t, n), largest = 1;
    tq_sum_bounds all = { 0 };
    for (int64_t o = 0; o < n; o++) {
        const tq_taps taps = tq_taps_at(w, o);
        factors[o] = lcm / tq_pool_divisor(w, o, padding);
        largest = factors[o] > largest ? factors[o] : largest;
        tq_sum_bounds one = { 0 };
        tq_sum_bounds_add_n(&one, (tq_interval){ x->lo, x->hi },
                            (tq_interval){ factors[o], factors[o] }, tq_taps_count(&taps));
        tq_sum_bounds_join(&all, &one, o == 0);
    }
    *bounds = all.sum;
    if (bounds->lo < INT32_MIN || bounds->hi > INT32_MAX)
        return tq_int_refuse(t, "sums over windows of different sizes reach %lld, beyond 32 bits",
                             (long long)bounds->hi);
    if (largest == 1)
        return TQ_OK;
    int64_t dims[2 + TQ_WINDOW_AXES] = { 1, 1 };
    memcpy(dims + 2, w->out + TQ_WINDOW_AXES - w->n_axes, (size_t)w->n_axes * sizeof *dims);
    tq_value *map;
    TQ_TRY(tq_int_add_constant(t, "counts", TQ_I32, 2 + w->n_axes, dims, factors, &map));
    return tq_int_emit(t, "Mul", (tq_value *[]){ *sums, map }, 2, NULL, 0, sums);
}

/** The attributes that SumPool has too. */
static int sum_pool_attrs(const tq_attrs *attrs, tq_attr *out)
{
    int n = 0;
    for (int i = 0; i < tq_attrs_count(attrs); i++)
        if (strcmp(tq_attrs_at(attrs, i)->name, "count_include_pad") != 0)
            out[n++] = *tq_attrs_at(attrs, i);
    return n;
}

static tq_status integerise(tq_integerise *t)
{
    const tq_codes *x;
    tq_value *sums;
    TQ_TRY(tq_pool_operand(t, &x, &sums));
    const tq_attrs *node_attrs = tq_node_attrs(tq_int_node(t));
    const bool padding = counts_padding(node_attrs);
    tq_window w;
    TQ_TRY(tq_pool_read(node_attrs, tq_value_type(sums), &w));
    if (tq_window_volume(w.out) == TQ_DIM_ANY)
        return tq_int_refuse(t, "input is %s; its size must be known",
                             tq_type_text(tq_value_type(sums)).s);
    if (padding_shifts(&w, x, padding))
        return tq_int_refuse(
            t, "padding counts, but code 0 is not 0 on its input; set count_include_pad to 0");
    const int64_t lcm = common_divisor(&w, padding);
    if (lcm == 0)
        return tq_int_refuse(t, "its window sizes have no common multiple of 31 bits");
    tq_attr attrs[TQ_OP_MAX_ATTRS];
    const int n_attrs = sum_pool_attrs(node_attrs, attrs);
    TQ_TRY(tq_int_emit(t, "SumPool", &sums, 1, attrs, n_attrs, &sums));
    tq_interval bounds;
    TQ_TRY(equalise(t, &w, padding, lcm, x, &sums, &bounds));
    tq_pool_state_mean(t, x, sums, (double)lcm, bounds);
    return TQ_OK;
}

const tq_op tq_op_average_pool = {
    .entry = { .name = "AveragePool",
               .brief = "mean of each window",
               .source = "ONNX AveragePool-22" },
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { TQ_POOL_ATTRS, TQ_INT("count_include_pad", 0) },
    .required_attrs = TQ_POOL_REQUIRED,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .integerise = integerise,
};

/* ---- gradient ---------------------------------------------------------------------------- */

static tq_status infer_grad(tq_op_types *t)
{
    for (int i = X; i <= DY; i++) {
        TQ_TRY(tq_op_need_dtype(t, i, TQ_DTYPE_BIT(TQ_F32)));
        TQ_TRY(tq_op_need_rank(t, i, 3, 5));
    }
    tq_window window;
    TQ_TRY(tq_pool_read(t->attrs, t->in[X], &window));
    t->out[0] = *t->in[X];
    return TQ_OK;
}

static void spread(const tq_taps *t, float value, float *dx)
{
    for (int64_t kd = 0; kd < t->n[0]; kd++)
        for (int64_t kh = 0; kh < t->n[1]; kh++) {
            float *row = dx + tq_taps_row(t, kd, kh);
            for (int64_t kw = 0; kw < t->n[2]; kw++)
                row[kw * t->step[2]] += value;
        }
}

static void grad_planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_window window = tq_pool_of(run->attrs, run->in_types[X]);
    const bool padding = counts_padding(run->attrs);
    const int64_t in_size = tq_window_volume(window.in), out_size = tq_window_volume(window.out);
    for (int64_t plane = begin; plane < end; plane++) {
        const float *dy = (const float *)run->in[DY] + plane * out_size;
        float *dx = (float *)run->out[0] + plane * in_size;
        for (int64_t i = 0; i < in_size; i++)
            dx[i] = 0.0f;
        for (int64_t o = 0; o < out_size; o++) {
            const tq_taps taps = tq_taps_at(&window, o);
            spread(&taps, dy[o] / (float)tq_pool_divisor(&window, o, padding), dx);
        }
    }
}

static void reference_grad(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[X], 2), 1, grad_planes, (void *)run);
}

const tq_op tq_op_average_pool_grad = {
    .entry = { .name = "AveragePoolGrad", .brief = "gradient of AveragePool" },
    .domain = "truq",
    .flags = TQ_OP_GRADIENT,
    .inputs = { "x", "dy" },
    .outputs = { "dx" },
    .attrs = { TQ_POOL_ATTRS, TQ_INT("count_include_pad", 0) },
    .required_attrs = TQ_POOL_REQUIRED,
    .infer = infer_grad,
    .reference = reference_grad,
};
