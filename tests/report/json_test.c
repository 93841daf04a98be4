/* The JSON writer, read back by another reader. */
#include "check.h"

#include <cjson/cJSON.h>

static cJSON *read_back(tq_json *json)
{
    cJSON *root = cJSON_ParseWithOpts(tq_json_print(json), NULL, true);
    CHECK(root != NULL);
    return root;
}

TEST(what_is_written_reads_back)
{
    tq_arena *arena = tq_arena_create();
    tq_json *json = tq_json_create(arena);
    tq_json_add_text(json, "text", "a \"quoted\" \\ line\n\tend");
    tq_json_add_number(json, "third", 1.0 / 3.0);
    tq_json_add_bool(json, "yes", true);
    tq_json_open_array(json, "items");
    tq_json_add_integer(json, NULL, -7);
    tq_json_open_object(json, NULL);
    tq_json_close(json);
    cJSON *root = read_back(json);
    CHECK_STR(cJSON_GetObjectItem(root, "text")->valuestring, "a \"quoted\" \\ line\n\tend");
    CHECK(cJSON_GetObjectItem(root, "third")->valuedouble == 1.0 / 3.0);
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(root, "yes")));
    CHECK_EQ(cJSON_GetArraySize(cJSON_GetObjectItem(root, "items")), 2);
    cJSON_Delete(root);
    tq_arena_destroy(arena);
}

TEST(numbers_without_a_form_are_null)
{
    tq_arena *arena = tq_arena_create();
    tq_json *json = tq_json_create(arena);
    tq_json_add_number(json, "nan", (double)NAN);
    tq_json_add_number(json, "inf", (double)INFINITY);
    tq_json_add_text(json, "none", NULL);
    cJSON *root = read_back(json);
    CHECK(cJSON_IsNull(cJSON_GetObjectItem(root, "nan")));
    CHECK(cJSON_IsNull(cJSON_GetObjectItem(root, "inf")));
    CHECK(cJSON_IsNull(cJSON_GetObjectItem(root, "none")));
    cJSON_Delete(root);
    tq_arena_destroy(arena);
}

TEST(integers_keep_all_their_digits)
{
    tq_arena *arena = tq_arena_create();
    tq_json *json = tq_json_create(arena);
    tq_json_add_integer(json, "least", INT64_MIN);
    CHECK(strstr(tq_json_print(json), "-9223372036854775808") != NULL);
    tq_arena_destroy(arena);
}

TEST(bytes_that_are_no_utf8_are_replaced)
{
    tq_arena *arena = tq_arena_create();
    tq_json *json = tq_json_create(arena);
    tq_json_add_text(json, "good", "\xc3\xa9");
    tq_json_add_text(json, "bad", "a\xff\xc3");
    tq_json_add_text(json, "overlong", "\xc0\xaf");
    const char *text = tq_json_print(json);
    CHECK(strstr(text, "\xc3\xa9") != NULL);
    CHECK(strstr(text, "\"a\\ufffd\\ufffd\"") != NULL);
    CHECK(strstr(text, "\"\\ufffd\\ufffd\"") != NULL);
    tq_arena_destroy(arena);
}
