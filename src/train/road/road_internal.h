/* What the files of the road share. */
#ifndef TQ_TRAIN_ROAD_INTERNAL_H
#define TQ_TRAIN_ROAD_INTERNAL_H

#include <truq/road.h>

/** The manifest of a road: versions, seed, settings, checksums of the files written, results. */
tq_status tq_road_manifest_save(const char *path, const tq_road_options *options,
                                const tq_road_result *result);

#endif
