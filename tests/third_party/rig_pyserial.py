#!/usr/bin/env python3
"""Drives the emulated test rig with pyserial, struct and binascii: the protocol of docs/rig.md, written a second time.

    rig_pyserial.py PATH/TO/sinew

Starts `sinew emulate rig` on a pseudo-terminal, in frames and in text, and checks every field, the answers to bad frames, the
watchdog, and that numpy.loadtxt reads a captured text stream and the truth. Exit code 0 if all are right.
"""

import binascii
import collections
import math
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

import numpy
import serial

STATE = struct.Struct("<IQ3f3f3f2fBBH")
IDENTITY = struct.Struct("<BBHHHf16s")
State = collections.namedtuple(
    "State", "index time_us encoder command torque ax ay az gx gy gz temperature supply mode faults refused"
)
OFF, HOLD, POSITION, TORQUE = range(4)
HELLO, CONFIGURE, ARM, GO, PUSH, STAY, RELEASE, BEAT = range(0x10, 0x18)
PATIENCE = 20.0

failures = []


def check(name, right, seen=""):
    print(f"{'ok  ' if right else 'FAIL'} {name} {seen}")
    if not right:
        failures.append(name)


def crc(data):
    """CRC-16 with polynomial 0x1021: the one that binhex used, from another start."""
    return binascii.crc_hqx(data, 0xFFFF)


def frame(kind, payload=b"", sequence=0):
    body = bytes([kind, sequence, len(payload)]) + payload
    return b"\xa5\x5a" + body + struct.pack("<H", crc(body))


class Emulator:
    def __init__(self, sinew, folder, *options):
        self.link = os.path.join(folder, "rig")
        command = [sinew, "emulate", "rig", "--link", self.link, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready: "):
            sys.exit(f"the emulator said {line!r}")

    def __enter__(self):
        self.port = serial.Serial(self.link, 921600, timeout=0.5)
        return self

    def __exit__(self, *_):
        self.port.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)


class Frames(Emulator):
    """Reads frames the plain way: search for the sync, read the length, compare the check."""

    def __enter__(self):
        super().__enter__()
        self.bad = 0
        return self

    def next(self):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self.port.read(1) != b"\xa5" or self.port.read(1) != b"\x5a":
                continue
            head = self.port.read(3)
            if len(head) < 3 or head[2] > 64:
                continue
            rest = self.port.read(head[2] + 2)
            if len(rest) == head[2] + 2 and crc(head + rest[:-2]) == struct.unpack("<H", rest[-2:])[0]:
                return head[0], head[1], rest[:-2]
            self.bad += 1
        sys.exit("no frame came")

    def state(self):
        while True:
            kind, _, payload = self.next()
            if kind == 0x01:
                return State(*STATE.unpack(payload))

    def answer(self, wanted, request):
        """What comes of type `wanted` after a request, among the states."""
        self.port.write(request)
        for _ in range(5000):
            kind, _, payload = self.next()
            if kind == wanted:
                return payload
        return None

    def until(self, name, request, done):
        """Sends a request at every state until one is as it should be."""
        started = time.monotonic()
        state = self.state()
        while not done(state) and time.monotonic() - started < PATIENCE:
            self.port.write(request)
            state = self.state()
        check(name, done(state), f"mode {state.mode}, encoder {state.encoder:.3f}, faults {state.faults}")
        return state


def frames(sinew, folder):
    print("== frames")
    check("the check of 123456789", crc(b"123456789") == 0x29B1)
    check("a state has 60 bytes", STATE.size == 60 and IDENTITY.size == 28)
    with Frames(sinew, folder, "--seed", "3") as rig:
        payload = rig.answer(0x02, frame(HELLO, b"\x01"))
        version, _, rate, most, watchdog, torque, name = IDENTITY.unpack(payload)
        check("identity", (version, rate, most, watchdog) == (1, 1000, 2000, 100), f"{name.rstrip(bytes(1)).decode()}")
        check("largest torque", abs(torque - 1.82) < 1e-6)
        # A test that reads in Python may be kept waiting: a longer watchdog until it is looked at.
        rig.port.write(frame(CONFIGURE, struct.pack("<HH", 500, 5000)))
        payload = rig.answer(0x02, frame(HELLO, b"\x01"))
        check("configured", IDENTITY.unpack(payload)[2:5] == (500, 2000, 5000))
        rig.port.reset_input_buffer()
        states = [rig.state() for _ in range(300)]
        steps = [(b.index - a.index, b.time_us - a.time_us) for a, b in zip(states, states[1:])]
        check("2000 µs a period by the device's clock", all(dt == 2000 * di for di, dt in steps))
        gravity = numpy.mean([s.az for s in states])
        check("gravity on z", abs(gravity - 9.80665) < 0.02, f"{gravity:.4f}")
        check("temperature and supply", all(15 < s.temperature < 60 and 5 < s.supply < 7 for s in states))
        check("off at rest", all(s.mode == OFF and s.faults == 0 and abs(s.encoder) < 0.01 for s in states))

        refused = rig.answer(0x03, frame(GO, struct.pack("<f", 0.5), sequence=77))
        check("a position without torque is refused: not armed", refused == bytes([GO, 77, 4]), str(refused))
        rig.until("armed, it holds", frame(ARM), lambda s: s.mode == HOLD)
        state = rig.until("it goes to 0.5 rad", frame(GO, struct.pack("<f", 0.5)), lambda s: abs(s.encoder - 0.5) < 0.03)
        check("the commanded angle", abs(state.command - 0.5) < 1e-6)

        for name, request, expected in [
            ("an unknown type", frame(0x42, b"", 5), bytes([0x42, 5, 1])),
            ("a wrong length", frame(GO, b"\0\0\0", 6), bytes([GO, 6, 2])),
            ("not a number", frame(GO, struct.pack("<f", math.nan), 7), bytes([GO, 7, 3])),
            ("infinity", frame(PUSH, struct.pack("<f", math.inf), 8), bytes([PUSH, 8, 3])),
            ("a torque that is too large", frame(PUSH, struct.pack("<f", 50.0), 9), bytes([PUSH, 9, 3])),
            ("a rate that is too high", frame(CONFIGURE, struct.pack("<HH", 9999, 0), 10), bytes([CONFIGURE, 10, 3])),
        ]:
            seen = rig.answer(0x03, request)
            check(f"{name} is refused", seen == expected, str(seen))
        before = rig.state().refused
        broken = bytearray(frame(RELEASE, b"", 11))
        broken[-1] ^= 0x10
        rig.port.write(bytes(broken) + b"\xa5\x5a\xff\x00garbage")
        after = before
        started = time.monotonic()
        while after == before and time.monotonic() - started < PATIENCE:
            after = rig.state().refused
        state = rig.state()
        check("a wrong CRC is counted and not followed", after == before + 1 and state.mode == POSITION, f"{before} -> {after}")

        rig.until("a torque turns it", frame(PUSH, struct.pack("<f", 0.5)), lambda s: s.mode == TORQUE and s.gz > 0.5)
        check("the commanded torque", abs(rig.state().torque - 0.5) < 1e-6)
        rig.until("it holds", frame(STAY), lambda s: s.mode == HOLD)
        rig.port.write(frame(CONFIGURE, struct.pack("<HH", 0, 80)))
        rig.until("a position again", frame(GO, struct.pack("<f", 0.0)), lambda s: s.mode == POSITION)
        state = rig.until("silence holds it", b"", lambda s: s.mode == HOLD)
        check("and says why", state.faults == 1)
        refused = rig.answer(0x03, frame(GO, struct.pack("<f", 0.1), sequence=12))
        check("until it is armed again", refused == bytes([GO, 12, 5]), str(refused))
        rig.until("armed again", frame(ARM), lambda s: s.mode == HOLD and s.faults == 0)
        rig.until("torque off", frame(RELEASE), lambda s: s.mode == OFF)
        check("no frame of the emulator was damaged", rig.bad == 0, str(rig.bad))


def damage(sinew, folder):
    print("== damaged frames")
    with Frames(sinew, folder, "--fault", "corrupt=1/10", "--fault", "garbage=1/15") as rig:
        indices = [rig.state().index for _ in range(1000)]
        gaps = sum(b - a - 1 for a, b in zip(indices, indices[1:]))
        check("one in ten is damaged and none is believed", 80 < gaps < 400 and rig.bad > 50, f"{gaps} gaps, {rig.bad} damaged")
        check("indices go up", all(b > a for a, b in zip(indices, indices[1:])))


def text(sinew, folder):
    print("== text")
    truth_file = os.path.join(folder, "truth.csv")
    with Emulator(sinew, folder, "--text", "--rate", "200", "--inertia", "0.0134", "--truth", truth_file) as rig:
        rig.port.write(b"W5000\n?\n")
        columns = None
        until = time.monotonic() + PATIENCE
        while columns is None and time.monotonic() < until:
            line = rig.port.readline().decode()
            if line.startswith("Time_ms"):
                columns = line.strip().split(",")
        nine = "Time_ms,Encoder_Angle,Commanded_Angle,Acc_X,Acc_Y,Acc_Z,Gyro_X,Gyro_Y,Gyro_Z".split(",")
        check("the header begins with the nine columns", columns is not None and columns[:9] == nine)
        rig.port.write(b"nonsense\n")
        remark = any(b"# refused" in rig.port.readline() for _ in range(200))
        check("nonsense gets a remark", remark)
        captured = os.path.join(folder, "captured.csv")
        with open(captured, "w", encoding="ascii") as file:
            file.write(",".join(columns) + "\n")
            for index in range(1200):
                target = 40.0 * math.sin(2 * math.pi * 1.5 * index / 200)
                rig.port.write(f"A{target:.2f}\n".encode())
                file.write(rig.port.readline().decode())
        rig.port.write(b"O\n")
        time.sleep(0.3)
    data = numpy.loadtxt(captured, delimiter=",", skiprows=1)
    check("numpy reads the captured lines", data.shape == (1200, len(columns)), str(data.shape))
    steps = numpy.diff(data[:, 0])
    check("200 lines a second", abs(numpy.median(steps) - 5.0) < 1e-6, f"{numpy.median(steps)} ms")
    check("the encoder moves", numpy.ptp(data[:, 1]) > 40, f"{numpy.ptp(data[:, 1]):.1f} deg")

    with open(truth_file, encoding="ascii") as file:
        names = file.readline().strip().split(",")
    true = numpy.loadtxt(truth_file, delimiter=",", skiprows=1)
    check("numpy reads the truth", true.shape[1] == len(names) and len(true) > 1200, str(true.shape))
    column = {name: true[:, index] for index, name in enumerate(names)}
    check("its first columns are those of a recording", names[:9] == nine)
    parts = column["Transmission_Nm"] + column["Spring_Nm"] + column["Gravity_Nm"]
    check("the parts add up", numpy.allclose(parts, column["Torque_Nm"], atol=1e-6))
    check(
        "torque is inertia times acceleration",
        numpy.allclose(0.0134 * column["True_Acceleration_rad_s2"], column["Torque_Nm"], atol=1e-6),
    )
    measured = 0.0134 * column["Acc_Y"] / 0.1
    error = numpy.sqrt(numpy.mean((measured - column["Torque_Nm"]) ** 2))
    spread = numpy.std(column["Torque_Nm"])
    check("the accelerometer measures it", error < 0.1 * spread, f"error {error:.4f} of {spread:.4f} N·m")
    rate = numpy.radians(column["Gyro_Z"]) - column["True_Velocity_rad_s"]
    check("the gyroscope measures the velocity", numpy.std(rate) < 0.02, f"{numpy.std(rate):.4f} rad/s")
    # What was read from the port is what the truth says was sent.
    common = numpy.isin(numpy.round(true[:, 0], 3), numpy.round(data[:, 0], 3))
    same = numpy.allclose(true[common][:, :9], data[:, :9], atol=6e-3)
    check("the lines say what was measured", common.sum() == len(data) and same, f"{common.sum()} lines")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for test in (frames, damage, text):
        with tempfile.TemporaryDirectory() as folder:
            test(sys.argv[1], folder)
    print(f"{len(failures)} failures" if failures else "all right")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
