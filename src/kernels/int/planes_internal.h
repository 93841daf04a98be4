/* Planes of codes become pixels. */
#ifndef TQ_KERNELS_INT_PLANES_INTERNAL_H
#define TQ_KERNELS_INT_PLANES_INTERNAL_H

#include <truq/op.h>

typedef struct tq_planes_run {
    const uint8_t *x; /* byte i of plane p at p * plane + i */
    int64_t plane;
    uint8_t *y;   /* [n][c] */
    int64_t n, c; /* pixels, planes */
    uint8_t flip; /* bits of every byte that change */
} tq_planes_run;

typedef struct tq_planes_variant {
    const char *name;
    unsigned needs;
    void (*join)(const tq_planes_run *run);
} tq_planes_variant;

/** Best first; the last needs nothing. Ends with a row without a name. */
extern const tq_planes_variant tq_planes_variants[];

void tq_planes_join_portable(const tq_planes_run *run);
void tq_planes_join_avx2(const tq_planes_run *run);

#endif
