#!/usr/bin/env python3
"""Kiln's quantization against ONNX Runtime's `quantize_static`, on the same calibration and test data.

usage: compare_quantization.py ZOO [--kiln KILN] [--only NAME,NAME] [--method METHOD]

ZOO is a folder of model folders with `model.onnx`, and `calib.npz` (array x) and `testset.npz` (arrays x, y) where there are
labelled data. Two models without labels get random inputs: 32 of numpy's RandomState(0) for calibration, 16 of
RandomState(1) for the test. Needs from PyPI: numpy, onnx, onnxruntime.

Every figure comes from ONNX Runtime with graph optimisation switched off, Kiln's too: it runs the `.int8.onnx` file that
`kiln quantize` writes. Output SNR in dB: 10 log10(sum y^2 / sum (y - q)^2) over all test samples. ONNX Runtime's row is its
method of the best SNR.
"""
import argparse
import contextlib
import io
import logging
import os
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

logging.disable(logging.WARNING)
ort.set_default_logger_severity(3)
RANDOM = ["mlkws__DS_CNN_S", "tinymaix__mbnet96_0.25"]
METHODS = ["MinMax", "Entropy", "Percentile"]


class Reader(CalibrationDataReader):
    def __init__(self, name, xs):
        self.it = iter([{name: x} for x in xs])

    def get_next(self):
        return next(self.it, None)


def session(path):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path, xs):
    s = session(path)
    name = s.get_inputs()[0].name
    return np.stack([np.asarray(s.run(None, {name: x})[0]).reshape(-1) for x in xs]).astype(np.float64)


def snr(y, q):
    noise = ((y - q) ** 2).sum()
    return float("inf") if noise == 0 else 10 * np.log10((y**2).sum() / noise)


def right(out, labels):
    return "-" if labels is None else f"{int((out.argmax(1) == labels).sum())}/{len(labels)}"


def peer(model, calibration, test, reference, folder, methods, per_channel):
    """(SNR, method, outputs) of ONNX Runtime's best method."""
    prepared = os.path.join(folder, "prepared.onnx")
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    name = session(model).get_inputs()[0].name
    best = None
    for method in methods:
        for pc in per_channel:
            path = os.path.join(folder, "peer.onnx")
            with contextlib.redirect_stdout(io.StringIO()):
                quantize_static(prepared, path, Reader(name, calibration), quant_format=QuantFormat.QDQ, per_channel=pc,
                                activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
                                calibrate_method=CalibrationMethod[method])
            out = run(path, test)
            row = (snr(reference, out), method + (", per channel" if pc else ""), out)
            best = row if best is None or row[0] > best[0] else best
    return best


def kiln(program, model, calibration, test, folder, method):
    """(seconds, outputs) of the file that `kiln quantize` writes."""
    copy, data = os.path.join(folder, "model.onnx"), os.path.join(folder, "calibration.npz")
    with open(model, "rb") as source, open(copy, "wb") as target:
        target.write(source.read())
    np.savez(data, **{session(model).get_inputs()[0].name.replace("/", "_"): np.concatenate(calibration)})
    start = time.time()
    subprocess.run([program, "quantize", copy, "--calibrate", data, "--method", method], check=True,
                   stdout=subprocess.DEVNULL)
    return time.time() - start, run(os.path.join(folder, "model.int8.onnx"), test)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("zoo")
    parser.add_argument("--kiln", default="kiln", help="the kiln program")
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--method", default="auto")
    args = parser.parse_args()
    only = [n for n in args.only.split(",") if n]
    print("| model | float | ONNX Runtime: best method | SNR, dB | right | Kiln: SNR, dB | right | seconds |")
    print("|---|--:|---|--:|--:|--:|--:|--:|")
    for name in sorted(os.listdir(args.zoo)):
        folder = os.path.join(args.zoo, name)
        model = os.path.join(folder, "model.onnx")
        labelled = all(os.path.exists(os.path.join(folder, f)) for f in ("calib.npz", "testset.npz"))
        if (only and name not in only) or not (labelled or name in RANDOM):
            continue
        if labelled:
            c, t = np.load(os.path.join(folder, "calib.npz"))["x"], np.load(os.path.join(folder, "testset.npz"))
            calibration, test, labels = [c[i:i + 1] for i in range(len(c))], [x[None] for x in t["x"]], t["y"]
        else:
            shape = session(model).get_inputs()[0].shape
            draw = lambda seed, n: [r.standard_normal(shape).astype(np.float32)
                                    for r in [np.random.RandomState(seed)] for _ in range(n)]
            calibration, test, labels = draw(0, 32), draw(1, 16), None
        reference = run(model, test)
        with tempfile.TemporaryDirectory() as work:
            methods, pcs = (METHODS, [False, True]) if labelled else (["MinMax"], [True])
            theirs = peer(model, calibration, test, reference, work, methods, pcs)
            try:
                seconds, out = kiln(args.kiln, model, calibration, test, work, args.method)
                ours = f"{snr(reference, out):.2f} | {right(out, labels)} | {seconds:.1f}"
            except subprocess.CalledProcessError:
                ours = "not supported | - | -"
        print(f"| {name} | {right(reference, labels)} | {theirs[1]} | {theirs[0]:.2f} | {right(theirs[2], labels)} "
              f"| {ours} |", flush=True)


main()
