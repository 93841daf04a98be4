/* Presets at work: the list of transforms, applied to one data point. */
#include "data_internal.h"

#include <math.h>
#include <string.h>

static tq_status find_transforms(const tq_registry *registry, const tq_transform_spec *specs, int n,
                                 const tq_transform **out)
{
    if (n < 0 || n > TQ_PREPROCESS_MAX)
        return tq_fail(TQ_ERR_VALUE, "%d transforms, at most %d", n, (int)TQ_PREPROCESS_MAX);
    for (int i = 0; i < n; i++) {
        const tq_entry *entry;
        TQ_TRY(tq_registry_find(registry, TQ_KIND_TRANSFORM, specs[i].name, &entry));
        if (specs[i].n_args < 0 || specs[i].n_args > TQ_COUNT(specs[i].args))
            return tq_fail(TQ_ERR_VALUE, "transform '%s' has %d arguments", specs[i].name,
                           specs[i].n_args);
        out[i] = (const tq_transform *)entry;
    }
    return TQ_OK;
}

/** A model larger than what the image is resized to would see a frame of zeros. */
static tq_status check_crop(const tq_preset *preset, int64_t height, int64_t width)
{
    const double model = (double)(height > width ? height : width);
    double short_side = INFINITY;
    for (int i = 0; i < preset->n_eval; i++) {
        const tq_transform_spec *t = &preset->eval[i];
        if (strcmp(t->name, "Resize") == 0)
            short_side = t->n_args == 1 ? t->args[0] : INFINITY;
        else if (strcmp(t->name, "CenterCrop") == 0 && model > short_side)
            return tq_fail(TQ_ERR_VALUE,
                           "image size %g is above %g, to which images are resized before the crop",
                           model, short_side);
    }
    return TQ_OK;
}

static tq_status init(const tq_registry *registry, const tq_loader_options *options,
                      tq_pipeline *pipeline)
{
    const tq_preset *preset = options->preset ? options->preset : &tq_preset_raw;
    const tq_transform *others[TQ_PREPROCESS_MAX];
    *pipeline = (tq_pipeline){ .preset = preset };
    if (preset->sized_by_model) {
        pipeline->height = options->height > 0 ? options->height : 0;
        pipeline->width = options->width > 0 ? options->width : 0;
    }
    pipeline->n = options->training ? preset->n_train : preset->n_eval;
    pipeline->specs = options->training ? preset->train : preset->eval;
    TQ_TRY(find_transforms(registry, preset->eval, preset->n_eval, others));
    TQ_TRY(find_transforms(registry, pipeline->specs, pipeline->n, pipeline->transforms));
    return check_crop(preset, pipeline->height, pipeline->width);
}

tq_status tq_pipeline_init(const tq_registry *registry, const tq_loader_options *options,
                           tq_pipeline *out_pipeline)
{
    const tq_status status = init(registry, options, out_pipeline);
    return tq_wrap(status, "cannot use preset '%s'", out_pipeline->preset->entry.name);
}

/** A tensor of our own: images are never changed in place, so they can be shared; arrays become
 * f32. */
static tq_status begin(const tq_sample *sample, tq_tensor *x)
{
    if (!sample->is_image && sample->data.type.dtype == TQ_F32)
        return tq_tensor_copy(&sample->data, x);
    if (!sample->is_image)
        return tq_tensor_cast(&sample->data, TQ_F32, x);
    *x = tq_tensor_share(&sample->data);
    return TQ_OK;
}

/** Codes back to values on their grid, and the result is f32. */
static tq_status finish(const tq_pipeline *pipeline, tq_tensor *x)
{
    if (x->type.dtype != TQ_F32)
        return tq_fail(TQ_ERR_TYPE, "it ends with %s; add ToTensor or ToFloat",
                       tq_type_text(&x->type).s);
    const float scale = (float)pipeline->preset->scale;
    float *values = x->data;
    for (int64_t i = 0, n = scale > 0 ? tq_tensor_count(x) : 0; i < n; i++)
        values[i] *= scale;
    return TQ_OK;
}

tq_status tq_pipeline_apply(const tq_pipeline *pipeline, const tq_sample *sample, tq_random *random,
                            tq_tensor *out)
{
    tq_tensor x = { 0 };
    tq_status status = begin(sample, &x);
    for (int i = 0; i < pipeline->n && !status; i++) {
        const tq_transform_spec *t = &pipeline->specs[i];
        status = pipeline->transforms[i]->apply(t->args, t->n_args, pipeline->height,
                                                pipeline->width, random, &x);
    }
    if (!status)
        status = finish(pipeline, &x);
    if (status) {
        tq_tensor_reset(&x);
        return tq_wrap(status, "preset '%s'", pipeline->preset->entry.name);
    }
    *out = x;
    return TQ_OK;
}

tq_status tq_preset_apply(const tq_registry *registry, const tq_loader_options *options,
                          const tq_sample *sample, tq_random *random, tq_tensor *out)
{
    tq_pipeline pipeline;
    TQ_TRY(tq_pipeline_init(registry, options, &pipeline));
    return tq_pipeline_apply(&pipeline, sample, random, out);
}
