/* QuantizeLinear and DequantizeLinear between f32 and codes of a byte, with one scale or one for
 * each index of an axis: the bits of the operators' own loops, in wide vectors. x is seen as
 * [n_outer, C, n_inner]. */
#include "kernels/f32/loops_internal.h"
#include "ops/ops.h"

#include <string.h>

enum { X, SCALE, ZERO };

typedef struct job {
    const tq_loops *loops;
    const tq_op_run *run;
    bool quantizes;
    int64_t n_channels, n_inner, per_piece, n_rows;
} job;

static bool is_byte(tq_dtype dtype)
{
    return dtype == TQ_U8 || dtype == TQ_I8;
}

static bool accepts(const tq_op_run *run, tq_dtype codes, tq_dtype reals)
{
    return is_byte(codes) && reals == TQ_F32 && run->in_types[SCALE]->dtype == TQ_F32 &&
           tq_attr_int(run->attrs, "block_size") == 0 && tq_type_count(run->in_types[X]) > 0;
}

static bool accepts_quantize(const tq_op_run *run)
{
    return accepts(run, run->out_types[0]->dtype, run->in_types[X]->dtype);
}

static bool accepts_dequantize(const tq_op_run *run)
{
    return accepts(run, run->in_types[X]->dtype, run->out_types[0]->dtype);
}

static int zero_of(const tq_op_run *run, int64_t c)
{
    return tq_run_has(run, ZERO) ? (int)tq_load_i64(run->in[ZERO], run->in_types[ZERO]->dtype, c)
                                 : 0;
}

static void convert(const job *j, int64_t c, int64_t at)
{
    const tq_op_run *run = j->run;
    const tq_dtype codes = (j->quantizes ? run->out_types[0] : run->in_types[X])->dtype;
    const float scale = ((const float *)run->in[SCALE])[c];
    const int zero = zero_of(run, c);
    if (j->quantizes)
        j->loops->quantize(j->n_inner, (const float *)run->in[X] + at, scale, zero,
                           (float)(tq_dtype_min(codes) - zero), (float)(tq_dtype_max(codes) - zero),
                           (uint8_t *)run->out[0] + at);
    else if (codes == TQ_U8)
        j->loops->dequantize_u8(j->n_inner, (const uint8_t *)run->in[X] + at, scale, zero,
                                (float *)run->out[0] + at);
    else
        j->loops->dequantize_i8(j->n_inner, (const int8_t *)run->in[X] + at, scale, zero,
                                (float *)run->out[0] + at);
}

/** Rows are runs of n_inner elements of one scale. */
static void run_piece(void *context, int64_t piece, int worker)
{
    (void)worker;
    const job *j = context;
    const int64_t end = (piece + 1) * j->per_piece;
    for (int64_t row = piece * j->per_piece; row < end && row < j->n_rows; row++)
        convert(j, row % j->n_channels, row * j->n_inner);
}

/** A tensor of one scale is cut into rows of a fixed length, the last of what is left. */
static void run_in(const tq_op_run *run, void *state, bool quantizes)
{
    enum { PIECE = 16384 };
    const tq_type *x = run->in_types[X];
    const int64_t count = tq_type_count(x);
    job j = { .loops = state, .run = run, .quantizes = quantizes, .n_channels = 1 };
    int axis = 0;
    if (tq_type_count(run->in_types[SCALE]) > 1) {
        tq_status_drop(tq_op_axis(tq_attr_int(run->attrs, "axis"), x->rank, &axis));
        j.n_channels = x->dims[axis];
        j.n_inner = tq_type_count_from(x, axis + 1);
    } else {
        j.n_inner = count < PIECE ? count : PIECE;
    }
    j.n_rows = count / j.n_inner;
    j.per_piece = j.n_inner < PIECE ? PIECE / j.n_inner : 1;
    tq_parallel_for(run->pool, (j.n_rows + j.per_piece - 1) / j.per_piece, run_piece, &j);
    const int64_t done = j.n_rows * j.n_inner;
    j.n_inner = count - done;
    if (j.n_inner > 0)
        convert(&j, 0, done);
}

static void quantize(const tq_op_run *run, void *state)
{
    run_in(run, state, true);
}

static void dequantize(const tq_op_run *run, void *state)
{
    run_in(run, state, false);
}

const tq_kernel tq_kernel_f32_quantize_linear = {
    .entry = { .name = "QuantizeLinear", .brief = "f32 loops" },
    .accepts = accepts_quantize,
    .prepare = tq_loops_prepare,
    .run = quantize,
};

const tq_kernel tq_kernel_f32_dequantize_linear = {
    .entry = { .name = "DequantizeLinear", .brief = "f32 loops" },
    .accepts = accepts_dequantize,
    .prepare = tq_loops_prepare,
    .run = dequantize,
};
