/* Decoded samples, kept by index until the budget is used up; from then on the others are read each
 * time. What is kept depends on who came first, what is returned does not. */
#include "data_internal.h"

#include <pthread.h>
#include <stdlib.h>

struct tq_sample_cache {
    pthread_mutex_t lock;
    int64_t n;
    size_t budget, used;
    tq_sample samples[]; /* data.data NULL: not kept */
};

tq_status tq_sample_cache_create(int64_t n, size_t budget, tq_sample_cache **out_cache)
{
    tq_sample_cache *cache = tq_allocate(sizeof *cache + (size_t)n * sizeof *cache->samples);
    if (!cache)
        return tq_fail(TQ_ERR_MEMORY, "out of memory: no cache for %lld samples", (long long)n);
    pthread_mutex_init(&cache->lock, NULL);
    cache->n = n;
    cache->budget = budget;
    *out_cache = cache;
    return TQ_OK;
}

void tq_sample_cache_destroy(tq_sample_cache *cache)
{
    if (!cache)
        return;
    for (int64_t i = 0; i < cache->n; i++)
        tq_tensor_reset(&cache->samples[i].data);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static bool find(tq_sample_cache *cache, int64_t i, tq_sample *out_sample)
{
    pthread_mutex_lock(&cache->lock);
    const bool found = cache->samples[i].data.data;
    if (found) {
        *out_sample = cache->samples[i];
        out_sample->data = tq_tensor_share(&cache->samples[i].data);
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static void keep(tq_sample_cache *cache, int64_t i, const tq_sample *sample)
{
    const size_t size = tq_buffer_size(sample->data.buffer);
    pthread_mutex_lock(&cache->lock);
    if (!cache->samples[i].data.data && size <= cache->budget - cache->used) {
        cache->samples[i] = *sample;
        cache->samples[i].data = tq_tensor_share(&sample->data);
        cache->used += size;
    }
    pthread_mutex_unlock(&cache->lock);
}

tq_status tq_sample_cache_read(tq_sample_cache *cache, const tq_dataset *dataset, int64_t i,
                               tq_sample *out_sample)
{
    if (cache && find(cache, i, out_sample))
        return TQ_OK;
    TQ_TRY(tq_dataset_read(dataset, i, out_sample));
    if (cache && out_sample->data.buffer)
        keep(cache, i, out_sample);
    return TQ_OK;
}
