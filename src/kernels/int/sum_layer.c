/* Fused elementwise sums: operands that are requantised or taken as they are, their sum and its
 * requantisation. Each operand has 256 possible codes and the sum at most 511 values, so that
 * tables hold all there is to compute. */
#include "base/base.h"
#include "kernels/int/layer_internal.h"
#include "kernels/int/sum_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PIECES = 16, WORTH_A_PIECE = 2048 };

typedef struct sum_layer {
    tq_layer base;
    tq_sum_tables tables;
    const tq_sum_variant *variant;
    int64_t n_pieces;
} sum_layer;

static void two(const tq_sum_tables *t, int64_t n, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = t->y[t->operands[0][a[i]] + t->operands[1][b[i]]];
}

static void one(const tq_sum_tables *t, int64_t n, const uint8_t *a, uint8_t *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = t->operands[0][a[i]];
}

const tq_sum_variant tq_sum_variants[] = {
    { "avx512vbmi", TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VBMI, tq_sum_two_avx512vbmi,
      tq_sum_one_avx512vbmi },
    { "reference", 0, two, one },
    { 0 },
};

/* ---- tables ------------------------------------------------------------------------------- */

static bool fill_operand(sum_layer *l, int k, const tq_sum_operand *operand, int32_t *out_least)
{
    int32_t least = operand->values[0], most = operand->values[0];
    for (int i = 1; i < 256; i++) {
        least = operand->values[i] < least ? operand->values[i] : least;
        most = operand->values[i] > most ? operand->values[i] : most;
    }
    *out_least = least;
    if (most - (int64_t)least > 255)
        return false;
    l->tables.is_identity[k] = true;
    for (int i = 0; i < 256; i++) {
        l->tables.operands[k][i] = (uint8_t)(operand->values[i] - least);
        l->tables.is_identity[k] &= l->tables.operands[k][i] == i;
    }
    return true;
}

static tq_status fill_tables(sum_layer *l, const tq_sum_spec *spec)
{
    const int64_t moved = spec->requant->y_signed ? 128 : 0;
    int64_t first = 0;
    for (int k = 0; k < spec->n_operands; k++) {
        int32_t least;
        if (!fill_operand(l, k, &spec->operands[k], &least))
            return tq_fail(TQ_ERR_UNSUPPORTED, "operand %d has more than 256 values", k);
        first += least;
    }
    for (int i = 0; i < 512; i++) {
        const int32_t sum = (int32_t)(uint32_t)(uint64_t)(first + i); /* i32 wraps */
        l->tables.y[i] = (uint8_t)(tq_requant_spec_apply(spec->requant, sum, 0) + moved);
    }
    for (int i = 0; spec->n_operands == 1 && i < 256; i++)
        l->tables.operands[0][i] = l->tables.y[l->tables.operands[0][i]];
    return TQ_OK;
}

/* ---- running ------------------------------------------------------------------------------ */

typedef struct job {
    const sum_layer *l;
    const tq_layer_run *run;
} job;

static void run_row(const job *j, int64_t n, int64_t row)
{
    const tq_layer *layer = &j->l->base;
    const tq_codes_layout *to = &layer->out;
    const int64_t bytes = to->w * to->pixel;
    const uint8_t *a = tq_codes_layout_in(&layer->in[0], j->run->in[0], n, row);
    uint8_t *y = tq_codes_layout_out(to, j->run->out, n, row);
    tq_codes_layout_fill(to, j->run->out, n, row);
    if (layer->n_in == 1)
        j->l->variant->one(&j->l->tables, bytes, a, y);
    else
        j->l->variant->two(&j->l->tables, bytes, a,
                           tq_codes_layout_in(&layer->in[1], j->run->in[1], n, row), y);
}

static void run_piece(void *context, int64_t i, int worker)
{
    (void)worker;
    const job *j = context;
    const int64_t height = j->l->base.out.h;
    int64_t first, end;
    tq_shard_range(j->l->base.out.n * height, j->l->n_pieces, i, &first, &end);
    for (int64_t k = first; k < end; k++)
        run_row(j, k / height, k % height);
}

static void run(const tq_layer *layer, const tq_layer_run *run_)
{
    job j = { (const sum_layer *)layer, run_ };
    tq_parallel_for(run_->pool, j.l->n_pieces, run_piece, &j);
}

static void place(tq_layer *layer)
{
    const tq_codes_layout *to = &layer->out;
    const int64_t rows = to->n * to->h, bytes = rows * to->w * to->pixel;
    ((sum_layer *)layer)->n_pieces =
        tq_clip_i64(bytes / WORTH_A_PIECE, 1, rows < MOST_PIECES ? rows : MOST_PIECES);
}

static void release(tq_layer *layer)
{
    free(layer);
}

static const tq_layer_kind kind = {
    .brief = "fused sum by tables", .place = place, .run = run, .release = release
};

tq_status tq_layer_sum_create(const tq_sum_spec *spec, tq_layer **out_layer)
{
    sum_layer *l;
    TQ_TRY(tq_layer_new(&kind, spec->n_operands, sizeof *l, &l));
    const tq_status status = fill_tables(l, spec);
    if (status) {
        free(l);
        return status;
    }
    for (l->variant = tq_sum_variants; (l->variant->needs & tq_cpu_flags()) != l->variant->needs;)
        l->variant++;
    *out_layer = &l->base;
    return TQ_OK;
}
