#!/usr/bin/env python3
"""How time and memory grow with images, batch and depth: docs/growth.svg, and a table on standard output.

  bench/growth.py [TRUQ] [SVG]

Each quantity goes over three decades; the exponent is that of the power law between its last two decades
(1: linear, 0: constant), where what a process costs whatever it does no longer counts. Only the standard
library is needed."""
import json, math, os, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRUQ = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(HERE, "build", "truq")
SVG = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "docs", "growth.svg")
ROUNDS = 3
DEEP = """name: deep
input: [16, 16, 16]
classes: 10
layers:
  - repeat: %d
    name: b
    layers:
      - Conv: { name: c, channels: 16, kernel_shape: 3, pads: same, bias: false }
      - BatchNormalization
      - Relu
      - Add: { from: [previous, begin] }
  - GlobalAveragePool
  - Flatten: { axis: 1 }
  - Gemm: { name: logits, channels: classes }
"""


def run(*words):
    return subprocess.run([TRUQ, *map(str, words)], check=True, capture_output=True, text=True).stdout


def bench(*words):
    """Seconds of a round and megabytes, the least of a few runs each."""
    results = [json.loads(run("bench", *words, "-t", 2, "--json")) for _ in range(ROUNDS)]
    return min(r["min_ms"] for r in results) / 1e3, min(r["peak_rss_mb"] for r in results)


def command(*words):
    def once():
        start = time.perf_counter()
        process = subprocess.Popen([TRUQ, *map(str, words)], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, words
        return time.perf_counter() - start, usage.ru_maxrss / 1024

    results = [once() for _ in range(ROUNDS)]
    return min(r[0] for r in results), min(r[1] for r in results)


def measure():
    """(what, unit of the x axis, [(x, seconds, megabytes)])"""
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        run("zoo", "resnet8", "-o", path("float.onnx"))
        run("f2f", path("float.onnx"), "--recipe", "pact8", "-o", path("fake.onnx"))
        images = [32, 100, 320, 1000, 3200, 10000, 32000]
        yield "calibration of ResNet8", "images", [(n, *bench(path("fake.onnx"), "--ptq", "-b", 32, "-n", n, "--seconds", 0.5)) for n in images]
        batches = [4, 16, 40, 160, 400, 1600, 4000]
        yield "QAT step of ResNet8", "batch", [(n, *bench(path("fake.onnx"), "--train", "-b", n, "--seconds", 1)) for n in batches]
        depths, steps, f2f = [1, 3, 10, 30, 100, 300, 1000], [], []
        for depth in depths:
            with open(path("deep.yaml"), "w") as file:
                file.write(DEEP % depth)
            run("zoo", "--from", path("deep.yaml"), "-o", path("deep.onnx"))
            f2f.append((depth, *command("f2f", path("deep.onnx"), "--recipe", "pact8", "-o", path("deep.fake.onnx"))))
            steps.append((depth, *bench(path("deep.fake.onnx"), "--train", "-b", 16, "--seconds", 1)))
        yield "QAT step of a chain of residual layers", "layers", steps
        yield "f2f of the chain: load, edit, save", "layers", f2f


def exponent(points, column):
    (x0, *a), (x1, *b) = next(p for p in points if p[0] * 100 >= points[-1][0]), points[-1]
    return math.log(b[column] / a[column]) / math.log(x1 / x0)


# ---- picture: one panel a quantity, both axes logarithmic -------------------------------------------
WIDTH, HEIGHT, GAP = 300, 220, 60


def ticks(low, high):
    return [10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def text_of(v):
    return f"{v:g}" if 1e-3 <= v < 1e5 else f"1e{round(math.log10(v))}"


def panel(left, top, title, unit, xs, ys, y_unit, y_exponent):
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))
    if len(y_ticks) < 2:
        y_ticks.append(y_ticks[0] * 10)
    at = lambda v, t, size: size * math.log(v / t[0]) / math.log(t[-1] / t[0])
    x = lambda v: left + at(v, x_ticks, WIDTH)
    y = lambda v: top + HEIGHT - at(v, y_ticks, HEIGHT)
    out = [f'<text x="{left}" y="{top - 10}" font-weight="bold">{title}: {y_unit}, exponent {y_exponent:.2f}</text>']
    for v in x_ticks:
        out.append(f'<path d="M{x(v):.1f} {top}V{top + HEIGHT}" stroke="#ddd"/><text x="{x(v):.1f}" y="{top + HEIGHT + 15}" text-anchor="middle">{text_of(v)}</text>')
    for v in y_ticks:
        out.append(f'<path d="M{left} {y(v):.1f}H{left + WIDTH}" stroke="#ddd"/><text x="{left - 5}" y="{y(v) + 4:.1f}" text-anchor="end">{text_of(v)}</text>')
    out.append('<polyline fill="none" stroke="#06c" stroke-width="2" points="' + " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(xs, ys)) + '"/>')
    out += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="#06c"/>' for a, b in zip(xs, ys)]
    out.append(f'<text x="{left + WIDTH}" y="{top + HEIGHT + 30}" text-anchor="end">{unit}</text>')
    return out


def main():
    out, rows = [], 0
    print("| what | over | time grows with exponent | memory with | from | to |\n| --- | --- | --- | --- | --- | --- |")
    for what, unit, points in measure():
        top = 40 + rows * (HEIGHT + GAP)
        xs = [p[0] for p in points]
        for column, name, left in ((0, "seconds", 60), (1, "megabytes", 140 + WIDTH)):
            out += panel(left, top, what, unit, xs, [p[1 + column] for p in points], name, exponent(points, column))
        rows += 1
        ends = [f"{p[0]} {unit}: {p[1] * 1e3:.3g} ms, {p[2]:.0f} MB" for p in (points[0], points[-1])]
        print(f"| {what} | {unit} | {exponent(points, 0):.2f} | {exponent(points, 1):.2f} | {ends[0]} | {ends[1]} |", flush=True)
    size = f'width="{2 * WIDTH + 180}" height="{rows * (HEIGHT + GAP) + 40}"'
    with open(SVG, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(out) + "\n</svg>\n")


main()
