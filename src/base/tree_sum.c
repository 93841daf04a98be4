/* Sums of equal parts by a fixed binary tree: step 1 adds part 1 to 0, 3 to 2, ..., step 2 adds 2
 * to 0, ... The order of the additions depends on the number of parts alone. */
#include <truq/threads.h>

void tq_tree_sum(float *parts, int64_t n_parts, int64_t count, int64_t stride)
{
    for (int64_t step = 1; step < n_parts; step *= 2)
        for (int64_t i = 0; i + step < n_parts; i += 2 * step) {
            float *to = parts + i * stride;
            const float *from = parts + (i + step) * stride;
            for (int64_t k = 0; k < count; k++)
                to[k] += from[k];
        }
}

void tq_tree_sum_f64(double *parts, int64_t n_parts, int64_t count, int64_t stride)
{
    for (int64_t step = 1; step < n_parts; step *= 2)
        for (int64_t i = 0; i + step < n_parts; i += 2 * step) {
            double *to = parts + i * stride;
            const double *from = parts + (i + step) * stride;
            for (int64_t k = 0; k < count; k++)
                to[k] += from[k];
        }
}
