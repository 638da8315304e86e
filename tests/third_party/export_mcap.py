"""Reads an MCAP export of a run without any of our code and compares every value with the journal.

    python export_mcap.py RUN EXPORT

RUN is the run's folder (journal.sinew, config.toml, summary.json), EXPORT what `sinew export RUN --to mcap` made of it.
Needs mcap 1.6.0 and mcap-ros2-support 0.6.0. The journal is decoded here from docs/formats.md and its Rust field lists.
"""

import io
import json
import math
import struct
import sys
import zlib
from collections import defaultdict
from pathlib import Path

from mcap.reader import make_reader
from mcap.records import AttachmentIndex, ChunkIndex, DataEnd, Footer, MetadataIndex
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap_ros2.decoder import DecoderFactory

passed = 0
failed = 0


def check(what, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what} {detail}")


class Postcard:
    """postcard's wire format: LEB128 integers, little-endian floats, lengths before what has one."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        assert self.at <= len(self.data)
        return self.data[self.at - count : self.at]

    def byte(self):
        return self.take(1)[0]

    def integer(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def float(self):
        return struct.unpack("<d", self.take(8))[0]

    def bytes(self):
        return self.take(self.integer())

    def text(self):
        return self.bytes().decode()

    def list(self, item):
        return [item() for _ in range(self.integer())]

    def option(self, item):
        return item() if self.byte() else None

    def fields(self, **items):
        return {name: item() for name, item in items.items()}


def header(p):
    return p.fields(
        version=p.text,
        run=p.text,
        unix_ns=p.integer,
        robot=p.text,
        joints=lambda: p.list(lambda: p.fields(name=p.text, unit=p.text)),
        sensors=lambda: p.list(lambda: p.fields(name=p.text, unit=p.text)),
        cameras=lambda: p.list(
            lambda: p.fields(name=p.text, width=p.integer, height=p.integer, rate_hz=p.float)
        ),
        rate_hz=p.float,
        dataset_rate_hz=p.float,
        task=p.text,
        policy=lambda: p.option(
            lambda: p.fields(kind=p.text, path=p.text, sha256=p.text, action_steps=p.integer)
        ),
        actuator=lambda: p.option(lambda: p.fields(kind=p.text, path=p.text, sha256=p.text)),
        config=p.text,
    )


def cycle(p):
    def floats():
        return p.list(p.float)

    def integers():
        return p.list(p.integer)

    return p.fields(
        index=p.integer,
        scheduled_ns=p.integer,
        woke_ns=p.integer,
        misses=p.integer,
        watchdog=p.byte,
        finished=p.byte,
        chunk=p.integer,
        read=p.integer,
        take=p.integer,
        decide=p.integer,
        write=p.integer,
        record=p.integer,
        previous=p.integer,
        operator=p.byte,
        link=p.byte,
        epoch=p.integer,
        sample=p.integer,
        state=p.byte,
        hold=p.byte,
        cause=p.byte,
        measured=floats,
        measured_velocity=floats,
        measured_effort=floats,
        sensors=floats,
        measured_ns=integers,
        substituted=p.integer,
        requested=floats,
        generated=floats,
        limited=floats,
        effort=floats,
        commanded=p.byte,
        clamps=integers,
        observation_ns=lambda: p.option(p.integer),
    )


def frame(p):
    return p.fields(camera=p.integer, sequence=p.integer, captured_ns=p.integer, png=p.bytes)


def chunk(p):
    return p.fields(
        cycle=p.integer,
        sequence=p.integer,
        observation_ns=p.integer,
        started_ns=p.integer,
        finished_ns=p.integer,
        step_ns=p.integer,
        action_size=p.integer,
        actions=lambda: p.list(p.float),
    )


def event(p):
    return p.fields(at_ns=p.integer, kind=p.text, message=p.text)


RECORDS = {
    0: ("header", header),
    1: ("cycle", cycle),
    2: ("frame", frame),
    3: ("chunk", chunk),
    4: ("event", event),
    5: ("summary", lambda p: p.text()),
}


def read_journal(path):
    """All whole records of a journal, by kind."""
    data = path.read_bytes()
    assert data[:8] == b"SINEWJNL" and struct.unpack_from("<I", data, 8) == (4,), "not a journal of version 4"
    found, at = defaultdict(list), 12
    while at + 8 <= len(data):
        length, checksum = struct.unpack_from("<II", data, at)
        payload = data[at + 8 : at + 8 + length]
        if len(payload) < length:
            break
        assert zlib.crc32(payload, zlib.crc32(data[at : at + 4])) == checksum, f"record at {at}"
        at += 8 + length
        p = Postcard(payload)
        kind, decode = RECORDS[p.integer()]
        found[kind].append(decode(p))
        assert p.at == length, f"{kind} record at {at}: {p.at} of {length} bytes"
    return found, at == len(data)


def same(a, b):
    """Equal to the last bit, NaN included."""
    a, b = list(a), list(b)
    return len(a) == len(b) and struct.pack(f"<{len(a)}d", *a) == struct.pack(f"<{len(b)}d", *b)


def nanoseconds(stamp):
    return stamp.sec * 1_000_000_000 + stamp.nanosec


class Export:
    def __init__(self, path):
        self.data = path.read_bytes()
        reader = make_reader(io.BytesIO(self.data), validate_crcs=True, decoder_factories=[DecoderFactory()])
        self.summary = reader.get_summary()
        self.header = reader.get_header()
        self.attachments = {it.name: it for it in reader.iter_attachments()}
        self.metadata = {it.name: it.metadata for it in reader.iter_metadata()}
        self.topics = defaultdict(list)
        for schema, channel, message, decoded in reader.iter_decoded_messages():
            check(f"{channel.topic}: encodings", (schema.encoding, channel.message_encoding) == ("ros2msg", "cdr"))
            self.topics[channel.topic].append((schema.name, message, decoded))

    def messages(self, topic, schema):
        found = self.topics.pop(topic, [])
        check(f"{topic}: schema", {name for name, _, _ in found} <= {schema}, {name for name, _, _ in found})
        logged = [message.log_time for _, message, _ in found]
        check(f"{topic}: log times go forward", logged == sorted(logged))
        return [(message, decoded) for _, message, decoded in found]


def check_file(export):
    """Indexes, statistics and every checksum that a file may carry."""
    statistics = export.summary.statistics
    check("profile", export.header.profile == "ros2", export.header.profile)
    check("library", export.header.library.startswith("sinew/"), export.header.library)
    counts = {export.summary.channels[i].topic: n for i, n in statistics.channel_message_counts.items()}
    check("statistics count the messages", counts == {topic: len(it) for topic, it in export.topics.items()}, counts)
    check("chunks", statistics.chunk_count == len(export.summary.chunk_indexes))
    seen = defaultdict(list)
    for record in StreamReader(io.BytesIO(export.data), emit_chunks=True, validate_crcs=True).records:
        seen[type(record).__name__].append(record)
    for number, record in enumerate(seen["Chunk"]):
        check(f"chunk {number}: has a checksum", record.uncompressed_crc != 0)
        check(f"chunk {number}: its checksum is right", zlib.crc32(record.data) == record.uncompressed_crc)
        check(f"chunk {number}: not compressed", record.compression == "", record.compression)
        check(f"chunk {number}: records", len(breakup_chunk(record, validate_crc=True)) > 0)
    check("as many chunks as indexed", len(seen["Chunk"]) == statistics.chunk_count)
    # The two sums that the reader does not look at: all before DataEnd, and the summary with the footer's beginning.
    (end,), (footer,) = seen["DataEnd"], seen["Footer"]
    assert isinstance(end, DataEnd) and isinstance(footer, Footer)
    data_end = footer.summary_start - 13
    check("data checksum", end.data_section_crc == zlib.crc32(export.data[:data_end]) != 0)
    summary_end = len(export.data) - 8 - 4
    check("summary checksum", footer.summary_crc == zlib.crc32(export.data[footer.summary_start : summary_end]) != 0)
    for kind in (AttachmentIndex, MetadataIndex, ChunkIndex):
        check(f"{kind.__name__} is in the summary", len(seen[kind.__name__]) > 0 or kind is ChunkIndex)
    check("begins and ends with the magic", export.data[:8] == export.data[-8:])


def check_joints(export, run, topic, position, velocity=None, effort=None):
    def of(it, name):
        return it[name] if name else []

    cycles = [it for it in run["cycle"] if of(it, position) or of(it, velocity) or of(it, effort)]
    messages = export.messages(topic, "sensor_msgs/msg/JointState")
    check(f"{topic}: a message per cycle", len(messages) == len(cycles), f"{len(messages)} != {len(cycles)}")
    of_sensors = topic == "/sensors"
    names = [it["name"] for it in run["header"][0]["sensors" if of_sensors else "joints"]]
    zero = run["header"][0]["unix_ns"]
    for it, (message, decoded) in zip(cycles, messages):
        what = f"{topic} of cycle {it['index']}"
        stamp = it["woke_ns"]
        if topic in ("/joint_states", "/sensors"):
            stamp = max(it["measured_ns"], default=0) or stamp
        check(f"{what}: times", (message.log_time, message.publish_time) == (zero + it["woke_ns"], zero + stamp))
        check(f"{what}: stamp", nanoseconds(decoded.header.stamp) == zero + stamp)
        check(f"{what}: sequence", message.sequence == it["index"])
        check(f"{what}: names", decoded.name == names)
        check(f"{what}: position", same(decoded.position, of(it, position)))
        check(f"{what}: velocity", same(decoded.velocity, of(it, velocity)))
        check(f"{what}: effort", same(decoded.effort, of(it, effort)))
    return len(messages)


def check_cycles(export, run):
    messages = export.messages("/cycle", "sinew_msgs/msg/Cycle")
    check("/cycle: a message per cycle", len(messages) == len(run["cycle"]))
    zero, before = run["header"][0]["unix_ns"], None
    for it, (message, decoded) in zip(run["cycle"], messages):
        what, woke = f"/cycle {it['index']}", it["woke_ns"]
        check(f"{what}: stamp", nanoseconds(decoded.stamp) == zero + woke == message.log_time)
        expected = {
            "index": it["index"],
            "misses": it["misses"],
            "state": it["state"],
            "hold": it["hold"],
            "cause": it["cause"],
            "operator_request": it["operator"],
            "link": it["link"],
            "epoch": it["epoch"],
            "sample": it["sample"],
            "commanded": bool(it["commanded"]),
            "watchdog": bool(it["watchdog"]),
            "substituted": it["substituted"],
        }
        found = {name: getattr(decoded, name) for name in expected}
        check(f"{what}: integers", found == expected, f"{found} != {expected}")
        observed = it["observation_ns"]
        numbers = {
            "lateness_us": (woke - it["scheduled_ns"]) / 1e3,
            "period_us": math.nan if before is None else (woke - before) / 1e3,
            "observation_age_ms": math.nan if observed is None else (woke - observed) / 1e6,
        }
        for phase in ("read", "take", "decide", "write", "record", "previous"):
            numbers[f"{phase}_us"] = it[phase] / 1e3
        for name, number in numbers.items():
            check(f"{what}: {name}", same([getattr(decoded, name)], [number]))
        ages = [(woke - at) / 1e6 if at else math.nan for at in it["measured_ns"]]
        check(f"{what}: ages", same(decoded.measured_age_ms, ages))
        check(f"{what}: clamps", list(decoded.clamps) == it["clamps"])
        before = woke
    return len(messages)


def check_images(export, run):
    cameras, zero = run["header"][0]["cameras"], run["header"][0]["unix_ns"]
    total = 0
    for number, camera in enumerate(cameras):
        frames = sorted((it for it in run["frame"] if it["camera"] == number), key=lambda it: it["captured_ns"])
        topic = f"/cameras/{camera['name']}/compressed"
        messages = export.messages(topic, "sensor_msgs/msg/CompressedImage")
        check(f"{topic}: count", len(messages) == len(frames), f"{len(messages)} != {len(frames)}")
        for it, (message, decoded) in zip(frames, messages):
            at = zero + it["captured_ns"]
            what = f"{topic} {it['sequence']}"
            check(f"{what}: times", message.log_time == message.publish_time == nanoseconds(decoded.header.stamp) == at)
            check(f"{what}: camera", (decoded.header.frame_id, decoded.format) == (camera["name"], "png"))
            check(f"{what}: the PNG file", bytes(decoded.data) == it["png"])
            size = struct.unpack(">II", it["png"][16:24])
            check(f"{what}: its size", size == (camera["width"], camera["height"]), size)
        total += len(messages)
    return total


def check_chunks(export, run):
    messages = export.messages("/policy/chunks", "sinew_msgs/msg/Chunk")
    check("/policy/chunks: count", len(messages) == len(run["chunk"]))
    zero = run["header"][0]["unix_ns"]
    for it, (message, decoded) in zip(run["chunk"], messages):
        what = f"chunk {it['sequence']}"
        check(f"{what}: times", message.log_time == zero + it["finished_ns"])
        stamps = [nanoseconds(stamp) - zero for stamp in (decoded.started, decoded.finished, decoded.observation)]
        check(f"{what}: stamps", stamps == [it["started_ns"], it["finished_ns"], it["observation_ns"]])
        numbers = (decoded.sequence, decoded.cycle, decoded.action_size)
        check(f"{what}: integers", numbers == (it["sequence"], it["cycle"], it["action_size"]))
        latencies = [it["finished_ns"] - it["started_ns"], it["finished_ns"] - it["observation_ns"], it["step_ns"]]
        found = [decoded.inference_ms, decoded.latency_ms, decoded.step_ms]
        check(f"{what}: durations", same(found, [ns / 1e6 for ns in latencies]))
        check(f"{what}: actions", same(decoded.actions, it["actions"]))
    return len(messages)


def check_events(export, run):
    messages = export.messages("/events", "rcl_interfaces/msg/Log")
    zero = run["header"][0]["unix_ns"]
    found = [(nanoseconds(decoded.stamp) - zero, decoded.name, decoded.msg) for _, decoded in messages]
    expected = [(it["at_ns"], it["kind"], it["message"]) for it in run["event"]]
    for text in run["summary"]:
        end = json.loads(text)["exit"]
        last = max(at for at, _, _ in found)
        expected.append((last, "summary", f"{end['cause']}: {end['message']} (exit code {end['code']})"))
    check("/events: every line", sorted(found) == sorted(expected), f"{found} != {expected}")
    check("/events: levels", {decoded.level for _, decoded in messages} <= {20, 30, 40})
    warned = {decoded.level for _, decoded in messages if decoded.name in ("overrun", "hold", "substituted", "link")}
    check("/events: misses and holds warn", warned <= {30}, warned)
    return len(messages)


def main(folder, path):
    run, whole = read_journal(folder / "journal.sinew")
    (head,) = run["header"]
    export = Export(path)
    check_file(export)
    total = check_joints(export, run, "/joint_states", "measured", "measured_velocity", "measured_effort")
    total += check_joints(export, run, "/joint_commands/requested", "requested")
    total += check_joints(export, run, "/joint_commands/generated", "generated")
    total += check_joints(export, run, "/joint_commands/limited", "limited", None, "effort")
    total += check_joints(export, run, "/sensors", "sensors")
    total += check_cycles(export, run)
    total += check_images(export, run)
    total += check_chunks(export, run)
    total += check_events(export, run)
    check("no other channels", not export.topics, list(export.topics))
    check("as many messages as the statistics say", total == export.summary.statistics.message_count, total)

    config = export.attachments["config.toml"].data
    check("config.toml is the journal's", config.decode() == head["config"])
    check("config.toml is the run's", config == (folder / "config.toml").read_bytes())
    summaries = [it.data.decode() for name, it in export.attachments.items() if name == "summary.json"]
    check("summary.json is the journal's", summaries == run["summary"])
    metadata = export.metadata["sinew.run"]
    for key in ("version", "run", "robot", "task"):
        check(f"metadata: {key}", metadata[key] == head[key])
    check("metadata: start", int(metadata["unix_ns"]) == head["unix_ns"])
    check("metadata: rate", float(metadata["rate_hz"]) == head["rate_hz"])
    check("metadata: joints", json.loads(metadata["joints"]) == head["joints"])
    check("metadata: sensors", json.loads(metadata["sensors"]) == head["sensors"])
    check("metadata: cameras", json.loads(metadata["cameras"]) == head["cameras"])
    for origin in ("policy", "actuator"):
        if head[origin]:
            for key in ("kind", "path", "sha256"):
                check(f"metadata: {origin}.{key}", metadata[f"{origin}.{key}"] == head[origin][key])
    end = export.metadata["sinew.journal"]
    check("metadata: end", (end["tail"], end["cycles"]) == ("complete" if whole else "torn", str(len(run["cycle"]))))
    check("metadata: order", end["ended_in_order"] == ("true" if run["summary"] else "false"))

    counts = ", ".join(f"{len(run[kind])} {kind}s" for kind in ("cycle", "frame", "chunk", "event"))
    print(f"{counts}: {total} messages")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: export_mcap.py RUN EXPORT")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
