#!/usr/bin/env python3
"""Reads the event files of a training with TensorBoard itself and compares every scalar with metrics.csv.

    tensorboard_events.py RUN...

RUN is a folder that `sinew-tools actuator train` left; folds are found in it. Needs tensorboard 2.20.0. Exit code 0 if all are right.
"""

import csv
import sys
from pathlib import Path

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# A person's time is no curve.
NOT_WRITTEN = {"epoch", "seconds"}


def compare(folder):
    with open(folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows, f"{folder}: no epochs"
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    tags = set(events.Tags()["scalars"])
    expected = set(rows[0]) - NOT_WRITTEN
    assert tags == expected, f"{folder}: TensorBoard has {sorted(tags)}, metrics.csv {sorted(expected)}"
    count = 0
    for tag in sorted(tags):
        scalars = events.Scalars(tag)
        steps = [scalar.step for scalar in scalars]
        assert steps == [int(row["epoch"]) for row in rows], f"{folder}: {tag} has steps {steps}"
        for scalar, row in zip(scalars, rows):
            # Event files have 32 bits.
            assert numpy.float32(scalar.value) == numpy.float32(float(row[tag])), (
                f"{folder}: {tag} of epoch {row['epoch']} is {scalar.value}, metrics.csv has {row[tag]}"
            )
            assert scalar.wall_time > 1.6e9, f"{folder}: {tag} was written at {scalar.wall_time}"
            count += 1
    return count


def main():
    folders = [path.parent for run in sys.argv[1:] for path in sorted(Path(run).rglob("metrics.csv"))]
    if not folders:
        sys.exit(__doc__)
    for folder in folders:
        print(f"ok: {compare(folder)} scalars of {folder} as metrics.csv has them")


if __name__ == "__main__":
    main()
