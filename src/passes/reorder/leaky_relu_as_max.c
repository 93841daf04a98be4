/* LeakyRelu(x) = max(alpha x, x) for alpha <= 1: for hardware that multiplies and compares, but has
 * no such activation. Bit-exact. */
#include <truq/edit.h>

const tq_editor tq_editor_leaky_relu_as_max = {
    .entry = { .name = "leaky-relu-as-max",
               .brief = "LeakyRelu(x) becomes Max(alpha x, x); bit-exact" },
    .stage = TQ_EDIT_CUSTOM,
    .by_name = true,
    .rules = "rule leaky { y = LeakyRelu(x) [alpha <= 1] => y = Max(x * y.alpha, x) }",
};
