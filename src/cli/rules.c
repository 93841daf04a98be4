/* Files of rules become editors like any other. */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

typedef struct editors {
    int n;
    size_t capacity;
    const tq_editor **items;
} editors;

static tq_status read_file(tq_cli *cli, const char *path, editors *all)
{
    void *text;
    size_t size;
    int n;
    const tq_editor *const *rules;
    TQ_TRY(tq_file_read(path, &text, &size));
    const tq_status status =
        strlen(text) < size ? tq_fail(TQ_ERR_FORMAT, "'%s' is no text", path)
                            : tq_rules_parse(cli->registry, text, path, cli->arena, &n, &rules);
    free(text);
    TQ_TRY(status);
    for (int i = 0; i < n; i++) {
        TQ_TRY(tq_wrap(tq_registry_add(cli->registry, TQ_KIND_EDITOR, &rules[i]->entry), "'%s'",
                       path));
        TQ_PUSH(cli->arena, all->items, all->n, all->capacity, rules[i]);
    }
    return TQ_OK;
}

tq_status tq_cli_editors(tq_cli *cli, const tq_list *list, bool files_only, int *out_n,
                         const tq_editor *const **out_editors)
{
    editors all = { 0 };
    for (int i = 0; i < list->n; i++) {
        const char *item = list->items[i];
        const tq_entry *entry;
        if (files_only || ends_with(item, ".rule") || ends_with(item, ".rules")) {
            TQ_TRY(read_file(cli, item, &all));
            continue;
        }
        TQ_TRY(tq_registry_find(cli->registry, TQ_KIND_EDITOR, item, &entry));
        const tq_editor *editor = (const tq_editor *)(const void *)entry;
        TQ_PUSH(cli->arena, all.items, all.n, all.capacity, editor);
    }
    *out_n = all.n;
    *out_editors = all.items;
    return TQ_OK;
}
