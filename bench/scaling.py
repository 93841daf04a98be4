#!/usr/bin/env python3
"""How a training step would take on 2 .. 1,024 ranks: a cost model, measured here, checked here.

  bench/scaling.py [TRUQ]            prints the tables of docs/scaling.md

Measured with `truq bench --train --json`, alone and under mpirun: what of a step lies in shards (ranks
share it) and what every rank does (weights are snapped, packed and updated everywhere), the messages of
a step, and the link (alpha: seconds a message takes to start, beta: seconds a byte). Then

  T(R) = serial + shards(R) + sums * L (alpha + beta * bytes of one) + gathers + exposed,  L = ceil(log2 R)

Gradients of weights travel in the background, up and down the tree: 2 beta bytes and 2 L alpha for each
part of 256 KB. What the backward pass (2/3 of the shards) does not hide is exposed, and always the last
bucket; between ranks of one machine nothing is hidden, for the cores that compute also copy. That is the
time where all ranks are equally fast. In truth each sum waits for the slowest: with steps that vary by
sigma, n sums a step and R ranks, sigma sqrt(n) sqrt(2 ln R) more (the largest of R normal numbers), where
sigma is the difference between the median and the least step here. Only the standard library is needed."""
import json, math, os, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRUQ = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(HERE, "build", "truq")
ROUNDS = 5
PART, BUCKET = 256 << 10, 1 << 20
LINKS = {"100 Gb/s InfiniBand": (2e-6, 1 / 12.5e9), "10 Gb/s Ethernet": (20e-6, 1 / 1.25e9)}
NETS = [("ResNet8", ["resnet8"], 64), ("MobileNetV1-0.75, 128 x 128", ["mobilenet_v1", "--capacity", "0.75", "--input", "3x128x128"], 16)]


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def mpirun(n):
    flags = ["-q", "--oversubscribe", "--bind-to", "none"] if "Open MPI" in run(["mpirun", "--version"]) else []
    return ["mpirun", *flags, *(["--allow-run-as-root"] if flags and os.geteuid() == 0 else []), "-n", str(n)]


def bench(model, batch, ranks, threads=1):
    command = [TRUQ, "bench", model, "--train", "-b", str(batch), "-t", str(threads), "--seconds", "2", "--json"]
    return json.loads(run((mpirun(ranks) if ranks > 1 else []) + command))


def bench_all(model, batch):
    """By (ranks, threads): the fastest of some runs, each of which took its turn with the others; and by how much two ranks took
    longer than two threads, round by round."""
    kinds = [(1, 1), (1, 2), (2, 1), (4, 1)]
    rounds = [{k: bench(model, batch, *k) for k in kinds} for _ in range(ROUNDS)]
    fastest = {k: min((r[k] for r in rounds), key=lambda r: r["min_ms"]) for k in kinds}
    return fastest, sorted(r[2, 1]["min_ms"] / r[1, 2]["min_ms"] for r in rounds)


class Step:
    """A step of `batch` images on one rank, in seconds, and what it sends."""

    def __init__(self, alone, shared):
        self.shards = alone["shards_ms"] * 1e-3
        self.serial = alone["min_ms"] * 1e-3 - self.shards
        self.sigma = (alone["med_ms"] - alone["min_ms"]) * 1e-3
        self.sums, self.sum_bytes = shared["sums"], shared["sum_bytes"]
        self.bucket_bytes = shared["bucket_bytes"]
        self.gathers, self.gather_bytes = shared["gathers"], shared["gather_bytes"]

    def exchange(self, ranks, shards, alpha, beta, hidden):
        if ranks == 1:
            return 0.0
        levels = math.ceil(math.log2(ranks))
        small = self.sums * levels * (alpha + beta * self.sum_bytes / self.sums)
        gather = self.gathers * levels * alpha + beta * self.gather_bytes
        travel = lambda size: 2 * beta * size + 2 * levels * alpha * max(1.0, size / PART)
        last = travel(min(BUCKET, self.bucket_bytes))
        exposed = max(last, travel(self.bucket_bytes) - hidden * shards)
        return small + gather + exposed

    def waits(self, ranks):
        return self.sigma * math.sqrt(self.sums) * math.sqrt(2 * math.log(ranks))

    def time(self, ranks, alpha, beta, share=1.0, busy=1.0, hidden=2 / 3):
        """share: of the images of one rank here; busy: how much slower a core is beside others; hidden: the part of the shards
        during which messages travel."""
        shards = self.shards * share * busy
        return self.serial * busy + shards + self.exchange(ranks, shards, alpha, beta, hidden)


def check(name, step, alone, runs, two, ratios):
    """Ranks on the cores of this machine: more ranks than cores take turns."""
    cores, busy = os.cpu_count(), two["shards_ms"] * 2 / alone["shards_ms"]
    print(f"| {name} | 1 | {alone['min_ms']:.1f} ms | {alone['min_ms']:.1f} ms | |")
    for ranks, r in runs.items():
        turns = max(1, ranks / cores)
        alpha, beta = r["alpha_us"] * 1e-6, r["beta_ns_per_byte"] * 1e-9
        t = turns * step.time(ranks, alpha, beta, 1 / ranks, busy, hidden=0.0) * 1e3
        print(f"| | {ranks} | {r['min_ms']:.1f} ms | {t:.1f} ms | {100 * (t / r['min_ms'] - 1):+.0f} % |")
    print(f"| | 1, two threads | {two['min_ms']:.1f} ms | | two ranks take {ratios[len(ratios) // 2]:.2f} times that ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")


def predict(name, step, link):
    alpha, beta = LINKS[link]
    for ranks in (1, 2, 4, 8, 16, 64, 256, 1024):
        alone, weak = step.time(1, 0, 0), step.time(ranks, alpha, beta)
        uneven = weak + step.waits(ranks)
        print(f"| {name if ranks == 1 else ''} | {ranks} | {weak * 1e3:.1f} ms | {100 * alone / weak:.0f} % | {100 * alone / uneven:.0f} % |")


def main():
    if not shutil.which("mpirun"):
        sys.exit("scaling: mpirun is not installed")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, zoo, batch in NETS:
            net, fake = os.path.join(folder, "net.onnx"), os.path.join(folder, "fake.onnx")
            run([TRUQ, "zoo", *zoo, "-o", net])
            run([TRUQ, "f2f", net, "--recipe", "pact8", "-o", fake])
            found, ratios = bench_all(fake, batch)
            alone, two, runs = found[1, 1], found[1, 2], {n: found[n, 1] for n in (2, 4)}
            results.append((name, Step(alone, runs[2]), alone, runs, two, batch, ratios))
    print("| network | ranks | measured | model | model is off |\n| --- | --- | --- | --- | --- |")
    for name, step, alone, runs, two, _, ratios in results:
        check(name, step, alone, runs, two, ratios)
    print("\n| network, images a rank | in shards | by every rank | sums a step | gradients | alpha | beta |\n|" + " --- |" * 7)
    for name, step, _, runs, _, batch, _ in results:
        r = runs[2]
        print(f"| {name}, {batch} | {step.shards * 1e3:.1f} ms | {step.serial * 1e3:.1f} ms | {step.sums:.0f} of {step.sum_bytes / step.sums / 1e3:.1f} KB | "
              f"{step.bucket_bytes / 1e6:.2f} MB | {r['alpha_us']:.2f} us | {r['beta_ns_per_byte']:.3f} ns |")
    for link in LINKS:
        alpha, beta = LINKS[link]
        print(f"\n{link} (alpha {alpha * 1e6:.0f} us, beta {beta * 1e9:.2f} ns), one core a rank, so many images a rank:\n")
        print("| network | ranks | step | efficiency | with uneven ranks |\n| --- | --- | --- | --- | --- |")
        for name, step, _, _, _, batch, _ in results:
            predict(f"{name}, {batch} a rank", step, link)


main()
