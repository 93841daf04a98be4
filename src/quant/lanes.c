/* Sums in double whose order depends on the number of elements alone: element i goes to lane
 * i % TQ_N_LANES, lanes are folded in halves. Independent lanes become vector code. */
#include "quant/quant_internal.h"

void tq_lanes_add(double *lanes, int64_t n, const float *x)
{
    double lane[TQ_N_LANES];
    for (int k = 0; k < TQ_N_LANES; k++)
        lane[k] = lanes[k];
    int64_t i = 0;
    for (; i + TQ_N_LANES <= n; i += TQ_N_LANES)
        for (int k = 0; k < TQ_N_LANES; k++)
            lane[k] += (double)x[i + k];
    for (int k = 0; i < n; i++, k++)
        lane[k] += (double)x[i];
    for (int k = 0; k < TQ_N_LANES; k++)
        lanes[k] = lane[k];
}

double tq_lanes_sum(double *lanes)
{
    for (int step = TQ_N_LANES / 2; step > 0; step /= 2)
        for (int k = 0; k < step; k++)
            lanes[k] += lanes[k + step];
    return lanes[0];
}
