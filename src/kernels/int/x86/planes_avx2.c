/* Three planes become pixels, 16 at a time: each third of the 48 bytes takes bytes of all planes.
 */
#include "kernels/int/planes_internal.h"

#include <immintrin.h>

enum { PIXELS = 16, PLANES = 3 };

/* Which byte of plane p goes where in third k, by 3 k + p; -1: 0, another plane's goes there. */
static const int8_t places[PLANES * PLANES][PIXELS] = {
    { 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5 },
    { -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1 },
    { -1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1 },
    { -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1 },
    { 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10 },
    { -1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1 },
    { -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1 },
    { -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1 },
    { 10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15 },
};

static inline __m128i load(const void *from)
{
    return _mm_loadu_si128((const __m128i *)from);
}

void tq_planes_join_avx2(const tq_planes_run *r)
{
    int64_t i = 0;
    const __m128i flip = _mm_set1_epi8((char)r->flip);
    for (; r->c == PLANES && i + PIXELS <= r->n; i += PIXELS) {
        const __m128i a = load(r->x + i), b = load(r->x + r->plane + i);
        const __m128i c = load(r->x + 2 * r->plane + i);
        for (int k = 0; k < PLANES; k++) {
            const __m128i ab = _mm_or_si128(_mm_shuffle_epi8(a, load(places[PLANES * k])),
                                            _mm_shuffle_epi8(b, load(places[PLANES * k + 1])));
            const __m128i v = _mm_or_si128(ab, _mm_shuffle_epi8(c, load(places[PLANES * k + 2])));
            _mm_storeu_si128((__m128i *)(void *)(r->y + PLANES * i + PIXELS * k),
                             _mm_xor_si128(v, flip));
        }
    }
    tq_planes_join_portable(
        &(tq_planes_run){ r->x + i, r->plane, r->y + i * r->c, r->n - i, r->c, r->flip });
}
