/* Functions that exporters write out become one operator again, so that on codes each is one table:
 *
 *   x Sigmoid(x)                          Swish          arXiv:1702.03118
 *   x Clip(x + 3, 0, 6) / 6               HardSwish      arXiv:1905.02244
 *   Clip(x + 3, 0, 6) / 6                 HardSigmoid
 *   x HardSigmoid(x; 1/6, 1/2)            HardSwish
 *   x (1 + Erf(x / sqrt 2)) / 2           Gelu           arXiv:1606.08415
 *   (x - m) / sqrt(mean((x - m)^2) + eps) gain + shift
 *                                         LayerNormalization over the last axis
 *   x / Clip(|x|, eps)                    RMSNormalization with gain 1 / sqrt(n): the same but
 * where the norm |x| over the last axis is about eps Min(Max(x, lo), hi)                   Clip */
#include <truq/edit.h>

static const char rules[] =
    "rule fuse_swish { y = Mul(x, Sigmoid(x) sole) commutative => y = Swish(x) }\n"
    "\n"
    "rule fuse_clip {\n"
    "  y = Min(Max(x, lo: scalar) commutative sole, hi: scalar) commutative\n"
    "  where rank(lo) == 0, rank(hi) == 0, lo <= hi\n"
    "  => y = Clip(x, lo, hi) }\n"
    "\n"
    "rule fuse_hard_sigmoid {\n"
    "  y = Div(Clip(Add(x, 3) commutative sole, 0, 6) sole, 6)\n"
    "  => y = HardSigmoid(x) [alpha = 0.16666667, beta = 0.5] }\n"
    "\n"
    "rule fuse_hard_sigmoid_by_product {\n"
    "  y = Mul(Clip(Add(x, 3) commutative sole, 0, 6) sole, s: scalar) commutative\n"
    "  where abs(s * 6 - 1) < 1e-4\n"
    "  => y = HardSigmoid(x) [alpha = 0.16666667, beta = 0.5] }\n"
    "\n"
    "rule fuse_hard_swish_of_quotient {\n"
    "  y = Div(Mul(x, Clip(Add(x, 3) commutative sole, 0, 6) sole) commutative sole, 6)\n"
    "  => y = HardSwish(x) }\n"
    "\n"
    "rule fuse_hard_swish_of_product {\n"
    "  y = Mul(Mul(x, Clip(Add(x, 3) commutative sole, 0, 6) sole) commutative sole, s: scalar) "
    "commutative\n"
    "  where abs(s * 6 - 1) < 1e-4\n"
    "  => y = HardSwish(x) }\n"
    "\n"
    "rule fuse_hard_swish {\n"
    "  h = HardSigmoid(x) sole  y = Mul(x, h) commutative\n"
    "  where abs(h.alpha * 6 - 1) < 1e-4, h.beta == 0.5\n"
    "  => y = HardSwish(x) }\n"
    "\n"
    "rule fuse_gelu {\n"
    "  d = Div|Mul(x, s: scalar) sole\n"
    "  y = Mul(Mul(x, Add(Erf(d) sole, 1) commutative sole) commutative sole, 0.5) commutative\n"
    "  where (op(d) == \"Div\" and abs(s - 1.41421356) < 1e-4) or\n"
    "        (op(d) == \"Mul\" and abs(s - 0.70710678) < 1e-4)\n"
    "  => y = Gelu(x) }\n"
    "\n"
    "rule fuse_gelu_half_first {\n"
    "  d = Div|Mul(x, s: scalar) sole\n"
    "  y = Mul(Mul(x, 0.5) commutative sole, Add(Erf(d) sole, 1) commutative sole) commutative\n"
    "  where (op(d) == \"Div\" and abs(s - 1.41421356) < 1e-4) or\n"
    "        (op(d) == \"Mul\" and abs(s - 0.70710678) < 1e-4)\n"
    "  => y = Gelu(x) }\n"
    "\n"
    "rule fuse_layer_norm {\n"
    "  m = ReduceMean(x, a: const) sole  c = Sub(x, m)\n"
    "  v = ReduceMean(Pow(c, 2) sole, b: const) sole\n"
    "  n = Div(c, Sqrt(Add(v, e: scalar) commutative sole) sole) sole\n"
    "  y = Add(Mul(n, gain: const) commutative sole, shift: const) commutative\n"
    "  where m.keepdims == 1, v.keepdims == 1, (a == -1 or a == rank(x) - 1),\n"
    "        (b == -1 or b == rank(x) - 1), rank(gain) == 1, rank(shift) == 1, consumers(c) == 2\n"
    "  => y = LayerNormalization(x, gain, shift) [axis = -1, epsilon = e] }\n"
    "\n"
    "rule fuse_unit_norm {\n"
    "  n = ReduceL2(x, a: const) sole\n"
    "  y = Div(x, Expand(Clip(n, e: scalar) sole, _)? sole)\n"
    "  where n.keepdims == 1, (a == -1 or a == rank(x) - 1), has(dims(x, rank(x) - 1)), e > 0,\n"
    "        e < 1e-4\n"
    "  => d = dims(x, rank(x) - 1)\n"
    "     y = RMSNormalization(x, full([d], 1 / sqrt(d))) [axis = -1, epsilon = e * e / d] }\n";

const tq_editor tq_editor_fuse_functions = {
    .entry = { .name = "fuse-functions",
               .brief = "functions that exporters write out become one operator" },
    .stage = TQ_EDIT_CANONICALISE,
    .rules = rules,
};
