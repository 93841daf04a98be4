/* Sums, gathers and broadcasts between ranks. Run by itself it is one rank; mpirun_test.sh starts 1 to
 * 4 of it, and then every rank runs every sentence. */
#include "check.h"
#include "dist/dist_internal.h"

static tq_ranks *ranks;

static void leave(void)
{
    tq_ranks_leave(ranks);
}

/** Joined once, since MPI starts only once. */
static tq_ranks *everyone(void)
{
    if (!ranks) {
        CHECK_OK(tq_ranks_join(&ranks));
        atexit(leave);
    }
    return ranks;
}

/** Value k of a shard: of all magnitudes, so that the order of additions shows. */
static float value(int64_t shard, int64_t k)
{
    static const float scales[] = { 1, 1e-3f, 1e4f, 0.1f };
    const uint64_t h = ((uint64_t)k * 64 + (uint64_t)shard + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (float)(int32_t)(h >> 32) * scales[h >> 30 & 3];
}

enum { SLAB = 1024 }; /* values at a time, of all shards */

/** Sums of values first .. first + n - 1 of a run of shards, by tq_tree_sum. */
static void sum_slab_f32(int64_t begin, int64_t end, int64_t first, int64_t n, float *out)
{
    static float parts[16 * SLAB];
    for (int64_t shard = begin; shard < end; shard++)
        for (int64_t k = 0; k < n; k++)
            parts[(shard - begin) * SLAB + k] = value(shard, first + k);
    tq_tree_sum(parts, end - begin, n, SLAB);
    memcpy(out, parts, (size_t)n * sizeof *out);
}

static void sum_slab_f64(int64_t begin, int64_t end, int64_t first, int64_t n, double *out)
{
    static double parts[16 * SLAB];
    for (int64_t shard = begin; shard < end; shard++)
        for (int64_t k = 0; k < n; k++)
            parts[(shard - begin) * SLAB + k] = (double)value(shard, first + k) / 3;
    tq_tree_sum_f64(parts, end - begin, n, SLAB);
    memcpy(out, parts, (size_t)n * sizeof *out);
}

/** What this rank brings to a sum of n values over n_shards shards. */
static void bring(int64_t n_shards, int64_t n, float *f32, double *f64)
{
    int64_t begin, end;
    tq_tree_share(n_shards, tq_ranks_count(ranks), tq_ranks_index(ranks), &begin, &end);
    for (int64_t first = 0; first < n; first += SLAB) {
        const int64_t n_here = n - first < SLAB ? n - first : SLAB;
        if (f32)
            sum_slab_f32(begin, end, first, n_here, f32 + first);
        if (f64)
            sum_slab_f64(begin, end, first, n_here, f64 + first);
    }
}

/** The bits of tq_tree_sum over all shards. */
static void check_bits(int64_t n_shards, int64_t n, const float *f32, const double *f64)
{
    float expected_f32[SLAB];
    double expected_f64[SLAB];
    for (int64_t first = 0; first < n; first += SLAB) {
        const int64_t n_here = n - first < SLAB ? n - first : SLAB;
        sum_slab_f32(0, n_shards, first, n_here, expected_f32);
        sum_slab_f64(0, n_shards, first, n_here, expected_f64);
        if (f32)
            CHECK_EQ(memcmp(f32 + first, expected_f32, (size_t)n_here * sizeof *f32), 0, "f32, %d shards, n = %d",
                     (int)n_shards, (int)n);
        if (f64)
            CHECK_EQ(memcmp(f64 + first, expected_f64, (size_t)n_here * sizeof *f64), 0, "f64, %d shards, n = %d",
                     (int)n_shards, (int)n);
    }
}

static const int64_t shard_counts[] = { 4, 6, 16 };
enum { LARGE = 1 << 20 };
static float f32[LARGE];
static double f64[LARGE];

TEST(sums_have_the_bits_of_one_rank)
{
    const int64_t counts[] = { 0, 1, 7, 4096, LARGE };
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < 5; i++) {
            CHECK_OK(tq_ranks_set_shards(everyone(), shard_counts[s]));
            bring(shard_counts[s], counts[i], f32, f64);
            CHECK_OK(tq_ranks_sum_f32(ranks, f32, counts[i]));
            CHECK_OK(tq_ranks_sum_f64(ranks, f64, counts[i]));
            check_bits(shard_counts[s], counts[i], f32, f64);
        }
}

enum { N_FLIGHTS = 5 };

/** Five sums in flight with others in between, finished in another order. */
static void fly(int64_t n_shards)
{
    static const int64_t counts[N_FLIGHTS] = { 300000, 7, 0, 100001, 4096 };
    static const int order[N_FLIGHTS] = { 3, 0, 4, 2, 1 };
    tq_ranks_work *work[N_FLIGHTS];
    float *data[N_FLIGHTS], *next = f32;
    CHECK_OK(tq_ranks_set_shards(everyone(), n_shards));
    for (int i = 0; i < N_FLIGHTS; next += counts[i++]) {
        data[i] = next;
        bring(n_shards, counts[i], data[i], NULL);
        CHECK_OK(tq_ranks_begin_sum_f32(ranks, data[i], counts[i], &work[i]));
        bring(n_shards, 1000 + i, NULL, f64);
        CHECK_OK(tq_ranks_sum_f64(ranks, f64, 1000 + i));
        check_bits(n_shards, 1000 + i, NULL, f64);
        CHECK_OK(tq_ranks_progress(ranks));
    }
    for (int i = 0; i < N_FLIGHTS; i++) {
        CHECK_OK(tq_ranks_finish(work[order[i]]));
        check_bits(n_shards, counts[order[i]], data[order[i]], NULL);
        bring(n_shards, 10000, NULL, f64);
        CHECK_OK(tq_ranks_sum_f64(ranks, f64, 10000));
        check_bits(n_shards, 10000, NULL, f64);
    }
}

TEST(sums_in_flight_do_not_hold_up_each_other)
{
    for (int s = 0; s < 3; s++)
        fly(shard_counts[s]);
}

TEST(progress_alone_brings_a_sum_home)
{
    tq_ranks_work *work;
    CHECK_OK(tq_ranks_set_shards(everyone(), 16));
    bring(16, LARGE, f32, NULL);
    CHECK_OK(tq_ranks_begin_sum_f32(ranks, f32, LARGE, &work));
    while (!tq_ranks_work_is_done(work))
        CHECK_OK(tq_ranks_progress(ranks));
    check_bits(16, LARGE, f32, NULL);
    CHECK_OK(tq_ranks_finish(work));
}

TEST(few_tags_and_small_messages_change_nothing)
{
    tq_wire *wire = &everyone()->wire;
    const tq_wire before = *wire;
    wire->n_tags = tq_sum_n_parts(300000 * sizeof(float), tq_ranks_count(ranks)) + 1;
    wire->message_size = 10000;
    fly(16);
    wire->n_tags = before.n_tags;
    wire->message_size = before.message_size;
}

TEST(a_gather_brings_uneven_rows_to_all)
{
    enum { ROW = 3 };
    const int n_ranks = tq_ranks_count(everyone()), rank = tq_ranks_index(ranks);
    for (int64_t scale = 1; scale <= 10000; scale *= 100) {
        int64_t begins[65] = { 0 };
        for (int i = 0; i < n_ranks; i++)
            begins[i + 1] = begins[i] + (i + 2) * 5 % 4 * scale; /* 2, 3, 0, 1 rows */
        memset(f32, 0, sizeof f32);
        for (int64_t k = begins[rank] * ROW; k < begins[rank + 1] * ROW; k++)
            f32[k] = (float)(k + 1);
        CHECK_OK(tq_ranks_gather_rows(ranks, f32, ROW * sizeof *f32, begins));
        for (int64_t k = 0; k < begins[n_ranks] * ROW; k++)
            CHECK_EQ(f32[k], k + 1, "value %d", (int)k);
        CHECK_EQ(f32[begins[n_ranks] * ROW], 0);
    }
}

TEST(a_broadcast_brings_the_bytes_of_rank_0)
{
    const int rank = tq_ranks_index(everyone());
    const size_t sizes[] = { 0, 1, 1000, sizeof f64 - 3 };
    for (int i = 0; i < 4; i++) {
        memset(f64, rank == 0 ? 100 + i : 7, sizeof f64);
        CHECK_OK(tq_ranks_broadcast(ranks, f64, sizes[i]));
        for (size_t k = 0; k < sizeof f64; k++)
            CHECK_EQ(((char *)f64)[k], k < sizes[i] || rank == 0 ? 100 + i : 7, "byte %zu of %zu", k, sizes[i]);
    }
}

TEST(ranks_that_hold_the_same_agree)
{
    CHECK_OK(tq_ranks_agree(everyone(), "recipe", "bits: 8", 7));
    CHECK_OK(tq_ranks_agree(ranks, "recipe", NULL, 0));
}

TEST(the_first_rank_that_differs_is_named_on_all)
{
    const bool is_last = tq_ranks_index(everyone()) == tq_ranks_count(ranks) - 1;
    const int n_others = tq_ranks_count(ranks) - 1;
    char expected[64];
    snprintf(expected, sizeof expected, "rank %d has another recipe than rank 0", n_others);
    for (int longer = 0; longer < 2 && n_others > 0; longer++) {
        const char *text = !is_last ? "bits: 8, 8, 8" : longer ? "bits: 8, 8, 8\0" : "bits: 8, 8, 9";
        CHECK_FAILS(tq_ranks_agree(ranks, "recipe", text, longer && is_last ? 14 : 13), TQ_ERR_STATE, expected);
    }
    CHECK_OK(tq_ranks_agree(ranks, "recipe", "bits: 8", 7)); /* all go on together */
}

TEST(all_ranks_get_the_same_measurement)
{
    tq_ranks_link link;
    CHECK_OK(tq_ranks_measure(everyone(), &link));
    CHECK_OK(tq_ranks_agree(ranks, "measurement", &link, sizeof link));
    const bool is_alone = tq_ranks_count(ranks) == 1;
    CHECK(link.beta_s_per_byte >= 0); /* how fast others let it be is nothing to test */
    CHECK((link.alpha_s + 4e6 * link.beta_s_per_byte > 0) == !is_alone);
}
