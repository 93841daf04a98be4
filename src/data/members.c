/* What a path says about an image: its class is the folder it lies in, its partition a folder above
 * that (train/cat/0001.jpg). A label is the rank of the class among the classes of the whole
 * archive, in byte order, so that it is the same in every partition; or what classes.csv says. */
#include "data_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *word;
    tq_partition partition;
} words[] = {
    { "train", TQ_PARTITION_TRAIN },  { "training", TQ_PARTITION_TRAIN },
    { "valid", TQ_PARTITION_VALID },  { "validation", TQ_PARTITION_VALID },
    { "val", TQ_PARTITION_VALID },    { "test", TQ_PARTITION_TEST },
    { "testing", TQ_PARTITION_TEST },
};

tq_partition tq_partition_of_word(const char *word, size_t n)
{
    for (int i = 0; i < TQ_COUNT(words); i++)
        if (strlen(words[i].word) == n && strncasecmp(words[i].word, word, n) == 0)
            return words[i].partition;
    return TQ_PARTITION_ALL;
}

const char *tq_partition_name(tq_partition partition)
{
    static const char *const names[] = { "all", "train", "valid", "test" };
    return names[partition];
}

tq_status tq_partition_parse(const char *text, tq_partition *out)
{
    *out = tq_partition_of_word(text, strlen(text));
    if (*out == TQ_PARTITION_ALL && strcasecmp(text, "all") != 0)
        return tq_fail(TQ_ERR_VALUE, "unknown partition '%s'; expected train, valid, test or all",
                       text);
    return TQ_OK;
}

tq_status tq_partition_choose(tq_partition asked, const bool *has, tq_partition *out_partition)
{
    const tq_partition other = asked == TQ_PARTITION_VALID  ? TQ_PARTITION_TEST
                               : asked == TQ_PARTITION_TEST ? TQ_PARTITION_VALID
                                                            : asked;
    *out_partition = has[asked] ? asked : other;
    if (has[*out_partition])
        return TQ_OK;
    char found[64] = "";
    for (int p = TQ_PARTITION_TRAIN; p <= TQ_PARTITION_TEST; p++)
        if (has[p])
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s'%s'",
                     *found ? ", " : "", tq_partition_name((tq_partition)p));
    return tq_fail(TQ_ERR_NOT_FOUND, "there is no partition '%s', only %s",
                   tq_partition_name(asked), found);
}

bool tq_member_is_image(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return name[0] != '.' &&
           (tq_path_has_suffix(name, ".jpg") || tq_path_has_suffix(name, ".jpeg") ||
            tq_path_has_suffix(name, ".png"));
}

/** The folder the file lies in: n bytes, n = 0 if it lies in none. */
static const char *class_of(const char *path, size_t *out_n)
{
    const char *end = strrchr(path, '/'), *first = end;
    *out_n = 0;
    if (!end)
        return path;
    while (first > path && first[-1] != '/')
        first--;
    *out_n = (size_t)(end - first);
    return first;
}

/** The folder nearest to the class that names a partition. */
static tq_partition partition_of(const char *path)
{
    size_t n;
    const char *end = class_of(path, &n);
    while (end > path) {
        const char *last = --end; /* the slash behind a folder */
        while (end > path && end[-1] != '/')
            end--;
        const tq_partition partition = tq_partition_of_word(end, (size_t)(last - end));
        if (partition != TQ_PARTITION_ALL)
            return partition;
    }
    return TQ_PARTITION_ALL;
}

static tq_status keep_partition(tq_members *members, tq_partition asked)
{
    bool has[TQ_PARTITION_TEST + 1] = { false }, divided = false;
    for (int64_t i = 0; i < members->n; i++)
        has[partition_of(members->items[i].path)] = true;
    for (int p = TQ_PARTITION_TRAIN; p <= TQ_PARTITION_TEST; p++)
        divided |= has[p];
    if (asked == TQ_PARTITION_ALL || !divided)
        return TQ_OK;
    tq_partition chosen;
    TQ_TRY(tq_partition_choose(asked, has, &chosen));
    int64_t n = 0;
    for (int64_t i = 0; i < members->n; i++)
        if (partition_of(members->items[i].path) == chosen)
            members->items[n++] = members->items[i];
    members->n = n;
    return TQ_OK;
}

/** A part of a path: n bytes. */
typedef struct view {
    const char *text;
    size_t n;
} view;

static int compare_views(const view *a, const view *b)
{
    const int order = memcmp(a->text, b->text, a->n < b->n ? a->n : b->n);
    return order ? order : (a->n > b->n) - (a->n < b->n);
}

static int by_text(const void *a, const void *b)
{
    return compare_views(a, b);
}

static int by_folder(const void *key, const void *row)
{
    const char *folder = ((const tq_class_row *)row)->folder;
    return compare_views(key, &(view){ folder, strlen(folder) });
}

/** The classes of all members, sorted. */
static view *collect_classes(const tq_members *members, tq_arena *arena, int64_t *out_n)
{
    view *all = NULL;
    size_t capacity = 0;
    int64_t n = 0, n_kept = 0;
    for (int64_t i = 0; i < members->n; i++) {
        view class = { 0 };
        class.text = class_of(members->items[i].path, &class.n);
        if (class.n && (n == 0 || compare_views(&class, &all[n - 1]) != 0))
            TQ_PUSH(arena, all, n, capacity, class);
    }
    if (n)
        qsort(all, (size_t)n, sizeof *all, by_text);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || compare_views(&all[i], &all[n_kept - 1]) != 0)
            all[n_kept++] = all[i];
    *out_n = n_kept;
    return all;
}

/** Rows for classes in order: index = rank. */
static tq_class_row *rank_rows(const tq_members *members, tq_arena *arena, int64_t *out_n)
{
    const view *classes = collect_classes(members, arena, out_n);
    tq_class_row *rows = TQ_NEW_N(arena, tq_class_row, *out_n);
    for (int64_t i = 0; i < *out_n; i++) {
        const char *name = tq_arena_strndup(arena, classes[i].text, classes[i].n);
        rows[i] = (tq_class_row){ .folder = name, .name = name, .index = i };
    }
    return rows;
}

static tq_status set_labels(tq_members *members, const tq_class_row *rows, int64_t n_rows,
                            const char *classes_csv)
{
    for (int64_t i = 0; i < members->n; i++) {
        tq_member *member = &members->items[i];
        view class = { 0 };
        class.text = class_of(member->path, &class.n);
        const tq_class_row *row =
            class.n && n_rows ? bsearch(&class, rows, (size_t)n_rows, sizeof *rows, by_folder)
                              : NULL;
        if (class.n && !row)
            return tq_fail(TQ_ERR_FORMAT, "'%s' has no row for folder '%.*s' of '%s'", classes_csv,
                           (int)class.n, class.text, member->path);
        member->label = row ? row->index : -1;
    }
    return TQ_OK;
}

tq_status tq_members_finish(tq_members *members, tq_partition partition, const char *classes_csv,
                            tq_dataset *dataset)
{
    tq_class_row *rows;
    int64_t n_rows;
    if (classes_csv)
        TQ_TRY(tq_classes_csv_load(classes_csv, dataset->arena, &rows, &n_rows));
    else
        rows = rank_rows(members, dataset->arena, &n_rows);
    TQ_TRY(keep_partition(members, partition));
    if (members->n == 0)
        return tq_fail(TQ_ERR_FORMAT, "no images in it (files .jpg, .jpeg or .png)");
    TQ_TRY(set_labels(members, rows, n_rows, classes_csv));
    for (int64_t i = 0; i < n_rows; i++)
        if (rows[i].index >= dataset->n_classes)
            dataset->n_classes = rows[i].index + 1;
    const char **names = TQ_NEW_N(dataset->arena, const char *, dataset->n_classes);
    for (int64_t i = 0; i < n_rows; i++)
        names[rows[i].index] = rows[i].name;
    dataset->class_names = dataset->n_classes ? names : NULL;
    dataset->n = members->n;
    return TQ_OK;
}
