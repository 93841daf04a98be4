/* max_i f(x_i) = f(max_i x_i) for every f that never falls: the pool goes first and leaves fewer
 * elements to the activation. Bit-exact; of requantisations too, where no multiplier is negative.
 */
#include <truq/edit.h>

const tq_editor tq_editor_pool_before_activation = {
    .entry = { .name = "pool-before-activation",
               .brief = "a max pool moves in front of a rising activation; bit-exact" },
    .stage = TQ_EDIT_CUSTOM,
    .by_name = true,
    .rules = "rule activation {"
             "  a = Relu|Clip|LeakyRelu(x, ...) sole"
             "  y = MaxPool(a)"
             "  where (a.alpha ?? 0) >= 0"
             "=>"
             "  a = @y(x)"
             "  y = @a(a, ...)"
             "}"
             "rule requantisation {"
             "  r = Requant(x, m: const, a: const) sole"
             "  y = MaxPool(r)"
             "  where min(m) >= 0"
             "=>"
             "  r = @y(x)"
             "  y = @r(r, m, a)"
             "}",
};
