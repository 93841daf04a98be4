/* Dropout that drops: its input training_mode becomes the constant true. */
#include <truq/edit.h>

enum { TRAINING_MODE = 2 };

static const tq_pattern pattern = { .n_nodes = 1, .nodes = { { .op = "Dropout" } } };

static bool accept(const tq_match *m)
{
    const tq_value *mode = tq_node_input(m->nodes[0], TRAINING_MODE);
    const tq_tensor *known = mode ? tq_value_tensor(mode) : NULL;
    return !known || tq_tensor_count(known) != 1 || !tq_load_i64(known->data, known->type.dtype, 0);
}

static tq_status apply(tq_graph *graph, const tq_match *m)
{
    const tq_type type = tq_type_make(TQ_BOOL, 0, NULL);
    tq_tensor yes;
    TQ_TRY(tq_tensor_init_from(&yes, &type, &(uint8_t){ 1 }));
    tq_value *value;
    const tq_status status = tq_graph_add_constant(graph, "training_mode", &yes, &value);
    tq_tensor_reset(&yes);
    TQ_TRY(status);
    tq_node_set_input(m->nodes[0], TRAINING_MODE, value);
    return tq_node_infer(m->nodes[0]);
}

const tq_editor tq_editor_train_dropout = {
    .entry = { .name = "train-dropout", .brief = "Dropout in training mode" },
    .stage = TQ_EDIT_GRAD,
    .by_name = true,
    .pattern = &pattern,
    .accept = accept,
    .apply = apply,
};
