/* The embedded digits: values 0..16 become 0..1. */
#include "data/data_internal.h"

const tq_preset tq_preset_digits = {
    .entry = { .name = "digits", .brief = "the embedded digits, x / 16" },
    .n_train = 2,
    .n_eval = 2,
    .train = { { .name = "ToFloat" }, { "Scale", 1, { 1.0 / 16.0 } } },
    .eval = { { .name = "ToFloat" }, { "Scale", 1, { 1.0 / 16.0 } } },
};
