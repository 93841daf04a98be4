/* The text of every set of loops: a file names its set and includes this once. Lanes are written
 * with the compiler's vector types, so that the order of a sum does not depend on the width of the
 * registers. */
#include "kernels/f32/loops_internal.h"

typedef float f32x8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef double f64x8 __attribute__((vector_size(64)));

enum { LANES = 8, ROUND = 2 * LANES };

#define EACH(...)                                                                                  \
    for (int64_t i = 0; i < n; i++) {                                                              \
        __VA_ARGS__;                                                                               \
    }

static void relu(int64_t n, const float *restrict x, float *restrict y)
{
    EACH(y[i] = x[i] < 0.0f ? 0.0f : x[i])
}

static void relu_grad(int64_t n, const float *restrict x, const float *restrict dy,
                      float *restrict dx)
{
    EACH(dx[i] = x[i] > 0.0f ? dy[i] : 0.0f)
}

static void clip(int64_t n, const float *restrict x, float lo, float hi, float *restrict y)
{
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i] < lo ? lo : x[i];
        y[i] = v > hi ? hi : v; /* hi wins where lo > hi */
    }
}

static void clip_grad(int64_t n, const float *restrict x, const float *restrict dy, float lo,
                      float hi, float *restrict dx)
{
    EACH(dx[i] = (x[i] > lo) & (x[i] < hi) ? dy[i] : 0.0f)
}

static void add(int64_t n, const float *restrict a, const float *restrict b, float *restrict y)
{
    EACH(y[i] = a[i] + b[i])
}

static void sub(int64_t n, const float *restrict a, const float *restrict b, float *restrict y)
{
    EACH(y[i] = a[i] - b[i])
}

static void mul(int64_t n, const float *restrict a, const float *restrict b, float *restrict y)
{
    EACH(y[i] = a[i] * b[i])
}

static void scale(int64_t n, const float *restrict x, float a, float *restrict y)
{
    EACH(y[i] = a * x[i])
}

static void affine(int64_t n, const float *restrict x, float mean, float k, float b,
                   float *restrict y)
{
    EACH(y[i] = (x[i] - mean) * k + b)
}

static void affine_grad(int64_t n, const float *restrict dy, const float *restrict x,
                        const float p[4], float *restrict dx)
{
    const float mean = p[0], a = p[1], b = p[2], c = p[3];
    EACH(dx[i] = a * dy[i] + (b * (x[i] - mean) + c))
}

/* Adding and taking away 1.5 * 2^23 rounds to an integer, ties to even; v - r tells what was
 * rounded off. */
static void snap_half_up(int64_t n, const float *restrict x, float scale_, float lo, float hi,
                         float *restrict y)
{
    const float magic = 0x1.8p23f;
    for (int64_t i = 0; i < n; i++) {
        const float v = tq_clipf(x[i] / scale_, lo, hi), r = (v + magic) - magic;
        y[i] = scale_ * (r + (v - r == 0.5f ? 1.0f : 0.0f));
    }
}

static void quantize(int64_t n, const float *restrict x, float scale_, int zero, float lo, float hi,
                     uint8_t *restrict y)
{
    const float magic = 0x1.8p23f;
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i] / scale_, number = v == v ? v : 0.0f;
        const float low = number < lo ? lo : number, clipped = low > hi ? hi : low;
        y[i] = (uint8_t)((int)((clipped + magic) - magic) + zero);
    }
}

static void dequantize_u8(int64_t n, const uint8_t *restrict x, float scale_, int zero,
                          float *restrict y)
{
    EACH(y[i] = (float)(x[i] - zero) * scale_)
}

static void dequantize_i8(int64_t n, const int8_t *restrict x, float scale_, int zero,
                          float *restrict y)
{
    EACH(y[i] = (float)(x[i] - zero) * scale_)
}

/** Folds the lanes, halves onto halves. */
static double fold(const f64x8 *lanes)
{
    double v[LANES];
    for (int k = 0; k < LANES; k++)
        v[k] = (*lanes)[k];
    for (int step = LANES / 2; step > 0; step /= 2)
        for (int k = 0; k < step; k++)
            v[k] += v[k + step];
    return v[0];
}

static double sum(int64_t n, const float *x)
{
    f64x8 even = { 0 }, odd = { 0 };
    int64_t i = 0;
    for (; i + ROUND <= n; i += ROUND) {
        even += __builtin_convertvector(*(const f32x8 *)(x + i), f64x8);
        odd += __builtin_convertvector(*(const f32x8 *)(x + i + LANES), f64x8);
    }
    for (int k = 0; i < n; i++, k = (k + 1) % LANES)
        even[k] += (double)x[i];
    even += odd;
    return fold(&even);
}

static void sums(int64_t n, const float *a, const float *b, double out_sums[2])
{
    f64x8 even = { 0 }, odd = { 0 }, even_b = { 0 }, odd_b = { 0 };
    int64_t i = 0;
    for (; i + ROUND <= n; i += ROUND) {
        const f64x8 p = __builtin_convertvector(*(const f32x8 *)(a + i), f64x8);
        const f64x8 q = __builtin_convertvector(*(const f32x8 *)(a + i + LANES), f64x8);
        even += p;
        odd += q;
        even_b += p * __builtin_convertvector(*(const f32x8 *)(b + i), f64x8);
        odd_b += q * __builtin_convertvector(*(const f32x8 *)(b + i + LANES), f64x8);
    }
    for (int k = 0; i < n; i++, k = (k + 1) % LANES) {
        even[k] += (double)a[i];
        even_b[k] += (double)a[i] * (double)b[i];
    }
    even += odd;
    even_b += odd_b;
    out_sums[0] = fold(&even);
    out_sums[1] = fold(&even_b);
}

const tq_loops TQ_LOOPS_SET = {
    .name = TQ_LOOPS_NAME,
    .needs = TQ_LOOPS_NEEDS,
    .relu = relu,
    .relu_grad = relu_grad,
    .clip = clip,
    .clip_grad = clip_grad,
    .add = add,
    .sub = sub,
    .mul = mul,
    .scale = scale,
    .sum = sum,
    .sums = sums,
    .affine = affine,
    .affine_grad = affine_grad,
    .snap_half_up = snap_half_up,
    .quantize = quantize,
    .dequantize_u8 = dequantize_u8,
    .dequantize_i8 = dequantize_i8,
};
