/* External data: a tensor's bytes in a file beside the model, named by its entries `location`,
 * `offset` and `length`. A hostile model must not read elsewhere: the location is relative, has no
 * "..", and what it finally means - links followed - lies below the model's folder.
 * Source: onnx/docs/ExternalData.md. */
#include "onnx/onnx_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct place {
    const char *location;
    int64_t offset, length; /* length -1: not said */
} place;

static tq_status read_number(const Onnx__StringStringEntryProto *entry, int64_t *out)
{
    char *end;
    errno = 0;
    const long long number = strtoll(entry->value ? entry->value : "", &end, 10);
    if (!entry->value || end == entry->value || *end || errno || number < 0)
        return tq_fail(TQ_ERR_FORMAT, "external data: %s is '%s', expected a number", entry->key,
                       entry->value ? entry->value : "");
    *out = number;
    return TQ_OK;
}

static tq_status read_place(const Onnx__TensorProto *proto, place *out)
{
    *out = (place){ .length = -1 };
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = proto->external_data[i];
        if (!entry->key)
            return tq_fail(TQ_ERR_FORMAT, "external data: an entry has no key");
        if (strcmp(entry->key, "location") == 0)
            out->location = entry->value;
        if (strcmp(entry->key, "offset") == 0)
            TQ_TRY(read_number(entry, &out->offset));
        if (strcmp(entry->key, "length") == 0)
            TQ_TRY(read_number(entry, &out->length));
    }
    if (!out->location || !*out->location)
        return tq_fail(TQ_ERR_FORMAT, "external data without a location");
    return TQ_OK;
}

static bool has_parent_step(const char *path)
{
    for (const char *step = path; step; step = strchr(step, '/')) {
        step += *step == '/';
        if (strncmp(step, "..", 2) == 0 && (step[2] == '/' || step[2] == 0))
            return true;
    }
    return false;
}

static bool is_below(const char *path, const char *folder)
{
    const size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || (n > 0 && folder[n - 1] == '/'));
}

/** The real path of a location below `folder`; the caller frees it. */
static tq_status find_file(const char *location, const char *folder, char **out_path)
{
    if (!folder)
        return tq_fail(TQ_ERR_FORMAT, "external data '%s' in a model that has no folder", location);
    if (location[0] == '/' || has_parent_step(location))
        return tq_fail(TQ_ERR_FORMAT, "external data '%s' is outside the model's folder", location);
    char *base = realpath(folder, NULL), *joined = malloc(strlen(folder) + strlen(location) + 2);
    if (joined)
        sprintf(joined, "%s/%s", folder, location);
    char *path = base && joined ? realpath(joined, NULL) : NULL;
    tq_status status = TQ_OK;
    if (!path)
        status =
            tq_fail(TQ_ERR_IO, "cannot read external data '%s': %s", location, strerror(errno));
    else if (!is_below(path, base))
        status =
            tq_fail(TQ_ERR_FORMAT, "external data '%s' is outside the model's folder", location);
    free(base);
    free(joined);
    if (status)
        free(path);
    else
        *out_path = path;
    return status;
}

static tq_status check_size(int fd, const place *p, size_t size)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return tq_fail(TQ_ERR_IO, "external data '%s' is not a regular file", p->location);
    if (p->length >= 0 && (uint64_t)p->length != size)
        return tq_fail(TQ_ERR_FORMAT,
                       "external data '%s' has length %lld, the shape needs %zu bytes", p->location,
                       (long long)p->length, size);
    if (p->offset > info.st_size || size > (uint64_t)(info.st_size - p->offset))
        return tq_fail(TQ_ERR_FORMAT,
                       "external data '%s' has %lld bytes, %zu are needed from byte %lld",
                       p->location, (long long)info.st_size, size, (long long)p->offset);
    return TQ_OK;
}

static tq_status read_at(int fd, const place *p, uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(fd, bytes + done, size - done, p->offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return tq_fail(TQ_ERR_IO, "cannot read external data '%s': %s", p->location,
                           n < 0 ? strerror(errno) : "it became shorter");
        done += (size_t)n;
    }
    return TQ_OK;
}

tq_status tq_onnx_read_external(const Onnx__TensorProto *proto, const char *folder, void *out_bytes,
                                size_t size)
{
    place p;
    char *path = NULL;
    TQ_TRY(read_place(proto, &p));
    TQ_TRY(find_file(p.location, folder, &path));
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    free(path);
    if (fd < 0)
        return tq_fail(TQ_ERR_IO, "cannot read external data '%s': %s", p.location,
                       strerror(errno));
    tq_status status = check_size(fd, &p, size);
    if (!status && out_bytes)
        status = read_at(fd, &p, out_bytes, size);
    close(fd);
    return status;
}
