"""Whole ACT inferences of one checkpoint: sinew, ONNX Runtime, LeRobot (PyTorch eager).

    python act.py SINEW CHECKPOINT [--threads N] [--rounds N] [--seconds S] [--precision f32|bf16]

ONNX Runtime runs a model exported from LeRobot's own network with the checkpoint's weights; its output is compared with LeRobot's
first. Preprocessing (bytes to normalised values) is part of sinew's time only.
"""

import os
import tempfile

import rounds

arguments = rounds.arguments("sinew", "checkpoint")

import numpy
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
    session = rounds.session(path, arguments.threads)
feed = {name: tensor.numpy() for name, tensor in zip(names, [state, *images])}
difference = float(numpy.abs(session.run(None, feed)[0] - expected.numpy()).max())
print(f"largest difference of ONNX Runtime from LeRobot: {difference:.1e}")
assert difference < 1e-3


def eager():
    with torch.inference_mode():
        wrapped(state, *images)


rounds.compare(
    {
        "sinew": lambda: rounds.sinew(arguments.sinew, arguments.checkpoint, arguments),
        "onnxruntime": lambda: rounds.timed(lambda: session.run(None, feed), arguments.seconds),
        "lerobot": lambda: rounds.timed(eager, arguments.seconds),
    },
    arguments,
)
