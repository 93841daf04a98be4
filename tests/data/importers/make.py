#!/usr/bin/env python3
"""Writes the fixtures beside it: tiny networks in the forms that others quantise to, with what their own runtimes answer.
Needs onnx, onnxruntime, torch and tensorflow where they are; every part is left out whose packages are missing.
Weights and inputs are random numbers of fixed seeds: nothing here is anybody's."""
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(HERE, name)


def make_onnx():
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto as T, helper as H, numpy_helper as nh

    rng = np.random.default_rng(3)
    node = H.make_node

    def constants(**arrays):
        return [nh.from_array(np.asarray(a), n) for n, a in arrays.items()]

    def save(name, nodes, inputs, outputs, inits, opsets):
        graph = H.make_graph(nodes, "g", inputs, outputs, inits)
        model = H.make_model(graph, opset_imports=[H.make_opsetid(d, v) for d, v in opsets], ir_version=8)
        onnx.save(model, path(name))

    def answer(name, feed):
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = ort.InferenceSession(path(name), options, providers=["CPUExecutionProvider"])
        return session.run(None, feed)[0]

    f, u8, i8, i32 = np.float32, np.uint8, np.int8, np.int32
    inits = constants(
        xs=f(0.031), xz=u8(119), w1=rng.integers(-127, 128, (6, 3, 3, 3)).astype(i8), s1=(rng.random(6) * 0.01 + 0.002).astype(f),
        z1=np.zeros(6, i8), b1=rng.integers(-900, 900, 6).astype(i32), y1s=f(0.043), y1z=u8(7),
        w2=rng.integers(0, 256, (4, 6, 1, 1)).astype(u8), s2=f(0.007), z2=u8(131), y2s=f(0.09), y2z=u8(128), a_s=f(0.1), a_z=u8(70))
    first = inits[3]
    inits += constants(bs1=(f(0.031) * nh.to_array(first)).astype(f), bz1=np.zeros(6, i32))
    q = lambda x, s, z, y: node("QuantizeLinear", [x, s, z], [y])
    dq = lambda x, s, z, y, **k: node("DequantizeLinear", [x, s, z], [y], **k)
    nodes = [
        q("x", "xs", "xz", "xq"), dq("xq", "xs", "xz", "xd"), dq("w1", "s1", "z1", "w1d", axis=0), dq("b1", "bs1", "bz1", "b1d", axis=0),
        node("Conv", ["xd", "w1d", "b1d"], ["c1"], pads=[1] * 4), node("Relu", ["c1"], ["r1"]),
        q("r1", "y1s", "y1z", "r1q"), node("MaxPool", ["r1q"], ["p1q"], kernel_shape=[2, 2], strides=[2, 2]), dq("p1q", "y1s", "y1z", "p1"),
        dq("w2", "s2", "z2", "w2d"), node("Conv", ["p1", "w2d"], ["c2"]), q("c2", "y2s", "y2z", "c2q"), dq("c2q", "y2s", "y2z", "c2d"),
        node("GlobalAveragePool", ["c2d"], ["g"]), q("g", "a_s", "a_z", "gq"), dq("gq", "a_s", "a_z", "y")]
    save("qdq.onnx", nodes, [H.make_tensor_value_info("x", T.FLOAT, ["N", 3, 8, 8])],
         [H.make_tensor_value_info("y", T.FLOAT, ["N", 4, 1, 1])], inits, [("", 13)])
    x = rng.normal(size=(3, 3, 8, 8)).astype(f)
    y = answer("qdq.onnx", {"x": x})
    codes = np.rint(y / f(0.1)).astype(np.int64) + 70
    np.savez(path("qdq.npz"), x=x, y=y, codes=codes)

    nodes = [
        node("QLinearConv", ["xq", "xs", "xz", "w1", "s1", "z1", "y1s", "y1z", "b1"], ["a"], pads=[1] * 4),
        node("QLinearAdd", ["a", "y1s", "y1z", "a", "y1s", "y1z", "y2s", "y2z"], ["s"], domain="com.microsoft"),
        node("QLinearGlobalAveragePool", ["s", "y2s", "y2z", "a_s", "a_z"], ["yq"], domain="com.microsoft", channels_last=0)]
    xq = rng.integers(0, 256, (2, 3, 8, 8)).astype(u8)
    used = {n for k in nodes for n in k.input}
    save("qoperator.onnx", nodes, [H.make_tensor_value_info("xq", T.UINT8, [2, 3, 8, 8])],
         [H.make_tensor_value_info("yq", T.UINT8, [2, 6, 1, 1])], [i for i in inits if i.name in used], [("", 13), ("com.microsoft", 1)])
    np.savez(path("qoperator.npz"), xq=xq, yq=answer("qoperator.onnx", {"xq": xq}))


def make_norms():
    names = ["conv.weight", "conv.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]
    np.savez(path("norms.npz"), **{n: np.ones((3, 2, 1, 1) if n == "conv.weight" else 3, np.float32) for n in names})


def make_torch():
    import collections

    import torch

    base = torch.arange(24, dtype=torch.float32)
    state = collections.OrderedDict()
    state["module.fc.weight"] = base[:12].view(3, 4)
    state["module.fc.bias"] = base[12:15]  # of the same storage
    state["module.turned"] = base.view(4, 6).t()  # strides
    state["module.half"] = torch.tensor([1.5, -2.0], dtype=torch.float16)
    state["module.brain"] = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    state["module.count"] = torch.tensor(7)
    state["module.learned"] = torch.nn.Parameter(torch.ones(2))
    more = {"epoch": 3, "lr": 0.1, "who": None, "betas": (0.9, [1, 2**40]), "optimizer": {"state": {0: {"avg": torch.zeros(2)}}}}
    torch.save({"state_dict": state, **more}, path("torch.ckpt"))

    class Command:
        def __reduce__(self):
            return (os.system, ("false",))

    torch.save({"state_dict": state, "x": Command()}, path("command.ckpt"))
    old = {"w": base, "turned": base.view(4, 6).t(), "half": torch.tensor([1.5, -2.0], dtype=torch.float16)}
    torch.save(old, path("old.pth"), _use_new_zipfile_serialization=False)

    import argparse
    import pathlib

    beside = {"args": argparse.Namespace(lr=0.1, where=pathlib.PurePosixPath("a/b")), "best": np.float64(0.5), "seed": 2**90,
              "milestones": collections.Counter({30: 1}), "table": np.arange(3), "names": {"a", "b"}, "raw": b"bytes",
              "device": torch.device("cpu"), "dtype": torch.float32, "logs": collections.defaultdict(list, a=[1])}
    torch.save({"state_dict": {"model.w": base[:3].clone()}, **beside}, path("beside.ckpt"))


def make_tflite():
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    layers, rng = tf.keras.layers, np.random.default_rng(1)
    i = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(i)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.Concatenate()([layers.Add()([x, y]), layers.MaxPooling2D(3, strides=1, padding="same")(x)])
    x = layers.Dense(5)(layers.Flatten()(x))
    model = tf.keras.Model(i, x)
    for w in model.weights:
        w.assign(rng.normal(size=w.shape) * 0.3)
    call = tf.function(lambda v: model(v, training=False)).get_concrete_function(tf.TensorSpec((1, 8, 8, 3), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(call)])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rng.normal(size=(1, 8, 8, 3)).astype(np.float32)] for _ in range(20))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    open(path("int8.tflite"), "wb").write(converter.convert())
    interpreter = tf.lite.Interpreter(path("int8.tflite"), experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    a, b = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    codes, answers = rng.integers(-128, 128, (6, 8, 8, 3)).astype(np.int8), []
    for k in range(6):
        interpreter.set_tensor(a["index"], codes[k : k + 1])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(b["index"]).copy())
    np.savez(path("int8.npz"), x=np.ascontiguousarray(codes.transpose(0, 3, 1, 2)), y=np.concatenate(answers))


def make_tflite_forms():
    """Networks of one idea each, with inputs and outputs of u8."""
    import tensorflow as tf

    layers, rng = tf.keras.layers, np.random.default_rng(5)

    def dilated(x):
        return layers.Conv2D(3, 3, padding="same", dilation_rate=2)(x)

    def repeated(x):  # written as EXPAND_DIMS, TILE and RESHAPE to an unknown size
        return layers.UpSampling2D(2)(layers.Conv2D(3, 1)(x))

    def attention(x):
        rows = layers.Reshape((36, 2))(x)
        return layers.MultiHeadAttention(1, 2)(rows, rows)

    arrays = {}
    for form in (dilated, repeated, attention):
        i = layers.Input((6, 6, 2))
        model = tf.keras.Model(i, form(i))
        for w in model.weights:
            w.assign(rng.normal(size=w.shape) * 0.7)
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([rng.normal(size=(1, 6, 6, 2)).astype(np.float32)] for _ in range(20))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        name = form.__name__
        open(path(name + ".tflite"), "wb").write(converter.convert())
        interpreter = tf.lite.Interpreter(path(name + ".tflite"), experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        interpreter.allocate_tensors()
        a, b = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        codes, answers = rng.integers(0, 256, (4, 6, 6, 2)).astype(np.uint8), []
        for k in range(4):
            interpreter.set_tensor(a["index"], codes[k : k + 1])
            interpreter.invoke()
            answers.append(interpreter.get_tensor(b["index"]).copy())
        y = np.concatenate(answers)
        arrays[name + "_x"] = np.ascontiguousarray(codes.transpose(0, 3, 1, 2))
        arrays[name + "_y"] = np.ascontiguousarray(y.transpose(0, 3, 1, 2)) if y.ndim == 4 else y
    np.savez(path("forms.npz"), **arrays)


for part in (make_onnx, make_norms, make_torch, make_tflite, make_tflite_forms):
    try:
        part()
    except ImportError as missing:
        print("left out %s: %s" % (part.__name__, missing), file=sys.stderr)
