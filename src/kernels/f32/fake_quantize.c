/* FakeQuantize with the quantisers whose forward snaps to the grid (pact, fixed), rounding half up:
 *
 *   y = scale * floor(clip(x / scale, q_min - zero_point, q_max - zero_point) + 1/2)
 *
 * the bits of the quantiser's own loop, in wider vectors. x is seen as [n_outer, C, n_inner]. */
#include "kernels/f32/loops_internal.h"

#include <truq/fake.h>

#include <math.h>
#include <string.h>

enum { X, PARAMS };

typedef struct job {
    const tq_loops *loops;
    const tq_op_run *run;
    const tq_quantizer *quantizer;
    tq_range range;
    int64_t n_channels, n_inner, per_piece, n_rows;
} job;

/** All levels, zero point included, stay where the rounding of the loop is exact (2^22). */
static bool accepts(const tq_op_run *run)
{
    const char *quantizer = tq_attr_string(run->attrs, "quantizer");
    const tq_range range = tq_fake_range(run->attrs);
    const int64_t limit = 1 << 20;
    return run->in_types[X]->dtype == TQ_F32 && tq_type_count(run->in_types[X]) > 0 &&
           (!strcmp(quantizer, "pact") || !strcmp(quantizer, "fixed")) &&
           !strcmp(tq_attr_string(run->attrs, "rounding"), "half-up") && range.step == 1 &&
           range.q_min >= -limit && range.n_levels <= limit && tq_range_q_max(&range) <= limit;
}

static bool levels_are_exact(const tq_grid *grid)
{
    const int64_t limit = 1 << 22;
    return grid->q_min - grid->zero_point >= -limit && grid->q_max - grid->zero_point <= limit;
}

static void snap(const job *j, const float *params, int64_t n, const float *x, float *y)
{
    tq_grid grid;
    tq_quantizer_grid(j->quantizer, &j->range, TQ_ROUND_HALF_UP, params, &grid);
    if (levels_are_exact(&grid))
        j->loops->snap_half_up(n, x, grid.scale, (float)(grid.q_min - grid.zero_point),
                               (float)(grid.q_max - grid.zero_point), y);
    else
        j->quantizer->forward(&grid, params, n, x, y, 0);
}

/** Rows are runs of n_inner elements of one channel. */
static void run_piece(void *context, int64_t piece, int worker)
{
    (void)worker;
    const job *j = context;
    const int64_t end = (piece + 1) * j->per_piece;
    for (int64_t row = piece * j->per_piece; row < end && row < j->n_rows; row++) {
        const int64_t at = row * j->n_inner, c = row % j->n_channels;
        float params[TQ_QUANTIZER_MAX_PARAMS];
        bool observed = true;
        for (int k = 0; k < j->quantizer->n_params; k++) {
            const bool one = tq_type_count(j->run->in_types[PARAMS + k]) == 1;
            params[k] = ((const float *)j->run->in[PARAMS + k])[one ? 0 : c];
            observed &= !isnan(params[k]);
        }
        const float *x = (const float *)j->run->in[X] + at;
        float *y = (float *)j->run->out[0] + at;
        if (observed)
            snap(j, params, j->n_inner, x, y);
        else
            for (int64_t i = 0; i < j->n_inner; i++)
                y[i] = NAN;
    }
}

/** A tensor of one grid is cut along its first two axes, which are of one channel then. */
static void run(const tq_op_run *run_, void *state)
{
    enum { PIECE = 16384 };
    const tq_type *x = run_->in_types[X];
    const int axis = (int)tq_attr_int(run_->attrs, "axis");
    job j = { .loops = state, .run = run_, .range = tq_fake_range(run_->attrs), .n_channels = 1 };
    j.quantizer = (const tq_quantizer *)(const void *)tq_registry_get(
        run_->registry, TQ_KIND_QUANTIZER, tq_attr_string(run_->attrs, "quantizer"));
    if (axis >= 0)
        j.n_channels = x->dims[axis];
    j.n_inner = tq_type_count_from(x, axis >= 0 ? axis + 1 : x->rank < 2 ? x->rank : 2);
    if (axis < 0 && j.n_inner < 64)
        j.n_inner = x->rank > 0 ? tq_type_count_from(x, 1) : 1;
    j.n_rows = tq_type_count(x) / j.n_inner;
    j.per_piece = j.n_inner < PIECE ? PIECE / j.n_inner : 1;
    tq_parallel_for(run_->pool, (j.n_rows + j.per_piece - 1) / j.per_piece, run_piece, &j);
}

const tq_kernel tq_kernel_f32_fake_quantize = {
    .entry = { .name = "FakeQuantize", .brief = "f32 loops" },
    .accepts = accepts,
    .prepare = tq_loops_prepare,
    .run = run,
};
