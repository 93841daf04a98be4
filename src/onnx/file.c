/* Whole files, read and written. Writing is atomic: a temporary file in the same folder gets the
 * bytes, is synced, then renamed over the old one; a crash or a full disk leaves the old one. */
#include "onnx/onnx_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---- */

static tq_status read_all(int fd, const char *path, uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t n = read(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tq_fail(TQ_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
        if (n == 0)
            return tq_fail(TQ_ERR_IO, "cannot read '%s': it became shorter while reading", path);
        done += (size_t)n;
    }
    return TQ_OK;
}

static tq_status read_open_file(int fd, const char *path, void **out_bytes, size_t *out_size)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return tq_fail(TQ_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return tq_fail(TQ_ERR_IO, "cannot read '%s': it is a folder", path);
    if (!S_ISREG(info.st_mode))
        return tq_fail(TQ_ERR_IO, "cannot read '%s': it is not a regular file", path);
    const size_t size = (size_t)info.st_size;
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        return tq_fail(TQ_ERR_MEMORY, "cannot read '%s': out of memory for %zu bytes", path, size);
    const tq_status status = read_all(fd, path, bytes, size);
    if (status) {
        free(bytes);
        return status;
    }
    bytes[size] = 0;
    *out_bytes = bytes;
    *out_size = size;
    return TQ_OK;
}

tq_status tq_file_read(const char *path, void **out_bytes, size_t *out_size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */
    if (fd < 0)
        return tq_fail(TQ_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    const tq_status status = read_open_file(fd, path, out_bytes, out_size);
    close(fd);
    return status;
}

/* ---- writing ---- */

static tq_status cannot_write(const char *path)
{
    return tq_fail(TQ_ERR_IO, "cannot write '%s': %s", path, strerror(errno));
}

/** Opens a file that did not exist: TARGET.tmp0, .tmp1, ... beside the target. */
static int open_temp(const char *target, char **out_temp)
{
    const size_t room = strlen(target) + 40;
    *out_temp = malloc(room);
    if (!*out_temp)
        return -1;
    for (int i = 0; i < 1000; i++) {
        snprintf(*out_temp, room, "%s.tmp-%ld-%d", target, (long)getpid(), i);
        const int fd = open(*out_temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/** Follows links to the file they mean, so that a rename replaces that and not the link. */
static char *resolve(const char *path, const struct stat *info)
{
    return S_ISREG(info->st_mode) ? realpath(path, NULL) : strdup(path);
}

tq_status tq_file_open(const char *path, tq_file *out_file)
{
    *out_file = (tq_file){ .path = path };
    struct stat info = { 0 };
    const bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return tq_fail(TQ_ERR_IO, "cannot write '%s': it is a folder", path);
    if (exists && access(path, W_OK) != 0)
        return cannot_write(path);
    const bool in_place = exists && !S_ISREG(info.st_mode); /* a device or pipe: no rename */
    out_file->target = resolve(path, &info);
    if (!out_file->target)
        return cannot_write(path);
    const int fd =
        in_place ? open(path, O_WRONLY | O_CLOEXEC) : open_temp(out_file->target, &out_file->temp);
    out_file->stream = fd < 0 ? NULL : fdopen(fd, "wb");
    if (out_file->stream)
        return TQ_OK;
    const tq_status status = cannot_write(path);
    if (fd >= 0)
        close(fd);
    else if (out_file->temp)
        out_file->temp[0] = 0; /* there is nothing to remove */
    tq_file_close(out_file);
    return status;
}

tq_status tq_file_put(tq_file *file, const void *bytes, size_t size)
{
    if (size && fwrite(bytes, 1, size, file->stream) != size)
        return cannot_write(file->path);
    return TQ_OK;
}

tq_status tq_file_finish(tq_file *file)
{
    if (fflush(file->stream) != 0)
        return cannot_write(file->path);
    if (file->temp && fsync(fileno(file->stream)) != 0)
        return cannot_write(file->path);
    const int failed = fclose(file->stream);
    file->stream = NULL;
    return failed ? cannot_write(file->path) : TQ_OK;
}

/** The rename itself must reach the disk too; a file system that cannot is no failure. */
static void sync_folder(const char *target)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(target, '/');
    const size_t n = slash ? (size_t)(slash - target) + 1 : 0;
    if (n >= sizeof folder)
        return;
    memcpy(folder, target, n);
    folder[n] = 0;
    const int fd = open(n ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

tq_status tq_file_commit(tq_file *file)
{
    if (!file->temp)
        return TQ_OK;
    if (rename(file->temp, file->target) != 0)
        return cannot_write(file->path);
    sync_folder(file->target);
    free(file->temp);
    file->temp = NULL;
    return TQ_OK;
}

void tq_file_close(tq_file *file)
{
    if (file->stream)
        (void)fclose(file->stream);
    if (file->temp && *file->temp)
        (void)unlink(file->temp);
    free(file->temp);
    free(file->target);
    *file = (tq_file){ 0 };
}

tq_status tq_file_write(const char *path, const void *bytes, size_t size)
{
    tq_file file;
    TQ_TRY(tq_file_open(path, &file));
    tq_status status = tq_file_put(&file, bytes, size);
    if (!status)
        status = tq_file_finish(&file);
    if (!status)
        status = tq_file_commit(&file);
    tq_file_close(&file);
    return status;
}
