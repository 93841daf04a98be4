/* Images in tar archives, members CLASS/NAME.jpg below any folders, read where they lie.
 * tar:FILE.tar, tar:shard-{0000..0127}.tar, or tar:FOLDER with one archive (or more) a partition.
 */
#include "data/data_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_SHARDS = 100000 };

typedef struct tar_state {
    const char **files;
    int n_files;
    size_t capacity;
    tq_members members;
    DIR *listing;
} tar_state;

/** "a-{08..11}.tar": one file a number, as wide as the first is written. */
static tq_status expand_braces(tar_state *state, tq_arena *arena, const char *pattern)
{
    const char *open = strchr(pattern, '{'), *dots = open ? strstr(open, "..") : NULL;
    const char *close = dots ? strchr(dots, '}') : NULL;
    if (!close || access(pattern, F_OK) == 0) {
        TQ_PUSH(arena, state->files, state->n_files, state->capacity, pattern);
        return TQ_OK;
    }
    char *first_end, *last_end;
    const long long first = strtoll(open + 1, &first_end, 10),
                    last = strtoll(dots + 2, &last_end, 10);
    if (first_end != dots || last_end != close || first < 0 || last < first ||
        last - first >= MOST_SHARDS)
        return tq_fail(TQ_ERR_VALUE,
                       "cannot read the range in '%s'; write {0000..0127}, at most %d files",
                       pattern, (int)MOST_SHARDS);
    const int width = (int)(dots - open - 1);
    for (long long i = first; i <= last; i++)
        TQ_PUSH(arena, state->files, state->n_files, state->capacity,
                tq_arena_printf(arena, "%.*s%0*lld%s", (int)(open - pattern), pattern, width, i,
                                close + 1));
    return TQ_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static tq_status list_folder(tar_state *state, tq_arena *arena, const char *folder)
{
    state->listing = opendir(folder);
    if (!state->listing)
        return tq_fail(TQ_ERR_IO, "cannot list '%s': %s", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(state->listing));)
        if (entry->d_name[0] != '.' && tq_path_has_suffix(entry->d_name, ".tar"))
            TQ_PUSH(arena, state->files, state->n_files, state->capacity,
                    tq_path_join(arena, folder, entry->d_name));
    closedir(state->listing);
    state->listing = NULL;
    if (!state->n_files)
        return tq_fail(TQ_ERR_IO, "no .tar files in '%s'", folder);
    qsort(state->files, (size_t)state->n_files, sizeof *state->files, by_text);
    return TQ_OK;
}

/** The partition that a word of the file's name names: "imagenet-val-003.tar". */
static tq_partition partition_of_file(const char *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *slash = strrchr(path, '/');
    for (const char *at = slash ? slash + 1 : path; *at;) {
        const size_t n = strspn(at, letters);
        const tq_partition partition = tq_partition_of_word(at, n);
        if (partition != TQ_PARTITION_ALL)
            return partition;
        at += n;
        at += strcspn(at, letters);
    }
    return TQ_PARTITION_ALL;
}

/** Of the archives of a folder, those of the partition, where their names say one. */
static tq_status keep_partition(tar_state *state, tq_partition asked)
{
    bool has[TQ_PARTITION_TEST + 1] = { false };
    for (int i = 0; i < state->n_files; i++)
        has[partition_of_file(state->files[i])] = true;
    const bool divided =
        has[TQ_PARTITION_TRAIN] || has[TQ_PARTITION_VALID] || has[TQ_PARTITION_TEST];
    if (asked == TQ_PARTITION_ALL || !divided)
        return TQ_OK;
    tq_partition chosen;
    TQ_TRY(tq_partition_choose(asked, has, &chosen));
    int n = 0;
    for (int i = 0; i < state->n_files; i++)
        if (partition_of_file(state->files[i]) == chosen)
            state->files[n++] = state->files[i];
    state->n_files = n;
    return TQ_OK;
}

static tq_status open_tar(const char *argument, tq_partition partition, tq_dataset *dataset)
{
    tq_arena *arena = dataset->arena;
    tar_state *state = dataset->state = TQ_NEW(arena, tar_state);
    if (tq_path_is_folder(argument)) {
        TQ_TRY(list_folder(state, arena, argument));
        TQ_TRY(keep_partition(state, partition));
    } else {
        TQ_TRY(expand_braces(state, arena, argument));
    }
    for (int i = 0; i < state->n_files; i++)
        TQ_TRY(tq_tar_index(state->files[i], i, arena, &state->members));
    const char *beside = tq_path_folder(arena, state->files[0]);
    return tq_members_finish(&state->members, partition, tq_classes_csv_in(arena, beside), dataset);
}

static tq_status read_member(const char *path, const tq_member *member, tq_tensor *out_image)
{
    int fd;
    int64_t file_size;
    TQ_TRY(tq_data_open(path, &fd, &file_size));
    void *bytes = tq_allocate((size_t)member->size + 1);
    tq_status status = bytes ? tq_file_read_at(fd, member->offset, bytes, (size_t)member->size)
                             : tq_fail(TQ_ERR_MEMORY, "out of memory");
    close(fd);
    if (!status)
        status = tq_image_decode(bytes, (size_t)member->size, NULL, out_image);
    free(bytes);
    return tq_wrap(status, "cannot read '%s', member '%s'", path, member->path);
}

static tq_status read_tar(const tq_dataset *dataset, int64_t i, tq_sample *out_sample)
{
    const tar_state *state = dataset->state;
    const tq_member *member = &state->members.items[i];
    out_sample->label = member->label;
    out_sample->is_image = true;
    return read_member(state->files[member->file], member, &out_sample->data);
}

static void close_tar(tq_dataset *dataset)
{
    tar_state *state = dataset->state;
    if (state && state->listing)
        closedir(state->listing);
}

const tq_dataset_driver tq_dataset_tar = {
    .entry = { .name = "tar",
               .brief =
                   "images in tar archives: FILE.tar, shard-{0000..0127}.tar or a folder of them" },
    .open = open_tar,
    .read = read_tar,
    .close = close_tar,
};
