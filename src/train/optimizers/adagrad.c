/* Adagrad:
 *
 *   g <- g + weight_decay * w,   s <- s + g^2,   w <- w - lr * g / (sqrt(s) + epsilon)
 *
 * Source: Duchi, Hazan and Singer, JMLR 12, 2011. */
#include "train/train_internal.h"

#include <math.h>

void tq_update_adagrad(const tq_optimizer_params *p, double lr, double weight_decay, int64_t step,
                       int64_t n, float *w, const float *grad, float *const *states)
{
    (void)step;
    const float rate = (float)lr, decay = (float)weight_decay, epsilon = (float)p->epsilon;
    float *sum = states[0];
    for (int64_t i = 0; i < n; i++) {
        const float g = grad[i] + decay * w[i];
        sum[i] += g * g;
        w[i] -= rate * g / (sqrtf(sum[i]) + epsilon);
    }
}

const tq_optimizer tq_optimizer_adagrad = {
    .entry = { .name = "adagrad", .brief = "rates by the sum of squared gradients" },
    .n_states = 1,
    .defaults = { .lr = 0.01, .epsilon = 1e-10 },
    .update = tq_update_adagrad,
};
