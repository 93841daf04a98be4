/* f(max_i x_i) = max_i f(x_i) for every f that never falls: the activation goes first, next to the
 * linear operator that it can be fused with. Bit-exact; of requantisations too, where no multiplier
 * is negative. */
#include <truq/edit.h>

const tq_editor tq_editor_activation_before_pool = {
    .entry = { .name = "activation-before-pool",
               .brief = "a rising activation moves in front of a max pool; bit-exact" },
    .stage = TQ_EDIT_CUSTOM,
    .by_name = true,
    .rules = "rule activation {"
             "  p = MaxPool(x) sole"
             "  y = Relu|Clip|LeakyRelu(p, ...)"
             "  where (y.alpha ?? 0) >= 0"
             "=>"
             "  p = @y(x, ...)"
             "  y = @p(p)"
             "}"
             "rule requantisation {"
             "  p = MaxPool(x) sole"
             "  y = Requant(p, m: const, a: const)"
             "  where min(m) >= 0"
             "=>"
             "  p = @y(x, m, a)"
             "  y = @p(p)"
             "}",
};
