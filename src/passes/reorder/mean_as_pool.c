/* The mean over height and width, as Keras and many exporters write it, is a global average pool.
 * The same sum in another order: |difference| <= 2 k 2^-24 mean |x| for k elements. */
#include <truq/edit.h>

#define WHERE                                                                                      \
    "  where dtype(x) == \"f32\", rank(x) == 4,"                                                   \
    "        elements(axes) in [[2, 3], [3, 2], [-2, -1], [-1, -2], [2, -1], [-2, 3]]"

const tq_editor tq_editor_mean_as_pool = {
    .entry = { .name = "mean-as-pool",
               .brief =
                   "ReduceMean over height and width becomes GlobalAveragePool; within 2 k 2^-24 "
                   "mean |x| for k elements" },
    .stage = TQ_EDIT_CUSTOM,
    .by_name = true,
    .rules = "rule kept {"
             "  y = ReduceMean(x, axes: const) [keepdims = 1]" WHERE "=>"
             "  y = GlobalAveragePool(x)"
             "}"
             "rule dropped {"
             "  y = ReduceMean(x, axes: const) [keepdims = 0]" WHERE "=>"
             "  y = Squeeze(GlobalAveragePool(x), [2, 3])"
             "}",
};
