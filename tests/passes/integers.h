/* A fake-quantised graph in text form and the true one made of it. */
#ifndef TRUQ_TESTS_INTEGERS_H
#define TRUQ_TESTS_INTEGERS_H

#include "edits.h"

/* y = FakeQuantize(x) on the grid of scale and zero point, 256 codes from q_min. */
#define FQ(y, x, scale, zero, q_min)                                                               \
    "const " y ".s: f32[1] = " scale " const " y ".z: f32[1] = " zero "\n" y " = FakeQuantize(" x  \
    ", " y ".s, " y ".z) [quantizer=\"fixed\", q_min=" q_min "]\n"
/* A weight of `channels` channels, random in [-1, 1), one scale each. */
#define WEIGHT(w, type, channels, scales, axis)                                                    \
    "const " w ".f: " type " = random(3) const " w ".s: f32[" channels "] = " scales " const " w   \
    ".z: f32[" channels "] = 0\n" w " = FakeQuantize(" w ".f, " w ".s, " w                         \
    ".z) [quantizer=\"fixed\", q_min=-128, axis=" axis "]\n"
#define X "input x: f32[?,3,6,6]\n" FQ("q", "x", "0.02", "0", "-128")
#define W WEIGHT("w", "f32[4,3,3,3]", "4", "{0.01, 0.008, 0.012, 0.009}", "0")

typedef struct integers_pair {
    tq_graph *fake, *integer;
} integers_pair;

static inline integers_pair integers_convert(const char *text)
{
    integers_pair p = { .fake = check_graph(text) };
    p.integer = tq_graph_clone(p.fake);
    road_true(&p.integer, "generic");
    CHECK_EQ(tq_graph_stage(p.integer), TQ_STAGE_TRUE);
    CHECK_OK(tq_graph_verify(p.integer));
    return p;
}

static inline void integers_release(integers_pair *p)
{
    tq_graph_destroy(p->fake);
    tq_graph_destroy(p->integer);
}

/* Every quantiser's result but `n_merged` has a true value; more than 2 % of elements a step away
 * are no matter of rounding. */
static inline void integers_check_agrees_but(const char *text, int n_merged)
{
    integers_pair p = integers_convert(text);
    const road_agreement a = road_compare(p.fake, p.integer, 3, 1);
    CHECK_EQ(a.n_matched, a.n_quantizers - n_merged,
             "(quantisers whose results have a true value)");
    CHECK_EQ(a.n_different * 50 <= a.n_elements, true, "(%d of %d elements differ)",
             (int)a.n_different, (int)a.n_elements);
    integers_release(&p);
}

static inline void integers_check_agrees(const char *text)
{
    integers_check_agrees_but(text, 0);
}

/* Codes equal those of the fake-quantised network everywhere. */
static inline void integers_check_equal(const char *text)
{
    integers_pair p = integers_convert(text);
    const road_agreement a = road_compare(p.fake, p.integer, 3, 1);
    CHECK_EQ(a.n_matched, a.n_quantizers, "(quantisers whose results have a true value)");
    CHECK_EQ(a.n_different, 0, "(of %d elements)", (int)a.n_elements);
    integers_release(&p);
}

static inline void integers_check_refused(const char *text, const char *message)
{
    tq_graph *graph = check_graph(text);
    const tq_true_options options = { .fixed_shift = -1, .limits = road_limits("generic") };
    const tq_edit edit = { .registry = check_registry(), .true_options = &options };
    const tq_status status = tq_pipeline_run(check_registry(), "f2t", &graph, &edit);
    CHECK_EQ(status != NULL, true, "(expected '%s')", message);
    CHECK_EQ(strstr(tq_status_text(status), message) != NULL, true, "(got '%s', expected '%s')",
             tq_status_text(status), message);
    tq_status_drop(status);
    tq_graph_destroy(graph);
}

#endif
