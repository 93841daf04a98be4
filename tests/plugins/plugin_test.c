/* Plug-ins as a program of one's own loads them: what is refused and what stays then, and what the
 * examples change in forward and backward passes. They lie in $TRUQ_PLUGINS. */
#include "check.h"

#include <truq/autodiff.h>

static const char *path_of(const char *file)
{
    static char path[512];
    const char *folder = getenv("TRUQ_PLUGINS");
    if (!folder)
        check_skip("no plug-ins: TRUQ_PLUGINS is not set");
    snprintf(path, sizeof path, "%s/%s.so", folder, file);
    return path;
}

static tq_registry *builtin(void)
{
    tq_registry *registry = tq_registry_create();
    CHECK_OK(tq_builtin_register(registry));
    return registry;
}

static tq_registry *with(const char *plugin)
{
    tq_registry *registry = builtin();
    CHECK_OK(tq_plugin_load(registry, path_of(plugin)));
    return registry;
}

static tq_graph *parse(const tq_registry *registry, const char *text)
{
    tq_graph *graph;
    CHECK_OK(tq_graph_parse(registry, text, &graph));
    return graph;
}

static void apply(tq_graph *graph, const char *editor, int n_expected)
{
    const tq_entry *entry;
    const tq_registry *registry = tq_graph_registry(graph);
    CHECK_OK(tq_registry_find(registry, TQ_KIND_EDITOR, editor, &entry));
    int n;
    CHECK_OK(tq_editor_apply((const tq_editor *)(const void *)entry, graph,
                             &(tq_edit){ .registry = registry }, &n));
    CHECK_EQ(n, n_expected);
}

/* ---- loading ---- */

TEST(what_a_plug_in_brings_is_marked_with_its_name)
{
    tq_registry *registry = with("example");
    CHECK_STR(tq_registry_origin(registry, TQ_KIND_OP, "SquaredRelu"), "example");
    CHECK_STR(tq_registry_origin(registry, TQ_KIND_BACKEND, "npu4"), "example");
    CHECK(!tq_registry_origin(registry, TQ_KIND_OP, "Relu"));
    tq_registry_destroy(registry);
}

TEST(the_same_file_again_changes_nothing)
{
    tq_registry *registry = with("example");
    const int n = tq_registry_count(registry, TQ_KIND_OP);
    CHECK_OK(tq_plugin_load(registry, path_of("example")));
    CHECK_EQ(tq_registry_count(registry, TQ_KIND_OP), n);
    tq_registry_destroy(registry);
}

TEST(two_registries_load_the_same_plug_in)
{
    tq_registry *a = with("example"), *b = with("example");
    tq_registry_destroy(a);
    CHECK_STR(tq_registry_get(b, TQ_KIND_QUANTIZER, "open")->name, "open");
    tq_registry_destroy(b);
}

TEST(another_version_of_the_interface_is_refused_by_name)
{
    tq_registry *registry = builtin();
    char versions[64];
    snprintf(versions, sizeof versions,
             "version %d of the plug-in interface, this truq has version %d", TQ_ABI_VERSION + 41,
             TQ_ABI_VERSION);
    CHECK_FAILS(tq_plugin_load(registry, path_of("old")), TQ_ERR_UNSUPPORTED, versions);
    CHECK_FAILS(tq_plugin_load(registry, path_of("old")), TQ_ERR_UNSUPPORTED, "'old' is built for");
    tq_registry_destroy(registry);
}

TEST(a_taken_name_is_refused_and_nothing_of_the_plug_in_stays)
{
    tq_registry *registry = builtin();
    CHECK_FAILS(tq_plugin_load(registry, path_of("clash")), TQ_ERR_VALUE,
                "operator 'Relu' is registered twice, by truq itself and by plug-in 'clash'");
    CHECK(!tq_registry_get(registry, TQ_KIND_OP, "Fine"));
    tq_registry_destroy(registry);
}

TEST(what_is_no_plug_in_is_refused)
{
    tq_registry *registry = builtin();
    CHECK_FAILS(tq_plugin_load(registry, path_of("nothing")), TQ_ERR_FORMAT, "no tq_plugin_main");
    CHECK_FAILS(tq_plugin_load(registry, path_of("nosuch")), TQ_ERR_IO, "No such file");
    CHECK_FAILS(tq_plugin_load(registry, "README.md"), TQ_ERR_FORMAT, "README.md");
    CHECK_FAILS(tq_plugin_load(registry, "libm.so.6"), TQ_ERR_IO, "No such file"); /* no search */
    tq_registry_destroy(registry);
}

TEST(a_controller_of_a_plug_in_is_found)
{
    tq_registry *registry = with("example");
    CHECK_STR(tq_registry_origin(registry, TQ_KIND_CONTROLLER, "warm-bounds"), "example");
    tq_registry_destroy(registry);
}

/* ---- an operator with gradient ---- */

/* d sum(y) / d x at x = -2, -0.5, 0.5, 2. */
static void check_gradient(tq_graph *graph, const float *y, const float *dx)
{
    tq_value *input = tq_graph_input(graph, 0), *loss = tq_graph_output(graph, 0), *grad;
    tq_value *output = tq_node_input(tq_value_producer(loss), 0);
    CHECK_OK(tq_autodiff(graph, loss, &input, 1, &grad));
    tq_graph_set_output(graph, 0, grad);
    tq_graph_add_output(graph, output);
    const tq_tensor x = { .type = *tq_value_type(input), .data = (float[]){ -2, -0.5f, 0.5f, 2 } };
    tq_engine *engine;
    CHECK_OK(tq_engine_create(graph, &x.type, 1, &(tq_engine_options){ 0 }, &engine));
    CHECK_OK(tq_engine_run(engine, &x, 1, 0));
    for (int i = 0; i < 4; i++) {
        CHECK_NEAR((double)((const float *)tq_engine_output(engine, 0)->data)[i], (double)dx[i],
                   1e-6);
        CHECK_NEAR((double)((const float *)tq_engine_output(engine, 1)->data)[i], (double)y[i],
                   1e-6);
    }
    tq_engine_destroy(engine);
    tq_graph_destroy(graph);
}

TEST(an_operator_of_a_plug_in_is_differentiated_by_its_own_rule)
{
    tq_registry *registry = with("example");
    check_gradient(
        parse(registry, "input x: f32[4]  y = SquaredRelu(x)  l = ReduceSum(y) [keepdims=0]"),
        (float[]){ 0, 0, 0.25f, 4 }, (float[]){ 0, 0, 1, 4 });
    tq_registry_destroy(registry);
}

/* ---- a gradient replaced ---- */

#define RELU "input x: f32[4]  y = Relu(x)  l = ReduceSum(y) [keepdims=0]"

TEST(a_pre_grad_editor_changes_the_gradient_and_not_the_network)
{
    tq_registry *registry = with("gradient");
    check_gradient(parse(registry, RELU), (float[]){ 0, 0, 0.5f, 2 }, (float[]){ 0, 0, 1, 1 });
    tq_graph *graph = parse(registry, RELU);
    apply(graph, "open-relus", 1);
    check_gradient(graph, (float[]){ 0, 0, 0.5f, 2 }, (float[]){ 0.1f, 0.1f, 1, 1 });
    tq_registry_destroy(registry);
}

/* ---- correlation and bias ---- */

#define CONV                                                                                       \
    "input x: f32[1,1,1,3]\nconst w: f32[1,1,1,1] = 0.5 const lo: f32[1] = -0.5 const hi: f32[1] " \
    "= 0.496\nwq = FakeQuantize(w, lo, hi) [q_min=-128]\nconst b: f32[1] = 0.3\ny = Conv(x, wq, "  \
    "b)"

static void set(tq_graph *graph, const char *fake, float lo, float hi)
{
    const tq_node *node = tq_graph_find_node(graph, fake);
    CHECK_EQ(node != NULL, true, "(no node '%s')", fake);
    void *data;
    CHECK_OK(tq_value_own(tq_node_input(node, 1), &data));
    *(float *)data = lo;
    CHECK_OK(tq_value_own(tq_node_input(node, 2), &data));
    *(float *)data = hi;
}

TEST(a_convolution_becomes_correlation_and_bias_with_four_quantisers)
{
    tq_registry *registry = with("corr_bias");
    tq_graph *graph = parse(registry, CONV);
    apply(graph, "split-correlation", 1);
    CHECK_EQ(check_count(graph, "FakeQuantize"), 4);
    set(graph, "y.correlation.fq", -32.768f, 32.767f); /* steps of 0.001, */
    set(graph, "y.bias.fq", -3276.8f, 3276.7f);        /* 0.1 */
    set(graph, "y.sum.fq", -32, 31.75f);               /* and 0.25 */
    const tq_tensor x = { .type = tq_type_make(TQ_F32, 4, (int64_t[]){ 1, 1, 1, 3 }),
                          .data = (float[]){ 1, 0.1f, -1 } };
    tq_tensor y = check_run(graph, &x);
    /* wq = 0.496..: Q(x wq) + Q(0.3) = 0.796, 0.350, -0.196 */
    CHECK_NEAR((double)((float *)y.data)[0], 0.75, 1e-6);
    CHECK_NEAR((double)((float *)y.data)[1], 0.25, 1e-6);
    CHECK_NEAR((double)((float *)y.data)[2], -0.25, 1e-6);
    tq_tensor_reset(&y);
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}

TEST(the_gradient_goes_through_all_four)
{
    tq_registry *registry = with("corr_bias");
    tq_graph *graph = parse(registry, CONV " l = ReduceSum(y) [keepdims=0]");
    apply(graph, "split-correlation", 1);
    tq_value *wrt[] = { tq_graph_find_value(graph, "w"),
                        tq_node_input(tq_graph_find_node(graph, "y.bias.fq"), 0),
                        tq_node_input(tq_graph_find_node(graph, "y.correlation.fq"), 1),
                        tq_node_input(tq_graph_find_node(graph, "y.sum.fq"), 1) },
             *grads[4];
    CHECK_OK(tq_autodiff(graph, tq_graph_output(graph, 0), wrt, 4, grads));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(grads[i] != NULL, true, "(of '%s')", tq_value_name(wrt[i]));
    CHECK_EQ(check_count(graph, "FakeQuantizeGrad"), 4);
    tq_graph_destroy(graph);
    tq_registry_destroy(registry);
}
