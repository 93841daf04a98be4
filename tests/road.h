/* The road in tests: a network of the zoo, fake-quantised, calibrated on random data, integerised. */
#ifndef TRUQ_TESTS_ROAD_H
#define TRUQ_TESTS_ROAD_H

#include "check.h"

/* An .npz with n random samples in [0, 1) of the shape of the graph's input, opened. Closed by the test. */
tq_dataset *road_random_data(const tq_graph *graph, int64_t n, uint64_t seed);
/* Builds a network; H and W may be 0 for the network's own. Running statistics of batch norms are
 * perturbed so that folding them is no identity. */
tq_graph *road_build(const char *zoo, double capacity, int64_t c, int64_t h, int64_t w);
/* In place: f2f with a recipe, calibration on random data. */
void road_fake(tq_graph **graph, const char *recipe);
/* In place: f2t for a backend. */
void road_true(tq_graph **graph, const char *backend);
/* One batch of random codes for the (true) graph's input 0. */
tq_tensor road_codes(const tq_graph *graph, int64_t n, uint64_t seed);

#endif
