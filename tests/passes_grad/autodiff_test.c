/* Autodiff as an editor: what it adds, and what it refuses. */
#include "check.h"

static tq_value *value_of(tq_graph *g, const char *name)
{
    tq_value *value = tq_graph_find_value(g, name);
    CHECK(value != NULL);
    return value;
}

/** The gradient of the value `loss` to the one constant `name`, run. */
static tq_tensor gradient(const char *text, const char *name)
{
    tq_graph *g = check_graph(text);
    tq_value *wrt = value_of(g, name), *grad;
    CHECK_OK(tq_autodiff(g, value_of(g, "loss"), &wrt, 1, &grad));
    CHECK(grad != NULL);
    tq_graph_add_output(g, grad);
    CHECK_OK(tq_graph_verify(g));
    tq_engine *engine;
    CHECK_OK(tq_engine_create(g, NULL, 0, &(tq_engine_options){ 0 }, &engine));
    CHECK_OK(tq_engine_run(engine, NULL, 0, 0));
    tq_tensor copy;
    CHECK_OK(tq_tensor_copy(tq_engine_output(engine, tq_graph_n_outputs(g) - 1), &copy));
    tq_engine_destroy(engine);
    tq_graph_destroy(g);
    return copy;
}

TEST(contributions_of_all_consumers_are_summed)
{
    /* loss = mean((3 x^2 ... )): y = x*x + x, t = 0: d loss / d x = 2 y (2 x + 1) */
    tq_tensor d = gradient("const x: f32[1] = 2.0 const t: f32[1] = 0.0 p = Mul(x, x) "
                           "y = Add(p, x) loss = MeanSquaredError(y, t)",
                           "x");
    CHECK_NEAR((double)*(float *)d.data, 2.0 * 6.0 * 5.0, 1e-4);
    tq_tensor_reset(&d);
}

TEST(a_broadcast_operand_gets_the_sum_in_its_own_shape)
{
    /* y = a + b, a [2,3], b [3]: d loss / d b[j] = sum_i 2/6 y[i][j] */
    tq_tensor d = gradient("const a: f32[2,3] = {1,2,3,4,5,6} const b: f32[3] = 0.0 "
                           "const t: f32[2,3] = 0.0 y = Add(a, b) loss = MeanSquaredError(y, t)",
                           "b");
    CHECK_EQ(d.type.rank, 1);
    for (int j = 0; j < 3; j++)
        CHECK_NEAR((double)((float *)d.data)[j], (5.0 + 2.0 * j) / 3.0, 1e-6);
    tq_tensor_reset(&d);
}

TEST(nodes_beside_the_path_need_no_gradient)
{
    tq_tensor d = gradient("const x: f32[1] = 2.0 const t: f32[1] = 0.0 s = Shape(x) "
                           "c = Cast(x)[to=7] y = Mul(x, x) loss = MeanSquaredError(y, t)",
                           "x");
    CHECK_NEAR((double)*(float *)d.data, 32.0, 1e-4);
    tq_tensor_reset(&d);
}

TEST(an_independent_value_has_no_gradient)
{
    tq_graph *g = check_graph("const x: f32[1] = 2.0 const z: f32[1] = 1.0 const t: f32[1] = 0.0 "
                              "u = Mul(z, z) y = Mul(x, x) loss = MeanSquaredError(y, t)");
    const int n = tq_graph_n_nodes(g);
    tq_value *wrt = value_of(g, "z"), *grad;
    CHECK_OK(tq_autodiff(g, value_of(g, "loss"), &wrt, 1, &grad));
    CHECK(grad == NULL);
    CHECK_EQ(tq_graph_n_nodes(g), n);
    tq_graph_destroy(g);
}

TEST(an_operator_without_gradient_is_named)
{
    tq_graph *g = check_graph("const x: f32[2,2] = 2.0 const t: f32[1,6] = 0.0 "
                              "const s: i64[2] = {1,6} z = Statistics(x) c = Cast(z)[to=1] "
                              "y = Reshape(c, s) loss = MeanSquaredError(y, t)");
    tq_value *wrt = value_of(g, "x"), *grad;
    CHECK_FAILS(tq_autodiff(g, value_of(g, "loss"), &wrt, 1, &grad), TQ_ERR_UNSUPPORTED,
                "no gradient for operator");
    tq_graph_destroy(g);
}

TEST(the_loss_must_be_one_number)
{
    tq_graph *g = check_graph("const x: f32[2] = 2.0 loss = Mul(x, x)");
    tq_value *wrt = value_of(g, "x"), *grad;
    CHECK_FAILS(tq_autodiff(g, value_of(g, "loss"), &wrt, 1, &grad), TQ_ERR_SHAPE, "expected one");
    tq_graph_destroy(g);
}

static tq_status run_editor(tq_graph *g, const char *name)
{
    const tq_entry *entry;
    TQ_TRY(tq_registry_find(check_registry(), TQ_KIND_EDITOR, name, &entry));
    return tq_editor_run((const tq_editor *)entry, g);
}

TEST(training_batchnorm_says_what_it_updates)
{
    tq_graph *g = check_graph("input x: f32[4,2] const s: f32[2] = 1.0 const b: f32[2] = 0.0 "
                              "const m: f32[2] = 0.0 const v: f32[2] = 1.0 "
                              "y = BatchNormalization(x,s,b,m,v)[epsilon=0.001]");
    CHECK_OK(run_editor(g, "train-batchnorm"));
    CHECK_EQ(check_count(g, "BatchNormalization"), 0);
    const tq_node *node = tq_graph_first(g);
    CHECK_STR(tq_value_meta(tq_node_output(node, 1), "train.updates"), "m");
    CHECK_STR(tq_value_meta(tq_node_output(node, 2), "train.updates"), "v");
    CHECK_NEAR((double)tq_attr_float(tq_node_attrs(node), "epsilon"), 0.001, 1e-9);
    CHECK(tq_graph_output(g, 0) == tq_node_output(node, 0));
    tq_graph_destroy(g);
}

TEST(training_dropout_drops_and_is_idempotent)
{
    tq_graph *g = check_graph("input x: f32[4] y = Dropout(x)");
    CHECK_OK(run_editor(g, "train-dropout"));
    CHECK_OK(run_editor(g, "train-dropout"));
    const tq_tensor *mode = tq_value_tensor(tq_node_input(tq_graph_first(g), 2));
    CHECK_EQ(tq_load_i64(mode->data, mode->type.dtype, 0), 1);
    tq_graph_destroy(g);
}

TEST(attention_is_differentiated_once_it_is_taken_apart)
{
    tq_graph *g = check_graph("const q: f32[1,2,3,4] = random(1) const k: f32[1,2,5,4] = random(2) "
                              "const v: f32[1,2,5,4] = random(3) const t: f32[1,2,3,4] = 0.0 "
                              "y = Attention(q, k, v) loss = MeanSquaredError(y, t)");
    tq_value *wrt[] = { value_of(g, "q"), value_of(g, "k"), value_of(g, "v") }, *grads[3];
    CHECK_FAILS(tq_autodiff(g, value_of(g, "loss"), wrt, 3, grads), TQ_ERR_UNSUPPORTED,
                "no gradient for operator Attention");
    CHECK_OK(run_editor(g, "decompose-attention"));
    CHECK_OK(tq_autodiff(g, value_of(g, "loss"), wrt, 3, grads));
    for (int i = 0; i < 3; i++)
        CHECK(grads[i] && tq_type_equal(tq_value_type(grads[i]), tq_value_type(wrt[i])));
    tq_graph_destroy(g);
}
