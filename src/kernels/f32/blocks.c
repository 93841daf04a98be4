/* The table of all sets of loops over blocks, and the blocked form itself. */
#include "kernels/f32/blocks_internal.h"
#include "kernels/kernels.h"

extern const struct tq_blocks tq_blocks_avx512, tq_blocks_avx2;

const tq_blocks *const tq_blocks_variants[] = { &tq_blocks_avx512, &tq_blocks_avx2, NULL };

const tq_blocks *tq_blocks_best(void)
{
    for (int i = 0; tq_blocks_variants[i]; i++)
        if ((tq_blocks_variants[i]->needs & tq_cpu_flags()) == tq_blocks_variants[i]->needs)
            return tq_blocks_variants[i];
    return NULL;
}

int tq_block_size(void)
{
    const tq_blocks *best = tq_blocks_best();
    return best ? best->block : 0;
}

int64_t tq_form_count(const tq_type *type, tq_form form)
{
    if (form == TQ_FORM_PLAIN)
        return tq_type_count_from(type, 1);
    const int64_t block = tq_block_size(), n_blocks = (type->dims[1] + block - 1) / block;
    return n_blocks * block * tq_type_count_from(type, 2);
}
