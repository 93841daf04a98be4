#!/usr/bin/env python3
"""Integer convolutions alone, batch 1, one thread: what part of the VNNI peak 1 x 1 and 3 x 3 layers reach, and
weights of 4, 3 and 2 bits beside those of 8, in the same run.

  bench/layers.py [TRUQ]             prints the table of docs/performance.md

A network is six equal convolutions with ReLU; the time of a layer is the median of the six. Peak is what the
built-in probe of `truq bench --layers` reaches in the same process. Only the standard library is needed."""
import os, re, statistics, subprocess, sys, tempfile

from random_npz import write

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRUQ = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(HERE, "build", "truq")
N_LAYERS, ROUNDS = 6, 3
SHAPES = [(64, 56), (96, 56), (128, 28), (192, 28), (256, 14), (384, 14), (512, 14), (512, 7)]
NETWORK = """name: layers
input: [%d, %d, %d]
classes: 10
layers:
  - repeat: %d
    name: b
    layers:
      - Conv: { name: c, channels: %d, kernel_shape: %d, pads: same, bias: false }
      - Relu
  - GlobalAveragePool
  - Flatten: { axis: 1 }
  - Gemm: { name: logits, channels: classes }
"""
RECIPE = "base: pact8\nrules:\n  - {slot: weight, range: i%d}\n"
BITS = [8, 4, 3, 2]


def run(*words):
    return subprocess.run([TRUQ, *map(str, words)], check=True, capture_output=True, text=True).stdout


def integers(folder, channels, size, kernel):
    """One true-quantised network for each width of weights."""
    path = lambda name: os.path.join(folder, name)
    with open(path("net.yaml"), "w") as file:
        file.write(NETWORK % (channels, size, size, N_LAYERS, channels, kernel))
    run("zoo", "--from", path("net.yaml"), "-o", path("float.onnx"))
    write(path("x.npz"), 2, channels, size, size)
    for bits in BITS:
        with open(path("recipe.yaml"), "w") as file:
            file.write(RECIPE % bits)
        run("f2f", path("float.onnx"), "--recipe", path("recipe.yaml"), "-o", path("fake.onnx"))
        run("calibrate", path("fake.onnx"), "--data", "npz:" + path("x.npz"), "-o", path("cal.onnx"))
        run("f2t", path("cal.onnx"), "-o", path(f"{bits}.onnx"))
        yield path(f"{bits}.onnx")


def layers(model):
    """(milliseconds, percent of the peak) of the convolutions."""
    lines = run("bench", model, "--layers", "-t", 1, "--seconds", 0.4).splitlines()
    rows = [re.search(r"fused convolution\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)", line) for line in lines]
    found = [(float(r[1]), float(r[3])) for r in rows if r][:N_LAYERS]
    return tuple(statistics.median(column) for column in zip(*found))


def main():
    print("| kernel | channels | image | 8 bits, us | of the peak | " + " | ".join(f"{b} bits, of the time of 8" for b in BITS[1:]) + " |")
    print("| --- " * (5 + len(BITS) - 1) + "|")
    for kernel in (1, 3):
        for channels, size in SHAPES:
            with tempfile.TemporaryDirectory() as folder:
                models = list(integers(folder, channels, size, kernel))
                times = [[layers(m) for m in models] for _ in range(ROUNDS)]
            best = [min(t[i][0] for t in times) for i in range(len(BITS))]
            peak = max(t[0][1] for t in times)
            ratios = " | ".join(f"{b / best[0]:.3f}" for b in best[1:])
            print(f"| {kernel} x {kernel} | {channels} | {size} x {size} | {best[0] * 1e3:.1f} | {peak:.1f} % | {ratios} |", flush=True)


main()
