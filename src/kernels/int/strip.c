/* Strips in portable C, the table of their variants, and when requantisation may read the high
 * words of 64-bit sums only:
 *
 *   (s m + a) >> t = hi32(s m' + a') >> (t' - 32),   t' = max(t, 32), m' = m 2^(t' - t), a'
 * likewise
 *
 * where m' fits 32 bits and s m' + a' fits 64 for every s that can occur. Codes that are signed
 * leave as q + 128: a' holds 2^(t') * 128 then, exactly, since the shift is a floor. */
#include "kernels/int/strip_internal.h"

#include "kernels/int/layer_internal.h"

#include <string.h>

void tq_block_requantize(int n_vectors, const int32_t *sums, const tq_block_constants *constants,
                         const tq_requant_common *requant, int n_channels, uint8_t *y)
{
    for (int p = 0; p < n_vectors * TQ_VECTOR; p++) {
        const int c = tq_block_channel(n_vectors, p);
        if (c >= n_channels)
            continue;
        const int64_t v = (int64_t)sums[p] * constants->multiplier[p];
        const int64_t sum =
            (int64_t)((uint64_t)v + (uint64_t)constants->addend[tq_addend_place(p)]);
        y[c] = (uint8_t)tq_clip_i64(sum >> (32 + requant->shift), requant->q_min, requant->q_max);
    }
}

static void run(int n_vectors, int n_pixels, const tq_strip *s)
{
    const int n = n_vectors * TQ_VECTOR;
    for (int pixel = 0; pixel < n_pixels; pixel++) {
        uint32_t sums[TQ_BLOCK_CHANNELS];
        for (int p = 0; p < n; p++)
            sums[p] = (uint32_t)s->from[pixel * s->from_step + p];
        const int8_t *w = s->w;
        for (int64_t r = 0; r < s->n_runs; r++) {
            const uint8_t *x = s->x + pixel * s->x_step + s->runs[r];
            for (int64_t g = 0; g < s->n_groups; g++, x += 4, w += 4 * n)
                for (int p = 0; p < n; p++)
                    sums[p] += (uint32_t)(x[0] * w[4 * p] + x[1] * w[4 * p + 1] +
                                          x[2] * w[4 * p + 2] + x[3] * w[4 * p + 3]);
        }
        if (s->sums)
            memcpy(s->sums + pixel * TQ_BLOCK_CHANNELS, sums, (size_t)n * sizeof *sums);
        else
            tq_block_requantize(n_vectors, (const int32_t *)sums, s->constants, s->requant,
                                s->n_channels, s->y + pixel * s->y_step);
    }
}

enum {
    AVX512 = TQ_CPU_AVX512F | TQ_CPU_AVX512BW | TQ_CPU_AVX512VL | TQ_CPU_AVX512DQ,
};

const tq_strip_variant tq_strip_variants[] = {
    { .name = "amx",
      .needs = AVX512 | TQ_CPU_AMX_INT8,
      .most_pixels = { 0, 16, 16, 16, 16 },
      .least_groups = 8,
      .least_work = 16,
      .run = tq_strip_run_amx,
      .end = tq_strip_end_amx },
    { .name = "avx512vnni",
      .needs = AVX512 | TQ_CPU_AVX512VNNI,
      .most_pixels = { 0, 12, 12, 8, 6 },
      .run = tq_strip_run_avx512vnni },
    { .name = "avx2",
      .needs = TQ_CPU_AVX2 | TQ_CPU_FMA,
      .most_pixels = { 0, 4, 4, 4, 4 },
      .run = tq_strip_run_avx2 },
    { .name = "reference", .most_pixels = { 0, 4, 4, 4, 4 }, .run = run },
    { 0 },
};

const tq_strip_variant *tq_strip_best(int64_t n_runs, int64_t n_groups)
{
    const tq_strip_variant *v = tq_strip_variants;
    while ((v->needs & tq_cpu_flags()) != v->needs || n_groups < v->least_groups ||
           n_runs * n_groups < v->least_work)
        v++;
    return v;
}

/* ---- requantisation --------------------------------------------------------------------- */

int64_t tq_requant_spec_entry(const tq_tensor *tensor, int64_t c)
{
    return tq_load_i64(tensor->data, tensor->type.dtype, tq_tensor_count(tensor) == 1 ? 0 : c);
}

bool tq_requant_spec_read(const tq_node *requant, tq_requant_spec *out)
{
    const tq_attrs *attrs = tq_node_attrs(requant);
    const tq_dtype dtype = tq_value_type(tq_node_output(requant, 0))->dtype;
    *out = (tq_requant_spec){
        .multiplier = tq_value_tensor(tq_node_input(requant, 1)),
        .addend = tq_value_tensor(tq_node_input(requant, 2)),
        .shift = tq_attr_int(attrs, "shift"),
        .q_min = tq_attr_int(attrs, "q_min"),
        .q_max = tq_attr_int(attrs, "q_max"),
        .y_signed = dtype == TQ_I8,
    };
    return out->multiplier && out->addend && (dtype == TQ_U8 || dtype == TQ_I8) &&
           (tq_attr_int(attrs, "axis") == 1 ||
            (tq_tensor_count(out->multiplier) == 1 && tq_tensor_count(out->addend) == 1));
}

int64_t tq_requant_spec_apply(const tq_requant_spec *spec, int64_t x, int64_t channel)
{
    const uint64_t product =
        (uint64_t)x * (uint64_t)tq_requant_spec_entry(spec->multiplier, channel);
    const int64_t sum = (int64_t)(product + (uint64_t)tq_requant_spec_entry(spec->addend, channel));
    return tq_clip_i64(sum >> spec->shift, spec->q_min, spec->q_max);
}

static __int128 magnitude(__int128 v)
{
    return v < 0 ? -v : v;
}

bool tq_requant_exact_find(const tq_requant_spec *spec, int64_t n_channels, const int64_t *largest,
                           tq_requant_exact *out)
{
    const int64_t moved = spec->y_signed ? 128 : 0;
    *out = (tq_requant_exact){ 0 };
    if (spec->q_min + moved < 0 || spec->q_max + moved > 255)
        return false;
    out->up = spec->shift < 32 ? (int)(32 - spec->shift) : 0;
    out->common =
        (tq_requant_common){ (int)(spec->shift + out->up - 32), (uint8_t)(spec->q_min + moved),
                             (uint8_t)(spec->q_max + moved) };
    for (int64_t c = 0; c < n_channels; c++) {
        const __int128 m = (__int128)tq_requant_spec_entry(spec->multiplier, c) * (1LL << out->up);
        const __int128 a = (__int128)tq_requant_spec_entry(spec->addend, c) * (1LL << out->up) +
                           ((__int128)moved << (spec->shift + out->up));
        const __int128 most = magnitude(m) * largest[c] + magnitude(a);
        if (m < INT32_MIN || m > INT32_MAX || most > INT64_MAX)
            return false;
    }
    return true;
}

int64_t tq_requant_exact_multiplier(const tq_requant_spec *spec, const tq_requant_exact *exact,
                                    int64_t c)
{
    return tq_requant_spec_entry(spec->multiplier, c) * (INT64_C(1) << exact->up);
}

int64_t tq_requant_exact_addend(const tq_requant_spec *spec, const tq_requant_exact *exact,
                                int64_t c)
{
    const int64_t moved = spec->y_signed ? INT64_C(128) << (spec->shift + exact->up) : 0;
    return tq_requant_spec_entry(spec->addend, c) * (INT64_C(1) << exact->up) + moved;
}
