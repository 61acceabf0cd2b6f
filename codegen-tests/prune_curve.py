#!/usr/bin/env python3
"""Accuracy against multiply-accumulates kept, after `kiln prune` and by plain L1 norms without fitting: the table and the
picture of `compiler/docs/pruning.md`.

usage: prune_curve.py KILN OUT.svg NAME MODEL CALIBRATION.npz TEST.npz [NAME MODEL CALIBRATION TEST ...]

Prints the table. Float accuracy on the test set in percent. Needs nothing but Python.
"""
import json
import os
import subprocess
import sys
import tempfile

SHARES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
PLAIN = ["--importance", "l1", "--no-refit"]


def kiln(program, *arguments):
    return json.loads(subprocess.run([program, *arguments, "--json"], check=True, capture_output=True).stdout)


def point(program, model, calibration, test, share, flags):
    """(share of the multiply-accumulates, accuracy in percent)"""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "pruned.onnx")
        said = kiln(program, "prune", model, "--calibrate", calibration, "--flops", str(share), "-o", out, *flags)
        accuracy = kiln(program, "evaluate", out, "--data", test, "--reference", model)["compiled"]
        return said["macs_after"] / said["macs_before"], 100 * accuracy


def picture(curves):
    """The curves as SVG: the share of multiply-accumulates from 100 % on the left to 0, accuracy upwards."""
    width, height, left, top = 560, 300, 50, 20
    x, y = lambda share: left + (1 - share) * width, lambda a: top + (100 - a) / 100 * height
    colors = ["#1f6feb", "#d29922", "#2da44e", "#cf222e"]
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 90} {height + 70}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width + 90}" height="{height + 70}" fill="white"/>']
    for a in range(0, 101, 20):
        lines.append(f'<path d="M{left} {y(a):.1f}H{left + width}" stroke="#ddd"/><text x="{left - 8}" y="{y(a) + 4:.1f}" text-anchor="end">{a}</text>')
    for s in range(0, 101, 20):
        lines.append(f'<text x="{x(s / 100):.1f}" y="{top + height + 18}" text-anchor="middle">{s} %</text>')
    for i, (name, fitted, plain) in enumerate(curves):
        for points, dash in ((fitted, ""), (plain, ' stroke-dasharray="5 4"')):
            path = " ".join(f"{x(s):.1f},{y(a):.1f}" for s, a in points)
            lines.append(f'<polyline points="{path}" fill="none" stroke="{colors[i % 4]}" stroke-width="2"{dash}/>')
        lines.append(f'<text x="{left + 12}" y="{top + height - 34 + 16 * i - 16 * len(curves)}" fill="{colors[i % 4]}">{name}</text>')
    lines.append(f'<text x="{left + 12}" y="{top + height - 10}">dashed: plain L1, not fitted</text>')
    lines.append(f'<text x="{left + width / 2}" y="{top + height + 40}" text-anchor="middle">multiply-accumulates kept; accuracy in percent</text></svg>')
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) < 7 or (len(sys.argv) - 3) % 4:
        sys.exit(__doc__)
    program, out, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    curves = []
    print("| model | asked | kept | right | plain L1, not fitted: kept | right |\n|---|--:|--:|--:|--:|--:|")
    for at in range(0, len(rest), 4):
        name, model, calibration, test = rest[at:at + 4]
        fitted, plain = [], []
        for share in SHARES:
            fitted.append(point(program, model, calibration, test, share, []))
            plain.append(point(program, model, calibration, test, share, PLAIN))
            (s, a), (p, b) = fitted[-1], plain[-1]
            print(f"| {name} | {100 * share:.0f} % | {100 * s:.1f} % | {a:.2f} % | {100 * p:.1f} % | {b:.2f} % |", flush=True)
        curves.append((name, fitted, plain))
    with open(out, "w", encoding="utf-8") as file:
        file.write(picture(curves))


main()
