/* Controllers: when their hooks are called, what they see and change, and what a checkpoint keeps
 * of them. */
#include "fixture.h"

#include <math.h>
#include <truq/fake.h>

/* ---- controllers of the tests ---------------------------------------------------------------- */

static char events[256];

static tq_status note(char what)
{
    const size_t n = strlen(events);
    if (n + 1 < sizeof events)
        events[n] = what;
    return TQ_OK;
}

static tq_status note_start(tq_control *c)
{
    (void)c;
    return note('S');
}

static tq_status note_epoch(tq_control *c)
{
    return note((char)('0' + c->epoch));
}

static tq_status note_before(tq_control *c)
{
    (void)c;
    return note('b');
}

static tq_status note_after(tq_control *c)
{
    (void)c;
    return note('a');
}

static tq_status note_end(tq_control *c)
{
    (void)c;
    return note('e');
}

static const tq_controller notes = { .entry = { .name = "notes", .brief = "notes its hooks" },
                                     .start = note_start,
                                     .epoch_start = note_epoch,
                                     .before_step = note_before,
                                     .after_step = note_after,
                                     .epoch_end = note_end };

static tq_parameter *find(const tq_control *c, const char *name)
{
    for (int i = 0; i < c->n_parameters; i++)
        if (!strcmp(c->parameters[i].name, name))
            return &c->parameters[i];
    check_fail(__FILE__, __LINE__, "no parameter '%s'", name);
    return NULL;
}

/* Counts in its state; from the fifth step on it freezes 'f' and makes 'g' 1 at every step. */
static tq_status one_number(const tq_control *c, int *out_n_state)
{
    (void)c;
    *out_n_state = 1;
    return TQ_OK;
}

static tq_status hold(tq_control *c)
{
    c->state[0]++;
    CHECK_NEAR(c->state[0], (double)c->step, 0);
    CHECK(isfinite(c->loss) && find(c, "f")->grad);
    if (c->state[0] >= 5) {
        find(c, "f")->frozen = true;
        find(c, "g")->data[0] = 1.0f;
    }
    return TQ_OK;
}

static const tq_controller holder = { .entry = { .name = "holder", .brief = "freezes f, sets g" },
                                      .prepare = one_number,
                                      .after_step = hold };

/* "slow:FACTOR": the learning rate of 'f'. */
static tq_status one_argument(const tq_control *c, int *out_n_state)
{
    (void)out_n_state;
    double factor;
    return tq_control_numbers(c, 1, 1, &factor, NULL);
}

static tq_status slow_down(tq_control *c)
{
    CHECK(!find(c, "f")->grad && isnan(c->loss));
    return tq_control_numbers(c, 1, 1, &find(c, "f")->lr_factor, NULL);
}

static const tq_controller slow = { .entry = { .name = "slow", .brief = "learning rate of f" },
                                    .prepare = one_argument,
                                    .start = slow_down };

static tq_status refuse(tq_control *c)
{
    return c->step == 3 ? tq_fail(TQ_ERR_STATE, "enough") : TQ_OK;
}

static const tq_controller stopper = { .entry = { .name = "stopper", .brief = "stops" },
                                       .after_step = refuse };

/* Which parameters are frozen. */
static int n_frozen;
static char frozen_names[64];

static tq_status watch(tq_control *c)
{
    n_frozen = 0;
    frozen_names[0] = 0;
    for (int i = 0; i < c->n_parameters; i++)
        if (c->parameters[i].frozen) {
            CHECK_EQ(c->parameters[i].role, TQ_ROLE_BOUND);
            n_frozen++;
            strcat(strcat(frozen_names, c->parameters[i].name), " ");
        }
    return TQ_OK;
}

static const tq_controller watcher = { .entry = { .name = "watcher", .brief = "counts" },
                                       .after_step = watch };

static tq_registry *registry(void)
{
    static const tq_controller *const all[] = { &notes, &holder, &slow, &stopper, &watcher };
    tq_registry *r = tq_registry_create();
    CHECK_OK(tq_builtin_register(r));
    for (int i = 0; i < TQ_COUNT(all); i++)
        CHECK_OK(tq_registry_add(r, TQ_KIND_CONTROLLER, &all[i]->entry));
    return r;
}

/* ---- running --------------------------------------------------------------------------------- */

static struct {
    tq_registry *r;
    tq_dataset *data;
} lab;

static void open_lab(int n_points)
{
    lab.r = registry();
    lab.data = open_points(n_points);
}

static void close_lab(void)
{
    tq_dataset_close(lab.data);
    tq_registry_destroy(lab.r);
}

/** 61 points: eight batches of 8 an epoch, the last one smaller. */
static tq_train_options steered(const char *const *controllers)
{
    tq_train_options o = training(lab.data, NULL);
    o.registry = lab.r;
    o.epochs = 2;
    o.controllers = controllers;
    return o;
}

static tq_graph *parse(const char *text)
{
    tq_graph *graph;
    CHECK_OK(tq_graph_parse(lab.r, text, &graph));
    return graph;
}

static tq_graph *trained(const tq_train_options *o, const char *text)
{
    tq_graph *graph = parse(text);
    tq_train_result result;
    CHECK_OK(tq_train(graph, o, &result));
    return graph;
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/** Trained without a break, and with one in the middle of the second epoch: equal files. */
static void check_resumes(tq_train_options o, const char *text)
{
    size_t size[2];
    void *bytes[2];
    o.run_folder = new_folder();
    tq_graph *whole = trained(&o, text);
    bytes[0] = checkpoint_bytes(o.run_folder, &size[0]);
    o.run_folder = new_folder();
    o.max_steps = 11;
    tq_graph_destroy(trained(&o, text));
    o.max_steps = 0;
    o.resume = true;
    tq_graph *resumed = trained(&o, text);
    bytes[1] = checkpoint_bytes(o.run_folder, &size[1]);
    CHECK_EQ(size[0], size[1]);
    CHECK(!memcmp(bytes[0], bytes[1], size[0]));
    char *a = tq_graph_print(whole, 0), *b = tq_graph_print(resumed, 0);
    CHECK_STR(a, b);
    free(a), free(b), free(bytes[0]), free(bytes[1]);
    tq_graph_destroy(whole);
    tq_graph_destroy(resumed);
}

TEST(hooks_are_called_in_their_order)
{
    open_lab(24);
    memset(events, 0, sizeof events);
    tq_train_options o = steered(LIST("notes"));
    tq_graph_destroy(trained(&o, CLASSIFIER));
    CHECK_STR(events, "S0bababae1bababae");
    close_lab();
}

TEST(a_resumed_training_calls_the_hooks_that_are_left)
{
    open_lab(24);
    tq_train_options o = steered(LIST("notes"));
    o.run_folder = new_folder();
    o.max_steps = 4;
    tq_graph_destroy(trained(&o, CLASSIFIER));
    o.max_steps = 0;
    o.resume = true;
    memset(events, 0, sizeof events);
    tq_graph_destroy(trained(&o, CLASSIFIER));
    CHECK_STR(events, "babae");
    close_lab();
}

TEST(what_is_frozen_stays_and_what_is_set_is_used)
{
    open_lab(61);
    tq_train_options o = steered(LIST("holder"));
    o.max_steps = 5;
    tq_graph *five = trained(&o, CLASSIFIER);
    o.max_steps = 0;
    tq_graph *all = trained(&o, CLASSIFIER);
    CHECK(!memcmp(constant(five, "f"), constant(all, "f"), 3 * 64 * sizeof(float)));
    CHECK(constant(five, "w")[0] != constant(all, "w")[0]);
    CHECK_NEAR((double)constant(all, "g")[0], 1, 0);
    CHECK(constant(all, "g")[1] != constant(five, "g")[1]);
    tq_graph_destroy(five);
    tq_graph_destroy(all);
    close_lab();
}

TEST(the_learning_rate_of_one_parameter_is_scaled)
{
    open_lab(24);
    float moved[2], other[2];
    for (int i = 0; i < 2; i++) {
        tq_train_options o = steered(i ? LIST("slow:0.25") : NULL);
        o.max_steps = 1;
        tq_graph *before = parse(CLASSIFIER), *after = trained(&o, CLASSIFIER);
        moved[i] = constant(after, "f")[7] - constant(before, "f")[7];
        other[i] = constant(after, "w")[7];
        tq_graph_destroy(before);
        tq_graph_destroy(after);
    }
    CHECK(moved[0] != 0);
    CHECK_NEAR((double)moved[1], 0.25 * (double)moved[0], 1e-6);
    CHECK(other[0] == other[1]);
    close_lab();
}

TEST(states_and_what_was_frozen_resume_to_the_same_bytes)
{
    open_lab(61);
    tq_train_options o = steered(LIST("holder", "freeze-bn:1", "slow:0.5"));
    o.optimizer = "adam";
    check_resumes(o, CLASSIFIER);
    close_lab();
}

TEST(a_failing_hook_is_named_with_its_step)
{
    open_lab(61);
    tq_train_options o = steered(LIST("stopper"));
    tq_graph *graph = parse(CLASSIFIER);
    tq_train_result result;
    CHECK_FAILS(tq_train(graph, &o, &result), TQ_ERR_STATE, "controller 'stopper', step 3: enough");
    tq_graph_destroy(graph);
    close_lab();
}

TEST(unknown_names_and_arguments_are_refused_before_anything_is_written)
{
    static const struct {
        const char *text;
        tq_code code;
        const char *message;
    } cases[] = {
        { "freeze-bm:1", TQ_ERR_NOT_FOUND,
          "unknown controller 'freeze-bm'; did you mean 'freeze-bn'?" },
        { "freeze-bn", TQ_ERR_VALUE, "controller 'freeze-bn': it needs 1 number" },
        { "freeze-bn:x", TQ_ERR_VALUE, "'x' is no number" },
        { "freeze-bn:-1", TQ_ERR_VALUE, "-1 epochs" },
        { "freeze-bn:1,2", TQ_ERR_VALUE, "it has more than 1 numbers" },
        { "freeze-bounds:10", TQ_ERR_VALUE, "it needs at least 2 numbers" },
        { "freeze-bounds:10,0", TQ_ERR_VALUE, "whole EVERY" },
        { "freeze-bounds:10,5,1", TQ_ERR_VALUE, "decay is 1" },
        { "notes:1", TQ_ERR_VALUE, "it takes no arguments" },
    };
    open_lab(24);
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        tq_train_options o = steered(LIST(cases[i].text));
        o.run_folder = new_folder();
        tq_graph *graph = parse(CLASSIFIER);
        tq_train_result result;
        CHECK_FAILS(tq_train(graph, &o, &result), cases[i].code, cases[i].message);
        CHECK(access(o.run_folder, F_OK) != 0);
        tq_graph_destroy(graph);
    }
    close_lab();
}

TEST(a_checkpoint_of_other_controllers_is_refused)
{
    open_lab(24);
    tq_train_options o = steered(LIST("freeze-bn:1"));
    o.run_folder = new_folder();
    tq_graph_destroy(trained(&o, CLASSIFIER));
    o.resume = true;
    o.controllers = LIST("freeze-bn:2");
    tq_graph *graph = parse(CLASSIFIER);
    tq_train_result result;
    CHECK_FAILS(tq_train(graph, &o, &result), TQ_ERR_VALUE, "'controllers=freeze-bn:2'");
    tq_graph_destroy(graph);
    close_lab();
}

/* ---- freeze-bn ------------------------------------------------------------------------------- */

TEST(batch_norms_keep_their_statistics_from_that_epoch_on_and_learn)
{
    open_lab(61);
    tq_train_options o = steered(LIST("freeze-bn:1"));
    tq_graph *graphs[2];
    for (int i = 0; i < 2; i++) {
        o.max_steps = i ? 0 : 8;
        graphs[i] = trained(&o, CLASSIFIER);
    }
    CHECK(constant(graphs[0], "m")[0] != 0.0f);
    CHECK(!memcmp(constant(graphs[0], "m"), constant(graphs[1], "m"), 4 * sizeof(float)));
    CHECK(!memcmp(constant(graphs[0], "v"), constant(graphs[1], "v"), 4 * sizeof(float)));
    CHECK(constant(graphs[0], "s")[0] != constant(graphs[1], "s")[0]);
    CHECK(constant(graphs[0], "b")[0] != constant(graphs[1], "b")[0]);
    tq_graph_destroy(graphs[0]);
    tq_graph_destroy(graphs[1]);
    close_lab();
}

TEST(freezing_at_once_is_training_with_frozen_batch_norms)
{
    open_lab(61);
    char *text[2];
    for (int i = 0; i < 2; i++) {
        tq_train_options o = steered(i ? LIST("freeze-bn:0") : NULL);
        o.bn = i ? "train" : "freeze";
        tq_graph *graph = trained(&o, CLASSIFIER);
        text[i] = tq_graph_print(graph, 0);
        tq_graph_destroy(graph);
    }
    CHECK_STR(text[0], text[1]);
    free(text[0]), free(text[1]);
    close_lab();
}

static tq_status freeze_in_epoch_0(tq_control *c)
{
    c->freeze_norms = c->epoch == 0;
    return TQ_OK;
}

TEST(batch_norms_that_thaw_move_their_statistics_again)
{
    static const tq_controller winter = { .entry = { .name = "winter", .brief = "freezes epoch 0" },
                                          .epoch_start = freeze_in_epoch_0 };
    open_lab(61);
    CHECK_OK(tq_registry_add(lab.r, TQ_KIND_CONTROLLER, &winter.entry));
    tq_train_options o = steered(LIST("winter"));
    for (int i = 0; i < 2; i++) {
        o.max_steps = i ? 9 : 8;
        tq_graph *graph = trained(&o, CLASSIFIER);
        CHECK_EQ(constant(graph, "m")[0] != 0.0f, i);
        tq_graph_destroy(graph);
    }
    close_lab();
}

/* ---- freeze-bounds --------------------------------------------------------------------------- */

/* Three bounds: hi1 and hi2 cut activations off, lo3 is far beyond the logits: it has no gradient.
 */
#define QUANTIZED                                                                                  \
    "input x: f32[?,1,4,4] const f: f32[8,16] = random(2) const g: f32[8] = 0.0 "                  \
    "const i: f32[8,8] = random(4) const h: f32[3,8] = random(3) const lo0: f32[1] = 0.0 "         \
    "const hi1: f32[1] = 0.4 const hi2: f32[1] = 0.2 const lo3: f32[1] = -9.0 "                    \
    "const hi3: f32[1] = 8.9 "                                                                     \
    "t = Flatten(x) a = Gemm(t,f,g)[transB=1] r = Relu(a) "                                        \
    "q = FakeQuantize(r,lo0,hi1)[q_min=0,n_levels=256] b = Gemm(q,i)[transB=1] s = Relu(b) "       \
    "p = FakeQuantize(s,lo0,hi2)[q_min=0,n_levels=256] l = Gemm(p,h)[transB=1] "                   \
    "logits = FakeQuantize(l,lo3,hi3)[q_min=-128,n_levels=256]"

TEST(bounds_freeze_one_at_a_time_from_the_start_on)
{
    static const int expected[] = {
        [3] = 0, [4] = 1, [5] = 1, [6] = 2, [7] = 2, [8] = 3, [10] = 3
    };
    open_lab(61);
    for (int steps = 3; steps < TQ_COUNT(expected); steps++) {
        if (steps == 9)
            continue;
        tq_train_options o = steered(LIST("freeze-bounds:4,2", "watcher"));
        o.max_steps = steps;
        o.params.lr = 1e-4;
        tq_graph_destroy(trained(&o, QUANTIZED));
        CHECK_EQ(n_frozen, expected[steps], "after %d steps", steps);
    }
    close_lab();
}

TEST(the_bound_with_the_smallest_gradient_is_frozen_first)
{
    open_lab(61);
    tq_train_options o = steered(LIST("freeze-bounds:2,100", "watcher"));
    o.max_steps = 2;
    o.params.lr = 1e-4;
    tq_graph_destroy(trained(&o, QUANTIZED));
    CHECK_STR(frozen_names, "lo3 ");
    close_lab();
}

/* hi1 is pulled from one octave of the scale into the next: it is not at rest. */
static tq_status pull(tq_control *c)
{
    find(c, "hi1")->data[0] = 12.0f;
    return TQ_OK;
}

TEST(a_bound_that_left_its_average_is_not_frozen)
{
    static const tq_controller puller = { .entry = { .name = "puller", .brief = "pulls" },
                                          .epoch_start = pull };
    open_lab(61);
    CHECK_OK(tq_registry_add(lab.r, TQ_KIND_CONTROLLER, &puller.entry));
    for (int i = 0; i < 2; i++) { /* an average that follows at once lets it freeze */
        tq_train_options o = steered(i ? LIST("puller", "freeze-bounds:1,1,0", "watcher")
                                       : LIST("puller", "freeze-bounds:1,1", "watcher"));
        o.max_steps = 7;
        o.params.lr = 1e-4;
        tq_graph_destroy(trained(&o, QUANTIZED));
        CHECK_EQ(n_frozen, 2 + i, "%s", frozen_names);
        CHECK_EQ(strstr(frozen_names, "hi1") != NULL, i);
    }
    close_lab();
}

TEST(bounds_that_freeze_resume_to_the_same_bytes)
{
    open_lab(61);
    tq_train_options o = steered(LIST("freeze-bounds:3,5", "watcher"));
    o.optimizer = "pactadam";
    o.params.lr = 0.001;
    check_resumes(o, QUANTIZED);
    CHECK_EQ(n_frozen, 3);
    close_lab();
}
