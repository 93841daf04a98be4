/* CIFAR-10 for networks that take pixels 0..255; training crops from 4 pixels of padding and flips.
 * Source of the augmentation: He et al., arXiv:1512.03385, section 4.2. */
#include "data/data_internal.h"

const tq_preset tq_preset_cifar10 = {
    .entry = { .name = "cifar10",
               .brief = "pixels 0..255; training: random crop of 32 with padding 4, flip",
               .source = "arXiv:1512.03385" },
    .n_train = 3,
    .n_eval = 1,
    .train = { { "RandomCrop", 2, { 32, 4 } },
               { .name = "RandomHorizontalFlip" },
               { .name = "ToFloat" } },
    .eval = { { .name = "ToFloat" } },
};
