/* What the editors that insert quantisers share. */
#ifndef TQ_PASSES_FAKE_H
#define TQ_PASSES_FAKE_H

#include <truq/op.h>
#include <truq/recipe.h>

/* The recipe of this edit; TQ_ERR_STATE if there is none. */
tq_status tq_fake_recipe(const tq_edit *edit, const tq_recipe **out_recipe);

/* Parameters of a new quantiser: constants "<name>.<parameter>", n_channels values each, all NaN
 * ("never observed"). `params` has room for TQ_QUANTIZER_MAX_PARAMS. */
tq_status tq_fake_add_params(tq_graph *graph, const char *name, const tq_slot_spec *spec,
                             int64_t n_channels, tq_value **params, int *out_n);

/* Adds FakeQuantize(x, params...) named "<name>.fq" before `before`. axis -1: per tensor. */
tq_status tq_fake_add(tq_graph *graph, tq_node *before, const char *name, tq_slot slot,
                      const tq_slot_spec *spec, int axis, bool observe, tq_value *x,
                      tq_value *const *params, int n_params, tq_value **out_y);

/* Quantises a value for all its consumers (not for the graph's output): parameters of its own. */
tq_status tq_fake_insert(tq_graph *graph, tq_value *value, tq_slot slot, const tq_slot_spec *spec,
                         const tq_edit *edit);

/* Quantises a value for its consumers and where it is a graph output, which keeps its name. */
tq_status tq_fake_insert_everywhere(tq_graph *graph, tq_value *value, tq_slot slot,
                                    const tq_slot_spec *spec, const tq_edit *edit);

/* Quantises a constant: its own statistics place the grid, at every forward pass where the
 * quantiser wants that. An equal FakeQuantize that is there already serves. axis -1: per tensor. */
tq_status tq_fake_add_constant(tq_graph *graph, tq_node *before, tq_value *constant, tq_slot slot,
                               const tq_slot_spec *spec, int axis, tq_value **out_y);

/* Quantises one input of one node with given parameters. */
tq_status tq_fake_insert_at(tq_node *node, int i, tq_slot slot, const tq_slot_spec *spec,
                            bool observe, tq_value *const *params, int n_params);

/* A constant, or one behind a quantiser. */
bool tq_fake_is_constant(const tq_value *value);

/* Does the node only move or select codes of input 0? */
bool tq_fake_keeps_grid(const tq_node *node);

/* What a value was before operators that only move elements (Reshape, Transpose, Gather, ...):
 * there channels still lie where the scales of a linear operator expect them. */
tq_value *tq_fake_root(tq_value *value);

/* Is the value on a grid: made by FakeQuantize, perhaps through operators that only move or select
 * codes? */
bool tq_fake_is_quantized(const tq_value *value);

/* Is everybody who reads the value a quantiser? Then it needs no other. */
bool tq_fake_is_placed(const tq_value *value);

/* Is the value read only by a Relu or Clip whose output goes into a quantiser only? */
bool tq_fake_feeds_quantized_activation(const tq_value *sum);

/* Is the node assigned to the cpu (assign-devices)? Then it stays float. */
bool tq_fake_is_on_cpu(const tq_node *node);

/* Spec for a slot of a node, NULL if the recipe or the assignment of devices leaves it alone. */
const tq_slot_spec *tq_fake_spec(const tq_recipe *recipe, const tq_node *node, tq_slot slot);

/* A linear operator with a constant weight. */
bool tq_fake_is_linear(const tq_node *node);

/* An addition of two values that both depend on the input (not a bias). */
bool tq_fake_is_sum(const tq_node *node);

#endif
