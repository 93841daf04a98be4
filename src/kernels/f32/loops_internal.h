/* The inner loops of the elementwise, normalisation and pooling kernels, one set for each level of
 * the CPU. All sets give the same bits: no loop fuses a multiplication with an addition, and sums
 * run in a fixed number of lanes. */
#ifndef TQ_KERNELS_F32_LOOPS_INTERNAL_H
#define TQ_KERNELS_F32_LOOPS_INTERNAL_H

#include <truq/op.h>
#include <truq/quant.h>

typedef struct tq_loops {
    const char *name;
    unsigned needs;
    void (*relu)(int64_t n, const float *x, float *y);
    void (*relu_grad)(int64_t n, const float *x, const float *dy, float *dx);
    /** Bounds belong to the range; NaN stays. */
    void (*clip)(int64_t n, const float *x, float lo, float hi, float *y);
    /** dy where lo < x < hi, else 0. */
    void (*clip_grad)(int64_t n, const float *x, const float *dy, float lo, float hi, float *dx);
    void (*add)(int64_t n, const float *a, const float *b, float *y);
    void (*sub)(int64_t n, const float *a, const float *b, float *y);
    void (*mul)(int64_t n, const float *a, const float *b, float *y);
    /** y[i] = a * x[i]. */
    void (*scale)(int64_t n, const float *x, float a, float *y);
    double (*sum)(int64_t n, const float *x);
    /** Sums of a[i], and of a[i] * b[i], exact products. */
    void (*sums)(int64_t n, const float *a, const float *b, double out_sums[2]);
    /** y = (x - mean) * k + b. */
    void (*affine)(int64_t n, const float *x, float mean, float k, float b, float *y);
    /** dx = a * dy + (b * (x - mean) + c). */
    void (*affine_grad)(int64_t n, const float *dy, const float *x, const float p[4], float *dx);
    /** y = scale * floor(clip(x / scale, lo, hi) + 1/2), |lo|, |hi| <= 2^22. */
    void (*snap_half_up)(int64_t n, const float *x, float scale, float lo, float hi, float *y);
    /** dx = dy where least <= x <= most, else 0. Adds dy over x <= lo to sums[0] (none at -inf),
     *  over x >= hi to sums[1]; sums may be NULL. */
    void (*pass_inside)(int64_t n, const float *x, const float *dy, const float ends[4], float *dx,
                        double *sums);
    /** With v = x / scale: dx = dy where lo < v < hi, else 0; adds dy * (round(v) - v inside, lo
     *  below, hi above) to *sum, which may be NULL, halves rounded up. */
    void (*step_grad)(int64_t n, const float *x, const float *dy, float scale, float lo, float hi,
                      float *dx, double *sum);
    /** tq_statistics_observe, bit for bit; with extremes_only mean and m2 stay 0. */
    void (*observe)(int64_t n, const float *x, bool extremes_only, tq_statistics *into);
    /** Codes of a byte: y = zero + round_half_even(clip(x / scale, lo, hi)); NaN counts as 0. */
    void (*quantize)(int64_t n, const float *x, float scale, int zero, float lo, float hi,
                     uint8_t *y);
    /** y = scale * (x - zero). */
    void (*dequantize_u8)(int64_t n, const uint8_t *x, float scale, int zero, float *y);
    void (*dequantize_i8)(int64_t n, const int8_t *x, float scale, int zero, float *y);
} tq_loops;

/** Best first; the last needs nothing. */
extern const tq_loops *const tq_loops_variants[];
/** Of pass_inside's ends. */
enum { TQ_PASS_LEAST, TQ_PASS_MOST, TQ_PASS_LO, TQ_PASS_HI };

/** The first one this CPU has. */
const tq_loops *tq_loops_best(void);

/** Prepares a kernel whose state is the best set. */
tq_status tq_loops_prepare(const tq_op_run *shapes, void **out_state);

/** Calls piece(context, begin, end) for pieces of 0 .. n-1 on the pool; pieces are fixed by n. */
void tq_for_range(tq_pool *pool, int64_t n,
                  void (*piece)(void *context, int64_t begin, int64_t end), void *context);

#endif
