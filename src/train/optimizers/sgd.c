/* Stochastic gradient descent with momentum, in the convention of PyTorch:
 *
 *   g <- g + weight_decay * w
 *   v <- momentum * v + g
 *   w <- w - lr * v               (Nesterov: w - lr * (g + momentum * v))
 *
 * Source: Sutskever et al., ICML 2013; Polyak 1964. */
#include "train/train_internal.h"

void tq_update_sgd(const tq_optimizer_params *p, double lr, double weight_decay, int64_t step,
                   int64_t n, float *w, const float *grad, float *const *states)
{
    (void)step;
    const float rate = (float)lr, decay = (float)weight_decay, momentum = (float)p->momentum;
    float *velocity = states[0];
    for (int64_t i = 0; i < n; i++) {
        const float g = grad[i] + decay * w[i];
        velocity[i] = momentum * velocity[i] + g;
        w[i] -= rate * (p->nesterov ? g + momentum * velocity[i] : velocity[i]);
    }
}

const tq_optimizer tq_optimizer_sgd = {
    .entry = { .name = "sgd", .brief = "stochastic gradient descent with momentum" },
    .n_states = 1,
    .defaults = { .lr = 0.01, .momentum = 0.9 },
    .update = tq_update_sgd,
};
