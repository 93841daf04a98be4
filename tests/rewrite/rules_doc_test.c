/* The examples of docs/rules.md do what they say. */
#include "rules.h"

static char *text;

/* The next block of that kind behind *at, cut out; NULL where there is none. */
static char *next_block(char **at, const char *kind)
{
    char fence[32];
    snprintf(fence, sizeof fence, "```%s\n", kind);
    char *start = strstr(*at, fence);
    if (!start)
        return NULL;
    start += strlen(fence);
    char *end = strstr(start, "```");
    CHECK(end);
    char *block = strndup(start, (size_t)(end - start));
    *at = end + 3;
    return block;
}

static void read_text(void)
{
    void *bytes;
    size_t size;
    CHECK_OK(tq_file_read("docs/rules.md", &bytes, &size));
    text = bytes;
}

TEST(every_example_does_what_it_says)
{
    read_text();
    char *at = text, *rule;
    int n = 0;
    for (; (rule = next_block(&at, "rule")); n++) {
        char *before = next_block(&at, "before"), *after = next_block(&at, "after");
        rules_check(before, rule, after);
        free(rule);
        free(before);
        free(after);
    }
    CHECK(n >= 9);
    free(text);
}

TEST(the_head_of_the_walk_through_is_a_rule_of_ten_lines)
{
    read_text();
    const char *rule = strstr(text, "rule mnv1_head"), *end = strstr(rule, "```");
    int n_lines = 0;
    for (const char *c = rule; c < end; c++)
        n_lines += *c == '\n';
    CHECK(n_lines <= 10);
    free(text);
}
