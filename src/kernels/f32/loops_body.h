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

/** The difference to the integer below is exact, v + 0.5 would not be. */
static inline float round_half_up(float v)
{
    const float below = floorf(v);
    return below + (v - below >= 0.5f ? 1.0f : 0.0f);
}

/* x is clipped before it is divided: the quotient of an end is off by an ulp at most, and rounds to
 * that end. */
static void snap_half_up(int64_t n, const float *restrict x, float scale_, float lo, float hi,
                         float *restrict y)
{
    const float reciprocal = 1.0f / scale_, least = lo * scale_, most = hi * scale_;
    EACH(y[i] = scale_ * round_half_up(divide(clipped(x[i], least, most), scale_, reciprocal)))
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

/** Sum of dy where x <= end. */
static double sum_beyond(int64_t n, const float *x, const float *dy, float end)
{
    f64x8 even = { 0 }, odd = { 0 };
    int64_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        f32x16 four = { 0 };
        for (int k = 0; k < GROUP; k += WIDE) {
            const i32x16 is_beyond = *(const f32x16 *)(x + i + k) <= end;
            four += (f32x16)(*(const i32x16u *)(dy + i + k) & is_beyond);
        }
        widen(&four, &even, &odd);
    }
    even += odd;
    double rest = fold(&even);
    for (; i < n; i++)
        rest += x[i] <= end ? (double)dy[i] : 0.0;
    return rest;
}

/** `pass`, and the sum of dy where x >= end, in one go. */
static double pass_below(int64_t n, const float *restrict x, const float *restrict dy, float least,
                         float most, float end, float *restrict dx)
{
    f64x8 even = { 0 }, odd = { 0 };
    const int64_t n_whole = n - n % GROUP;
    for (int64_t i = 0; i < n_whole; i += GROUP) {
        f32x16 four = { 0 };
        for (int k = 0; k < GROUP; k += WIDE) {
            const f32x16 v = *(const f32x16 *)(x + i + k);
            const i32x16 g = *(const i32x16u *)(dy + i + k);
            *(i32x16u *)(dx + i + k) = g & ~((v < least) | (v > most));
            four += (f32x16)(g & (v >= end));
        }
        widen(&four, &even, &odd);
    }
    even += odd;
    double rest = fold(&even);
    pass(n - n_whole, x + n_whole, dy + n_whole, least, most, dx + n_whole);
    for (int64_t i = n_whole; i < n; i++)
        rest += x[i] >= end ? (double)dy[i] : 0.0;
    return rest;
}

static void pass_inside(int64_t n, const float *restrict x, const float *restrict dy,
                        const float ends[4], float *restrict dx, double *sums_)
{
    const float least = ends[TQ_PASS_LEAST], most = ends[TQ_PASS_MOST];
    const float lo = ends[TQ_PASS_LO], hi = ends[TQ_PASS_HI];
    if (sums_ && hi < FLT_MAX)
        sums_[1] += pass_below(n, x, dy, least, most, hi, dx);
    else
        pass(n, x, dy, least, most, dx);
    if (sums_ && lo > -FLT_MAX)
        sums_[0] += sum_beyond(n, x, dy, lo);
}

static double sum_by_fours(int64_t n, const float *x)
{
    f64x8 even = { 0 }, odd = { 0 };
    int64_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        const f32x16 *v = (const f32x16 *)(x + i);
        const f32x16 four = (v[0] + v[1]) + (v[2] + v[3]);
        widen(&four, &even, &odd);
    }
    for (; i + WIDE <= n; i += WIDE)
        widen((const f32x16 *)(x + i), &even, &odd);
    even += odd;
    double rest = fold(&even);
    for (; i < n; i++)
        rest += (double)x[i];
    return rest;
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
            const bool inside = (v > lo) & (v < hi);
            terms[i] = g * (inside ? round_half_up(w) - v : w);
            dx[begin + i] = inside ? g : 0.0f;
        }
        if (sum_)
            *sum_ += sum_by_fours(length, terms);
    }
}

/* ---- statistics ------------------------------------------------------------------------------ */

/** a where the mask is set, else b; no function, since it would return a register. */
#define CHOOSE(mask, a, b) ((f32x16)(((i32x16)(a) & (mask)) | ((i32x16)(b) & ~(mask))))

/** Running extremes; off: 0 as long as all are finite, else NaN. */
typedef struct seen {
    f32x16 min, max, off;
} seen;

static inline void see(const f32x16 *x, seen *s)
{
    const f32x16 v = *x;
    s->min = CHOOSE(v < s->min, v, s->min);
    s->max = CHOOSE(v > s->max, v, s->max);
    s->off += v - v;
}

static inline void join(const seen *from, seen *into)
{
    into->min = CHOOSE(from->min < into->min, from->min, into->min);
    into->max = CHOOSE(from->max > into->max, from->max, into->max);
    into->off += from->off;
}

/** The lanes, halves onto halves. */
static void fold_seen(const seen *s, float *min, float *max, float *off)
{
    f32x16 least = s->min, most = s->max, odd = s->off;
    for (int half = WIDE / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++) {
            least[k] = least[k + half] < least[k] ? least[k + half] : least[k];
            most[k] = most[k + half] > most[k] ? most[k + half] : most[k];
            odd[k] += odd[k + half];
        }
    *min = least[0];
    *max = most[0];
    *off = odd[0];
}

/** Extremes of n >= 1 elements; false if one of them is NaN or infinite. */
static bool extremes(int64_t n, const float *x, float *out_min, float *out_max)
{
    float min = x[0], max = x[0], off = 0.0f;
    int64_t i = 0;
    if (n >= WIDE) {
        const f32x16 first = (f32x16){ 0 } + x[0];
        seen a = { first, first, { 0 } }, b = a, c = a, d = a;
        for (; i + GROUP <= n; i += GROUP) {
            see((const f32x16 *)(x + i), &a);
            see((const f32x16 *)(x + i + WIDE), &b);
            see((const f32x16 *)(x + i + 2 * WIDE), &c);
            see((const f32x16 *)(x + i + 3 * WIDE), &d);
        }
        for (; i + WIDE <= n; i += WIDE)
            see((const f32x16 *)(x + i), &a);
        join(&b, &a);
        join(&d, &c);
        join(&c, &a);
        fold_seen(&a, &min, &max, &off);
    }
    for (; i < n; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
        off += x[i] - x[i];
    }
    *out_min = min;
    *out_max = max;
    return off == 0.0f;
}

/** Sum of the squares of x - centre. */
static double squares_around(int64_t n, const float *x, float centre)
{
    f64x8 even = { 0 }, odd = { 0 };
    int64_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        const f32x16 *v = (const f32x16 *)(x + i);
        const f32x16 a = v[0] - centre, b = v[1] - centre, c = v[2] - centre, d = v[3] - centre;
        const f32x16 four = (a * a + b * b) + (c * c + d * d);
        widen(&four, &even, &odd);
    }
    for (; i + WIDE <= n; i += WIDE) {
        const f32x16 d = *(const f32x16 *)(x + i) - centre, square = d * d;
        widen(&square, &even, &odd);
    }
    even += odd;
    double rest = fold(&even);
    for (; i < n; i++)
        rest += ((double)x[i] - (double)centre) * ((double)x[i] - (double)centre);
    return rest;
}

/** Are the squares of distances between these ends floats, and four of them added? */
static bool fits(float min, float max)
{
    return min == max || (min > -1e18f && max < 1e18f && max - min > 1e-12f);
}

static void observe(int64_t n, const float *x, bool extremes_only, tq_statistics *into)
{
    enum { BLOCK = 4096 };
    for (int64_t begin = 0; begin < n; begin += BLOCK) {
        const int64_t length = n - begin < BLOCK ? n - begin : BLOCK;
        float min, max;
        if (!extremes(length, x + begin, &min, &max) || (!extremes_only && !fits(min, max))) {
            tq_statistics_observe(into, length, x + begin);
            continue;
        }
        tq_statistics part = { .n = length, .min = (double)min, .max = (double)max };
        if (!extremes_only) {
            part.mean = sum_by_fours(length, x + begin) / (double)length;
            part.m2 = min == max ? 0.0 : squares_around(length, x + begin, (float)part.mean);
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
