/* The loss of classifiers: mean cross-entropy of output [N, C] (or [N, C, 1, ...]) with labels. */
#include <truq/train.h>

static tq_status append(tq_graph *graph, tq_value *output, tq_value *target, double label_smoothing,
                        tq_value **out_loss)
{
    if (tq_value_type(output)->rank != 2)
        TQ_TRY(tq_graph_emit(graph, NULL, "Flatten", &output, 1, &TQ_INT("axis", 1), 1, &output));
    return tq_graph_emit(graph, NULL, "CrossEntropy", (tq_value *[]){ output, target }, 2,
                         &TQ_FLOAT("label_smoothing", (float)label_smoothing), 1, out_loss);
}

const tq_loss tq_loss_cross_entropy = {
    .entry = { .name = "cross-entropy", .brief = "mean cross-entropy of classes" },
    .wants_labels = true,
    .append = append,
};
