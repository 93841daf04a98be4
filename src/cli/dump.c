/* Editors at work, as text on standard output. */
#include "dump.h"

#include <stdlib.h>
#include <string.h>

static void print_log(void *context, const char *line)
{
    const tq_dump *dump = context;
    if (dump->log)
        tq_print("%s\n", tq_text_clean(dump->cli->arena, line));
}

static void print_graph(void *context, const char *editor, const tq_graph *graph)
{
    (void)context;
    char *text = tq_graph_print(graph, 16);
    tq_print("# after %s\n%s\n", editor, text ? text : "(no memory for the text)");
    free(text);
}

tq_status tq_dump_prepare(tq_dump *dump, tq_edit *edit)
{
    const char *names[] = { edit->dump_after, edit->stop_after };
    for (int i = 0; i < TQ_COUNT(names); i++) {
        const tq_entry *entry;
        if (names[i] && !(i == 0 && strcmp(names[i], "all") == 0))
            TQ_TRY(tq_registry_find(dump->cli->registry, TQ_KIND_EDITOR, names[i], &entry));
    }
    edit->log = print_log;
    edit->dump = print_graph;
    edit->context = dump;
    return TQ_OK;
}
