/* A small data set and networks on it, for the tests of this folder. */
#ifndef TRUQ_TESTS_TRAIN_FIXTURE_H
#define TRUQ_TESTS_TRAIN_FIXTURE_H

#include "check.h"
#include "train/train_internal.h"

#include <truq/onnx.h>
#include <unistd.h>

/** n points [1, 4, 4] in 3 classes that a small network can tell apart, as an npz dataset with
 * arrays inputs, labels and twice (2 * inputs). */
static inline tq_dataset *open_points(int64_t n)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/points%d.npz", check_folder(), (int)n);
    if (access(path, R_OK) != 0) {
        tq_tensor arrays[3];
        arrays[0] = check_random_f32(4, (int64_t[]){ n, 1, 4, 4 }, 11, -1.0f, 1.0f);
        const tq_type type = tq_type_make(TQ_I64, 1, &n);
        CHECK_OK(tq_tensor_init(&arrays[1], &type));
        for (int64_t i = 0; i < n; i++) {
            float *x = (float *)arrays[0].data + i * 16;
            ((int64_t *)arrays[1].data)[i] = i % 3;
            for (int k = 0; k < 5; k++)
                x[(i % 3) * 5 + k] += 1.0f;
        }
        CHECK_OK(tq_tensor_copy(&arrays[0], &arrays[2]));
        for (int64_t i = 0; i < tq_tensor_count(&arrays[2]); i++)
            ((float *)arrays[2].data)[i] *= 2.0f;
        CHECK_OK(
            tq_npz_save(path, 3, (const char *const[]){ "inputs", "labels", "twice" }, arrays));
        for (int i = 0; i < 3; i++)
            tq_tensor_reset(&arrays[i]);
    }
    char spec[300];
    snprintf(spec, sizeof spec, "npz:%s", path);
    tq_dataset *dataset;
    CHECK_OK(tq_dataset_open(check_registry(), spec, TQ_PARTITION_ALL, &dataset));
    return dataset;
}

/** Convolution, batch norm, dropout-free classifier. */
#define CLASSIFIER                                                                                 \
    "input x: f32[?,1,4,4] const w: f32[4,1,3,3] = random(1) const s: f32[4] = 1.0 "               \
    "const b: f32[4] = 0.0 const m: f32[4] = 0.0 const v: f32[4] = 1.0 "                           \
    "const f: f32[3,64] = random(2) const g: f32[3] = 0.0 "                                        \
    "c = Conv(x,w)[pads=[1,1,1,1]] n = BatchNormalization(c,s,b,m,v) r = Relu(n) "                 \
    "t = Flatten(r) logits = Gemm(t,f,g)[transB=1]"

static inline tq_train_options training(const tq_dataset *data, const char *folder)
{
    return (tq_train_options){
        .registry = check_registry(),
        .train = data,
        .optimizer = "sgd",
        .params = { .lr = 0.02, .momentum = 0.9 },
        .epochs = 3,
        .batch = 8,
        .seed = 5,
        .n_threads = 1,
        .run_folder = folder,
    };
}

/** Data of the constant `name`. */
static inline float *constant(const tq_graph *graph, const char *name)
{
    tq_value *value = tq_graph_find_value(graph, name);
    CHECK(value && tq_value_is_const(value));
    return tq_value_tensor(value)->data;
}

/** The bytes of FOLDER/checkpoint; free(). */
static inline void *checkpoint_bytes(const char *folder, size_t *out_size)
{
    char path[400];
    snprintf(path, sizeof path, "%s/checkpoint", folder);
    void *bytes;
    CHECK_OK(tq_file_read(path, &bytes, out_size));
    return bytes;
}

static inline const char *new_folder(void)
{
    static char path[8][300];
    static int n;
    snprintf(path[n % 8], sizeof path[0], "%s/run%d", check_folder(), n);
    return path[n++ % 8];
}

#endif
