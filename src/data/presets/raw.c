/* Images as float 0..255 [C, H, W], arrays as they are. */
#include "data/data_internal.h"

const tq_preset tq_preset_raw = {
    .entry = { .name = "raw", .brief = "pixels 0..255 as they are, arrays as they are" },
    .n_train = 1,
    .n_eval = 1,
    .train = { { .name = "ToFloat" } },
    .eval = { { .name = "ToFloat" } },
};
