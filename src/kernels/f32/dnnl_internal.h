/* The seam to oneDNN. Its primitives are made for one thread and run, one fixed shard of the batch
 * each, on the threads of our pool: so the bits do not depend on how many there are. */
#ifndef TQ_KERNELS_F32_DNNL_INTERNAL_H
#define TQ_KERNELS_F32_DNNL_INTERNAL_H

#include "kernels/kernels.h"

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

typedef struct tq_conv_options {
    tq_conv_role computes;        /* DST: forward; SRC, WEIGHT: the gradients */
    bool has_bias;                /* forward only */
    bool weight_const;            /* pack the weight at the first run only */
    tq_form forms[TQ_CONV_ROLES]; /* of the caller's src and dst: bf16 both or none */
    tq_pool *pool;
    int n_shards;
} tq_conv_options;

/* ---- one product for one size of shard (dnnl_plan.c) --------------------------------------------
 */

/** One operand in the caller's layout and in oneDNN's. */
typedef struct tq_dnnl_operand {
    dnnl_memory_desc_t outer, inner;
    dnnl_primitive_t reorder; /* NULL: both are the same; never for weights */
    size_t inner_size;
    int64_t stride; /* floats of one sample in the caller's layout */
} tq_dnnl_operand;

typedef struct tq_dnnl_plan {
    int64_t n;
    dnnl_primitive_t conv;
    tq_dnnl_operand operands[TQ_CONV_ROLES];
    dnnl_memory_desc_t bias, scratchpad;
    size_t scratchpad_size;
} tq_dnnl_plan;

/** For n samples. `weight` forces the layout of the weight: that of another plan; may be NULL. */
tq_status tq_dnnl_plan_init(tq_dnnl_plan *plan, dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                            const tq_conv_shape *shape, const tq_conv_options *options, int64_t n,
                            const dnnl_memory_desc_t *weight);
void tq_dnnl_plan_reset(tq_dnnl_plan *plan);
/** The forms that suit the product best, src and dst. is_half: TQ_ERR_UNSUPPORTED unless both are
 *  bf16. */
tq_status tq_dnnl_prefer(const tq_conv_shape *shape, tq_conv_role computes, bool is_half,
                         tq_form out_forms[TQ_CONV_ROLES]);

/* ---- weights (dnnl_pack.c) ---------------------------------------------------------------------
 */

/** Where the elements of a weight in ONNX's layout lie in a blocked one. */
typedef struct tq_pack tq_pack;
/** *out_pack is NULL where both layouts are the same; TQ_ERR_UNSUPPORTED for a layout of no blocks.
 */
tq_status tq_pack_create(const dnnl_memory_desc_t *plain, const dnnl_memory_desc_t *blocked,
                         tq_pack **out_pack);
void tq_pack_destroy(tq_pack *pack);
/** To blocks of f32 or bf16, which have zeros where there are no elements, and back from f32. */
void tq_pack_run(const tq_pack *pack, tq_pool *pool, const float *plain, void *blocked);
void tq_unpack_run(const tq_pack *pack, tq_pool *pool, const float *blocked, float *plain);

/* ---- all shards (dnnl_conv.c) -------------------------------------------------------------------
 */

typedef struct tq_dnnl_conv tq_dnnl_conv;
tq_status tq_dnnl_conv_create(const tq_conv_shape *shape, const tq_conv_options *options,
                              tq_dnnl_conv **out_conv);
void tq_dnnl_conv_destroy(tq_dnnl_conv *conv);

/** Brings the weight into the layout of the primitive; before the shards of a product that reads
 * it.
 */
void tq_dnnl_conv_pack(tq_dnnl_conv *conv, const float *weight);
/** Bytes that a worker needs to run shards. */
size_t tq_dnnl_conv_worker_size(const tq_dnnl_conv *conv);
/** Data points begin .. of shard `shard`: src and dst at its first one. `partial`: the weight
 *  gradient of this shard, in the primitive's layout. */
void tq_dnnl_conv_run_shard(tq_dnnl_conv *conv, int64_t shard, int worker, const float *src,
                            float *dst, void *partial, const float *bias, void *scratch);
int64_t tq_dnnl_conv_n_shards(const tq_dnnl_conv *conv);
/** Bytes of a partial weight gradient. */
size_t tq_dnnl_conv_partial_size(const tq_dnnl_conv *conv);
/** The sum of all partial gradients, in ONNX's layout. */
void tq_dnnl_conv_unpack(const tq_dnnl_conv *conv, const float *total, float *weight);

/** All of it: data[role] of the computed role is written, the others are read; plain layouts. */
size_t tq_dnnl_conv_scratch_size(const tq_dnnl_conv *conv);
void tq_dnnl_conv_run(tq_dnnl_conv *conv, float *const data[TQ_CONV_ROLES], const float *bias,
                      void *scratch);

#endif
