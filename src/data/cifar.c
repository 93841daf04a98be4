/* CIFAR binary files: records of one or two label bytes and 3 x 32 x 32 pixel bytes, plane by
 * plane. Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and
 * the description of the binary version. */
#include "data_internal.h"

#include <string.h>
#include <unistd.h>

enum { SIDE = 32, PLANE = SIDE * SIDE, PIXELS = 3 * PLANE, MOST_FILES = 6, MOST_LABEL_BYTES = 2 };

typedef struct cifar_state {
    const tq_cifar_format *format;
    int n_files;
    int fds[MOST_FILES];
    const char *paths[MOST_FILES];
    int64_t n[MOST_FILES]; /* records */
} cifar_state;

static tq_status add_files(cifar_state *state, tq_dataset *dataset, const char *folder,
                           const char *const *names, int n)
{
    const int64_t record = state->format->n_label_bytes + PIXELS;
    for (int i = 0; i < n; i++) {
        const char *path = tq_path_join(dataset->arena, folder, names[i]);
        int fd;
        int64_t size;
        TQ_TRY(tq_data_open(path, &fd, &size));
        const int at = state->n_files++;
        state->fds[at] = fd;
        state->paths[at] = path;
        state->n[at] = size / record;
        dataset->n += size / record;
        if (size == 0 || size % record)
            return tq_fail(TQ_ERR_FORMAT, "'%s' has %lld bytes, expected a multiple of %lld", path,
                           (long long)size, (long long)record);
    }
    return TQ_OK;
}

/** One name a line; without the file the classes have no names. */
static tq_status read_names(const cifar_state *state, tq_dataset *dataset, const char *folder)
{
    const char *path = tq_path_join(dataset->arena, folder, state->format->names);
    enum { MOST_BYTES = 16384 };
    char *text = tq_arena_alloc(dataset->arena, MOST_BYTES + 1), *rest = NULL;
    const char **names = TQ_NEW_N(dataset->arena, const char *, dataset->n_classes);
    int fd, n = 0;
    int64_t size;
    if (access(path, R_OK) != 0)
        return TQ_OK;
    TQ_TRY(tq_data_open(path, &fd, &size));
    const tq_status status =
        tq_file_read_at(fd, 0, text, (size_t)(size < MOST_BYTES ? size : MOST_BYTES));
    close(fd);
    TQ_TRY(tq_wrap(status, "cannot read '%s'", path));
    for (char *word = strtok_r(text, "\r\n", &rest); word; word = strtok_r(NULL, "\r\n", &rest))
        if (n < dataset->n_classes)
            names[n++] = word;
    if (n == dataset->n_classes)
        dataset->class_names = names;
    return TQ_OK;
}

tq_status tq_cifar_open(const tq_cifar_format *format, const char *folder, tq_partition partition,
                        tq_dataset *dataset)
{
    cifar_state *state = dataset->state = TQ_NEW(dataset->arena, cifar_state);
    state->format = format;
    dataset->n_classes = format->n_classes;
    const char *inner = tq_path_join(dataset->arena, folder, format->folder);
    if (tq_path_is_folder(inner))
        folder = inner;
    if (partition == TQ_PARTITION_TRAIN || partition == TQ_PARTITION_ALL)
        TQ_TRY(add_files(state, dataset, folder, format->train, format->n_train));
    if (partition != TQ_PARTITION_TRAIN)
        TQ_TRY(add_files(state, dataset, folder, format->test, format->n_test));
    return read_names(state, dataset, folder);
}

tq_status tq_cifar_read(const tq_dataset *dataset, int64_t i, tq_sample *out_sample)
{
    const cifar_state *state = dataset->state;
    const int n_label_bytes = state->format->n_label_bytes;
    int file = 0;
    for (; i >= state->n[file]; file++)
        i -= state->n[file];
    unsigned char record[MOST_LABEL_BYTES + PIXELS];
    const size_t size = (size_t)n_label_bytes + PIXELS;
    TQ_TRY(tq_wrap(tq_file_read_at(state->fds[file], i * (int64_t)size, record, size),
                   "cannot read '%s', record %lld", state->paths[file], (long long)i));
    out_sample->label = record[n_label_bytes - 1];
    out_sample->is_image = true;
    if (out_sample->label >= dataset->n_classes)
        return tq_fail(TQ_ERR_FORMAT,
                       "cannot read '%s', record %lld: label %lld, expected 0 .. %lld",
                       state->paths[file], (long long)i, (long long)out_sample->label,
                       (long long)dataset->n_classes - 1);
    TQ_TRY(tq_image_init(&out_sample->data, SIDE, SIDE, 3));
    uint8_t *to = out_sample->data.data;
    for (int p = 0; p < PLANE; p++)
        for (int c = 0; c < 3; c++)
            to[p * 3 + c] = record[n_label_bytes + c * PLANE + p];
    return TQ_OK;
}

void tq_cifar_close(tq_dataset *dataset)
{
    const cifar_state *state = dataset->state;
    for (int i = 0; state && i < state->n_files; i++)
        close(state->fds[i]);
}
