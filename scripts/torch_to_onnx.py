#!/usr/bin/env python3
"""Exports a PyTorch module to ONNX with its scopes as node names: the convolution of `layer1.0.conv1` is the node
`layer1.0.conv1`, so that filters, recipes and `truq show` speak of modules as their author does.

    scripts/torch_to_onnx.py torchvision.models:resnet18 --input 3x224x224 -o resnet18.onnx
    scripts/torch_to_onnx.py net.py:make_network --args '{"classes": 10}' --weights net.pth --input 3x32x32 -o net.onnx

SOURCE is MODULE:NAME or FILE.py:NAME; NAME is a function or class that makes the module, or the module itself. The network is exported
in inference mode, opset 17, the batch free; batch norms stay (truq folds them itself), parameters keep their names. Several
inputs: --input once for each. Needs torch and onnx. The code of SOURCE is run: give it only what you trust."""
import argparse
import importlib
import importlib.util
import json
import re
import sys


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("source", help="MODULE:NAME or FILE.py:NAME")
    p.add_argument("--input", action="append", required=True, metavar="CxHxW", help="sizes without the batch")
    p.add_argument("--args", default="{}", help="keyword arguments of NAME, as JSON")
    p.add_argument("--weights", metavar="FILE", help="a state_dict, loaded without running code")
    p.add_argument("--opset", type=int, default=17)
    p.add_argument("--static-batch", action="store_true", help="a batch of 1 instead of any")
    p.add_argument("-o", "--output", required=True)
    return p.parse_args()


def load(source):
    """The object that SOURCE names."""
    place, _, name = source.rpartition(":")
    if not place:
        sys.exit("torch_to_onnx: SOURCE is MODULE:NAME or FILE.py:NAME, not '%s'" % source)
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location("network", place)
        if spec is None:
            sys.exit("torch_to_onnx: cannot read '%s'" % place)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    if not hasattr(module, name):
        sys.exit("torch_to_onnx: '%s' has no '%s'" % (place, name))
    return getattr(module, name)


def build(args):
    import torch

    made = load(args.source)
    network = made if isinstance(made, torch.nn.Module) else made(**json.loads(args.args))
    if args.weights:
        state = torch.load(args.weights, map_location="cpu", weights_only=True)
        for key in ("state_dict", "model_state_dict", "model"):
            if isinstance(state, dict) and isinstance(state.get(key), dict):
                state = state[key]
                break
        network.load_state_dict({re.sub(r"^module\.", "", k): v for k, v in state.items()})
    return network.eval()


def sizes(text):
    if not re.fullmatch(r"\d+([xX]\d+)*", text):
        sys.exit("torch_to_onnx: --input takes CxHxW such as 3x32x32, not '%s'" % text)
    return [int(n) for n in re.split("[xX]", text)]


def scope_of(name, op):
    """'/layer2/layer2.0/downsample/downsample.0/Conv' is 'layer2.0.downsample.0': a part repeats the end of the scope that it
    goes on from, or is the next step."""
    scope = ""
    for part in name.strip("/").split("/")[:-1]:
        steps = scope.split(".")
        tails = [".".join(steps[i:]) for i in range(len(steps))]  # the longest first
        tail = next((t for t in tails if t and part.startswith(t + ".")), None)
        if tail:
            scope = scope[: len(scope) - len(tail)] + part
        else:
            scope = scope + "." + part if scope else part
    return scope or re.sub(r"\W+", "_", name.strip("/")) or op.lower()


def separate(model):
    """The exporter keeps one of several equal parameters and makes the others from it: each gets its own values again."""
    constants = {c.name: c for c in model.graph.initializer}
    copies = [n for n in model.graph.node if n.op_type == "Identity" and n.input[0] in constants]
    for node in copies:
        copy = model.graph.initializer.add()
        copy.CopyFrom(constants[node.input[0]])
        copy.name = node.output[0]
        model.graph.node.remove(node)


def rename(model):
    """Dotted scopes as names; of several nodes in one scope the linear one has the name alone, the others their operator behind it."""
    linear = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization")
    wanted = [scope_of(n.name, n.op_type) for n in model.graph.node]
    owner = {}
    for i, node in enumerate(model.graph.node):
        if wanted[i] not in owner or (node.op_type in linear and model.graph.node[owner[wanted[i]]].op_type not in linear):
            owner[wanted[i]] = i
    taken = set(owner)
    for i, node in enumerate(model.graph.node):
        name = wanted[i]
        if owner[name] != i:
            base = name = "%s.%s" % (name, node.op_type.lower())
            n = 2
            while name in taken:
                name = "%s_%d" % (base, n)
                n += 1
        taken.add(name)
        node.name = name


def main():
    args = parse()
    import onnx
    import torch

    network = build(args)
    inputs = tuple(torch.zeros([1] + sizes(text)) for text in args.input)
    names = ["input"] if len(inputs) == 1 else ["input%d" % i for i in range(len(inputs))]
    with torch.no_grad():
        outputs = network(*inputs)
    n_outputs = 1 if isinstance(outputs, torch.Tensor) else len(outputs)
    out_names = ["output"] if n_outputs == 1 else ["output%d" % i for i in range(n_outputs)]
    axes = None if args.static_batch else {n: {0: "N"} for n in names + out_names}
    options = dict(opset_version=args.opset, input_names=names, output_names=out_names, dynamic_axes=axes,
                   do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    try:
        torch.onnx.export(network, inputs, args.output, dynamo=False, **options)
    except TypeError:  # before torch.export there was one exporter
        torch.onnx.export(network, inputs, args.output, **options)
    model = onnx.load(args.output)
    separate(model)
    rename(model)
    onnx.checker.check_model(model)
    onnx.save(model, args.output)
    print("wrote %s: %d nodes" % (args.output, len(model.graph.node)))


if __name__ == "__main__":
    main()
