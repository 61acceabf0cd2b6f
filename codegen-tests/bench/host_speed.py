#!/usr/bin/env python3
"""Latency of one inference on this machine, one thread: generated code against ONNX Runtime, in turns.

    pip install onnxruntime
    python3 codegen-tests/bench/host_speed.py MODEL.onnx ...

Runs `kiln bench --target host` (set KILN to the command; default: target/release/kiln or target/debug/kiln) and ONNX Runtime
on seeded random inputs, ROUNDS times in turns, and prints in microseconds the least that each of them took, then the median of the
medians. The least is what the code can do; the median is what a busy machine leaves of it.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
import onnxruntime

ROUNDS = 5
ROOT = pathlib.Path(__file__).resolve().parents[2]
TYPES = {"tensor(float)": numpy.float32, "tensor(int8)": numpy.int8, "tensor(uint8)": numpy.uint8}


def kiln():
    if "KILN" in os.environ:
        return os.environ["KILN"]
    built = [ROOT / "target" / profile / "kiln" for profile in ("release", "debug")]
    return next((str(path) for path in built if path.exists()), "kiln")


def generated(model):
    command = [kiln(), "bench", model, "--target", "host", "--json"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert result["matches_host"]
    return result["least_us"], result["median_us"]


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def peer(session):
    random = numpy.random.RandomState(0)
    inputs = {}
    for port in session.get_inputs():
        shape = [extent if isinstance(extent, int) else 1 for extent in port.shape]
        inputs[port.name] = (random.standard_normal(shape) * 30).astype(TYPES[port.type])
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < 1:
        before = time.perf_counter_ns()
        session.run(None, inputs)
        times.append((time.perf_counter_ns() - before) / 1e3)
    return min(times), statistics.median(times)


def main(models):
    print("model\tkiln_least\tonnxruntime_least\tratio\tkiln_median\tonnxruntime_median\tratio")
    for model in models:
        runtime = session(model)
        rounds = [generated(model) + peer(runtime) for _ in range(ROUNDS)]
        least, median, peer_least, peer_median = zip(*rounds)
        figures = [min(least), min(peer_least), statistics.median(median), statistics.median(peer_median)]
        a, b, c, d = figures
        name = pathlib.Path(model).parent.name
        print(f"{name}\t{a:.1f}\t{b:.1f}\t{b / a:.2f}\t{c:.1f}\t{d:.1f}\t{d / c:.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
