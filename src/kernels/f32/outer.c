/* The table of all sets of sums of outer products. */
#include "kernels/f32/outer_internal.h"

extern const struct tq_outer tq_outer_avx512bf16, tq_outer_avx512, tq_outer_avx2;

const tq_outer *const tq_outer_variants[] = { &tq_outer_avx512bf16, &tq_outer_avx512,
                                              &tq_outer_avx2, NULL };

const tq_outer *tq_outer_best(void)
{
    for (int i = 0; tq_outer_variants[i]; i++)
        if ((tq_outer_variants[i]->needs & tq_cpu_flags()) == tq_outer_variants[i]->needs)
            return tq_outer_variants[i];
    return NULL;
}
