/* Runs the last node of a text graph whose inputs are all constants. */
#ifndef TRUQ_TESTS_OPS_EVALUATE_H
#define TRUQ_TESTS_OPS_EVALUATE_H

#include "check.h"

enum { MAX_OUTPUTS = 8 };

/* Output `i` of the last node; the caller resets it. */
static inline tq_tensor evaluate_output(const char *text, int i)
{
    tq_graph *graph = check_graph(text);
    tq_tensor outputs[MAX_OUTPUTS] = { 0 };
    const tq_node *node = tq_graph_last(graph);
    CHECK_OK(tq_node_evaluate(node, outputs));
    const tq_tensor kept = tq_tensor_share(&outputs[i]);
    for (int k = 0; k < tq_node_n_outputs(node); k++)
        tq_tensor_reset(&outputs[k]);
    tq_graph_destroy(graph);
    return kept;
}

static inline void check_values(const char *file, int line, const char *text, int output,
                                double tolerance, const double *expected, int n)
{
    tq_tensor y = evaluate_output(text, output);
    if (tq_tensor_count(&y) != n)
        check_fail(file, line, "%s gives %s, expected %d elements", text, tq_type_text(&y.type).s,
                   n);
    for (int i = 0; i < n; i++) {
        const double value = tq_load_f64(y.data, y.type.dtype, i);
        if (isnan(expected[i]) ? !isnan(value)
                               : value != expected[i] && !(fabs(value - expected[i]) <= tolerance))
            check_fail(file, line, "%s\nelement %d is %.9g, expected %.9g", text, i, value,
                       expected[i]);
    }
    tq_tensor_reset(&y);
}

/* Elements of output 0 (or another one), within 1e-6. */
#define CHECK_VALUES(text, ...) CHECK_OUTPUT(text, 0, __VA_ARGS__)
#define CHECK_OUTPUT(text, output, ...)                                                            \
    check_values(__FILE__, __LINE__, (text), (output), 1e-6, (const double[]){ __VA_ARGS__ },      \
                 TQ_COUNT(((const double[]){ __VA_ARGS__ })))

/* Type of the first output of the last node, as text. */
static inline void check_type(const char *file, int line, const char *text, const char *expected)
{
    tq_graph *graph = check_graph(text);
    const tq_text type = tq_type_text(tq_value_type(tq_node_output(tq_graph_last(graph), 0)));
    if (strcmp(type.s, expected) != 0)
        check_fail(file, line, "%s gives %s, expected %s", text, type.s, expected);
    tq_graph_destroy(graph);
}
#define CHECK_TYPE(text, expected) check_type(__FILE__, __LINE__, (text), (expected))

/* The graph is refused and the message has this text. */
#define CHECK_REFUSED(text, message)                                                               \
    do {                                                                                           \
        tq_graph *refused = NULL;                                                                  \
        CHECK_FAILS(tq_graph_parse(check_registry(), (text), &refused), TQ_ERR_FORMAT, (message)); \
    } while (0)

#endif
