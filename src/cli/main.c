/* truq: the command. Finds the subcommand, runs it under a guard, closes what it opened, prints one
 * line when it failed. Exit status: 0 done, 1 failed or bad input, 2 wrong usage, 3 not
 * supported. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TQ_COMMAND(name) extern const tq_command tq_command_##name;
#include "commands.def"
#undef TQ_COMMAND

static const tq_command *const commands[] = {
#define TQ_COMMAND(name) &tq_command_##name,
#include "commands.def"
};

enum { DONE = 0, FAILED = 1, USAGE = 2, UNSUPPORTED = 3 };

/** A file must never get the number of a closed standard stream. */
static void hold_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY); /* use of it still fails */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write */
}

static int exit_status_of(tq_status status)
{
    switch (tq_status_code(status)) {
    case TQ_ERR_USAGE:
        return USAGE;
    case TQ_ERR_UNSUPPORTED:
        return UNSUPPORTED;
    default:
        return FAILED;
    }
}

/** One line, whatever names from files hold, and at once: several processes may have one to say. */
static int report(tq_status status)
{
    if (!status)
        return DONE;
    const int exit_status = exit_status_of(status);
    tq_arena *arena = tq_arena_create();
    char *text = tq_arena_strdup(arena, tq_status_text(status));
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    fprintf(stderr, "truq: %s\n", text);
    tq_arena_destroy(arena);
    tq_status_drop(status);
    return exit_status;
}

/** Did all that was printed arrive? */
static int flush(int exit_status)
{
    errno = 0;
    const bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (!failed || exit_status != DONE)
        return exit_status;
    fprintf(stderr, "truq: cannot write to standard output%s%s\n", errno ? ": " : "",
            errno ? strerror(errno) : "");
    return FAILED;
}

static void print_commands(const tq_registry *registry)
{
    tq_print("truq %s: quantised neural networks, from float to integers\n\n"
             "usage: truq COMMAND ...    ('truq COMMAND --help' explains one)\n\n",
             TQ_VERSION);
    for (int i = 0; i < tq_registry_count(registry, TQ_KIND_COMMAND); i++) {
        const tq_entry *entry = tq_registry_at(registry, TQ_KIND_COMMAND, i);
        const char *origin = tq_registry_origin(registry, TQ_KIND_COMMAND, entry->name);
        tq_print("  %-10s %s%s%s%s\n", entry->name, entry->brief ? entry->brief : "",
                 origin ? " (plug-in '" : "", origin ? origin : "", origin ? "')" : "");
    }
    tq_print("  %-10s %s\n  %-10s %s\n", "help", "show this, or explain a command", "version",
             "show the version");
    tq_print("\nwith every command:\n  --plugin FILE.so  load a plug-in first (may be repeated)\n");
}

static const char *join(tq_arena *arena, int argc, char **argv)
{
    const char *line = "truq";
    for (int i = 1; i < argc; i++)
        line = tq_arena_printf(arena, "%s %s", line, argv[i]);
    return line;
}

static tq_status run_command(void *context)
{
    tq_cli *cli = context;
    return cli->command->run(cli);
}

/** Meets the other ranks, if this process was started as one of several; the first one speaks for
 *  all. */
static tq_status join_ranks(tq_cli *cli)
{
    if (tq_ranks_launched() == 1)
        return TQ_OK;
    const char *name = cli->command->entry.name;
    if (!cli->command->shares_work)
        return tq_fail(TQ_ERR_USAGE,
                       "'truq %s' does not share its work among processes; start it alone", name);
    TQ_TRY(tq_ranks_join(&cli->ranks));
    if (tq_ranks_index(cli->ranks) > 0 && !freopen("/dev/null", "w", stdout))
        return tq_fail(TQ_ERR_IO, "cannot open /dev/null: %s", strerror(errno));
    return TQ_OK;
}

/** Runs one command; argv[0] is its name. */
static tq_status run(tq_cli *cli, int argc, char **argv)
{
    const tq_entry *entry;
    tq_status status = tq_registry_find(cli->registry, TQ_KIND_COMMAND, argv[0], &entry);
    if (status) {
        const tq_status wrong = tq_fail(TQ_ERR_USAGE, "%s", tq_status_text(status));
        tq_status_drop(status);
        return wrong;
    }
    cli->command = (const tq_command *)(const void *)entry;
    cli->argc = argc - 1;
    cli->argv = argv + 1;
    status = join_ranks(cli);
    if (!status)
        status = tq_guard(run_command, cli);
    for (int i = 0; i < TQ_COUNT(cli->graphs); i++)
        tq_graph_destroy(cli->graphs[i]);
    for (int i = 0; i < TQ_COUNT(cli->datasets); i++)
        tq_dataset_close(cli->datasets[i]);
    if (cli->helped) {
        tq_status_drop(status);
        status = TQ_OK;
    }
    return status;
}

static bool is(const char *word, const char *name)
{
    return strcmp(word, name) == 0 || (strncmp(word, "--", 2) == 0 && !strcmp(word + 2, name));
}

static tq_status dispatch(tq_cli *cli, int argc, char **argv)
{
    if (argc < 2 || ((is(argv[1], "help") || !strcmp(argv[1], "-h")) && argc == 2)) {
        print_commands(cli->registry);
        return TQ_OK;
    }
    if (is(argv[1], "version")) {
        tq_print("truq %s\n", TQ_VERSION);
        return TQ_OK;
    }
    if (is(argv[1], "help"))
        return run(cli, 2, (char *[]){ argv[2], (char *)"--help", NULL });
    if (argv[1][0] == '-')
        return tq_fail(TQ_ERR_USAGE, "unknown option '%s'; 'truq --help' shows all commands",
                       argv[1]);
    return run(cli, argc - 1, argv + 1);
}

typedef struct main_call {
    int argc;
    char **argv;
    tq_registry *registry;
    tq_arena *arena;
    tq_ranks *ranks;
} main_call;

/** Loads what --plugin names, before or behind the subcommand, and takes it out of the words. */
static tq_status load_plugins(const main_call *call, int *out_argc, char ***out_argv)
{
    char **words = TQ_NEW_N(call->arena, char *, call->argc + 1);
    int n = 0;
    bool literal = false;
    for (int i = 0; i < call->argc; i++) {
        char *word = call->argv[i];
        literal = literal || strcmp(word, "--") == 0;
        const bool alone = strcmp(word, "--plugin") == 0;
        if (literal || (!alone && strncmp(word, "--plugin=", 9) != 0)) {
            words[n++] = word;
            continue;
        }
        if (alone && i + 1 == call->argc)
            return tq_fail(TQ_ERR_USAGE, "--plugin needs a value, FILE.so");
        TQ_TRY(tq_plugin_load(call->registry, alone ? call->argv[++i] : word + 9));
    }
    *out_argc = n;
    *out_argv = words;
    return TQ_OK;
}

static tq_status run_main(void *context)
{
    main_call *call = context;
    call->registry = tq_registry_create();
    call->arena = tq_arena_create();
    TQ_TRY(tq_builtin_register(call->registry));
    for (int i = 0; i < TQ_COUNT(commands); i++)
        TQ_TRY(tq_registry_add(call->registry, TQ_KIND_COMMAND, &commands[i]->entry));
    tq_cli cli = { .registry = call->registry,
                   .command_line = join(call->arena, call->argc, call->argv),
                   .arena = call->arena };
    int argc = 0;
    char **argv = NULL;
    TQ_TRY(load_plugins(call, &argc, &argv));
    const tq_status status = dispatch(&cli, argc, argv);
    call->ranks = cli.ranks;
    return status;
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    main_call call = { .argc = argc, .argv = argv };
    const tq_status status = tq_guard(run_main, &call);
    tq_arena_destroy(call.arena);
    tq_registry_destroy(call.registry);
    if (status)
        tq_ranks_give_way(call.ranks);
    const int exit_status = flush(report(status));
    if (exit_status != DONE)
        tq_ranks_abort(call.ranks, exit_status);
    tq_ranks_leave(call.ranks);
    return exit_status;
}
