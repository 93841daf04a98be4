/* DORY (Burrello et al., 2021, IEEE Trans. Comput. 70(8)): deployment to PULP microcontrollers,
 * taken through its Quantlab frontend. 8-bit codes without zero points, 64-bit requantisation
 * (BNRelu_bits 64) whose multipliers and addends travel as float32. */
#include "backends/dory/dory_internal.h"

enum { CODES = 1 << TQ_U8 | 1 << TQ_I8 };

/* Hardware clips at the width of the output: any other bound would be lost. */
static bool clips_at_width(const tq_node *requant, const char **why)
{
    const tq_attrs *attrs = tq_node_attrs(requant);
    const int64_t q_min = tq_attr_int(attrs, "q_min"), q_max = tq_attr_int(attrs, "q_max");
    for (int bits = 2; bits <= 8; bits *= 2) {
        const int64_t half = (int64_t)1 << (bits - 1);
        if ((q_min == 0 && q_max == 2 * half - 1) || (q_min == -half && q_max == half - 1))
            return true;
    }
    *why =
        "the target clips at 2, 4 or 8 bits, signed or unsigned; quantise with 'bitwidth' ranges";
    return false;
}

static bool has_constants(const tq_node *requant, const char **why)
{
    *why = "multiplier and addend must be constants";
    return tq_node_is_const_from(requant, 1) && tq_node_is_const_from(requant, 2) &&
           clips_at_width(requant, why);
}

static bool is_flat(const tq_node *node, const char **why)
{
    *why = "only a flattening to [batch, features] is passed over";
    return dory_is_flatten(node);
}

static bool feeds_addition(const tq_node *node, const char **why)
{
    const tq_value *y = tq_node_output(node, 0);
    for (int i = 0; i < tq_value_n_consumers(y); i++)
        if (!tq_node_is(tq_value_consumer(y, i), "Add")) {
            *why = "a cast that is not the operand of an addition";
            return false;
        }
    return true;
}

/* What the Quantlab frontend and the kernels behind it take (DORY, Quantlab/Parser and HW_Parser).
 */
static const tq_op_limits ops[] = {
    { .op = "ConvInteger",
      .dtypes = CODES,
      .weight_dtypes = 1 << TQ_I8,
      .constant_weight = true,
      .rank = 4,
      .dilation_max = 1,
      .groups = TQ_GROUPS_DEPTHWISE },
    { .op = "MatMulInteger",
      .dtypes = CODES,
      .weight_dtypes = 1 << TQ_I8,
      .constant_weight = true,
      .rank = 2 },
    { .op = "Requant", .accepts = has_constants },
    { .op = "Add" },
    { .op = "Cast", .accepts = feeds_addition },
    { .op = "MaxPool", .dtypes = CODES, .rank = 4, .symmetric_pads = true, .no_ceil = true },
    { .op = "SumPool", .dtypes = CODES, .rank = 4, .no_pads = true, .no_ceil = true },
    { .op = "GlobalSumPool", .dtypes = CODES, .rank = 4 },
    { .op = "Flatten", .accepts = is_flat },
    { .op = "Reshape", .accepts = is_flat },
    { 0 },
};

/* memory.L2, memory.L3, peak MAC/cycle of 8 bits and accelerator frequency of
 * DORY's Hardware_targets/PULP/<name>/HW_description.json. */
static const tq_chip chips[] = {
    { .name = "GAP8",
      .memory = 512000,
      .outside_memory = 8000000,
      .macs_per_cycle = 32,
      .clock_hz = 100e6 },
    { .name = "GAP8_L2", .memory = 512000, .macs_per_cycle = 32, .clock_hz = 100e6 },
    { .name = "GAP9",
      .memory = 1536000,
      .outside_memory = 8000000,
      .macs_per_cycle = 32,
      .clock_hz = 370e6 },
    { 0 },
};

/* The same network for one sample: DORY's shapes are static. */
static tq_status fix_batch(const tq_graph *graph, tq_graph **out_copy)
{
    *out_copy = tq_graph_clone(graph);
    if (tq_graph_n_inputs(graph) != 1)
        return TQ_OK;
    tq_type type = *tq_value_type(tq_graph_input(graph, 0));
    if (type.rank > 0 && type.dims[0] == TQ_DIM_ANY)
        type.dims[0] = 1;
    return tq_graph_infer_for(*out_copy, &type, 1);
}

/* Can every node be part of a layer that the frontend fuses? */
static tq_status check_layers(const tq_graph *graph)
{
    tq_arena *arena = tq_scratch_create();
    tq_graph *copy = NULL;
    dory_net net;
    tq_status status = fix_batch(graph, &copy);
    if (!status)
        status = dory_read(copy, arena, &net);
    tq_graph_destroy(copy);
    tq_arena_destroy(arena);
    return status;
}

static tq_status export_net(const tq_graph *graph, tq_arena *arena,
                            const tq_export_request *request)
{
    dory_net net;
    tq_graph *spelt = NULL;
    TQ_TRY(dory_read(graph, arena, &net));
    TQ_TRY(dory_spell(&net, &spelt));
    const tq_status status = dory_write(&net, spelt, request);
    tq_graph_destroy(spelt);
    return status;
}

static tq_status export_files(const tq_graph *graph, const tq_export_request *request)
{
    tq_arena *arena = tq_scratch_create();
    tq_graph *copy = NULL;
    tq_status status = fix_batch(graph, &copy);
    if (!status)
        status = export_net(copy, arena, request);
    tq_graph_destroy(copy);
    tq_arena_destroy(arena);
    return tq_wrap(status, "cannot export for DORY");
}

const tq_backend tq_backend_dory = {
    .entry = { .name = "dory",
               .brief = "DORY for PULP microcontrollers (Quantlab frontend)",
               .source = "github.com/pulp-platform/dory" },
    .requant = { .mul_bits = 32,
                 .add_bits = 64,
                 .product_bits = 64,
                 .shift_min = 0,
                 .shift_max = 31,
                 .fixed_shift = -1,
                 .f32_exact = true },
    .weight_bits = 8,
    .activation_bits = 8,
    .export_files = export_files,
    .check_graph = check_layers,
    .ops = ops,
    .chips = chips,
};
