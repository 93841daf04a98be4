/* Strips with VNNI: up to 24 vectors of sums stay in registers; vpdpbusd multiplies four bytes of a
 * pixel, broadcast, with four of each of 16 channels. */
#include "kernels/int/x86/requant_avx512.h"

/** Several pixels of one or two vectors, which lie side by side, at once. */
TQ_INLINE void store_dense(const int n_vectors, const int n_pixels,
                           const tq_requant_common *requant,
                           __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS], uint8_t *y)
{
    const int n_together = TQ_BLOCK_VECTORS / n_vectors;
#pragma GCC unroll 12
    for (int p = 0; p < n_pixels; p += n_together) {
        const int n = n_pixels - p < n_together ? n_pixels - p : n_together;
        __m512i v[TQ_BLOCK_VECTORS];
#pragma GCC unroll 4
        for (int k = 0; k < TQ_BLOCK_VECTORS; k++)
            v[k] = sums[p + (k / n_vectors < n ? k / n_vectors : n - 1)][k % n_vectors];
        const __m512i bytes = tq_narrow_vectors(TQ_BLOCK_VECTORS, v, requant);
        const __m512i order =
            n_vectors == 1
                ? _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
                : _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
        _mm512_mask_storeu_epi8(y + p * n_vectors * TQ_VECTOR,
                                ~0ull >> (64 - n * n_vectors * TQ_VECTOR),
                                _mm512_permutexvar_epi32(order, bytes));
    }
}

TQ_INLINE void finish(const int n_vectors, const int n_pixels, const tq_strip *s,
                      __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS])
{
    if (s->sums) {
#pragma GCC unroll 12
        for (int p = 0; p < n_pixels; p++)
#pragma GCC unroll 4
            for (int j = 0; j < n_vectors; j++)
                _mm512_storeu_si512(s->sums + p * TQ_BLOCK_CHANNELS + j * TQ_VECTOR, sums[p][j]);
        return;
    }
    tq_requantize_block(n_vectors, n_pixels, sums, s->constants);
    const __mmask64 live = ~0ull >> (64 - s->n_channels);
    const tq_requant_common requant = *s->requant;
    if (n_vectors < 3 && s->n_near >= n_pixels && s->n_channels == n_vectors * TQ_VECTOR &&
        s->y_step == s->n_channels) {
        store_dense(n_vectors, n_pixels, &requant, sums, s->y);
        return;
    }
#pragma GCC unroll 12
    for (int p = 0; p < n_pixels; p++)
        sums[p][0] = tq_narrow_vectors(n_vectors, sums[p], &requant);
    if (s->n_near >= n_pixels) {
#pragma GCC unroll 12
        for (int p = 0; p < n_pixels; p++)
            _mm512_mask_storeu_epi8(s->y + p * s->y_step, live, sums[p][0]);
        return;
    }
#pragma GCC unroll 12
    for (int p = 0; p < n_pixels; p++)
        _mm512_mask_storeu_epi8(tq_strip_y(s, p), live, sums[p][0]);
}

TQ_INLINE __m512i broadcast(const uint8_t *x)
{
    int32_t word;
    __builtin_memcpy(&word, x, sizeof word);
    return _mm512_set1_epi32(word);
}

TQ_INLINE void begin(const int n_vectors, const int n_pixels, const tq_strip *s,
                     __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS])
{
#pragma GCC unroll 12
    for (int p = 0; p < n_pixels; p++)
#pragma GCC unroll 4
        for (int j = 0; j < n_vectors; j++)
            sums[p][j] = _mm512_loadu_si512(s->from + p * s->from_step + j * TQ_VECTOR);
}

/** Products of a group of each pixel with weights v. */
TQ_INLINE void add_products(const int n_vectors, const int n_pixels, const uint8_t *x, int64_t step,
                            const __m512i v[TQ_BLOCK_VECTORS],
                            __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS])
{
#pragma GCC unroll 12
    for (int p = 0; p < n_pixels; p++) {
        const __m512i a = broadcast(x + p * step);
#pragma GCC unroll 4
        for (int j = 0; j < n_vectors; j++)
            sums[p][j] = _mm512_dpbusd_epi32(sums[p][j], a, v[j]);
    }
}

TQ_INLINE void strip(const int n_vectors, const int n_pixels, const tq_strip *s)
{
    __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS];
    begin(n_vectors, n_pixels, s, sums);
    const int8_t *w = s->w, *ahead = s->ahead;
    const int64_t n_groups = s->n_groups;
    for (int64_t r = 0; r < s->n_runs; r++) {
        const uint8_t *x = s->x + s->runs[r];
        for (int64_t g = 0; g < n_groups; g++, x += 4, w += n_vectors * 64) {
            __m512i v[TQ_BLOCK_VECTORS];
            if (n_vectors == 4) { /* others have no load to spare */
                _mm_prefetch((const char *)ahead, _MM_HINT_T1);
                ahead += s->ahead_step;
            }
#pragma GCC unroll 4
            for (int j = 0; j < n_vectors; j++) {
                v[j] = _mm512_loadu_si512(w + 64 * j);
                __asm__("" : "+v"(v[j])); /* one load, not one for each pixel */
            }
            add_products(n_vectors, n_pixels, x, s->x_step, v, sums);
        }
    }
    finish(n_vectors, n_pixels, s, sums);
}

/** Runs of three pixels by one vector of weights: what is a pixel's last tap is the first one of
 * the next but one, so that each is loaded once. */
TQ_INLINE void strip_of_three(const int n_pixels, const tq_strip *s)
{
    __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS];
    begin(1, n_pixels, s, sums);
    const int64_t step = s->x_step, tap = step * TQ_VECTOR;
    const int8_t *w = s->w;
    for (int64_t r = 0; r < s->n_runs; r++, w += 2 * tap) {
        const uint8_t *x = s->x + s->runs[r];
        for (int64_t i = 0; i < step; i += 4, w += 64) {
            const __m512i v[3] = { _mm512_loadu_si512(w), _mm512_loadu_si512(w + tap),
                                   _mm512_loadu_si512(w + 2 * tap) };
#pragma GCC unroll 14
            for (int p = 0; p < n_pixels + 2; p++) {
                const __m512i a = broadcast(x + i + p * step);
#pragma GCC unroll 3
                for (int k = 0; k < 3; k++)
                    if (p >= k && p - k < n_pixels)
                        sums[p - k][0] = _mm512_dpbusd_epi32(sums[p - k][0], a, v[k]);
            }
        }
    }
    finish(1, n_pixels, s, sums);
}

/** 4 vectors of weights of less than 8 bits: field by field they are brought to the upper bits.
 * Four groups a step, since GCC keeps all sums in registers then. */
TQ_INLINE void packed_strip(const int bits, const int n_pixels, const tq_strip *s)
{
    const int n_fields = 8 / bits;
    const __m512i mask = _mm512_set1_epi8((char)(0xffu << (8 - bits)));
    __m512i sums[TQ_STRIP_PIXELS][TQ_BLOCK_VECTORS];
    begin(4, n_pixels, s, sums);
    const int8_t *w = s->w, *ahead = s->ahead;
    for (int64_t r = 0; r < s->n_runs; r++) {
        const uint8_t *x = s->x + s->runs[r];
        for (int64_t g = 0; g < s->n_groups; g += 4, w += 128 * bits) {
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++, x += 4) {
                const int up = 8 - bits * (k % n_fields + 1);
                __m512i v[TQ_BLOCK_VECTORS];
                if (k % n_fields == 0) {
                    _mm_prefetch((const char *)ahead, _MM_HINT_T1);
                    ahead += s->ahead_step;
                }
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++) {
                    const __m512i packed = _mm512_loadu_si512(w + k / n_fields * 256 + 64 * j);
                    v[j] = _mm512_and_si512(_mm512_slli_epi16(packed, up), mask);
                    __asm__("" : "+v"(v[j]));
                }
                add_products(4, n_pixels, x, s->x_step, v, sums);
            }
        }
    }
    finish(4, n_pixels, s, sums);
}

#define STRIP(v, p)                                                                                \
    static void strip_##v##_##p(const tq_strip *s)                                                 \
    {                                                                                              \
        if (v == 1 && 3 * s->x_step == 4 * s->n_groups && s->x_step % 4 == 0)                      \
            strip_of_three(p, s);                                                                  \
        else                                                                                       \
            strip(v, p, s);                                                                        \
    }
#define SIX(v) STRIP(v, 1) STRIP(v, 2) STRIP(v, 3) STRIP(v, 4) STRIP(v, 5) STRIP(v, 6)
#define TWELVE(v) SIX(v) STRIP(v, 7) STRIP(v, 8) STRIP(v, 9) STRIP(v, 10) STRIP(v, 11) STRIP(v, 12)
TWELVE(1)
TWELVE(2)
SIX(3)
STRIP(3, 7)
STRIP(3, 8)
SIX(4)

static void (*const strips[TQ_BLOCK_VECTORS][TQ_STRIP_PIXELS])(const tq_strip *s) = {
    { strip_1_1, strip_1_2, strip_1_3, strip_1_4, strip_1_5, strip_1_6, strip_1_7, strip_1_8,
      strip_1_9, strip_1_10, strip_1_11, strip_1_12 },
    { strip_2_1, strip_2_2, strip_2_3, strip_2_4, strip_2_5, strip_2_6, strip_2_7, strip_2_8,
      strip_2_9, strip_2_10, strip_2_11, strip_2_12 },
    { strip_3_1, strip_3_2, strip_3_3, strip_3_4, strip_3_5, strip_3_6, strip_3_7, strip_3_8 },
    { strip_4_1, strip_4_2, strip_4_3, strip_4_4, strip_4_5, strip_4_6 },
};

#define PACKED(b, p)                                                                               \
    static void packed_##b##_##p(const tq_strip *s)                                                \
    {                                                                                              \
        packed_strip(b, p, s);                                                                     \
    }
#define PACKED_SIX(b) PACKED(b, 1) PACKED(b, 2) PACKED(b, 3) PACKED(b, 4) PACKED(b, 5) PACKED(b, 6)
PACKED_SIX(4)
PACKED_SIX(2)

static void (*const packed[2][6])(const tq_strip *s) = {
    { packed_4_1, packed_4_2, packed_4_3, packed_4_4, packed_4_5, packed_4_6 },
    { packed_2_1, packed_2_2, packed_2_3, packed_2_4, packed_2_5, packed_2_6 },
};

void tq_strip_run_avx512vnni(int n_vectors, int n_pixels, const tq_strip *s)
{
    if (s->bits == 8)
        strips[n_vectors - 1][n_pixels - 1](s);
    else
        packed[s->bits == 2][n_pixels - 1](s);
}
