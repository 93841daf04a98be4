/* Shared inside the data room: files, .npy arrays, image formats, indexes of image files, crops. */
#ifndef TRUQ_DATA_INTERNAL_H
#define TRUQ_DATA_INTERNAL_H

#include "base/base.h"
#include <truq/data.h>

#include <stdio.h>

/* ---- files ----------------------------------------------------------------------------------- */

/** Reads exactly `size` bytes at `offset` of an open file; says "it ends early" if they are not
 * there. */
tq_status tq_file_read_at(int fd, int64_t offset, void *bytes, size_t size);
/** Opens for reading; *out_size is the size of the file, TQ_ERR_IO if it is none (a folder, say).
 */
tq_status tq_data_open(const char *path, int *out_fd, int64_t *out_size);
/** The whole file, with a 0 behind it; caller frees. */
tq_status tq_file_load(const char *path, void **out_bytes, size_t *out_size);
bool tq_path_is_folder(const char *path);
/** "FOLDER/name" in the arena. */
const char *tq_path_join(tq_arena *arena, const char *folder, const char *name);
/** The folder of a path, "." if it names none. */
const char *tq_path_folder(tq_arena *arena, const char *path);
/** Does the path end so, in any case? */
bool tq_path_has_suffix(const char *path, const char *suffix);

/* ---- .npy ------------------------------------------------------------------------------------ */

/** Where bytes come from: reads exactly n or fails; `left` says how many there are. */
typedef struct tq_npy_source {
    tq_status (*read)(void *context, void *bytes, size_t n);
    void *context;
    uint64_t left;
} tq_npy_source;

/** Reads header and elements; the elements must be all that is left. */
tq_status tq_npy_read(tq_npy_source *source, tq_tensor *out_tensor);

enum { TQ_NPY_HEADER_MAX = 512 };
/** Writes the header of version 1.0; returns its length, a multiple of 64. TQ_ERR_UNSUPPORTED:
 * numpy has no such dtype. */
tq_status tq_npy_header(const tq_type *type, char *out_header, size_t *out_length);

/* ---- images ---------------------------------------------------------------------------------- */

/** Largest image that is read or made: 2^27 pixels, sides up to 65,535. */
enum { TQ_IMAGE_MAX_PIXELS = 1 << 27, TQ_IMAGE_MAX_SIDE = 65535 };
/** TQ_ERR_FORMAT unless 1 <= height, width and both limits hold. */
tq_status tq_image_check_size(int64_t height, int64_t width);
tq_status tq_image_init(tq_tensor *image, int64_t height, int64_t width, int64_t n_channels);
tq_status tq_jpeg_decode(const void *bytes, size_t size, tq_tensor *out_image);
tq_status tq_png_decode(const void *bytes, size_t size, tq_tensor *out_image);

/** Fails unless x is an image, u8 [H, W, C]. */
tq_status tq_image_require(const tq_tensor *x, const char *transform);
/** Replaces the image by the window at (top, left), which may reach outside: there it is 0. */
tq_status tq_image_crop(tq_tensor *x, int64_t top, int64_t left, int64_t height, int64_t width);
/** Replaces the image by its resampling to height x width: Pillow's BILINEAR, bit for bit. */
tq_status tq_image_resize(tq_tensor *x, int64_t height, int64_t width);

/** Replaces u8 [H, W, C] by f32 [C, H, W], x / divisor. */
tq_status tq_image_to_f32(tq_tensor *x, float divisor);
/** Fails unless x is f32, which a transform may change in place; images are never changed in place.
 */
tq_status tq_require_f32(const tq_tensor *x, const char *transform);

/* ---- indexes of image files ------------------------------------------------------------------ */

/** One image file of a tar (`file` says which shard) or folder. */
typedef struct tq_member {
    const char *path; /* inside the archive or folder, without "./" */
    int file;
    int64_t offset, size, label;
} tq_member;

typedef struct tq_members {
    tq_member *items;
    int64_t n;
    size_t capacity;
} tq_members;

/** Is it an image by its name (jpg, jpeg, png), and not hidden? */
bool tq_member_is_image(const char *path);
/** TQ_PARTITION_ALL if the n bytes at `word` name none. */
tq_partition tq_partition_of_word(const char *word, size_t n);
const char *tq_partition_name(tq_partition partition);
/** The partition to take of a divided dataset: the asked one, validation and test standing in for
 * each other. */
tq_status tq_partition_choose(tq_partition asked, const bool *has, tq_partition *out_partition);
/** Labels the members, keeps those of the partition, and fills in n, n_classes and class_names.
 * `classes_csv`: a file that may give the class indices, or NULL. */
tq_status tq_members_finish(tq_members *members, tq_partition partition, const char *classes_csv,
                            tq_dataset *dataset);

/** folder -> index, name of a classes.csv. */
typedef struct tq_class_row {
    const char *folder, *name;
    int64_t index;
} tq_class_row;
/** Rows sorted by folder (byte order). */
tq_status tq_classes_csv_load(const char *path, tq_arena *arena, tq_class_row **out_rows,
                              int64_t *out_n);

/** Appends the image files of a tar archive to the index. */
tq_status tq_tar_index(const char *path, int file, tq_arena *arena, tq_members *members);

/** "beside/classes.csv" if there is one in that folder, else NULL. */
const char *tq_classes_csv_in(tq_arena *arena, const char *folder);

/** What the two CIFAR sets differ in. */
typedef struct tq_cifar_format {
    const char *folder; /* of the archive as it is published */
    const char *names;  /* the file with the names of the classes */
    int n_label_bytes;  /* the label is the last of them */
    int n_classes;
    int n_train, n_test; /* files */
    const char *train[5], *test[1];
} tq_cifar_format;
tq_status tq_cifar_open(const tq_cifar_format *format, const char *folder, tq_partition partition,
                        tq_dataset *dataset);
tq_status tq_cifar_read(const tq_dataset *dataset, int64_t i, tq_sample *out_sample);
void tq_cifar_close(tq_dataset *dataset);

/* ---- loader ---------------------------------------------------------------------------------- */

extern const tq_preset tq_preset_raw;

/** A preset with its transforms looked up. */
typedef struct tq_pipeline {
    const tq_preset *preset;
    int n;
    const tq_transform_spec *specs;
    const tq_transform *transforms[TQ_PREPROCESS_MAX];
    int64_t height, width;
} tq_pipeline;

tq_status tq_pipeline_init(const tq_registry *registry, const tq_loader_options *options,
                           tq_pipeline *out_pipeline);
tq_status tq_pipeline_apply(const tq_pipeline *pipeline, const tq_sample *sample, tq_random *random,
                            tq_tensor *out);

/** Decoded samples by index, up to a number of bytes; full, it keeps what it has. Safe for several
 * threads. */
typedef struct tq_sample_cache tq_sample_cache;
tq_status tq_sample_cache_create(int64_t n, size_t budget, tq_sample_cache **out_cache);
void tq_sample_cache_destroy(tq_sample_cache *cache);
/** Sample i from the cache, or read (and kept, if there is room); `cache` may be NULL. Caller
 * resets out_sample->data. */
tq_status tq_sample_cache_read(tq_sample_cache *cache, const tq_dataset *dataset, int64_t i,
                               tq_sample *out_sample);

#endif
