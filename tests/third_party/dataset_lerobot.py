"""Opens a recorded dataset with LeRobot 0.6.1's own LeRobotDataset and compares every frame with
the parquet files.

    python dataset_lerobot.py DATASET

Needs Python 3.12 and `pip install "lerobot[dataset]==0.6.1"`; run by hand, not in CI.
"""

import io
import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.utils.feature_utils import dataset_to_policy_features
from PIL import Image

passed = 0
failed = 0


def check(what, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what} {detail}")


def main(root):
    print(f"lerobot {version('lerobot')}, torch {torch.__version__}, datasets {version('datasets')}, pyarrow {pa.__version__}")
    dataset = LeRobotDataset("sinew/recording", root=root)
    print(f"robot {dataset.meta.robot_type}, {dataset.num_episodes} episodes, {dataset.num_frames} frames, {dataset.fps} fps")
    print(f"tasks {dataset.meta.tasks.index.tolist()}")
    tables = [pq.read_table(p).replace_schema_metadata(None) for p in sorted((root / "data").glob("*/*.parquet"))]
    rows = pa.concat_tables(tables).to_pylist()
    check("length", len(dataset) == len(rows), f"{len(dataset)} != {len(rows)}")

    print("\nfirst frame:")
    first = dataset[0]
    for key, value in first.items():
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else repr(value)
        print(f"  {key:30} {getattr(value, 'dtype', ''):} {shape}")

    images = 0
    for index, row in enumerate(rows):
        item = dataset[index]
        for key, feature in dataset.meta.features.items():
            found = item[key].numpy()
            if feature["dtype"] == "image":
                pixels = np.asarray(Image.open(io.BytesIO(row[key]["bytes"])).convert("RGB"))
                expected = pixels.transpose(2, 0, 1).astype(np.float32) / 255.0
                images += 1
            else:
                expected = np.array(row[key], dtype=feature["dtype"])
            check(f"frame {index} {key}", found.shape == expected.shape and np.array_equal(found, expected))
    print(f"\nevery frame of every feature equals the parquet files ({len(rows)} frames, {images} images)")

    fps = dataset.fps
    deltas = {
        "observation.state": [-1 / fps, 0.0],
        "action": [i / fps for i in range(8)],
    }
    for key in dataset.meta.camera_keys:
        deltas[key] = [-1 / fps, 0.0]
    windows = LeRobotDataset("sinew/recording", root=root, delta_timestamps=deltas)
    loader = torch.utils.data.DataLoader(windows, batch_size=8, shuffle=False, num_workers=0)
    print("\nfirst batch of a DataLoader with delta_timestamps:")
    seen = 0
    for number, batch in enumerate(loader):
        if number == 0:
            for key, value in batch.items():
                if isinstance(value, torch.Tensor):
                    print(f"  {key:34} {value.dtype} {tuple(value.shape)}")
        for place in range(len(batch["index"])):
            index = int(batch["index"][place])
            episode = dataset.meta.episodes[int(batch["episode_index"][place])]
            low, high = episode["dataset_from_index"], episode["dataset_to_index"] - 1
            wanted = [min(max(index + d, low), high) for d in range(8)]
            expected = np.array([rows[i]["action"] for i in wanted], dtype=np.float32).reshape(8, -1)
            check(f"window of frame {index}", np.array_equal(batch["action"][place].reshape(8, -1).numpy(), expected))
            seen += 1
    check("the loader gives every frame", seen == len(rows), seen)

    policy = dataset_to_policy_features(dataset.meta.features)
    print("\nfeatures a policy would be trained on:")
    for key, feature in policy.items():
        print(f"  {key:30} {feature.type.name} {tuple(feature.shape)}")
    check("extra columns are not policy features", not any(key.startswith("sinew.") for key in policy))
    for key in policy:
        stats = dataset.meta.stats[key]
        check(f"statistics of {key}", {"min", "max", "mean", "std", "count", "q01", "q99"} <= set(stats))
    last = LeRobotDataset("sinew/recording", root=root, episodes=[dataset.num_episodes - 1])
    check("one episode alone", len(last) == dataset.meta.episodes[dataset.num_episodes - 1]["length"])

    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: dataset_lerobot.py DATASET")
    sys.exit(main(Path(sys.argv[1])))
