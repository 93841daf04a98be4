/* Batches, decoded ahead by worker threads into a ring of slots.
 *
 *   order[epoch] = shuffle of 0 .. n-1, keyed by (seed, epoch)
 *   sample i     = transforms of data point i, random numbers keyed by (seed, epoch, i)
 *
 * so that a batch depends on nothing but options, epoch and its number. Workers take samples one by
 * one, in order, and copy each to its row of the batch. An error stays with its batch: the one of
 * the lowest sample, however many there are. Without workers the caller does all that when it asks.
 */
#include "data_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { N_SLOTS = 3, MOST_WORKERS = 256 };
/** Streams of random numbers that are not those of a sample: their index is none. */
static const uint64_t ORDER_KEY = UINT64_MAX;

/** One batch on its way: slot b % N_SLOTS holds batch b. */
typedef struct slot {
    int64_t n, begin, end; /* rows, and those to load */
    int64_t n_done;
    bool is_ready, has_input;
    tq_type *types;        /* [batch]: of the samples */
    int64_t *labels, *ids; /* [batch] */
    tq_tensor input;
    tq_status status;
    int64_t failed_at; /* the sample it is of */
} slot;

struct tq_loader {
    const tq_dataset *dataset;
    tq_loader_options options;
    tq_pipeline pipeline;
    tq_sample_cache *cache;
    int64_t n, n_batches, epoch;
    int64_t *order; /* [n] */
    slot slots[N_SLOTS];
    /* Below: under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    bool is_running, quit;
    int64_t job_batch, job_at; /* the next sample to hand out, among those to load */
    int64_t first_held;        /* the oldest batch whose slot is in use */
    int64_t next;              /* the batch that tq_loader_next gives */
    int n_busy, n_threads;
    pthread_t threads[MOST_WORKERS];
};

/* ---- one sample, one batch ------------------------------------------------------------------- */

static int64_t batch_size(const tq_loader *loader, int64_t batch)
{
    const int64_t left = loader->n - batch * loader->options.batch;
    return left < loader->options.batch ? left : loader->options.batch;
}

static bool fits(const tq_type *type, const tq_type *wanted)
{
    if (wanted->dtype == TQ_NONE || wanted->rank < 0)
        return true;
    if (type->rank != wanted->rank)
        return false;
    for (int d = 0; d < type->rank; d++)
        if (wanted->dims[d] != TQ_DIM_ANY && wanted->dims[d] != type->dims[d])
            return false;
    return true;
}

static tq_status prepare_sample(tq_loader *loader, int64_t id, tq_tensor *out_x, int64_t *out_label)
{
    tq_sample sample = { 0 };
    tq_random random;
    TQ_TRY(tq_sample_cache_read(loader->cache, loader->dataset, id, &sample));
    tq_random_init(&random, loader->options.seed, (uint64_t)loader->epoch, (uint64_t)id);
    tq_status status = tq_pipeline_apply(&loader->pipeline, &sample, &random, out_x);
    tq_tensor_reset(&sample.data);
    if (!status && !fits(&out_x->type, &loader->options.sample_type)) {
        tq_type wanted = loader->options.sample_type;
        wanted.dtype = TQ_F32;
        status = tq_fail(TQ_ERR_SHAPE, "it is %s after preset '%s', the model takes %s",
                         tq_type_text(&out_x->type).s, loader->pipeline.preset->entry.name,
                         tq_type_text(&wanted).s);
        tq_tensor_reset(out_x);
    }
    *out_label = sample.label;
    return tq_wrap(status, "data point %lld of '%s'", (long long)id, loader->dataset->spec);
}

/** The batch's tensor for samples of this type: the first sample that is done decides. */
static tq_status init_input(const tq_loader *loader, slot *s, const tq_type *sample)
{
    tq_type type = *sample;
    if (type.rank == TQ_MAX_RANK)
        return tq_fail(TQ_ERR_SHAPE, "data points of '%s' have %d dims, at most %d",
                       loader->dataset->spec, type.rank, (int)TQ_MAX_RANK - 1);
    memmove(type.dims + 1, type.dims, (size_t)type.rank * sizeof *type.dims);
    type.rank++;
    type.dims[0] = s->n;
    s->has_input = true;
    if (s->input.buffer && tq_type_equal(&s->input.type, &type))
        return TQ_OK;
    tq_tensor_reset(&s->input);
    return tq_tensor_init(&s->input, &type);
}

/** Copies a sample to its row, if it has the shape of a row: check_types tells if it has not. */
static void copy_to_row(slot *s, int64_t at, const tq_tensor *x)
{
    const size_t size = (size_t)tq_tensor_count(x) * tq_dtype_size(x->type.dtype);
    const tq_type row =
        tq_type_make(s->input.type.dtype, s->input.type.rank - 1, s->input.type.dims + 1);
    if (tq_type_equal(&row, &x->type))
        memcpy((char *)s->input.data + (size_t)at * size, x->data, size);
}

static tq_status check_types(const tq_loader *loader, const slot *s)
{
    for (int64_t i = s->begin + 1; i < s->end; i++)
        if (!tq_type_equal(&s->types[i], &s->types[s->begin]))
            return tq_fail(
                TQ_ERR_SHAPE,
                "data point %lld of '%s' is %s, data point %lld is %s: a batch needs one "
                "shape; use a preset that resizes or crops",
                (long long)s->ids[i], loader->dataset->spec, tq_type_text(&s->types[i]).s,
                (long long)s->ids[s->begin], tq_type_text(&s->types[s->begin]).s);
    return TQ_OK;
}

/** Empties a slot; the memory of its input is kept. */
static void clear(slot *s)
{
    tq_status_drop(s->status);
    s->status = TQ_OK;
    s->is_ready = s->has_input = false;
    s->n = s->n_done = 0;
}

/** Makes the slot of a batch ready for samples. */
static void open_batch(const tq_loader *loader, int64_t batch, slot *s)
{
    const tq_loader_options *o = &loader->options;
    clear(s);
    s->n = batch_size(loader, batch);
    s->begin = 0;
    s->end = s->n;
    if (o->n_ranks > 1)
        tq_rank_rows(s->n, o->n_shards, o->n_ranks, o->rank, &s->begin, &s->end);
    for (int64_t i = 0; i < s->n; i++) {
        s->ids[i] = loader->order[batch * o->batch + i];
        s->labels[i] = -1;
    }
}

/* ---- the order of work (under the lock) ------------------------------------------------------ */

static bool has_job(const tq_loader *loader)
{
    return loader->is_running && loader->job_batch < loader->n_batches &&
           loader->job_batch < loader->first_held + N_SLOTS;
}

/** Takes the next sample off the list. */
static slot *take_job(tq_loader *loader, int64_t *out_at)
{
    slot *s = &loader->slots[loader->job_batch % N_SLOTS];
    if (loader->job_at == 0)
        open_batch(loader, loader->job_batch, s);
    *out_at = s->begin + loader->job_at++;
    if (*out_at == s->end - 1) {
        loader->job_at = 0;
        loader->job_batch++;
    }
    return s;
}

/** Keeps the error of the lowest sample. */
static void fail(slot *s, int64_t at, tq_status status)
{
    if (s->status && s->failed_at < at) {
        tq_status_drop(status);
        return;
    }
    tq_status_drop(s->status);
    s->status = status;
    s->failed_at = at;
}

/** Does the next job; the lock is held before and after, not while it works. */
static void do_job(tq_loader *loader)
{
    int64_t at;
    slot *s = take_job(loader, &at);
    tq_tensor x = { 0 };
    loader->n_busy++;
    pthread_mutex_unlock(&loader->lock);
    tq_status status = prepare_sample(loader, s->ids[at], &x, &s->labels[at]);
    pthread_mutex_lock(&loader->lock);
    if (!status && !s->has_input)
        status = init_input(loader, s, &x.type);
    if (status) {
        fail(s, at, status);
    } else if (s->input.buffer) {
        s->types[at] = x.type;
        pthread_mutex_unlock(&loader->lock);
        copy_to_row(s, at, &x);
        pthread_mutex_lock(&loader->lock);
    }
    tq_tensor_reset(&x);
    if (++s->n_done == s->end - s->begin) {
        if (!s->status)
            s->status = check_types(loader, s);
        s->is_ready = true;
        pthread_cond_broadcast(&loader->done);
    }
    if (--loader->n_busy == 0)
        pthread_cond_broadcast(&loader->done);
}

static void *worker(void *context)
{
    tq_loader *loader = context;
    pthread_mutex_lock(&loader->lock);
    while (!loader->quit)
        if (has_job(loader))
            do_job(loader);
        else
            pthread_cond_wait(&loader->work, &loader->lock);
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/** Stops the hand-out of work and waits until nobody is at it. */
static void halt(tq_loader *loader)
{
    loader->is_running = false;
    while (loader->n_busy)
        pthread_cond_wait(&loader->done, &loader->lock);
}

/* ---- public ---------------------------------------------------------------------------------- */

static tq_status create_slots(tq_loader *loader)
{
    const size_t batch = (size_t)loader->options.batch;
    for (int i = 0; i < N_SLOTS; i++) {
        slot *s = &loader->slots[i];
        s->types = tq_allocate(batch * sizeof *s->types);
        s->labels = tq_allocate(batch * sizeof *s->labels);
        s->ids = tq_allocate(batch * sizeof *s->ids);
        if (!s->types || !s->labels || !s->ids)
            return tq_fail(TQ_ERR_MEMORY, "out of memory: no batch of %zu", batch);
    }
    return TQ_OK;
}

static tq_status start_threads(tq_loader *loader)
{
    const int n = loader->options.n_workers;
    for (int i = 0; i < (n < MOST_WORKERS ? n : MOST_WORKERS); i++) {
        if (pthread_create(&loader->threads[i], NULL, worker, loader) != 0)
            return tq_fail(TQ_ERR_MEMORY, "cannot start %d decoding threads", n);
        loader->n_threads++;
    }
    return TQ_OK;
}

static tq_status init(tq_loader *loader, const tq_registry *registry)
{
    tq_loader_options *options = &loader->options;
    if (options->batch <= 0)
        return tq_fail(TQ_ERR_VALUE, "the batch size is %lld, expected 1 or more",
                       (long long)options->batch);
    TQ_TRY(tq_pipeline_init(registry, options, &loader->pipeline));
    loader->n = loader->dataset->n;
    if (options->limit > 0 && options->limit < loader->n)
        loader->n = options->limit;
    if (options->drop_last && loader->n < options->batch)
        return tq_fail(TQ_ERR_VALUE, "'%s' has %lld data points, fewer than one batch of %lld",
                       loader->dataset->spec, (long long)loader->n, (long long)options->batch);
    if (options->batch > loader->n)
        options->batch = loader->n;
    loader->n_batches =
        loader->n / options->batch + (!options->drop_last && loader->n % options->batch != 0);
    loader->order = tq_allocate((size_t)loader->n * sizeof *loader->order);
    if (!loader->order)
        return tq_fail(TQ_ERR_MEMORY, "out of memory: no order of %lld data points",
                       (long long)loader->n);
    TQ_TRY(create_slots(loader));
    if (options->cache_bytes)
        TQ_TRY(tq_sample_cache_create(loader->dataset->n, options->cache_bytes, &loader->cache));
    return start_threads(loader);
}

tq_status tq_loader_create(const tq_registry *registry, const tq_dataset *dataset,
                           const tq_loader_options *options, tq_loader **out_loader)
{
    tq_loader *loader = tq_allocate(sizeof *loader);
    if (!loader)
        return tq_fail(TQ_ERR_MEMORY, "out of memory");
    loader->dataset = dataset;
    loader->options = *options;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->done, NULL);
    const tq_status status = init(loader, registry);
    if (status) {
        tq_loader_destroy(loader);
        return status;
    }
    *out_loader = loader;
    return TQ_OK;
}

void tq_loader_destroy(tq_loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->quit = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->n_threads; i++)
        pthread_join(loader->threads[i], NULL);
    for (int i = 0; i < N_SLOTS; i++) {
        slot *s = &loader->slots[i];
        clear(s);
        tq_tensor_reset(&s->input);
        free(s->types);
        free(s->labels);
        free(s->ids);
    }
    tq_sample_cache_destroy(loader->cache);
    free(loader->order);
    pthread_cond_destroy(&loader->done);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}

int64_t tq_loader_n_batches(const tq_loader *loader)
{
    return loader->n_batches;
}

static void set_order(tq_loader *loader, int64_t epoch)
{
    const tq_loader_options *options = &loader->options;
    for (int64_t i = 0; i < loader->n; i++)
        loader->order[i] = i;
    if (options->shuffle == TQ_SHUFFLE_NONE)
        return;
    tq_random random;
    tq_random_init(&random, options->seed,
                   options->shuffle == TQ_SHUFFLE_ONCE ? 0 : (uint64_t)epoch, ORDER_KEY);
    tq_random_shuffle(&random, loader->order, loader->n);
}

tq_status tq_loader_start(tq_loader *loader, int64_t epoch, int64_t first)
{
    if (epoch < 0 || first < 0 || first > loader->n_batches)
        return tq_fail(TQ_ERR_VALUE,
                       "cannot start at epoch %lld, batch %lld: an epoch has %lld batches",
                       (long long)epoch, (long long)first, (long long)loader->n_batches);
    pthread_mutex_lock(&loader->lock);
    halt(loader);
    for (int i = 0; i < N_SLOTS; i++)
        clear(&loader->slots[i]);
    loader->epoch = epoch;
    set_order(loader, epoch);
    loader->job_batch = loader->first_held = loader->next = first;
    loader->job_at = 0;
    loader->is_running = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    return TQ_OK;
}

/** Waits for, or makes, the batch `next`; the lock is held. */
static slot *await(tq_loader *loader)
{
    slot *s = &loader->slots[loader->next % N_SLOTS];
    while (loader->job_batch <= loader->next || !s->is_ready)
        if (loader->n_threads == 0)
            do_job(loader);
        else
            pthread_cond_wait(&loader->done, &loader->lock);
    return s;
}

tq_status tq_loader_next(tq_loader *loader, tq_batch *out_batch)
{
    *out_batch = (tq_batch){ 0 };
    pthread_mutex_lock(&loader->lock);
    if (!loader->is_running) {
        pthread_mutex_unlock(&loader->lock);
        return tq_fail(TQ_ERR_STATE, "the loader was not started");
    }
    loader->first_held = loader->next; /* the batch before is given back */
    pthread_cond_broadcast(&loader->work);
    tq_status status = TQ_OK;
    if (loader->next < loader->n_batches) {
        slot *s = await(loader);
        loader->next++;
        status = s->status;
        s->status = TQ_OK;
        if (!status)
            *out_batch =
                (tq_batch){ .n = s->n, .input = s->input, .labels = s->labels, .ids = s->ids };
    }
    pthread_mutex_unlock(&loader->lock);
    return status;
}
