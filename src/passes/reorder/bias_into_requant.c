/* (acc + b) m + a = acc m + (b m + a): a bias before a requantisation goes into its addend, and the
 * addition of codes goes. Bit-exact as long as b m + a fits 64 bits, which 'prove' checks. */
#include <truq/edit.h>

const tq_editor tq_editor_bias_into_requant = {
    .entry = { .name = "bias-into-requant",
               .brief = "a bias before a requantisation goes into its addend; bit-exact" },
    .stage = TQ_EDIT_CUSTOM,
    .by_name = true,
    .rules = "rule bias {"
             "  y = Requant(Add(acc, b: const) commutative sole, m: const, a: const)"
             "  where rank(b) <= rank(acc),"
             "        size(b) == 1 or dims(b, rank(b) - rank(acc) + y.axis) == size(b)"
             "=>"
             "  y = @y(acc, m, a + cast(Reshape(b, [-1]), \"i64\") * cast(m, \"i64\"))"
             "}",
};
