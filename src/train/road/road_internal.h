/* What the files of the road share. */
#ifndef TQ_TRAIN_ROAD_INTERNAL_H
#define TQ_TRAIN_ROAD_INTERNAL_H

#include <truq/road.h>

/** The manifest of a road: versions, seed, settings, checksums of the files written, results. */
tq_status tq_road_manifest_save(const char *path, const tq_road_options *options,
                                const tq_road_result *result);

/** A list of editors, then another; in the arena. */
const tq_editor *const *tq_road_join(int n_a, const tq_editor *const *a, int n_b,
                                     const tq_editor *const *b, tq_arena *arena);

#endif
