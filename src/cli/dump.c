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

/** Constants of more than 4096 elements are elided to their checksum. */
static void write_failed(void *context, const char *editor, const tq_graph *before)
{
    tq_dump *dump = context;
    char *text = tq_graph_print(before, 4096);
    if (dump->failed || !text) {
        free(text);
        return;
    }
    const char *all = tq_arena_printf(dump->cli->arena, "# before %s\n%s", editor, text);
    dump->failed = tq_file_write(dump->failed_path, all, strlen(all));
    free(text);
}

tq_status tq_dump_finish(tq_dump *dump, tq_status status)
{
    const bool written = status && dump->failed_path && !dump->failed;
    tq_status_drop(dump->failed);
    dump->failed = TQ_OK;
    return written ? tq_wrap(status, "the network before it is in '%s'", dump->failed_path)
                   : status;
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
    if (dump->failed_path) {
        TQ_TRY(tq_cli_check_output(dump->cli, dump->failed_path));
        edit->failed = write_failed;
    }
    return TQ_OK;
}
