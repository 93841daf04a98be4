/* Adam, in the form of PyTorch with the decay as part of the gradient (L2):
 *
 *   g <- g + weight_decay * w
 *   m <- beta1 * m + (1 - beta1) * g,   v <- beta2 * v + (1 - beta2) * g^2
 *   w <- w - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
 *
 * Source: Kingma and Ba, ICLR 2015, arXiv:1412.6980, algorithm 1. */
#include "train/train_internal.h"

#include <math.h>

void tq_update_adam(const tq_optimizer_params *p, double lr, double weight_decay, int64_t step,
                    int64_t n, float *w, const float *grad, float *const *states)
{
    const float beta1 = (float)p->beta1, beta2 = (float)p->beta2, decay = (float)weight_decay;
    const float rate = (float)(lr / (1.0 - pow(p->beta1, (double)step)));
    const float correction = (float)sqrt(1.0 - pow(p->beta2, (double)step));
    const float epsilon = (float)p->epsilon;
    float *m = states[0], *v = states[1];
    for (int64_t i = 0; i < n; i++) {
        const float g = grad[i] + decay * w[i];
        m[i] = beta1 * m[i] + (1.0f - beta1) * g;
        v[i] = beta2 * v[i] + (1.0f - beta2) * g * g;
        w[i] -= rate * m[i] / (sqrtf(v[i]) / correction + epsilon);
    }
}

const tq_optimizer tq_optimizer_adam = {
    .entry = { .name = "adam", .brief = "adaptive moments", .source = "arXiv:1412.6980" },
    .n_states = 2,
    .defaults = { .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 },
    .update = tq_update_adam,
};
