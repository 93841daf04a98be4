/* The training loop: it learns, and what it writes does not depend on threads or interruptions. */
#include "fixture.h"

#include <signal.h>
#include <sys/wait.h>

TEST(training_learns_the_classes)
{
    tq_dataset *data = open_points(60);
    tq_graph *g = check_graph(CLASSIFIER);
    tq_train_options o = training(data, NULL);
    o.epochs = 8;
    o.valid = data;
    tq_train_result r;
    CHECK_OK(tq_train(g, &o, &r));
    CHECK_EQ(r.steps, 64);
    CHECK(r.valid_top1 > 95.0);
    CHECK(r.train_loss < 0.4);
    CHECK_NEAR(r.best_valid_top1, r.valid_top1, 5.0);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

/** Final checkpoint and network of one run. */
static void *run(const tq_train_options *o, const char *text, size_t *out_size, char **out_graph)
{
    tq_graph *g = check_graph(text);
    tq_train_result r;
    CHECK_OK(tq_train(g, o, &r));
    *out_graph = tq_graph_print(g, 0);
    tq_graph_destroy(g);
    return checkpoint_bytes(o->run_folder, out_size);
}

static void check_same(void *a, size_t a_size, char *a_text, void *b, size_t b_size, char *b_text)
{
    CHECK_EQ(a_size, b_size);
    CHECK(!memcmp(a, b, a_size));
    CHECK_STR(a_text, b_text);
    free(a), free(b), free(a_text), free(b_text);
}

TEST(one_and_two_threads_give_the_same_bytes)
{
    tq_dataset *data = open_points(61); /* the last batch is smaller */
    size_t size[2];
    void *bytes[2];
    char *text[2];
    for (int i = 0; i < 2; i++) {
        tq_train_options o = training(data, new_folder());
        o.n_threads = i + 1;
        o.valid = data;
        bytes[i] = run(&o, CLASSIFIER, &size[i], &text[i]);
    }
    check_same(bytes[0], size[0], text[0], bytes[1], size[1], text[1]);
    tq_dataset_close(data);
}

TEST(a_resumed_training_ends_in_the_same_bytes)
{
    const char *const optimizers[] = { "sgd", "adam", "pactadagrad" };
    tq_dataset *data = open_points(61);
    for (int k = 0; k < TQ_COUNT(optimizers); k++) {
        tq_train_options o = training(data, new_folder());
        o.optimizer = optimizers[k];
        o.schedule = "cosine";
        o.warmup_epochs = 0.5;
        o.valid = data;
        size_t a_size, b_size, c_size;
        char *a_text, *b_text, *c_text;
        void *a = run(&o, CLASSIFIER, &a_size, &a_text);
        o.run_folder = new_folder();
        o.checkpoint_every = 2;
        o.max_steps = 11; /* in the second epoch of 8 batches */
        free(run(&o, CLASSIFIER, &c_size, &c_text));
        free(c_text);
        o.max_steps = 0;
        o.resume = true;
        void *b = run(&o, CLASSIFIER, &b_size, &b_text);
        check_same(a, a_size, a_text, b, b_size, b_text);
    }
    tq_dataset_close(data);
}

static void die_in_the_second_epoch(void *context, const tq_progress *progress)
{
    (void)context;
    if (!strcmp(progress->phase, "train") && progress->epoch == 2 && progress->batch == 5)
        raise(SIGKILL);
}

TEST(a_killed_training_resumes_to_the_same_bytes)
{
    tq_dataset *data = open_points(61);
    tq_train_options o = training(data, new_folder());
    size_t a_size, b_size;
    char *a_text, *b_text;
    void *a = run(&o, CLASSIFIER, &a_size, &a_text);
    o.run_folder = new_folder();
    o.checkpoint_every = 3;
    const pid_t child = fork();
    if (child == 0) {
        o.progress = die_in_the_second_epoch;
        run(&o, CLASSIFIER, &b_size, &b_text);
        _exit(0);
    }
    int ended;
    CHECK_EQ(waitpid(child, &ended, 0), child);
    CHECK(WIFSIGNALED(ended));
    o.resume = true;
    void *b = run(&o, CLASSIFIER, &b_size, &b_text);
    check_same(a, a_size, a_text, b, b_size, b_text);
    tq_dataset_close(data);
}

TEST(a_finished_training_resumes_to_itself)
{
    tq_dataset *data = open_points(24);
    tq_train_options o = training(data, new_folder());
    size_t a_size, b_size;
    char *a_text, *b_text;
    void *a = run(&o, CLASSIFIER, &a_size, &a_text);
    o.resume = true;
    void *b = run(&o, CLASSIFIER, &b_size, &b_text);
    check_same(a, a_size, a_text, b, b_size, b_text);
    tq_dataset_close(data);
}

TEST(a_checkpoint_of_other_settings_is_refused_by_name)
{
    tq_dataset *data = open_points(24);
    tq_train_options o = training(data, new_folder());
    size_t size;
    char *text;
    free(run(&o, CLASSIFIER, &size, &text));
    free(text);
    o.resume = true;
    o.params.lr = 0.5;
    tq_graph *g = check_graph(CLASSIFIER);
    tq_train_result r;
    CHECK_FAILS(tq_train(g, &o, &r), TQ_ERR_VALUE, "'lr=0.5'");
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(damaged_checkpoints_are_refused)
{
    tq_dataset *data = open_points(24);
    tq_train_options o = training(data, new_folder());
    size_t size;
    char *text, path[400];
    uint8_t *bytes = run(&o, CLASSIFIER, &size, &text);
    free(text);
    o.resume = true;
    snprintf(path, sizeof path, "%s/checkpoint", o.run_folder);
    const size_t lengths[] = { 0, 7, 12, size / 2, size - 1, size };
    for (int i = 0; i < TQ_COUNT(lengths); i++) {
        bytes[size / 3] ^= lengths[i] == size; /* the last one is garbled instead of cut */
        CHECK_OK(tq_file_write(path, bytes, lengths[i]));
        tq_graph *g = check_graph(CLASSIFIER);
        tq_train_result r;
        CHECK_FAILS(tq_train(g, &o, &r), TQ_ERR_FORMAT, "checkpoint'");
        tq_graph_destroy(g);
    }
    free(bytes);
    tq_dataset_close(data);
}

TEST(a_run_folder_holds_checkpoint_best_and_manifest)
{
    tq_dataset *data = open_points(24);
    tq_train_options o = training(data, new_folder());
    o.valid = data;
    size_t size;
    char *text, path[400];
    free(run(&o, CLASSIFIER, &size, &text));
    free(text);
    const char *const names[] = { "best.onnx", "manifest.json", "checkpoint" };
    for (int i = 0; i < TQ_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", o.run_folder, names[i]);
        CHECK(access(path, R_OK) == 0);
    }
    tq_dataset_close(data);
}

TEST(a_loss_that_is_no_number_stops_with_its_step)
{
    tq_dataset *data = open_points(24);
    tq_train_options o = training(data, NULL);
    o.params.lr = 1e30;
    tq_graph *g = check_graph(CLASSIFIER);
    tq_train_result r;
    CHECK_FAILS(tq_train(g, &o, &r), TQ_ERR_VALUE, "at step ");
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(frozen_statistics_stay_and_others_move)
{
    tq_dataset *data = open_points(24);
    for (int train = 0; train < 2; train++) {
        tq_train_options o = training(data, NULL);
        o.bn = train ? "train" : "freeze";
        tq_graph *g = check_graph(CLASSIFIER);
        tq_train_result r;
        CHECK_OK(tq_train(g, &o, &r));
        CHECK_EQ(constant(g, "m")[0] != 0.0f, train);
        CHECK_EQ(constant(g, "v")[0] != 1.0f, train);
        CHECK(constant(g, "s")[0] != 1.0f);
        tq_graph_destroy(g);
    }
    tq_dataset_close(data);
}

TEST(only_parameter_slots_are_trained)
{
    tq_dataset *data = open_points(24);
    tq_graph *g = check_graph("input x: f32[?,1,4,4] const k: f32[] = 0.5 const lo: f32[] = -0.1 "
                              "const hi: f32[] = 3.0 const w: f32[16,3] = random(2) "
                              "const b: f32[3] = 0.0 "
                              "a = Mul(x, k) c = Clip(a, lo, hi) f = Flatten(c) y = MatMul(f, w) "
                              "logits = Add(y, b)");
    tq_train_options o = training(data, NULL);
    tq_train_result r;
    CHECK_OK(tq_train(g, &o, &r));
    CHECK(*constant(g, "k") == 0.5f && *constant(g, "lo") == -0.1f && *constant(g, "hi") == 3.0f);
    CHECK(*constant(g, "b") != 0.0f);
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

#define AUTOENCODER                                                                                \
    "input x: f32[?,1,4,4] const w: f32[16,16] = random(1) const b: f32[16] = 0.0 "                \
    "const s: i64[4] = {-1,1,4,4} f = Flatten(x) y = Gemm(f,w,b) z = Reshape(y, s)"

TEST(the_input_and_arrays_of_the_file_can_be_targets)
{
    tq_dataset *data = open_points(60);
    const char *const targets[] = { "input", "npz:twice" };
    for (int i = 0; i < TQ_COUNT(targets); i++) {
        tq_graph *g = check_graph(AUTOENCODER);
        tq_train_options o = training(data, NULL);
        o.loss = "mse";
        o.target = targets[i];
        o.epochs = 20;
        o.params.lr = 0.3;
        tq_train_result r;
        CHECK_OK(tq_train(g, &o, &r));
        CHECK(r.train_loss < 0.3);
        CHECK(isnan(r.train_top1));
        tq_graph_destroy(g);
    }
    tq_dataset_close(data);
}

TEST(targets_that_do_not_fit_are_refused)
{
    tq_dataset *data = open_points(24);
    tq_graph *g = check_graph(CLASSIFIER);
    tq_train_options o = training(data, NULL);
    tq_train_result r;
    o.loss = "mse";
    CHECK_FAILS(tq_train(g, &o, &r), TQ_ERR_SHAPE, "the network's output is");
    o.target = "labels";
    CHECK_FAILS(tq_train(g, &o, &r), TQ_ERR_VALUE, "take target input");
    o.target = "npz:nothing";
    CHECK_FAILS(tq_train(g, &o, &r), TQ_ERR_NOT_FOUND, "nothing");
    o.target = "somewhere";
    CHECK_FAILS(tq_train(g, &o, &r), TQ_ERR_VALUE, "somewhere");
    tq_graph_destroy(g);
    tq_dataset_close(data);
}

TEST(label_smoothing_is_part_of_the_loss)
{
    /* logits (2, 0), label 0: log p = (-0.126928, -2.126928); e = 0.2:
     * 0.8 * 0.126928 + 0.2 * (0.126928 + 2.126928) / 2 = 0.326928 */
    tq_graph *g = check_graph("input x: f32[1,2] const l: i64[1] = 0 "
                              "y = CrossEntropy(x, l)[label_smoothing=0.2]");
    tq_tensor x = check_random_f32(2, (int64_t[]){ 1, 2 }, 1, 0, 1);
    memcpy(x.data, (float[]){ 2.0f, 0.0f }, 8);
    tq_tensor y = check_run(g, &x);
    CHECK_NEAR((double)*(float *)y.data, 0.326928, 1e-6);
    tq_tensor_reset(&x);
    tq_tensor_reset(&y);
    tq_graph_destroy(g);
}
