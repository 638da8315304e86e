"""Steps of a diffusion U-Net: sinew, ONNX Runtime, LeRobot (PyTorch eager).

    python unet.py SINEW WIDTHS [--threads N] [--rounds N] [--seconds S] [--precision f32|bf16]

WIDTHS are the channels of the levels, for example 512,1024,2048. The policy is LeRobot's with random weights, horizon 16, a state of
two observations and no images. sinew and LeRobot sample a chunk in ten steps (DDIM), ONNX Runtime runs the network once: all times are
of one step. The output of ONNX Runtime is compared with LeRobot's first.
"""

import os
import tempfile

import rounds

arguments = rounds.arguments("sinew", "widths")

import numpy
import torch
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.factory import make_pre_post_processors

STEPS = 10
torch.manual_seed(0)
torch.set_num_threads(arguments.threads)
config = DiffusionConfig(
    device="cpu",
    push_to_hub=False,
    n_obs_steps=2,
    horizon=16,
    n_action_steps=8,
    down_dims=tuple(int(width) for width in arguments.widths.split(",")),
    noise_scheduler_type="DDIM",
    num_inference_steps=STEPS,
    input_features={
        "observation.state": PolicyFeature(FeatureType.STATE, (7,)),
        "observation.environment_state": PolicyFeature(FeatureType.ENV, (7,)),
    },
    output_features={"action": PolicyFeature(FeatureType.ACTION, (7,))},
    normalization_mapping={kind: NormalizationMode.MIN_MAX for kind in ["STATE", "ENV", "ACTION"]},
)
policy = DiffusionPolicy(config).eval()
print(f"{sum(parameter.numel() for parameter in policy.parameters()) / 1e6:.1f} million weights")
folder = tempfile.TemporaryDirectory()
checkpoint = os.path.join(folder.name, "diffusion")
policy.save_pretrained(checkpoint)
bounds = {"min": torch.full((7,), -1.0), "max": torch.full((7,), 1.0)}
statistics = {name: bounds for name in ["observation.state", "observation.environment_state", "action"]}
for processor in make_pre_post_processors(config, dataset_stats=statistics):
    processor.save_pretrained(checkpoint)

network = policy.diffusion.unet
sample, timestep, condition = torch.randn(1, 16, 7), torch.tensor([42]), torch.randn(1, 28)


class Step(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, sample, timestep, condition):
        return self.network(sample, timestep, global_cond=condition)


step = Step(network).eval()
with torch.no_grad():
    expected = step(sample, timestep, condition)
onnx = os.path.join(folder.name, "unet.onnx")
names = ["sample", "timestep", "condition"]
torch.onnx.export(step, (sample, timestep, condition), onnx, input_names=names, opset_version=17, dynamo=False)
session = rounds.session(onnx, arguments.threads)
feed = {name: tensor.numpy() for name, tensor in zip(names, [sample, timestep, condition])}
difference = float(numpy.abs(session.run(None, feed)[0] - expected.numpy()).max())
print(f"largest difference of ONNX Runtime from LeRobot: {difference:.1e}")
assert difference < 1e-3


def eager():
    with torch.inference_mode():
        policy.diffusion.conditional_sample(1, global_cond=condition)


def per_step(times):
    return times[0] / STEPS, times[1] / STEPS


programs = {
    "sinew": lambda: per_step(rounds.sinew(arguments.sinew, checkpoint, arguments)),
    "onnxruntime": lambda: rounds.timed(lambda: session.run(None, feed), arguments.seconds),
}
programs["lerobot"] = lambda: per_step(rounds.timed(eager, arguments.seconds))
rounds.compare(programs, arguments)
