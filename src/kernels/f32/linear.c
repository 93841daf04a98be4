/* The table of all sets of products of rows. */
#include "kernels/f32/linear_internal.h"

extern const struct tq_linear_set tq_linear_avx512, tq_linear_avx2;

const tq_linear_set *const tq_linear_variants[] = { &tq_linear_avx512, &tq_linear_avx2, NULL };

const tq_linear_set *tq_linear_best(void)
{
    for (int i = 0; tq_linear_variants[i]; i++)
        if ((tq_linear_variants[i]->needs & tq_cpu_flags()) == tq_linear_variants[i]->needs)
            return tq_linear_variants[i];
    return NULL;
}
