/* Door of the room of operators: what several operator files (and the fast kernels) share. */
#ifndef TQ_OPS_OPS_H
#define TQ_OPS_OPS_H

#include <truq/op.h>
#include <truq/quant.h>

/* ---- sets of dtypes, for tq_op_need_dtype ------------------------------------------------ */

#define TQ_DTYPE_BIT(dtype) (1u << (dtype))
enum {
    TQ_DTYPES_ALL = (1 << TQ_N_DTYPES) - 2, /* all but TQ_NONE */
    TQ_DTYPES_REAL = 1 << TQ_F32 | 1 << TQ_F64,
    TQ_DTYPES_FLOAT = 1 << TQ_F32 | 1 << TQ_F64 | 1 << TQ_F16 | 1 << TQ_BF16,
    TQ_DTYPES_CODES = 1 << TQ_U8 | 1 << TQ_I8,
    TQ_DTYPES_WIDE = 1 << TQ_I32 | 1 << TQ_I64,
    TQ_DTYPES_INTEGER = 1 << TQ_U8 | 1 << TQ_I8 | 1 << TQ_U16 | 1 << TQ_I16 | 1 << TQ_U32 |
                        1 << TQ_I32 | 1 << TQ_U64 | 1 << TQ_I64 | 1 << TQ_U4 | 1 << TQ_I4,
    TQ_DTYPES_NUMERIC = TQ_DTYPES_FLOAT | TQ_DTYPES_INTEGER,
};

/* ---- inputs ------------------------------------------------------------------------------- */

/** Input i is there (optional ones may be NULL or beyond n_in). */
static inline bool tq_op_has(const tq_op_types *t, int i)
{
    return i < t->n_in && t->in[i];
}
static inline bool tq_run_has(const tq_op_run *run, int i)
{
    return i < run->n_in && run->in[i];
}

/** The known integers of input i (axes, shape, pads, ...; i32 or i64, a scalar or one axis).
 *  *out_n = -1 when the input is absent or not known now. TQ_ERR_SHAPE if there are more than
 * `max`. */
tq_status tq_op_known_ints(const tq_op_types *t, int i, int max, int64_t *out_values, int *out_n);

/** b, which may hold TQ_DIM_ANY, fits a; returns the one that is known. */
static inline bool tq_dim_fits(int64_t a, int64_t b)
{
    return a == b || a == TQ_DIM_ANY || b == TQ_DIM_ANY;
}
static inline int64_t tq_dim_known(int64_t a, int64_t b)
{
    return a == TQ_DIM_ANY ? b : a;
}
/** a * b of dims that are unknown or not negative; huge products saturate. */
int64_t tq_dim_mul(int64_t a, int64_t b);

/* ---- broadcasting ------------------------------------------------------------------------- */

/** Elements to step in `in` for one step along each axis of `out` (0 where `in` is broadcast). */
void tq_broadcast_strides(const tq_type *in, const tq_type *out, int64_t strides[TQ_MAX_RANK]);

/** Row-major strides of a type that is known. */
void tq_type_strides(const tq_type *type, int64_t strides[TQ_MAX_RANK]);

/** Walks `dims` in row-major order: index 0 is zeroed by the caller; false past the end. */
bool tq_index_next(int rank, const int64_t *dims, int64_t *index);

/** The single number in a tensor attribute, `otherwise` when it is absent or empty. */
static inline int64_t tq_pact_number(const tq_attrs *attrs, const char *name, int64_t otherwise)
{
    const tq_tensor *tensor = tq_attr_tensor(attrs, name);
    const bool has = tensor && tensor->data && tq_tensor_count(tensor) >= 1;
    return has ? tq_load_i64(tensor->data, tensor->type.dtype, 0) : otherwise;
}

/* ---- losses ---------------------------------------------------------------------------------- */

/** The loss of one row of CrossEntropy; NaN where the label is no class. */
double tq_cross_entropy_row(const float *row, int64_t n_classes, int64_t label, double smoothing);
/** Its gradient times `factor`; 0 where the label is no class. */
void tq_cross_entropy_row_grad(const float *row, int64_t n_classes, int64_t label, double smoothing,
                               double factor, float *dlogits);

/* ---- windows: convolutions and pools -------------------------------------------------------- */

enum { TQ_WINDOW_AXES = 3 };

typedef enum tq_auto_pad {
    TQ_AUTO_PAD_NOTSET,
    TQ_AUTO_PAD_VALID,
    TQ_AUTO_PAD_SAME_UPPER,
    TQ_AUTO_PAD_SAME_LOWER
} tq_auto_pad;
tq_status tq_auto_pad_read(const tq_attrs *attrs, tq_auto_pad *out_auto_pad);

/** Geometry of a sliding window over the last 1 to 3 axes, always given for 3: missing leading axes
 *  have size 1. Input position = out * stride - pad_begin + k * dilation. */
typedef struct tq_window {
    int n_axes; /* of the operator */
    int64_t in[TQ_WINDOW_AXES], out[TQ_WINDOW_AXES];
    int64_t kernel[TQ_WINDOW_AXES], stride[TQ_WINDOW_AXES], dilation[TQ_WINDOW_AXES];
    int64_t pad_begin[TQ_WINDOW_AXES], pad_end[TQ_WINDOW_AXES];
} tq_window;

/** Reads kernel_shape (or takes `kernel` of a weight, which it must equal), strides, dilations,
 * pads, auto_pad and ceil_mode, and finds `out`. Unknown input sizes give unknown outputs. x is [N,
 * C, ...]. */
tq_status tq_window_read(const tq_attrs *attrs, const tq_type *x, const int64_t *kernel,
                         tq_window *out_window);
/** The attributes only, and `in` from x: padding as given, `out` left 0. */
tq_status tq_window_read_attributes(const tq_attrs *attrs, const tq_type *x, const int64_t *kernel,
                                    tq_window *out_window);
/** [N, C, out...] with the rank of x. */
tq_type tq_window_type(const tq_window *window, const tq_type *x, int64_t channels);
/** Product of `kernel`, of `in`, of `out`. */
int64_t tq_window_volume(const int64_t *sizes);

/** First and one-past-last k with 0 <= out * stride - pad + k * dilation < in along one axis. */
void tq_window_taps(const tq_window *window, int axis, int64_t out, int64_t *out_begin,
                    int64_t *out_end);
/** First and one-past-last out for which tap k lies inside the input along one axis. */
void tq_window_outs(const tq_window *window, int axis, int64_t k, int64_t *out_begin,
                    int64_t *out_end);
/** Fails unless padding is narrower than the window (a pool's window must see an element). */
tq_status tq_window_need_pads_inside(const tq_window *window);

/** <Op>Grad(x, dy) -> dx: x and dy have one type, a float one. */
tq_status tq_unary_infer_grad(tq_op_types *t);

/* ---- FakeQuantize ---------------------------------------------------------------------------- */

enum { TQ_FAKE_X, TQ_FAKE_PARAMS };

/** A quantised tensor as [n_outer, n_channels, n_inner] with one grid per channel. */
typedef struct tq_fake {
    const tq_quantizer *quantizer;
    tq_range range;
    tq_rounding rounding;
    int64_t n_outer, n_channels, n_inner;
} tq_fake;

/** Quantiser, range and rounding from attributes; TQ_ERR_NOT_FOUND, TQ_ERR_VALUE. */
tq_status tq_fake_read(const tq_attrs *attrs, const tq_registry *registry, tq_fake *out);
/** Fills the layout from the type of x (known) and attribute axis. */
void tq_fake_layout(const tq_attrs *attrs, const tq_type *x, tq_fake *fake);
/** Parameters of channel c; false when one is NaN (never observed). */
bool tq_fake_params(const void *const *params, const tq_type *const *types, int n_params, int64_t c,
                    float *out_params);

/* ---- running ------------------------------------------------------------------------------- */

/** Elements of one piece of an elementwise operator. */
enum { TQ_GRAIN = 1 << 14 };

/** body(context, begin, end) for 0 .. n-1 in runs of `grain`, on the run's pool if it has one. The
 * runs do not depend on the number of threads. */
void tq_run_for(const tq_op_run *run, int64_t n, int64_t grain,
                void (*body)(void *context, int64_t begin, int64_t end), void *context);

#endif
