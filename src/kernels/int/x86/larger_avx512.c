/* The larger of two codes, 64 at a time. */
#include "kernels/int/larger_internal.h"

#include <immintrin.h>

void tq_larger_run_avx512(const tq_larger_run *r)
{
    for (int64_t c = 0; c < r->c; c += 64) {
        const __mmask64 live = r->c - c >= 64 ? ~0ull : ~0ull >> (64 - (r->c - c));
        const uint8_t *x = r->x + c;
        uint8_t *y = r->y + c;
        for (int64_t i = 0; i < r->n; i++, x += r->x_step, y += r->y_step)
            _mm512_mask_storeu_epi8(y, live,
                                    _mm512_max_epu8(_mm512_maskz_loadu_epi8(live, x),
                                                    _mm512_maskz_loadu_epi8(live, y)));
    }
}
