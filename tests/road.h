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
void road_fake_with(tq_graph **graph, const tq_recipe *recipe);
/* What a backend allows of a requantisation. */
tq_requant_limits road_limits(const char *backend);
/* In place: f2t for a backend. */
void road_true(tq_graph **graph, const char *backend);
/* One batch of random codes for the (true) graph's input 0. */
tq_tensor road_codes(const tq_graph *graph, int64_t n, uint64_t seed);

/* A graph planned and run on random inputs (an unknown dimension is n): reals in [-1, 1), codes on the input's grid. */
enum { ROAD_MAX_INPUTS = 8 };
typedef struct road_run {
    tq_engine *engine;
    int n_inputs;
    tq_tensor inputs[ROAD_MAX_INPUTS];
} road_run;
void road_run_open(road_run *run, const tq_graph *graph, int64_t n, uint64_t seed);
void road_run_open_with(road_run *run, const tq_graph *graph, int64_t n, uint64_t seed, const tq_engine_options *options);
void road_run_close(road_run *run);
/* Largest difference of elements; infinite if types differ. */
double road_distance(const tq_tensor *a, const tq_tensor *b);

/* Runs a true network on random codes and walks the fake one it came from, node by node. Every value that a true one stands for
 * ("quant.of") must equal it to one step (and to 2e-6 of the largest element, for sums in f32; 1e-4 where integer factors stand
 * for ratios of scales); it is then given the true one's reals, so that each node is judged for equal inputs. All outputs must
 * have such a value. */
typedef struct road_agreement {
    int n_values, n_outputs;
    int n_quantizers, n_matched; /* quantisers of activations, and those whose result has such a value */
    int64_t n_elements, n_different; /* by more than rounding can explain: 0.6 steps */
    double worst_steps;
} road_agreement;
road_agreement road_compare(const tq_graph *fake, const tq_graph *integer, int64_t n, uint64_t seed);

#endif
