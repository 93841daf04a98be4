/* A bias before a batch norm only moves its mean: mean' = mean - bias, and the linear operator has
 * none. Exact up to float rounding. QuantLib's LinearOpBNBiasFolder. */
#include <truq/edit.h>

const tq_editor tq_editor_linear_bias_into_batchnorm = {
    .entry = { .name = "linear-bias-into-bn",
               .brief = "a bias before a batch norm moves into its mean" },
    .stage = TQ_EDIT_CANONICALISE,
    .rules = "rule bias {"
             "  c = Conv|Gemm|ConvTranspose(x, w, bias: const) sole"
             "  y = BatchNormalization(c, gamma, beta, mean: const, var)"
             "  where (c.beta ?? 1) == 1, dtype(bias) == \"f32\", rank(bias) == 1,"
             "        size(bias) == size(mean)"
             "=>"
             "  c = @c(x, w)"
             "  y = @y(c, gamma, beta, mean - bias, var)"
             "}",
};
