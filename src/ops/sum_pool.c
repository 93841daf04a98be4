/* Sums of codes: of each window (SumPool) or of each whole plane (GlobalSumPool). What average
 * pools become in a true-quantised network.
 *
 *   y = sum over taps inside x      x [N, C, ...] u8, i8 or i32; y i32
 *
 * Padding adds code 0. */
#include "ops/pool_internal.h"

static const uint32_t dtypes = TQ_DTYPES_CODES | TQ_DTYPE_BIT(TQ_I32);

static tq_status infer(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, dtypes));
    TQ_TRY(tq_op_need_rank(t, 0, 3, 5));
    tq_window window;
    TQ_TRY(tq_pool_read(t->attrs, t->in[0], &window));
    t->out[0] = tq_window_type(&window, t->in[0], t->in[0]->dims[1]);
    t->out[0].dtype = TQ_I32;
    return TQ_OK;
}

static void store(const tq_op_run *run, int64_t i, int64_t sum)
{
    ((uint32_t *)run->out[0])[i] = (uint32_t)sum;
}

static void planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_window window = tq_pool_of(run->attrs, run->in_types[0]);
    const int64_t in_size = tq_window_volume(window.in), out_size = tq_window_volume(window.out);
    for (int64_t o = 0; o < out_size; o++) {
        const tq_taps taps = tq_taps_at(&window, o);
        for (int64_t plane = begin; plane < end; plane++)
            store(run, plane * out_size + o,
                  tq_taps_sum_integer(&taps, run->in[0], run->in_types[0]->dtype, plane * in_size));
    }
}

static void reference(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[0], 2), 16, planes, (void *)run);
}

/** From the smallest and the largest number of taps that a window has. */
static tq_status bounds(tq_bounds *b)
{
    const tq_op_types *t = tq_bounds_types(b);
    tq_window w;
    TQ_TRY(tq_pool_read(t->attrs, t->in[0], &w));
    tq_sum_bounds all = { 0 };
    const tq_interval x = tq_bounds_of(b, 0), one = { 1, 1 };
    const int64_t n = tq_window_volume(w.out);
    for (int64_t o = 0; o < n; o++) {
        const tq_taps taps = tq_taps_at(&w, o);
        tq_sum_bounds sum = { 0 };
        tq_sum_bounds_add_n(&sum, x, one, tq_taps_count(&taps));
        tq_sum_bounds_join(&all, &sum, o == 0);
    }
    if (n == TQ_DIM_ANY) {
        tq_sum_bounds_add_n(&all, x, one, tq_window_volume(w.kernel));
        all.sum = all.part;
    }
    tq_bounds_set_sum(b, &all, 32);
    return TQ_OK;
}

const tq_op tq_op_sum_pool = {
    .entry = { .name = "SumPool", .brief = "sum of codes in each window" },
    .domain = "truq",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .attrs = { TQ_POOL_ATTRS },
    .required_attrs = TQ_POOL_REQUIRED,
    .infer = infer,
    .reference = reference,
    .bounds = bounds,
};

static tq_status infer_global(tq_op_types *t)
{
    TQ_TRY(tq_op_need_dtype(t, 0, dtypes));
    TQ_TRY(tq_op_need_rank(t, 0, 2, TQ_MAX_RANK));
    t->out[0] = tq_global_type(t->in[0]);
    t->out[0].dtype = TQ_I32;
    return TQ_OK;
}

static void global_planes(void *context, int64_t begin, int64_t end)
{
    const tq_op_run *run = context;
    const tq_taps taps = tq_taps_all(run->in_types[0]);
    const int64_t size = tq_taps_count(&taps);
    for (int64_t plane = begin; plane < end; plane++)
        store(run, plane,
              tq_taps_sum_integer(&taps, run->in[0], run->in_types[0]->dtype, plane * size));
}

static void reference_global(const tq_op_run *run)
{
    tq_run_for(run, tq_type_count_to(run->in_types[0], 2), 16, global_planes, (void *)run);
}

static tq_status bounds_global(tq_bounds *b)
{
    const int64_t count = tq_type_count_from(tq_bounds_types(b)->in[0], 2);
    tq_sum_bounds sum = { 0 };
    tq_sum_bounds_add_n(&sum, tq_bounds_of(b, 0), (tq_interval){ 1, 1 },
                        count == TQ_DIM_ANY ? INT32_MAX : count);
    if (count == TQ_DIM_ANY)
        sum.sum = sum.part;
    tq_bounds_set_sum(b, &sum, 32);
    return TQ_OK;
}

const tq_op tq_op_global_sum_pool = {
    .entry = { .name = "GlobalSumPool", .brief = "sum of codes in each plane" },
    .domain = "truq",
    .flags = TQ_OP_INTEGER,
    .inputs = { "x" },
    .outputs = { "y" },
    .infer = infer_global,
    .reference = reference_global,
    .bounds = bounds_global,
};
