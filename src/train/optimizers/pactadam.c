/* The update of 'adam' with the parameter groups of QuantLib's PACTAdam: trained bounds of
 * quantisers decay by pact_decay, everything else by weight_decay.
 * Source: Choi et al., arXiv:1805.06085, section 3 (the regularised clipping level). */
#include "train/train_internal.h"

const tq_optimizer tq_optimizer_pactadam = {
    .entry = { .name = "pactadam",
               .brief = "'adam' with a decay of its own for quantisers' bounds",
               .source = "arXiv:1805.06085" },
    .n_states = 2,
    .defaults = { .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .pact_decay = 0.001 },
    .update = tq_update_adam,
};
