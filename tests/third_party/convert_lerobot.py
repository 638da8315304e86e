"""Converts a checkpoint of the original ACT programs and lets LeRobot 0.6.1 load and run the result.

    python convert_lerobot.py SINEW [FOLDER]

SINEW is the binary. The checkpoint has full size and random weights: LeRobot's own network under the
original's names. Checked are every tensor, the normalisation, and sinew's actions against LeRobot's.
Needs Python 3.12 and `pip install lerobot==0.6.1`; run by hand, not in CI.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from safetensors.numpy import save_file

HEIGHT, WIDTH, STATE, ACTION = 96, 128, 14, 16
CAMERAS = ("top", "wrist")
# Beginnings of names: LeRobot's, the original's.
NAMES = [
    ("backbone.", "backbones.0.0.body."),
    ("vae_encoder.layers.", "encoder.layers."),
    ("vae_encoder_pos_enc", "pos_table"),
    ("vae_encoder_cls_embed.", "cls_embed."),
    ("vae_encoder_action_input_proj.", "encoder_action_proj."),
    ("vae_encoder_robot_state_input_proj.", "encoder_joint_proj."),
    ("vae_encoder_latent_output_proj.", "latent_proj."),
    ("encoder.", "transformer.encoder."),
    ("decoder.", "transformer.decoder."),
    ("decoder_pos_embed.", "query_embed."),
    ("encoder_img_feat_input_proj.", "input_proj."),
    ("encoder_robot_state_input_proj.", "input_proj_robot_state."),
    ("encoder_latent_input_proj.", "latent_out_proj."),
    ("encoder_1d_feature_pos_embed.", "additional_pos_embed."),
    ("action_head.", "action_head."),
]

failed = 0


def check(what, good, detail=""):
    global failed
    failed += not good
    print("ok  " if good else "FAIL", what, detail)


def original(name):
    rest = name.removeprefix("model.")
    for ours, theirs in NAMES:
        if rest.startswith(ours):
            return "model." + theirs + rest.removeprefix(ours)
    raise KeyError(name)


def write_original(folder, random):
    images = {f"observation.images.{c}": PolicyFeature(FeatureType.VISUAL, (3, HEIGHT, WIDTH)) for c in CAMERAS}
    state = {"observation.state": PolicyFeature(FeatureType.STATE, (STATE,))}
    action = {"action": PolicyFeature(FeatureType.ACTION, (ACTION,))}
    config = ACTConfig(
        chunk_size=20,
        n_action_steps=20,
        device="cpu",
        pretrained_backbone_weights=None,
        input_features=state | images,
        output_features=action,
    )
    weights = ACTPolicy(config).state_dict()
    for tensor in weights.values():
        if tensor.dim() == 1:
            tensor.add_(torch.rand_like(tensor) * 0.1)
    renamed = {original(name): tensor.clone() for name, tensor in weights.items()}
    first = "model.transformer.decoder.layers.0."
    for name in [name for name in renamed if name.startswith(first)]:
        for layer in range(1, 7):
            other = name.replace(first, first.replace("0.", f"{layer}."))
            renamed[other] = torch.randn_like(renamed[name])
    renamed["model.is_pad_head.weight"] = torch.randn(1, config.dim_model)
    renamed["model.is_pad_head.bias"] = torch.randn(1)
    torch.save(renamed, folder / "policy_best.ckpt")
    statistics = {}
    for name, size in (("qpos", STATE), ("action", ACTION)):
        statistics[f"{name}_mean"] = random.normal(size=size).astype("f4")
        statistics[f"{name}_std"] = random.uniform(0.1, 1, size).astype("f4")
    with open(folder / "dataset_stats.pkl", "wb") as file:
        pickle.dump(statistics, file)
    return weights, statistics


def main(sinew, folder):
    torch.manual_seed(1)
    random = np.random.default_rng(3)
    weights, statistics = write_original(folder, random)
    converted = folder / "converted"
    cameras = [argument for c in CAMERAS for argument in ("--camera", f"{c}={HEIGHT}x{WIDTH}")]
    command = [sinew, "policy", "convert", folder, "--out", converted, *cameras]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    policy = ACTPolicy.from_pretrained(converted, strict=True)
    policy.eval()
    loaded = policy.state_dict()
    same = set(loaded) == set(weights) and all(torch.equal(loaded[n], weights[n]) for n in weights)
    check("every tensor is what it was", same, f"{len(loaded)} tensors")

    before, after = make_pre_post_processors(policy.config, pretrained_path=str(converted))
    state = random.normal(size=STATE).astype("f4")
    images = {c: random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for c in CAMERAS}
    batch = {"observation.state": torch.tensor(state)}
    for camera, image in images.items():
        batch[f"observation.images.{camera}"] = torch.tensor(image).permute(2, 0, 1).float() / 255
    batch = before(batch)
    expected = (state - statistics["qpos_mean"]) / statistics["qpos_std"]
    check("positions are normalised as in the original", np.array_equal(batch["observation.state"][0], expected))
    with torch.no_grad():
        chunk = policy.predict_action_chunk(batch)
    actions = torch.stack([after(chunk[:, i]) for i in range(chunk.shape[1])], 1)
    expected = chunk.numpy() * statistics["action_std"] + statistics["action_mean"]
    check("actions are restored as in the original", np.array_equal(actions, expected))

    golden = {"in.raw.observation.state": state, "out.action_chunk": actions.numpy()}
    golden["out.action_chunk_normalized"] = chunk.numpy()
    golden |= {f"in.raw.observation.images.{c}": image for c, image in images.items()}
    save_file(golden, folder / "golden.safetensors")
    command = [sinew, "policy", "check", converted, "--golden", folder / "golden.safetensors"]
    check("sinew acts as LeRobot", subprocess.run(command).returncode == 0)

    turned = folder / "turned"
    command = [sinew, "policy", "convert", folder, "--out", turned, *cameras, "--colors", "bgr"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    try:
        ACTPolicy.from_pretrained(turned)
        check("LeRobot refuses what it would run wrongly", False)
    except Exception as error:
        check("LeRobot refuses what it would run wrongly", "sinew" in str(error), type(error).__name__)
    sys.exit(failed > 0)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(sys.argv[1], Path(sys.argv[2]))
    with tempfile.TemporaryDirectory() as temporary:
        main(sys.argv[1], Path(temporary))
