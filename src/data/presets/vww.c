/* Visual wake words as in MLPerf Tiny: the whole image resized to the model's size (96 x 96),
 * pixels / 255. */
#include "data/data_internal.h"

const tq_preset tq_preset_vww = {
    .entry = { .name = "vww",
               .brief = "resized to the model's size (96), / 255; training: flip",
               .source = "MLPerf Tiny" },
    .n_train = 3,
    .n_eval = 2,
    .train = { { .name = "RandomHorizontalFlip" },
               { "Resize", 2, { 96, 96 } },
               { .name = "ToTensor" } },
    .eval = { { "Resize", 2, { 96, 96 } }, { .name = "ToTensor" } },
    .sized_by_model = true,
};
