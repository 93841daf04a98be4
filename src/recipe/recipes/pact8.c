/* PACT at 8 bit: the partitions of QuantLib's F2F8bitPACTRoundingConverter, with half-up rounding
 * in the quantisers where QuantLib shifts weights, batch norms and bounds by half a step afterwards
 * (its Rounder). What QuantLib leaves to a hand-written editor has rules too: inputs, pools and
 * concatenations. The grid of an input belongs to the data, and is not trained. A value that was
 * never negative where a signed grid is due takes the unsigned one. */
#include "recipe/recipes/pact8_internal.h"

static const tq_recipe_rule rules[] = { PACT8_RULES };

const tq_recipe tq_recipe_pact8 = {
    .entry = { .name = "pact8",
               .brief = "PACT, 8 bit, rounding half-up",
               .source = "arXiv:1805.06085; QuantLib F2F8bitPACTRoundingConverter" },
    .pipeline = "f2f",
    .n_rules = TQ_COUNT(rules),
    .rules = rules,
    .head_per_tensor = true,
    .fuse_activations = true,
    .optimizer = "pactsgd",
    .lr = 0.001,
    .epochs = 1,
};
