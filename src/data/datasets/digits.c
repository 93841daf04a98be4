/* 1,797 handwritten digits, 8 x 8, values 0..16, built in (digits_data_*.c). Train: the first
 * 1,437; valid and test: the last 360. Written out as text, a digit is its label and then its
 * pixels: 'A'..'P' are 1..16, 'a'..'z' are 1..26 zeros. */
#include "data/data_internal.h"
#include "digits_data.h"

#include <string.h>

enum { SIDE = 8, PIXELS = SIDE * SIDE, N = 1797, N_TRAIN = 1437, N_CLASSES = 10 };

typedef struct digits_state {
    int64_t first;
    uint8_t labels[N], pixels[N][PIXELS];
} digits_state;

static void unpack(digits_state *state)
{
    static const char *const texts[] = { tq_digits_data_0, tq_digits_data_1, tq_digits_data_2 };
    int n = 0;
    for (int t = 0; t < TQ_COUNT(texts); t++)
        for (const char *at = texts[t]; *at; n++) {
            TQ_ASSERT(n < N);
            state->labels[n] = (uint8_t)(*at++ - '0');
            for (int p = 0; p < PIXELS; at++) {
                if (*at >= 'a')
                    p += *at - 'a' + 1;
                else
                    state->pixels[n][p++] = (uint8_t)(*at - 'A' + 1);
            }
        }
    TQ_ASSERT(n == N);
}

static tq_status open_digits(const char *argument, tq_partition partition, tq_dataset *dataset)
{
    static const char *const names[N_CLASSES] = {
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"
    };
    if (*argument)
        return tq_fail(TQ_ERR_VALUE, "'digits' is built in and takes no path");
    digits_state *state = dataset->state = TQ_NEW(dataset->arena, digits_state);
    unpack(state);
    const bool train = partition == TQ_PARTITION_TRAIN, all = partition == TQ_PARTITION_ALL;
    state->first = train || all ? 0 : N_TRAIN;
    dataset->n = all ? N : train ? N_TRAIN : N - N_TRAIN;
    dataset->n_classes = N_CLASSES;
    dataset->class_names = names;
    return TQ_OK;
}

static tq_status read_digit(const tq_dataset *dataset, int64_t i, tq_sample *out_sample)
{
    const digits_state *state = dataset->state;
    out_sample->label = state->labels[state->first + i];
    out_sample->is_image = true;
    TQ_TRY(tq_image_init(&out_sample->data, SIDE, SIDE, 1));
    memcpy(out_sample->data.data, state->pixels[state->first + i], PIXELS);
    return TQ_OK;
}

const tq_dataset_driver tq_dataset_digits = {
    .entry = { .name = "digits",
               .brief = "1,797 handwritten digits 8 x 8, built in",
               .source =
                   "UCI optdigits, doi.org/10.24432/C50P49 (CC BY 4.0), as scikit-learn has it" },
    .open = open_digits,
    .read = read_digit,
};
