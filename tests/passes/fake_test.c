/* Editors that fake-quantise: where quantisers go, which share parameters, and that a second run
 * adds nothing. */
#include "edits.h"

/* A line for each node; a quantiser says slot, what it reads and its first parameter. */
static char *summary(const tq_graph *graph)
{
    static char text[8192];
    size_t n = 0;
    text[0] = '\0';
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        const bool fake = tq_node_is(node, "FakeQuantize");
        n += (size_t)snprintf(
            text + n, sizeof text - n, "%s = %s", tq_value_name(tq_node_output(node, 0)),
            fake ? tq_attr_string(tq_node_attrs(node), "slot") : tq_node_op_name(node));
        for (int i = 0; i < (fake ? 2 : tq_node_n_inputs(node)); i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? ", " : "(",
                                  tq_value_name(tq_node_input(node, i)));
        n += (size_t)snprintf(text + n, sizeof text - n, ")\n");
    }
    return text;
}

static const tq_recipe *recipe_of(const char *name)
{
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_RECIPE, name, &entry));
    return (const tq_recipe *)(const void *)entry;
}

static tq_graph *f2f(const char *text, const tq_recipe *recipe)
{
    tq_graph *graph = check_graph(text);
    const tq_edit edit = { .registry = check_registry(), .recipe = recipe };
    CHECK_OK(tq_pipeline_run(check_registry(), "f2f", &graph, &edit));
    return graph;
}

/* pact8 whose sums always pass a quantiser of their own. */
static tq_recipe unfused(void)
{
    tq_recipe recipe = *recipe_of("pact8");
    recipe.fuse_activations = false;
    return recipe;
}

static void check_f2f(const char *text, const char *expected)
{
    const tq_recipe recipe = unfused();
    tq_graph *graph = f2f(text, &recipe);
    CHECK_STR(summary(graph), expected);
    const tq_edit edit = { .registry = check_registry(), .recipe = &recipe };
    CHECK_OK(tq_pipeline_run(check_registry(), "f2f", &graph, &edit));
    CHECK_STR(summary(graph), expected);
    tq_graph_destroy(graph);
}

#define X "input x: f32[1,2,4,4]\n"
#define W "const w: f32[2,2,1,1] = random(1)\n const v: f32[2,2,1,1] = random(2)\n"

TEST(weights_activations_and_inputs_pass_quantisers)
{
    check_f2f(X W "c = Conv(x, w)\n a = Relu(c)\n d = Conv(a, v)",
              "x.fq = input(x, x.scale)\n"
              "w.range = WeightRange(w)\n"
              "w.fq = weight(w, w.range)\n"
              "c = Conv(x.fq, w.fq)\n"
              "a = Relu(c)\n"
              "a.fq = activation(a, a.clip_lo)\n"
              "v.range = WeightRange(v)\n"
              "v.fq = weight(v, v.range)\n"
              "d = Conv(a.fq, v.fq)\n");
}

TEST(between_two_linear_operators_a_quantiser_is_interposed)
{
    check_f2f(X W "c = Conv(x, w)\n d = Conv(c, v)", "x.fq = input(x, x.scale)\n"
                                                     "w.range = WeightRange(w)\n"
                                                     "w.fq = weight(w, w.range)\n"
                                                     "c = Conv(x.fq, w.fq)\n"
                                                     "c.fq = interposed(c, c.clip_lo)\n"
                                                     "v.range = WeightRange(v)\n"
                                                     "v.fq = weight(v, v.range)\n"
                                                     "d = Conv(c.fq, v.fq)\n");
}

/* Operands of an addition on different scales cannot be added as integers. */
TEST(operands_and_sum_of_an_addition_share_parameters)
{
    check_f2f(X W "c = Conv(x, w)\n a = Relu(c)\n s = Add(a, x)\n r = Relu(s)\n d = Conv(r, v)",
              "x.fq = input(x, x.scale)\n"
              "w.range = WeightRange(w)\n"
              "w.fq = weight(w, w.range)\n"
              "c = Conv(x.fq, w.fq)\n"
              "a = Relu(c)\n"
              "a.fq = activation(a, a.clip_lo)\n"
              "s.in0.fq = add(a.fq, s.clip_lo)\n"
              "s.in1.fq = add(x.fq, s.clip_lo)\n"
              "s = Add(s.in0.fq, s.in1.fq)\n"
              "s.fq = add(s, s.clip_lo)\n"
              "r = Relu(s.fq)\n"
              "r.fq = activation(r, r.clip_lo)\n"
              "v.range = WeightRange(v)\n"
              "v.fq = weight(v, v.range)\n"
              "d = Conv(r.fq, v.fq)\n");
}

TEST(a_tree_of_additions_has_one_scale)
{
    check_f2f(X "a = Relu(x)\n b = Tanh(x)\n c = Sigmoid(x)\n s = Add(a, b)\n t = Add(s, c)\n y = "
                "Relu(t)\n z = Neg(y)",
              "x.fq = input(x, x.scale)\n"
              "a = Relu(x.fq)\n"
              "a.fq = activation(a, a.clip_lo)\n"
              "b = Tanh(x.fq)\n"
              "b.fq = activation(b, b.clip_lo)\n"
              "c = Sigmoid(x.fq)\n"
              "c.fq = activation(c, c.clip_lo)\n"
              "s.in0.fq = add(a.fq, t.clip_lo)\n"
              "s.in1.fq = add(b.fq, t.clip_lo)\n"
              "s = Add(s.in0.fq, s.in1.fq)\n"
              "t.in1.fq = add(c.fq, t.clip_lo)\n"
              "t = Add(s, t.in1.fq)\n"
              "t.fq = add(t, t.clip_lo)\n"
              "y = Relu(t.fq)\n"
              "y.fq = activation(y, y.clip_lo)\n"
              "z = Neg(y.fq)\n");
}

/* DIANA's fuser: the sum goes straight into a quantised activation, the operands' statistics place
 * the grid. */
TEST(a_sum_that_an_activation_quantises_needs_no_quantiser)
{
    tq_recipe recipe = *recipe_of("pact8");
    recipe.fuse_activations = true;
    tq_graph *graph =
        f2f(X W "c = Conv(x, w)\n s = Add(c, x)\n r = Relu(s)\n d = Conv(r, v)", &recipe);
    tq_node *sum = tq_graph_find_node(graph, "s");
    CHECK_STR(tq_node_op_name(tq_value_consumer(tq_node_output(sum, 0), 0)), "Relu");
    for (int i = 0; i < 2; i++) {
        const tq_node *leaf = tq_value_producer(tq_node_input(sum, i));
        CHECK_STR(tq_node_op_name(leaf), "FakeQuantize");
        CHECK_EQ(tq_attr_int(tq_node_attrs(leaf), "observe"), 1);
        CHECK_STR(tq_value_name(tq_node_input(leaf, 1)), "s.clip_lo");
    }
    tq_graph_destroy(graph);
}

TEST(the_sum_observes_for_its_operands)
{
    tq_graph *graph = f2f(X W "c = Conv(x, w)\n s = Add(c, x)\n r = Tanh(s)\n d = Conv(r, v)",
                          recipe_of("pact8"));
    CHECK_EQ(tq_attr_int(tq_node_attrs(tq_graph_find_node(graph, "s.in0.fq")), "observe"), 0);
    CHECK_EQ(tq_attr_int(tq_node_attrs(tq_graph_find_node(graph, "s.in1.fq")), "observe"), 0);
    CHECK_EQ(tq_attr_int(tq_node_attrs(tq_graph_find_node(graph, "s.fq")), "observe"), 1);
    CHECK_EQ(tq_attr_int(tq_node_attrs(tq_graph_find_node(graph, "s.fq")), "unsigned_if_positive"),
             0);
    tq_graph_destroy(graph);
}

TEST(a_bias_is_no_sum)
{
    check_f2f("input x: f32[1,4]\n const w: f32[4,2] = random(1)\n const b: f32[2] = random(2)\n m "
              "= MatMul(x, w)\n y = Add(m, b)",
              "x.fq = input(x, x.scale)\n"
              "w.range = WeightRange(w)\n"
              "w.fq = weight(w, w.range)\n"
              "m = MatMul(x.fq, w.fq)\n"
              "y = Add(m, b)\n");
}

TEST(pools_concatenations_and_products_pass_quantisers)
{
    check_f2f(X "p = GlobalAveragePool(x)\n s = Sigmoid(p)\n m = Mul(x, s)\n c = Concat(m, x) "
                "[axis=1]\n y = MaxPool(c) [kernel_shape=[2,2]]\n"
                "q = Tanh(y)\n r = Neg(q)",
              "x.fq = input(x, x.scale)\n"
              "p = GlobalAveragePool(x.fq)\n"
              "p.fq = pool(p, p.clip_lo)\n"
              "s = Sigmoid(p.fq)\n"
              "s.fq = activation(s, s.clip_lo)\n"
              "m = Mul(x.fq, s.fq)\n"
              "c = Concat(m, x.fq)\n"
              "c.fq = concat(c, c.clip_lo)\n"
              "y = MaxPool(c.fq)\n"
              "q = Tanh(y)\n"
              "q.fq = activation(q, q.clip_lo)\n"
              "r = Neg(q.fq)\n");
}

TEST(a_max_pool_right_behind_a_convolution_compares_codes)
{
    check_f2f(X W "c = Conv(x, w)\n p = MaxPool(c) [kernel_shape=[2,2]]\n y = Tanh(p)",
              "x.fq = input(x, x.scale)\n"
              "w.range = WeightRange(w)\n"
              "w.fq = weight(w, w.range)\n"
              "c = Conv(x.fq, w.fq)\n"
              "c.fq = interposed(c, c.clip_lo)\n"
              "p = MaxPool(c.fq)\n"
              "y = Tanh(p)\n");
}

TEST(differences_and_joined_constants_pass_quantisers)
{
    check_f2f("input x: f32[1,2,4]\n const w: f32[4,4] = random(1)\n const k: f32[1,1,4] = 1\n"
              "m = MatMul(x, w)\n d = Sub(x, m)\n c = Concat(k, d) [axis=1]\n y = Neg(c)",
              "x.fq = input(x, x.scale)\n"
              "w.range = WeightRange(w)\n"
              "w.fq = weight(w, w.range)\n"
              "m = MatMul(x.fq, w.fq)\n"
              "m.fq = interposed(m, m.clip_lo)\n"
              "d = Sub(x.fq, m.fq)\n"
              "c = Concat(k, d)\n"
              "c.fq = concat(c, c.clip_lo)\n"
              "y = Neg(c.fq)\n");
}

TEST(an_output_stays_in_reals_while_its_readers_get_codes)
{
    check_f2f(X W "c = Conv(x, w)\n a = Relu(c)\n d = Conv(a, v)\n output a\n output d",
              "x.fq = input(x, x.scale)\n"
              "w.range = WeightRange(w)\n"
              "w.fq = weight(w, w.range)\n"
              "c = Conv(x.fq, w.fq)\n"
              "a = Relu(c)\n"
              "a.fq = activation(a, a.clip_lo)\n"
              "v.range = WeightRange(v)\n"
              "v.fq = weight(v, v.range)\n"
              "d = Conv(a.fq, v.fq)\n");
}

/* ---- weights ---- */

TEST(a_shared_weight_is_quantised_once)
{
    tq_graph *graph = f2f(X "const w: f32[2,2,1,1] = random(1)\n c = Conv(x, w)\n a = Relu(c)\n d "
                            "= Conv(a, w)\n b = Relu(d)\n e = Conv(b, w)\n"
                            "f = Relu(e)\n g = Neg(f)",
                          recipe_of("pact8"));
    CHECK_EQ(tq_value_n_consumers(tq_graph_find_value(graph, "w")),
             2); /* its range and its quantiser */
    CHECK_EQ(tq_value_n_consumers(tq_graph_find_value(graph, "w.fq")), 3);
    tq_graph_destroy(graph);
}

TEST(two_specifications_for_one_weight_are_two_quantisers)
{
    tq_recipe recipe = *recipe_of("pact8");
    tq_recipe_rule rules[16];
    memcpy(rules, recipe.rules, (size_t)recipe.n_rules * sizeof *rules);
    rules[recipe.n_rules] = rules[1]; /* weights */
    rules[recipe.n_rules].filter.regex = "^d$";
    rules[recipe.n_rules].spec.range = (tq_range){ .q_min = -8, .n_levels = 16, .step = 1 };
    CHECK_EQ(rules[1].slot, TQ_SLOT_WEIGHT);
    recipe.rules = rules;
    recipe.n_rules++;
    tq_graph *graph = f2f(X "const w: f32[2,2,1,1] = random(1)\n c = Conv(x, w)\n a = Relu(c)\n d "
                            "= Conv(a, w)\n b = Relu(d)\n e = Neg(b)",
                          &recipe);
    const tq_node *c = tq_value_producer(tq_node_input(tq_graph_find_node(graph, "c"), 1));
    const tq_node *d = tq_value_producer(tq_node_input(tq_graph_find_node(graph, "d"), 1));
    CHECK_EQ(tq_attr_int(tq_node_attrs(c), "n_levels"), 256);
    CHECK_EQ(tq_attr_int(tq_node_attrs(d), "n_levels"), 16);
    tq_graph_destroy(graph);
}

static int64_t weight_axis(const char *text)
{
    tq_graph *graph = f2f(text, recipe_of("pact8-floor")); /* per channel to the head */
    const tq_node *linear = tq_graph_find_node(graph, "y");
    const tq_node *fake = tq_value_producer(tq_node_input(linear, 1));
    const int64_t axis = tq_attr_int(tq_node_attrs(fake), "axis");
    tq_graph_destroy(graph);
    return axis;
}

TEST(channels_of_a_weight_are_those_of_the_output)
{
    CHECK_EQ(weight_axis(X "const w: f32[3,2,1,1] = 1\n y = Conv(x, w)"), 0);
    CHECK_EQ(weight_axis(X "const w: f32[2,3,1,1] = 1\n y = ConvTranspose(x, w)"), 1);
    CHECK_EQ(weight_axis("input x: f32[1,2]\n const w: f32[3,2] = 1\n y = Gemm(x, w) [transB=1]"),
             0);
    CHECK_EQ(weight_axis("input x: f32[1,2]\n const w: f32[2,3] = 1\n y = Gemm(x, w)"), 1);
    CHECK_EQ(weight_axis("input x: f32[1,2]\n const w: f32[2,3] = 1\n y = MatMul(x, w)"), 1);
}

/* Per-channel output scales before an argmax make logits that do not compare. */
TEST(the_head_has_one_scale)
{
    tq_graph *graph =
        f2f(X "const w: f32[2,2,1,1] = random(1)\n const h: f32[2,3] = random(2)\n const b: f32[3] "
              "= 1\n c = Conv(x, w)\n a = Relu(c)\n"
              "p = GlobalAveragePool(a)\n f = Flatten(p)\n g = Gemm(f, h, b)\n y = Softmax(g)",
            recipe_of("pact8"));
    const tq_node *body = tq_graph_find_node(graph, "w.fq"),
                  *head = tq_graph_find_node(graph, "h.fq");
    CHECK_EQ(tq_attr_int(tq_node_attrs(body), "axis"), 0);
    CHECK_EQ(tq_attr_int(tq_node_attrs(head), "axis"), -1);
    tq_graph_destroy(graph);
}

/* Ranges with a free offset: the attribute must reach both operators. */
TEST(a_free_offset_is_stated_on_quantiser_and_range)
{
    tq_recipe recipe = *recipe_of("pact8");
    tq_recipe_rule rules[16];
    memcpy(rules, recipe.rules, (size_t)recipe.n_rules * sizeof *rules);
    for (int i = 0; i < recipe.n_rules; i++)
        CHECK_OK(tq_range_parse("bitwidth:8", &rules[i].spec.range));
    recipe.rules = rules;
    tq_graph *graph = f2f(X W "c = Conv(x, w)\n a = Relu(c)\n d = Conv(a, v)", &recipe);
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (tq_node_is(node, "FakeQuantize") || tq_node_is(node, "WeightRange"))
            CHECK_EQ(tq_attr_int(tq_node_attrs(node), "free_offset"), 1, "(%s)",
                     tq_node_name(node));
    tq_graph_destroy(graph);
}

/* ---- the fuser ---- */

TEST(of_two_equal_quantisers_in_a_row_one_goes)
{
    edits_check("fuse-activations",
                "input x: f32[4]\n const s: f32[1] = 0.1\n const z: f32[1] = 0\n a = "
                "FakeQuantize(x, s, z) [quantizer=\"fixed\"]\n"
                "b = FakeQuantize(a, s, z) [quantizer=\"fixed\"]\n y = Relu(b)",
                "input x: f32[4]\n const s: f32[1] = 0.1\n const z: f32[1] = 0\n a = "
                "FakeQuantize(x, s, z) [quantizer=\"fixed\"]\n y = Relu(a)",
                0);
}

TEST(quantisers_on_different_grids_stay)
{
    edits_check_none(
        "fuse-activations",
        "input x: f32[4]\n const s: f32[1] = 0.1\n const t: f32[1] = 0.2\n const z: f32[1] = 0\n"
        "a = FakeQuantize(x, s, z) [quantizer=\"fixed\"]\n b = FakeQuantize(a, t, z) "
        "[quantizer=\"fixed\"]\n"
        "c = FakeQuantize(b, t, z) [quantizer=\"fixed\", q_min=-128]\n y = Relu(c)");
}

TEST(without_a_recipe_the_editors_say_so)
{
    tq_graph *graph = check_graph(X "y = Relu(x)");
    CHECK_FAILS(tq_editor_run(edits_find("quantize-weights"), graph), TQ_ERR_STATE,
                "editor 'quantize-weights': needs a recipe");
    tq_graph_destroy(graph);
}
