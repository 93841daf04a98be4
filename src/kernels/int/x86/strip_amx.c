/* Strips with AMX: tiles of 16 pixels by 16 channels, 64 taps at a time (tdpbusd: u8 by i8, modulo
 * 2^32, as everywhere). Tiles 0 .. 3 hold sums, 4 and 5 full steps of pixels and weights, 6 and 7
 * what is left of a run. Sums go through memory to the vectors that requantise them. */
#include "kernels/int/x86/requant_avx512.h"

#include <string.h>

enum { STEP = 16 /* groups */, ROW = 64 /* bytes of a tile row */ };

/** Palette 1 (Intel 64 and IA-32 Architectures Software Developer's Manual, LDTILECFG). */
typedef struct shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} shapes;

static void configure(int n_pixels, int n_left)
{
    shapes s = { .palette = 1 };
    for (int i = 0; i < 4; i++) {
        s.row_bytes[i] = ROW;
        s.rows[i] = (uint8_t)n_pixels;
    }
    s.row_bytes[4] = s.row_bytes[5] = s.row_bytes[7] = ROW;
    s.rows[4] = s.rows[6] = (uint8_t)n_pixels;
    s.rows[5] = STEP;
    s.row_bytes[6] = (uint16_t)(n_left ? 4 * n_left : ROW);
    s.rows[7] = (uint8_t)(n_left ? n_left : STEP);
    __asm__ volatile("ldtilecfg %0" ::"m"(s)); /* the intrinsic names 8 of its 64 bytes only */
}

/** One step: pixels in tile a, weights by tile b. */
#define MULTIPLY(a, b, at, w)                                                                      \
    do {                                                                                           \
        _tile_loadd(a, at, (size_t)s->x_step);                                                     \
        _tile_loadd(b, w, w_step);                                                                 \
        _tile_dpbusd(0, a, b);                                                                     \
        if (n_vectors > 1) {                                                                       \
            _tile_loadd(b, (w) + 64, w_step);                                                      \
            _tile_dpbusd(1, a, b);                                                                 \
        }                                                                                          \
        if (n_vectors > 2) {                                                                       \
            _tile_loadd(b, (w) + 128, w_step);                                                     \
            _tile_dpbusd(2, a, b);                                                                 \
        }                                                                                          \
        if (n_vectors > 3) {                                                                       \
            _tile_loadd(b, (w) + 192, w_step);                                                     \
            _tile_dpbusd(3, a, b);                                                                 \
        }                                                                                          \
    } while (0)

/** Sums [n_pixels][64] by place. */
TQ_INLINE void multiply(const int n_vectors, const tq_strip *s, int32_t *sums)
{
    const int8_t *w = s->w;
    const size_t w_step = (size_t)n_vectors * 64;
    const int32_t *from = s->from;
    const size_t from_step = (size_t)s->from_step * sizeof *from; /* 0: one row for all pixels */
    _tile_loadd(0, from, from_step);
    if (n_vectors > 1)
        _tile_loadd(1, from + 16, from_step);
    if (n_vectors > 2)
        _tile_loadd(2, from + 32, from_step);
    if (n_vectors > 3)
        _tile_loadd(3, from + 48, from_step);
    const int64_t n_full = s->n_groups / STEP, n_left = s->n_groups % STEP;
    for (int64_t r = 0; r < s->n_runs; r++) {
        const uint8_t *x = s->x + s->runs[r];
        for (int64_t k = 0; k < n_full; k++, x += 4 * STEP, w += STEP * w_step)
            MULTIPLY(4, 5, x, w);
        if (n_left) {
            MULTIPLY(6, 7, x, w);
            w += (size_t)n_left * w_step;
        }
    }
    const size_t row = TQ_BLOCK_CHANNELS * sizeof *sums;
    _tile_stored(0, sums, row);
    if (n_vectors > 1)
        _tile_stored(1, sums + 16, row);
    if (n_vectors > 2)
        _tile_stored(2, sums + 32, row);
    if (n_vectors > 3)
        _tile_stored(3, sums + 48, row);
}

TQ_INLINE void requantize(const int n_vectors, int n_pixels, const tq_strip *s, const int32_t *sums)
{
    const __mmask64 live = ~0ull >> (64 - s->n_channels);
    for (int p = 0; p < n_pixels; p++) {
        __m512i v[1][TQ_BLOCK_VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < n_vectors; j++)
            v[0][j] = _mm512_load_si512(sums + p * TQ_BLOCK_CHANNELS + j * TQ_VECTOR);
        tq_requantize_block(n_vectors, 1, v, s->constants);
        _mm512_mask_storeu_epi8(tq_strip_y(s, p), live,
                                tq_narrow_vectors(n_vectors, v[0], s->requant));
    }
}

TQ_INLINE void strip(const int n_vectors, int n_pixels, const tq_strip *s)
{
    _Alignas(64) int32_t sums[TQ_STRIP_PIXELS * TQ_BLOCK_CHANNELS];
    multiply(n_vectors, s, s->sums ? s->sums : sums);
    if (!s->sums)
        requantize(n_vectors, n_pixels, s, sums);
}

void tq_strip_run_amx(int n_vectors, int n_pixels, const tq_strip *s)
{
    const int n_left = (int)(s->n_groups % STEP), wanted = n_pixels * STEP + n_left;
    if (*s->configured != wanted) {
        configure(n_pixels, n_left);
        *s->configured = wanted;
    }
    if (n_vectors == 4)
        strip(4, n_pixels, s);
    else if (n_vectors == 3)
        strip(3, n_pixels, s);
    else if (n_vectors == 2)
        strip(2, n_pixels, s);
    else
        strip(1, n_pixels, s);
}

void tq_strip_end_amx(void)
{
    _tile_release();
}
