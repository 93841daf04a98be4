/* ConvInteger by tiles of 64 columns.
 *
 * The input is copied once into planes, padded with its zero point and split by the phases of the
 * stride: plane (c, ph, pw) holds x[n, c, s i + ph - pad, s j + pw - pad] at (n, i, j). The
 * elements that one tap needs for consecutive outputs are then consecutive bytes, so a tile is
 * packed by plain loads. Some columns lie between the rows of the output; they are computed and
 * dropped.
 *
 *   sum (x - zx)(w - zw) = sum x w - zx sum w - zw sum x + K zx zw
 *
 * with i8 inputs and u8 weights moved by 128, and sum x from a row of ones. All modulo 2^32. */
#include "base/base.h"
#include "kernels/int/tile_internal.h"
#include "ops/ops.h"

#include <stdlib.h>
#include <string.h>

enum { X, W, X_ZERO_POINT, W_ZERO_POINT };
enum { ROWS_AT_ONCE = 48, MIN_PIECES = 8, TEMP = (ROWS_AT_ONCE + 1) * 64 };

typedef struct state {
    const tq_tile_variant *tile;
    tq_window window;           /* the last two axes are used */
    int64_t n, groups, ic, oc;  /* ic, oc: of one group */
    int64_t k, w_stride;        /* taps of one output channel, and rounded up to 4 */
    int64_t phases[2], size[2]; /* used phases of the stride, rows and columns of a plane */
    int64_t plane, channel;     /* bytes of a plane (all samples), of a channel */
    int64_t columns, n_blocks, n_chunks, groups_at_once;
    int64_t *taps;   /* [k]: offset of a tap from column 0 of channel 0 of the group */
    int8_t *packed;  /* [groups * oc + 1][w_stride] when the weight is constant */
    int32_t *w_sums; /* [groups * oc] */
    bool is_packed, w_const;
    size_t packed_size, planes_size, worker_size;
} state;

typedef struct job {
    const state *s;
    const tq_op_run *run;
    uint8_t x_flip, x_zero; /* u8 = x ^ flip; its zero point */
    const int8_t *w;
    int32_t *offset;       /* [groups * oc + 1] */
    const int32_t *w_zero; /* [groups * oc], or NULL where all are 0 */
    uint8_t *planes;
    char *workers;
} job;

static size_t round_up(size_t size)
{
    return (size + 63) / 64 * 64;
}

/* ---- what is accepted, and its geometry --------------------------------------------------- */

static bool is_codes(const tq_type *type)
{
    return type->dtype == TQ_U8 || type->dtype == TQ_I8;
}

static bool accepts(const tq_op_run *run)
{
    const tq_type *x = run->in_types[X], *w = run->in_types[W];
    return is_codes(x) && is_codes(w) && (x->rank == 3 || x->rank == 4) &&
           run->out_types[0]->dtype == TQ_I32 && tq_type_count(run->out_types[0]) > 0 &&
           tq_type_count(x) > 0 && tq_type_count(w) > 0;
}

static void find_geometry(state *s)
{
    const tq_window *w = &s->window;
    for (int i = 0; i < 2; i++) {
        const int64_t reach = (w->kernel[i + 1] - 1) * w->dilation[i + 1],
                      stride = w->stride[i + 1];
        s->phases[i] = reach + 1 < stride ? reach + 1 : stride;
        s->size[i] = w->out[i + 1] + reach / stride;
    }
    s->plane = s->n * s->size[0] * s->size[1];
    s->channel = s->plane * s->phases[0] * s->phases[1];
    s->columns = ((s->n - 1) * s->size[0] + w->out[1] - 1) * s->size[1] + w->out[2];
    s->n_blocks = (s->columns + TQ_TILE_COLUMNS - 1) / TQ_TILE_COLUMNS;
    const int64_t most = (s->oc + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    s->n_chunks = tq_clip_i64(MIN_PIECES / (s->n_blocks * s->groups), 1, most);
    s->groups_at_once = s->groups > 1 ? tq_clip_i64(64 / s->n_blocks, 1, s->groups) : 1;
}

static void find_taps(state *s)
{
    const tq_window *w = &s->window;
    int64_t *tap = s->taps;
    for (int64_t c = 0; c < s->ic; c++)
        for (int64_t kh = 0; kh < w->kernel[1]; kh++)
            for (int64_t kw = 0; kw < w->kernel[2]; kw++) {
                const int64_t y = kh * w->dilation[1], x = kw * w->dilation[2];
                const int64_t phase = y % w->stride[1] * s->phases[1] + x % w->stride[2];
                *tap++ = c * s->channel + phase * s->plane + y / w->stride[1] * s->size[1] +
                         x / w->stride[2];
            }
}

static tq_status allocate(state *s)
{
    const size_t rows = (size_t)(s->groups * s->oc + 1);
    s->packed_size = round_up(rows * (size_t)s->w_stride);
    const size_t slack =
        (size_t)(s->window.kernel[1] * s->window.dilation[1] * s->size[1] +
                 s->window.kernel[2] * s->window.dilation[2] + 2 * TQ_TILE_COLUMNS);
    s->planes_size = round_up((size_t)(s->groups * s->ic * s->channel) + slack);
    s->worker_size = (size_t)s->w_stride / TQ_TILE_GROUP * TQ_TILE_PANEL + TEMP * sizeof(int32_t);
    s->taps = tq_allocate((size_t)s->k * sizeof *s->taps);
    s->w_sums = tq_allocate(rows * sizeof *s->w_sums);
    s->packed = s->w_const ? tq_allocate(s->packed_size) : NULL;
    if (!s->taps || !s->w_sums || (s->w_const && !s->packed))
        return tq_fail(TQ_ERR_MEMORY, "no memory for the packed weight");
    find_taps(s);
    return TQ_OK;
}

static void release(void *state_)
{
    state *s = state_;
    if (!s)
        return;
    free(s->taps);
    free(s->w_sums);
    free(s->packed);
    free(s);
}

static tq_status prepare(const tq_op_run *run, void **out_state)
{
    const tq_type *x = run->in_types[X], *w = run->in_types[W];
    state *s = tq_allocate(sizeof *s);
    if (!s)
        return tq_fail(TQ_ERR_MEMORY, "no memory for a convolution");
    tq_status status = tq_window_read(run->attrs, x, w->dims + 2, &s->window);
    if (!status) {
        s->tile = tq_tile_best();
        s->groups = tq_attr_int(run->attrs, "group");
        s->n = x->dims[0];
        s->ic = w->dims[1];
        s->oc = w->dims[0] / s->groups;
        s->k = tq_type_count_from(w, 1);
        s->w_stride = (s->k + TQ_TILE_GROUP - 1) / TQ_TILE_GROUP * TQ_TILE_GROUP;
        s->w_const = run->in_const[W];
        find_geometry(s);
        status = allocate(s);
    }
    if (status) {
        release(s);
        return status;
    }
    *out_state = s;
    return TQ_OK;
}

static size_t scratch_size(const tq_op_run *run, void *state_)
{
    const state *s = state_;
    const size_t rows = (size_t)(s->groups * s->oc + 1);
    const size_t n_workers = run->pool ? (size_t)tq_pool_size(run->pool) : 1;
    return s->packed_size + 2 * round_up(rows * sizeof(int32_t)) + s->planes_size +
           n_workers * s->worker_size;
}

/* ---- before the tiles: weight, offsets, planes --------------------------------------------- */

/** Rows of i8, filled up with zeros, and a last row of ones. */
static void pack_weight(state *s, const uint8_t *w, uint8_t flip, int8_t *packed)
{
    const int64_t rows = s->groups * s->oc;
    memset(packed, 0, s->packed_size);
    for (int64_t r = 0; r < rows; r++) {
        uint32_t sum = 0;
        for (int64_t k = 0; k < s->k; k++) {
            const int8_t v = (int8_t)(w[r * s->k + k] ^ flip);
            packed[r * s->w_stride + k] = v;
            sum += (uint32_t)v;
        }
        s->w_sums[r] = (int32_t)sum;
    }
    memset(packed + rows * s->w_stride, 1, (size_t)s->k);
}

/** Zero points of the moved weights; NULL where they are all 0. */
static const int32_t *find_w_zero(const tq_op_run *run, const state *s, int32_t *zero)
{
    const tq_dtype dtype = run->in_types[W]->dtype;
    const bool given = tq_run_has(run, W_ZERO_POINT);
    const int64_t n = given ? tq_type_count(run->in_types[W_ZERO_POINT]) : 0;
    bool any = false;
    for (int64_t r = 0; r < s->groups * s->oc; r++) {
        const int64_t z = given ? tq_load_i64(run->in[W_ZERO_POINT], dtype, n > 1 ? r : 0) : 0;
        zero[r] = (int32_t)z - (dtype == TQ_U8 ? 128 : 0);
        any |= zero[r] != 0;
    }
    return any ? zero : NULL;
}

static void find_offsets(job *j)
{
    const state *s = j->s;
    const int64_t rows = s->groups * s->oc;
    for (int64_t r = 0; r < rows; r++) {
        const uint32_t zw = j->w_zero ? (uint32_t)j->w_zero[r] : 0;
        const uint32_t sum = (uint32_t)s->w_sums[r] - (uint32_t)s->k * zw;
        j->offset[r] = (int32_t)(0u - j->x_zero * sum);
    }
    j->offset[rows] = 0;
}

static void copy_row(const job *j, const uint8_t *x, int64_t stride, int64_t n, uint8_t *out)
{
    const uint8_t flip = j->x_flip;
    if (stride == 1)
        for (int64_t i = 0; i < n; i++)
            out[i] = x[i] ^ flip;
    else if (stride == 2)
        for (int64_t i = 0; i < n; i++)
            out[i] = x[2 * i] ^ flip;
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = x[stride * i] ^ flip;
}

/** Row `i` of a plane: input row s i + phase - pad, between zero points. */
static void fill_row(const job *j, const uint8_t *x, int64_t i, int64_t ph, int64_t pw,
                     uint8_t *out)
{
    const tq_window *w = &j->s->window;
    const int64_t width = j->s->size[1], stride = w->stride[2];
    const int64_t row = i * w->stride[1] + ph - w->pad_begin[1], first = pw - w->pad_begin[2];
    int64_t begin = first < 0 ? (-first + stride - 1) / stride : 0;
    int64_t end = first < w->in[2] ? (w->in[2] - first + stride - 1) / stride : 0;
    end = end > width ? width : end;
    if (row < 0 || row >= w->in[1] || begin >= end)
        begin = end = width;
    memset(out, j->x_zero, (size_t)begin);
    if (begin < end)
        copy_row(j, x + row * w->in[2] + begin * stride + first, stride, end - begin, out + begin);
    memset(out + end, j->x_zero, (size_t)(width - end));
}

static void fill_channel(void *context, int64_t c, int worker)
{
    (void)worker;
    const job *j = context;
    const state *s = j->s;
    const int64_t in_plane = s->window.in[1] * s->window.in[2], channels = s->groups * s->ic;
    const uint8_t *x = j->run->in[X];
    uint8_t *out = j->planes + c * s->channel;
    for (int64_t ph = 0; ph < s->phases[0]; ph++)
        for (int64_t pw = 0; pw < s->phases[1]; pw++)
            for (int64_t n = 0; n < s->n; n++)
                for (int64_t i = 0; i < s->size[0]; i++, out += s->size[1])
                    fill_row(j, x + (n * channels + c) * in_plane, i, ph, pw, out);
}

/* ---- tiles ------------------------------------------------------------------------------ */

/* Columns of a block that are outputs of one row: they go to y together. */
typedef struct run_of_outputs {
    int from, n;
    int64_t to; /* from the start of an output channel of sample 0 */
} run_of_outputs;

static int find_runs(const state *s, int64_t first, run_of_outputs *runs)
{
    const tq_window *w = &s->window;
    const int64_t sample = s->size[0] * s->size[1], out_plane = w->out[1] * w->out[2];
    const int64_t last =
        first + TQ_TILE_COLUMNS < s->columns ? first + TQ_TILE_COLUMNS : s->columns;
    int n_runs = 0;
    for (int64_t p = first; p < last;) {
        const int64_t n = p / sample, oh = p % sample / s->size[1], ow = p % s->size[1];
        const int64_t next = p - ow + s->size[1];
        if (oh < w->out[1] && ow < w->out[2]) {
            const int64_t end = p - ow + w->out[2] < last ? p - ow + w->out[2] : last;
            runs[n_runs++] =
                (run_of_outputs){ (int)(p - first), (int)(end - p),
                                  n * s->groups * s->oc * out_plane + oh * w->out[2] + ow };
        }
        p = next;
    }
    return n_runs;
}

static void store(const job *j, const int32_t *temp, int64_t row, int64_t n_rows,
                  const run_of_outputs *runs, int n_runs)
{
    const tq_window *w = &j->s->window;
    for (int64_t r = 0; r < n_rows; r++) {
        int32_t *y = (int32_t *)j->run->out[0] + (row + r) * w->out[1] * w->out[2];
        for (int i = 0; i < n_runs; i++)
            memcpy(y + runs[i].to, temp + r * TQ_TILE_COLUMNS + runs[i].from,
                   (size_t)runs[i].n * sizeof *y);
    }
}

/** sum x (w - zw) = sum x w - zw sum x, where the last row of temp is sum x. */
static void subtract_w_zero(const job *j, int32_t *temp, int64_t row, int64_t n_rows)
{
    const uint32_t *sum = (const uint32_t *)temp + n_rows * TQ_TILE_COLUMNS;
    for (int64_t r = 0; r < n_rows; r++) {
        uint32_t *t = (uint32_t *)temp + r * TQ_TILE_COLUMNS;
        for (int i = 0; i < TQ_TILE_COLUMNS; i++)
            t[i] -= (uint32_t)j->w_zero[row + r] * sum[i];
    }
}

static void run_block(const job *j, int64_t group, int64_t block, int64_t chunk, char *scratch)
{
    const state *s = j->s;
    const int64_t n_groups = s->w_stride / TQ_TILE_GROUP, first = block * TQ_TILE_COLUMNS;
    uint8_t *panel = (uint8_t *)scratch;
    int32_t *temp = (int32_t *)(void *)(panel + n_groups * TQ_TILE_PANEL);
    const uint8_t *base = j->planes + group * s->ic * s->channel + first;
    for (int64_t g = 0; g < n_groups; g++) {
        const uint8_t *rows[TQ_TILE_GROUP];
        for (int i = 0; i < TQ_TILE_GROUP; i++)
            rows[i] = base + s->taps[g * TQ_TILE_GROUP + i < s->k ? g * TQ_TILE_GROUP + i : 0];
        s->tile->pack(rows, panel + g * TQ_TILE_PANEL);
    }
    run_of_outputs runs[TQ_TILE_COLUMNS];
    const int n_runs = find_runs(s, first, runs);
    int64_t begin, end;
    tq_shard_range(s->oc, s->n_chunks, chunk, &begin, &end);
    for (int64_t at = begin; at < end; at += ROWS_AT_ONCE) {
        const int64_t n_rows = end - at < ROWS_AT_ONCE ? end - at : ROWS_AT_ONCE;
        const int64_t row = group * s->oc + at, ones = s->groups * s->oc;
        s->tile->multiply(n_groups, n_rows, panel, j->w + row * s->w_stride, s->w_stride,
                          j->offset + row, temp);
        if (j->w_zero) {
            s->tile->multiply(n_groups, 1, panel, j->w + ones * s->w_stride, s->w_stride,
                              j->offset + ones, temp + n_rows * TQ_TILE_COLUMNS);
            subtract_w_zero(j, temp, row, n_rows);
        }
        store(j, temp, row, n_rows, runs, n_runs);
    }
}

static void run_piece(void *context, int64_t i, int worker)
{
    const job *j = context;
    const state *s = j->s;
    char *scratch = j->workers + (size_t)worker * s->worker_size;
    if (s->groups == 1) {
        run_block(j, 0, i / s->n_chunks, i % s->n_chunks, scratch);
        return;
    }
    const int64_t end = (i + 1) * s->groups_at_once;
    for (int64_t g = i * s->groups_at_once; g < end && g < s->groups; g++)
        for (int64_t b = 0; b < s->n_blocks; b++)
            for (int64_t c = 0; c < s->n_chunks; c++)
                run_block(j, g, b, c, scratch);
}

static void run(const tq_op_run *run_, void *state_)
{
    state *s = state_;
    const size_t rows = (size_t)(s->groups * s->oc + 1);
    const bool x_signed = run_->in_types[X]->dtype == TQ_I8;
    char *scratch = run_->scratch;
    int8_t *packed = s->packed ? s->packed : (int8_t *)scratch;
    scratch += s->packed_size;
    job j = { .s = s, .run = run_, .w = packed, .x_flip = x_signed ? 0x80 : 0 };
    j.x_zero = tq_run_has(run_, X_ZERO_POINT) ? *(const uint8_t *)run_->in[X_ZERO_POINT] : 0;
    j.x_zero ^= j.x_flip;
    if (!s->is_packed)
        pack_weight(s, run_->in[W], run_->in_types[W]->dtype == TQ_U8 ? 0x80 : 0, packed);
    s->is_packed = s->w_const;
    j.offset = (int32_t *)(void *)scratch;
    scratch += round_up(rows * sizeof(int32_t));
    j.w_zero = find_w_zero(run_, s, (int32_t *)(void *)scratch);
    scratch += round_up(rows * sizeof(int32_t));
    find_offsets(&j);
    j.planes = (uint8_t *)scratch;
    j.workers = scratch + s->planes_size;
    tq_parallel_for(run_->pool, s->groups * s->ic, fill_channel, &j);
    const int64_t n_pieces = s->groups == 1
                                 ? s->n_blocks * s->n_chunks
                                 : (s->groups + s->groups_at_once - 1) / s->groups_at_once;
    tq_parallel_for(run_->pool, n_pieces, run_piece, &j);
}

const tq_kernel tq_kernel_int_conv = {
    .entry = { .name = "ConvInteger", .brief = "tiles of u8 by i8" },
    .accepts = accepts,
    .prepare = prepare,
    .scratch_size = scratch_size,
    .run = run,
    .release = release,
};
