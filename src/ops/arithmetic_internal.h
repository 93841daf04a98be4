/* Elementwise arithmetic on blocks: elements of any dtype are lifted to one of four classes,
 * computed, and put back. */
#ifndef TQ_OPS_ARITHMETIC_INTERNAL_H
#define TQ_OPS_ARITHMETIC_INTERNAL_H

#include "ops/broadcast_internal.h"

/** How values are held while computing: f16 and bf16 as f32, integers in 64 bits. */
typedef enum tq_class { TQ_CLASS_F32, TQ_CLASS_F64, TQ_CLASS_I64, TQ_CLASS_U64 } tq_class;

enum { TQ_BLOCK = 256 };

typedef union tq_block {
    float f32[TQ_BLOCK];
    double f64[TQ_BLOCK];
    int64_t i64[TQ_BLOCK];
    uint64_t u64[TQ_BLOCK];
} tq_block;

/** One function of two operands for every class; n elements each. */
typedef struct tq_binary {
    void (*f32)(int64_t n, const float *a, const float *b, float *y);
    void (*f64)(int64_t n, const double *a, const double *b, double *y);
    void (*i64)(int64_t n, const int64_t *a, const int64_t *b, int64_t *y);
    void (*u64)(int64_t n, const uint64_t *a, const uint64_t *b, uint64_t *y);
} tq_binary;

/** Defines the tq_binary `name` from expressions of p and q. */
#define TQ_BINARY_LOOP(function, T, expression)                                                    \
    static void function(int64_t n, const T *a, const T *b, T *y)                                  \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            __attribute__((unused)) const T p = a[i], q = b[i];                                    \
            y[i] = (T)(expression);                                                                \
        }                                                                                          \
    }
#define TQ_BINARY(name, for_floats, for_i64, for_u64)                                              \
    TQ_BINARY_LOOP(name##_f32, float, for_floats)                                                  \
    TQ_BINARY_LOOP(name##_f64, double, for_floats)                                                 \
    TQ_BINARY_LOOP(name##_i64, int64_t, for_i64)                                                   \
    TQ_BINARY_LOOP(name##_u64, uint64_t, for_u64)                                                  \
    static const tq_binary name = { name##_f32, name##_f64, name##_i64, name##_u64 };

tq_class tq_class_of(tq_dtype dtype);
/** n elements, `step` (0 or 1) apart, into a block; integers that are stored narrower wrap. */
void tq_block_load(tq_class class, const void *data, tq_dtype dtype, int64_t step, int64_t n,
                   tq_block *block);
void tq_block_store(tq_class class, const tq_block *block, int64_t n, void *data, tq_dtype dtype);
void tq_binary_apply(const tq_binary *f, tq_class class, int64_t n, const tq_block *a,
                     const tq_block *b, tq_block *y);

/** y = f(a, b) after broadcasting; y may be the same memory as an operand of its type. */
void tq_binary_run(const tq_binary *f, const void *a, const tq_type *a_type, const void *b,
                   const tq_type *b_type, void *y, const tq_type *y_type);

/** After infer: the value of output 0 when the i64 inputs are known, with TQ_VALUE_ANY wherever an
 * operand is unknown. */
void tq_known_arithmetic(tq_op_types *t, void (*reference)(const tq_op_run *run));

/** A gradient's scalar constant of the dtype of `like`. */
tq_status tq_grad_scalar(tq_grad *g, const tq_value *like, double number, tq_value **out_value);
/** A node of one output in the backward part, without attributes. */
tq_status tq_grad_make(tq_grad *g, const char *op, int n_inputs, tq_value *const *inputs,
                       tq_value **out_value);

#endif
