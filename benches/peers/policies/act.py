"""Whole ACT inferences of one checkpoint: sinew, ONNX Runtime, LeRobot (PyTorch eager).

    python act.py SINEW CHECKPOINT [--threads N] [--rounds N] [--seconds S]

Each round gives each program the same time, in alternating order; the figures are medians over rounds of a round's median, and the
ratios are medians of per-round ratios. ONNX Runtime runs a model exported from LeRobot's own network with the checkpoint's weights;
its output is compared with LeRobot's first. Preprocessing (bytes to normalised values) is part of sinew's time only.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("sinew")
parser.add_argument("checkpoint")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--seconds", type=float, default=3.0)
parser.add_argument("--precision", default="f32")
arguments = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(arguments.threads)

import numpy
import onnxruntime
import torch
from lerobot.policies.act.modeling_act import ACTPolicy

torch.set_num_threads(arguments.threads)
policy = ACTPolicy.from_pretrained(arguments.checkpoint)
policy.eval().to("cpu")
features = policy.config.image_features
state_size = policy.config.robot_state_feature.shape[0]
generator = torch.Generator().manual_seed(0)
state = torch.randn(1, state_size, generator=generator)
images = [torch.randn(1, *feature.shape, generator=generator) for feature in features.values()]


class Chunk(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, state, *images):
        return self.model({"observation.state": state, "observation.images": list(images)})[0]


wrapped = Chunk(policy.model).eval()
with torch.no_grad():
    expected = wrapped(state, *images)
names = ["state"] + [f"image{index}" for index in range(len(images))]
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "act.onnx")
    torch.onnx.export(wrapped, (state, *images), path, input_names=names, opset_version=17, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
feed = {name: tensor.numpy() for name, tensor in zip(names, [state, *images])}
got = session.run(None, feed)[0]
difference = float(numpy.abs(got - expected.numpy()).max())
assert difference < 1e-3, difference


def timed(call):
    call()
    times, begin, processor = [], time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < arguments.seconds or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times), (time.process_time() - processor) / len(times) * 1e3


def sinew():
    command = [arguments.sinew, "policy", "bench", arguments.checkpoint, "--format", "json"]
    command += ["--seconds", str(arguments.seconds), "--threads", str(arguments.threads)]
    command += ["--precision", arguments.precision]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return report["bench"]["latency"]["p50_us"] / 1e3, report["bench"]["processor_ms"]


def eager():
    with torch.inference_mode():
        wrapped(state, *images)


programs = {
    "sinew": sinew,
    "onnxruntime": lambda: timed(lambda: session.run(None, feed)),
    "lerobot": lambda: timed(eager),
}
rounds = []
for number in range(arguments.rounds):
    order = list(programs) if number % 2 == 0 else list(programs)[::-1]
    rounds.append({name: programs[name]() for name in order})
    print(", ".join("{} {:.1f} ms ({:.1f} ms)".format(name, *rounds[-1][name]) for name in programs), flush=True)
print(f"threads {arguments.threads}, load {os.getloadavg()}, onnxruntime {onnxruntime.__version__}, torch {torch.__version__}")
print(f"largest difference of onnxruntime from lerobot: {difference:.1e}")
for name in programs:
    wall, processor = (statistics.median(r[name][i] for r in rounds) for i in range(2))
    print(f"{name:12} {wall:8.1f} ms, processor time {processor:8.1f} ms")
for peer in ["onnxruntime", "lerobot"]:
    wall, processor = (statistics.median(r["sinew"][i] / r[peer][i] for r in rounds) for i in range(2))
    print(f"sinew / {peer}: {wall:.2f}, processor time {processor:.2f}")
