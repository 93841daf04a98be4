/* Networks on several devices: parts are convex, and one after the other they compute what the
 * whole does, whatever the stage. */
#include "road.h"

enum { MAX_VALUES = 64 };

/* Tensors that went by name from part to part. */
typedef struct pool {
    int n;
    const char *names[MAX_VALUES];
    tq_tensor tensors[MAX_VALUES];
} pool;

static tq_tensor *find(pool *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->names[i], name) == 0)
            return &p->tensors[i];
    check_fail(__FILE__, __LINE__, "nothing made '%s' before it was read", name);
}

static void add(pool *p, const char *name, const tq_tensor *tensor)
{
    CHECK(p->n < MAX_VALUES);
    p->names[p->n] = name;
    CHECK_OK(tq_tensor_copy(tensor, &p->tensors[p->n++]));
}

static void run_part(const tq_graph *graph, const tq_part *part, pool *p)
{
    tq_graph *own;
    CHECK_OK(tq_part_extract(graph, part, &own));
    CHECK_EQ(tq_graph_n_inputs(own), part->n_inputs);
    CHECK_EQ(tq_graph_n_outputs(own), part->n_outputs);
    tq_tensor inputs[MAX_VALUES];
    tq_type types[MAX_VALUES];
    for (int i = 0; i < part->n_inputs; i++) {
        inputs[i] = *find(p, tq_value_name(tq_graph_input(own, i)));
        types[i] = inputs[i].type;
    }
    tq_engine *engine;
    CHECK_OK(tq_engine_create(own, types, part->n_inputs, &(tq_engine_options){ 0 }, &engine));
    CHECK_OK(tq_engine_run(engine, inputs, part->n_inputs, 0));
    for (int i = 0; i < part->n_outputs; i++)
        add(p, tq_value_name(part->outputs[i]), tq_engine_output(engine, i));
    tq_engine_destroy(engine);
    tq_graph_destroy(own);
}

/* Returns the number of parts. */
static int check_composition(const tq_graph *graph, double tolerance)
{
    tq_arena *arena = tq_arena_create();
    tq_parts parts;
    CHECK_OK(tq_parts_find(graph, arena, &parts));
    road_run whole;
    road_run_open(&whole, graph, 3, 5);
    pool p = { 0 };
    int n_nodes = 0;
    for (int i = 0; i < tq_graph_n_inputs(graph); i++)
        add(&p, tq_value_name(tq_graph_input(graph, i)), &whole.inputs[i]);
    for (int i = 0; i < parts.n; i++) {
        run_part(graph, &parts.parts[i], &p);
        n_nodes += parts.parts[i].n_nodes;
    }
    CHECK_EQ(n_nodes, tq_graph_n_nodes(graph));
    for (int i = 0; i < tq_graph_n_outputs(graph); i++)
        CHECK_NEAR(road_distance(find(&p, tq_value_name(tq_graph_output(graph, i))),
                                 tq_engine_output(whole.engine, i)),
                   0, tolerance);
    for (int i = 0; i < p.n; i++)
        tq_tensor_reset(&p.tensors[i]);
    road_run_close(&whole);
    tq_arena_destroy(arena);
    return parts.n;
}

static void assign(tq_graph *graph, const char *backend, const char *ops)
{
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_EDITOR, "assign-devices", &entry));
    tq_graph_set_meta(graph, "device.backend", backend);
    tq_graph_set_meta(graph, "device.ops", ops);
    CHECK_OK(tq_editor_run((const tq_editor *)(const void *)entry, graph));
}

static const char *device_of(const tq_graph *graph, const char *node)
{
    return tq_node_meta(tq_graph_find_node(graph, node), "device");
}

/* ---- cutting ---- */

TEST(a_network_that_runs_is_one_part)
{
    tq_graph *graph = road_build("resnet8", 0.5, 1, 8, 8);
    assign(graph, "dory", NULL);
    CHECK_EQ(check_composition(graph, 0), 1);
    CHECK_STR(device_of(graph, "conv1"), "dory");
    tq_graph_destroy(graph);
}

TEST(listed_operators_alone_leave_the_cpu)
{
    tq_graph *graph = road_build("resnet8", 0.5, 1, 8, 8);
    assign(graph, "generic", "Conv,Gemm");
    CHECK_STR(device_of(graph, "conv1"), "generic");
    CHECK_STR(device_of(graph, "bn1"), "cpu");
    CHECK_STR(tq_node_meta(tq_graph_find_node(graph, "bn1"), "device.why"),
              "BatchNormalization is not among the operators for the device");
    CHECK(tq_node_meta(tq_graph_find_node(graph, "conv1"), "device.why") == NULL);
    CHECK(check_composition(graph, 1e-5) > 10);
    tq_graph_destroy(graph);
}

TEST(a_device_that_a_person_chose_stays)
{
    tq_graph *graph = road_build("resnet8", 0.5, 1, 8, 8);
    tq_node_set_meta(tq_graph_find_node(graph, "stage2.conv1"), "device", "cpu");
    assign(graph, "dory", NULL);
    CHECK_STR(device_of(graph, "stage2.conv1"), "cpu");
    CHECK_EQ(check_composition(graph, 1e-5), 3);
    tq_graph_destroy(graph);
}

static tq_graph *placed(const char *text, const char *const *on_device)
{
    tq_graph *graph = check_graph(text);
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node)) {
        bool on = false;
        for (int i = 0; on_device[i]; i++)
            on = on || strcmp(on_device[i], tq_node_name(node)) == 0;
        tq_node_set_meta(node, "device", on ? "npu" : "cpu");
    }
    return graph;
}

/* a and c on the device with b between them, and c reads a too: one part with a and c would wait
 * for itself. */
TEST(parts_are_convex)
{
    tq_graph *graph =
        placed("input x: f32[3]\n p = Relu(x) \"a\"\n q = Tanh(p) \"b\"\n r = Add(p, q) \"c\"",
               (const char *const[]){ "a", "c", NULL });
    CHECK_EQ(check_composition(graph, 0), 3);
    tq_graph_destroy(graph);
}

/* Two branches on the device, one of which waits for the cpu: they meet in one part. */
TEST(parts_are_joined_where_nothing_forbids_it)
{
    tq_graph *graph =
        placed("input x: f32[3]\n p = Relu(x) \"a\"\n q = Tanh(x) \"b\"\n r = Abs(q) \"c\"\n "
               "s = Add(p, r) \"d\"",
               (const char *const[]){ "a", "c", "d", NULL });
    CHECK_EQ(check_composition(graph, 0), 2);
    tq_graph_destroy(graph);
}

TEST(inputs_outputs_and_weights_may_be_shared)
{
    tq_graph *graph =
        placed("input x: f32[2,3]\n input y: f32[2,3]\n const w: f32[3,3] = random(1)\n"
               "a = MatMul(x, w) \"a\"\n b = MatMul(y, w) \"b\"\n c = Add(a, b) \"c\"\n"
               "d = Sub(c, x) \"d\"\n e = MatMul(d, w) \"e\"\n output c\n output e\n output a",
               (const char *const[]){ "a", "b", "e", NULL });
    tq_arena *arena = tq_arena_create();
    tq_parts parts;
    CHECK_OK(tq_parts_find(graph, arena, &parts));
    CHECK_EQ(parts.n, 3);
    CHECK_EQ(parts.bytes, 3 * 6 * 4); /* a, b and d; x is an input */
    CHECK_EQ(check_composition(graph, 0), 3);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}

/* ---- fake-quantised and integer parts ---- */

static const tq_part *part_with(const tq_parts *parts, const char *node)
{
    for (int i = 0; i < parts->n; i++)
        for (int k = 0; k < parts->parts[i].n_nodes; k++)
            if (strcmp(tq_node_name(parts->parts[i].nodes[k]), node) == 0)
                return &parts->parts[i];
    check_fail(__FILE__, __LINE__, "no part has node '%s'", node);
}

/* A quantiser of a weight runs where the weight is read; it is no value that crosses. */
TEST(weights_stay_with_their_layers)
{
    tq_graph *graph = road_build("resnet8", 0.5, 1, 8, 8);
    assign(graph, "generic", "Conv,Relu");
    road_fake(&graph, "pact8");
    tq_arena *arena = tq_arena_create();
    tq_parts parts;
    CHECK_OK(tq_parts_find(graph, arena, &parts));
    for (int i = 0; i < parts.n_crossings; i++)
        CHECK_EQ(strstr(tq_value_name(parts.crossings[i].value), ".weight") == NULL, true, "(%s)",
                 tq_value_name(parts.crossings[i].value));
    CHECK(part_with(&parts, "conv1.weight.fq") == part_with(&parts, "conv1"));
    CHECK(part_with(&parts, "stage3.conv2.weight.fq") == part_with(&parts, "stage3.conv2"));
    CHECK(check_composition(graph, 1e-5) > 10);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}

/* Each of two parts that read one quantised weight has it whole. */
TEST(a_quantised_weight_may_be_shared)
{
    tq_graph *graph =
        placed("input x: f32[2,3]\n const w: f32[3,3] = random(1)\n"
               "const a: f32[1] = -1\n const b: f32[1] = 1\n"
               "v = FakeQuantize(w, a, b) [q_min=-128] \"v\"\n p = MatMul(x, v) \"p\"\n"
               "q = Tanh(p) \"q\"\n r = MatMul(q, v) \"r\"",
               (const char *const[]){ "p", "r", NULL });
    tq_node_set_meta(tq_graph_find_node(graph, "v"), "device", NULL);
    tq_arena *arena = tq_arena_create();
    tq_parts parts;
    CHECK_OK(tq_parts_find(graph, arena, &parts));
    CHECK_EQ(parts.n, 3);
    CHECK_EQ(parts.bytes, 2 * 6 * 4); /* p and q */
    CHECK_EQ(parts.parts[2].n_inputs, 1);
    CHECK_EQ(check_composition(graph, 0), 3);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}

/* What goes from one part of a device to another one of the same costs nothing between devices. */
TEST(only_what_changes_device_is_a_cost)
{
    tq_graph *graph =
        placed("input x: f32[3]\n p = Relu(x) \"a\"\n q = Tanh(p) \"b\"\n r = Add(p, q) \"c\"",
               (const char *const[]){ "a", "c", NULL });
    tq_arena *arena = tq_arena_create();
    tq_parts parts;
    CHECK_OK(tq_parts_find(graph, arena, &parts));
    CHECK_EQ(parts.n_crossings, 5); /* x, p twice, q, r */
    CHECK_EQ(parts.bytes, 2 * 3 * 4);
    CHECK_EQ(parts.bytes_kept, 3 * 4);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}

static int count_border_quantizers(const tq_graph *graph)
{
    int n = 0;
    for (const tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        n += strstr(tq_node_name(node), ".to_") != NULL;
    return n;
}

/* The device takes stage 2; the rest stays float. */
static tq_graph *half_quantised(void)
{
    tq_graph *graph = road_build("resnet8", 0.5, 1, 8, 8);
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        if (strncmp(tq_node_name(node), "stage2.", 7) != 0)
            tq_node_set_meta(node, "device", "cpu");
    assign(graph, "dory", NULL);
    road_fake(&graph, "pact8");
    return graph;
}

TEST(only_the_devices_part_is_quantised)
{
    tq_graph *graph = half_quantised();
    CHECK(tq_value_is_const(tq_node_input(tq_graph_find_node(graph, "conv1"), 1)));
    CHECK(!tq_value_is_const(tq_node_input(tq_graph_find_node(graph, "stage2.conv1"), 1)));
    CHECK_EQ(count_border_quantizers(graph), 1); /* stage2.relu2 passes its own on the way out */
    CHECK_EQ(check_composition(graph, 1e-5), 3);
    tq_graph_destroy(graph);
}

TEST(it_trains)
{
    tq_graph *graph = half_quantised();
    tq_dataset *data;
    CHECK_OK(tq_dataset_open(check_registry(), "digits", TQ_PARTITION_TRAIN, &data));
    const tq_entry *preset;
    CHECK_OK(tq_registry_find(check_registry(), TQ_KIND_PRESET, "digits", &preset));
    tq_train_result result;
    CHECK_OK(
        tq_train(graph,
                 &(tq_train_options){
                     .registry = check_registry(),
                     .train = data,
                     .preset = (const tq_preset *)(const void *)preset,
                     .loss = "cross-entropy",
                     .optimizer = "pactsgd",
                     .schedule = "constant",
                     .params = { .lr = 0.01, .momentum = -1, .weight_decay = -1, .pact_decay = -1 },
                     .epochs = 1,
                     .max_steps = 3,
                     .batch = 8,
                     .bn = "train",
                     .n_threads = 1 },
                 &result));
    CHECK_EQ(result.steps, 3);
    CHECK(isfinite(result.train_loss));
    CHECK_EQ(check_composition(graph, 1e-4), 3);
    tq_dataset_close(data);
    tq_graph_destroy(graph);
}

/* Integers on the device, reals beside it: the parts equal the whole bit for bit, and the device's
 * part is a true network. */
TEST(a_partial_conversion_composes)
{
    tq_graph *graph = half_quantised(), *own;
    CHECK_OK(tq_f2t_run(
        &graph, &(tq_f2t_options){ .backend = "dory", .shift = -1, .partial = true }, NULL));
    CHECK_EQ(tq_graph_stage(graph), TQ_STAGE_FLOAT);
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 1);
    CHECK_EQ(check_count(graph, "DequantizeLinear"), 1);
    CHECK_EQ(check_count(graph, "ConvInteger"), 3);
    assign(graph, "dory", NULL);
    CHECK_EQ(check_composition(graph, 0), 3);
    tq_arena *arena = tq_arena_create();
    tq_parts parts;
    CHECK_OK(tq_parts_find(graph, arena, &parts));
    CHECK_STR(parts.parts[1].device, "dory");
    CHECK_OK(tq_part_extract(graph, &parts.parts[1], &own));
    CHECK_EQ(tq_graph_stage(own), TQ_STAGE_TRUE);
    double scale;
    CHECK(tq_value_meta_f64(tq_graph_input(own, 0), "quant.scale", &scale));
    CHECK_OK(tq_export_run(own, "dory", NULL, check_folder(), NULL, NULL));
    tq_graph_destroy(own);
    tq_arena_destroy(arena);
    tq_graph_destroy(graph);
}

/* The integer network is what the fake-quantised one said, up to rounding of accumulated steps. */
TEST(a_partial_conversion_says_what_the_network_said)
{
    tq_graph *fake = half_quantised(), *mixed = tq_graph_clone(fake);
    CHECK_OK(tq_f2t_run(
        &mixed, &(tq_f2t_options){ .backend = "generic", .shift = -1, .partial = true }, NULL));
    road_run a, b;
    road_run_open(&a, fake, 4, 6);
    road_run_open(&b, mixed, 4, 6);
    CHECK_NEAR(road_distance(tq_engine_output(a.engine, 0), tq_engine_output(b.engine, 0)), 0, 0.2);
    road_run_close(&a);
    road_run_close(&b);
    tq_graph_destroy(fake);
    tq_graph_destroy(mixed);
}

/* What has no integer form is an island; what stands around it is integers. */
TEST(an_island_stays_float)
{
    tq_graph *graph =
        check_graph("input x: f32[2,4]\n const w: f32[4,4] = random(1)\n a = MatMul(x, w) \"m\"\n"
                    "const k: f32[] = 1\n b = Mod(a, k) [fmod=1] \"odd\"\n c = MatMul(b, w) \"n\"");
    road_fake(&graph, "pact8");
    CHECK_FAILS(tq_f2t_run(&graph, &(tq_f2t_options){ .shift = -1 }, NULL), TQ_ERR_UNSUPPORTED,
                "odd");
    CHECK_OK(tq_f2t_run(&graph, &(tq_f2t_options){ .shift = -1, .partial = true }, NULL));
    CHECK_EQ(check_count(graph, "MatMulInteger"), 2);
    CHECK_EQ(check_count(graph, "QuantizeLinear"), 2);
    CHECK_EQ(check_count(graph, "DequantizeLinear"), 2);
    CHECK(tq_node_meta(tq_graph_find_node(graph, "odd"), "float.why") != NULL);
    assign(graph, "generic", NULL);
    CHECK_EQ(check_composition(graph, 0), 5);
    tq_graph_destroy(graph);
}
