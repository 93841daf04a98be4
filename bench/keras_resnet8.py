#!/usr/bin/env python3
"""ResNet8 of MLPerf Tiny in Keras, random weights, as a full-integer .tflite: keras_resnet8.py OUT.tflite"""
import sys

import numpy as np
import tensorflow as tf
from tensorflow.keras import Input, Model, layers as L


def conv(x, channels, kernel, strides=1):
    x = L.Conv2D(channels, kernel, strides=strides, padding="same")(x)
    return L.BatchNormalization()(x)


x = inputs = Input((32, 32, 3), batch_size=1)
x = L.ReLU()(conv(x, 16, 3))
for channels, strides in ((16, 1), (32, 2), (64, 2)):
    y = conv(L.ReLU()(conv(x, channels, 3, strides)), channels, 3)
    x = L.ReLU()(L.Add()([y, x if strides == 1 else L.Conv2D(channels, 1, strides=strides)(x)]))
x = L.Dense(10)(L.Flatten()(L.AveragePooling2D(8)(x)))
random = np.random.default_rng(0)
converter = tf.lite.TFLiteConverter.from_keras_model(Model(inputs, x))
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([random.standard_normal((1, 32, 32, 3), dtype=np.float32)] for _ in range(16))
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
open(sys.argv[1], "wb").write(converter.convert())
