/* PACT with a quantiser on every slot of a linear operator, as accelerators with a 16-bit
 * accumulator compute: weights of 8 bits, correlation and bias of 16, their sum of 8; batch norms
 * are folded first. Everything else is as in pact8, with a quantiser of its own on every sum. The
 * logits keep the scale of the last correlation. */
#include <truq/recipe.h>

static const char *const relu[] = { "Relu", NULL };
static const char *const relu6[] = { "Relu6", NULL };
static const char *const never_negative[] = { "Sigmoid", "HardSigmoid", "Softmax", NULL };

#define PACT(range_, init_)                                                                        \
    .quantizer = "pact", .range = { range_ }, .init = { init_ }, .rounding = TQ_ROUND_HALF_UP
#define FIXED(range_, init_)                                                                       \
    .quantizer = "fixed", .range = { range_ }, .init = { init_ }, .rounding = TQ_ROUND_HALF_UP
#define I8 .q_min = -128, .n_levels = 256, .step = 1
#define U8 .q_min = 0, .n_levels = 256, .step = 1
#define I16 .q_min = -32768, .n_levels = 65536, .step = 1
#define MINMAX .kind = TQ_INIT_MINMAX
#define FROM_0_TO_6 .kind = TQ_INIT_CONST, .a = 0.0, .b = 6.0
#define FIVE_SIGMA .kind = TQ_INIT_MEANSTD, .n_std = 5.0

static const tq_recipe_rule rules[] = {
    { .slot = TQ_SLOT_INPUT, .spec = { FIXED(I8, MINMAX), .unsigned_if_positive = true } },
    { .slot = TQ_SLOT_WEIGHT, .spec = { PACT(I8, MINMAX), .per_channel = true } },
    { .slot = TQ_SLOT_CORRELATION, .spec = { PACT(I16, MINMAX) } },
    { .slot = TQ_SLOT_BIAS, .spec = { PACT(I16, MINMAX) } },
    { .slot = TQ_SLOT_SUM, .spec = { PACT(I8, MINMAX) } },
    { .slot = TQ_SLOT_SUM, .filter = { .last = true } },
    { .slot = TQ_SLOT_ACTIVATION, .spec = { PACT(I8, MINMAX) } },
    { .slot = TQ_SLOT_ACTIVATION,
      .filter = { .types = never_negative },
      .spec = { PACT(U8, MINMAX) } },
    { .slot = TQ_SLOT_ACTIVATION, .filter = { .types = relu }, .spec = { PACT(U8, MINMAX) } },
    { .slot = TQ_SLOT_ACTIVATION, .filter = { .types = relu6 }, .spec = { PACT(U8, FROM_0_TO_6) } },
    { .slot = TQ_SLOT_ADD, .spec = { PACT(I8, FIVE_SIGMA), .unsigned_if_positive = true } },
    { .slot = TQ_SLOT_CONCAT, .spec = { PACT(I8, MINMAX), .unsigned_if_positive = true } },
    { .slot = TQ_SLOT_POOL, .spec = { PACT(I8, MINMAX), .unsigned_if_positive = true } },
    { .slot = TQ_SLOT_INTERPOSED, .spec = { PACT(I8, MINMAX), .unsigned_if_positive = true } },
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
