/* What the manifests of a training and of a road write alike. */
#ifndef TQ_TRAIN_MANIFEST_JSON_H
#define TQ_TRAIN_MANIFEST_JSON_H

#include <cjson/cJSON.h>

/* NaN and infinity have no form in JSON: null. */
void tq_manifest_add_number(cJSON *object, const char *key, double value);
/* NULL is null. */
void tq_manifest_add_text(cJSON *object, const char *key, const char *text);

#endif
