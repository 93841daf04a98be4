/* What is trained: f32 constants in the parameter slots of operators that have parameters,
 *
 *   Conv, ConvTranspose, Gemm, MatMul   weight and bias (MatMul: either side)
 *   Add, Sub after one of these         bias
 *   BatchNormalization                  scale and bias (its mean and variance are statistics)
 *   PRelu                               slope
 *   FakeQuantize                        the parameters that its quantiser trains for its range
 *
 * also where a FakeQuantize or a movement of data (Transpose, Reshape, ...) stands between constant
 * and slot. Every other constant - shapes, bounds of Clip, factors of Mul - stays as it is. */
#include "train/train_internal.h"

#include <truq/op.h>

#include <string.h>

enum { MAX_DEPTH = 16 };

/** How a constant is read as a parameter. */
typedef struct use {
    bool trained, decays;
    tq_role role;
} use;

static tq_status find_bound(const tq_node *node, int i, use *u)
{
    const tq_quantizer *quantizer;
    TQ_TRY(tq_fake_quantizer(node, &quantizer));
    const tq_range range = tq_fake_range(tq_node_attrs(node));
    const unsigned trainable = quantizer->trainable ? quantizer->trainable(&range) : 0;
    if (i - 1 < quantizer->n_params && (trainable >> (i - 1) & 1)) {
        u->trained = true;
        u->role = TQ_ROLE_BOUND;
        u->decays = u->decays || (quantizer->decays >> (i - 1) & 1);
    }
    return TQ_OK;
}

static bool is_bias_of_linear(const tq_node *node, int i)
{
    if (!tq_node_is(node, "Add") && !tq_node_is(node, "Sub"))
        return false;
    const tq_value *other = tq_node_input(node, 1 - i);
    const tq_node *producer = other ? tq_value_producer(other) : NULL;
    if (producer && tq_node_is(producer, "FakeQuantize")) /* of the correlation */
        producer = tq_value_producer(tq_node_input(producer, 0));
    return producer && tq_node_has_flag(producer, TQ_OP_LINEAR);
}

/** Is input i of the node trained, and as what? */
static bool slot_role(const tq_node *node, int i, tq_role *out)
{
    const bool linear = tq_node_has_flag(node, TQ_OP_LINEAR);
    if (tq_node_is(node, "MatMul") || (linear && i == 1))
        *out = TQ_ROLE_WEIGHT;
    else if ((linear && i == 2) || is_bias_of_linear(node, i))
        *out = TQ_ROLE_BIAS;
    else if (tq_node_is(node, "BatchNormalization") && (i == 1 || i == 2))
        *out = TQ_ROLE_NORM;
    else if (tq_node_is(node, "PRelu") && i == 1)
        *out = TQ_ROLE_SLOPE;
    else
        return false;
    return true;
}

static tq_status find_use(const tq_value *value, int depth, use *u)
{
    for (int k = 0; k < tq_value_n_consumers(value); k++) {
        const tq_node *node = tq_value_consumer(value, k);
        const bool fake = tq_node_is(node, "FakeQuantize");
        const bool passes = fake || tq_node_has_flag(node, TQ_OP_MOVES);
        for (int i = 0; i < tq_node_n_inputs(node); i++) {
            if (tq_node_input(node, i) != value)
                continue;
            if (fake && i > 0)
                TQ_TRY(find_bound(node, i, u));
            else if (passes && i == 0 && depth < MAX_DEPTH)
                TQ_TRY(find_use(tq_node_output(node, 0), depth + 1, u));
            else if (!u->trained)
                u->trained = slot_role(node, i, &u->role);
        }
    }
    return TQ_OK;
}

tq_status tq_parameters_find(tq_graph *graph, tq_arena *arena, tq_parameters *out_parameters)
{
    *out_parameters = (tq_parameters){ .arena = arena };
    size_t capacity = 0;
    for (int i = 0; i < tq_graph_n_values(graph); i++) {
        tq_value *value = tq_graph_value(graph, i);
        if (!tq_value_is_const(value) || tq_value_type(value)->dtype != TQ_F32)
            continue;
        use u = { 0 };
        TQ_TRY(find_use(value, 0, &u));
        if (!u.trained)
            continue;
        tq_parameter parameter = { .name = tq_arena_strdup(arena, tq_value_name(value)),
                                   .n = tq_type_count(tq_value_type(value)),
                                   .role = u.role,
                                   .lr_factor = 1.0,
                                   .decays = u.decays };
        void *data;
        TQ_TRY(tq_value_own(value, &data));
        parameter.data = data;
        TQ_PUSH(arena, out_parameters->items, out_parameters->n, capacity, parameter);
    }
    return TQ_OK;
}
