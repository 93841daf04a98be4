/* QuantLib's F2F8bitPACTConverter as it is: floors in weights and activations, constant initial
 * ranges for activations, one scale per output channel in the head as well. Only the input, which
 * QuantLib leaves to preprocessing, rounds half-up: data that already lies on its grid must stay
 * where it is, and a floor would drop a code wherever the division falls an ulp short. */
#include <truq/recipe.h>

static const char *const relu[] = { "Relu", "Relu6", "LeakyRelu", NULL };
static const char *const identity[] = { "Identity", NULL };

#define PACT(range_, init_)                                                                        \
    .quantizer = "pact", .range = { range_ }, .init = { init_ }, .rounding = TQ_ROUND_FLOOR
#define I8 .q_min = -128, .n_levels = 256, .step = 1
#define U8 .q_min = 0, .n_levels = 256, .step = 1
#define MINMAX .kind = TQ_INIT_MINMAX
#define CONST(a_, b_) .kind = TQ_INIT_CONST, .a = a_, .b = b_

static const tq_recipe_rule rules[] = {
    { .slot = TQ_SLOT_INPUT,
      .spec = { .quantizer = "fixed",
                .range = { I8 },
                .init = { MINMAX },
                .rounding = TQ_ROUND_HALF_UP } },
    { .slot = TQ_SLOT_WEIGHT, .spec = { PACT(I8, MINMAX), .per_channel = true } },
    { .slot = TQ_SLOT_ACTIVATION, .spec = { PACT(I8, MINMAX) } },
    { .slot = TQ_SLOT_ACTIVATION,
      .filter = { .types = identity },
      .spec = { PACT(I8, CONST(-1.0, 1.0)) } },
    { .slot = TQ_SLOT_ACTIVATION,
      .filter = { .types = relu },
      .spec = { PACT(U8, CONST(0.0, 6.0)) } },
    { .slot = TQ_SLOT_ADD, .spec = { PACT(I8, MINMAX) } },
    { .slot = TQ_SLOT_CONCAT, .spec = { PACT(I8, MINMAX) } },
    { .slot = TQ_SLOT_POOL, .spec = { PACT(I8, MINMAX) } },
    { .slot = TQ_SLOT_INTERPOSED, .spec = { PACT(I8, MINMAX) } },
};

const tq_recipe tq_recipe_pact8_floor = {
    .entry = { .name = "pact8-floor",
               .brief = "PACT, 8 bit, floors as in QuantLib",
               .source = "QuantLib F2F8bitPACTConverter" },
    .pipeline = "f2f",
    .n_rules = TQ_COUNT(rules),
    .rules = rules,
    .optimizer = "pactsgd",
    .lr = 0.001,
    .epochs = 1,
};
