/* The target nobody builds: any machine with 64-bit integers. 32-bit multiplier, 64-bit addend and
 * product, any shift that fits; what runs here runs on it, and its export is the ONNX file. */
#include <truq/backend.h>

const tq_backend tq_backend_generic = {
    .entry = { .name = "generic", .brief = "any machine with 64-bit integers; exports ONNX" },
    .requant = { .mul_bits = 32,
                 .add_bits = 64,
                 .product_bits = 64,
                 .shift_min = 0,
                 .shift_max = 62,
                 .fixed_shift = -1 },
    .weight_bits = 8,
    .activation_bits = 8,
    .zero_points = true,
};
