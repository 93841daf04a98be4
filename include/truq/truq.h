/* All of libtruq. */
#ifndef TRUQ_TRUQ_H
#define TRUQ_TRUQ_H

#include <truq/backend.h>
#include <truq/data.h>
#include <truq/device.h>
#include <truq/edit.h>
#include <truq/engine.h>
#include <truq/fake.h>
#include <truq/integerise.h>
#include <truq/model.h>
#include <truq/onnx.h>
#include <truq/op.h>
#include <truq/plugin.h>
#include <truq/quant.h>
#include <truq/random.h>
#include <truq/ranks.h>
#include <truq/recipe.h>
#include <truq/report.h>
#include <truq/road.h>
#include <truq/rule.h>
#include <truq/tflite.h>
#include <truq/train.h>
#include <truq/zoo.h>

#endif
