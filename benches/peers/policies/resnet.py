"""ResNet-18 alone: sinew, ONNX Runtime, PyTorch eager (torchvision's network with random weights).

    python resnet.py SINEW HEIGHT WIDTH [--threads N] [--rounds N] [--seconds S]

In sinew it is the encoder of a VINN policy of one remembered moment, so that hardly anything is added to the network: bytes to
normalised values, the mean over the last map, and the distance to that moment. The features are compared first, through the
distance that sinew would have to find: see `check`.
"""

import json
import os
import tempfile

import rounds

arguments = rounds.arguments("sinew", "height", "width")
height, width = int(arguments.height), int(arguments.width)

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
image = torch.randn(1, 3, height, width)
folder = tempfile.TemporaryDirectory()
