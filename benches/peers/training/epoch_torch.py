"""Trains the network of a run again with PyTorch: the same windows, first weights and order of batches. Loss curves side by side.

Usage: python epoch_torch.py RUN [--threads N]

RUN is a folder of `sinew-tools actuator train` with mode "global", model.dropout 0 and no filter, such as

    sinew-tools actuator synthesize --out data/recipe --plant recipe --seconds 20
    sinew-tools actuator train configs/actuator/train-recipe.toml --set model.dropout=0.0 --set model.target=full --set training.max_epochs=4

Nothing of sinew's arithmetic is used: recordings are read, turned into features and normalised here, first weights and orders are drawn here
with the generator of `tools/src/actuator/random.rs`, and torch computes network, loss, clipping and AdamW. Of the run come the configuration, and
from split.json which windows are for what. Needs Python 3.11, numpy and torch.
"""

import argparse
import csv
import json
import math
import tomllib
from pathlib import Path

import numpy
import torch

MASK = (1 << 64) - 1


class Random:
    """SplitMix64 with a purpose, as sinew draws it."""

    def __init__(self, seed, purpose):
        self.state = seed
        self.state = self.next() ^ (purpose * 0xD1342543DE82EF95 & MASK)
        self.next()

    def next(self):
        self.state = self.state + 0x9E3779B97F4A7C15 & MASK
        bits = self.state
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & MASK
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & MASK
        return bits ^ bits >> 31

    def unit(self):
        return (self.next() >> 11) / (1 << 53)

    def shuffle(self, items):
        for last in range(len(items) - 1, 0, -1):
            other = self.next() % (last + 1)
            items[last], items[other] = items[other], items[last]


def read(file, data, inertia):
    """Features `[samples, 3]` and torque `[samples]` of a recording."""
    with open(file, newline="") as opened:
        header = [name.strip() for name in next(csv.reader(opened))]
        rows = numpy.loadtxt(opened, delimiter=",")
    column = lambda name: rows[:, header.index(name)]
    velocity = numpy.radians(column(data["gyro_axis"])) - data["gyro_bias_rad_s"]
    angle, target = numpy.radians(column("Encoder_Angle")), numpy.radians(column("Commanded_Angle"))
    torque = inertia * (column(data["acceleration_axis"]) - data["acceleration_bias_m_s2"]) / data["radius_m"]
    if "torque_limit_nm" in data:
        torque = torque.clip(-data["torque_limit_nm"], data["torque_limit_nm"])
    return numpy.stack([angle, target, velocity], axis=1), torque


def known(model, features):
    """PD control inside its curve, and the spring: what a residual is added to."""
    angle, target, velocity = features.T
    pd = model["pd"]
    assert pd["target_velocity"] == "zero"
    torque = pd["stiffness_nm_per_rad"] * (target - angle) - pd["damping_nm_s_per_rad"] * velocity
    if curve := model.get("torque_speed_curve"):
        stall = curve["stall_torque_nm"]
        along = stall * (1 - abs(velocity) / curve["no_load_speed_rad_s"]).clip(0, 1)
        torque = torque.clip(numpy.where(velocity < 0, -along, -stall), numpy.where(velocity > 0, along, stall))
    if spring := model.get("spring"):
        sign = {"seed": 1, "physical": -1}[spring["convention"]]
        torque = torque + sign * spring["stiffness_nm_per_rad"] * (angle - spring["rest_position_rad"])
    return torque


def windows(split, role):
    return [(index, first + count * split["stride"])
            for index, file in enumerate(split["files"])
            for first, following in file[role]
            for count in range(following)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = tomllib.loads((arguments.run / "config.toml").read_text())
    split = json.loads((arguments.run / "split.json").read_text())
    data, model, training = config["data"], config["model"], config["training"]
    assert config["mode"] == "global" and model["dropout"] == 0, "see the usage"
    assert not any(key.endswith("_hz") for key in data["filter"]), "filters are not computed here"
    assert "target_sampling_frequency_hz" not in data and not data["skip_start_s"] and not data["skip_end_s"]
    assert training["many_to_many"]

    inertia = {group["id"]: group["inertia_kg_m2"] for group in data["groups"]}
    files = [read(file["file"], data, inertia[file["group"]]) for file in split["files"]]
    steps, train, validation = split["steps"], windows(split, "train"), windows(split, "validation")
    pooled = numpy.concatenate([files[file][0][begin:begin + steps] for file, begin in train])
    torques = numpy.array([files[file][1][begin + steps - 1] for file, begin in train])
    mean, std = pooled.mean(axis=0), pooled.std(axis=0, ddof=1)
    torque_mean, torque_std = torques.mean(), torques.std(ddof=1)
    told = split["normalization"]
    for ours, theirs in [(told["input_mean"], mean), (told["input_std"], std), (told["target_mean"], torque_mean), (told["target_std"], torque_std)]:
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    print("statistics of the training windows: the same within 1e-9")

    base = [known(model, features) if model["target"] == "residual" else numpy.full(len(features), torque_mean) for features, _ in files]
    inputs = [torch.tensor((features - mean) / (std + 1e-7), dtype=torch.float32) for features, _ in files]
    targets = [torch.tensor((torque - below) / (torque_std + 1e-7), dtype=torch.float32) for (_, torque), below in zip(files, base)]

    gru = torch.nn.GRU(3, model["hidden"], model["layers"], batch_first=True)
    fc = torch.nn.Linear(model["hidden"], 1)
    parameters = [*gru.parameters(), *fc.parameters()]
    random, bound = Random(config["seed"], 0x1417), 1 / math.sqrt(model["hidden"])
    for parameter in parameters:
        drawn = [(2 * random.unit() - 1) * bound for _ in range(parameter.numel())]
        parameter.data = torch.tensor(drawn, dtype=torch.float32).reshape(parameter.shape)
    optimizer = torch.optim.AdamW(parameters, lr=training["learning_rate"], weight_decay=training["weight_decay"])

    batch, epochs = training["batch"], training["max_epochs"]
    batches = math.ceil(len(train) / batch)
    warm_up, total = round(training["warm_up_epochs"] * batches), epochs * batches

    def rate(step):
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * min((step - warm_up) / max(total - warm_up, 1), 1)))

    def outputs(chosen):
        x = torch.stack([inputs[file][begin:begin + steps] for file, begin in chosen])
        return fc(gru(x)[0])[..., 0]

    with open(arguments.run / "metrics.csv", newline="") as opened:
        ours = list(csv.DictReader(opened))
    print("epoch   loss, sinew     loss, torch     validation RMSE, sinew   validation RMSE, torch")
    for epoch in range(len(ours)):
        order = list(train)
        Random(config["seed"], 0xE000 + epoch).shuffle(order)
        losses = 0.0
        for number in range(batches):
            chosen = order[number * batch:(number + 1) * batch]
            for group in optimizer.param_groups:
                group["lr"] = training["learning_rate"] * rate(epoch * batches + number)
            y = torch.stack([targets[file][begin:begin + steps] for file, begin in chosen])
            error = outputs(chosen) - y
            loss = (error**2).mean()
            if steps > 1:
                loss = loss + training["difference_weight"] * ((error[:, 1:] - error[:, :-1]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, training["gradient_clip"])
            optimizer.step()
            losses += loss.item()
        squares = 0.0
        limit = model.get("effort_limit_nm", math.inf)
        with torch.no_grad():
            for begin in range(0, len(validation), 512):
                chosen = validation[begin:begin + 512]
                last = outputs(chosen)[:, -1].double().numpy() * (torque_std + 1e-7)
                for (file, first), residual in zip(chosen, last):
                    predicted = max(-limit, min(limit, residual + base[file][first + steps - 1]))
                    squares += (predicted - files[file][1][first + steps - 1]) ** 2
        rmse = math.sqrt(squares / len(validation))
        told = float(ours[epoch]["train_loss"]), float(ours[epoch]["val_rmse_epoch"])
        print(f"{epoch + 1:5}   {told[0]:<13.8f}   {losses / batches:<13.8f}   {told[1]:<22.8f}   {rmse:.8f}", flush=True)


if __name__ == "__main__":
    main()
