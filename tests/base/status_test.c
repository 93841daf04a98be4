/* Errors: text, wrapping, and what is left when memory is not. */
#include "check.h"

TEST(a_failure_has_its_code_and_text)
{
    const tq_status status = tq_fail(TQ_ERR_SHAPE, "x is %d, expected %d", 3, 4);
    CHECK_EQ(tq_status_code(status), TQ_ERR_SHAPE);
    CHECK_STR(tq_status_text(status), "x is 3, expected 4");
    tq_status_drop(status);
}

TEST(wrapping_puts_the_outer_task_in_front_and_keeps_the_code)
{
    tq_status status = tq_fail(TQ_ERR_FORMAT, "field %d is missing", 7);
    status = tq_wrap(tq_wrap(status, "node '%s'", "conv1"), "cannot import '%s'", "net.onnx");
    CHECK_EQ(tq_status_code(status), TQ_ERR_FORMAT);
    CHECK_STR(tq_status_text(status), "cannot import 'net.onnx': node 'conv1': field 7 is missing");
    tq_status_drop(status);
}

TEST(success_stays_success)
{
    CHECK(tq_wrap(TQ_OK, "cannot import '%s'", "net.onnx") == TQ_OK);
    tq_status_drop(TQ_OK);
}

TEST(a_name_cannot_break_the_line)
{
    const tq_status status = tq_fail(TQ_ERR_VALUE, "node '%s'", "a\nb\x1b[2J");
    CHECK_STR(tq_status_text(status), "node 'a?b?[2J'");
    tq_status_drop(status);
}

TEST(a_long_message_is_kept_whole)
{
    char name[5000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    const tq_status status = tq_wrap(tq_fail(TQ_ERR_VALUE, "'%s'", name), "%s", name);
    CHECK_EQ(strlen(tq_status_text(status)), 4999 + 2 + 4999 + 2);
    tq_status_drop(status);
}
