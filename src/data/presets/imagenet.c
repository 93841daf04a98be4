/* ImageNet as QuantLib's walk-through prepares it: normalised and put on an int8 grid, so that
 * float, fake-quantised and true-quantised networks see the same values. Its scale spans the
 * normalised images of the validation set, -2.1179 .. 2.64. */
#include "data/data_internal.h"

#define SCALE 0.020625000819563866
#define TAIL                                                                                       \
    { .name = "ToTensor" }, { "Normalize", 6, { 0.485, 0.456, 0.406, 0.229, 0.224, 0.225 } },      \
    {                                                                                              \
        "Integerise", 4,                                                                           \
        {                                                                                          \
            SCALE, 0, -128, 127                                                                    \
        }                                                                                          \
    }

const tq_preset tq_preset_imagenet = {
    .entry = { .name = "imagenet",
               .brief = "short side 256, centre crop of the model's size, normalised, int8 grid",
               .source = "QuantLib" },
    .n_train = 5,
    .n_eval = 5,
    .train = { { .name = "RandomHorizontalFlip" }, { "RandomResizedCrop", 1, { 224 } }, TAIL },
    .eval = { { "Resize", 1, { 256 } }, { "CenterCrop", 1, { 224 } }, TAIL },
    .sized_by_model = true,
    .scale = SCALE,
};
