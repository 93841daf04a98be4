/* .npz: a zip archive of .npy arrays. Written stored, with one fixed time stamp, so that the same
 * content gives the same bytes; libzip writes a temporary file and renames it. */
#include "data_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

/** Deflate cannot expand more than this; a member that claims more is not what it says. */
enum { MOST_EXPANSION = 1032, MOST_MEMBERS = 1 << 15 };

/* ---- loading --------------------------------------------------------------------------------- */

static tq_status read_member(void *context, void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        const zip_int64_t got = zip_fread(context, (char *)bytes + done, n - done);
        if (got < 0)
            return tq_fail(TQ_ERR_FORMAT, "%s", zip_file_strerror(context));
        if (got == 0)
            return tq_fail(TQ_ERR_FORMAT, "truncated");
        done += (size_t)got;
    }
    return TQ_OK;
}

/** libzip checks the CRC when it meets the end of the member. */
static tq_status read_end(zip_file_t *file)
{
    char byte;
    const zip_int64_t n = zip_fread(file, &byte, 1);
    if (n == 0)
        return TQ_OK;
    return tq_fail(TQ_ERR_FORMAT, "%s", n < 0 ? zip_file_strerror(file) : "longer than it says");
}

static tq_status load_array(zip_t *zip, const zip_stat_t *info, tq_tensor *out_tensor)
{
    if (info->size > info->comp_size && info->size / MOST_EXPANSION > info->comp_size)
        return tq_fail(TQ_ERR_FORMAT, "it claims %llu bytes out of %llu",
                       (unsigned long long)info->size, (unsigned long long)info->comp_size);
    zip_file_t *file = zip_fopen_index(zip, info->index, 0);
    if (!file)
        return tq_fail(TQ_ERR_FORMAT, "%s", zip_strerror(zip));
    tq_npy_source source = { .read = read_member, .context = file, .left = info->size };
    tq_status status = tq_npy_read(&source, out_tensor);
    if (!status && (status = read_end(file)))
        tq_tensor_reset(out_tensor);
    zip_fclose(file);
    return status;
}

static tq_status load_members(zip_t *zip, tq_npz *npz)
{
    const zip_int64_t n = zip_get_num_entries(zip, 0);
    if (n > MOST_MEMBERS)
        return tq_fail(TQ_ERR_FORMAT, "it has %lld members", (long long)n);
    npz->names = TQ_NEW_N(npz->arena, const char *, n);
    npz->tensors = TQ_NEW_N(npz->arena, tq_tensor, n);
    for (zip_int64_t i = 0; i < n; i++) {
        zip_stat_t info;
        const zip_uint64_t needed =
            ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_INDEX;
        if (zip_stat_index(zip, (zip_uint64_t)i, 0, &info) != 0 || (info.valid & needed) != needed)
            return tq_fail(TQ_ERR_FORMAT, "member %lld: %s", (long long)i, zip_strerror(zip));
        size_t length = strlen(info.name);
        if (length && info.name[length - 1] == '/')
            continue;
        if (tq_path_has_suffix(info.name, ".npy"))
            length -= 4;
        const char *name = tq_arena_strndup(npz->arena, info.name, length);
        if (tq_npz_find(npz, name))
            return tq_fail(TQ_ERR_FORMAT, "two arrays have the name '%s'", name);
        TQ_TRY(tq_wrap(load_array(zip, &info, &npz->tensors[npz->n]), "array '%s'", name));
        npz->names[npz->n++] = name;
    }
    return TQ_OK;
}

/** TQ_OK, or what `code` of zip_open means. */
static tq_status open_zip(const char *path, int flags, tq_code kind, zip_t **out_zip)
{
    int code = 0;
    *out_zip = zip_open(path, flags, &code);
    if (*out_zip)
        return TQ_OK;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const tq_status status = tq_fail(kind, "%s", zip_error_strerror(&error));
    zip_error_fini(&error);
    return status;
}

typedef struct plain_file {
    int fd;
    int64_t offset;
} plain_file;

static tq_status read_plain(void *context, void *bytes, size_t n)
{
    plain_file *file = context;
    TQ_TRY(tq_file_read_at(file->fd, file->offset, bytes, n));
    file->offset += (int64_t)n;
    return TQ_OK;
}

static tq_status load_npy(int fd, int64_t size, tq_npz *npz)
{
    plain_file file = { .fd = fd };
    tq_npy_source source = { .read = read_plain, .context = &file, .left = (uint64_t)size };
    npz->names = TQ_NEW_N(npz->arena, const char *, 1);
    npz->tensors = TQ_NEW(npz->arena, tq_tensor);
    TQ_TRY(tq_npy_read(&source, npz->tensors));
    npz->names[npz->n++] = "";
    return TQ_OK;
}

/** What must be closed however the loading ends. */
typedef struct load_call {
    tq_npz *npz;
    int fd;
    int64_t size;
    zip_t *zip;
} load_call;

static tq_status load_guarded(void *context)
{
    load_call *call = context;
    call->npz->arena = tq_arena_create();
    return call->zip ? load_members(call->zip, call->npz)
                     : load_npy(call->fd, call->size, call->npz);
}

tq_status tq_npz_load(const char *path, tq_npz *out_npz)
{
    *out_npz = (tq_npz){ 0 };
    load_call call = { .npz = out_npz };
    TQ_TRY(tq_data_open(path, &call.fd, &call.size));
    char magic[2] = { 0 };
    tq_status status = call.size < 2 ? TQ_OK : tq_file_read_at(call.fd, 0, magic, sizeof magic);
    if (!status && magic[0] == 'P' && magic[1] == 'K')
        status = open_zip(path, ZIP_RDONLY, TQ_ERR_FORMAT, &call.zip);
    if (!status)
        status = tq_guard(load_guarded, &call);
    if (call.zip)
        zip_discard(call.zip);
    close(call.fd);
    if (status)
        tq_npz_reset(out_npz);
    return tq_wrap(status, "cannot read '%s'", path);
}

void tq_npz_reset(tq_npz *npz)
{
    for (int i = 0; i < npz->n; i++)
        tq_tensor_reset(&npz->tensors[i]);
    tq_arena_destroy(npz->arena);
    *npz = (tq_npz){ 0 };
}

const tq_tensor *tq_npz_find(const tq_npz *npz, const char *name)
{
    for (int i = 0; i < npz->n; i++)
        if (strcmp(npz->names[i], name) == 0)
            return &npz->tensors[i];
    return NULL;
}

/* ---- saving ---------------------------------------------------------------------------------- */

/** What libzip needs until it closes the archive. */
typedef struct member {
    char header[TQ_NPY_HEADER_MAX];
    tq_tensor converted; /* bf16 goes out as f32: numpy has no bf16 */
    zip_buffer_fragment_t parts[2];
} member;

static tq_status add_member(zip_t *zip, const char *name, const tq_tensor *tensor, member *m)
{
    if (tensor->type.dtype == TQ_BF16) {
        TQ_TRY(tq_tensor_cast(tensor, TQ_F32, &m->converted));
        tensor = &m->converted;
    }
    size_t header_size, size;
    TQ_TRY(tq_npy_header(&tensor->type, m->header, &header_size));
    TQ_TRY(tq_type_size(&tensor->type, &size));
    m->parts[0] =
        (zip_buffer_fragment_t){ .data = (zip_uint8_t *)m->header, .length = header_size };
    m->parts[1] = (zip_buffer_fragment_t){ .data = tensor->data, .length = size };
    char file_name[1024];
    if (snprintf(file_name, sizeof file_name, "%s.npy", name) >= (int)sizeof file_name)
        return tq_fail(TQ_ERR_VALUE, "the name is too long");
    zip_source_t *source = zip_source_buffer_fragment(zip, m->parts, size ? 2 : 1, 0);
    const zip_int64_t at = source ? zip_file_add(zip, file_name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (source && at < 0)
        zip_source_free(source);
    const zip_uint16_t first_day = 1 << 5 | 1; /* 1 January 1980 */
    if (at < 0 || zip_set_file_compression(zip, (zip_uint64_t)at, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(zip, (zip_uint64_t)at, 0, first_day, 0) != 0)
        return tq_fail(TQ_ERR_VALUE, "%s", zip_strerror(zip));
    return TQ_OK;
}

static tq_status save_members(const char *path, int n, const char *const *names,
                              const tq_tensor *tensors, member *members)
{
    zip_t *zip;
    TQ_TRY(open_zip(path, ZIP_CREATE | ZIP_TRUNCATE, TQ_ERR_IO, &zip));
    tq_status status = TQ_OK;
    for (int i = 0; i < n && !status; i++)
        status =
            tq_wrap(add_member(zip, names[i], &tensors[i], &members[i]), "array '%s'", names[i]);
    if (!status && zip_close(zip) == 0)
        return TQ_OK;
    if (!status)
        status = tq_fail(TQ_ERR_IO, "%s", zip_strerror(zip));
    zip_discard(zip);
    return status;
}

tq_status tq_npz_save(const char *path, int n, const char *const *names, const tq_tensor *tensors)
{
    if (n <= 0)
        return tq_fail(TQ_ERR_VALUE, "cannot write '%s': no arrays to save", path);
    member *members = tq_allocate((size_t)n * sizeof *members);
    if (!members)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    const tq_status status = save_members(path, n, names, tensors, members);
    for (int i = 0; i < n; i++)
        tq_tensor_reset(&members[i].converted);
    free(members);
    return tq_wrap(status, "cannot write '%s'", path);
}
