/* The mathematics of quantisation grids, without graphs: ranges, grids, quantisers, observers,
 * requantisation parameters. */
#ifndef TRUQ_QUANT_H
#define TRUQ_QUANT_H

#include <truq/registry.h>
#include <truq/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- specifications (QuantLib's and DIANA's QRangeSpec, QGranularitySpec, init strategies) --- */

/** The integer codes: q_min, q_min + step, ..., n_levels of them. step is 1 but for the sign range {-1, 1}. */
typedef struct tq_range {
    int64_t q_min;
    int64_t n_levels;      /* 2 .. 2^32 */
    int step;
    bool free_offset;      /* zero point not pinned: learned or derived from the data */
    bool power_of_two;     /* the grid's scale is the nearest power of two (in the logarithm): what shifts alone can compute */
} tq_range;

static inline int64_t tq_range_q_max(const tq_range *r) { return r->q_min + (r->n_levels - 1) * r->step; }

/** Parses a range: "binary", "ternary", "(-1,0,1)", "bitwidth:8,signed:true", "n_levels:255,offset:-127",
 *  "limpbitwidth:8,signed:true", "bitwidth:8" (free offset); short forms "u8", "i8", "i4", "u7".
 *  Exactly one of bitwidth | limpbitwidth | n_levels, at most one of signed | offset. TQ_ERR_VALUE else. */
TQ_API tq_status tq_range_parse(const char *text, tq_range *out_range);
TQ_API tq_text tq_range_text(const tq_range *range);   /* parses back */
/** Smallest number of bits that stores the codes. */
TQ_API int tq_range_bits(const tq_range *range);

typedef enum tq_rounding {
    TQ_ROUND_HALF_UP, TQ_ROUND_HALF_EVEN, TQ_ROUND_HALF_AWAY, TQ_ROUND_FLOOR, TQ_ROUND_STOCHASTIC
} tq_rounding;
TQ_API const char *tq_rounding_name(tq_rounding rounding);   /* "half-up", ... */
TQ_API tq_status tq_rounding_parse(const char *name, tq_rounding *out);
/** v rounded (u in [0,1) serves stochastic). */
TQ_API double tq_round(double v, tq_rounding rounding, double u);

/** How the ends (a, b) of the real range come from statistics. */
typedef enum tq_init_kind { TQ_INIT_CONST, TQ_INIT_MINMAX, TQ_INIT_MEANSTD, TQ_INIT_OBSERVER } tq_init_kind;
typedef struct tq_init {
    tq_init_kind kind;
    double a, b;           /* const: -1, 1 by default; OBSERVER: its arguments, NaN where not given */
    double n_std;          /* meanstd: 3 by default */
    const struct tq_observer *observer;   /* OBSERVER: one of the registry that is not built in */
} tq_init;
/** "minmax", "const", "const:0,6", "meanstd", "meanstd:5". */
TQ_API tq_status tq_init_parse(const char *text, tq_init *out_init);
/** The same, and any observer of the registry: "NAME", "NAME:A", "NAME:A,B". */
TQ_API tq_status tq_init_find(const tq_registry *registry, const char *text, tq_init *out_init);
TQ_API tq_text tq_init_text(const tq_init *init);

/* ---- grids ------------------------------------------------------------------------------ */

/** x ~ scale * (q - zero_point), q on the range. One per tensor or per channel. */
typedef struct tq_grid {
    float scale;
    int32_t zero_point;
    int64_t q_min, q_max;
    int step;
    tq_rounding rounding;
} tq_grid;

/** Scale for a pinned offset from the real range [a, b] (QuantLib get_scale; a == b, a channel of one
 *  constant, takes |a|; an all-zero one gets the smallest scale that is safe, 2^-24). Never 0, NaN or inf:
 *  TQ_ERR_VALUE when a or b is. */
TQ_API tq_status tq_grid_scale_pinned(const tq_range *range, double a, double b, float *out_scale);
/** Scale and zero point for a free offset: scale = (b - a) / (n_levels - 1) with 0 inside [a, b]. */
TQ_API tq_status tq_grid_scale_free(const tq_range *range, double a, double b, float *out_scale, int32_t *out_zero_point);

/** Code of x (NaN gives NaN's code: the zero point; callers check for NaN before), and value of a code. */
TQ_API int64_t tq_grid_quantize(const tq_grid *grid, float x);
TQ_API float tq_grid_dequantize(const tq_grid *grid, int64_t q);

/* ---- quantisers ------------------------------------------------------------------------- */

enum { TQ_QUANTIZER_MAX_PARAMS = 4 };

/** A gradient that kernels compute in their own loops: dx = dy from `least` to `most`, else 0, and the parameters' gradients from
 *  sums: is_step false: of dy over x <= lo (none at -inf) and over x >= hi (none at inf); is_step true, with v = x / scale and
 *  dx = dy where lo < v < hi: sums[0] of dy * (round(v) - v inside, lo below, hi above), halves rounded up. */
typedef struct tq_gradient_plan {
    bool is_step;
    float least, most, lo, hi;
} tq_gradient_plan;

/** A quantiser: parameters per channel -> grid, forward, backward. It knows no graph. Parameters are f32
 *  arrays, one value per channel: FakeQuantize's inputs 1, 2, ... NaN means "never observed". */
typedef struct tq_quantizer {
    tq_entry entry;
    int n_params;
    const char *params[TQ_QUANTIZER_MAX_PARAMS];      /* "clip_lo", "clip_hi"; "scale", "zero_point" */
    unsigned decays;                                  /* bit i: parameter i takes part in weight decay of its own group */
    bool weights_dynamic;                             /* on weights, parameters follow the statistics at every forward */
    bool damped;                                      /* backward divides its sums by sqrt(n); callers that split n correct it */
    /** Parameters of one channel from the observed real range [a, b]. */
    tq_status (*init)(const tq_range *range, double a, double b, float *params);
    /** Grid of one channel. Called before every forward; does not change params (no drift). */
    void (*grid)(const tq_range *range, tq_rounding rounding, const float *params, tq_grid *out_grid);
    /** Which parameters are trained for this range: bit i. */
    unsigned (*trainable)(const tq_range *range);
    void (*forward)(const tq_grid *grid, const float *params, int64_t n, const float *x, float *y, uint64_t seed);
    /** dx and sums over the n elements into dparams (doubles, added to). */
    void (*backward)(const tq_grid *grid, const tq_range *range, const float *params, int64_t n, const float *x,
                     const float *dy, float *dx, double *dparams);
    bool draws;                                       /* forward makes use of its seed, whatever the rounding */
    bool snaps;                                       /* forward is the nearest value of the grid and nothing else */
    /** For kernels of their own; both NULL: they call `backward`. plan_gradient is false where this range is none for them; then
     *  the gradients of the parameters of a channel of n_all elements from their sums. */
    bool (*plan_gradient)(const tq_grid *grid, const tq_range *range, const float *params, tq_gradient_plan *out_plan);
    void (*end_gradient)(const tq_range *range, const float *params, int64_t n_all, const double sums[2], double *dparams);
} tq_quantizer;

/** The grid of one channel as it is used: the quantiser's own, then the range's rule for scales. A zero point moves with the scale
 *  so that the lower end stays where it is. All who ask for a grid ask here. */
TQ_API void tq_quantizer_grid(const tq_quantizer *quantizer, const tq_range *range, tq_rounding rounding, const float *params,
                              tq_grid *out_grid);

/* ---- observers -------------------------------------------------------------------------- */

/** Streaming statistics of one channel or tensor: constant memory, mergeable. */
typedef struct tq_statistics {
    int64_t n;             /* finite elements seen */
    int64_t n_bad;         /* NaN or infinite ones */
    double min, max, mean, m2;   /* m2 = sum of squared distances to the mean */
} tq_statistics;

TQ_API void tq_statistics_reset(tq_statistics *s);
/** Adds n values, `stride` apart. Summation order is fixed by the data alone. */
TQ_API void tq_statistics_observe(tq_statistics *s, int64_t n, const float *x);
TQ_API void tq_statistics_merge(tq_statistics *into, const tq_statistics *from);   /* Chan et al. 1979 */

/** An observer turns statistics into a real range [a, b]; TQ_ERR_STATE when nothing was observed. */
typedef struct tq_observer {
    tq_entry entry;        /* "minmax", "meanstd", "const" */
    tq_status (*range)(const tq_statistics *s, const tq_init *init, double *out_a, double *out_b);
    bool extremes_only;    /* reads n, n_bad, min and max alone: mean and m2 need not be known */
} tq_observer;
/** Does the range follow from n, n_bad, min and max alone? */
TQ_API bool tq_init_is_extremes(const tq_init *init);
TQ_API tq_status tq_init_range(const tq_init *init, const tq_statistics *s, double *out_a, double *out_b);

/* ---- requantisation --------------------------------------------------------------------- */

/** y = clip((x * mul[c] + add[c]) >> shift, q_min, q_max), 64-bit product. */
typedef struct tq_requant {
    int shift;
    int n;                 /* channels; mul and add have n entries, owned by the arena given */
    int64_t *mul;
    int64_t *add;
} tq_requant;

/** What a target allows of a requantisation. */
typedef struct tq_requant_limits {
    int mul_bits, add_bits;        /* signed widths: 32 and 64 for `generic` */
    int product_bits;              /* width of x * mul + add: 64 */
    int shift_min, shift_max;      /* 0 .. 62 */
    int fixed_shift;               /* >= 0: this one (QuantLib's 24) */
    bool floor_mul_add;            /* mul and add truncate toward -inf as QuantLib does; add holds a half only if the rounding
                                      is half-up (what QuantLib's Rounder puts into the bias) */
    bool power_of_two;             /* mul must be 1 */
    bool per_tensor;               /* one mul for all channels */
    bool f32_exact;                /* the file carries mul and add as float32: both are such numbers */
} tq_requant_limits;

/** Finds mul, add and the largest shift the limits and the bounds of x allow for y = real_scale[c] * x + real_offset[c]
 *  (in units of the output scale, zero point included in the offset). x in [lo, hi]. TQ_ERR_CHECK if nothing fits. */
TQ_API tq_status tq_requant_find(const tq_requant_limits *limits, int n, const double *real_scale,
                                 const double *real_offset, int64_t lo, int64_t hi, tq_rounding rounding,
                                 tq_arena *arena, tq_requant *out);

/** How many x in [lo, hi], over all channels, are ties that `rounding` (half-even, half-away; 0 for others) takes to another code
 *  of [q_min, q_max] than `r`, which rounds half up. */
TQ_API int64_t tq_requant_ties(const tq_requant *r, int64_t lo, int64_t hi, int64_t q_min, int64_t q_max, int64_t zero_point,
                               tq_rounding rounding);

#ifdef __cplusplus
}
#endif
#endif
