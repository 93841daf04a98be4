/* acc m + a = (acc + b) m + (a - b m) with b = a / m, cut towards 0: for hardware that adds a bias
 * to the accumulator and has no wide addend. The rest |a - b m| < m stays. Bit-exact as long as acc
 * + b fits its accumulator, which 'prove' checks. */
#include <truq/edit.h>

const tq_editor tq_editor_bias_out_of_requant = {
    .entry = { .name = "bias-out-of-requant",
               .brief = "whole steps of a requantisation's addend become a bias; bit-exact" },
    .stage = TQ_EDIT_CUSTOM,
    .by_name = true,
    .rules = "rule bias {"
             "  acc = ConvInteger|MatMulInteger(...)"
             "  y = Requant(acc, m: const, a: const)"
             "  where min(m) >= 1, max(a) < 2147483648 * min(m), min(a) > -2147483648 * min(m)"
             "=>"
             "  b = cast(a, \"i64\") / cast(m, \"i64\")"
             "  y = @y(acc + along(cast(b, dtype(acc)), y.axis, rank(acc)), m,"
             "         a - b * cast(m, \"i64\"))"
             "}",
};
