/* What the files of the .tflite reader share: the model as plain structs, and the graph being built
 * from it. */
#ifndef TQ_ONNX_TFLITE_TFLITE_H
#define TQ_ONNX_TFLITE_TFLITE_H

#include "flat.h"

#include <truq/op.h>

/* TensorType of the schema. */
enum {
    TQ_TFLITE_FLOAT32 = 0,
    TQ_TFLITE_FLOAT16 = 1,
    TQ_TFLITE_INT32 = 2,
    TQ_TFLITE_UINT8 = 3,
    TQ_TFLITE_INT64 = 4,
    TQ_TFLITE_BOOL = 6,
    TQ_TFLITE_INT16 = 7,
    TQ_TFLITE_INT8 = 9,
    TQ_TFLITE_INT4 = 17,
};

/* A tensor of the file. */
typedef struct tq_tflite_tensor {
    const char *name;
    int64_t type_number;
    tq_type type;        /* as the file says, N, H, W, C; dtype TQ_NONE: not supported */
    const uint8_t *data; /* NULL: not a constant */
    size_t data_size;
    int64_t n_scales; /* 0: not quantised */
    const float *scales;
    const int64_t *zero_points; /* n_scales of them */
    int axis;                   /* of the scales */
    uint32_t open;              /* bit d: axis d has no fixed size, the file says 1 */
} tq_tflite_tensor;

/* A convolution that the file brackets between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND. */
typedef struct tq_tflite_spacing {
    bool known;
    int64_t block[2], pads[4]; /* its dilations; begins, then ends, of height and width */
} tq_tflite_spacing;

typedef struct tq_tflite_operator {
    int64_t code;
    const char *custom;
    int n_inputs, n_outputs;
    int *inputs; /* positions of tensors; -1: absent */
    const int *outputs;
    tq_flat_table options;
    tq_tflite_spacing spacing;
    bool gone; /* part of another one */
} tq_tflite_operator;

typedef struct tq_tflite_model {
    int n_tensors, n_operators, n_inputs, n_outputs;
    tq_tflite_tensor *tensors;
    tq_tflite_operator *operators;
    const int *inputs, *outputs;
} tq_tflite_model;

/* Reads and checks all of the file's first subgraph. Data is borrowed from the file, the rest lies
 * in the arena. */
tq_status tq_tflite_read(const tq_flat *file, tq_arena *arena, tq_tflite_model *out);

/* Dilated convolutions become one operator each. */
void tq_tflite_join_dilations(const tq_tflite_model *model);

/* "SPACE_TO_BATCH_ND" */
const char *tq_tflite_operator_name(int64_t code);

/* ---- building ---- */

/* What is known of a tensor of the file in the graph. Tensors of four axes are kept as N, C, H, W.
 */
typedef struct tq_tflite_value {
    tq_value *real;   /* the float value; NULL: none yet, or a constant not asked for */
    tq_value *codes;  /* the output of QuantizeLinear or a graph input, if there is one */
    tq_value *unflat; /* real is a flattening of this N, C, H, W value that nobody asked for yet */
} tq_tflite_value;

typedef struct tq_tflite_builder {
    tq_graph *graph;
    tq_arena *arena; /* lives as long as the import */
    const tq_tflite_model *model;
    tq_tflite_value *values;      /* one per tensor */
    const tq_tflite_operator *op; /* being built */
    const char *name;             /* its node's */
} tq_tflite_builder;

/* Tensor of input or output i of the operator; NULL if absent. */
const tq_tflite_tensor *tq_tflite_input(const tq_tflite_builder *b, int i);
const tq_tflite_tensor *tq_tflite_output(const tq_tflite_builder *b, int i);
/* The float value of input i (a constant is made one); TQ_ERR_FORMAT if absent. */
tq_status tq_tflite_real(tq_tflite_builder *b, int i, tq_value **out);
/* The same in the order of axes that the file has. */
tq_status tq_tflite_plain(tq_tflite_builder *b, int i, tq_value **out);
/* States output i: the fused activation and, unless the grid is that of input `same` (-1: none),
 * the quantisation of the tensor follow. */
tq_status tq_tflite_set(tq_tflite_builder *b, int i, tq_value *value, int same);
/* The same for a value in the order of axes of the file. */
tq_status tq_tflite_set_plain(tq_tflite_builder *b, int i, tq_value *value, int same);
/* Codes of a graph input as reals; codes of a graph output that has none yet (it is on the grid of
 * what it was made from). */
tq_status tq_tflite_dequantize_input(tq_tflite_builder *b, const tq_tflite_tensor *t,
                                     tq_value *codes, tq_value **out);
tq_status tq_tflite_quantize_output(tq_tflite_builder *b, const tq_tflite_tensor *t,
                                    tq_tflite_value *v);
/* ACTIVATION of the schema behind a value. */
tq_status tq_tflite_activate(tq_tflite_builder *b, int64_t activation, tq_value **x);

/* One node. */
tq_status tq_tflite_emit(tq_tflite_builder *b, const char *op, tq_value *const *inputs,
                         int n_inputs, const tq_attr *attrs, int n_attrs, tq_value **out);
tq_status tq_tflite_add_ints(tq_tflite_builder *b, int n, const int64_t *values, tq_value **out);
tq_status tq_tflite_add_scalar(tq_tflite_builder *b, float value, tq_value **out);
/* A constant of input i with its axes permuted (perm NULL: as they are) and then shaped as `dims`,
 * as float: codes behind DequantizeLinear, `axis` being where the scales go. */
typedef struct tq_tflite_layout {
    const int *perm;
    int rank;
    const int64_t *dims;
    int axis;
} tq_tflite_layout;
tq_status tq_tflite_weight(tq_tflite_builder *b, int i, const tq_tflite_layout *layout,
                           tq_value **out);
/* Integers of a constant input; TQ_ERR_UNSUPPORTED if it is computed. */
tq_status tq_tflite_ints(tq_tflite_builder *b, int i, int64_t *out_n, const int64_t **out_values);
tq_status tq_tflite_option(const tq_tflite_builder *b, int field, size_t size, int64_t *inout);

/* Axis of the file to axis in the graph: N, H, W, C to N, C, H, W for tensors of rank 4. */
int tq_tflite_axis(int rank, int axis);
tq_status tq_tflite_check_axis(const tq_tflite_builder *b, int64_t axis, int rank, int *out);

/* Families of operators; *out_known says whether the code is one of theirs. */
tq_status tq_tflite_build_linear(tq_tflite_builder *b, bool *out_known);
tq_status tq_tflite_build_elementwise(tq_tflite_builder *b, bool *out_known);
tq_status tq_tflite_build_pool(tq_tflite_builder *b, bool *out_known);
tq_status tq_tflite_build_shape(tq_tflite_builder *b, bool *out_known);

/* Pads of TensorFlow's SAME or VALID along one axis. */
void tq_tflite_pads(bool same, int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                    int64_t *out_begin, int64_t *out_end);

#endif
