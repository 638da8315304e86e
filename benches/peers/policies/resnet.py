"""ResNet-18 alone: sinew, ONNX Runtime, PyTorch eager (torchvision's network with random weights).

    python resnet.py SINEW HEIGHT WIDTH [--threads N] [--rounds N] [--seconds S]

In sinew it is the encoder of a VINN policy with one remembered moment, so that hardly anything is added to the network: bytes to
normalised values, and the distance of the features to that moment. The moment remembered is the image that is shown here, encoded
by PyTorch.
"""

import json
import os
import tempfile

import rounds

arguments = rounds.arguments("sinew", "height", "width")
size = [int(arguments.height), int(arguments.width)]

import numpy
import torch
import torchvision
from safetensors.torch import save_file

torch.manual_seed(0)
torch.set_num_threads(arguments.threads)
network = torchvision.models.resnet18(weights=None)
network.fc = torch.nn.Identity()
for module in network.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.running_mean.normal_(0, 0.1)
        module.running_var.uniform_(0.5, 1.5)
network.eval()
image = torch.randn(1, 3, *size)
with torch.no_grad():
    features = network(image)

folder = tempfile.TemporaryDirectory()
onnx = os.path.join(folder.name, "resnet.onnx")
torch.onnx.export(network, image, onnx, input_names=["image"], opset_version=17, dynamo=False)
session = rounds.session(onnx, arguments.threads)
feed = {"image": image.numpy()}
difference = float(numpy.abs(session.run(None, feed)[0] - features.numpy()).max() / features.abs().max())
print(f"largest relative difference of ONNX Runtime from PyTorch: {difference:.1e}")
assert difference < 1e-3

checkpoint = os.path.join(folder.name, "vinn")
os.mkdir(checkpoint)
config = {
    "type": "vinn",
    "input_features": {
        "observation.state": {"type": "STATE", "shape": [1]},
        "observation.images.top": {"type": "VISUAL", "shape": [3, *size]},
    },
    "output_features": {"action": {"type": "ACTION", "shape": [1]}},
    "normalization_mapping": {"VISUAL": "IDENTITY", "STATE": "IDENTITY", "ACTION": "IDENTITY"},
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "vision_backbone": "resnet18",
    "chunk_size": 1,
    "n_action_steps": 1,
    "neighbors": 1,
    "state_weight": 0.1,
    "state_distance": "raw",
    "camera_weights": {"observation.images.top": 1.0},
    "sinew": {"backbone_per_camera": True, "colors": "rgb"},
}
with open(os.path.join(checkpoint, "config.json"), "w") as file:
    json.dump(config, file)
weights = {f"model.backbones.0.{name}": value.contiguous() for name, value in network.state_dict().items()}
save_file({name: value for name, value in weights.items() if "num_batches" not in name}, os.path.join(checkpoint, "model.safetensors"))
moment = {"features": features.contiguous(), "states": torch.zeros(1, 1), "actions": torch.zeros(1, 1)}
save_file(moment, os.path.join(checkpoint, "memory.safetensors"), metadata={"episode_lengths": "1"})


def eager():
    with torch.inference_mode():
        network(image)


rounds.compare(
    {
        "sinew": lambda: rounds.sinew(arguments.sinew, checkpoint, arguments),
        "onnxruntime": lambda: rounds.timed(lambda: session.run(None, feed), arguments.seconds),
        "pytorch": lambda: rounds.timed(eager, arguments.seconds),
    },
    arguments,
)
