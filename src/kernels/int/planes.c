/* Planes become pixels in portable C, and the table of variants. */
#include "kernels/int/planes_internal.h"

void tq_planes_join_portable(const tq_planes_run *r)
{
    for (int64_t i = 0; i < r->n; i++)
        for (int64_t c = 0; c < r->c; c++)
            r->y[i * r->c + c] = r->x[c * r->plane + i] ^ r->flip;
}

const tq_planes_variant tq_planes_variants[] = {
    { "avx2", TQ_CPU_AVX2, tq_planes_join_avx2 },
    { "reference", 0, tq_planes_join_portable },
    { 0 },
};
