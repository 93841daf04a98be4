/* MatMulInteger of rows a [M, K] with one matrix b [K, N]: by tiles of 64 rows of a, or, where
 * there are few, by dot products.
 *
 *   sum (a - za)(b - zb) = sum a b - za (sum b - K zb) - zb sum a        modulo 2^32
 *
 * b is packed as i8 columns, i8 rows of a and u8 b moved by 128. */
#include "base/base.h"
#include "kernels/int/tile_internal.h"
#include "ops/ops.h"

#include <stdlib.h>
#include <string.h>

enum { A, B, A_ZERO_POINT, B_ZERO_POINT };
enum { COLUMNS_AT_ONCE = 48, FEW_ROWS = 16, DOT_COLUMNS = 32 };

typedef struct state {
    const tq_tile_variant *tile;
    int64_t m, n, k, stride; /* stride: k rounded up to 4 */
    bool b_const, is_packed;
    int8_t *packed;  /* [n][stride] when b is constant */
    int32_t *b_sums; /* [n] */
    size_t packed_size, rows_size, worker_size;
} state;

typedef struct job {
    const state *s;
    const tq_op_run *run;
    const int8_t *b;
    uint8_t *a;       /* [m][stride], moved to u8 */
    uint32_t *a_sums; /* [m] */
    uint32_t *a_zero; /* [m] */
    uint32_t *b_zero; /* [n] */
    int32_t *zeros;   /* [n]: offsets of tiles */
    uint32_t *b_part; /* [n]: sum b - K zb */
    char *workers;
} job;

static size_t round_up(size_t size)
{
    return (size + 63) / 64 * 64;
}

static bool is_codes(const tq_type *type)
{
    return type->dtype == TQ_U8 || type->dtype == TQ_I8;
}

static bool accepts(const tq_op_run *run)
{
    const tq_type *a = run->in_types[A], *b = run->in_types[B];
    return is_codes(a) && is_codes(b) && a->rank >= 2 && b->rank == 2 &&
           tq_type_count(run->out_types[0]) > 0 && tq_type_count(a) > 0;
}

static void release(void *state_)
{
    state *s = state_;
    if (!s)
        return;
    free(s->packed);
    free(s->b_sums);
    free(s);
}

static tq_status prepare(const tq_op_run *run, void **out_state)
{
    const tq_type *a = run->in_types[A], *b = run->in_types[B];
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a product");
    s->tile = tq_tile_best();
    s->m = tq_type_count_to(a, a->rank - 1);
    s->k = b->dims[0];
    s->n = b->dims[1];
    s->stride = (s->k + TQ_TILE_GROUP - 1) / TQ_TILE_GROUP * TQ_TILE_GROUP;
    s->b_const = run->in_const[B];
    s->packed_size = round_up((size_t)(s->n * s->stride));
    s->rows_size = round_up((size_t)(s->m * s->stride));
    s->worker_size = (size_t)s->stride / TQ_TILE_GROUP * TQ_TILE_PANEL +
                     COLUMNS_AT_ONCE * TQ_TILE_COLUMNS * sizeof(int32_t);
    s->b_sums = tq_allocate((size_t)s->n * sizeof *s->b_sums);
    s->packed = s->b_const ? tq_allocate(s->packed_size) : NULL;
    if (!s->b_sums || (s->b_const && !s->packed)) {
        release(s);
        return tq_fail(TQ_ERR_MEMORY, "no memory for the packed weight");
    }
    *out_state = s;
    return TQ_OK;
}

static size_t scratch_size(const tq_op_run *run, void *state_)
{
    const state *s = state_;
    const size_t n_workers = run->pool ? (size_t)tq_pool_size(run->pool) : 1;
    return s->packed_size + s->rows_size + 2 * round_up((size_t)s->m * 4) +
           3 * round_up((size_t)s->n * 4) + n_workers * s->worker_size;
}

/* ---- before the products ---------------------------------------------------------------- */

static void pack_b(state *s, const uint8_t *b, uint8_t flip, int8_t *packed)
{
    memset(packed, 0, s->packed_size);
    for (int64_t n = 0; n < s->n; n++) {
        uint32_t sum = 0;
        for (int64_t k = 0; k < s->k; k++) {
            packed[n * s->stride + k] = (int8_t)(b[k * s->n + n] ^ flip);
            sum += (uint32_t)packed[n * s->stride + k];
        }
        s->b_sums[n] = (int32_t)sum;
    }
}

static void move_row(void *context, int64_t m, int worker)
{
    (void)worker;
    const job *j = context;
    const state *s = j->s;
    const uint8_t flip = j->run->in_types[A]->dtype == TQ_I8 ? 0x80 : 0;
    const uint8_t *a = (const uint8_t *)j->run->in[A] + m * s->k;
    uint8_t *row = j->a + m * s->stride;
    uint32_t sum = 0;
    for (int64_t k = 0; k < s->k; k++) {
        row[k] = a[k] ^ flip;
        sum += row[k];
    }
    memset(row + s->k, 0, (size_t)(s->stride - s->k));
    j->a_sums[m] = sum;
}

/** Zero points of operand i, one for each of n, moved by `move`. */
static void read_zero(const tq_op_run *run, int i, tq_dtype dtype, int move, int64_t n,
                      uint32_t *out)
{
    const bool given = tq_run_has(run, i);
    const bool many = given && tq_type_count(run->in_types[i]) > 1;
    for (int64_t k = 0; k < n; k++)
        out[k] = (uint32_t)((given ? tq_load_i64(run->in[i], dtype, many ? k : 0) : 0) + move);
}

/* ---- products --------------------------------------------------------------------------- */

static void put(const job *j, int64_t m, int64_t n, uint32_t product)
{
    int32_t *y = j->run->out[0];
    y[m * j->s->n + n] =
        (int32_t)(product - j->a_zero[m] * j->b_part[n] - j->b_zero[n] * j->a_sums[m]);
}

static void dot_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const state *s = j->s;
    const int64_t end = (i + 1) * DOT_COLUMNS;
    for (int64_t n = i * DOT_COLUMNS; n < end && n < s->n; n++)
        for (int64_t m = 0; m < s->m; m++)
            put(j, m, n, (uint32_t)s->tile->dot(s->k, j->a + m * s->stride, j->b + n * s->stride));
}

static void pack_panel(const job *j, int64_t first, uint8_t *panel)
{
    const state *s = j->s;
    for (int c = 0; c < TQ_TILE_COLUMNS; c++) {
        const int64_t m = first + c < s->m ? first + c : s->m - 1;
        const uint8_t *row = j->a + m * s->stride;
        uint8_t *to = panel + s->tile->place(c) * TQ_TILE_GROUP;
        for (int64_t k = 0; k < s->stride; k += TQ_TILE_GROUP, to += TQ_TILE_PANEL)
            memcpy(to, row + k, TQ_TILE_GROUP);
    }
}

static void tile_piece(void *context, int64_t i, int worker)
{
    const job *j = context;
    const state *s = j->s;
    const int64_t first = i * TQ_TILE_COLUMNS, n_groups = s->stride / TQ_TILE_GROUP;
    const int64_t last = first + TQ_TILE_COLUMNS < s->m ? first + TQ_TILE_COLUMNS : s->m;
    uint8_t *panel = (uint8_t *)j->workers + (size_t)worker * s->worker_size;
    int32_t *temp = (int32_t *)(void *)(panel + n_groups * TQ_TILE_PANEL);
    pack_panel(j, first, panel);
    for (int64_t at = 0; at < s->n; at += COLUMNS_AT_ONCE) {
        const int64_t count = s->n - at < COLUMNS_AT_ONCE ? s->n - at : COLUMNS_AT_ONCE;
        s->tile->multiply(n_groups, count, panel, j->b + at * s->stride, s->stride, j->zeros + at,
                          temp);
        for (int64_t m = first; m < last; m++)
            for (int64_t n = 0; n < count; n++)
                put(j, m, at + n, (uint32_t)temp[n * TQ_TILE_COLUMNS + m - first]);
    }
}

static void run(const tq_op_run *run_, void *state_)
{
    state *s = state_;
    char *scratch = run_->scratch;
    job j = { .s = s, .run = run_, .b = s->packed ? s->packed : (int8_t *)scratch };
    const tq_dtype a_dtype = run_->in_types[A]->dtype, b_dtype = run_->in_types[B]->dtype;
    if (!s->is_packed)
        pack_b(s, run_->in[B], b_dtype == TQ_U8 ? 0x80 : 0, (int8_t *)(uintptr_t)j.b);
    s->is_packed = s->b_const;
    j.a = (uint8_t *)scratch + s->packed_size;
    j.a_sums = (uint32_t *)(void *)(j.a + s->rows_size);
    j.a_zero = j.a_sums + round_up((size_t)s->m * 4) / 4;
    j.b_zero = j.a_zero + round_up((size_t)s->m * 4) / 4;
    j.b_part = j.b_zero + round_up((size_t)s->n * 4) / 4;
    j.zeros = (int32_t *)j.b_part + round_up((size_t)s->n * 4) / 4;
    j.workers = (char *)j.zeros + round_up((size_t)s->n * 4);
    read_zero(run_, A_ZERO_POINT, a_dtype, a_dtype == TQ_I8 ? 128 : 0, s->m, j.a_zero);
    read_zero(run_, B_ZERO_POINT, b_dtype, b_dtype == TQ_U8 ? -128 : 0, s->n, j.b_zero);
    for (int64_t n = 0; n < s->n; n++)
        j.b_part[n] = (uint32_t)s->b_sums[n] - (uint32_t)s->k * j.b_zero[n];
    memset(j.zeros, 0, (size_t)s->n * 4);
    tq_parallel_for(run_->pool, s->m, move_row, &j);
    if (s->m < FEW_ROWS)
        tq_parallel_for(run_->pool, (s->n + DOT_COLUMNS - 1) / DOT_COLUMNS, dot_piece, &j);
    else
        tq_parallel_for(run_->pool, (s->m + TQ_TILE_COLUMNS - 1) / TQ_TILE_COLUMNS, tile_piece, &j);
}

const tq_kernel tq_kernel_int_matmul = {
    .entry = { .name = "MatMulInteger", .brief = "tiles of u8 by i8" },
    .accepts = accepts,
    .prepare = prepare,
    .scratch_size = scratch_size,
    .run = run,
    .release = release,
};
