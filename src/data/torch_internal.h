/* Storages of a checkpoint of PyTorch, and the form it had before version 1.6. */
#ifndef TRUQ_DATA_TORCH_INTERNAL_H
#define TRUQ_DATA_TORCH_INTERNAL_H

#include "pickle_internal.h"

typedef struct tq_torch_storage {
    const char *key;
    const void *bytes;
    size_t size;
    bool owned; /* by who keeps the list; else a part of the file */
} tq_torch_storage;

/* Do the bytes begin as torch.save did before 1.6? */
bool tq_torch_is_stream(const uint8_t *bytes, size_t size);

/* Reads such a file, which stays in memory as long as the storages are used. */
tq_status tq_torch_read_stream(const uint8_t *bytes, size_t size, tq_arena *arena,
                               const tq_pickle **out_root, int *out_n,
                               tq_torch_storage **out_storages);

#endif
