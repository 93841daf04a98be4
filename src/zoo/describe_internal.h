/* What the files that build networks from descriptions share. */
#ifndef TQ_ZOO_DESCRIBE_INTERNAL_H
#define TQ_ZOO_DESCRIBE_INTERNAL_H

#include "zoo/zoo.h"

#include <truq/op.h>

enum { TQ_DESCRIBE_MAX_WIDTH = 1 << 20, TQ_DESCRIBE_MAX_INPUTS = 64 };

/* What a layer is called, and what it makes. */
typedef struct tq_made {
    const char *name;
    tq_value *value;
} tq_made;

typedef struct tq_describer {
    tq_builder b;
    const tq_zoo_description *description;
    tq_arena *arena;
    int n_made, n_layers;
    size_t capacity;
    tq_made *made;
    tq_value *previous;
    const tq_zoo_layer *layer;
    const char *scope; /* "", or "block.0." */
    const char *name;  /* of the layer being built */
} tq_describer;

/* Puts "file:line:column: " before a message; NULL stays NULL. */
tq_status tq_describe_at(const tq_describer *d, size_t line, size_t column, tq_status status);
/* TQ_ERR_VALUE at a parameter or layer. */
#define TQ_DESCRIBE_FAIL(d_, where_, ...)                                                          \
    tq_describe_at((d_), (where_)->line, (where_)->column, tq_fail(TQ_ERR_VALUE, __VA_ARGS__))

/* The parameter of the layer being built, or NULL. */
const tq_zoo_param *tq_describe_param(const tq_describer *d, const char *name);
/* Item i as a whole number; "classes" is what the options or the file say. */
tq_status tq_describe_int(const tq_describer *d, const tq_zoo_param *p, int i, int64_t min,
                          int64_t max, int64_t *out);
/* An operator with weights or windows: *x is what it reads, then what it makes. *out_known: is it
 * one?
 */
tq_status tq_describe_layer(const tq_describer *d, tq_value **x, bool *out_known);
/* Any operator, its parameters attributes or constant inputs. */
tq_status tq_describe_any(const tq_describer *d, tq_value *const *from, int n_from, tq_value **out);
/* One node of the layer's name. */
tq_status tq_describe_emit(const tq_describer *d, const char *op, tq_value *const *inputs,
                           int n_inputs, const tq_attr *attrs, int n_attrs, tq_value **out);

#endif
