/* One or two networks on the same data, batch by batch, with every value kept: what comparisons and
 * measurements of inner values walk over. */
#include "report/report_internal.h"

#include <math.h>

enum { BATCH = 8 }; /* every value stays in memory */

static tq_status check_inputs(const tq_runs *r)
{
    for (int i = 0; i < r->n; i++)
        if (tq_graph_n_inputs(r->graphs[i]) != 1)
            return tq_fail(TQ_ERR_UNSUPPORTED,
                           "the %snetwork has %d inputs; inner values are looked at with one",
                           r->n == 1 ? ""
                           : i       ? "second "
                                     : "first ",
                           tq_graph_n_inputs(r->graphs[i]));
    const tq_value *input = tq_graph_input(r->graphs[0], 0);
    const tq_type *type = tq_value_type(input);
    return type->rank < 1 ? tq_fail(TQ_ERR_SHAPE,
                                    "input '%s' is %s; its first axis must be the "
                                    "batch",
                                    tq_value_name(input), tq_type_text(type).s)
                          : TQ_OK;
}

static tq_status open_data(tq_runs *r)
{
    const tq_compare_options *o = r->options;
    TQ_TRY(check_inputs(r));
    const tq_type *type = tq_value_type(tq_graph_input(r->graphs[0], 0));
    tq_loader_options loader = { .preset = o->preset,
                                 .batch = o->batch > 0 ? o->batch : BATCH,
                                 .limit = o->limit,
                                 .n_workers = o->n_threads,
                                 .sample_type =
                                     tq_type_make(TQ_F32, type->rank - 1, type->dims + 1) };
    for (int i = 0; i < r->n; i++) { /* a batch that is written in a network */
        const tq_type *t = tq_value_type(tq_graph_input(r->graphs[i], 0));
        if (t->rank > 0 && t->dims[0] > 0)
            loader.batch = t->dims[0];
    }
    if (type->rank == 4) {
        loader.height = type->dims[2] > 0 ? type->dims[2] : 0;
        loader.width = type->dims[3] > 0 ? type->dims[3] : 0;
    }
    TQ_TRY(tq_pool_create(o->n_threads, &r->pool));
    return tq_loader_create(o->registry, o->data, &loader, &r->loader);
}

static tq_status run_one(tq_runs *r, int which, const tq_batch *batch)
{
    tq_tensor *input = &r->inputs[which];
    tq_tensor_reset(input);
    TQ_TRY(tq_feed(r->graphs[which], 0, &batch->input, input));
    if (!r->engines[which] || !tq_type_equal(&input->type, &r->types[which])) {
        tq_engine_destroy(r->engines[which]);
        r->engines[which] = NULL;
        r->types[which] = input->type;
        const tq_engine_options options = { .pool = r->pool, .keep_all = true };
        TQ_TRY(tq_engine_create(r->graphs[which], &input->type, 1, &options, &r->engines[which]));
    }
    return tq_engine_run(r->engines[which], input, 1, 0);
}

static tq_status run_batch(tq_runs *r, const tq_batch *batch)
{
    for (int i = 0; i < r->n; i++) {
        const tq_status status = run_one(r, i, batch);
        if (status)
            return r->n == 1 ? status : tq_wrap(status, "the %s network", i ? "second" : "first");
    }
    return TQ_OK;
}

tq_status tq_runs_all(tq_runs *r, const char *phase, tq_status (*look)(void *context),
                      void *context)
{
    tq_progress progress = { .phase = phase,
                             .loss = (double)NAN,
                             .top1 = (double)NAN,
                             .lr = (double)NAN,
                             .images_per_s = (double)NAN,
                             .eta_s = (double)NAN };
    TQ_TRY(open_data(r));
    TQ_TRY(tq_loader_start(r->loader, 0, 0));
    progress.n_batches = tq_loader_n_batches(r->loader);
    for (;;) {
        tq_batch batch;
        TQ_TRY(tq_loader_next(r->loader, &batch));
        if (batch.n == 0)
            return TQ_OK;
        TQ_TRY(run_batch(r, &batch));
        TQ_TRY(look(context));
        progress.batch++;
        progress.n_images += batch.n;
        if (r->options->progress)
            r->options->progress(r->options->context, &progress);
    }
}

const tq_tensor *tq_runs_value(const tq_runs *r, int which, const tq_value *value)
{
    if (tq_value_tensor(value))
        return tq_value_tensor(value);
    if (tq_value_is_input(value))
        return &r->inputs[which];
    return tq_engine_value(r->engines[which], tq_value_name(value));
}

void tq_runs_reset(tq_runs *r)
{
    for (int i = 0; i < r->n; i++) {
        tq_tensor_reset(&r->inputs[i]);
        tq_engine_destroy(r->engines[i]);
    }
    tq_loader_destroy(r->loader);
    tq_pool_destroy(r->pool);
}
