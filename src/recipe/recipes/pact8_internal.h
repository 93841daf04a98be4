/* The rules of pact8, which other recipes begin with. */
#ifndef TQ_RECIPE_PACT8_INTERNAL_H
#define TQ_RECIPE_PACT8_INTERNAL_H

#include <truq/recipe.h>

static const char *const pact8_relu[] = { "Relu", NULL };
static const char *const pact8_relu6[] = { "Relu6", NULL };
static const char *const pact8_never_negative[] = { "Sigmoid", "HardSigmoid", "Softmax", NULL };

#define PACT(range_, init_)                                                                        \
    .quantizer = "pact", .range = { range_ }, .init = { init_ }, .rounding = TQ_ROUND_HALF_UP
#define FIXED(range_, init_)                                                                       \
    .quantizer = "fixed", .range = { range_ }, .init = { init_ }, .rounding = TQ_ROUND_HALF_UP
#define I8 .q_min = -128, .n_levels = 256, .step = 1
#define U8 .q_min = 0, .n_levels = 256, .step = 1
#define MINMAX .kind = TQ_INIT_MINMAX
#define FROM_0_TO_6 .kind = TQ_INIT_CONST, .a = 0.0, .b = 6.0
#define FIVE_SIGMA .kind = TQ_INIT_MEANSTD, .n_std = 5.0

/* clang-format off */
#define PACT8_RULES                                                                                \
    { .slot = TQ_SLOT_INPUT, .spec = { FIXED(I8, MINMAX), .unsigned_if_positive = true } },        \
    { .slot = TQ_SLOT_WEIGHT, .spec = { PACT(I8, MINMAX), .per_channel = true } },                 \
    { .slot = TQ_SLOT_ACTIVATION, .spec = { PACT(I8, MINMAX) } },                                  \
    { .slot = TQ_SLOT_ACTIVATION,                                                                  \
      .filter = { .types = pact8_never_negative },                                                 \
      .spec = { PACT(U8, MINMAX) } },                                                              \
    { .slot = TQ_SLOT_ACTIVATION,                                                                  \
      .filter = { .types = pact8_relu },                                                           \
      .spec = { PACT(U8, MINMAX) } },                                                              \
    { .slot = TQ_SLOT_ACTIVATION,                                                                  \
      .filter = { .types = pact8_relu6 },                                                          \
      .spec = { PACT(U8, FROM_0_TO_6) } },                                                         \
    { .slot = TQ_SLOT_ADD, .spec = { PACT(I8, FIVE_SIGMA), .unsigned_if_positive = true } },       \
    { .slot = TQ_SLOT_CONCAT, .spec = { PACT(I8, MINMAX), .unsigned_if_positive = true } },        \
    { .slot = TQ_SLOT_POOL, .spec = { PACT(I8, MINMAX), .unsigned_if_positive = true } },          \
    { .slot = TQ_SLOT_INTERPOSED, .spec = { PACT(I8, MINMAX), .unsigned_if_positive = true } }
/* clang-format on */

#endif
