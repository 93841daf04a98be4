/* The grid on which a value lies, read from the network: metadata of values, or the FakeQuantize
 * before it, beyond operators that only move elements. Moved elements have no channels to tell
 * apart: there only one scale for all is a grid. */
#include "rewrite/rule_internal.h"

#include <truq/fake.h>

enum { MAX_MOVES = 64 };

static bool from_metadata(const tq_value *value, tq_arena *arena, tq_value_grid *out)
{
    double *scale = TQ_NEW(arena, double);
    int64_t *zero_point = TQ_NEW(arena, int64_t);
    *out = (tq_value_grid){ .axis = -1, .n = 1, .scale = scale, .zero_point = zero_point };
    return tq_value_meta_f64(value, "quant.scale", scale) &&
           tq_value_meta_i64(value, "quant.zero_point", zero_point) &&
           tq_value_meta_i64(value, "quant.q_min", &out->q_min) &&
           tq_value_meta_i64(value, "quant.q_max", &out->q_max);
}

/* From parameters that were placed already. */
static bool from_quantizer(const tq_node *node, tq_arena *arena, tq_value_grid *out)
{
    tq_grid *grids;
    int n;
    const tq_status status = tq_fake_grids(node, arena, &grids, &n);
    tq_status_drop(status);
    if (status)
        return false;
    double *scale = TQ_NEW_N(arena, double, n);
    int64_t *zero_point = TQ_NEW_N(arena, int64_t, n);
    for (int i = 0; i < n; i++) {
        scale[i] = (double)grids[i].scale;
        zero_point[i] = grids[i].zero_point;
    }
    const int axis = (int)tq_attr_int(tq_node_attrs(node), "axis");
    *out = (tq_value_grid){ axis < 0 ? -1 : axis, n, scale, zero_point, grids[0].q_min,
                            grids[0].q_max };
    return true;
}

bool tq_value_grid_find(const tq_value *value, tq_arena *arena, tq_value_grid *out)
{
    bool moved = false;
    for (int i = 0; value && i < MAX_MOVES; i++) {
        if (from_metadata(value, arena, out))
            return true;
        const tq_node *node = tq_value_producer(value);
        if (!node)
            return false;
        if (tq_node_is(node, "FakeQuantize"))
            return from_quantizer(node, arena, out) && (!moved || out->axis < 0);
        /* A join moves elements of several values. */
        const bool moves = (tq_node_op(node)->flags & TQ_OP_MOVES) && !tq_node_is(node, "Concat");
        if (!moves && !tq_node_is(node, "MaxPool"))
            return false;
        value = tq_node_input(node, 0);
        moved = true;
    }
    return false;
}
