#include "fixture.h"
#include "samples.h"

#define JPEG samples[0].bytes, samples[0].size

static const tq_preset *preset(const char *name)
{
    return (const tq_preset *)tq_registry_get(check_registry(), TQ_KIND_PRESET, name);
}

static tq_dataset *open_data(const char *spec)
{
    tq_dataset *data = NULL;
    CHECK_OK(tq_dataset_open(check_registry(), spec, TQ_PARTITION_ALL, &data));
    return data;
}

/** A checksum of all batches from `first` on. */
static uint32_t crc_of_epoch(const tq_dataset *data, const tq_loader_options *options,
                             int64_t epoch, int64_t first)
{
    tq_loader *loader;
    CHECK_OK(tq_loader_create(check_registry(), data, options, &loader));
    CHECK_OK(tq_loader_start(loader, epoch, first));
    uint32_t crc = 0;
    int64_t n = first;
    for (tq_batch batch;; n++) {
        CHECK_OK(tq_loader_next(loader, &batch));
        if (!batch.n)
            break;
        crc =
            tq_crc32(crc, batch.input.data, (size_t)tq_tensor_count(&batch.input) * sizeof(float));
        crc = tq_crc32(crc, batch.labels, (size_t)batch.n * sizeof *batch.labels);
        crc = tq_crc32(crc, batch.ids, (size_t)batch.n * sizeof *batch.ids);
    }
    CHECK_EQ(n, tq_loader_n_batches(loader));
    tq_loader_destroy(loader);
    return crc;
}

static tq_loader_options training(void)
{
    static tq_preset jitter = {
        .n_train = 4,
        .train = { { "RandomCrop", 2, { 8, 2 } },
                   { .name = "RandomHorizontalFlip" },
                   { "ColorJitter", 2, { 0.3, 0.3 } },
                   { .name = "ToTensor" } },
    };
    jitter.entry.name = "test";
    return (tq_loader_options){ .preset = &jitter,
                                .training = true,
                                .batch = 7,
                                .shuffle = TQ_SHUFFLE_EPOCH,
                                .seed = 3,
                                .limit = 100 };
}

TEST(batches_are_the_same_for_any_number_of_workers)
{
    tq_dataset *data = open_data("digits");
    tq_loader_options options = training();
    const uint32_t crc = crc_of_epoch(data, &options, 2, 0);
    for (int n = 1; n <= 8; n *= 2) {
        options.n_workers = n;
        CHECK_EQ(crc_of_epoch(data, &options, 2, 0), crc, "%d workers", n);
    }
    options.cache_bytes = 64 * 30; /* room for some */
    CHECK_EQ(crc_of_epoch(data, &options, 2, 0), crc, "with a cache");
    options.seed = 4;
    CHECK(crc_of_epoch(data, &options, 2, 0) != crc);
    options.seed = 3;
    CHECK(crc_of_epoch(data, &options, 3, 0) != crc);
    tq_dataset_close(data);
}

TEST(resuming_at_a_batch_gives_the_rest_of_the_epoch)
{
    tq_dataset *data = open_data("digits");
    tq_loader_options options = training();
    options.n_workers = 2;
    tq_loader *loader;
    CHECK_OK(tq_loader_create(check_registry(), data, &options, &loader));
    CHECK_OK(tq_loader_start(loader, 1, 0));
    tq_batch batch;
    for (int i = 0; i < 5; i++)
        CHECK_OK(tq_loader_next(loader, &batch));
    uint32_t crc = 0;
    for (;;) {
        CHECK_OK(tq_loader_next(loader, &batch));
        if (!batch.n)
            break;
        crc =
            tq_crc32(crc, batch.input.data, (size_t)tq_tensor_count(&batch.input) * sizeof(float));
        crc = tq_crc32(crc, batch.labels, (size_t)batch.n * sizeof *batch.labels);
        crc = tq_crc32(crc, batch.ids, (size_t)batch.n * sizeof *batch.ids);
    }
    CHECK_EQ(crc_of_epoch(data, &options, 1, 5), crc);
    CHECK_OK(tq_loader_start(loader, 1,
                             3)); /* a loader can be started again, in the middle of its work */
    CHECK_OK(tq_loader_start(loader, 0, 0));
    CHECK_OK(tq_loader_next(loader, &batch));
    CHECK_EQ(batch.n, 7);
    tq_loader_destroy(loader);
    tq_dataset_close(data);
}

/** The ids of an epoch, as many as there are. */
static int64_t ids_of_epoch(const tq_dataset *data, const tq_loader_options *options, int64_t epoch,
                            int64_t *ids)
{
    tq_loader *loader;
    CHECK_OK(tq_loader_create(check_registry(), data, options, &loader));
    CHECK_OK(tq_loader_start(loader, epoch, 0));
    int64_t n = 0;
    for (tq_batch batch;;) {
        CHECK_OK(tq_loader_next(loader, &batch));
        if (!batch.n)
            break;
        memcpy(ids + n, batch.ids, (size_t)batch.n * sizeof *ids);
        n += batch.n;
    }
    tq_loader_destroy(loader);
    return n;
}

/** Takes over the rows of rank `rank` from its batch; the others have no label. */
static void take_rows(const tq_batch *whole, const tq_loader_options *o, const tq_batch *batch)
{
    const size_t row = (size_t)tq_type_count_from(&whole->input.type, 1) * sizeof(float);
    int64_t begin, end;
    tq_rank_rows(batch->n, o->n_shards, o->n_ranks, o->rank, &begin, &end);
    CHECK_EQ(batch->n, whole->n);
    CHECK(tq_type_equal(&batch->input.type, &whole->input.type));
    CHECK(begin < end);
    CHECK(!memcmp((char *)batch->input.data + (size_t)begin * row,
                  (char *)whole->input.data + (size_t)begin * row, (size_t)(end - begin) * row));
    for (int64_t i = 0; i < batch->n; i++) {
        CHECK_EQ(batch->ids[i], whole->ids[i]);
        CHECK_EQ(batch->labels[i], i < begin || i >= end ? -1 : whole->labels[i]);
    }
}

/* The last batch is of 2: fewer than ranks, so each has them all. */
TEST(ranks_load_their_own_rows)
{
    tq_dataset *data = open_data("digits");
    for (int rank = 0; rank < 3; rank++) {
        tq_loader_options options = training();
        tq_loader *all, *own;
        CHECK_OK(tq_loader_create(check_registry(), data, &options, &all));
        options.n_ranks = 3;
        options.rank = rank;
        options.n_shards = 4;
        options.n_workers = rank;
        CHECK_OK(tq_loader_create(check_registry(), data, &options, &own));
        CHECK_OK(tq_loader_start(all, 1, 0));
        CHECK_OK(tq_loader_start(own, 1, 0));
        for (tq_batch whole, batch;;) {
            CHECK_OK(tq_loader_next(all, &whole));
            CHECK_OK(tq_loader_next(own, &batch));
            if (!whole.n)
                break;
            take_rows(&whole, &options, &batch);
        }
        tq_loader_destroy(all);
        tq_loader_destroy(own);
    }
    tq_dataset_close(data);
}

TEST(shuffling_is_a_permutation_once_or_anew_each_epoch)
{
    tq_dataset *data = open_data("digits");
    static int64_t a[2000], b[2000];
    for (int shuffle = TQ_SHUFFLE_NONE; shuffle <= TQ_SHUFFLE_EPOCH; shuffle++) {
        const tq_loader_options options = {
            .batch = 64, .shuffle = (tq_shuffle)shuffle, .seed = 1, .n_workers = 1
        };
        CHECK_EQ(ids_of_epoch(data, &options, 0, a), 1797);
        CHECK_EQ(ids_of_epoch(data, &options, 1, b), 1797);
        CHECK_EQ(memcmp(a, b, sizeof a) == 0, shuffle != TQ_SHUFFLE_EPOCH);
        CHECK_EQ(a[0] == 0 && a[1] == 1 && a[2] == 2, shuffle == TQ_SHUFFLE_NONE);
        int64_t sum = 0;
        for (int i = 0; i < 1797; i++)
            sum += a[i];
        CHECK_EQ(sum, 1797 * 1796 / 2);
    }
    tq_dataset_close(data);
}

TEST(limit_and_drop_last_cut_the_epoch)
{
    tq_dataset *data = open_data("digits");
    static int64_t ids[2000];
    tq_loader_options options = { .batch = 32, .limit = 100 };
    CHECK_EQ(ids_of_epoch(data, &options, 0, ids), 100);
    options.drop_last = true;
    CHECK_EQ(ids_of_epoch(data, &options, 0, ids), 96);
    options.shuffle = TQ_SHUFFLE_EPOCH;
    CHECK_EQ(ids_of_epoch(data, &options, 0, ids), 96);
    for (int i = 0; i < 96; i++)
        CHECK(ids[i] < 100);
    options.batch = 101;
    tq_loader *loader;
    CHECK_FAILS(tq_loader_create(check_registry(), data, &options, &loader), TQ_ERR_VALUE,
                "100 data points, fewer than one batch of 101");
    options.batch = 0;
    CHECK_FAILS(tq_loader_create(check_registry(), data, &options, &loader), TQ_ERR_VALUE,
                "batch size is 0");
    options = (tq_loader_options){ .batch = INT64_MAX / 4 };
    CHECK_EQ(ids_of_epoch(data, &options, 0, ids), 1797);
    tq_dataset_close(data);
}

TEST(the_digits_preset_gives_sixteenths)
{
    tq_dataset *data = open_data("digits");
    const tq_loader_options options = { .batch = 1797, .preset = preset("digits") };
    tq_loader *loader;
    CHECK_OK(tq_loader_create(check_registry(), data, &options, &loader));
    CHECK_OK(tq_loader_start(loader, 0, 0));
    tq_batch batch;
    CHECK_OK(tq_loader_next(loader, &batch));
    CHECK_STR(tq_type_text(&batch.input.type).s, "f32[1797,1,8,8]");
    double sum = 0;
    for (int64_t i = 0; i < tq_tensor_count(&batch.input); i++)
        sum += ((float *)batch.input.data)[i];
    CHECK_NEAR(sum * 16, 561718, 0);
    tq_loader_destroy(loader);
    tq_dataset_close(data);
}

/** Ten images, the fifth broken. */
static tq_dataset *broken_data(void)
{
    static fixture_tar tar;
    tar = (fixture_tar){ 0 };
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "cat/%d.jpg", i);
        fixture_add(&tar, '0', name, samples[0].bytes, i == 5 || i == 4 ? 200 : samples[0].size);
    }
    fixture_tar_write(&tar, "broken.tar");
    return open_data(fixture_spec("tar", "broken.tar"));
}

TEST(an_error_comes_with_its_batch_and_only_there)
{
    tq_dataset *data = broken_data();
    for (int n_workers = 0; n_workers <= 4; n_workers += 2) {
        const tq_loader_options options = { .batch = 3, .n_workers = n_workers };
        tq_loader *loader;
        tq_batch batch;
        CHECK_OK(tq_loader_create(check_registry(), data, &options, &loader));
        CHECK_FAILS(tq_loader_next(loader, &batch), TQ_ERR_STATE, "not started");
        CHECK_OK(tq_loader_start(loader, 0, 0));
        CHECK_OK(tq_loader_next(loader, &batch));
        CHECK_FAILS(tq_loader_next(loader, &batch), TQ_ERR_FORMAT,
                    "broken.tar', member 'cat/4.jpg': broken JPEG file");
        CHECK_EQ(batch.n, 0);
        CHECK_OK(tq_loader_next(loader, &batch));
        CHECK_EQ(batch.ids[0], 6);
        tq_loader_destroy(loader);
    }
    tq_dataset_close(data);
}

TEST(a_loader_can_be_destroyed_at_any_moment)
{
    tq_dataset *data = broken_data();
    for (int i = 0; i < 20; i++) {
        const tq_loader_options options = { .batch = 2, .n_workers = 3 };
        tq_loader *loader;
        tq_batch batch;
        CHECK_OK(tq_loader_create(check_registry(), data, &options, &loader));
        if (i % 4)
            CHECK_OK(tq_loader_start(loader, 0, i % 5));
        if (i % 4 > 1)
            tq_status_drop(tq_loader_next(loader, &batch));
        tq_loader_destroy(loader);
    }
    tq_dataset_close(data);
}

TEST(shapes_that_differ_are_named)
{
    static fixture_tar tar;
    tar = (fixture_tar){ 0 };
    fixture_add(&tar, '0', "a/1.jpg", JPEG);
    fixture_add(&tar, '0', "a/2.png", samples[5].bytes, samples[5].size);
    fixture_tar_write(&tar, "mixed.tar");
    tq_dataset *data = open_data(fixture_spec("tar", "mixed.tar"));
    tq_loader_options options = { .batch = 2, .n_workers = 2 };
    tq_loader *loader;
    tq_batch batch;
    CHECK_OK(tq_loader_create(check_registry(), data, &options, &loader));
    CHECK_OK(tq_loader_start(loader, 0, 0));
    CHECK_FAILS(tq_loader_next(loader, &batch), TQ_ERR_SHAPE,
                "is f32[3,6,5], data point 0 is f32[3,18,27]");
    tq_loader_destroy(loader);
    options.sample_type = tq_type_make(TQ_F32, 3, (int64_t[]){ 3, 32, 32 });
    CHECK_OK(tq_loader_create(check_registry(), data, &options, &loader));
    CHECK_OK(tq_loader_start(loader, 0, 0));
    CHECK_FAILS(tq_loader_next(loader, &batch), TQ_ERR_SHAPE,
                "it is f32[3,18,27] after preset 'raw', the model takes f32[3,32,32]");
    tq_loader_destroy(loader);
    tq_dataset_close(data);
}

TEST(an_unknown_transform_is_named)
{
    tq_dataset *data = open_data("digits");
    const tq_preset bad = { .entry = { .name = "bad" },
                            .n_eval = 1,
                            .eval = { { .name = "Rezise" } } };
    const tq_loader_options options = { .batch = 2, .preset = &bad };
    tq_loader *loader;
    CHECK_FAILS(tq_loader_create(check_registry(), data, &options, &loader), TQ_ERR_NOT_FOUND,
                "'Rezise'");
    tq_dataset_close(data);
}
