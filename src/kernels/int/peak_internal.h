/* Probes in files of their own: n iterations each. */
#ifndef TQ_KERNELS_INT_PEAK_INTERNAL_H
#define TQ_KERNELS_INT_PEAK_INTERNAL_H

#include "kernels/kernels.h"

void tq_probe_tiles_amx(int64_t n);
void tq_probe_vnni_avx512(int64_t n);
void tq_probe_fma_avx512(int64_t n);
void tq_probe_fma_avx2(int64_t n);
void tq_probe_words_avx2(int64_t n);

#endif
