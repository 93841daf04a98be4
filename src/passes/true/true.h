/* What the files that integerise share. */
#ifndef TQ_PASSES_TRUE_H
#define TQ_PASSES_TRUE_H

#include <truq/edit.h>
#include <truq/integerise.h>

/* One value of the fake-quantised graph and what is known of it. */
typedef struct tq_coded {
    const tq_value *value;
    tq_codes codes;
} tq_coded;

/* A node made for the true graph and the name it takes when the old one is gone. */
typedef struct tq_renaming {
    tq_node *node;
    const char *name;
} tq_renaming;

/* Reals made of codes for those who stay float. */
typedef struct tq_real {
    const tq_value *value;
    tq_value *real;
} tq_real;

struct tq_integerise {
    tq_graph *graph;
    tq_node *node;
    tq_arena *arena;
    const tq_true_options *options;
    const tq_edit *edit;
    int n_coded;
    size_t coded_capacity;
    tq_coded *coded;
    int n_renamings;
    size_t renamings_capacity;
    tq_renaming *renamings;
    int n_reals;
    size_t reals_capacity;
    tq_real *reals;
};

/* The whole conversion of a graph with given options; sets no stage. */
tq_status tq_true_walk(tq_graph *graph, const tq_true_options *options, const tq_edit *edit);

/* Codes of any value, NULL if it has none. */
const tq_codes *tq_true_codes(const tq_integerise *t, const tq_value *value);
void tq_true_set_codes(tq_integerise *t, const tq_value *value, const tq_codes *codes);

/* Graph inputs that go into a FakeQuantize (or have a scale from the options) become codes. */
tq_status tq_true_inputs(tq_integerise *t);
/* Graph outputs become int32 (or narrower) on one scale. */
tq_status tq_true_outputs(tq_integerise *t);
/* ---- float islands (options->partial) ---- */

/* The node stays as it is and reads reals: its coded inputs through DequantizeLinear. `why` is left
 * with it. */
tq_status tq_true_keep(tq_integerise *t, const char *why);
/* A FakeQuantize of reals: the QuantizeLinear that makes codes of them. */
tq_status tq_true_enter(tq_integerise *t, bool *out_entered);
/* Graph outputs stay real. */
tq_status tq_true_real_outputs(tq_integerise *t);

/* The grid of a FakeQuantize node, its first one where it has channels; TQ_ERR_STATE if it was
 * never observed. */
tq_status tq_true_grid(tq_integerise *t, const tq_node *fake, tq_grid *out_grid);
/* "cannot integerise 'node' (Op): " before a refusal, of the node at hand. */
tq_status tq_true_wrap(const tq_integerise *t, tq_status status);
/* Smallest of u8, i8, u16, i16, i32 that holds [lo, hi]. */
tq_dtype tq_true_dtype(int64_t lo, int64_t hi);
/* Writes "quant.*" metadata of a value that stands for reals on one scale. */
void tq_true_describe(tq_value *value, double scale, int64_t zero_point, int64_t q_min,
                      int64_t q_max, const char *rounding);

#endif
