/* Evaluation of every stage: classes, losses, files. */
#include "fixture.h"

static tq_eval_options evaluation(const tq_dataset *data)
{
    return (
        tq_eval_options){ .registry = check_registry(), .data = data, .batch = 7, .n_threads = 1 };
}

static void reset(tq_eval_result *r)
{
    free(r->predictions);
    free(r->labels);
}

/** Logit c is the sum of the inputs 5c .. 5c + 4, which is largest at the label. */
#define SUMS                                                                                       \
    "const f: f32[3,16] = {1,1,1,1,1,0,0,0,0,0,0,0,0,0,0,0, 0,0,0,0,0,1,1,1,1,1,0,0,0,0,0,0, "     \
    "0,0,0,0,0,0,0,0,0,0,1,1,1,1,1,0} "

TEST(evaluation_runs_in_order_and_counts)
{
    tq_dataset *data = open_points(60);
    tq_graph *g =
        check_graph("input x: f32[?,1,4,4] " SUMS "t = Flatten(x) y = Gemm(t,f)[transB=1]");
    tq_eval_options o = evaluation(data);
    tq_eval_result r;
    CHECK_OK(tq_evaluate(g, &o, &r));
    CHECK_EQ(r.n, 60);
    int hits = 0;
    for (int i = 0; i < 60; i++) {
        CHECK_EQ(r.labels[i], i % 3);
        hits += r.predictions[i] == r.labels[i];
    }
    CHECK(hits > 50);
    CHECK_NEAR(r.top1, 100.0 * hits / 60.0, 1e-9);
    CHECK_NEAR(r.top5, 100.0, 0.0);
    CHECK(r.loss > 0.0 && r.loss < 1.0);
    reset(&r);
    o.limit = 10;
    CHECK_OK(tq_evaluate(g, &o, &r));
    CHECK_EQ(r.n, 10);
    reset(&r);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(ties_go_to_the_lowest_index)
{
    const tq_type type = tq_type_make(TQ_I32, 2, (int64_t[]){ 1, 4 });
    const int32_t row[] = { 1, 7, 7, 2 };
    const tq_tensor t = { .type = type, .data = (void *)row };
    CHECK_EQ(tq_argmax(&t, 0), 1);
    CHECK_EQ(tq_rank_of(&t, 0, 1), 0);
    CHECK_EQ(tq_rank_of(&t, 0, 2), 1);
    CHECK_EQ(tq_rank_of(&t, 0, 0), 3);
}

TEST(predictions_are_saved_as_csv)
{
    tq_dataset *data = open_points(24);
    tq_graph *g = check_graph("input x: f32[?,1,4,4] const f: f32[16,3] = 0.0 t = Flatten(x) "
                              "y = MatMul(t, f)");
    char path[300];
    snprintf(path, sizeof path, "%s/pred.csv", check_folder());
    tq_eval_options o = evaluation(data);
    o.save = path;
    o.limit = 2;
    tq_eval_result r;
    CHECK_OK(tq_evaluate(g, &o, &r));
    void *bytes;
    size_t size;
    CHECK_OK(tq_file_read(path, &bytes, &size));
    const char *expected = "id,label,prediction\n0,0,0\n1,1,0\n";
    CHECK_EQ(size, strlen(expected));
    CHECK(!memcmp(bytes, expected, size));
    free(bytes);
    reset(&r);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(true_networks_get_codes_and_their_loss_is_real)
{
    tq_dataset *data = open_points(24);
    tq_graph *g = check_graph(
        "input x: i8[?,1,4,4] const f: i8[16,3] = {1,0,0,1,0,0,1,0,0,1,0,0,1,0,0, "
        "0,1,0,0,1,0,0,1,0,"
        "0,1,0,0,1,0, 0,0,1,0,0,1,0,0,1,0,0,1,0,0,1, 0,0,0} "
        "t = Flatten(x) y = MatMulInteger(t, f) "
        "meta \"stage\" = \"true\" meta value x \"quant.scale\" = \"0.015625\" "
        "meta value x \"quant.zero_point\" = \"0\" meta value y \"quant.scale\" = \"0.015625\"");
    tq_graph *real =
        check_graph("input x: f32[?,1,4,4] " SUMS "t = Flatten(x) y = Gemm(t,f)[transB=1]");
    tq_eval_options o = evaluation(data);
    tq_eval_result codes, floats;
    CHECK_OK(tq_evaluate(g, &o, &codes));
    CHECK_OK(tq_evaluate(real, &o, &floats));
    CHECK_NEAR(codes.top1, floats.top1, 5.0);
    CHECK_NEAR(codes.loss, floats.loss, 0.02);
    reset(&codes);
    reset(&floats);
    tq_graph_destroy(g);
    tq_graph_destroy(real);
    tq_dataset_close(data);
}

TEST(feeding_a_true_network_rounds_and_saturates)
{
    tq_graph *g = check_graph("input x: u8[2,3] y = Identity(x) meta \"stage\" = \"true\" "
                              "meta value x \"quant.scale\" = \"0.5\" "
                              "meta value x \"quant.zero_point\" = \"10\" "
                              "meta value x \"quant.q_max\" = \"20\"");
    tq_tensor x = check_random_f32(2, (int64_t[]){ 2, 3 }, 1, 0, 1), codes;
    memcpy(x.data, (float[]){ 0.0f, 0.25f, 0.24f, -0.25f, -100.0f, 100.0f }, 24);
    CHECK_OK(tq_feed(g, 0, &x, &codes));
    const uint8_t expected[] = { 10, 11, 10, 10, 0, 20 };
    for (int i = 0; i < 6; i++)
        CHECK_EQ(((uint8_t *)codes.data)[i], expected[i], "at %d", i);
    tq_tensor_reset(&codes);
    tq_tensor_reset(&x);
    tq_graph_destroy(g);
}

TEST(feeding_names_an_input_without_scale)
{
    tq_graph *g = check_graph("input x: u8[1] y = Identity(x) meta \"stage\" = \"true\"");
    tq_tensor x = check_random_f32(1, (int64_t[]){ 1 }, 1, 0, 1), codes;
    CHECK_FAILS(tq_feed(g, 0, &x, &codes), TQ_ERR_STATE, "input 'x'");
    tq_tensor_reset(&x);
    tq_graph_destroy(g);
}

TEST(without_labels_the_error_against_the_input_is_taken)
{
    char path[300], spec[320];
    snprintf(path, sizeof path, "%s/plain.npz", check_folder());
    snprintf(spec, sizeof spec, "npz:%s", path);
    tq_tensor x = check_random_f32(2, (int64_t[]){ 9, 4 }, 3, -1.0f, 1.0f);
    CHECK_OK(tq_npz_save(path, 1, (const char *const[]){ "x" }, &x));
    double expected = 0.0;
    for (int i = 0; i < 36; i++)
        expected += 0.25 * pow((double)((float *)x.data)[i], 2.0) / 36.0;
    tq_dataset *data;
    CHECK_OK(tq_dataset_open(check_registry(), spec, TQ_PARTITION_ALL, &data));
    tq_graph *g = check_graph("input x: f32[?,4] const h: f32[] = 0.5 y = Mul(x, h)");
    tq_eval_options o = evaluation(data);
    tq_eval_result r;
    CHECK_OK(tq_evaluate(g, &o, &r));
    CHECK_NEAR(r.loss, expected, 1e-6);
    CHECK(isnan(r.top1) && isnan(r.top5));
    reset(&r);
    tq_graph_destroy(g);
    tq_dataset_close(data);
    tq_tensor_reset(&x);
}

TEST(a_label_beyond_the_outputs_is_named)
{
    tq_dataset *data = open_points(24);
    tq_graph *g = check_graph("input x: f32[?,1,4,4] const f: f32[16,2] = 0.0 t = Flatten(x) "
                              "y = MatMul(t, f)");
    tq_eval_options o = evaluation(data);
    o.loss = "cross-entropy";
    tq_eval_result r;
    CHECK_FAILS(tq_evaluate(g, &o, &r), TQ_ERR_VALUE, "label 2, the network has 2 outputs");
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

static void batches_of_seven_become(int64_t batch, const char *text)
{
    tq_dataset *data = open_points(24);
    tq_graph *g = check_graph(text);
    tq_eval_options o = evaluation(data);
    o.batch = 7;
    tq_eval_result r;
    CHECK_EQ(tq_batch_for(g, 7), batch);
    CHECK_OK(tq_evaluate(g, &o, &r));
    CHECK_EQ(r.n, 24);
    reset(&r);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(a_batch_written_in_the_graph_is_opened)
{
    batches_of_seven_become(7, "input x: f32[4,1,4,4] const f: f32[16,3] = random(1) "
                               "const s: i64[2] = {4,16} t = Reshape(x, s) y = MatMul(t, f)");
}

TEST(a_batch_that_cannot_be_opened_is_kept)
{
    batches_of_seven_become(4, "input x: f32[4,1,4,4] const f: f32[16,3] = random(1) "
                               "const k: f32[4,1] = random(2) const s: i64[2] = {4,16} "
                               "t = Reshape(x, s) m = MatMul(t, f) y = Add(m, k)");
}
