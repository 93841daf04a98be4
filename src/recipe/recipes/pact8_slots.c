/* PACT with a quantiser on every slot of a linear operator, as accelerators with a 16-bit
 * accumulator compute: weights of 8 bits, correlation and bias of 16, their sum of 8; batch norms
 * are folded first. Everything else is as in pact8, with a quantiser of its own on every sum. The
 * logits keep the scale of the last correlation. */
#include "recipe/recipes/pact8_internal.h"

#define I16 .q_min = -32768, .n_levels = 65536, .step = 1

static const tq_recipe_rule rules[] = {
    PACT8_RULES,
    { .slot = TQ_SLOT_CORRELATION, .spec = { PACT(I16, MINMAX) } },
    { .slot = TQ_SLOT_BIAS, .spec = { PACT(I16, MINMAX) } },
    { .slot = TQ_SLOT_SUM, .spec = { PACT(I8, MINMAX) } },
    { .slot = TQ_SLOT_SUM, .filter = { .last = true } },
};

const tq_recipe tq_recipe_pact8_slots = {
    .entry = { .name = "pact8-slots",
               .brief = "PACT; weight 8, correlation 16, bias 16, sum 8 bit",
               .source = "arXiv:1805.06085; slots as in arXiv:1903.08066" },
    .pipeline = "f2f-folded",
    .n_rules = TQ_COUNT(rules),
    .rules = rules,
    .head_per_tensor = true,
    .optimizer = "pactadam", /* nothing evens out the gradients once batch norms are folded */
    .lr = 0.00002,
    .epochs = 1,
};
