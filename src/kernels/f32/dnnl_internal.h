/* The seam to oneDNN. Its primitives are made for one thread and run, one fixed shard of the batch
 * each, on the threads of our pool: so the bits do not depend on how many there are. */
#ifndef TQ_KERNELS_F32_DNNL_INTERNAL_H
#define TQ_KERNELS_F32_DNNL_INTERNAL_H

#include <truq/op.h>

#include <oneapi/dnnl/dnnl.h>

/** NULL on success; a case that oneDNN does not have is TQ_ERR_UNSUPPORTED: another kernel takes
 * it. */
tq_status tq_dnnl_status(dnnl_status_t status, const char *doing);

/** oneDNN asks OpenMP how many threads to use: one, on the calling thread. Returns what it was. */
int tq_dnnl_single_thread(void);
void tq_dnnl_restore_threads(int n);

/** oneDNN obeys TRUQ_CPU too: called before anything of it is made. */
void tq_dnnl_limit_level(void);

/** Kernels on oneDNN are not for the portable level. */
enum { TQ_DNNL_NEEDS = TQ_CPU_AVX2 | TQ_CPU_FMA };

/** Geometry of a convolution, in its own terms whichever of its three products is wanted:
 *  src [n, ic, in...], weight [oc, ic / groups, kernel...], dst [n, oc, out...]. */
typedef struct tq_conv_shape {
    int64_t n, groups, ic, oc;
    int64_t in[2], out[2], kernel[2], stride[2], dilation[2], pad_begin[2], pad_end[2];
} tq_conv_shape;

typedef enum tq_conv_role { TQ_CONV_SRC, TQ_CONV_WEIGHT, TQ_CONV_DST, TQ_CONV_ROLES } tq_conv_role;

typedef struct tq_dnnl_conv tq_dnnl_conv;

typedef struct tq_conv_options {
    tq_conv_role computes; /* DST: forward; SRC, WEIGHT: the gradients */
    bool has_bias;         /* forward only */
    bool weight_const;     /* pack the weight at the first run only */
    tq_pool *pool;
    int n_shards;
} tq_conv_options;

tq_status tq_dnnl_conv_create(const tq_conv_shape *shape, const tq_conv_options *options,
                              tq_dnnl_conv **out_conv);
void tq_dnnl_conv_destroy(tq_dnnl_conv *conv);
size_t tq_dnnl_conv_scratch_size(const tq_dnnl_conv *conv);

/** data[role] of the computed role is written, the others are read. */
void tq_dnnl_conv_run(tq_dnnl_conv *conv, float *const data[TQ_CONV_ROLES], const float *bias,
                      void *scratch);

#endif
