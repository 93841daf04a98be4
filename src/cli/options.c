/* Options: a table in, values out, help from the same table. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

bool tq_options_integer(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    *out = value;
    return *text && strspn(text, "+-0123456789") == strlen(text) && !*end && !errno;
}

bool tq_options_number(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return *text && strspn(text, "+-.0123456789eE") == strlen(text) && !*end && isfinite(*out);
}

static tq_status usage(const tq_cli *cli, const char *format, ...) TQ_PRINTF(2, 3);
static tq_status usage(const tq_cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = tq_arena_vprintf(cli->arena, format, args);
    va_end(args);
    return tq_fail(TQ_ERR_USAGE, "%s; 'truq %s --help' explains", text, cli->command->entry.name);
}

static tq_status set_int(const tq_cli *cli, const tq_option *o, const char *text)
{
    int64_t value;
    if (!tq_options_integer(text, &value))
        return usage(cli, "--%s takes a whole number, not '%s'", o->name, text);
    if (value < o->min || value > o->max)
        return usage(cli, "--%s is %s; expected %" PRId64 " to %" PRId64, o->name, text, o->min,
                     o->max);
    *(int64_t *)o->target = value;
    return TQ_OK;
}

static tq_status set(const tq_cli *cli, const tq_option *o, const char *text)
{
    switch (o->kind) {
    case TQ_OPTION_INT:
        return set_int(cli, o, text);
    case TQ_OPTION_NUMBER:
        return tq_options_number(text, o->target)
                   ? TQ_OK
                   : usage(cli, "--%s takes a number, not '%s'", o->name, text);
    case TQ_OPTION_LIST: {
        tq_list *list = o->target;
        if (list->n == TQ_LIST_MAX)
            return usage(cli, "--%s can be given %d times", o->name, TQ_LIST_MAX);
        list->items[list->n++] = text;
        return TQ_OK;
    }
    default:
        if (!*text)
            return usage(cli, "--%s is empty", o->name);
        *(const char **)o->target = text;
        return TQ_OK;
    }
}

tq_status tq_options_split(tq_cli *cli, const char *option, const char *text,
                           const char *const **out_items)
{
    char *copy = tq_arena_strdup(cli->arena, text);
    const char **items = TQ_NEW_N(cli->arena, const char *, strlen(text) + 2);
    int n = 0;
    for (char *item = copy; item; n++) {
        char *comma = strchr(item, ',');
        if (comma)
            *comma++ = 0;
        if (!*item)
            return usage(cli, "--%s '%s' has an empty item", option, text);
        items[n] = item;
        item = comma;
    }
    *out_items = items;
    return TQ_OK;
}

/* ---- help ---- */

static const char *default_text(const tq_cli *cli, const tq_option *o)
{
    const char *text = NULL;
    switch (o->kind) {
    case TQ_OPTION_STRING:
        text = *(const char **)o->target;
        break;
    case TQ_OPTION_INT:
        text = tq_arena_printf(cli->arena, "%" PRId64, *(int64_t *)o->target);
        break;
    case TQ_OPTION_NUMBER:
        if (isfinite(*(double *)o->target))
            text = tq_arena_printf(cli->arena, "%g", *(double *)o->target);
        break;
    default:
        break;
    }
    return text ? tq_arena_printf(cli->arena, " [%s]", text) : "";
}

static void print_usage(const tq_cli *cli, const tq_option *options)
{
    tq_print("%s: %s\n\nusage: truq %s", cli->command->entry.name, cli->command->entry.brief,
             cli->command->entry.name);
    bool optional = false;
    for (const tq_option *o = options; o->kind; o++) {
        if (o->kind == TQ_OPTION_ARGUMENT)
            tq_print(o->required ? " %s" : " [%s]", o->name);
        else if (o->required && o->letter == 'o')
            tq_print(" -o %s", o->value_name);
        else if (o->required)
            tq_print(" --%s %s", o->name, o->value_name);
        else
            optional = true;
    }
    tq_print("%s\n", optional ? " [options]" : "");
}

static void print_row(const tq_cli *cli, const tq_option *o)
{
    const char *left;
    if (o->kind == TQ_OPTION_ARGUMENT)
        left = tq_arena_printf(cli->arena, "  %s", o->name);
    else
        left = tq_arena_printf(cli->arena, "  %s--%s %s",
                               o->letter ? (char[]){ '-', o->letter, ',', ' ', 0 } : "    ",
                               o->name, o->value_name ? o->value_name : "");
    tq_print("%-30s %s%s%s\n", left, o->help, default_text(cli, o),
             o->kind == TQ_OPTION_LIST ? " (may be repeated)" : "");
}

static void print_help(const tq_cli *cli, const tq_option *options)
{
    const tq_command *command = cli->command;
    print_usage(cli, options);
    tq_print("\n");
    for (const tq_option *o = options; o->kind; o++)
        print_row(cli, o);
    tq_print("%-30s %s\n", "      --plugin FILE.so", "load a plug-in first (may be repeated)");
    tq_print("%-30s %s\n", "  -h, --help", "show this");
    if (command->details)
        tq_print("\n%s\n", command->details);
    if (command->examples[0])
        tq_print("\nexample%s:\n", command->examples[1] ? "s" : "");
    for (int i = 0; i < TQ_COUNT(command->examples) && command->examples[i]; i++)
        tq_print("  truq %s\n", command->examples[i]);
    tq_print("\nexit status: 0 done, 1 failed or bad input, 2 wrong usage, 3 not supported\n");
}

/* ---- did you mean ---- */

/** Insertions, deletions and replacements from a to b (Levenshtein), for short words. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 31 };
    const size_t n_a = strlen(a), n_b = strlen(b);
    size_t row[LONGEST + 1];
    if (n_a > LONGEST || n_b > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            const size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = replaced < least ? replaced : least;
        }
    }
    return row[n_b];
}

static tq_status unknown(const tq_cli *cli, const tq_option *options, const char *shown,
                         const char *name)
{
    const char *nearest = strlen(name) > 1 && distance(name, "help") <= 1 ? "help" : NULL;
    size_t best = nearest ? 1 : 3;
    for (const tq_option *o = options; o->kind && strlen(name) > 1; o++) {
        if (o->kind == TQ_OPTION_ARGUMENT)
            continue;
        const bool starts = strncmp(o->name, name, strlen(name)) == 0;
        const size_t d = starts ? 0 : distance(name, o->name);
        if (d < best) {
            best = d;
            nearest = o->name;
        }
    }
    if (nearest)
        return tq_fail(TQ_ERR_USAGE,
                       "unknown option '%s'; did you mean '--%s'? ('truq %s --help' shows all)",
                       shown, nearest, cli->command->entry.name);
    return usage(cli, "unknown option '%s'", shown);
}

/* ---- parsing ---- */

typedef struct parser {
    tq_cli *cli;
    const tq_option *options;
    int at;       /* in argv */
    int n_given;  /* arguments */
    bool literal; /* after "--" */
    bool seen[64];
} parser;

static const tq_option *find(const parser *p, const char *name, size_t n, char letter)
{
    for (const tq_option *o = p->options; o->kind; o++) {
        if (o->kind == TQ_OPTION_ARGUMENT)
            continue;
        if (letter ? o->letter == letter : strlen(o->name) == n && !strncmp(o->name, name, n))
            return o;
    }
    return NULL;
}

/** "--name=value", "--name value", "-n value", "-nvalue". `inside`: the value in the same word. */
static tq_status take(parser *p, const tq_option *o, const char *inside)
{
    const bool repeated = p->seen[o - p->options] && o->kind != TQ_OPTION_LIST;
    if (repeated && o->kind != TQ_OPTION_FLAG)
        return usage(p->cli, "--%s is given twice", o->name);
    p->seen[o - p->options] = true;
    if (o->kind == TQ_OPTION_FLAG) {
        *(bool *)o->target = true;
        return inside ? usage(p->cli, "--%s takes no value", o->name) : TQ_OK;
    }
    if (!inside && p->at + 1 >= p->cli->argc)
        return usage(p->cli, "--%s needs a value, %s", o->name, o->value_name);
    return set(p->cli, o, inside ? inside : p->cli->argv[++p->at]);
}

static tq_status take_argument(parser *p, const char *text)
{
    int i = 0;
    for (const tq_option *o = p->options; o->kind; o++)
        if (o->kind == TQ_OPTION_ARGUMENT && i++ == p->n_given) {
            p->n_given++;
            *(const char **)o->target = text;
            p->seen[o - p->options] = true;
            return *text ? TQ_OK : usage(p->cli, "%s is empty", o->name);
        }
    return usage(p->cli, "unexpected argument '%s'", text);
}

static tq_status take_word(parser *p, const char *word)
{
    if (p->literal || word[0] != '-' || !word[1])
        return take_argument(p, word);
    if (strcmp(word, "--") == 0) {
        p->literal = true;
        return TQ_OK;
    }
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        const size_t n = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
        const tq_option *o = find(p, word + 2, n, 0);
        return o ? take(p, o, equals ? equals + 1 : NULL)
                 : unknown(p->cli, p->options, word, tq_arena_strndup(p->cli->arena, word + 2, n));
    }
    const tq_option *o = find(p, NULL, 0, word[1]);
    return o ? take(p, o, word[2] ? word + 2 : NULL) : unknown(p->cli, p->options, word, word + 1);
}

static bool wants_help(const tq_cli *cli)
{
    for (int i = 0; i < cli->argc && strcmp(cli->argv[i], "--") != 0; i++)
        if (strcmp(cli->argv[i], "--help") == 0 || strcmp(cli->argv[i], "-h") == 0)
            return true;
    return false;
}

tq_status tq_options_parse(tq_cli *cli, const tq_option *options)
{
    if (wants_help(cli)) {
        print_help(cli, options);
        cli->helped = true;
        return tq_fail(TQ_ERR_USAGE, "help");
    }
    parser p = { .cli = cli, .options = options };
    for (; p.at < cli->argc; p.at++)
        TQ_TRY(take_word(&p, cli->argv[p.at]));
    for (const tq_option *o = options; o->kind; o++)
        if (o->required && !p.seen[o - options])
            return usage(cli, "%s%s is missing", o->kind == TQ_OPTION_ARGUMENT ? "" : "--",
                         o->name);
    return TQ_OK;
}
