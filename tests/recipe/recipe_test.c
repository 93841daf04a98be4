/* Which rule serves which node and slot. */
#include "check.h"

static const tq_slot_spec *spec_for(const char *recipe_name, const tq_node *node, tq_slot slot)
{
    const tq_recipe *recipe;
    CHECK_OK(tq_recipe_load(check_registry(), recipe_name, NULL, &recipe));
    return tq_recipe_spec(recipe, node, slot, false, false);
}

/** x -> op, with up to two constant scalar inputs (NULL: absent) before it is run. */
static tq_node *add_node(tq_graph *graph, const char *op, const float *lo, const float *hi)
{
    const tq_type x_type = tq_type_make(TQ_F32, 2, (int64_t[]){ 1, 4 });
    const tq_type scalar = tq_type_make(TQ_F32, 0, NULL);
    tq_value *inputs[3] = { NULL };
    CHECK_OK(tq_graph_add_input(graph, op, &x_type, &inputs[0]));
    for (int k = 1; k < 3; k++) {
        const float *bound = k == 1 ? lo : hi;
        tq_tensor tensor;
        if (!bound)
            continue;
        CHECK_OK(tq_tensor_init_from(&tensor, &scalar, bound));
        CHECK_OK(tq_graph_add_constant(graph, NULL, &tensor, &inputs[k]));
        tq_tensor_reset(&tensor);
    }
    tq_node *node;
    CHECK_OK(tq_graph_add_node(graph,
                               &(tq_node_spec){ .op = op,
                                                .inputs = inputs,
                                                .n_inputs = hi   ? 3
                                                            : lo ? 2
                                                                 : 1 },
                               &node));
    return node;
}

TEST(a_clip_that_is_a_relu_is_known_as_one)
{
    static const struct {
        float lo, hi;
        const char *name;
    } table[] = { { 0, 6, "Relu6" }, { 0, 4, "Relu" }, { -1, 1, "Clip" }, { 0, 0, "Clip" } };
    for (int i = 0; i < TQ_COUNT(table); i++) {
        tq_graph *graph = tq_graph_create(check_registry());
        CHECK_STR(tq_recipe_type_name(add_node(graph, "Clip", &table[i].lo, &table[i].hi)),
                  table[i].name);
        tq_graph_destroy(graph);
    }
    tq_graph *graph = tq_graph_create(check_registry());
    const float zero = 0.0f;
    CHECK_STR(tq_recipe_type_name(add_node(graph, "Clip", &zero, NULL)), "Relu");
    tq_graph_destroy(graph);
}

TEST(pact8_gives_relu6_its_constant_and_relu_its_maximum)
{
    tq_graph *graph = tq_graph_create(check_registry());
    const float lo = 0.0f, hi = 6.0f;
    const tq_slot_spec *relu =
        spec_for("pact8", add_node(graph, "Relu", NULL, NULL), TQ_SLOT_ACTIVATION);
    const tq_slot_spec *relu6 =
        spec_for("pact8", add_node(graph, "Clip", &lo, &hi), TQ_SLOT_ACTIVATION);
    const tq_slot_spec *leaky =
        spec_for("pact8", add_node(graph, "LeakyRelu", NULL, NULL), TQ_SLOT_ACTIVATION);
    CHECK_STR(tq_range_text(&relu->range).s, "u8");
    CHECK_STR(tq_init_text(&relu->init).s, "minmax");
    CHECK_STR(tq_range_text(&relu6->range).s, "u8");
    CHECK_STR(tq_init_text(&relu6->init).s, "const:0,6");
    CHECK_STR(tq_range_text(&leaky->range).s, "i8");
    CHECK_EQ(relu->rounding, TQ_ROUND_HALF_UP);
    tq_graph_destroy(graph);
}

TEST(pact8_floor_is_quantlibs_first_converter)
{
    tq_graph *graph = tq_graph_create(check_registry());
    tq_node *leaky = add_node(graph, "LeakyRelu", NULL, NULL);
    const tq_slot_spec *act = spec_for("pact8-floor", leaky, TQ_SLOT_ACTIVATION);
    const tq_slot_spec *weight = spec_for("pact8-floor", leaky, TQ_SLOT_WEIGHT);
    const tq_slot_spec *add = spec_for("pact8-floor", leaky, TQ_SLOT_ADD);
    CHECK_STR(tq_range_text(&act->range).s, "u8");
    CHECK_STR(tq_init_text(&act->init).s, "const:0,6");
    CHECK_EQ(act->rounding, TQ_ROUND_FLOOR);
    CHECK(weight->per_channel && weight->rounding == TQ_ROUND_FLOOR);
    CHECK_STR(tq_init_text(&add->init).s, "minmax");
    CHECK(!add->unsigned_if_positive);
    tq_graph_destroy(graph);
}

TEST(the_built_in_recipes_serve_every_slot)
{
    tq_graph *graph = tq_graph_create(check_registry());
    tq_node *node = add_node(graph, "Relu", NULL, NULL);
    static const char *const names[] = { "pact8", "pact8-floor" };
    for (int k = 0; k < TQ_COUNT(names); k++)
        for (int slot = 0; slot <= TQ_SLOT_INTERPOSED; slot++) {
            const tq_slot_spec *spec =
                spec_for(names[k], slot == TQ_SLOT_INPUT ? NULL : node, (tq_slot)slot);
            CHECK(spec);
            CHECK_STR(spec->quantizer, slot == TQ_SLOT_INPUT ? "fixed" : "pact");
        }
    tq_graph_destroy(graph);
}

static const tq_slot_spec first = { .quantizer = "a" }, second = { .quantizer = "b" };

/** The spec a recipe of two rules gives: `first` for all, `second` where the filter accepts. */
static const char *chosen(const tq_filter *filter, const tq_node *node, bool is_first, bool is_last)
{
    const tq_recipe_rule rules[] = {
        { .slot = TQ_SLOT_WEIGHT, .spec = first },
        { .filter = *filter, .slot = TQ_SLOT_WEIGHT, .spec = second }
    };
    const tq_recipe recipe = { .n_rules = 2, .rules = rules };
    return tq_recipe_spec(&recipe, node, TQ_SLOT_WEIGHT, is_first, is_last)->quantizer;
}

TEST(the_last_rule_that_accepts_wins)
{
    tq_graph *graph = tq_graph_create(check_registry());
    tq_node *node = add_node(graph, "Relu", NULL, NULL);
    tq_node_set_name(node, "block3.conv");
    const char *const relu[] = { "Relu", NULL }, *const conv[] = { "Conv", NULL };
    const char *const self[] = { "other", "block3.conv", NULL };
    CHECK_STR(chosen(&(tq_filter){ 0 }, node, false, false), "b");
    CHECK_STR(chosen(&(tq_filter){ .regex = "^block[34]" }, node, false, false), "b");
    CHECK_STR(chosen(&(tq_filter){ .regex = "^block4" }, node, false, false), "a");
    CHECK_STR(chosen(&(tq_filter){ .types = relu }, node, false, false), "b");
    CHECK_STR(chosen(&(tq_filter){ .types = conv }, node, false, false), "a");
    CHECK_STR(chosen(&(tq_filter){ .types = relu, .exclude = self }, node, false, false), "a");
    CHECK_STR(chosen(&(tq_filter){ .first = true }, node, true, false), "b");
    CHECK_STR(chosen(&(tq_filter){ .first = true }, node, false, true), "a");
    CHECK_STR(chosen(&(tq_filter){ .last = true }, node, false, true), "b");
    CHECK_STR(chosen(&(tq_filter){ .types = relu }, NULL, false, false), "a");
    tq_graph_destroy(graph);
}

TEST(a_slot_without_a_rule_has_no_spec)
{
    const tq_recipe recipe = { 0 };
    CHECK(!tq_recipe_spec(&recipe, NULL, TQ_SLOT_INPUT, false, false));
}
