/* classes.csv: which class index each folder has, for data whose folders are not all classes in
 * order. The first row names the columns; the first column is the folder, `class_index` its index,
 * `name` (if any) what to call it. Fields may be quoted as in RFC 4180, on one line. */
#include "data_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_CLASSES = 1 << 20, MOST_FIELDS = 64 };

/** Cuts a line into fields, in place; returns how many. */
static int cut_fields(char *line, char **fields)
{
    int n = 0;
    for (char *at = line; at && n < MOST_FIELDS; n++) {
        fields[n] = at;
        char *to = at;
        bool quoted = false;
        for (; *at && (quoted || *at != ','); at++) {
            if (*at == '"' && quoted && at[1] == '"')
                *to++ = *at++;
            else if (*at == '"')
                quoted = !quoted;
            else
                *to++ = *at;
        }
        char *next = *at == ',' ? at + 1 : NULL;
        *to = 0;
        at = next;
    }
    return n;
}

static int find_column(char **fields, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(fields[i], name) == 0)
            return i;
    return -1;
}

static int by_folder(const void *a, const void *b)
{
    return strcmp(((const tq_class_row *)a)->folder, ((const tq_class_row *)b)->folder);
}

/** Takes the next line off *rest; without its line end. NULL at the end. */
static char *next_line(char **rest)
{
    char *line = *rest;
    if (!line || !*line)
        return NULL;
    char *end = strchr(line, '\n');
    *rest = end ? end + 1 : NULL;
    if (end)
        *end = 0;
    const size_t n = strlen(line);
    if (n && line[n - 1] == '\r')
        line[n - 1] = 0;
    return line;
}

typedef struct columns {
    int index, name;
} columns;

static tq_status read_row(char **fields, int n, const columns *c, tq_arena *arena,
                          tq_class_row *row)
{
    if (c->index >= n)
        return tq_fail(TQ_ERR_FORMAT, "%d fields, 'class_index' is field %d", n, c->index + 1);
    char *end;
    const long long index = strtoll(fields[c->index], &end, 10);
    if (end == fields[c->index] || *end || index < 0 || index >= MOST_CLASSES)
        return tq_fail(TQ_ERR_FORMAT, "class_index is '%.40s', expected 0 .. %d", fields[c->index],
                       MOST_CLASSES - 1);
    row->folder = tq_arena_strdup(arena, fields[0]);
    row->name = tq_arena_strdup(arena, c->name >= 0 && c->name < n ? fields[c->name] : fields[0]);
    row->index = index;
    return TQ_OK;
}

static tq_status parse(char *text, tq_arena *arena, tq_class_row **out_rows, int64_t *out_n)
{
    char *fields[MOST_FIELDS], *rest = text, *line = next_line(&rest);
    if (line && strncmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3;
    const int n_columns = line ? cut_fields(line, fields) : 0;
    const columns c = { .index = find_column(fields, n_columns, "class_index"),
                        .name = find_column(fields, n_columns, "name") };
    if (c.index < 0)
        return tq_fail(TQ_ERR_FORMAT, "no column 'class_index' in its first line");
    tq_class_row *rows = NULL;
    size_t capacity = 0;
    int64_t n = 0;
    for (int64_t number = 2; (line = next_line(&rest)); number++) {
        if (!*line)
            continue;
        tq_class_row row;
        TQ_TRY(tq_wrap(read_row(fields, cut_fields(line, fields), &c, arena, &row), "line %lld",
                       (long long)number));
        TQ_PUSH(arena, rows, n, capacity, row);
    }
    if (n)
        qsort(rows, (size_t)n, sizeof *rows, by_folder);
    for (int64_t i = 1; i < n; i++)
        if (strcmp(rows[i - 1].folder, rows[i].folder) == 0)
            return tq_fail(TQ_ERR_FORMAT, "folder '%s' is listed twice", rows[i].folder);
    *out_rows = rows;
    *out_n = n;
    return TQ_OK;
}

typedef struct parse_call {
    char *text;
    tq_arena *arena;
    tq_class_row *rows;
    int64_t n;
} parse_call;

static tq_status parse_guarded(void *context)
{
    parse_call *call = context;
    return parse(call->text, call->arena, &call->rows, &call->n);
}

tq_status tq_classes_csv_load(const char *path, tq_arena *arena, tq_class_row **out_rows,
                              int64_t *out_n)
{
    void *bytes;
    size_t size;
    TQ_TRY(tq_file_load(path, &bytes, &size));
    parse_call call = { .text = bytes, .arena = arena };
    tq_status status = TQ_OK;
    if (memchr(bytes, 0, size))
        status = tq_fail(TQ_ERR_FORMAT, "not a text file");
    if (!status)
        status = tq_guard(parse_guarded, &call);
    free(bytes);
    *out_rows = call.rows;
    *out_n = call.n;
    return tq_wrap(status, "cannot read '%s'", path);
}

const char *tq_classes_csv_in(tq_arena *arena, const char *folder)
{
    const char *path = tq_path_join(arena, folder, "classes.csv");
    return access(path, F_OK) == 0 ? path : NULL;
}
