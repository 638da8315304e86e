"""Writes the networks of the comparison, each as ONNX and as safetensors with PyTorch's names: make_models.py DIR

Needs onnx, numpy and safetensors. Weights are uniform as PyTorch initialises them, from a fixed seed.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

OPSET = 21
INPUTS, OUTPUTS = 3, 1


def uniform(random, scale, *shape):
    return random.uniform(-scale, scale, shape).astype(np.float32)


def swapped(gates, hidden):
    """PyTorch has the gates reset, update, new; ONNX has update, reset, hidden."""
    reset, update, new = gates[:hidden], gates[hidden : 2 * hidden], gates[2 * hidden :]
    return np.concatenate([update, reset, new])


def save(folder, name, nodes, inputs, outputs, constants, tensors):
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs],
        [numpy_helper.from_array(value, n) for n, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / f"{name}.onnx")
    save_file(tensors, folder / f"{name}.safetensors")


def gru(folder, layers, hidden, rows):
    random = np.random.default_rng(layers * 1000 + hidden)
    scale = 1 / np.sqrt(hidden)
    tensors, constants, nodes, inputs, outputs = {}, {}, [], [("x", [1, rows, INPUTS])], []
    below = "x"
    for layer in range(layers):
        width = INPUTS if layer == 0 else hidden
        weight_ih = uniform(random, scale, 3 * hidden, width)
        weight_hh = uniform(random, scale, 3 * hidden, hidden)
        bias_ih = uniform(random, scale, 3 * hidden)
        bias_hh = uniform(random, scale, 3 * hidden)
        tensors |= {
            f"gru.weight_ih_l{layer}": weight_ih,
            f"gru.weight_hh_l{layer}": weight_hh,
            f"gru.bias_ih_l{layer}": bias_ih,
            f"gru.bias_hh_l{layer}": bias_hh,
        }
        constants |= {
            f"W{layer}": swapped(weight_ih, hidden)[None],
            f"R{layer}": swapped(weight_hh, hidden)[None],
            f"B{layer}": np.concatenate([swapped(bias_ih, hidden), swapped(bias_hh, hidden)])[None],
        }
        names = [below, f"W{layer}", f"R{layer}", f"B{layer}", "", f"h{layer}"]
        nodes.append(
            helper.make_node("GRU", names, ["", f"next{layer}"], hidden_size=hidden, linear_before_reset=1)
        )
        # The last state is all that one step gives: [1, rows, hidden], as the next layer wants it.
        below = f"next{layer}"
        inputs.append((f"h{layer}", [1, rows, hidden]))
        outputs.append((f"next{layer}", [1, rows, hidden]))
    weight, bias = uniform(random, scale, OUTPUTS, hidden), uniform(random, scale, OUTPUTS)
    tensors |= {"linear.weight": weight, "linear.bias": bias}
    constants |= {"weight": weight, "bias": bias, "flat": np.array([rows, hidden], np.int64)}
    nodes += [
        helper.make_node("Reshape", [below, "flat"], ["last"]),
        helper.make_node("Gemm", ["last", "weight", "bias"], ["y"], transB=1),
    ]
    name = f"gru-{layers}x{hidden}" + (f"-rows{rows}" if rows > 1 else "")
    save(folder, name, nodes, inputs, [("y", [rows, OUTPUTS])] + outputs, constants, tensors)


def mlp(folder, widths):
    random = np.random.default_rng(5)
    tensors, constants, nodes, below = {}, {}, [], "x"
    last = len(widths) - 2
    for layer, (width, outputs) in enumerate(zip(widths, widths[1:])):
        weight = uniform(random, np.sqrt(3 / width), outputs, width)
        bias = uniform(random, 0.1, outputs)
        tensors |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
        constants |= {f"W{layer}": weight, f"b{layer}": bias}
        result = "y" if layer == last else f"sum{layer}"
        nodes.append(helper.make_node("Gemm", [below, f"W{layer}", f"b{layer}"], [result], transB=1))
        if layer < last:
            below = f"elu{layer}"
            nodes.append(helper.make_node("Elu", [result], [below]))
    save(folder, "mlp", nodes, [("x", [1, widths[0]])], [("y", [1, widths[-1]])], constants, tensors)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for hidden in (128, 256):
        for layers in (1, 2):
            gru(target, layers, hidden, 1)
    gru(target, 2, 128, 12)
    gru(target, 1, 64, 12)
    mlp(target, [48, 512, 256, 128, 12])
