/* The manifest of a road. The only file of its folder, with run/'s own, that holds times, paths and
 * numbers of threads. */
#include "train/manifest_json.h"
#include "train/road/road_internal.h"

#include <truq/onnx.h>
#include <truq/threads.h>

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_dataset(cJSON *object, const char *key, const tq_dataset *dataset)
{
    if (!dataset)
        return;
    cJSON *d = cJSON_AddObjectToObject(object, key);
    tq_manifest_add_text(d, "spec", dataset->spec);
    tq_manifest_add_number(d, "data_points", (double)dataset->n);
    tq_manifest_add_number(d, "classes", (double)dataset->n_classes);
}

static void add_settings(cJSON *root, const tq_road_options *o)
{
    cJSON *s = cJSON_AddObjectToObject(root, "configuration");
    tq_manifest_add_text(s, "recipe", o->recipe->entry.name);
    tq_manifest_add_text(s, "backend", o->backend ? o->backend : "generic");
    tq_manifest_add_text(s, "preset", o->preset_name);
    tq_manifest_add_text(s, "loss", o->loss);
    tq_manifest_add_text(s, "target", o->target);
    tq_manifest_add_number(s, "calibration_batches", (double)o->calibration_batches);
    tq_manifest_add_number(s, "batch", (double)o->batch);
    tq_manifest_add_number(s, "epochs", (double)o->epochs);
    tq_manifest_add_text(s, "optimizer", o->optimizer ? o->optimizer : o->recipe->optimizer);
    tq_manifest_add_number(s, "lr", o->lr > 0.0 ? o->lr : o->recipe->lr);
    tq_manifest_add_text(s, "schedule", o->schedule ? o->schedule : "cosine");
    tq_manifest_add_number(s, "limit", (double)o->limit);
    tq_manifest_add_number(s, "threads", o->n_threads);
    cJSON *data = cJSON_AddObjectToObject(root, "data");
    add_dataset(data, "train", o->data);
    add_dataset(data, "test", o->test);
}

static tq_status add_stage(cJSON *stages, const char *folder, const tq_road_stage *stage)
{
    char path[4096], crc[16];
    if (snprintf(path, sizeof path, "%s/%s", folder, stage->file) >= (int)sizeof path)
        return tq_fail(TQ_ERR_IO, "the path '%s' is too long", folder);
    void *bytes;
    size_t size;
    TQ_TRY(tq_file_read(path, &bytes, &size));
    snprintf(crc, sizeof crc, "%08x", tq_crc32(0, bytes, size));
    free(bytes);
    cJSON *s = cJSON_CreateObject();
    tq_manifest_add_text(s, "name", stage->name);
    tq_manifest_add_text(s, "file", stage->file);
    tq_manifest_add_text(s, "crc32", crc);
    tq_manifest_add_number(s, "bytes", (double)stage->bytes);
    tq_manifest_add_number(s, "n", (double)stage->result.n);
    tq_manifest_add_number(s, "top1", stage->result.top1);
    tq_manifest_add_number(s, "top5", stage->result.top5);
    tq_manifest_add_number(s, "loss", stage->result.loss);
    tq_manifest_add_number(s, "agreement", stage->agreement);
    tq_manifest_add_number(s, "images_per_s", stage->result.images_per_s);
    cJSON_AddItemToArray(stages, s);
    return TQ_OK;
}

static tq_status build(cJSON *root, const tq_road_options *o, const tq_road_result *r)
{
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    tq_manifest_add_text(root, "truq", TQ_VERSION);
    tq_manifest_add_text(root, "cpu_level", tq_cpu_level());
    tq_manifest_add_text(root, "command_line", o->command_line);
    tq_manifest_add_text(root, "seed", seed);
    add_settings(root, o);
    tq_manifest_add_number(root, "quantizers", r->n_quantizers);
    tq_manifest_add_number(root, "true_nodes", r->n_true_nodes);
    cJSON *stages = cJSON_AddArrayToObject(root, "stages");
    for (int i = 0; i < r->n_stages; i++)
        TQ_TRY(add_stage(stages, o->folder, &r->stages[i]));
    return TQ_OK;
}

tq_status tq_road_manifest_save(const char *path, const tq_road_options *options,
                                const tq_road_result *result)
{
    cJSON *root = cJSON_CreateObject();
    tq_status status = build(root, options, result);
    char *text = status ? NULL : cJSON_Print(root);
    cJSON_Delete(root);
    if (!status && !text)
        status = tq_fail(TQ_ERR_MEMORY, "no memory for the manifest");
    if (!status)
        status = tq_file_write(path, text, strlen(text));
    cJSON_free(text);
    return status;
}
