/* Reading files: every failure names the cause, no read is larger than the file. */
#include "data_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

tq_status tq_file_read_at(int fd, int64_t offset, void *bytes, size_t size)
{
    unsigned char *to = bytes;
    while (size) {
        const ssize_t n = pread(fd, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tq_fail(TQ_ERR_IO, "%s", strerror(errno));
        if (n == 0)
            return tq_fail(TQ_ERR_FORMAT, "the file ends %zu bytes early", size);
        to += n;
        offset += n;
        size -= (size_t)n;
    }
    return TQ_OK;
}

tq_status tq_data_open(const char *path, int *out_fd, int64_t *out_size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tq_fail(TQ_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return tq_fail(TQ_ERR_IO, "cannot open '%s': not a file", path);
    }
    *out_fd = fd;
    *out_size = info.st_size;
    return TQ_OK;
}

tq_status tq_file_load(const char *path, void **out_bytes, size_t *out_size)
{
    int fd;
    int64_t size;
    TQ_TRY(tq_data_open(path, &fd, &size));
    char *bytes = tq_allocate((size_t)size + 1);
    tq_status status =
        bytes ? tq_file_read_at(fd, 0, bytes, (size_t)size)
              : tq_fail(TQ_ERR_MEMORY, "out of memory: no %lld bytes", (long long)size);
    close(fd);
    if (status) {
        free(bytes);
        return tq_wrap(status, "cannot read '%s'", path);
    }
    *out_bytes = bytes;
    *out_size = (size_t)size;
    return TQ_OK;
}

bool tq_path_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

const char *tq_path_join(tq_arena *arena, const char *folder, const char *name)
{
    const size_t n = strlen(folder);
    return tq_arena_printf(arena, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

const char *tq_path_folder(tq_arena *arena, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n && path[n - 1] != '/')
        n--;
    return n ? tq_arena_strndup(arena, path, n) : ".";
}

bool tq_path_has_suffix(const char *path, const char *suffix)
{
    const size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcasecmp(path + n - m, suffix) == 0;
}
