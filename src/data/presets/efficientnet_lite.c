/* EfficientNet-Lite: short side 256, centre crop of the model's size, (x - 127) / 128 (exact in
 * f32). */
#include "data/data_internal.h"

const tq_preset tq_preset_efficientnet_lite = {
    .entry = { .name = "efficientnet_lite",
               .brief = "short side 256, centre crop of the model's size, (x - 127) / 128",
               .source = "tensorflow/tpu, efficientnet/lite" },
    .n_train = 4,
    .n_eval = 4,
    .train = { { .name = "RandomHorizontalFlip" },
               { "RandomResizedCrop", 1, { 224 } },
               { .name = "ToFloat" },
               { "Scale", 2, { 1.0 / 128.0, -127.0 / 128.0 } } },
    .eval = { { "Resize", 1, { 256 } },
              { "CenterCrop", 1, { 224 } },
              { .name = "ToFloat" },
              { "Scale", 2, { 1.0 / 128.0, -127.0 / 128.0 } } },
    .sized_by_model = true,
};
