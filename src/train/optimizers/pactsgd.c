/* The update of 'sgd' with the parameter groups of QuantLib's PACTSGD: trained bounds of
 * quantisers decay by pact_decay, everything else by weight_decay.
 * Source: Choi et al., arXiv:1805.06085, section 3 (the regularised clipping level). */
#include "train/train_internal.h"

const tq_optimizer tq_optimizer_pactsgd = {
    .entry = { .name = "pactsgd",
               .brief = "'sgd' with a decay of its own for quantisers' bounds",
               .source = "arXiv:1805.06085" },
    .n_states = 1,
    .defaults = { .lr = 0.001, .momentum = 0.9, .pact_decay = 0.001 },
    .update = tq_update_sgd,
};
