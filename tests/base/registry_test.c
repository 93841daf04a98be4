/* The registry: finding by name, and what it says when it does not. */
#include "check.h"

static const tq_entry lsq = { .name = "lsq" }, pact = { .name = "pact" };
static const tq_entry conv = { .name = "Conv" }, pool = { .name = "GlobalAveragePool" };
static const tq_entry fold = { .name = "fold-batchnorm" };

static tq_registry *some_registry(void)
{
    tq_registry *registry = tq_registry_create();
    CHECK_OK(tq_registry_add(registry, TQ_KIND_QUANTIZER, &pact));
    CHECK_OK(tq_registry_add(registry, TQ_KIND_QUANTIZER, &lsq));
    CHECK_OK(tq_registry_add(registry, TQ_KIND_OP, &conv));
    CHECK_OK(tq_registry_add(registry, TQ_KIND_OP, &pool));
    CHECK_OK(tq_registry_add(registry, TQ_KIND_EDITOR, &fold));
    return registry;
}

TEST(an_entry_is_found_by_kind_and_name)
{
    tq_registry *registry = some_registry();
    const tq_entry *entry;
    CHECK_OK(tq_registry_find(registry, TQ_KIND_QUANTIZER, "lsq", &entry));
    CHECK(entry == &lsq);
    CHECK(tq_registry_get(registry, TQ_KIND_QUANTIZER, "pact") == &pact);
    CHECK(!tq_registry_get(registry, TQ_KIND_OP, "pact"));
    CHECK_EQ(tq_registry_count(registry, TQ_KIND_QUANTIZER), 2);
    CHECK(tq_registry_at(registry, TQ_KIND_QUANTIZER, 1) == &lsq);
    CHECK_EQ(tq_registry_count(registry, TQ_KIND_RECIPE), 0);
    tq_registry_destroy(registry);
    tq_registry_destroy(NULL);
}

static void check_message(tq_kind kind, const char *name, const char *message)
{
    tq_registry *registry = some_registry();
    const tq_entry *entry;
    const tq_status status = tq_registry_find(registry, kind, name, &entry);
    CHECK_EQ(tq_status_code(status), TQ_ERR_NOT_FOUND);
    CHECK_STR(tq_status_text(status), message);
    tq_status_drop(status);
    tq_registry_destroy(registry);
}

TEST(a_swapped_letter_is_understood)
{
    check_message(
        TQ_KIND_QUANTIZER, "lqs",
        "unknown quantizer 'lqs'; did you mean 'lsq'? ('truq list quantizers' shows all)");
}

TEST(wrong_case_is_understood)
{
    check_message(TQ_KIND_OP, "CONV",
                  "unknown operator 'CONV'; did you mean 'Conv'? ('truq list ops' shows all)");
}

TEST(a_beginning_is_understood)
{
    check_message(
        TQ_KIND_EDITOR, "fold",
        "unknown editor 'fold'; did you mean 'fold-batchnorm'? ('truq list editors' shows all)");
}

TEST(nothing_near_is_not_guessed)
{
    check_message(TQ_KIND_QUANTIZER, "q",
                  "unknown quantizer 'q' ('truq list quantizers' shows all)");
    check_message(TQ_KIND_OP, "Einsum", "unknown operator 'Einsum' ('truq list ops' shows all)");
    check_message(TQ_KIND_COMMAND, "", "unknown command '' ('truq --help' shows all)");
}

TEST(a_very_long_name_is_answered)
{
    char name[10000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    tq_registry *registry = some_registry();
    const tq_entry *entry;
    CHECK_FAILS(tq_registry_find(registry, TQ_KIND_OP, name, &entry), TQ_ERR_NOT_FOUND,
                "unknown operator");
    tq_registry_destroy(registry);
}

TEST(a_name_is_taken_once)
{
    tq_registry *registry = some_registry();
    const tq_entry other = { .name = "lsq" };
    CHECK_FAILS(tq_registry_add(registry, TQ_KIND_QUANTIZER, &other), TQ_ERR_VALUE,
                "quantizer 'lsq' is registered twice");
    CHECK_OK(tq_registry_add(registry, TQ_KIND_OBSERVER, &other));
    CHECK_FAILS(tq_registry_add(registry, TQ_KIND_OP, &(tq_entry){ 0 }), TQ_ERR_VALUE,
                "without a name");
    tq_registry_destroy(registry);
}

TEST(an_operator_may_have_several_kernels)
{
    tq_registry *registry = tq_registry_create();
    const tq_entry fast = { .name = "Conv", .brief = "fast" },
                   slow = { .name = "Conv", .brief = "slow" };
    CHECK_OK(tq_registry_add(registry, TQ_KIND_KERNEL, &fast));
    CHECK_OK(tq_registry_add(registry, TQ_KIND_KERNEL, &slow));
    CHECK(tq_registry_get(registry, TQ_KIND_KERNEL, "Conv") == &fast);
    CHECK_EQ(tq_registry_count(registry, TQ_KIND_KERNEL), 2);
    tq_registry_destroy(registry);
}
