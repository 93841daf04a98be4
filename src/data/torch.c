/* Checkpoints of PyTorch (torch.save since 1.6): a zip archive NAME/data.pkl, NAME/data/KEY, where
 * the pickle describes tensors as windows (offset, shape, strides) of storages, each a member. Only
 * dictionaries of tensors are read; pickle.c says how. torch_stream.c reads what was written
 * before. */
#include "data_internal.h"
#include "torch_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

enum { MOST_EXPANSION = 1032, MOST_ARRAYS = 1 << 15, MOST_DEPTH = 16 };
enum { MOST_PICKLE = 1 << 28 };

typedef struct loader {
    zip_t *zip;         /* NULL: a stream, which `file` holds */
    const char *prefix; /* "archive/" */
    void *file;
    size_t file_size;
    tq_npz *out;
    tq_arena *scratch;
    void *pickle;
    int n_storages;
    size_t storages_capacity, names_capacity, tensors_capacity;
    tq_torch_storage *storages; /* that have been read */
    uint64_t budget;            /* bytes of tensors that may still be made */
    int64_t n_visited;
} loader;

/* ---- members ---- */

static tq_status read_file(zip_file_t *file, size_t size, void *bytes)
{
    char more;
    for (size_t done = 0; done < size;) {
        const zip_int64_t got = zip_fread(file, (char *)bytes + done, size - done);
        if (got <= 0)
            return tq_fail(TQ_ERR_FORMAT, "%s", got < 0 ? zip_file_strerror(file) : "truncated");
        done += (size_t)got;
    }
    const zip_int64_t rest = zip_fread(file, &more, 1); /* at the end libzip checks the CRC */
    if (rest != 0)
        return tq_fail(TQ_ERR_FORMAT, "%s",
                       rest < 0 ? zip_file_strerror(file) : "longer than it says");
    return TQ_OK;
}

/* A whole member; the caller frees it. */
static tq_status read_member(zip_t *zip, const char *name, uint64_t most, void **out, size_t *out_n)
{
    zip_stat_t info;
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_INDEX;
    if (zip_stat(zip, name, 0, &info) != 0 || (info.valid & needed) != needed)
        return tq_fail(TQ_ERR_FORMAT, "member '%s' is missing", name);
    if (info.size > most ||
        (info.size > info.comp_size && info.size / MOST_EXPANSION > info.comp_size))
        return tq_fail(TQ_ERR_FORMAT, "member '%s' claims %llu bytes", name,
                       (unsigned long long)info.size);
    zip_file_t *file = zip_fopen_index(zip, info.index, 0);
    if (!file)
        return tq_fail(TQ_ERR_FORMAT, "member '%s': %s", name, zip_strerror(zip));
    void *bytes = malloc((size_t)info.size + 1);
    tq_status status =
        bytes ? read_file(file, (size_t)info.size, bytes)
              : tq_fail(TQ_ERR_MEMORY, "no memory for %llu bytes", (unsigned long long)info.size);
    zip_fclose(file);
    if (status) {
        free(bytes);
        return tq_wrap(status, "member '%s'", name);
    }
    *out = bytes;
    *out_n = (size_t)info.size;
    return TQ_OK;
}

/* "NAME/" of the member NAME/data.pkl. */
static tq_status find_prefix(loader *l)
{
    static const char wanted[] = "data.pkl";
    const size_t k = sizeof wanted - 1;
    const zip_int64_t n = zip_get_num_entries(l->zip, 0);
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(l->zip, (zip_uint64_t)i, 0);
        const size_t length = name ? strlen(name) : 0;
        if (length >= k && strcmp(name + length - k, wanted) == 0 &&
            (length == k || name[length - k - 1] == '/')) {
            l->prefix = tq_arena_strndup(l->scratch, name, length - k);
            return TQ_OK;
        }
    }
    return tq_fail(TQ_ERR_FORMAT, "no checkpoint of PyTorch: the archive has no data.pkl");
}

/* torch.jit.save writes the same kind of archive, but code with it. */
static tq_status check_no_script(loader *l)
{
    const char *name = tq_arena_printf(l->scratch, "%sconstants.pkl", l->prefix);
    return zip_name_locate(l->zip, name, 0) < 0
               ? TQ_OK
               : tq_fail(TQ_ERR_UNSUPPORTED, "an archive of TorchScript; save the state_dict of "
                                             "the module");
}

static tq_status check_byte_order(loader *l)
{
    const char *name = tq_arena_printf(l->scratch, "%sbyteorder", l->prefix);
    void *bytes;
    size_t n;
    if (zip_name_locate(l->zip, name, 0) < 0)
        return TQ_OK;
    TQ_TRY(read_member(l->zip, name, 64, &bytes, &n));
    const bool little = n >= 6 && memcmp(bytes, "little", 6) == 0;
    free(bytes);
    return little ? TQ_OK : tq_fail(TQ_ERR_UNSUPPORTED, "its numbers are not little-endian");
}

/* ---- tensors ---- */

static tq_status storage_of(loader *l, const tq_pickle *value, const tq_torch_storage **out)
{
    for (int i = 0; i < l->n_storages; i++)
        if (strcmp(l->storages[i].key, value->text) == 0) {
            *out = &l->storages[i];
            return TQ_OK;
        }
    if (!l->zip)
        return tq_fail(TQ_ERR_FORMAT, "storage '%s' is missing", value->text);
    tq_torch_storage s = { .key = value->text, .owned = true };
    const char *name = tq_arena_printf(l->scratch, "%sdata/%s", l->prefix, value->text);
    TQ_PUSH(l->scratch, l->storages, l->n_storages, l->storages_capacity, s);
    tq_torch_storage *kept = &l->storages[l->n_storages - 1];
    void *bytes = NULL;
    const tq_status status = read_member(l->zip, name, UINT64_C(1) << 46, &bytes, &kept->size);
    if (status) {
        l->n_storages--;
        return status;
    }
    kept->bytes = bytes;
    l->budget += 4 * (uint64_t)kept->size;
    *out = kept;
    return TQ_OK;
}

/* The last element that the window reaches must lie in the storage. */
static tq_status check_window(const tq_pickle *t, const tq_torch_storage *s, int64_t *out_count)
{
    const size_t size = tq_dtype_size(t->storage->dtype);
    const uint64_t n = s->size / size;
    uint64_t last = (uint64_t)t->offset;
    int64_t count = 1;
    for (int d = 0; d < t->rank; d++)
        count = t->dims[d] && count > (INT64_C(1) << 46) / t->dims[d] ? INT64_C(1) << 47
                                                                      : count * t->dims[d];
    for (int d = 0; d < t->rank && count; d++) {
        const uint64_t steps = (uint64_t)t->dims[d] - 1, stride = (uint64_t)t->strides[d];
        if (steps && stride > n / steps)
            return tq_fail(TQ_ERR_FORMAT, "reaches beyond its storage of %llu elements",
                           (unsigned long long)n);
        last += steps * stride;
        if (last > n)
            break;
    }
    if (count && last >= n)
        return tq_fail(TQ_ERR_FORMAT, "reaches beyond its storage of %llu elements",
                       (unsigned long long)n);
    *out_count = count;
    return TQ_OK;
}

static void copy_window(const tq_pickle *t, const tq_torch_storage *s, tq_tensor *out)
{
    const size_t size = tq_dtype_size(t->storage->dtype);
    int64_t at[TQ_MAX_RANK] = { 0 };
    for (int64_t i = 0; i < tq_tensor_count(out); i++) {
        int64_t from = t->offset;
        for (int d = 0; d < t->rank; d++)
            from += at[d] * t->strides[d];
        memcpy((char *)out->data + (size_t)i * size, (const char *)s->bytes + (size_t)from * size,
               size);
        for (int d = t->rank - 1; d >= 0 && ++at[d] == t->dims[d]; d--)
            at[d] = 0;
    }
}

static tq_status make_tensor(loader *l, const tq_pickle *t, tq_tensor *out)
{
    const tq_torch_storage *s = NULL;
    int64_t count = 0;
    size_t size;
    TQ_TRY(storage_of(l, t->storage, &s));
    TQ_TRY(check_window(t, s, &count));
    const tq_type type = tq_type_make(t->storage->dtype, t->rank, t->dims);
    TQ_TRY(tq_type_size(&type, &size));
    if (size > l->budget)
        return tq_fail(TQ_ERR_FORMAT, "is a window of more elements than the file could hold");
    l->budget -= size;
    TQ_TRY(tq_tensor_init(out, &type));
    copy_window(t, s, out);
    return TQ_OK;
}

static tq_status add_tensor(loader *l, const char *name, const tq_pickle *t)
{
    tq_npz *npz = l->out;
    if (npz->n >= MOST_ARRAYS)
        return tq_fail(TQ_ERR_FORMAT, "it has more than %d tensors", MOST_ARRAYS);
    size_t n_names = (size_t)npz->n, n_tensors = (size_t)npz->n;
    TQ_PUSH(npz->arena, npz->names, n_names, l->names_capacity, tq_arena_strdup(npz->arena, name));
    TQ_PUSH(npz->arena, npz->tensors, n_tensors, l->tensors_capacity, (tq_tensor){ 0 });
    TQ_TRY(tq_wrap(make_tensor(l, t, &npz->tensors[npz->n]), "tensor '%s'", name));
    npz->n++;
    return TQ_OK;
}

/* ---- dictionaries ---- */

/* Tensors below `value` by dotted names; all that is no tensor and no dictionary is left out. */
static tq_status collect(loader *l, const char *path, const tq_pickle *value, int depth)
{
    if (++l->n_visited > 16 * MOST_ARRAYS || depth > MOST_DEPTH)
        return tq_fail(TQ_ERR_FORMAT, "dictionaries nested too deep or too often");
    if (value->kind == TQ_PICKLE_TENSOR)
        return add_tensor(l, path, value);
    for (size_t i = 0; value->kind == TQ_PICKLE_DICT && i < value->n; i++) {
        const tq_pickle *key = value->items[2 * i];
        const char *name = key->kind == TQ_PICKLE_TEXT ? key->text
                           : key->kind == TQ_PICKLE_INT
                               ? tq_arena_printf(l->scratch, "%lld", (long long)key->i)
                               : NULL;
        if (!name)
            continue;
        if (*path)
            name = tq_arena_printf(l->scratch, "%s.%s", path, name);
        TQ_TRY(collect(l, name, value->items[2 * i + 1], depth + 1));
    }
    return TQ_OK;
}

/* Training scripts put the weights of the network below one of these. */
static const tq_pickle *weights_in(const tq_pickle *root)
{
    static const char *const names[] = { "state_dict", "model_state_dict", "model" };
    for (int k = 0; k < TQ_COUNT(names); k++)
        for (size_t i = 0; root->kind == TQ_PICKLE_DICT && i < root->n; i++) {
            const tq_pickle *key = root->items[2 * i], *value = root->items[2 * i + 1];
            if (key->kind == TQ_PICKLE_TEXT && strcmp(key->text, names[k]) == 0 &&
                value->kind == TQ_PICKLE_DICT)
                return value;
        }
    return root;
}

static tq_status read_archive(loader *l, const tq_pickle **out_root)
{
    size_t size;
    TQ_TRY(find_prefix(l));
    TQ_TRY(check_no_script(l));
    TQ_TRY(check_byte_order(l));
    const char *name = tq_arena_printf(l->scratch, "%sdata.pkl", l->prefix);
    TQ_TRY(read_member(l->zip, name, MOST_PICKLE, &l->pickle, &size));
    tq_pickles pickles = { .bytes = l->pickle, .size = size, .arena = l->scratch };
    l->budget = 1 << 20;
    return tq_pickle_read(&pickles, out_root);
}

static tq_status read_stream(loader *l, const tq_pickle **out_root)
{
    l->budget = (1 << 20) + 4 * (uint64_t)l->file_size;
    return tq_torch_read_stream(l->file, l->file_size, l->scratch, out_root, &l->n_storages,
                                &l->storages);
}

static tq_status load_guarded(void *context)
{
    loader *l = context;
    const tq_pickle *root;
    l->out->arena = tq_arena_create();
    l->scratch = tq_arena_create();
    TQ_TRY(l->zip ? read_archive(l, &root) : read_stream(l, &root));
    TQ_TRY(collect(l, "", weights_in(root), 0));
    return l->out->n ? TQ_OK
                     : tq_fail(TQ_ERR_FORMAT, "it holds no dictionary of tensors; save the "
                                              "state_dict of the network");
}

static tq_status open_archive(const char *path, zip_t **out)
{
    int code = 0;
    *out = zip_open(path, ZIP_RDONLY, &code);
    if (*out)
        return TQ_OK;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const tq_status failed = tq_fail(TQ_ERR_FORMAT, "%s", zip_error_strerror(&error));
    zip_error_fini(&error);
    return failed;
}

/* An archive is left on the disk, a stream is read as a whole. */
static tq_status read_head(int fd, int64_t size, loader *l, bool *out_is_archive)
{
    uint8_t head[16] = { 0 };
    const size_t n = size < (int64_t)sizeof head ? (size_t)size : sizeof head;
    TQ_TRY(tq_file_read_at(fd, 0, head, n));
    *out_is_archive = head[0] == 'P' && head[1] == 'K';
    if (*out_is_archive)
        return TQ_OK;
    if (!tq_torch_is_stream(head, n))
        return tq_fail(TQ_ERR_FORMAT, "no checkpoint of PyTorch: neither a zip archive nor what "
                                      "torch.save wrote before 1.6");
    l->file_size = (size_t)size;
    l->file = malloc(l->file_size);
    if (!l->file)
        return tq_fail(TQ_ERR_MEMORY, "no memory for %lld bytes", (long long)size);
    return tq_file_read_at(fd, 0, l->file, l->file_size);
}

static tq_status open_file(const char *path, loader *l)
{
    int fd;
    int64_t size;
    bool is_archive = false;
    TQ_TRY(tq_data_open(path, &fd, &size));
    const tq_status status = read_head(fd, size, l, &is_archive);
    close(fd);
    TQ_TRY(status);
    return is_archive ? open_archive(path, &l->zip) : TQ_OK;
}

tq_status tq_torch_load(const char *path, tq_npz *out_arrays)
{
    *out_arrays = (tq_npz){ 0 };
    loader l = { .out = out_arrays };
    tq_status status = open_file(path, &l);
    if (!status)
        status = tq_guard(load_guarded, &l);
    for (int i = 0; i < l.n_storages; i++)
        if (l.storages[i].owned)
            free((void *)(uintptr_t)l.storages[i].bytes);
    free(l.pickle);
    free(l.file);
    tq_arena_destroy(l.scratch);
    if (l.zip)
        zip_discard(l.zip);
    if (status)
        tq_npz_reset(out_arrays);
    return tq_wrap(status, "cannot read '%s'", path);
}
