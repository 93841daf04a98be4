/* PACT at 8 bit: the partitions of QuantLib's F2F8bitPACTRoundingConverter, with half-up rounding
 * in the quantisers where QuantLib shifts weights, batch norms and bounds by half a step afterwards
 * (its Rounder). What QuantLib leaves to a hand-written editor has rules too: inputs, pools and
 * concatenations. The grid of an input belongs to the data, and is not trained. A value that was
 * never negative where a signed grid is due takes the unsigned one. */
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
#define MINMAX .kind = TQ_INIT_MINMAX
#define FROM_0_TO_6 .kind = TQ_INIT_CONST, .a = 0.0, .b = 6.0
#define FIVE_SIGMA .kind = TQ_INIT_MEANSTD, .n_std = 5.0

static const tq_recipe_rule rules[] = {
    { .slot = TQ_SLOT_INPUT, .spec = { FIXED(I8, MINMAX), .unsigned_if_positive = true } },
    { .slot = TQ_SLOT_WEIGHT, .spec = { PACT(I8, MINMAX), .per_channel = true } },
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
