/* Strips: the core of fused convolutions. A strip is a few pixels of one row by one block of up to
 * 64 output channels; its sums stay in registers until they leave as requantised codes.
 *
 * A block of 16 nb channels is nb vectors of 16 sums. Element i of vector j belongs to channel
 * 4 nb (i / 4) + 4 j + i % 4 of the block, so that packing vectors to bytes within 128-bit lanes
 * leaves them in order. */
#ifndef TQ_KERNELS_INT_STRIP_INTERNAL_H
#define TQ_KERNELS_INT_STRIP_INTERNAL_H

#include "kernels/kernels.h"

enum { TQ_BLOCK_CHANNELS = 64, TQ_VECTOR = 16, TQ_BLOCK_VECTORS = 4, TQ_STRIP_PIXELS = 16 };

/** Channel of a block at place p = 16 j + i. */
static inline int tq_block_channel(int n_vectors, int p)
{
    const int j = p / TQ_VECTOR, i = p % TQ_VECTOR;
    return 4 * n_vectors * (i / 4) + 4 * j + i % 4;
}

/** What a block adds and multiplies, by place. Sums begin with bias. For codes q as held, q - 128 =
 * hi word of ((sum * multiplier + addend) << up) >> shift, the addends of a vector being those of
 * its even elements, then of its odd ones; also, but where words are needed, floor(sum * scale +
 * offset), rounded down to f32 once. */
typedef struct tq_block_constants {
    int32_t bias[TQ_BLOCK_CHANNELS], multiplier[TQ_BLOCK_CHANNELS];
    int64_t addend[TQ_BLOCK_CHANNELS];
    float scale[TQ_BLOCK_CHANNELS], offset[TQ_BLOCK_CHANNELS];
    unsigned needs_words; /* bit j: vector j */
    int up, shift;        /* 0 .. 31 */
    char rest[52];        /* so that the next begins at a line of the cache */
} tq_block_constants;

static inline int tq_addend_place(int p)
{
    return p / TQ_VECTOR * TQ_VECTOR + p % 2 * 8 + p % TQ_VECTOR / 2;
}

/** The least and largest code of a layer, as held. */
typedef struct tq_requant_common {
    uint8_t q_min, q_max;
} tq_requant_common;

typedef struct tq_strip {
    const uint8_t *x;         /* where the window of the first pixel begins */
    int64_t x_step;           /* to the window of the next pixel */
    const int64_t *runs;      /* where each run of taps begins in a window */
    int64_t n_runs, n_groups; /* runs, and groups of 4 bytes in each */
    /** [n_runs][n_groups][n_vectors][16][4] of 8 bits. Of `bits` = 4 or 2, for 4 vectors and
     * n_groups a multiple of 4 only: byte (k, j, i, b) has in its bits f * bits .. the
     * weight of group k * 8 / bits + f; sums are those of weights times 2^(8 - bits). */
    const int8_t *w;
    int bits;
    /** Weights that follow soon: so many bytes further for every 64 of a vector, a line may be
     * brought near (where there is none, they stay at one). */
    const int8_t *ahead;
    int64_t ahead_step;
    const int32_t *from; /* sums to begin with, by place, and how far apart those of pixels are */
    int64_t from_step;
    const tq_block_constants *constants;
    const tq_requant_common *requant;
    uint8_t *y;
    int64_t y_step;
    int64_t y_jump; /* pixels from n_near on lie further by that: in the next row */
    int n_near;
    int n_channels;  /* of the block that exist */
    int *configured; /* pixels for which the variant is set up; 0 before the first strip of a layer
                      */
    int32_t *sums;   /* not NULL: [n_pixels][64] by place go here, nothing to y */
} tq_strip;

/** Where the codes of a pixel go. */
static inline uint8_t *tq_strip_y(const tq_strip *s, int pixel)
{
    return s->y + pixel * s->y_step + (pixel < s->n_near ? 0 : s->y_jump);
}

typedef struct tq_strip_variant {
    const char *name;
    unsigned needs;
    int most_pixels[TQ_BLOCK_VECTORS + 1]; /* by number of vectors */
    int64_t least_groups;                  /* in a run, and .. */
    int64_t least_work;                    /* .. in all runs, to be worth it */
    bool unpacks;                          /* weights of less than 8 bits */
    void (*run)(int n_vectors, int n_pixels, const tq_strip *strip);
    void (*end)(void); /* after the last strip on a thread, or NULL */
} tq_strip_variant;

/** Best first; the last needs nothing. Ends with a row without a name. */
extern const tq_strip_variant tq_strip_variants[];
/** The best for windows of so many runs of so many groups. */
const tq_strip_variant *tq_strip_best(int64_t n_runs, int64_t n_groups);

void tq_strip_run_amx(int n_vectors, int n_pixels, const tq_strip *strip);
void tq_strip_end_amx(void);

void tq_strip_run_avx512vnni(int n_vectors, int n_pixels, const tq_strip *strip);
void tq_strip_run_avx2(int n_vectors, int n_pixels, const tq_strip *strip);

/** The end of a strip in portable C: sums by place become codes. */
void tq_block_requantize(int n_vectors, const int32_t *sums, const tq_block_constants *constants,
                         const tq_requant_common *requant, int n_channels, uint8_t *y);

/** What the sums of a channel can be, where they begin with `bias`. */
typedef struct tq_sum_range {
    int64_t bias, least, most;
} tq_sum_range;

/** Thresholds between the codes of a channel: that of code k (counted from the one in the middle)
 *  leaves a residue; the next one leaves `step` less, modulo m. */
typedef struct tq_residues {
    int32_t m, step, first, middle; /* residues of the first and of the middle one */
    int32_t begin, last;            /* k of the first and of the last one */
    double tilt, rate;
} tq_residues;

/** Extremes over these thresholds of k * tilt + rate * (middle - residue). */
typedef struct tq_extremes_variant {
    const char *name;
    unsigned needs;
    void (*find)(const tq_residues *residues, double *out_least, double *out_most);
} tq_extremes_variant;

/** Best first; the last needs nothing. Ends with a row without a name. */
extern const tq_extremes_variant tq_extremes_variants[];
void tq_extremes_find_avx512(const tq_residues *residues, double *out_least, double *out_most);

/** Constants of requantisation where hi words carry the result exactly. */
typedef struct tq_requant_exact {
    tq_requant_common common;
    int sum_up;                        /* sums come multiplied by 2^sum_up */
    int up;                            /* multiplier and addend are shifted left by this, .. */
    int up_product;                    /* .. or product and addend by this */
    const tq_extremes_variant *floats; /* to find floats with; NULL: no variant here uses any */
} tq_requant_exact;

/** Can all these sums, times 2^sum_up, be requantised by hi words? */
bool tq_requant_exact_find(const tq_requant_spec *spec, int64_t n_channels,
                           const tq_sum_range *ranges, int sum_up, tq_requant_exact *out);

/** The constants of channel `oc` at a place of a zeroed block. */
void tq_block_constants_set(tq_block_constants *block, int place, const tq_requant_spec *spec,
                            const tq_requant_exact *exact, int64_t oc, const tq_sum_range *range);

#endif
