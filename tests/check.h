/* A test is a sentence: TEST(the_claim) { ... CHECK... }. Runs on cmocka; every file is one executable
 * whose main is in check.c. `CHECK_*` stop the test with file, line and both values. */
#ifndef TRUQ_TESTS_CHECK_H
#define TRUQ_TESTS_CHECK_H

#include <truq/truq.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tests register before main runs: this is the one place where constructors are used, so that a test
 * file is nothing but its sentences. */
void check_add(const char *name, void (*run)(void **state));
#define TEST(name)                                                                                \
    static void name(void **state);                                                               \
    __attribute__((constructor)) static void check_add_##name(void) { check_add(#name, name); }  \
    static void name(__attribute__((unused)) void **state)

__attribute__((noreturn, format(printf, 3, 4))) void check_fail(const char *file, int line, const char *format, ...);
/* Ends the test as skipped, saying why ("no ../shared/data beside the project"). */
__attribute__((noreturn, format(printf, 1, 2))) void check_skip(const char *format, ...);

#define CHECK(condition)                                                                          \
    ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, "%s does not hold", #condition))
/* Integers (or enums, bools). The optional rest is a printf text. */
#define CHECK_EQ(a, b, ...) check_eq(__FILE__, __LINE__, #a, (int64_t)(a), (int64_t)(b), " " __VA_ARGS__)
__attribute__((format(printf, 6, 7))) void check_eq(const char *file, int line, const char *what, int64_t a, int64_t b,
                                                    const char *format, ...);
#define CHECK_NEAR(a, b, tolerance) check_near(__FILE__, __LINE__, #a, (a), (b), (tolerance))
void check_near(const char *file, int line, const char *what, double a, double b, double tolerance);
#define CHECK_STR(a, b) check_str(__FILE__, __LINE__, #a, (a), (b))
void check_str(const char *file, int line, const char *what, const char *a, const char *b);
/* The call succeeds (and the error is shown if not). */
#define CHECK_OK(call) check_ok(__FILE__, __LINE__, #call, (call))
void check_ok(const char *file, int line, const char *what, tq_status status);
/* The call fails with this code, and its message contains `text`. */
#define CHECK_FAILS(call, code, text) check_fails(__FILE__, __LINE__, #call, (call), (code), (text))
void check_fails(const char *file, int line, const char *what, tq_status status, tq_code code, const char *text);

/* A registry with all that is built in; lives until the process ends. */
const tq_registry *check_registry(void);
/* A graph from the text form (docs/text-form.md); the test destroys it. */
tq_graph *check_graph(const char *text);
int check_count(const tq_graph *graph, const char *op);
/* Runs a graph on one input (more: check_run_n); returns a copy of output 0, reset by the test. */
tq_tensor check_run(const tq_graph *graph, const tq_tensor *input);
/* f32 tensor with values spread by a fixed random stream. */
tq_tensor check_random_f32(int rank, const int64_t *dims, uint64_t seed, float lo, float hi);
/* n random bytes that end at a guard page; freed at exit. */
void *check_random_bytes(int64_t n);
/* Does this CPU have `needs`? Says once on stderr when a variant is left out. */
bool check_cpu_has(unsigned needs, const char *name);
/* "../shared/data/<path>" if it is there, else NULL after a line that says so. */
const char *check_shared(const char *path);
/* A fresh temporary folder, removed at exit. */
const char *check_folder(void);

#endif
