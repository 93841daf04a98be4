/* Memory that runs out at each allocation in turn: a clean error, nothing leaked (the sanitiser
 * build would say so). This program's tq_allocate takes the place of the library's. */
#include "check.h"
#include "base/base.h"

#include <malloc.h>

static tq_status multiply(void *context);
static int n_left = INT32_MAX; /* allocations that still succeed */

void *tq_allocate(size_t size)
{
    return n_left-- > 0 ? calloc(1, size ? size : 1) : NULL;
}

/* Runs body with 0, 1, 2, ... allocations until it succeeds; returns how often it failed. */
static int count_failures(tq_status (*body)(void *context), void *context)
{
    for (int n = 0; n < 1000; n++) {
        n_left = n;
        const tq_status status = body(context);
        n_left = INT32_MAX;
        if (!status)
            return n;
        CHECK_EQ(tq_status_code(status), TQ_ERR_MEMORY);
        tq_status_drop(status);
    }
    check_fail(__FILE__, __LINE__, "never succeeds");
}

static tq_status fill(void *context)
{
    tq_arena *arena = *(tq_arena **)context = tq_arena_create();
    for (int i = 0; i < 100; i++)
        CHECK_STR(tq_arena_printf(arena, "name_%d_%0500d", i, 0) + 500,
                  i < 10 ? "0000000" : "00000000");
    return TQ_OK;
}

static tq_status fill_guarded(void *context)
{
    tq_arena *arena = NULL;
    const tq_status status = tq_guard(fill, &arena);
    tq_arena_destroy(arena);
    (void)context;
    return status;
}

TEST(an_arena_that_cannot_grow_unwinds_to_the_guard)
{
    CHECK(count_failures(fill_guarded, NULL) >= 4);
}

static tq_status fill_twice(void *n_inner_failures)
{
    tq_status status = fill_guarded(NULL);
    if (status)
        ++*(int *)n_inner_failures;
    tq_status_drop(status);
    tq_arena_destroy(tq_arena_create());
    return TQ_OK;
}

TEST(guards_nest)
{
    int n_inner_failures = 0;
    n_left = 2;
    const tq_status status = tq_guard(fill_twice, &n_inner_failures);
    n_left = INT32_MAX;
    CHECK_EQ(n_inner_failures, 1);
    CHECK_EQ(tq_status_code(status), TQ_ERR_MEMORY,
             "the outer guard catches after the inner one did");
    tq_status_drop(status);
}

static tq_status fill_scratch(void *context)
{
    tq_arena *outer = tq_scratch_create(), *inner = tq_scratch_create();
    tq_arena_alloc(inner, 100000);
    tq_arena_destroy(outer); /* in any order */
    tq_arena_alloc(inner, 100000);
    tq_arena_destroy(inner);
    (void)context;
    return TQ_OK;
}

static tq_status fill_scratch_guarded(void *context)
{
    return tq_guard(fill_scratch, context);
}

/* Blocks that the heap keeps at hand count as in use. */
static void check_heap(size_t before)
{
    CHECK(mallinfo2().uordblks < before + 10000);
}

TEST(scratch_goes_with_the_call_that_is_passed_over)
{
    const size_t before = mallinfo2().uordblks;
    CHECK_EQ(count_failures(fill_scratch_guarded, NULL), 4);
    check_heap(before);
}

static tq_status fail_inside(void *context)
{
    tq_arena *outer = tq_scratch_create();
    tq_arena_alloc(outer, 100000);
    tq_status status = tq_guard(multiply, context);
    CHECK_STR(tq_arena_strdup(outer, "still there"), "still there");
    tq_status_drop(status);
    tq_arena_destroy(outer);
    return TQ_OK;
}

TEST(scratch_of_those_outside_the_guard_stays)
{
    const size_t before = mallinfo2().uordblks;
    CHECK_OK(tq_guard(fail_inside, NULL));
    check_heap(before);
}

static tq_status multiply(void *context)
{
    (void)context;
    tq_size_mul(SIZE_MAX / 2, 3);
    return TQ_OK;
}

TEST(a_size_that_overflows_counts_as_exhaustion)
{
    CHECK_FAILS(tq_guard(multiply, NULL), TQ_ERR_MEMORY, "out of memory");
}

static tq_status create_pool(void *context)
{
    (void)context;
    tq_pool *pool = NULL;
    TQ_TRY(tq_pool_create(2, &pool));
    tq_pool_destroy(pool);
    return TQ_OK;
}

TEST(a_pool_fails_cleanly)
{
    CHECK_EQ(count_failures(create_pool, NULL), 1);
}

static tq_status register_many(void *context)
{
    tq_registry *registry = tq_registry_create();
    tq_entry *entries = context;
    tq_status status = TQ_OK;
    for (int i = 0; i < 40 && !status; i++)
        status = tq_registry_add(registry, TQ_KIND_OP, &entries[i]);
    tq_registry_destroy(registry);
    return status;
}

static tq_status register_guarded(void *entries)
{
    return tq_guard(register_many, entries);
}

TEST(a_registry_fails_cleanly)
{
    char names[40][16];
    tq_entry entries[40];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "Op%d", i);
        entries[i] = (tq_entry){ .name = names[i] };
    }
    CHECK_EQ(count_failures(register_guarded, entries), 3,
             "the registry, and its array grown once");
}

static tq_status create_tensors(void *context)
{
    (void)context;
    tq_tensor x, y = { 0 };
    const tq_type type = tq_type_make(TQ_F32, 1, (int64_t[]){ 1000 });
    TQ_TRY(tq_tensor_init(&x, &type));
    const tq_status status = tq_tensor_cast(&x, TQ_I8, &y);
    tq_tensor_reset(&x);
    tq_tensor_reset(&y);
    return status;
}

TEST(tensors_fail_cleanly)
{
    const size_t live = tq_buffer_live();
    CHECK_EQ(count_failures(create_tensors, NULL), 2);
    CHECK_EQ(tq_buffer_live(), live);
}

TEST(an_error_that_finds_no_memory_is_still_an_error)
{
    n_left = 0;
    const tq_status status = tq_fail(TQ_ERR_VALUE, "bits is 99");
    n_left = INT32_MAX;
    CHECK_EQ(tq_status_code(status), TQ_ERR_MEMORY);
    CHECK_STR(tq_status_text(status), "out of memory");
    tq_status_drop(status);
}

TEST(an_error_that_cannot_be_wrapped_stays_as_it_was)
{
    tq_status status = tq_fail(TQ_ERR_VALUE, "bits is 99");
    for (int n = 0; n < 2; n++) {
        n_left = n;
        status = tq_wrap(status, "recipe 'r'");
        n_left = INT32_MAX;
        CHECK_STR(tq_status_text(status), "bits is 99");
    }
    tq_status_drop(status);
}
