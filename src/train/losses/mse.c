/* The loss of regression and of autoencoders: mean squared error over all elements. */
#include <truq/train.h>

static tq_status append(tq_graph *graph, tq_value *output, tq_value *target, double label_smoothing,
                        tq_value **out_loss)
{
    (void)label_smoothing;
    return tq_graph_emit(graph, NULL, "MeanSquaredError", (tq_value *[]){ output, target }, 2, NULL,
                         0, out_loss);
}

const tq_loss tq_loss_mse = {
    .entry = { .name = "mse", .brief = "mean squared error" },
    .append = append,
};
