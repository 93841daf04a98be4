/* From outputs to classes: the largest of a row, ties to the lowest index. */
#include "train/train_internal.h"

int64_t tq_n_classes(const tq_type *output)
{
    return output->rank > 1 ? tq_type_count_from(output, 1) : 1;
}

int64_t tq_argmax(const tq_tensor *output, int64_t i)
{
    const int64_t n = tq_n_classes(&output->type);
    int64_t best = 0;
    double largest = n > 0 ? tq_load_f64(output->data, output->type.dtype, i * n) : 0.0;
    for (int64_t c = 1; c < n; c++) {
        const double v = tq_load_f64(output->data, output->type.dtype, i * n + c);
        if (v > largest) {
            largest = v;
            best = c;
        }
    }
    return best;
}

int64_t tq_rank_of(const tq_tensor *output, int64_t i, int64_t label)
{
    const int64_t n = tq_n_classes(&output->type);
    const double own = tq_load_f64(output->data, output->type.dtype, i * n + label);
    int64_t rank = 0;
    for (int64_t c = 0; c < n; c++) {
        const double v = tq_load_f64(output->data, output->type.dtype, i * n + c);
        rank += v > own || (v == own && c < label);
    }
    return rank;
}
