/* Optimisers against steps computed by hand, schedules against their formulas. */
#include "check.h"
#include "train/train_internal.h"

static const tq_optimizer *optimizer(const char *name)
{
    return (const tq_optimizer *)tq_registry_get(check_registry(), TQ_KIND_OPTIMIZER, name);
}

/** w after steps with these gradients, from w = 1. */
static double steps(const char *name, const tq_optimizer_params *p, double weight_decay, int n,
                    const float *grads)
{
    float w = 1.0f, a = 0.0f, b = 0.0f;
    for (int i = 0; i < n; i++)
        optimizer(name)->update(p, p->lr, weight_decay, i + 1, 1, &w, &grads[i],
                                (float *const[]){ &a, &b });
    return (double)w;
}

TEST(sgd_follows_the_momentum_of_pytorch)
{
    const tq_optimizer_params p = { .lr = 0.1, .momentum = 0.9 };
    const float grads[] = { 0.5f, 0.5f };
    CHECK_NEAR(steps("sgd", &p, 0.01, 1, grads), 0.949, 1e-6);
    CHECK_NEAR(steps("sgd", &p, 0.01, 2, grads), 0.852151, 1e-6);
}

TEST(nesterov_looks_ahead)
{
    const tq_optimizer_params p = { .lr = 0.1, .momentum = 0.9, .nesterov = true };
    CHECK_NEAR(steps("sgd", &p, 0.01, 1, (float[]){ 0.5f }), 0.9031, 1e-6);
}

TEST(adam_corrects_its_bias)
{
    const tq_optimizer_params p = { .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 };
    const float grads[] = { 0.5f, -0.25f };
    CHECK_NEAR(steps("adam", &p, 0.0, 1, grads), 0.999, 1e-7);
    CHECK_NEAR(steps("adam", &p, 0.0, 2, grads), 0.998733663, 1e-7);
}

TEST(adagrad_divides_by_the_sum_of_squares)
{
    const tq_optimizer_params p = { .lr = 0.1, .epsilon = 1e-10 };
    CHECK_NEAR(steps("adagrad", &p, 0.0, 2, (float[]){ 0.5f, 1.0f }), 0.8105573, 1e-6);
}

TEST(pact_forms_update_alike_and_have_quantlibs_defaults)
{
    const char *const names[] = { "sgd", "adam", "adagrad" };
    for (int i = 0; i < TQ_COUNT(names); i++) {
        char pact[32];
        snprintf(pact, sizeof pact, "pact%s", names[i]);
        CHECK(optimizer(pact)->update == optimizer(names[i])->update);
        CHECK_NEAR(optimizer(pact)->defaults.pact_decay, 0.001, 0.0);
        CHECK_NEAR(optimizer(pact)->defaults.lr, 0.001, 0.0);
        CHECK_NEAR(optimizer(names[i])->defaults.pact_decay, 0.0, 0.0);
    }
    CHECK_NEAR(optimizer("pactsgd")->defaults.momentum, 0.9, 0.0);
}

static double factor(const char *text, int64_t n_warmup, int64_t step)
{
    tq_plan plan;
    CHECK_OK(tq_plan_parse(check_registry(), text, &plan));
    plan.n_steps = 100;
    plan.steps_per_epoch = 10;
    plan.n_warmup = n_warmup;
    return tq_plan_factor(&plan, step);
}

TEST(schedules_follow_their_formulas)
{
    CHECK_NEAR(factor(NULL, 0, 99), 1.0, 0.0);
    CHECK_NEAR(factor("cosine", 0, 0), 1.0, 0.0);
    CHECK_NEAR(factor("cosine", 0, 50), 0.5, 1e-12);
    CHECK_NEAR(factor("step:3,0.1", 0, 29), 1.0, 1e-12);
    CHECK_NEAR(factor("step:3,0.1", 0, 30), 0.1, 1e-12);
    CHECK_NEAR(factor("step:3,0.1", 0, 60), 0.01, 1e-12);
}

TEST(warm_up_is_linear_and_the_schedule_starts_after_it)
{
    CHECK_NEAR(factor("cosine", 20, 0), 0.05, 1e-12);
    CHECK_NEAR(factor("cosine", 20, 19), 1.0, 1e-12);
    CHECK_NEAR(factor("cosine", 20, 20), 1.0, 1e-12);
    CHECK_NEAR(factor("cosine", 20, 60), 0.5, 1e-12);
}

TEST(wrong_schedules_are_refused)
{
    tq_plan plan;
    CHECK_FAILS(tq_plan_parse(check_registry(), "cosin", &plan), TQ_ERR_NOT_FOUND, "cosine");
    CHECK_FAILS(tq_plan_parse(check_registry(), "step:a,0.1", &plan), TQ_ERR_VALUE, "'a,0.1'");
    CHECK_FAILS(tq_plan_parse(check_registry(), "step:-1", &plan), TQ_ERR_VALUE, "no positive");
    CHECK_FAILS(tq_plan_parse(check_registry(), "step:1,2,3,4,5", &plan), TQ_ERR_VALUE,
                "more than 4");
}
