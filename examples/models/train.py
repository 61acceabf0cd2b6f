"""Trains the digits classifier that Kiln ships and writes it as ONNX, in float and in int8.

    python -m venv venv && venv/bin/pip install numpy scikit-learn onnx onnxruntime
    venv/bin/python examples/models/train.py

Everything is plain numpy, so that the script installs in seconds: im2col convolutions, batch normalization, Adam.
The seed is fixed; another BLAS may round differently, and then gives another network of the same accuracy.
"""

import os
import pathlib
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(20)
EPOCHS, BATCH, RATE = 60, 32, 4e-3
EPSILON = 1e-5


# --- layers: each has forward(x, training) and backward(dy), and lists its parameters with their gradients ---------------


class Conv:
    """3x3 convolution, padding 1, without bias (a batch normalization follows)."""

    def __init__(self, inputs, outputs):
        self.weight = RNG.normal(0, np.sqrt(2 / (9 * inputs)), (outputs, inputs, 3, 3)).astype(np.float32)

    def forward(self, x, training):
        self.patches = patches(x)
        return np.einsum("nihwyx,oiyx->nohw", self.patches, self.weight, optimize=True)

    def backward(self, dy):
        self.grads = [np.einsum("nohw,nihwyx->oiyx", dy, self.patches, optimize=True)]
        turned = self.weight[:, :, ::-1, ::-1]
        return np.einsum("nohwyx,oiyx->nihw", patches(dy), turned, optimize=True)

    def params(self):
        return [self.weight]


class BatchNorm:
    def __init__(self, channels):
        self.scale = np.ones(channels, np.float32)
        self.bias = np.zeros(channels, np.float32)
        self.mean = np.zeros(channels, np.float32)
        self.var = np.ones(channels, np.float32)

    def forward(self, x, training):
        if training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            self.mean += 0.1 * (mean - self.mean)
            self.var += 0.1 * (var - self.var)
        else:
            mean, var = self.mean, self.var
        self.inverse = 1 / np.sqrt(var + EPSILON)
        self.normal = (x - wide(mean)) * wide(self.inverse)
        return self.normal * wide(self.scale) + wide(self.bias)

    def backward(self, dy):
        self.grads = [(dy * self.normal).sum((0, 2, 3)), dy.sum((0, 2, 3))]
        count = dy.shape[0] * dy.shape[2] * dy.shape[3]
        centred = dy - wide(self.grads[1] / count) - self.normal * wide(self.grads[0] / count)
        return centred * wide(self.scale * self.inverse)

    def params(self):
        return [self.scale, self.bias]


class Relu:
    def forward(self, x, training):
        self.positive = x > 0
        return x * self.positive

    def backward(self, dy):
        return dy * self.positive

    def params(self):
        return []


class MaxPool:
    """2x2, stride 2."""

    def forward(self, x, training):
        n, c, h, w = x.shape
        tiles = x.reshape(n, c, h // 2, 2, w // 2, 2)
        y = tiles.max((3, 5), keepdims=True)
        self.shape, self.chosen = x.shape, tiles == y
        return y.reshape(n, c, h // 2, w // 2)

    def backward(self, dy):
        return (self.chosen * dy[:, :, :, None, :, None]).reshape(self.shape)

    def params(self):
        return []


class Dense:
    """Flatten and a fully connected layer."""

    def __init__(self, inputs, outputs):
        self.weight = RNG.normal(0, np.sqrt(1 / inputs), (outputs, inputs)).astype(np.float32)
        self.bias = np.zeros(outputs, np.float32)

    def forward(self, x, training):
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        return self.x @ self.weight.T + self.bias

    def backward(self, dy):
        self.grads = [dy.T @ self.x, dy.sum(0)]
        return (dy @ self.weight).reshape(self.shape)

    def params(self):
        return [self.weight, self.bias]


def patches(x):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))


def wide(channels):
    return channels[None, :, None, None]


# --- training -----------------------------------------------------------------------------------------------------------


def train(layers, x, y):
    params = [p for layer in layers for p in layer.params()]
    first, second = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    steps, step = EPOCHS * (len(x) // BATCH), 0
    for _ in range(EPOCHS):
        order = RNG.permutation(len(x))
        for start in range(0, len(x) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            step += 1
            dy = softmax(forward(layers, shifted(x[chosen]), True))
            dy[np.arange(BATCH), y[chosen]] -= 1
            dy /= BATCH
            for layer in reversed(layers):
                dy = layer.backward(dy)
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            grads = [g for layer in layers if layer.params() for g in layer.grads]
            for p, g, m, v in zip(params, grads, first, second):
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p -= rate * (m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8) + 1e-4 * p)


def forward(layers, x, training):
    for layer in layers:
        x = layer.forward(x, training)
    return x


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def shifted(x):
    """Each image moved by up to one pixel in each direction."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moves = RNG.integers(0, 3, (len(x), 2))
    return np.stack([image[:, dy : dy + 8, dx : dx + 8] for image, (dy, dx) in zip(padded, moves)])


# --- export -------------------------------------------------------------------------------------------------------------


def export(layers, path):
    """Writes the network the way PyTorch's exporter lays it out: NCHW, batch normalizations left in place."""
    nodes, tensors, counts, value = [], [], {}, "input"

    def weight(name, array):
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def node(op, module, inputs, **attributes):
        nonlocal value
        name = f"/{module}/{op}"
        nodes.append(helper.make_node(op, inputs, [f"{name}_output_0"], name, **attributes))
        value = f"{name}_output_0"

    for layer in layers:
        kind = type(layer).__name__
        counts[kind] = counts.get(kind, 0) + 1
        module = {"Conv": "conv", "BatchNorm": "bn", "Relu": "relu", "MaxPool": "pool", "Dense": "fc"}[kind]
        module += str(counts[kind])
        if kind == "Conv":
            inputs = [value, weight(f"{module}.weight", layer.weight)]
            node("Conv", module, inputs, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1], dilations=[1, 1], group=1)
        elif kind == "BatchNorm":
            parts = {"weight": layer.scale, "bias": layer.bias, "running_mean": layer.mean, "running_var": layer.var}
            inputs = [value] + [weight(f"{module}.{part}", array) for part, array in parts.items()]
            node("BatchNormalization", module, inputs, epsilon=EPSILON)
        elif kind == "Relu":
            node("Relu", module, [value])
        elif kind == "MaxPool":
            node("MaxPool", module, [value], kernel_shape=[2, 2], strides=[2, 2])
        else:
            node("Flatten", "flatten", [value], axis=1)
            inputs = [value, weight(f"{module}.weight", layer.weight), weight(f"{module}.bias", layer.bias)]
            node("Gemm", module, inputs, transB=1)
    nodes.append(helper.make_node("Softmax", [value], ["probabilities"], "/Softmax", axis=1))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 10])],
        tensors,
        doc_string="Handwritten digits, 8x8 pixels from 0 to 1",
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name="kiln examples/models/train.py")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def quantize(source, target, images):
    """ONNX Runtime's static quantization: QDQ form, int8 activations, int8 weights with a scale per output channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self):
            self.rest = iter(images)

        def get_next(self):
            image = next(self.rest, None)
            return None if image is None else {"input": image[None]}

    with tempfile.TemporaryDirectory() as folder:
        prepared = os.path.join(folder, "prepared.onnx")
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Images(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
    model = onnx.load(target)
    onnx.checker.check_model(model, full_check=True)


def accuracy(path, x, y):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options)
    found = [session.run(None, {"input": image[None]})[0].argmax() for image in x]
    return (np.array(found) == y).mean()


def main():
    data = load_digits()
    x, y = (data.images[:, None] / 16).astype(np.float32), data.target.astype(np.int64)
    x, x_test, y, y_test = train_test_split(x, y, test_size=360, random_state=7, stratify=y)
    layers = [Conv(1, 8), BatchNorm(8), Relu(), Conv(8, 16), BatchNorm(16), Relu(), MaxPool()]
    layers += [Conv(16, 24), BatchNorm(24), Relu(), MaxPool(), Dense(24 * 2 * 2, 10)]
    train(layers, x, y)

    export(layers, HERE / "digits.onnx")
    quantize(str(HERE / "digits.onnx"), str(HERE / "digits.int8.onnx"), x[:200])
    np.savez_compressed(HERE / "digits.npz", x=x_test, y=y_test)
    np.savez_compressed(HERE / "digits.calib.npz", x=x[:200])
    # The first nine is one of the six images that the network misreads; the third it reads without doubt.
    sample = np.flatnonzero(y_test == 9)[2]
    np.save(HERE / "digit.npy", x_test[sample : sample + 1])
    print("parameters", sum(p.size for layer in layers for p in layer.params()))
    for name in ["digits.onnx", "digits.int8.onnx"]:
        print(f"{name} {os.path.getsize(HERE / name)} bytes, accuracy {100 * accuracy(str(HERE / name), x_test, y_test):.2f} %")


if __name__ == "__main__":
    main()
