/* Images in folders: DIR/CLASS/NAME.jpg, or DIR/train/CLASS/NAME.jpg and so on. In order of path,
 * compared folder by folder. Hidden files and folders are left out. */
#include "data/data_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEPTH = 32 };

typedef struct folder_state {
    const char *root;
    tq_members members;
    DIR *listing; /* open only while one folder is listed */
} folder_state;

static bool is_folder(const char *path, const struct dirent *entry)
{
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG)
        return entry->d_type == DT_DIR;
    return tq_path_is_folder(path);
}

/** Adds the images of root/below and of the folders in it. */
static tq_status walk(folder_state *state, tq_arena *arena, const char *below, int depth)
{
    const char *folder = *below ? tq_path_join(arena, state->root, below) : state->root;
    const char **inner = NULL;
    size_t capacity = 0;
    int n = 0;
    if (depth > MOST_DEPTH)
        return tq_fail(TQ_ERR_VALUE, "'%s' is more than %d folders deep; does a link lead back?",
                       folder, (int)MOST_DEPTH);
    state->listing = opendir(folder);
    if (!state->listing)
        return tq_fail(TQ_ERR_IO, "cannot list '%s': %s", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(state->listing));) {
        if (entry->d_name[0] == '.')
            continue;
        const char *path = *below ? tq_path_join(arena, below, entry->d_name)
                                  : tq_arena_strdup(arena, entry->d_name);
        const tq_member member = { .path = path, .label = -1 };
        if (is_folder(tq_path_join(arena, folder, entry->d_name), entry))
            TQ_PUSH(arena, inner, n, capacity, path);
        else if (tq_member_is_image(path))
            TQ_PUSH(arena, state->members.items, state->members.n, state->members.capacity, member);
    }
    closedir(state->listing);
    state->listing = NULL;
    for (int i = 0; i < n; i++)
        TQ_TRY(walk(state, arena, inner[i], depth + 1));
    return TQ_OK;
}

/** '/' sorts before every other byte, so that "a/x" comes before "a-b/x". */
static int by_path(const void *a, const void *b)
{
    const char *s = ((const tq_member *)a)->path, *t = ((const tq_member *)b)->path;
    while (*s && *s == *t) {
        s++;
        t++;
    }
    const int c = *s == '/' ? 1 : (unsigned char)*s, d = *t == '/' ? 1 : (unsigned char)*t;
    return c - d;
}

static tq_status open_folder(const char *argument, tq_partition partition, tq_dataset *dataset)
{
    tq_arena *arena = dataset->arena;
    folder_state *state = dataset->state = TQ_NEW(arena, folder_state);
    state->root = argument;
    if (!tq_path_is_folder(argument))
        return tq_fail(TQ_ERR_IO, "'%s' is not a folder", argument);
    TQ_TRY(walk(state, arena, "", 0));
    if (state->members.n)
        qsort(state->members.items, (size_t)state->members.n, sizeof *state->members.items,
              by_path);
    const char *classes_csv = tq_classes_csv_in(arena, argument);
    if (!classes_csv)
        classes_csv = tq_classes_csv_in(arena, tq_path_folder(arena, argument));
    return tq_members_finish(&state->members, partition, classes_csv, dataset);
}

static tq_status read_folder(const tq_dataset *dataset, int64_t i, tq_sample *out_sample)
{
    const folder_state *state = dataset->state;
    const tq_member *member = &state->members.items[i];
    const size_t size = strlen(state->root) + strlen(member->path) + 2;
    char *path = tq_allocate(size);
    if (!path)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    snprintf(path, size, "%s/%s", state->root, member->path);
    out_sample->label = member->label;
    out_sample->is_image = true;
    const tq_status status = tq_image_load(path, &out_sample->data);
    free(path);
    return status;
}

static void close_folder(tq_dataset *dataset)
{
    folder_state *state = dataset->state;
    if (state && state->listing)
        closedir(state->listing);
}

const tq_dataset_driver tq_dataset_imagefolder = {
    .entry = { .name = "imagefolder",
               .brief = "images in folders: DIR/CLASS/NAME.jpg or DIR/train/CLASS/NAME.jpg" },
    .open = open_folder,
    .read = read_folder,
    .close = close_folder,
};
