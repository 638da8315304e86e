"""Reads a LeRobotDataset v3.0 without any of our code and checks that it is what it says.

    python dataset_pyarrow.py DATASET

Needs pyarrow 26.0.1, numpy 2.2.6, pillow 13.0.0 and, for datasets with videos, av 15.1.0.
Make a dataset with `cargo run -p sinew-episodes --example write_dataset -- DATASET`.
"""

import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
passed = 0
failed = 0


def check(what, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what} {detail}")


def close(a, b, tolerance=1e-9):
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= tolerance * np.maximum(1.0, np.abs(b))))


def sampled(frames):
    """Which frames' images the statistics look at."""
    wanted = max(int(frames**0.75), min(frames, 100))
    if wanted <= 1:
        return list(range(wanted))
    step = (frames - 1) / (wanted - 1)
    return [math.floor(i * step + 0.5) for i in range(wanted)]


def statistics(values):
    """min, max, mean, population std and quantiles over axis 0, of what is finite."""
    columns = [values[np.isfinite(values[:, i]), i] for i in range(values.shape[1])]
    found = {
        "min": [c.min() for c in columns],
        "max": [c.max() for c in columns],
        "mean": [c.mean() for c in columns],
        "std": [c.std() for c in columns],
    }
    for name, q in QUANTILES.items():
        found[name] = [np.quantile(c, q) for c in columns]
    return found


def read_files(folder):
    paths = sorted(folder.glob("*/*.parquet"))
    return paths, [pq.read_table(p) for p in paths]


def arrow_type(feature):
    if feature["dtype"] == "image":
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    scalar = pa.from_numpy_dtype(np.dtype(feature["dtype"]))
    return scalar if feature["shape"] == [1] else pa.list_(scalar)


def check_table(path, table, features):
    stored = {k: f for k, f in features.items() if f["dtype"] != "video"}
    check(f"{path.name}: columns are the features, in order", table.column_names == list(stored), table.column_names)
    for key, feature in stored.items():
        expected = arrow_type(feature)
        found = table.schema.field(key).type
        if pa.types.is_fixed_size_list(found):
            found = pa.list_(found.value_type)
        check(f"{path.name}: type of {key}", found == expected, f"{found} != {expected}")
        check(f"{path.name}: {key} has no nulls", table.column(key).null_count == 0)
    metadata = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    declared = metadata.get("info", {}).get("features", {})
    check(f"{path.name}: huggingface metadata names the columns", list(declared) == list(stored))
    for key, feature in stored.items():
        entry = declared.get(key, {})
        if feature["dtype"] == "image":
            good = entry == {"_type": "Image"}
        elif feature["shape"] == [1]:
            good = entry == {"dtype": feature["dtype"], "_type": "Value"}
        else:
            inner = {"dtype": feature["dtype"], "_type": "Value"}
            good = entry == {"feature": inner, "length": feature["shape"][0], "_type": "List"}
        check(f"{path.name}: huggingface metadata of {key}", good, entry)


def decode_images(table, key, feature):
    height, width, channels = feature["shape"]
    images = []
    for row in table.column(key).to_pylist():
        picture = Image.open(io.BytesIO(row["bytes"]))
        check(f"{key}: is a PNG", picture.format == "PNG", picture.format)
        images.append(np.asarray(picture.convert("RGB")))
    shapes = {image.shape for image in images}
    check(f"{key}: every image has the declared shape", shapes == {(height, width, channels)}, shapes)
    return images


def check_video(root, info, episodes, key):
    import av

    template = info["video_path"]
    for episode in episodes:
        prefix = f"videos/{key}/"
        path = root / template.format(
            video_key=key,
            chunk_index=episode[prefix + "chunk_index"],
            file_index=episode[prefix + "file_index"],
        )
        with av.open(str(path)) as container:
            times = [float(frame.time) for frame in container.decode(video=0)]
        start = episode[prefix + "from_timestamp"]
        for index in range(episode["length"]):
            wanted = start + index / info["fps"]
            nearest = min(abs(time - wanted) for time in times)
            check(f"{key}: episode {episode['episode_index']} frame {index}", nearest < 1e-4, nearest)


def main(root):
    info = json.loads((root / "meta/info.json").read_text())
    features = info["features"]
    ours = "sinew" in info
    check("version", info["codebase_version"] == "v3.0")
    check("splits", info["splits"] == {"train": f"0:{info['total_episodes']}"})

    meta_paths, meta_tables = read_files(root / "meta/episodes")
    episodes = [row for table in meta_tables for row in table.to_pylist()]
    check("total_episodes", len(episodes) == info["total_episodes"], len(episodes))
    check("total_frames", sum(e["length"] for e in episodes) == info["total_frames"])
    check("row i is episode i", [e["episode_index"] for e in episodes] == list(range(len(episodes))))
    if ours:
        check("one metadata file per episode", len(meta_paths) == len(episodes), len(meta_paths))
        names = [str(path.relative_to(root / "meta/episodes")) for path in meta_paths]
        expected = [f"chunk-{i // 1000:03d}/file-{i % 1000:03d}.parquet" for i in range(len(episodes))]
        check("metadata files are numbered", names == expected, names)

    tasks = pq.read_table(root / "meta/tasks.parquet")
    pandas_metadata = json.loads((tasks.schema.metadata or {}).get(b"pandas", b"{}"))
    check("task is the index of tasks.parquet", pandas_metadata.get("index_columns") == ["task"])
    by_index = {row["task_index"]: row["task"] for row in tasks.to_pylist()}
    check("total_tasks", len(by_index) == info["total_tasks"] and sorted(by_index) == list(range(len(by_index))))

    data_paths, data_tables = read_files(root / "data")
    for path, table in zip(data_paths, data_tables):
        check_table(path, table, features)
    columns = [t.replace_schema_metadata(None) for t in data_tables]
    data = pa.concat_tables(columns)
    check("rows of the data files", data.num_rows == info["total_frames"], data.num_rows)
    check("index counts", data.column("index").to_pylist() == list(range(data.num_rows)))

    stats = json.loads((root / "meta/stats.json").read_text())
    seen = {}
    start = 0
    for episode in episodes:
        number, length = episode["episode_index"], episode["length"]
        check(f"episode {number}: range", (episode["dataset_from_index"], episode["dataset_to_index"]) == (start, start + length))
        table = data.slice(start, length)
        start += length
        if ours:
            path = root / info["data_path"].format(
                chunk_index=episode["data/chunk_index"], file_index=episode["data/file_index"]
            )
            check(f"episode {number}: its own file", pq.read_metadata(path).num_rows == length)
        check(f"episode {number}: episode_index", set(table.column("episode_index").to_pylist()) == {number})
        check(f"episode {number}: frame_index", table.column("frame_index").to_pylist() == list(range(length)))
        check(f"episode {number}: tasks", {by_index[i] for i in table.column("task_index").to_pylist()} == set(episode["tasks"]))
        timestamps = np.array(table.column("timestamp").to_pylist(), dtype=np.float32)
        check(f"episode {number}: timestamps", np.array_equal(timestamps, (np.arange(length) / info["fps"]).astype(np.float32)))
        for key, feature in features.items():
            prefix = f"stats/{key}/"
            if feature["dtype"] == "video":
                continue
            if feature["dtype"] == "image":
                images = decode_images(table, key, feature)
                chosen = [images[i] for i in sampled(length)]
                values = np.stack(chosen).reshape(-1, 3).astype(np.float64) / 255.0
                count, shape = len(chosen), (3, 1, 1)
            else:
                values = np.array(table.column(key).to_pylist(), dtype=np.float64).reshape(length, -1)
                check(f"{key}: width", values.shape[1] == int(np.prod(feature["shape"])))
                count, shape = length, (values.shape[1],)
            if not ours:
                continue
            found = statistics(values)
            check(f"episode {number}: {key} count", episode[prefix + "count"] == [count])
            for name, expected in found.items():
                stored = np.array(episode[prefix + name])
                good = close(stored, np.reshape(expected, shape))
                check(f"episode {number}: {key} {name}", good, f"{stored.tolist()} != {expected}")
            seen.setdefault(key, []).append((count, found, shape))

    check("episodes cover the data", start == data.num_rows)
    if ours:
        check("statistics for every feature", list(stats) == list(features), list(stats))
    for key, parts in seen.items():
        counts = np.array([count for count, _, _ in parts], dtype=np.float64)
        total, shape = counts.sum(), parts[0][2]

        def weighted(lists):
            return np.tensordot(counts, np.array(lists), axes=1) / total

        means = np.array([found["mean"] for _, found, _ in parts])
        mean = weighted(means)
        spread = [np.square(found["std"]) + np.square(np.array(found["mean"]) - mean) for _, found, _ in parts]
        whole = {
            "min": np.min([found["min"] for _, found, _ in parts], axis=0),
            "max": np.max([found["max"] for _, found, _ in parts], axis=0),
            "mean": mean,
            "std": np.sqrt(weighted(spread)),
        }
        for name in QUANTILES:
            whole[name] = weighted([found[name] for _, found, _ in parts])
        check(f"{key}: count of the dataset", stats[key]["count"] == [int(total)])
        for name, expected in whole.items():
            stored = np.array(stats[key][name])
            # Times in ns: squares of deviations lose half of the digits.
            good = close(stored, np.reshape(expected, shape), 1e-7 if name == "std" else 1e-9)
            check(f"{key}: {name} of the dataset", good, f"{stored.tolist()} != {expected}")

    for key, feature in features.items():
        if feature["dtype"] == "video":
            check_video(root, info, episodes, key)
    if ours:
        units = info["sinew"]["units"]
        names = [name.removesuffix(".pos") for name in features["observation.state"]["names"]]
        check("a unit for every joint", list(units) == names, units)

    print(f"{len(episodes)} episodes, {data.num_rows} frames, {len(features)} features")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: dataset_pyarrow.py DATASET")
    sys.exit(main(Path(sys.argv[1])))
