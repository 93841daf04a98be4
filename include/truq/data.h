/* Data: datasets, preprocessing, batches; .npz files. */
#ifndef TRUQ_DATA_H
#define TRUQ_DATA_H

#include <truq/registry.h>
#include <truq/random.h>
#include <truq/tensor.h>
#include <truq/threads.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- .npz and .npy ------------------------------------------------------------------------- */

/** Named arrays in the order of the file. */
typedef struct tq_npz {
    tq_arena *arena;
    int n;
    const char **names;
    tq_tensor *tensors;
} tq_npz;

/** Reads all members of an .npz (stored or deflated) or the one array of an .npy (name ""). C order; little endian. */
TQ_API tq_status tq_npz_load(const char *path, tq_npz *out_npz);
TQ_API void tq_npz_reset(tq_npz *npz);
TQ_API const tq_tensor *tq_npz_find(const tq_npz *npz, const char *name);   /* or NULL */
/** Writes atomically (temporary file, then rename), members stored, fixed time stamps: same content, same bytes. */
TQ_API tq_status tq_npz_save(const char *path, int n, const char *const *names, const tq_tensor *tensors);

/** Reads the tensors of a PyTorch checkpoint (.pth, .pt, .ckpt of torch.save since 1.6): those of the dictionary `state_dict`,
 *  `model_state_dict` or `model` if there is one, else all, by dotted names. Nothing in it is ever run: what is needed for
 *  dictionaries of tensors is read, anything else refused by name (TQ_ERR_UNSUPPORTED). Reset with tq_npz_reset. */
TQ_API tq_status tq_torch_load(const char *path, tq_npz *out_arrays);

/* ---- datasets -------------------------------------------------------------------------------- */

typedef enum tq_partition { TQ_PARTITION_ALL, TQ_PARTITION_TRAIN, TQ_PARTITION_VALID, TQ_PARTITION_TEST } tq_partition;
/** "train", "training", "valid", "validation", "val", "test", "testing", any case; TQ_ERR_VALUE else. */
TQ_API tq_status tq_partition_parse(const char *text, tq_partition *out);

/** One data point as stored. Either an image, u8 [H, W, C], or arrays as they are. */
typedef struct tq_sample {
    int64_t label;             /* -1: none */
    bool is_image;
    tq_tensor data;            /* owned: reset with tq_tensor_reset */
} tq_sample;

typedef struct tq_dataset tq_dataset;

/** A kind of dataset: "tar", "imagefolder", "cifar10", ... `argument` is what follows the colon. A dataset that is not divided
 *  into partitions is the same for each; one that is and lacks the asked one fails with TQ_ERR_NOT_FOUND. */
typedef struct tq_dataset_driver {
    tq_entry entry;
    tq_status (*open)(const char *argument, tq_partition partition, tq_dataset *dataset);
    /** Reads sample i; may be called from several threads at once. */
    tq_status (*read)(const tq_dataset *dataset, int64_t i, tq_sample *out_sample);
    void (*close)(tq_dataset *dataset);
    /** All data points of a named array, [n, ...] (borrowed); NULL: the dataset has no named arrays. */
    tq_status (*array)(const tq_dataset *dataset, const char *name, const tq_tensor **out_array);
} tq_dataset_driver;

/** An open dataset. Drivers fill it in `open`. */
struct tq_dataset {
    const tq_dataset_driver *driver;
    tq_arena *arena;
    const char *spec;
    int64_t n;                 /* data points */
    int64_t n_classes;         /* 0: no labels */
    const char *const *class_names;   /* n_classes of them, NULL where no folder has that index; or NULL */
    void *state;
};

/** Opens "tar:FILE", "imagefolder:DIR", "cifar10:DIR", "cifar100:DIR", "idx:IMAGES,LABELS", "npz:FILE", "digits";
 *  a bare path is guessed (.tar, .npz, a folder). */
TQ_API tq_status tq_dataset_open(const tq_registry *registry, const char *spec, tq_partition partition,
                                 tq_dataset **out_dataset);
TQ_API void tq_dataset_close(tq_dataset *dataset);
TQ_API tq_status tq_dataset_read(const tq_dataset *dataset, int64_t i, tq_sample *out_sample);
/** As tq_dataset_open, but takes the whole dataset when it is divided and lacks that partition: for a partition that the
 *  user did not ask for by name. */
TQ_API tq_status tq_dataset_open_preferred(const tq_registry *registry, const char *spec, tq_partition partition,
                                           tq_dataset **out_dataset);
/** The array `name` of an npz dataset, [n, ...], borrowed: rows are data points, in the order of tq_batch.ids. Fails with
 *  TQ_ERR_NOT_FOUND if there is none and TQ_ERR_SHAPE if its first dim is not n. */
TQ_API tq_status tq_dataset_array(const tq_dataset *dataset, const char *name, const tq_tensor **out_array);

/* ---- preprocessing --------------------------------------------------------------------------- */

enum { TQ_PREPROCESS_MAX = 16 };

/** One transform with its parameters, e.g. { "Resize", { 256 } }. Kinds are listed under TQ_KIND_TRANSFORM:
 *    Resize(short side) or Resize(height, width)      CenterCrop(size) or (height, width)
 *    RandomCrop(size, ?padding)                       RandomResizedCrop(size, ?scale lo, hi, ?ratio lo, hi)
 *    RandomHorizontalFlip(?p)                         ColorJitter(brightness, ?contrast, ?saturation, ?hue)
 *    ToTensor(): u8 HWC to f32 CHW / 255              ToFloat(): u8 HWC to f32 CHW, 0..255; f32 stays
 *    Normalize(means, stds), one each a channel       Scale(a, ?b): x * a + b
 *    Integerise(scale, ?rounding 0 floor 1 round half up, ?lo, hi): codes; default floor, -128, 127 */
typedef struct tq_transform_spec {
    const char *name;
    int n_args;
    double args[8];
} tq_transform_spec;

/** A transform as code: changes the sample in place (its tensor may be replaced). `height`, `width` are the model's, 0 if unknown. */
typedef struct tq_transform {
    tq_entry entry;
    tq_status (*apply)(const double *args, int n_args, int64_t height, int64_t width, tq_random *random, tq_tensor *x);
} tq_transform;

/** Preprocessing: one list for training, one for everything else; and the integer grid of its end, if any. */
typedef struct tq_preset {
    tq_entry entry;            /* "imagenet", "cifar10", "vww", "efficientnet_lite", "digits", "raw" */
    int n_train, n_eval;
    tq_transform_spec train[TQ_PREPROCESS_MAX], eval[TQ_PREPROCESS_MAX];
    bool sized_by_model;       /* crops and Resize(height, width) take the height and width of the model's input, if known */
    double scale;              /* > 0: codes of Integerise have this scale; floats are scale * code */
} tq_preset;

typedef enum tq_shuffle { TQ_SHUFFLE_NONE, TQ_SHUFFLE_ONCE, TQ_SHUFFLE_EPOCH } tq_shuffle;

typedef struct tq_loader_options {
    const tq_preset *preset;       /* NULL: raw */
    bool training;                 /* the training list of the preset */
    int64_t batch;                 /* > 0 */
    bool drop_last;
    tq_shuffle shuffle;
    uint64_t seed;
    int64_t limit;                 /* > 0: only the first `limit` data points */
    int n_workers;                 /* decoding threads; batches are the same for any number */
    int64_t height, width;         /* of the model's input, 0: unknown */
    tq_type sample_type;           /* what one model input sample is, dims without batch (rank -1: whatever comes) */
    int n_ranks, rank, n_shards;   /* n_ranks > 1: only the rows of this rank (tq_rank_rows) are loaded; others hold anything, and
                                      label -1 */
    size_t cache_bytes;            /* keep decoded images up to this many bytes (0: do not) */
} tq_loader_options;

/** One batch: input f32 [n, C, H, W] (or [n, ...]), labels i64 [n] (-1: none), ids i64 [n]. Owned by the loader until
 *  the next call. */
typedef struct tq_batch {
    int64_t n;
    tq_tensor input;
    const int64_t *labels;
    const int64_t *ids;
} tq_batch;

typedef struct tq_loader tq_loader;
/** The dataset and preset are borrowed. */
TQ_API tq_status tq_loader_create(const tq_registry *registry, const tq_dataset *dataset,
                                  const tq_loader_options *options, tq_loader **out_loader);
TQ_API void tq_loader_destroy(tq_loader *loader);
TQ_API int64_t tq_loader_n_batches(const tq_loader *loader);   /* per epoch */
/** Starts epoch `epoch` at batch `first` (resume); workers begin to decode ahead. */
TQ_API tq_status tq_loader_start(tq_loader *loader, int64_t epoch, int64_t first);
/** The next batch; out_batch->n is 0 at the end of the epoch. A broken file names dataset, member and cause. */
TQ_API tq_status tq_loader_next(tq_loader *loader, tq_batch *out_batch);

/** Reads one image file (JPEG or PNG by content), u8 [H, W, 3]. */
TQ_API tq_status tq_image_load(const char *path, tq_tensor *out_image);
TQ_API tq_status tq_image_decode(const void *bytes, size_t size, const char *name, tq_tensor *out_image);
/** Applies a preset's eval (or train) list to one sample: f32 [C, H, W]. */
TQ_API tq_status tq_preset_apply(const tq_registry *registry, const tq_loader_options *options, const tq_sample *sample,
                                 tq_random *random, tq_tensor *out);

#ifdef __cplusplus
}
#endif
#endif
