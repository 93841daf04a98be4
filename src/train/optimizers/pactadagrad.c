/* The update of 'adagrad' with the parameter groups of QuantLib's PACTAdagrad: trained bounds of
 * quantisers decay by pact_decay, everything else by weight_decay.
 * Source: Choi et al., arXiv:1805.06085, section 3 (the regularised clipping level). */
#include "train/train_internal.h"

const tq_optimizer tq_optimizer_pactadagrad = {
    .entry = { .name = "pactadagrad",
               .brief = "'adagrad' with a decay of its own for quantisers' bounds",
               .source = "arXiv:1805.06085" },
    .n_states = 1,
    .defaults = { .lr = 0.001, .epsilon = 1e-10, .pact_decay = 0.001 },
    .update = tq_update_adagrad,
};
