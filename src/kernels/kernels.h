/* Door of the room of kernels: fused integer layers, which the engine puts in place of chains of
 * nodes of a true-quantised graph, and the parts that float operators are made of, which it runs
 * shard by shard of the batch. Every layer gives the bits of the nodes it stands for; so does every
 * part that sums nothing. */
#ifndef TQ_KERNELS_KERNELS_H
#define TQ_KERNELS_KERNELS_H

#include "ops/ops.h"

/** Room around an image that a layer reads as padding. */
typedef struct tq_border {
    int64_t top, left, bottom, right;
    uint8_t fill; /* what the room holds, as codes are held */
} tq_border;

/** Codes of one value [n, c, h, w]: byte (n, y, x, c) lies at n * image + (y + top) * row +
 *  (x + left) * pixel + c. Signed codes are held moved by 128, so that all are u8. */
typedef struct tq_codes_layout {
    int64_t n, c, h, w;
    tq_border border;
    int64_t pixel, row, image;
    size_t size; /* bytes to provide; more than the images take, since kernels read ahead */
    bool is_signed;
} tq_codes_layout;

/** A layout for type [n, c], [n, c, w] or [n, c, h, w] of 8-bit codes. */
tq_codes_layout tq_codes_layout_make(const tq_type *type, const tq_border *border);
/** The smallest border that holds both. */
tq_border tq_border_join(const tq_border *a, const tq_border *b);

enum { TQ_LAYER_MAX_INPUTS = 2 };

typedef struct tq_layer tq_layer;

/** The pointers of one run. */
typedef struct tq_layer_run {
    const void *in[TQ_LAYER_MAX_INPUTS];
    void *out;
    tq_pool *pool;
} tq_layer_run;

typedef struct tq_layer_kind {
    const char *brief;
    /** The layouts are known now: finds offsets. */
    void (*place)(tq_layer *layer);
    /** Hands out pieces by tq_parallel_for and changes nothing else: all threads of a pool may call
     * it at once (tq_pool_together). */
    void (*run)(const tq_layer *layer, const tq_layer_run *run);
    void (*release)(tq_layer *layer);
} tq_layer_kind;

/** A fused layer. Who made it fills `in` and `out` and calls kind->place once before running. */
struct tq_layer {
    const tq_layer_kind *kind;
    int n_in;
    tq_border need[TQ_LAYER_MAX_INPUTS];          /* border that it reads of each input */
    tq_codes_layout in[TQ_LAYER_MAX_INPUTS], out; /* out is unused where the output is plain */
    bool is_out_plain;                            /* i32 or codes as ONNX lays them out */
};

void tq_layer_destroy(tq_layer *layer);

/** y = clip((x * multiplier[c] + addend[c]) >> shift, q_min, q_max). */
typedef struct tq_requant_spec {
    const tq_tensor *multiplier, *addend; /* one element or one for each channel */
    int64_t shift, q_min, q_max;
    bool y_signed; /* the codes are i8 */
} tq_requant_spec;

/** Reads the attributes and the constants of a Requant node over axis 1. */
bool tq_requant_spec_read(const tq_node *requant, tq_requant_spec *out);

/** A convolution, or a product of matrices as one with a window of 1 x 1. */
typedef struct tq_conv_spec {
    tq_window window; /* the last two axes are used */
    int64_t n, c, oc, groups;
    bool x_signed;
    int64_t x_zero;  /* zero point of x */
    const int8_t *w; /* element (oc, c, kh, kw) at the sum of indices x strides */
    int64_t w_oc, w_c, w_kh, w_kw;
    const int32_t *bias;            /* [oc], or NULL */
    const tq_requant_spec *requant; /* NULL: plain i32 [n, oc] leaves the layer, window 1 x 1 out */
} tq_conv_spec;

/** Copies what it needs. TQ_ERR_UNSUPPORTED where exactness cannot be had or no kernel fits. */
tq_status tq_layer_conv_create(const tq_conv_spec *spec, tq_layer **out_layer);
tq_status tq_layer_depthwise_create(const tq_conv_spec *spec, tq_layer **out_layer);

/** One operand of an elementwise sum: what each code (as held) contributes. */
typedef struct tq_sum_operand {
    int32_t values[256];
} tq_sum_operand;

/** y = requant(sum of operands), by tables: 1 or 2 operands. */
typedef struct tq_sum_spec {
    int n_operands;
    tq_sum_operand operands[TQ_LAYER_MAX_INPUTS];
    const tq_requant_spec *requant; /* one element */
} tq_sum_spec;
tq_status tq_layer_sum_create(const tq_sum_spec *spec, tq_layer **out_layer);

/** What requantisation makes of code `code` (held), or of a plain number. */
int64_t tq_requant_spec_apply(const tq_requant_spec *spec, int64_t x, int64_t channel);

/** Largest code of each window. */
tq_status tq_layer_max_pool_create(const tq_window *window, tq_layer **out_layer);
/** Requantised sums of whole images. */
tq_status tq_layer_global_sum_create(int64_t c, int64_t n_summed, bool x_signed,
                                     const tq_requant_spec *requant, tq_layer **out_layer);

/** Plain codes to a layout and back. The layout is in `out`, in `in[0]`. */
tq_status tq_layer_pack_create(tq_layer **out_layer);
tq_status tq_layer_unpack_create(tq_layer **out_layer);
/** One layout to another. */
tq_status tq_layer_move_create(tq_layer **out_layer);

/* ---- float operators, shard by shard ------------------------------------------------------- */

/** How a float value [n, c, ...] lies. */
typedef enum tq_form {
    TQ_FORM_PLAIN,   /* as ONNX lays it out */
    TQ_FORM_BLOCKED, /* [n][blocks of channels][pixels][channels of a block], zeros past the last */
    TQ_FORM_HALF,    /* the same in bf16 */
    TQ_N_FORMS
} tq_form;

/** Channels of a block: what fills a register, and what oneDNN's convolutions like on this CPU; 0:
 *  nothing runs shard by shard here. */
int tq_block_size(void);
/** Elements of one data point of a value [n, c, ...], and bytes of an element. */
int64_t tq_form_count(const tq_type *type, tq_form form);
static inline size_t tq_form_element(tq_form form)
{
    return form == TQ_FORM_HALF ? sizeof(uint16_t) : sizeof(float);
}

/** A run of elements of one data point, small enough for the nearest cache: pixels of one block of
 *  channels, or any n elements of the plain form. Arrays by number of the operator's input and
 *  output; NULL where that is no batch array. bf16 comes as uint16_t behind the pointer. */
typedef struct tq_tile {
    int64_t n;      /* elements: pixels x block size, or of the plain form */
    int64_t block;  /* which block of channels; 0 in the plain form */
    int width;      /* channels of a block; 1 in the plain form */
    int n_channels; /* of the block that exist; 0 in the plain form */
    const float *const *in;
    float *const *out;
    void *partial; /* of the shard; NULL: do not sum */
} tq_tile;

/** Data points of one shard. */
typedef struct tq_shard {
    int64_t index, begin, n; /* begin .. begin + n - 1 of the batch */
    int worker;
    const float *const *in; /* at the shard's first data point */
    float *const *out;
    void *partial, *scratch; /* scratch: of the worker, aligned to 64 */
} tq_shard;

/** All shards at once. */
typedef struct tq_batch_run {
    int64_t first, last;    /* shards to sum over: a subtree of the tree of sums */
    const float *const *in; /* at the first data point of shard `first` */
    float *const *out;      /* the same: what the part writes lies in the plain form */
    int64_t n_rows;         /* data points of all these shards */
    void *total;            /* their sum, to be written, if the part sums */
} tq_batch_run;

typedef enum tq_part_kind {
    TQ_PART_TILE,   /* element by element: pieces of any size, in any order, again if need be */
    TQ_PART_SAMPLE, /* data point by data point: a whole shard at once */
    TQ_PART_BATCH /* all shards of this rank at once, on the pool; no row depends on the rows beside
                     it */
} tq_part_kind;

typedef enum tq_part_sum { TQ_SUM_NOTHING, TQ_SUM_F32, TQ_SUM_F64, TQ_SUM_JOIN } tq_part_sum;

/** One of the parts that an operator is cut into: all before a sum over the batch, or all after. */
typedef struct tq_shard_part {
    tq_part_kind kind;
    unsigned reads,
        writes;      /* bit i: input i, output i, as batch arrays, where nothing else is said */
    bool is_second;  /* needs what the part before it summed */
    bool any_form;   /* TILE: works on the plain form too */
    bool keeps_zero; /* TILE: makes 0 of 0, so that channels past the last stay 0 */
    /** What it sums over the batch: an array for each shard, zeroed before, and added up in a fixed
     *  tree; JOIN: joined by `join` in that order. */
    tq_part_sum sums;
    size_t (*partial_size)(const void *state); /* bytes of such an array */
    void (*join)(const void *state, void *into, const void *from);
    /** Before the shards, on the caller's thread; run->in and run->out hold all but batch arrays.
     */
    void (*begin)(void *state, const tq_op_run *run);
    void (*tile)(const void *state, const tq_tile *tile);
    size_t (*scratch_size)(const void *state); /* of a worker; may be NULL */
    void (*sample)(const void *state, const tq_shard *shard);
    void (*batch)(const void *state, const tq_batch_run *whole);
    /** After the shards: makes outputs that are no batch arrays. */
    void (*finish)(void *state, const tq_op_run *run, const void *total);
} tq_shard_part;

enum { TQ_MAX_PARTS = 2 };

/** What the parts of one node do with its inputs and outputs. */
typedef struct tq_ports {
    unsigned reads[TQ_MAX_PARTS],
        writes[TQ_MAX_PARTS]; /* bit i: input i, output i, as batch arrays */
    tq_form in[TQ_OP_MAX_NAMES], out[TQ_OP_MAX_NAMES]; /* of parts that are no tiles */
} tq_ports;

/** An operator that runs shard by shard. Batch arrays have the batch as their first axis. */
typedef struct tq_sharded {
    const char *op; /* its name; NULL: any that is accepted */
    bool (*accepts)(const tq_op *op, const tq_op_run *shapes);
    /** State, and what differs in `ports` from what the parts say. TQ_ERR_UNSUPPORTED: not this
     * one. */
    tq_status (*prepare)(const tq_op *op, const tq_op_run *shapes, tq_ports *ports,
                         void **out_state);
    void (*release)(void *state); /* may be NULL */
    tq_shard_part parts[TQ_MAX_PARTS];
    int n_parts;
} tq_sharded;

/** The first way to run the operator shard by shard that accepts these types; NULL: none. */
tq_status tq_sharded_prepare(const tq_op *op, const tq_op_run *shapes, tq_ports *out_ports,
                             const tq_sharded **out_sharded, void **out_state);

/** A part that brings a value from one form to another, input 0 to output 0: on samples between
 * plain and blocked, on tiles between f32 and bf16; there is none between plain and bf16. */
tq_status tq_convert_prepare(const tq_type *type, tq_form from, tq_form to, tq_ports *out_ports,
                             const tq_sharded **out_sharded, void **out_state);

/** A loop of nothing but arithmetic, to find what a unit of the CPU does at most. */
typedef struct tq_probe {
    const char *unit;
    unsigned needs;
    bool is_codes; /* products of 8-bit codes, else of f32 */
    int64_t macs;  /* of one iteration */
    void (*run)(int64_t n_iterations);
} tq_probe;

/** Best first for codes, then for f32; ends with a row without a name. */
extern const tq_probe tq_probes[];

#endif
