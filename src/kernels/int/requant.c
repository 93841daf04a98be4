/* Requant of int32 accumulators to 8-bit codes: planes share a multiplier and an addend. */
#include "kernels/int/requant_internal.h"

#include <string.h>

enum { X, MULTIPLIER, ADDEND };
enum { PIECE = 16384 };

static void portable(const tq_requant_row *row, int64_t n, const int32_t *x, uint8_t *y)
{
    for (int64_t i = 0; i < n; i++) {
        const uint64_t sum =
            (uint64_t)(int64_t)x[i] * (uint64_t)row->multiplier + (uint64_t)row->addend;
        y[i] = (uint8_t)tq_clip_i64((int64_t)sum >> row->shift, row->q_min, row->q_max);
    }
}

const tq_requant_variant tq_requant_variants[] = {
    { "avx512", TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ,
      tq_requant_avx512 },
    { "reference", 0, portable },
    { 0 },
};

typedef struct job {
    const tq_requant_variant *variant;
    const tq_op_run *run;
    int64_t channels, inner, per_piece, n_planes;
} job;

static bool accepts(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X];
    const int64_t axis = tq_attr_int(run->attrs, "axis");
    const tq_dtype y = run->out_types[0]->dtype, m = run->in_types[MULTIPLIER]->dtype;
    const int64_t n_m = tq_type_count(run->in_types[MULTIPLIER]);
    const int64_t n_a = tq_type_count(run->in_types[ADDEND]);
    const int64_t channels = axis >= 0 && axis < x->rank ? x->dims[axis] : 1;
    return x->dtype == TQ_I32 && (y == TQ_U8 || y == TQ_I8) && (m == TQ_I32 || m == TQ_I64) &&
           run->in_types[ADDEND]->dtype == TQ_I64 && (n_m == 1 || n_m == channels) &&
           (n_a == 1 || n_a == channels) && tq_type_count(x) > 0;
}

static tq_status prepare(const tq_op_run *run, void **out_state)
{
    (void)run;
    const tq_requant_variant *v = tq_requant_variants;
    while ((v->needs & tq_cpu_flags()) != v->needs)
        v++;
    *out_state = (void *)(uintptr_t)v;
    return TQ_OK;
}

static void run_piece(void *context, int64_t piece, int worker)
{
    (void)worker;
    const job *j = context;
    const tq_op_run *run = j->run;
    const int64_t n_m = tq_type_count(run->in_types[MULTIPLIER]);
    const int64_t n_a = tq_type_count(run->in_types[ADDEND]);
    tq_requant_row row = { .q_min = tq_attr_int(run->attrs, "q_min"),
                           .q_max = tq_attr_int(run->attrs, "q_max"),
                           .shift = (int)tq_attr_int(run->attrs, "shift") };
    const int64_t end = (piece + 1) * j->per_piece;
    for (int64_t p = piece * j->per_piece; p < end && p < j->n_planes; p++) {
        const int64_t c = p % j->channels;
        row.multiplier =
            tq_load_i64(run->in[MULTIPLIER], run->in_types[MULTIPLIER]->dtype, n_m > 1 ? c : 0);
        row.addend = ((const int64_t *)run->in[ADDEND])[n_a > 1 ? c : 0];
        j->variant->run(&row, j->inner, (const int32_t *)run->in[X] + p * j->inner,
                        (uint8_t *)run->out[0] + p * j->inner);
    }
}

/** One multiplier for all: the whole tensor is cut as planes of one channel. */
static void run(const tq_op_run *run_, void *state)
{
    const tq_type *x = run_->in_types[X];
    const bool per_channel =
        tq_type_count(run_->in_types[MULTIPLIER]) > 1 || tq_type_count(run_->in_types[ADDEND]) > 1;
    const int axis = (int)tq_attr_int(run_->attrs, "axis");
    job j = {
        .variant = state, .run = run_, .channels = 1, .inner = tq_type_count(x), .n_planes = 1
    };
    if (per_channel) {
        j.channels = x->dims[axis];
        j.inner = tq_type_count_from(x, axis + 1);
        j.n_planes = tq_type_count_to(x, axis + 1);
    } else if (x->rank > 0) {
        j.inner = tq_type_count_from(x, x->rank > 2 ? 2 : 1);
        j.n_planes = tq_type_count(x) / j.inner;
    }
    j.per_piece = j.inner < PIECE ? PIECE / j.inner : 1;
    tq_parallel_for(run_->pool, (j.n_planes + j.per_piece - 1) / j.per_piece, run_piece, &j);
}

const tq_kernel tq_kernel_int_requant = {
    .entry = { .name = "Requant", .brief = "64-bit vectors" },
    .accepts = accepts,
    .prepare = prepare,
    .run = run,
};
