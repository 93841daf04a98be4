/* The part of Python's pickle that dictionaries of tensors need, as PyTorch writes them. Nothing is
 * ever called: what a pickle asks to be called is compared with a short list of names, and a value
 * of ours takes the place of the result. */
#ifndef TRUQ_DATA_PICKLE_INTERNAL_H
#define TRUQ_DATA_PICKLE_INTERNAL_H

#include <truq/tensor.h>

typedef enum tq_pickle_kind {
    TQ_PICKLE_NONE,
    TQ_PICKLE_BOOL,
    TQ_PICKLE_INT,
    TQ_PICKLE_FLOAT,
    TQ_PICKLE_TEXT,
    TQ_PICKLE_SEQUENCE, /* list or tuple */
    TQ_PICKLE_DICT,
    TQ_PICKLE_GLOBAL, /* one of the known names */
    TQ_PICKLE_STORAGE,
    TQ_PICKLE_TENSOR,
    TQ_PICKLE_OPAQUE, /* no tensor, and harmless: what it holds is left out */
    TQ_PICKLE_MARK
} tq_pickle_kind;

typedef struct tq_pickle tq_pickle;
struct tq_pickle {
    tq_pickle_kind kind;
    int64_t i; /* BOOL, INT; GLOBAL: which; STORAGE: number of elements */
    double f;
    const char *text;        /* TEXT; STORAGE: its key in the archive */
    tq_dtype dtype;          /* STORAGE; GLOBAL of a storage class */
    size_t n, capacity;      /* SEQUENCE: items; DICT: pairs */
    const tq_pickle **items; /* SEQUENCE: n; DICT: 2 n, keys and values */
    /* TENSOR */
    const tq_pickle *storage;
    int64_t offset; /* in elements, as strides are */
    int rank;
    int64_t dims[TQ_MAX_RANK], strides[TQ_MAX_RANK];
};

/* Pickles that stand one behind the other. */
typedef struct tq_pickles {
    const uint8_t *bytes;
    size_t size, at; /* at: the next one begins here */
    tq_arena *arena; /* for all values */
    int n_storages;
    size_t capacity;
    const tq_pickle **storages; /* that the pickles name, in that order; one may be there twice */
} tq_pickles;

/* Reads the next pickle. Opcodes and names beyond what is needed are refused by name
 * (TQ_ERR_UNSUPPORTED); damage is TQ_ERR_FORMAT. */
tq_status tq_pickle_read(tq_pickles *pickles, const tq_pickle **out_value);

/* What a name means. HARMLESS: a class that training scripts keep beside weights (counters, paths,
 * numbers of NumPy), whose content nobody needs. */
typedef enum tq_pickle_name {
    TQ_PICKLE_ORDERED_DICT,
    TQ_PICKLE_REBUILD_TENSOR,
    TQ_PICKLE_REBUILD_PARAMETER,
    TQ_PICKLE_SIZE,
    TQ_PICKLE_STORAGE_CLASS,
    TQ_PICKLE_HARMLESS
} tq_pickle_name;

/* False: a name that nobody needs for weights. `out_dtype`: of a class of storages. */
bool tq_pickle_find_name(const char *module, const char *name, int64_t *out_id,
                         tq_dtype *out_dtype);

#endif
