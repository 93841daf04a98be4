/* What this plug-in brings, one file a thing. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <truq/backend.h>
#include <truq/command.h>
#include <truq/integerise.h>
#include <truq/zoo.h>

extern const tq_op example_squared_relu, example_squared_relu_grad;
extern const tq_editor example_fuse_squared_relu;
extern const tq_quantizer example_open;
extern const tq_observer example_tight;
extern const tq_backend example_npu4;
extern const tq_controller example_warm_bounds;
extern const tq_zoo example_squarenet;
extern const tq_command example_census;

#endif
