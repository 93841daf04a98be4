/* IDX files, as MNIST has them: a big-endian header (0, 0, type, rank, dims), then the elements.
 * idx:IMAGES,LABELS: images u8 [n, h, w] or [n, h, w, c], labels u8 [n]; without LABELS there are
 * none. Source: Y. LeCun et al., "The MNIST database", file formats. */
#include "data/data_internal.h"

#include <string.h>
#include <unistd.h>

enum { TYPE_U8 = 0x08 };

typedef struct idx_state {
    int fd; /* of the images, open while n_pixels > 0 */
    const char *path;
    int64_t first, n_pixels; /* offset of the first image, bytes of one */
    int64_t height, width, n_channels;
    const uint8_t *labels;
} idx_state;

/** Header of an open file: n dims; fails unless the elements are u8 and fill the file. */
static tq_status read_header(int fd, int64_t size, int64_t *dims, int *out_rank)
{
    unsigned char magic[4] = { 0 };
    if (size >= 4)
        TQ_TRY(tq_file_read_at(fd, 0, magic, 4));
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return tq_fail(TQ_ERR_FORMAT, "compressed by gzip; unpack it with gunzip first");
    if (size < 4 || magic[0] || magic[1] || magic[3] < 1 || magic[3] > 4)
        return tq_fail(TQ_ERR_FORMAT, "not an IDX file");
    if (magic[2] != TYPE_U8)
        return tq_fail(TQ_ERR_UNSUPPORTED,
                       "elements of IDX type 0x%02x are not supported, only bytes", magic[2]);
    unsigned char bytes[4 * 4];
    const int rank = magic[3];
    TQ_TRY(tq_file_read_at(fd, 4, bytes, 4 * (size_t)rank));
    int64_t count = 1;
    for (int d = 0; d < rank; d++) {
        const unsigned char *b = bytes + 4 * d;
        dims[d] = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
        if (dims[d] == 0 || count > size / dims[d])
            return tq_fail(TQ_ERR_FORMAT, "truncated: it has %lld bytes, its header claims more",
                           (long long)size);
        count *= dims[d];
    }
    if (size != 4 + 4 * rank + count)
        return tq_fail(TQ_ERR_FORMAT, "it has %lld bytes, its header claims %lld", (long long)size,
                       (long long)(4 + 4 * rank + count));
    *out_rank = rank;
    return TQ_OK;
}

static tq_status open_images(idx_state *state, const char *path, tq_dataset *dataset)
{
    int64_t size, dims[4];
    int fd, rank;
    TQ_TRY(tq_data_open(path, &fd, &size));
    tq_status status = read_header(fd, size, dims, &rank);
    if (!status && rank < 3)
        status = tq_fail(TQ_ERR_FORMAT, "%d dims, expected images [n, height, width]", rank);
    if (status) {
        close(fd);
        return tq_wrap(status, "cannot read '%s'", path);
    }
    state->fd = fd;
    state->path = path;
    state->first = 4 + 4 * rank;
    state->height = dims[1];
    state->width = dims[2];
    state->n_channels = rank == 4 ? dims[3] : 1;
    state->n_pixels = state->height * state->width * state->n_channels;
    dataset->n = dims[0];
    return tq_wrap(tq_image_check_size(state->height, state->width), "cannot read '%s'", path);
}

static tq_status read_labels(int fd, int64_t size, int64_t n, uint8_t *labels)
{
    int64_t dims[4];
    int rank;
    TQ_TRY(read_header(fd, size, dims, &rank));
    if (rank != 1 || dims[0] != n)
        return tq_fail(TQ_ERR_SHAPE, "%lld labels in %d dims, expected %lld in one",
                       (long long)dims[0], rank, (long long)n);
    return tq_file_read_at(fd, 8, labels, (size_t)n);
}

static tq_status open_labels(idx_state *state, const char *path, tq_dataset *dataset)
{
    int64_t size;
    int fd;
    uint8_t *labels = tq_arena_alloc(dataset->arena, (size_t)dataset->n);
    TQ_TRY(tq_data_open(path, &fd, &size));
    const tq_status status = read_labels(fd, size, dataset->n, labels);
    close(fd);
    TQ_TRY(tq_wrap(status, "cannot read '%s'", path));
    for (int64_t i = 0; i < dataset->n; i++)
        if (labels[i] >= dataset->n_classes)
            dataset->n_classes = labels[i] + 1;
    state->labels = labels;
    return TQ_OK;
}

static tq_status open_idx(const char *argument, tq_partition partition, tq_dataset *dataset)
{
    (void)partition; /* the files are one partition or another */
    idx_state *state = dataset->state = TQ_NEW(dataset->arena, idx_state);
    const char *comma = strchr(argument, ',');
    const size_t n = comma ? (size_t)(comma - argument) : strlen(argument);
    TQ_TRY(open_images(state, tq_arena_strndup(dataset->arena, argument, n), dataset));
    return comma ? open_labels(state, comma + 1, dataset) : TQ_OK;
}

static tq_status read_idx(const tq_dataset *dataset, int64_t i, tq_sample *out_sample)
{
    const idx_state *state = dataset->state;
    out_sample->label = state->labels ? state->labels[i] : -1;
    out_sample->is_image = true;
    TQ_TRY(tq_image_init(&out_sample->data, state->height, state->width, state->n_channels));
    const tq_status status = tq_file_read_at(state->fd, state->first + i * state->n_pixels,
                                             out_sample->data.data, (size_t)state->n_pixels);
    if (status)
        tq_tensor_reset(&out_sample->data);
    return tq_wrap(status, "cannot read '%s', image %lld", state->path, (long long)i);
}

static void close_idx(tq_dataset *dataset)
{
    const idx_state *state = dataset->state;
    if (state && state->n_pixels > 0)
        close(state->fd);
}

const tq_dataset_driver tq_dataset_idx = {
    .entry = { .name = "idx", .brief = "IDX files as of MNIST: IMAGES,LABELS" },
    .open = open_idx,
    .read = read_idx,
    .close = close_idx,
};
