/* Index of a tar archive: headers are read one by one, contents skipped, so that an archive of any
 * size is opened in little memory and never unpacked. Formats: POSIX ustar with prefix, pax (path
 * and size records), GNU long names, old V7. Source: POSIX.1-2017, pax interchange format; GNU tar
 * manual, "Basic Tar Format". */
#include "data_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 512, MOST_EXTRA_BYTES = 1 << 20 };

/** Fields of a header block: offset and length. */
enum {
    NAME = 0,
    NAME_SIZE = 100,
    SIZE = 124,
    SIZE_SIZE = 12,
    SUM = 148,
    SUM_SIZE = 8,
    TYPE = 156,
    MAGIC = 257
};
enum { PREFIX = 345, PREFIX_SIZE = 155 };

typedef struct walk {
    int fd;
    int64_t file_size, offset;
    char *long_name;   /* from a GNU or pax header before the member; heap, or NULL */
    int64_t long_size; /* from a pax header, or -1 */
} walk;

/** Octal, or base 256 when the top bit is set; -1 if neither. */
static int64_t read_number(const unsigned char *field, int n)
{
    int64_t value = 0;
    if (field[0] & 0x80) {
        for (int i = 1; i < n; i++) {
            if (value >> 54 || field[0] != 0x80)
                return -1;
            value = value << 8 | field[i];
        }
        return value;
    }
    int i = 0;
    while (i < n && field[i] == ' ')
        i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
        value = value * 8 + (field[i] - '0');
    return i == n || field[i] == 0 || field[i] == ' ' ? value : -1;
}

/** The sum of all bytes, those of the checksum counted as spaces. Some old tars summed signed
 * chars. */
static bool sum_is_right(const unsigned char *header)
{
    int64_t sum = 0, signed_sum = 0;
    for (int i = 0; i < BLOCK; i++) {
        const bool inside = i >= SUM && i < SUM + SUM_SIZE;
        sum += inside ? ' ' : header[i];
        signed_sum += inside ? ' ' : (signed char)header[i];
    }
    const int64_t stored = read_number(header + SUM, SUM_SIZE);
    return stored == sum || stored == signed_sum;
}

static bool is_zero(const unsigned char *block)
{
    for (int i = 0; i < BLOCK; i++)
        if (block[i])
            return false;
    return true;
}

/** Contents of a header that describes the next member, with a 0 behind it; caller frees. */
static tq_status read_extra(const walk *w, int64_t size, char **out_text)
{
    if (size > MOST_EXTRA_BYTES)
        return tq_fail(TQ_ERR_FORMAT, "a header of %lld bytes at offset %lld", (long long)size,
                       (long long)w->offset - BLOCK);
    char *text = tq_allocate((size_t)size + 1);
    if (!text)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    const tq_status status = tq_file_read_at(w->fd, w->offset, text, (size_t)size);
    if (status)
        free(text);
    else
        *out_text = text;
    return status;
}

/** Records "LENGTH KEY=VALUE\n": takes `path` and `size`. */
static tq_status read_pax(walk *w, int64_t size)
{
    char *text = NULL;
    TQ_TRY(read_extra(w, size, &text));
    tq_status status = TQ_OK;
    for (char *at = text, *end = text + size; at < end && *at && !status;) {
        char *key, *value;
        const long long n = strtoll(at, &key, 10);
        if (n < 5 || n > end - at || *key != ' ' || at[n - 1] != '\n' ||
            !(value = memchr(key, '=', (size_t)(at + n - key)))) {
            status = tq_fail(TQ_ERR_FORMAT, "a broken pax header at offset %lld",
                             (long long)w->offset - BLOCK);
            break;
        }
        at[n - 1] = 0;
        *value++ = 0;
        if (strcmp(key + 1, "path") == 0) {
            free(w->long_name);
            w->long_name = strdup(value);
            status = w->long_name ? TQ_OK : tq_fail(TQ_ERR_MEMORY, "out of memory");
        } else if (strcmp(key + 1, "size") == 0) {
            w->long_size = strtoll(value, NULL, 10);
        }
        at += n;
    }
    free(text);
    return status;
}

/** The member's path in the arena, without leading "./" and "/". */
static const char *member_path(const walk *w, const unsigned char *header, tq_arena *arena)
{
    const char *name = (const char *)header + NAME;
    const char *path = w->long_name;
    if (!path && memcmp(header + MAGIC, "ustar\0", 6) == 0 && header[PREFIX])
        path = tq_arena_printf(arena, "%.*s/%.*s", PREFIX_SIZE, (const char *)header + PREFIX,
                               NAME_SIZE, name);
    if (!path)
        path = tq_arena_strndup(arena, name, NAME_SIZE);
    else
        path = tq_arena_strdup(arena, path);
    while (strncmp(path, "./", 2) == 0 || *path == '/')
        path += *path == '/' ? 1 : 2;
    return path;
}

/** A member that is a file: into the index, if it is an image. */
static tq_status add_member(walk *w, const unsigned char *header, int64_t size, int file,
                            tq_arena *arena, tq_members *members)
{
    const char *path = member_path(w, header, arena);
    if (size > w->file_size - w->offset)
        return tq_fail(TQ_ERR_FORMAT, "truncated: member '%s' needs %lld bytes, %lld are left",
                       path, (long long)size, (long long)(w->file_size - w->offset));
    const tq_member member = {
        .path = path, .file = file, .offset = w->offset, .size = size, .label = -1
    };
    if (tq_member_is_image(path))
        TQ_PUSH(arena, members->items, members->n, members->capacity, member);
    return TQ_OK;
}

/** One header and what follows it. */
static tq_status read_entry(walk *w, const unsigned char *header, int file, tq_arena *arena,
                            tq_members *members)
{
    const char type = (char)header[TYPE];
    int64_t size = read_number(header + SIZE, SIZE_SIZE);
    if (!sum_is_right(header) || size < 0)
        return tq_fail(TQ_ERR_FORMAT, "no tar header at offset %lld", (long long)w->offset - BLOCK);
    const bool is_file = type == '0' || type == 0 || type == '7';
    const bool is_extra = type == 'L' || type == 'K' || type == 'x' || type == 'g';
    const bool has_no_data = type >= '1' && type <= '6'; /* links, folders, devices, pipes */
    if (!is_extra && w->long_size >= 0)
        size = w->long_size;
    if (has_no_data)
        size = 0;
    if (is_file)
        TQ_TRY(add_member(w, header, size, file, arena, members));
    if (type == 'L') {
        free(w->long_name);
        w->long_name = NULL;
        TQ_TRY(read_extra(w, size, &w->long_name));
    } else if (type == 'x') {
        TQ_TRY(read_pax(w, size));
    }
    if (!is_extra) {
        free(w->long_name);
        w->long_name = NULL;
        w->long_size = -1;
    }
    if (size > w->file_size - w->offset)
        return tq_fail(TQ_ERR_FORMAT, "truncated at byte %lld", (long long)w->file_size);
    w->offset += (size + BLOCK - 1) / BLOCK * BLOCK;
    return TQ_OK;
}

static tq_status read_entries(walk *w, int file, tq_arena *arena, tq_members *members)
{
    for (;;) {
        unsigned char header[BLOCK];
        if (w->offset == w->file_size && w->offset == 0)
            return tq_fail(TQ_ERR_FORMAT, "the file is empty");
        if (w->file_size - w->offset < BLOCK)
            return tq_fail(TQ_ERR_FORMAT, "truncated: no end mark after %lld images",
                           (long long)members->n);
        TQ_TRY(tq_file_read_at(w->fd, w->offset, header, BLOCK));
        if (w->offset == 0 && header[0] == 0x1f && header[1] == 0x8b)
            return tq_fail(TQ_ERR_FORMAT, "compressed by gzip; unpack it with gunzip first");
        w->offset += BLOCK;
        if (is_zero(header))
            return TQ_OK;
        TQ_TRY(read_entry(w, header, file, arena, members));
    }
}

typedef struct index_call {
    walk walk;
    int file;
    tq_arena *arena;
    tq_members *members;
} index_call;

static tq_status index_guarded(void *context)
{
    index_call *call = context;
    return read_entries(&call->walk, call->file, call->arena, call->members);
}

tq_status tq_tar_index(const char *path, int file, tq_arena *arena, tq_members *members)
{
    index_call call = {
        .walk = { .long_size = -1 }, .file = file, .arena = arena, .members = members
    };
    TQ_TRY(tq_data_open(path, &call.walk.fd, &call.walk.file_size));
    const tq_status status = tq_guard(index_guarded, &call);
    free(call.walk.long_name);
    close(call.walk.fd);
    return tq_wrap(status, "cannot read '%s'", path);
}
