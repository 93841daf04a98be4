#!/usr/bin/env python3
"""Integers of truq against those of the runtimes that quantised networks were made for: how many codes differ, and by how much.

    scripts/compare_runtimes.py onnxruntime net.onnx --images train.tar --test test.tar      # needs onnx, onnxruntime, Pillow
    scripts/compare_runtimes.py tflite                                                       # needs tensorflow
    scripts/compare_runtimes.py brevitas                                                     # needs brevitas, onnx
    scripts/compare_runtimes.py pytorch                                                      # needs torch, torchao, onnxscript

onnxruntime: quantize_static in several ways on the first images of one archive (class/name.jpg); whole networks on images of the other one,
and each quantised layer alone, on the codes that the runtime gives it. tflite: networks of one layer, converted to full integers, on random
inputs. brevitas: a small network in several quantisations, exported as QONNX and QCDQ. pytorch: a residual network after quantisation-aware training
in eager mode, and after PT2E, whose additions stay float until truq quantises them. Everything is written below --work."""
import argparse
import contextlib
import io
import os
import subprocess
import sys
import tarfile

import numpy as np


def truq(*words):
    """What `truq WORDS` prints; the error if it fails."""
    done = subprocess.run([options.truq, *words], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None, done.stderr.strip()


def infer(network, arrays):
    np.savez("in.npz", **arrays)
    done, error = truq("infer", network, "--in", "in.npz", "-o", "out.npz")
    if done is None:
        sys.exit(error)
    with np.load("out.npz") as out:
        return out[out.files[0]]


def integers(network):
    """The file of the integer network, or the reason why there is none."""
    done, error = truq("f2t", network, "--rounding", "half-up", "-o", "true.onnx")
    return ("true.onnx", None) if done is not None else (None, error)


def count(a, b):
    d = np.abs(a.astype(np.int64).reshape(-1) - b.astype(np.int64).reshape(-1))
    return "%d of %d differ, by %d at most" % ((d > 0).sum(), d.size, d.max()) if d.any() else "equal"


# ---- onnxruntime --------------------------------------------------------------------------------


def read_images(path, n):
    from PIL import Image
    with tarfile.open(path) as tar:
        members = sorted((m for m in tar if m.isfile()), key=lambda m: m.name)
        picked = [members[i] for i in np.random.default_rng(0).permutation(len(members))[:n]]
        arrays = [np.asarray(Image.open(io.BytesIO(tar.extractfile(m).read())).convert("RGB")) for m in picked]
    return np.stack(arrays).transpose(0, 3, 1, 2).astype(np.float32)


def session(model, optimise):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.log_severity_level = 3
    level = ort.GraphOptimizationLevel
    o.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), o, providers=["CPUExecutionProvider"])


def with_outputs(model, names):
    import onnx
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    for name in names:
        copy.graph.output.add().name = name
    return copy


def layers_of(model):
    """(operators, codes in, codes out) of each quantised layer."""
    constants = {i.name for i in model.graph.initializer}
    producer = {o: n for n in model.graph.node for o in n.output}
    layers = []
    for node in model.graph.node:
        if node.op_type.startswith("QLinear") or node.op_type == "QGemm":
            layers.append((node.op_type, [i for i in node.input if i and i not in constants], node.output[0]))
        if node.op_type != "QuantizeLinear" or node.input[0] in constants:
            continue
        codes, operators, waiting = [], [], [node.input[0]]
        while waiting:
            before = producer.get(waiting.pop())
            if before is None or before.op_type == "QuantizeLinear":
                codes += [before.output[0]] if before else []
                continue
            operators += [before.op_type] if before.op_type not in ("DequantizeLinear", "Relu") else []
            waiting += [i for i in before.input if i not in constants]
        if codes:
            layers.append(("+".join(operators), list(dict.fromkeys(codes)), node.output[0]))
    return layers


def compare_layers(model, x):
    import onnx
    from onnx import helper
    from onnx.utils import Extractor
    layers = layers_of(model)
    names = list(dict.fromkeys(v for _, inputs, output in layers for v in inputs + [output]))
    codes = dict(zip(names, session(with_outputs(model, names), False).run(None, {model.graph.input[0].name: x})))
    for name, array in codes.items():
        dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
        model.graph.value_info.append(helper.make_tensor_value_info(name, dtype, ["N", *array.shape[1:]]))
    n_codes, n_different, most = 0, 0, 0
    for operators, inputs, output in layers:
        onnx.save(Extractor(model).extract_model(inputs, [output]), "layer.onnx")
        network, error = integers("layer.onnx")
        if not network:
            print("   ", operators, error)
            continue
        y = infer(network, {i: codes[i] for i in inputs})
        d = np.abs(y.astype(np.int64) - codes[output])
        n_codes, n_different, most = n_codes + d.size, n_different + (d > 0).sum(), max(most, d.max())
        if (d > 0).mean() > 1e-4:
            print("    %s: %s" % (operators, count(y, codes[output])))
    print("    layers alone: %d of %d codes differ, by %d at most" % (n_different, n_codes, most))


def compare_onnxruntime():
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self, x):
            self.batches = iter([{name: x[i:i + 32]} for i in range(0, len(x), 32)])

        def get_next(self):
            return next(self.batches, None)

    quant_pre_process(options.model, "pre.onnx")
    name = onnx.load("pre.onnx").graph.input[0].name
    images, test = read_images(options.images, 256), read_images(options.test, options.n)
    ways = [("QUInt8", "QInt8", False, "MinMax"), ("QUInt8", "QInt8", True, "MinMax"), ("QInt8", "QInt8", True, "MinMax"),
            ("QUInt8", "QUInt8", False, "MinMax"), ("QInt8", "QInt8", True, "Entropy")]
    for form in ("QDQ", "QOperator"):
        for a, w, per_channel, method in ways:
            quantize_static("pre.onnx", "q.onnx", Reader(images), quant_format=getattr(QuantFormat, form),
                            activation_type=getattr(QuantType, a), weight_type=getattr(QuantType, w),
                            per_channel=per_channel, calibrate_method=getattr(CalibrationMethod, method))
            model = onnx.shape_inference.infer_shapes(onnx.load("q.onnx"))
            print(form, a, w, "per channel" if per_channel else "per tensor", method)
            fused, plain = (session(model, o).run(None, {name: test})[0] for o in (True, False))
            mine = infer("q.onnx", {name: test})
            equal = [100 * np.mean(mine.argmax(1) == theirs.argmax(1)) for theirs in (fused, plain)]
            print("    same class: %.2f %% (onnxruntime as it runs), %.2f %% (node by node)" % tuple(equal))
            compare_layers(model, test[:64])


# ---- TensorFlow Lite ----------------------------------------------------------------------------


def keras_layers():
    import tensorflow as tf
    layers = tf.keras.layers

    def function(f, *sizes):
        return layers.Lambda(f, output_shape=sizes)
    return {
        "convolution": lambda i: layers.Conv2D(8, 3, padding="same")(i),
        "convolution, relu6, stride 2": lambda i: layers.Conv2D(8, 3, strides=2, padding="same", activation="relu6")(i),
        "dilated convolution": lambda i: layers.Conv2D(8, 3, padding="same", dilation_rate=2)(i),
        "depthwise convolution": lambda i: layers.DepthwiseConv2D(3, padding="same")(i),
        "transposed convolution": lambda i: layers.Conv2DTranspose(4, 3, strides=2, padding="same")(i),
        "dense": lambda i: layers.Dense(10)(layers.Flatten()(i)),
        "sum": lambda i: layers.Add()([layers.Conv2D(8, 1)(i), i]),
        "difference": lambda i: layers.Subtract()([layers.Conv2D(8, 1)(i), i]),
        "product": lambda i: layers.Multiply()([layers.Conv2D(8, 1)(i), i]),
        "concatenation": lambda i: layers.Concatenate()([layers.Conv2D(8, 1)(i), i]),
        "average pool 2x2": lambda i: layers.AveragePooling2D(2)(i),
        "average pool 3x3": lambda i: layers.AveragePooling2D(3, strides=2, padding="same")(i),
        "global average pool": lambda i: layers.GlobalAveragePooling2D()(i),
        "mean over channels": lambda i: function(lambda t: tf.reduce_mean(t, -1, keepdims=True), 16, 16, 1)(i),
        "maximum pool": lambda i: layers.MaxPool2D(2)(i),
        "sigmoid": lambda i: layers.Activation("sigmoid")(i),
        "hard swish": lambda i: layers.Activation("hard_swish")(i),
        "gelu": lambda i: layers.Activation("gelu")(i),
        "leaky relu": lambda i: layers.LeakyReLU(0.1)(i),
        "nearest resize": lambda i: function(lambda t: tf.image.resize(t, (32, 32), method="nearest"), 32, 32, 8)(i),
        "attention": lambda i: (lambda t: layers.MultiHeadAttention(2, 4)(t, t))(layers.Reshape((256, 8))(i)),
    }


def convert(make, x):
    import tensorflow as tf
    i = tf.keras.layers.Input(x.shape[1:])
    converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(i, make(i)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[k:k + 1]] for k in range(len(x)))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with open("net.tflite", "wb") as file:
        with contextlib.redirect_stdout(sys.stderr):
            file.write(converter.convert())


def run_tflite(x, reference):
    import tensorflow as tf
    kinds = tf.lite.experimental.OpResolverType
    interpreter = tf.lite.Interpreter("net.tflite", experimental_op_resolver_type=kinds.BUILTIN_REF if reference else kinds.AUTO)
    interpreter.allocate_tensors()
    i, o = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = i["quantization"]
    codes, results = np.clip(np.round(x / scale) + zero_point, -128, 127).astype(np.int8), []
    for k in range(len(codes)):
        interpreter.set_tensor(i["index"], codes[k:k + 1])
        interpreter.invoke()
        results.append(interpreter.get_tensor(o["index"]).copy())
    return codes, np.concatenate(results)


def compare_tflite():
    import tensorflow as tf
    tf.keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).standard_normal((64, 16, 16, 8)).astype(np.float32)
    for name, make in keras_layers().items():
        convert(make, x)
        network, error = integers("net.tflite")
        if not network:
            print("%s: %s" % (name, error))
            continue
        codes, default = run_tflite(x, False)
        y = infer(network, {"x": np.moveaxis(codes, -1, 1)})
        y = np.moveaxis(y, 1, -1) if y.ndim == 4 else y
        reference = run_tflite(x, True)[1]
        print(name)
        for what, a, b in (("default", y, default), ("reference", y, reference), ("default and reference", default, reference)):
            print("    %s: %s" % (what, count(a, b)))


# ---- Brevitas -----------------------------------------------------------------------------------


def brevitas_network(weight, inner, bits):
    import brevitas.nn as qnn
    import torch
    from brevitas.quant import Int8ActPerTensorFloat, Int32Bias
    torch.manual_seed(0)
    kw = dict(weight_quant=weight, weight_bit_width=bits, bias_quant=Int32Bias if bits == 8 else None)
    network = torch.nn.Sequential(
        qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, return_quant_tensor=True),
        qnn.QuantConv2d(3, 8, 3, padding=1, bias=True, return_quant_tensor=True, **kw), torch.nn.BatchNorm2d(8),
        qnn.QuantReLU(act_quant=inner, bit_width=bits, return_quant_tensor=True),
        qnn.QuantConv2d(8, 8, 3, padding=1, groups=8, bias=True, return_quant_tensor=True, **kw),
        qnn.QuantReLU(act_quant=inner, bit_width=bits, return_quant_tensor=True), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        qnn.QuantLinear(128, 10, bias=True, **kw))
    with torch.no_grad():
        for _ in range(5):
            network(torch.rand(8, 3, 8, 8) * 2 - 1)
    return network.eval()


def compare_brevitas():
    import torch
    from brevitas import quant
    from brevitas.export import export_onnx_qcdq, export_qonnx
    per_channel, unsigned = quant.Int8WeightPerChannelFloat, quant.Uint8ActPerTensorFloat
    forms = {"8 bits": (per_channel, unsigned, 8), "4 bits": (per_channel, unsigned, 4), "2 bits": (per_channel, unsigned, 2),
             "powers of two": (quant.Int8WeightPerTensorFixedPoint, quant.Uint8ActPerTensorFixedPoint, 8),
             "zero points": (per_channel, quant.ShiftedUint8ActPerTensorFloat, 8),
             "ternary": (quant.SignedTernaryWeightPerTensorConst, unsigned, 2)}
    x = torch.rand(64, 3, 8, 8) * 2 - 1
    for name, form in forms.items():
        network = brevitas_network(*form)
        with torch.no_grad():
            y = network(x)
        y = getattr(y, "value", y).numpy()
        for kind, export in (("QONNX", export_qonnx), ("QCDQ", export_onnx_qcdq)):
            kw = {} if kind == "QONNX" else {"opset_version": 17}
            export(network, args=x[:1], export_path="b.onnx", input_names=["x"], output_names=["y"],
                   dynamic_axes={"x": {0: "N"}}, dynamo=False, **kw)
            fake = infer("b.onnx", {"x": x.numpy()})
            true, error = integers("b.onnx")
            verdict = truq("verify", true)[0].strip().split("\n")[-1] if true else error
            print("%-14s %-6s largest difference %.2g of %.2g; %s" % (name, kind, np.abs(fake - y).max(), np.abs(y).max(), verdict))


# ---- PyTorch ------------------------------------------------------------------------------------


def residual_network(eager):
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.stem_bn, self.relu = nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
            self.body, self.body_bn = nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
            self.shortcut, self.last, self.pool = nn.Conv2d(8, 16, 1, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Linear(16, 10)
            if eager:
                self.sum = torch.ao.nn.quantized.FloatFunctional()

        def forward(self, x):
            x = self.relu(self.stem_bn(self.stem(x)))
            y, z = self.body_bn(self.body(x)), self.shortcut(x)
            return self.fc(torch.flatten(self.pool(self.last(self.sum.add(y, z) if eager else y + z)), 1))
    torch.manual_seed(0)
    return Network()


def eager_qat(engine, x):
    import torch
    import torch.ao.quantization as q
    network = torch.nn.Sequential(q.QuantStub(), residual_network(True), q.DeQuantStub()).train()
    network.qconfig = q.get_default_qat_qconfig(engine, version=0)
    q.fuse_modules_qat(network[1], [["stem", "stem_bn", "relu"], ["body", "body_bn"]], inplace=True)
    q.prepare_qat(network, inplace=True)
    for _ in range(6):
        network(torch.randn_like(x))
    network.eval().apply(q.disable_observer)
    torch.onnx.export(network, x, "p.onnx", dynamo=False, opset_version=17, input_names=["x"], output_names=["y"])
    return network


def pt2e(x):
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86
    network = torch.export.export(residual_network(False).eval(), (x,)).module()
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    network = prepare_pt2e(network, quantizer)
    for _ in range(6):
        network(torch.randn_like(x))
    network = convert_pt2e(network)
    torch.onnx.export(network, (x,), "p.onnx", dynamo=True, input_names=["x"], output_names=["y"])
    return network


def compare_pytorch():
    import torch
    torch.manual_seed(1)
    x = torch.randn(64, 3, 32, 32)
    for name, make in (("eager, fbgemm", lambda: eager_qat("fbgemm", x)), ("eager, qnnpack", lambda: eager_qat("qnnpack", x)),
                       ("PT2E", lambda: pt2e(x))):
        with torch.no_grad():
            y = make()(x).numpy()
        mine, network = infer("p.onnx", {"x": x.numpy()}), "p.onnx"
        d = np.abs(mine - y)
        print("%s: %d of %d outputs differ, by %.2g of %.2g at most, same class %.2f %%" %
              (name, (d > 1e-6).sum(), d.size, d.max(), np.abs(y).max(), 100 * np.mean(mine.argmax(1) == y.argmax(1))))
        if integers(network)[0] is None:
            np.savez("data.npz", inputs=x.numpy(), labels=y.argmax(1))
            for words in (["edit", network, "--editor", "harmonise-adds", "--editor", "interpose-quantizers", "--recipe", "pact8"],
                          ["calibrate", "more.onnx", "--data", "npz:data.npz", "--partition", "train"]):
                done, error = truq(*words, "-o", "more.onnx")
                if done is None:
                    sys.exit(error)
            network = "more.onnx"
            print("    a quantiser at its addition is added")
        true, error = integers(network)
        print("   ", truq("verify", true)[0].strip().split("\n")[-1] if true else error)


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("runtime", choices=["onnxruntime", "tflite", "brevitas", "pytorch"])
    p.add_argument("model", nargs="?", help="onnxruntime: a float network that reads RGB from 0 to 255")
    p.add_argument("--images", help="onnxruntime: archive to calibrate with")
    p.add_argument("--test", help="onnxruntime: archive to compare on")
    p.add_argument("-n", type=int, default=512, help="images to compare on")
    p.add_argument("--truq", default="build/truq")
    p.add_argument("--work", default="build/runtimes", help="folder for what is made on the way")
    o = p.parse_args()
    if o.runtime == "onnxruntime" and not (o.model and o.images and o.test):
        p.error("onnxruntime needs MODEL, --images and --test")
    for name in ("truq", "model", "images", "test"):
        if getattr(o, name):
            setattr(o, name, os.path.abspath(getattr(o, name)))
    return o


if __name__ == "__main__":
    options = parse()
    os.makedirs(options.work, exist_ok=True)
    os.chdir(options.work)
    {"onnxruntime": compare_onnxruntime, "tflite": compare_tflite, "brevitas": compare_brevitas,
     "pytorch": compare_pytorch}[options.runtime]()
