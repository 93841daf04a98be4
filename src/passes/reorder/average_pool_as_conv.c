/* An average over k elements is a depthwise convolution with weights 1/k. The sum is of products
 * instead of a quotient of the sum: both round, |difference| <= (2 k + 2) 2^-24 mean |x|. */
#include <truq/edit.h>

const tq_editor tq_editor_average_pool_as_conv = {
    .entry = { .name = "average-pool-as-conv",
               .brief =
                   "average pools become depthwise convolutions; within (2 k + 2) 2^-24 mean |x| "
                   "for k elements" },
    .stage = TQ_EDIT_CUSTOM,
    .by_name = true,
    .rules = "rule window {"
             "  y = AveragePool(x) [ceil_mode = 0, auto_pad = \"NOTSET\"]"
             "  where dtype(x) == \"f32\", has(dims(x, 1)),"
             "        y.count_include_pad == 1 or sum(y.pads) == 0"
             "=>"
             "  w = full([dims(x, 1), 1] + y.kernel_shape, 1 / prod(y.kernel_shape))"
             "  y = Conv(x, w) [...y, group = dims(x, 1)]"
             "}"
             "rule whole {"
             "  y = GlobalAveragePool(x)"
             "  where dtype(x) == \"f32\", rank(x) == 4, has(dims(x, 1) * dims(x, 2) * dims(x, 3))"
             "=>"
             "  w = full([dims(x, 1), 1, dims(x, 2), dims(x, 3)], 1 / (dims(x, 2) * dims(x, 3)))"
             "  y = Conv(x, w) [group = dims(x, 1)]"
             "}",
};
