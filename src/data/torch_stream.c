/* Checkpoints of PyTorch before 1.6 (torch.save without an archive): pickles one behind the other -
 * a magic number, a version, facts of the machine, the object, the keys of its storages - and then
 * each storage: its number of elements (8 bytes, the least first) and the elements. */
#include "torch_internal.h"

#include <string.h>

static const uint8_t magic[] = { 0x80, 2,   0x8a, 10,   'l', 0xfc, 0x9c, 'F',
                                 0xf9, ' ', 'j',  0xa8, 'P', 0x19, '.' };

bool tq_torch_is_stream(const uint8_t *bytes, size_t size)
{
    return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

/* The entry of a dictionary; NULL: it has none. */
static const tq_pickle *entry_of(const tq_pickle *dict, const char *key)
{
    for (size_t i = 0; dict->kind == TQ_PICKLE_DICT && i < dict->n; i++)
        if (dict->items[2 * i]->kind == TQ_PICKLE_TEXT &&
            strcmp(dict->items[2 * i]->text, key) == 0)
            return dict->items[2 * i + 1];
    return NULL;
}

static tq_status check_machine(const tq_pickle *version, const tq_pickle *facts)
{
    const tq_pickle *little = entry_of(facts, "little_endian");
    if (version->kind != TQ_PICKLE_INT || version->i != 1001)
        return tq_fail(TQ_ERR_UNSUPPORTED, "a checkpoint of a version that is not known");
    if (little && little->i == 0)
        return tq_fail(TQ_ERR_UNSUPPORTED, "its numbers are not little-endian");
    return TQ_OK;
}

/* What the pickles say of a storage. */
static const tq_pickle *find_storage(const tq_pickles *pickles, const char *key)
{
    for (int i = 0; i < pickles->n_storages; i++)
        if (strcmp(pickles->storages[i]->text, key) == 0)
            return pickles->storages[i];
    return NULL;
}

static tq_status read_storage(tq_pickles *pickles, const tq_pickle *key, tq_torch_storage *out)
{
    const tq_pickle *storage =
        key->kind == TQ_PICKLE_TEXT ? find_storage(pickles, key->text) : NULL;
    if (!storage)
        return tq_fail(TQ_ERR_FORMAT, "a storage that no tensor has");
    const size_t element = tq_dtype_size(storage->dtype), left = pickles->size - pickles->at;
    uint64_t n = 0;
    for (size_t i = 0; i < 8 && i < left; i++)
        n |= (uint64_t)pickles->bytes[pickles->at + i] << (8 * i);
    if (left < 8 || n != (uint64_t)storage->i || n > (left - 8) / element)
        return tq_fail(TQ_ERR_FORMAT, "storage '%s' ends early, or is of another size than said",
                       key->text);
    *out = (tq_torch_storage){ .key = key->text,
                               .bytes = pickles->bytes + pickles->at + 8,
                               .size = (size_t)n * element };
    pickles->at += 8 + out->size;
    return TQ_OK;
}

tq_status tq_torch_read_stream(const uint8_t *bytes, size_t size, tq_arena *arena,
                               const tq_pickle **out_root, int *out_n,
                               tq_torch_storage **out_storages)
{
    tq_pickles pickles = { .bytes = bytes, .size = size, .at = sizeof magic, .arena = arena };
    const tq_pickle *version, *facts, *keys;
    TQ_TRY(tq_pickle_read(&pickles, &version));
    TQ_TRY(tq_pickle_read(&pickles, &facts));
    TQ_TRY(check_machine(version, facts));
    TQ_TRY(tq_pickle_read(&pickles, out_root));
    TQ_TRY(tq_pickle_read(&pickles, &keys));
    if (keys->kind != TQ_PICKLE_SEQUENCE)
        return tq_fail(TQ_ERR_FORMAT, "it has no list of storages");
    *out_storages = TQ_NEW_N(arena, tq_torch_storage, keys->n + 1);
    for (size_t i = 0; i < keys->n; i++, ++*out_n)
        TQ_TRY(read_storage(&pickles, keys->items[i], &(*out_storages)[i]));
    return TQ_OK;
}
