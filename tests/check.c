#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

enum { MAX_TESTS = 400 };
static struct CMUnitTest all[MAX_TESTS];
static size_t n_all;

void check_add(const char *name, void (*run)(void **state))
{
    if (n_all == MAX_TESTS)
        abort();
    all[n_all++] = (struct CMUnitTest){ .name = name, .test_func = run };
}

void check_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char text[4096];
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_error("%s\n", text);
    _fail(file, line);
    abort();
}

void check_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    skip();
    abort();
}

void check_eq(const char *file, int line, const char *what, int64_t a, int64_t b, const char *format, ...)
{
    if (a == b)
        return;
    va_list args;
    va_start(args, format);
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    check_fail(file, line, "%s is %" PRId64 ", expected %" PRId64 "%s", what, a, b, text);
}

void check_near(const char *file, int line, const char *what, double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        check_fail(file, line, "%s is %.9g, expected %.9g within %g", what, a, b, tolerance);
}

void check_str(const char *file, int line, const char *what, const char *a, const char *b)
{
    if (!a || !b || strcmp(a, b) != 0)
        check_fail(file, line, "%s is\n%s\nexpected\n%s", what, a ? a : "(NULL)", b ? b : "(NULL)");
}

void check_ok(const char *file, int line, const char *what, tq_status status)
{
    if (status)
        check_fail(file, line, "%s failed: %s", what, tq_status_text(status));
}

void check_fails(const char *file, int line, const char *what, tq_status status, tq_code code, const char *text)
{
    if (!status)
        check_fail(file, line, "%s succeeded, expected an error with '%s'", what, text);
    if (tq_status_code(status) != code || !strstr(tq_status_text(status), text))
        check_fail(file, line, "%s: error %d '%s', expected %d '%s'", what, (int)tq_status_code(status),
                   tq_status_text(status), (int)code, text);
    tq_status_drop(status);
}

const tq_registry *check_registry(void)
{
    static tq_registry *registry;
    if (!registry) {
        registry = tq_registry_create();
        const tq_status status = tq_builtin_register(registry);
        if (status) {
            fprintf(stderr, "cannot register: %s\n", tq_status_text(status));
            abort();
        }
    }
    return registry;
}

tq_graph *check_graph(const char *text)
{
    tq_graph *graph = NULL;
    CHECK_OK(tq_graph_parse(check_registry(), text, &graph));
    return graph;
}

int check_count(const tq_graph *graph, const char *op)
{
    int n = 0;
    for (tq_node *node = tq_graph_first(graph); node; node = tq_node_next(node))
        n += tq_node_is(node, op);
    return n;
}

tq_tensor check_run(const tq_graph *graph, const tq_tensor *input)
{
    tq_engine *engine = NULL;
    CHECK_OK(tq_engine_create(graph, &input->type, 1, &(tq_engine_options){ 0 }, &engine));
    CHECK_OK(tq_engine_run(engine, input, 1, 0));
    tq_tensor copy;
    CHECK_OK(tq_tensor_copy(tq_engine_output(engine, 0), &copy));
    tq_engine_destroy(engine);
    return copy;
}

tq_tensor check_random_f32(int rank, const int64_t *dims, uint64_t seed, float lo, float hi)
{
    const tq_type type = tq_type_make(TQ_F32, rank, dims);
    tq_tensor tensor;
    CHECK_OK(tq_tensor_init(&tensor, &type));
    tq_random random;
    tq_random_init(&random, seed, 0, 0);
    for (int64_t i = 0; i < tq_type_count(&type); i++)
        ((float *)tensor.data)[i] = lo + (hi - lo) * (float)tq_random_uniform(&random);
    return tensor;
}

void *check_random_bytes(int64_t n)
{
    static uint64_t calls;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = ((size_t)n + page - 1) / page * page;
    uint8_t *base = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + size, page, PROT_NONE) != 0)
        abort();
    uint8_t *bytes = base + size - (size_t)n;
    tq_random random;
    tq_random_init(&random, 1, ++calls, 0);
    for (int64_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)tq_random_u64(&random);
    return bytes;
}

bool check_cpu_has(unsigned needs, const char *name)
{
    if ((tq_cpu_flags() & needs) == needs)
        return true;
    static const char *said;
    if (said != name)
        fprintf(stderr, "this CPU cannot run '%s': not tested here\n", name);
    said = name;
    return false;
}

const char *check_shared(const char *path)
{
    static char full[4][1024];
    static int turn;
    char *text = full[turn++ % 4];
    snprintf(text, sizeof full[0], "../shared/data/%s", path);
    if (access(text, R_OK) == 0)
        return text;
    fprintf(stderr, "no '%s' beside the project: not tested here\n", text);
    return NULL;
}

static char folder[] = "/tmp/truq-test-XXXXXX";
static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove '%s'\n", folder);
}

const char *check_folder(void)
{
    static bool made;
    if (!made && !mkdtemp(folder))
        abort();
    if (!made)
        atexit(remove_folder);
    made = true;
    return folder;
}

int main(void)
{
    return _cmocka_run_group_tests("tests", all, n_all, NULL, NULL);
}
