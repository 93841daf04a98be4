/* DORY (Burrello et al., 2021, IEEE Trans. Comput. 70(8)): deployment to PULP microcontrollers,
 * taken through its Quantlab frontend. 8-bit codes without zero points, 64-bit requantisation
 * (BNRelu_bits 64) whose multipliers and addends travel as float32. */
#include "backends/dory/dory_internal.h"

static bool can_run(const tq_node *node, const char **why)
{
    static const char *const names[] = { "ConvInteger",
                                         "MatMulInteger",
                                         "Requant",
                                         "Add",
                                         "Cast",
                                         "MaxPool",
                                         "SumPool",
                                         "GlobalSumPool",
                                         "Flatten",
                                         "Conv",
                                         "Gemm",
                                         "MatMul",
                                         "BatchNormalization",
                                         "Relu",
                                         "Clip",
                                         "AveragePool",
                                         "GlobalAveragePool",
                                         "FakeQuantize",
                                         "Reshape" };
    for (int i = 0; i < TQ_COUNT(names); i++)
        if (tq_node_is(node, names[i]))
            return true;
    if (why)
        *why = "DORY's frontend has no such operator";
    return false;
}

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
    tq_arena *arena = tq_arena_create();
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
    .can_run = can_run,
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
};
