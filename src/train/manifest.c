/* The manifest of a training: what was run on what, and what came out. The only file of a run
 * folder that holds times, paths and numbers of threads. */
#include "train/manifest_json.h"
#include "train/train_internal.h"

#include <truq/edit.h>
#include <truq/onnx.h>
#include <truq/threads.h>

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_hex(cJSON *object, const char *key, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof text, "%08x", value);
    cJSON_AddStringToObject(object, key, text);
}

static void add_dataset(cJSON *object, const char *key, const tq_dataset *dataset)
{
    if (!dataset)
        return;
    cJSON *d = cJSON_AddObjectToObject(object, key);
    tq_manifest_add_text(d, "spec", dataset->spec);
    add_hex(d, "spec_crc32", tq_crc32(0, dataset->spec, strlen(dataset->spec)));
    tq_manifest_add_number(d, "data_points", (double)dataset->n);
    tq_manifest_add_number(d, "classes", (double)dataset->n_classes);
}

static void add_settings(cJSON *root, const tq_manifest *m)
{
    const tq_train_options *o = m->options;
    const tq_optimizer_params *p = m->params;
    cJSON *s = cJSON_AddObjectToObject(root, "configuration");
    tq_manifest_add_text(s, "preset", o->preset ? o->preset->entry.name : NULL);
    tq_manifest_add_text(s, "loss", o->loss ? o->loss : "cross-entropy");
    tq_manifest_add_text(s, "target", o->target);
    tq_manifest_add_number(s, "label_smoothing", o->label_smoothing);
    tq_manifest_add_text(s, "optimizer", o->optimizer);
    tq_manifest_add_number(s, "lr", p->lr);
    tq_manifest_add_number(s, "momentum", p->momentum);
    tq_manifest_add_number(s, "weight_decay", p->weight_decay);
    tq_manifest_add_number(s, "pact_decay", p->pact_decay);
    tq_manifest_add_number(s, "beta1", p->beta1);
    tq_manifest_add_number(s, "beta2", p->beta2);
    tq_manifest_add_number(s, "epsilon", p->epsilon);
    cJSON_AddBoolToObject(s, "nesterov", p->nesterov);
    tq_manifest_add_text(s, "schedule", o->schedule ? o->schedule : "constant");
    tq_manifest_add_number(s, "warmup_epochs", o->warmup_epochs);
    tq_manifest_add_number(s, "epochs", (double)o->epochs);
    tq_manifest_add_number(s, "batch", (double)o->batch);
    tq_manifest_add_number(s, "max_steps", (double)o->max_steps);
    tq_manifest_add_text(s, "bn", o->bn ? o->bn : "train");
    tq_manifest_add_number(s, "shards", o->n_shards > 0 ? o->n_shards : 16);
    tq_manifest_add_text(s, "compute", o->compute ? o->compute : "f32");
    tq_manifest_add_number(s, "memory", (double)o->memory);
    tq_manifest_add_number(s, "threads", o->n_threads);
    tq_manifest_add_number(s, "ranks", tq_ranks_count(o->ranks));
    tq_manifest_add_number(s, "checkpoint_every", (double)o->checkpoint_every);
    cJSON_AddBoolToObject(s, "resumed", o->resume);
    cJSON *editors = cJSON_AddArrayToObject(s, "editors");
    for (int i = 0; o->edit && i < o->edit->n_more; i++)
        cJSON_AddItemToArray(editors, cJSON_CreateString(o->edit->more[i]->entry.name));
    cJSON *controllers = cJSON_AddArrayToObject(s, "controllers");
    for (int i = 0; o->controllers && o->controllers[i]; i++)
        cJSON_AddItemToArray(controllers, cJSON_CreateString(o->controllers[i]));
}

static void add_results(cJSON *root, const tq_manifest *m)
{
    cJSON *epochs = cJSON_AddArrayToObject(root, "epochs");
    for (int64_t i = 0; i < m->position->n_epochs; i++) {
        const tq_epoch *epoch = &m->position->epochs[i];
        cJSON *e = cJSON_CreateObject();
        tq_manifest_add_number(e, "epoch", (double)(i + 1));
        tq_manifest_add_number(e, "train_loss", epoch->train_loss);
        tq_manifest_add_number(e, "train_top1", epoch->train_top1);
        tq_manifest_add_number(e, "valid_loss", epoch->valid_loss);
        tq_manifest_add_number(e, "valid_top1", epoch->valid_top1);
        cJSON_AddItemToArray(epochs, e);
    }
    cJSON *r = cJSON_AddObjectToObject(root, "results");
    tq_manifest_add_number(r, "steps", (double)m->position->step);
    tq_manifest_add_number(r, "best_top1", m->position->best_top1);
    tq_manifest_add_text(r, "best_of", m->options->valid ? "valid" : "train");
    tq_manifest_add_number(r, "parameters", (double)m->n_parameters);
    tq_manifest_add_number(r, "seconds", m->seconds);
    tq_manifest_add_number(r, "images_per_s", m->images_per_s);
}

tq_status tq_manifest_save(const char *path, const tq_manifest *manifest)
{
    const tq_train_options *o = manifest->options;
    cJSON *root = cJSON_CreateObject();
    tq_manifest_add_text(root, "truq", TQ_VERSION);
    tq_manifest_add_text(root, "cpu_level", tq_cpu_level());
    tq_manifest_add_text(root, "command_line", o->command_line);
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    tq_manifest_add_text(root, "seed", seed);
    add_settings(root, manifest);
    cJSON *inputs = cJSON_AddObjectToObject(root, "inputs");
    add_hex(inputs, "model_crc32", manifest->model_crc);
    add_hex(inputs, "settings_crc32", tq_crc32(0, manifest->settings, strlen(manifest->settings)));
    add_dataset(inputs, "train", o->train);
    add_dataset(inputs, "valid", o->valid);
    add_results(root, manifest);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text)
        return tq_fail(TQ_ERR_MEMORY, "no memory for the manifest");
    const tq_status status = tq_file_write(path, text, strlen(text));
    cJSON_free(text);
    return status;
}
