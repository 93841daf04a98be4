/* Layer by layer: two networks on the same arrays. */
#include "check.h"

/** An npz dataset of n points [2]. */
static tq_dataset *points(int64_t n)
{
    static char spec[300];
    char path[256];
    snprintf(path, sizeof path, "%s/points.npz", check_folder());
    tq_tensor x = check_random_f32(2, (int64_t[]){ n, 2 }, 5, -1.0f, 1.0f);
    CHECK_OK(tq_npz_save(path, 1, (const char *const[]){ "inputs" }, &x));
    tq_tensor_reset(&x);
    snprintf(spec, sizeof spec, "npz:%s", path);
    tq_dataset *dataset;
    CHECK_OK(tq_dataset_open(check_registry(), spec, TQ_PARTITION_ALL, &dataset));
    return dataset;
}

typedef struct comparison {
    tq_arena *arena;
    int n;
    tq_layer_difference *rows;
} comparison;

static tq_status compare_graphs(const tq_graph *a, const tq_graph *b, comparison *out)
{
    tq_dataset *data = points(19);
    out->arena = tq_arena_create();
    const tq_compare_options options = { .registry = check_registry(),
                                         .data = data,
                                         .n_threads = 1 };
    const tq_status status = tq_compare_layers(a, b, &options, out->arena, &out->rows, &out->n);
    tq_dataset_close(data);
    return status;
}

static comparison compare(const char *text_a, const char *text_b)
{
    comparison c;
    tq_graph *a = check_graph(text_a), *b = check_graph(text_b);
    CHECK_OK(compare_graphs(a, b, &c));
    tq_graph_destroy(a);
    tq_graph_destroy(b);
    return c;
}

TEST(the_same_network_never_diverges)
{
    const char *text = "input x: f32[?,2] a = Relu(x) y = Neg(a)";
    comparison c = compare(text, text);
    CHECK_EQ(c.n, 2);
    CHECK_STR(c.rows[0].name, "a");
    CHECK(!c.rows[0].diverges && !c.rows[1].diverges);
    CHECK_NEAR(c.rows[1].max_difference, 0.0, 0.0);
    tq_arena_destroy(c.arena);
}

TEST(the_first_different_value_is_found)
{
    comparison c = compare("input x: f32[?,2] a = Relu(x) y = Neg(a)",
                           "input x: f32[?,2] a = Relu(x) y = Identity(a)");
    CHECK_EQ(c.n, 2);
    CHECK(!c.rows[0].diverges && c.rows[1].diverges);
    CHECK(c.rows[1].max_difference > 0.5 && c.rows[1].equal < 100.0);
    tq_arena_destroy(c.arena);
}

TEST(differences_count_in_steps_of_the_grid)
{
    const char *fake =
        "input x: f32[?,2] const lo: f32[1] = -1.28 const hi: f32[1] = 1.27 const d: f32[] = %s "
        "s = Add(x,d) y = FakeQuantize(s,lo,hi)[quantizer=\"pact\",q_min=-128,n_levels=256]";
    char a[512], b[512];
    snprintf(a, sizeof a, fake, "0.0");
    snprintf(b, sizeof b, fake, "0.03");
    comparison c = compare(a, b);
    const tq_layer_difference *y = &c.rows[c.n - 1];
    CHECK_STR(y->name, "y");
    CHECK_NEAR(y->step, 0.01, 1e-4);
    CHECK_NEAR(y->max_steps, 3.0, 0.1);
    tq_arena_destroy(c.arena);
}

TEST(codes_are_dequantised_and_found_by_what_they_stand_for)
{
    comparison c;
    tq_graph *a = check_graph("input x: f32[?,2] y = Identity(x)");
    tq_graph *b = check_graph("input x: i8[?,2] codes = Identity(x)");
    tq_graph_set_meta(b, "stage", "true");
    tq_value *values[] = { tq_graph_input(b, 0), tq_graph_output(b, 0) };
    for (int i = 0; i < 2; i++)
        tq_value_set_meta_f64(values[i], "quant.scale", 0.01);
    tq_value_set_meta(values[1], "quant.of", "y");
    CHECK_OK(compare_graphs(a, b, &c));
    CHECK_EQ(c.n, 1);
    CHECK_NEAR(c.rows[0].step, 0.01, 1e-12);
    CHECK(c.rows[0].max_steps <= 0.51);
    tq_graph_destroy(a);
    tq_graph_destroy(b);
    tq_arena_destroy(c.arena);
}

TEST(networks_without_a_common_value_are_refused)
{
    comparison c;
    tq_graph *a = check_graph("input x: f32[?,2] y = Relu(x)");
    tq_graph *b = check_graph("input x: f32[?,2] z = Relu(x)");
    CHECK_FAILS(compare_graphs(a, b, &c), TQ_ERR_STATE, "no inner value in common");
    tq_graph_destroy(a);
    tq_graph_destroy(b);
    tq_arena_destroy(c.arena);
}
