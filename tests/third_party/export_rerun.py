"""Opens an MCAP export with Rerun's own reader and compares what it would draw with the journal. By hand, not in .ci/run.

    python export_rerun.py RUN EXPORT

Needs rerun-sdk 0.41.0 beside what export_mcap.py needs.
"""

import math
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import rerun
from rerun.chunk import McapReader

from export_mcap import read_journal

failed = 0


def check(what, good):
    global failed
    failed += not good
    print(f"  {'ok' if good else 'FAILED':<6} {what}")


def rows(chunks, column):
    """(log time in ns, value) of every row that has one, in order of time."""
    found = []
    for chunk in chunks:
        batch = pa.record_batch(chunk.to_record_batch())
        if column not in batch.schema.names or "message_log_time" not in batch.schema.names:
            continue
        times = batch.column("message_log_time").cast(pa.int64()).to_pylist()
        found += zip(times, batch.column(column).to_pylist())
    return sorted(found, key=lambda row: row[0])


def main(folder, path):
    run, _ = read_journal(folder / "journal.sinew")
    head, cycles = run["header"][0], run["cycle"]
    zero = head["unix_ns"]
    woke = [zero + it["woke_ns"] for it in cycles]
    reader = McapReader(path)
    entities = defaultdict(list)
    for chunk in reader.stream().to_chunks():
        entities[chunk.entity_path].append(chunk)
    print(f"rerun {rerun.__version__}, decoders {', '.join(reader.available_decoders())}")
    for name in sorted(entities):
        columns = {}
        for chunk in entities[name]:
            if not chunk.is_static:
                schema = pa.record_batch(chunk.to_record_batch()).schema
                columns |= {it: None for it in schema.names if ":" in it}
        count = sum(chunk.num_rows for chunk in entities[name] if not chunk.is_static)
        print(f"{name:<36} {count:>5} rows  {' '.join(columns)}")

    print("compared with the journal:")
    names = [joint["name"] for joint in head["joints"]]
    series = {"/joint_states": "measured", "/joint_commands/requested": "requested", "/joint_commands/limited": "limited"}
    for topic, field in series.items():
        chunks = entities[f"{topic}/position"]
        found = rows(chunks, "Scalars:scalars")
        check(f"{topic}: {len(found)} x {len(names)} points", found == list(zip(woke, (it[field] for it in cycles))))
        check(f"{topic}: lines are named {', '.join(names)}", all(row == names for _, row in rows(chunks, "SeriesLines:names")))
    for number, camera in enumerate(head["cameras"]):
        frames = sorted((zero + it["captured_ns"], it["png"]) for it in run["frame"] if it["camera"] == number)
        found = rows(entities[f"/cameras/{camera['name']}/compressed"], "EncodedImage:blob")
        found = [(at, bytes(blob[0])) for at, blob in found]
        check(f"/cameras/{camera['name']}: {len(found)} PNG files at their capture times", found == frames)
    lines = [(level[0], text[0]) for (_, level), (_, text) in zip(
        rows(entities["/events"], "TextLog:level"), rows(entities["/events"], "TextLog:text"))]
    check(f"/events: {len(lines)} lines", len(lines) == len(run["event"]) + len(run["summary"]))
    messages = rows(entities["/cycle"], "sinew_msgs.msg.Cycle:message")
    lateness = [row[0]["lateness_us"] for _, row in messages]
    check(f"/cycle: {len(messages)} lateness values", lateness == [(it["woke_ns"] - it["scheduled_ns"]) / 1e3 for it in cycles])
    check("/cycle: clamps", [list(row[0]["clamps"]) for _, row in messages] == [it["clamps"] for it in cycles])
    check("/cycle: the first period is NaN", math.isnan(messages[0][1][0]["period_us"]))
    for level, text in lines:
        print(f"  {level:<6} {text}")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: export_rerun.py RUN EXPORT")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
