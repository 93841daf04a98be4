/* Memory that runs out at each allocation of planning in turn: a clean error, nothing leaked (the
 * sanitiser build would say so). This program's tq_allocate takes the place of the library's. */
#include "check.h"
#include "base/base.h"

static int n_left = INT32_MAX; /* allocations that still succeed */

void *tq_allocate(size_t size)
{
    return n_left-- > 0 ? calloc(1, size ? size : 1) : NULL;
}

static void fail_each(const char *text)
{
    tq_graph *graph = check_graph(text);
    const tq_type type = *tq_value_type(tq_graph_input(graph, 0));
    n_left = INT32_MAX; /* copying and inferring are the graph's own matter */
    tq_graph *copy = tq_graph_clone(graph);
    CHECK_OK(tq_graph_infer_for(copy, &type, 1));
    const int n_first = INT32_MAX - n_left + 3;
    n_left = INT32_MAX;
    tq_graph_destroy(copy);
    for (int n = n_first; n < 2000; n++) {
        tq_engine *engine = NULL;
        n_left = n;
        const tq_status status = tq_engine_create(graph, &type, 1, NULL, &engine);
        n_left = INT32_MAX;
        if (!status) {
            tq_engine_destroy(engine);
            tq_graph_destroy(graph);
            CHECK(n > n_first + 5);
            return;
        }
        CHECK(engine == NULL);
        CHECK_EQ(tq_status_code(status), TQ_ERR_MEMORY, "%s", tq_status_text(status));
        tq_status_drop(status);
    }
    check_fail(__FILE__, __LINE__, "never succeeds");
}

TEST(planning_a_float_network_without_memory)
{
    fail_each("input x: f32[3,4,8,8] const w: f32[8,4,3,3] = random(1) a = Conv(x,w) b = Relu(a) "
              "c = MaxPool(b)[kernel_shape=[2,2]] y = Flatten(c)");
}

TEST(planning_an_integer_network_without_memory)
{
    fail_each(
        "input x: u8[3,4,8,8] const w: i8[8,4,3,3] = random(1) const m: i32[1] = 3 "
        "const o: i64[1] = 4 a = ConvInteger(x,w) b = Requant(a,m,o)[shift=4,q_min=0,q_max=9] "
        "y = MaxPool(b)[kernel_shape=[2,2]]");
}
