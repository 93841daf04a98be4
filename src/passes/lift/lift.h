/* What the editors that lift others' quantised networks share: grids as constants of a graph, and
 * FakeQuantize nodes on them. */
#ifndef TQ_PASSES_LIFT_H
#define TQ_PASSES_LIFT_H

#include <truq/edit.h>
#include <truq/op.h>

/* The grid of a QuantizeLinear or DequantizeLinear node, or of what carries its codes on. */
typedef struct tq_lift_grid {
    tq_value *scale, *zero; /* constants; zero NULL: 0 */
    int axis;               /* -1: one scale */
    int64_t q_min, q_max;
} tq_lift_grid;

/* The grid of a node of either kind whose codes are of `dtype`; false if its parameters are not
 * constants (f32 scales, one or one per index of one axis) or it has blocks. */
bool tq_lift_read_grid(const tq_node *node, tq_dtype dtype, tq_lift_grid *out);
/* The same scales and zero points, whatever the ends. */
bool tq_lift_same_grid(const tq_lift_grid *a, const tq_lift_grid *b);
/* TQ_ERR_VALUE if a scale is no number above 0. */
tq_status tq_lift_check_grid(const tq_lift_grid *grid);

typedef struct tq_lift_quantizer {
    const tq_lift_grid *grid;
    const char *rounding, *slot, *name; /* name of the node */
    tq_node *before;                    /* NULL: last */
} tq_lift_quantizer;
/* y = FakeQuantize(x) with the quantiser "fixed". */
tq_status tq_lift_add_quantizer(tq_graph *graph, const tq_lift_quantizer *q, tq_value *x,
                                tq_value **out_y);

/* The name of a value or node that is about to go, for its successor; it gets another one. */
const char *tq_lift_take_name(tq_arena *arena, tq_value *value);
const char *tq_lift_take_node_name(tq_arena *arena, tq_node *node);

/* Codes of these dtypes stand for reals; wider ones are sums and biases. */
bool tq_lift_is_code(tq_dtype dtype);
/* The rounding of activations in a network of the graph's dialect. */
const char *tq_lift_rounding(const tq_graph *graph);
/* Does the graph's dialect leave its quantisers to these editors? */
bool tq_lift_wanted(const tq_graph *graph);

#endif
