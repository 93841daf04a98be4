/* The text of every set of loops: a file names its set and includes this once. Lanes are written
 * with the compiler's vector types, so that the order of a sum does not depend on the width of the
 * registers. */
#include "kernels/f32/loops_internal.h"

#include <float.h>
#include <math.h>

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

/** tq_clipf where lo <= hi, as one minimum and one maximum; NaN stays. */
static inline float clipped(float x, float lo, float hi)
{
    const float v = x < lo ? lo : x;
    return v > hi ? hi : v;
}

/** x / scale, rounded as division rounds it: a division costs more than all else in a loop. With
 * the reciprocal rounded to nearest the first correction is within one ulp, the second is the
 * quotient (Markstein, IBM J. Res. Dev. 34, 1990, theorem 7), where nothing underflows. */
static inline float divide(float x, float scale_, float reciprocal)
{
#ifdef __FMA__
    const float q = x * reciprocal;
    const float p = __builtin_fmaf(__builtin_fmaf(-q, scale_, x), reciprocal, q);
    return __builtin_fmaf(__builtin_fmaf(-p, scale_, x), reciprocal, p);
#else
    (void)reciprocal;
    return x / scale_;
#endif
}

/** The level of v, lo <= v <= hi: adding and taking away 1.5 * 2^23 rounds to an integer, ties to
 *  even; v - r tells what was rounded off. */
static inline float round_half_up(float v)
{
    const float magic = 0x1.8p23f, r = (v + magic) - magic;
    return r + (v - r == 0.5f ? 1.0f : 0.0f);
}

/* x is clipped first, so that the quotient of what is far off does not overflow. */
static void snap_half_up(int64_t n, const float *restrict x, float scale_, float lo, float hi,
                         float *restrict y)
{
    const float reciprocal = 1.0f / scale_, least = (lo - 1.0f) * scale_,
                most = (hi + 1.0f) * scale_;
    EACH({
        const float v = divide(clipped(x[i], least, most), scale_, reciprocal);
        y[i] = scale_ * round_half_up(clipped(v, lo, hi));
    })
}

static void quantize(int64_t n, const float *restrict x, float scale_, int zero, float lo, float hi,
                     uint8_t *restrict y)
{
    const float magic = 0x1.8p23f;
    EACH({
        const float v = x[i] / scale_, level = clipped(v == v ? v : 0.0f, lo, hi);
        y[i] = (uint8_t)((int)((level + magic) - magic) + zero);
    })
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

typedef float f32x16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16u __attribute__((vector_size(64), aligned(4), may_alias));

enum { WIDE = 16, GROUP = 4 * WIDE }; /* sums run in float over the 4 elements of a lane first */

/** Adds a lane of 16 to the two halves of an array of double lanes. */
static inline void widen(const f32x16 *v, f64x8 *even, f64x8 *odd)
{
    *even += __builtin_convertvector(((const f32x8 *)v)[0], f64x8);
    *odd += __builtin_convertvector(((const f32x8 *)v)[1], f64x8);
}

static void pass(int64_t n, const float *restrict x, const float *restrict dy, float least,
                 float most, float *restrict dx)
{
    EACH({
        const float v = x[i], g = dy[i];
        dx[i] = (v < least) | (v > most) ? 0.0f : g;
    })
}

/** Sum of dy where x >= hi (is_upper) or x <= hi. */
static double sum_beyond(int64_t n, const float *x, const float *dy, float end, bool is_upper)
{
    f64x8 even = { 0 }, odd = { 0 };
    const float sign = is_upper ? 1.0f : -1.0f, bound = sign * end;
    int64_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        f32x16 four = { 0 };
        for (int k = 0; k < GROUP; k += WIDE) {
            const i32x16 is_beyond = sign * *(const f32x16 *)(x + i + k) >= bound;
            four += (f32x16)(*(const i32x16u *)(dy + i + k) & is_beyond);
        }
        widen(&four, &even, &odd);
    }
    even += odd;
    double rest = fold(&even);
    for (; i < n; i++)
        rest += sign * x[i] >= bound ? (double)dy[i] : 0.0;
    return rest;
}

static void pass_inside(int64_t n, const float *restrict x, const float *restrict dy,
                        const float ends[4], float *restrict dx, double *sums_)
{
    const float lo = ends[TQ_PASS_LO], hi = ends[TQ_PASS_HI];
    pass(n, x, dy, ends[TQ_PASS_LEAST], ends[TQ_PASS_MOST], dx);
    if (sums_ && lo > -FLT_MAX)
        sums_[0] += sum_beyond(n, x, dy, lo, false);
    if (sums_ && hi < FLT_MAX)
        sums_[1] += sum_beyond(n, x, dy, hi, true);
}

static void step_grad(int64_t n, const float *restrict x, const float *restrict dy, float scale_,
                      float lo, float hi, float *restrict dx, double *sum_)
{
    const float reciprocal = 1.0f / scale_, least = (lo - 1.0f) * scale_,
                most = (hi + 1.0f) * scale_;
    enum { BLOCK = 512 };
    float terms[BLOCK];
    for (int64_t begin = 0; begin < n; begin += BLOCK) {
        const int64_t length = n - begin < BLOCK ? n - begin : BLOCK;
        for (int64_t i = 0; i < length; i++) {
            const float g = dy[begin + i], x_i = clipped(x[begin + i], least, most);
            const float v = divide(x_i, scale_, reciprocal), w = clipped(v, lo, hi);
            const float off = round_half_up(w) - v;
            const float t = w == v ? off : w; /* at the ends both are w */
            const float inside = (v > lo) & (v < hi) ? g : 0.0f;
            terms[i] = g * (v > lo ? v < hi ? t : w : w);
            dx[begin + i] = inside;
        }
        if (sum_)
            *sum_ += sum(length, terms);
    }
}

/* ---- statistics ------------------------------------------------------------------------------ */

enum { MANY = 128 };

/** Running extremes of many lanes; off: 0 as long as all are finite, else NaN. */
typedef struct lanes_seen {
    float min[MANY], max[MANY], off[MANY];
} lanes_seen;

static void see(int64_t n, const float *restrict x, lanes_seen *restrict s)
{
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i], least = s->min[i], most = s->max[i];
        s->min[i] = v < least ? v : least;
        s->max[i] = v > most ? v : most;
        s->off[i] += v - v;
    }
}

static void fold_seen(lanes_seen *restrict s, int half)
{
    for (int i = 0; i < half; i++) {
        const float least = s->min[i + half], most = s->max[i + half];
        s->min[i] = least < s->min[i] ? least : s->min[i];
        s->max[i] = most > s->max[i] ? most : s->max[i];
        s->off[i] += s->off[i + half];
    }
}

/** Extremes of n >= 1 elements; false if one of them is NaN or infinite. */
static bool extremes(int64_t n, const float *x, float *out_min, float *out_max)
{
    lanes_seen s;
    for (int i = 0; i < MANY; i++) {
        s.min[i] = s.max[i] = x[0];
        s.off[i] = 0.0f;
    }
    for (int64_t i = 0; i < n; i += MANY)
        see(n - i < MANY ? n - i : MANY, x + i, &s);
    for (int half = MANY / 2; half > 0; half /= 2)
        fold_seen(&s, half);
    *out_min = s.min[0];
    *out_max = s.max[0];
    return s.off[0] == 0.0f;
}

enum { N_SUMS = 4 }; /* of 8 lanes: the order of tq_statistics_observe */

static double fold_sums(f64x8 sums_[N_SUMS])
{
    sums_[0] += sums_[2];
    sums_[1] += sums_[3];
    sums_[0] += sums_[1];
    return fold(&sums_[0]);
}

static double squares_around(int64_t n, const float *x, double centre)
{
    f64x8 s[N_SUMS] = { 0 };
    int64_t i = 0;
    for (; i + N_SUMS * LANES <= n; i += N_SUMS * LANES)
        for (int k = 0; k < N_SUMS; k++) {
            const f64x8 d =
                __builtin_convertvector(*(const f32x8 *)(x + i + k * LANES), f64x8) - centre;
            s[k] += d * d;
        }
    for (int k = 0; i < n; i++, k++) {
        const double d = (double)x[i] - centre;
        s[k / LANES][k % LANES] += d * d;
    }
    return fold_sums(s);
}

static double sum_in_order(int64_t n, const float *x)
{
    f64x8 s[N_SUMS] = { 0 };
    int64_t i = 0;
    for (; i + N_SUMS * LANES <= n; i += N_SUMS * LANES)
        for (int k = 0; k < N_SUMS; k++)
            s[k] += __builtin_convertvector(*(const f32x8 *)(x + i + k * LANES), f64x8);
    for (int k = 0; i < n; i++, k++)
        s[k / LANES][k % LANES] += (double)x[i];
    return fold_sums(s);
}

static void observe(int64_t n, const float *x, bool extremes_only, tq_statistics *into)
{
    enum { BLOCK = 4096 };
    for (int64_t begin = 0; begin < n; begin += BLOCK) {
        const int64_t length = n - begin < BLOCK ? n - begin : BLOCK;
        float min, max;
        if (!extremes(length, x + begin, &min, &max)) {
            tq_statistics_observe(into, length, x + begin);
            continue;
        }
        tq_statistics part = { .n = length, .min = (double)min, .max = (double)max };
        if (!extremes_only) {
            part.mean = sum_in_order(length, x + begin) / (double)length;
            part.m2 = min == max ? 0.0 : squares_around(length, x + begin, part.mean);
        }
        tq_statistics_merge(into, &part);
    }
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
    .pass_inside = pass_inside,
    .step_grad = step_grad,
    .observe = observe,
    .quantize = quantize,
    .dequantize_u8 = dequantize_u8,
    .dequantize_i8 = dequantize_i8,
};
