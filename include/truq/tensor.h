/* Arrays: dtypes, shapes, reference-counted data. */
#ifndef TRUQ_TENSOR_H
#define TRUQ_TENSOR_H

#include <truq/memory.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Element types. 4-bit elements take one byte each in memory (packed only in files). */
typedef enum tq_dtype {
    TQ_NONE, TQ_F32, TQ_F64, TQ_F16, TQ_BF16, TQ_U8, TQ_I8, TQ_U16, TQ_I16, TQ_U32, TQ_I32, TQ_U64, TQ_I64,
    TQ_BOOL, TQ_U4, TQ_I4, TQ_N_DTYPES
} tq_dtype;

/** Bytes one element takes in memory; "f32", "i4", ...; name to dtype (TQ_NONE if unknown). */
TQ_API size_t tq_dtype_size(tq_dtype dtype);
TQ_API const char *tq_dtype_name(tq_dtype dtype);
TQ_API tq_dtype tq_dtype_parse(const char *name);
TQ_API bool tq_dtype_is_float(tq_dtype dtype);
TQ_API bool tq_dtype_is_integer(tq_dtype dtype);      /* not bool */
/** Smallest and largest value of an integer dtype (u64 is capped at INT64_MAX). */
TQ_API int64_t tq_dtype_min(tq_dtype dtype);
TQ_API int64_t tq_dtype_max(tq_dtype dtype);

enum { TQ_MAX_RANK = 8 };
/** A dimension that is not known yet (a symbolic batch, say). */
#define TQ_DIM_ANY ((int64_t)-1)

/** dtype and shape. rank -1: shape unknown. */
typedef struct tq_type {
    tq_dtype dtype;
    int rank;
    int64_t dims[TQ_MAX_RANK];
} tq_type;

/** tq_type_make(TQ_F32, 2, (int64_t[]){ 4, 3 }). */
TQ_API tq_type tq_type_make(tq_dtype dtype, int rank, const int64_t *dims);
/** Product of all dims (of dims[from..]); 1 for a scalar; TQ_DIM_ANY if one is unknown. */
TQ_API int64_t tq_type_count(const tq_type *type);
TQ_API int64_t tq_type_count_from(const tq_type *type, int from);
/** Product of dims[0..to-1]. */
TQ_API int64_t tq_type_count_to(const tq_type *type, int to);
TQ_API bool tq_type_is_known(const tq_type *type);     /* rank >= 0 and no TQ_DIM_ANY */
TQ_API bool tq_type_equal(const tq_type *a, const tq_type *b);
/** Bytes of a tensor of that type; the type is known. Fails with TQ_ERR_SHAPE beyond 2^46. */
TQ_API tq_status tq_type_size(const tq_type *type, size_t *out_size);
/** "f32[N,3,32,32]" (unknown dims print as ?), by value so that it can sit in a call. */
typedef struct tq_text {
    char s[128];
} tq_text;
TQ_API tq_text tq_type_text(const tq_type *type);
/** Shape of elementwise a with b after ONNX (numpy) broadcasting; TQ_ERR_SHAPE if they do not fit. */
TQ_API tq_status tq_type_broadcast(const tq_type *a, const tq_type *b, tq_type *out);

/** Reference-counted bytes, aligned to 64, zeroed. */
typedef struct tq_buffer tq_buffer;
TQ_API tq_status tq_buffer_create(size_t size, tq_buffer **out_buffer);
TQ_API tq_buffer *tq_buffer_retain(tq_buffer *buffer);
TQ_API void tq_buffer_release(tq_buffer *buffer);
/** More than one owner holds it now. */
TQ_API bool tq_buffer_is_shared(const tq_buffer *buffer);
TQ_API void *tq_buffer_data(tq_buffer *buffer);
TQ_API size_t tq_buffer_size(const tq_buffer *buffer);
/** For the memory report: bytes alive in buffers now, and the most there ever were. */
TQ_API size_t tq_buffer_live(void);
TQ_API size_t tq_buffer_peak(void);

/** A type and its data. The struct is plain: copy it to borrow, tq_tensor_share to own. */
typedef struct tq_tensor {
    tq_type type;
    tq_buffer *buffer;  /* NULL: data is borrowed from somewhere else */
    void *data;
} tq_tensor;

/** Allocates zeroed data of `type` (known); reset with tq_tensor_reset. */
TQ_API tq_status tq_tensor_init(tq_tensor *tensor, const tq_type *type);
TQ_API tq_status tq_tensor_init_from(tq_tensor *tensor, const tq_type *type, const void *data);
TQ_API void tq_tensor_reset(tq_tensor *tensor);
/** A second owner of the same bytes. */
TQ_API tq_tensor tq_tensor_share(const tq_tensor *tensor);
/** New bytes with the same (for borrowed data too) content. */
TQ_API tq_status tq_tensor_copy(const tq_tensor *tensor, tq_tensor *out_copy);
/** New tensor converted element by element (ONNX Cast semantics: float to integer truncates and saturates). */
TQ_API tq_status tq_tensor_cast(const tq_tensor *tensor, tq_dtype dtype, tq_tensor *out);
TQ_API bool tq_tensor_equal(const tq_tensor *a, const tq_tensor *b);   /* types and bytes */
static inline int64_t tq_tensor_count(const tq_tensor *tensor) { return tq_type_count(&tensor->type); }

/** One element of data of any dtype, as double or int64 (floats truncate, saturating; NaN is 0). */
TQ_API double tq_load_f64(const void *data, tq_dtype dtype, int64_t i);
TQ_API int64_t tq_load_i64(const void *data, tq_dtype dtype, int64_t i);
TQ_API void tq_store_f64(void *data, tq_dtype dtype, int64_t i, double value);   /* saturates */
TQ_API void tq_store_i64(void *data, tq_dtype dtype, int64_t i, int64_t value);  /* saturates */

TQ_API float tq_f16_to_f32(uint16_t bits);
TQ_API uint16_t tq_f32_to_f16(float value);  /* half to even */
TQ_API float tq_bf16_to_f32(uint16_t bits);
TQ_API uint16_t tq_f32_to_bf16(float value); /* half to even */

static inline int64_t tq_clip_i64(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }
/** NaN stays NaN: a clip must not hide it. */
static inline float tq_clipf(float v, float lo, float hi) { return v < lo ? lo : v > hi ? hi : v; }

/** A CRC-32 (zlib polynomial) for checksums and short names of data. */
TQ_API uint32_t tq_crc32(uint32_t crc, const void *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
