#!/usr/bin/env python3
"""Other people's CAN programs against emulated actuators and against our driver.

    can_actuators.py PATH/TO/sinew

python-can 4.6.1, damiao-motor 1.0.6 and robstride 0.1.0 drive `sinew emulate can-actuator` over SLCAN, on a pseudo-terminal and
over TCP (`socket://`). ODrive frames are packed and unpacked here from the published table of CANSimple. Then the other way round:
an SLCAN adapter and a motor made of damiao-motor's own codec answer the driver of `sinew run`. Every value is compared with the
one it should be. Exit code 0 if all are right.
"""

import csv
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tty
from pathlib import Path

import can
from damiao_motor import DaMiaoController
from damiao_motor.core.motor import DaMiaoMotor, float_to_uint
from robstride.client import Client, MotorError, MotorMode, RunMode

ROOT = Path(__file__).resolve().parents[2]
SCORE = {"passed": 0, "failed": 0}


def check(name, value, want):
    """Compares a value with another, with (value, tolerance), or with a predicate."""
    if callable(want):
        right = bool(want(value))
    elif isinstance(want, tuple):
        right = value is not None and abs(value - want[0]) <= want[1]
    else:
        right = value == want
    SCORE["passed" if right else "failed"] += 1
    print(f"{'ok  ' if right else 'FAIL'} {name:70} {value!r}{'' if right else f'   wanted {want!r}'}", flush=True)


class Emulator:
    """`sinew emulate can-actuator` with these options; `channel` is what python-can opens."""

    def __init__(self, sinew, *options, tcp=False):
        self.folder = tempfile.TemporaryDirectory()
        port = ["--tcp", "127.0.0.1:0"] if tcp else ["--link", f"{self.folder.name}/can"]
        command = [*sinew, *options, *port]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline().strip().removeprefix("ready: ")
        if not ready:
            raise RuntimeError(f"{command} did not start")
        self.channel = ready.replace("tcp://", "socket://")
        self.began = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        self.folder.cleanup()

    def bus(self):
        return can.Bus(interface="slcan", channel=self.channel, bitrate=1000000, sleep_after_open=0.05)

    def wait_until(self, seconds):
        time.sleep(max(0.0, self.began + seconds - time.monotonic()))


def wait(condition, seconds=5.0):
    """True as soon as `condition()` is, False after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return False


def ask(bus, message, seconds=1.0):
    """Sends and returns the next frame."""
    bus.send(message)
    return bus.recv(seconds)


def message(arbitration_id, data=b"", extended=False, remote=False, dlc=None):
    return can.Message(
        arbitration_id=arbitration_id, data=data, is_extended_id=extended, is_remote_frame=remote, dlc=dlc
    )


def adapter(sinew, tcp):
    label = "tcp" if tcp else "pty"
    with Emulator(sinew, "--protocol", "damiao", "--model", "4310", "--id", "1", tcp=tcp) as emulator:
        with emulator.bus() as bus:
            check(f"{label} python-can: version of the adapter", bus.get_version(1.0) == (10, 13), True)
            check(f"{label} python-can: serial number", bus.get_serial_number(1.0), "A123")
            answer = ask(bus, message(0x7FF, bytes([1, 0, 0xCC, 0, 0, 0, 0, 0])))
            check(f"{label} python-can: a frame is answered", answer.arbitration_id, 0x11)
            check(f"{label} python-can: by a motor that is off", answer.data[0], 0x01)
            check(f"{label} python-can: a frame for nobody is not", ask(bus, message(0x123, b"\x01"), 0.1), None)
            check(
                f"{label} python-can: nor an extended one",
                ask(bus, message(0x1234567, b"\x01", extended=True), 0.1),
                None,
            )


class Controller(DaMiaoController):
    """damiao-motor's controller on a bus that is open already: its own opens `can0` by default."""

    def __init__(self, bus):
        self.bus = bus
        self.motors = {}
        self._motors_by_feedback = {}
        self._polling_thread = None
        self._polling_active = False
        self._polling_lock = threading.Lock()


def damiao(sinew, tcp):
    label = "tcp" if tcp else "pty"
    with Emulator(sinew, "--protocol", "damiao", "--model", "4310", "--id", "1", "--id", "2", tcp=tcp) as emulator:
        controller = Controller(emulator.bus())
        motor = controller.add_motor(motor_id=1, feedback_id=0x11, motor_type="4310")
        other = controller.add_motor(motor_id=2, feedback_id=0x12, motor_type="4310")

        def state(which=motor):
            which.state = {}
            which.request_motor_feedback()
            wait(lambda: which.get_states())
            return which.get_states()

        check(f"{label} damiao-motor: off at first", state()["status"], "DISABLED")
        for register, name, want in [(21, "PMAX", 12.5), (22, "VMAX", 30.0), (23, "TMAX", 10.0), (10, "CTRL_MODE", 1)]:
            check(f"{label} damiao-motor: register {name}", motor.get_register(register), want)
        check(f"{label} damiao-motor: register VBus", motor.get_register(60), (24.0, 0.5))
        motor.ensure_control_mode("MIT")
        motor.write_register(4, 7.5)
        motor.registers.clear()
        check(f"{label} damiao-motor: a register that was written", motor.get_register(4), 7.5)
        motor.set_can_timeout(2000)
        time.sleep(0.05)
        check(f"{label} damiao-motor: TIMEOUT in its units", motor.get_register(9), 40000)

        motor.enable()
        check(f"{label} damiao-motor: enabled", wait(lambda: motor.get_states().get("status") == "ENABLED"), True)
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            motor.send_cmd_mit(target_position=1.0, stiffness=20.0, damping=1.0)
            # Over TCP python-can takes one byte per poll, a thousand a second.
            time.sleep(0.06 if tcp else 0.005)
            if abs(motor.get_states()["pos"] - 1.0) < 0.005 and abs(motor.get_states()["vel"]) < 0.05:
                break
        check(f"{label} damiao-motor: MIT control reaches 1.0 rad", motor.get_states()["pos"], (1.0, 0.01))
        check(f"{label} damiao-motor: temperature of the coil", motor.get_states()["t_rotor"], lambda it: 20 <= it <= 60)
        check(f"{label} damiao-motor: the other motor stays", abs(state(other)["pos"]) < 0.01, True)
        motor.send_cmd_mit(feedforward_torque=0.5)
        seen = wait(lambda: abs(state()["torq"] - 0.5) < 0.02, 1.0)
        check(f"{label} damiao-motor: torque is measured", seen, True)
        motor.disable()
        check(f"{label} damiao-motor: disabled", wait(lambda: motor.get_states()["status"] == "DISABLED"), True)

        motor.set_can_timeout(50)
        motor.enable()
        wait(lambda: motor.get_states()["status"] == "ENABLED")
        time.sleep(0.3)
        check(f"{label} damiao-motor: silence past TIMEOUT", state()["status"], "LOST_COMM")
        motor.clear_error()
        check(f"{label} damiao-motor: cleared", wait(lambda: motor.get_states()["status"] == "DISABLED"), True)
        controller.shutdown()

    fault = ["--fault", "over-temperature@1s", "--fault", "unknown=1/5"]
    with Emulator(sinew, "--protocol", "damiao", "--model", "4340", "--id", "3", *fault, tcp=tcp) as emulator:
        controller = Controller(emulator.bus())
        motor = controller.add_motor(motor_id=3, feedback_id=0x13, motor_type="4340")
        emulator.wait_until(1.2)
        motor.request_motor_feedback()
        seen = wait(lambda: motor.get_states().get("status") == "MOS_OVER_TEMP")
        check(f"{label} damiao-motor: over-temperature is told", seen, True)
        controller.shutdown()


def robstride(sinew, tcp):
    label = "tcp" if tcp else "pty"
    with Emulator(sinew, "--protocol", "robstride", "--model", "rs02", "--id", "127", tcp=tcp) as emulator:
        with emulator.bus() as bus:
            client = Client(bus)
            check(f"{label} robstride: supply", client.read_param(127, "vbus"), (24.0, 0.5))
            check(f"{label} robstride: run mode", client.read_param(127, "run_mode"), RunMode.Operation)
            client.write_param(127, "run_mode", RunMode.Position)
            check(f"{label} robstride: run mode written", client.read_param(127, "run_mode"), RunMode.Position)
            client.write_param(127, "spd_kp", 2.0)
            check(f"{label} robstride: a parameter written", client.read_param(127, "spd_kp"), 2.0)
            feedback = client.enable(127)
            check(f"{label} robstride: enabled without errors", feedback.errors, [])
            check(f"{label} robstride: temperature", feedback.temp, lambda it: 20 <= it <= 60)
            client.write_param(127, "loc_ref", 1.0)
            reached = wait(lambda: abs(client.read_param(127, "mechpos") - 1.0) < 0.02, 8)
            check(f"{label} robstride: its position loop reaches 1.0 rad", reached, True)
            time.sleep(0.5)
            feedback = client.write_param(127, "loc_ref", 1.0)
            check(f"{label} robstride: the same in the feedback", feedback.angle, (1.0, 0.02))
            client.disable(127)
            # MIT control is not in the package: packed here by the manual.
            client.write_param(127, "run_mode", RunMode.Operation)
            client.enable(127)

            def u16(value, most):
                return round((value + most) / (2 * most) * 65535)

            p = 0.5
            words = [u16(p, 4 * math.pi), u16(0, 44), round(20 / 500 * 65535), round(1 / 5 * 65535)]
            frame = message(1 << 24 | u16(0, 17) << 8 | 127, struct.pack(">4H", *words), extended=True)
            angle = None
            deadline = time.monotonic() + 8
            while time.monotonic() < deadline:
                angle = client._parse_feedback_resp(ask(bus, frame), 127, 1).angle
                if abs(angle - p) < 0.005:
                    break
            check(f"{label} robstride: MIT control reaches 0.5 rad", angle, (p, 0.01))
            feedback = client.disable(127)
            check(f"{label} robstride: disabled", feedback.mode, MotorMode.Reset)
            # The package takes any answer to a change of id.
            client.update_id(127, 100)
            check(f"{label} robstride: answers to its new id", client.read_param(100, "vbus"), (24.0, 0.5))
    with Emulator(
        sinew, "--protocol", "robstride", "--model", "rs02", "--id", "9", "--fault", "over-temperature", tcp=tcp
    ) as emulator:
        with emulator.bus() as bus:
            feedback = Client(bus).enable(9)
            check(f"{label} robstride: over-temperature is told", feedback.errors, [MotorError.Overtemp])


def table():
    """Command number and offset of every signal, from the published table of CANSimple."""
    commands, signals = {}, {}
    with open(ROOT / "tests/fixtures/odrive/can-protocol.csv", newline="") as file:
        for row in csv.DictReader(file):
            number = int(row["CMD ID"], 16)
            commands[row["Name"].rstrip("*")] = number
            for name, start in zip(row["Signals"].split("\n"), row["Start byte"].split("\n")):
                if start != "-":
                    signals[(number, name)] = int(start)
    return commands, signals


def odrive(sinew, tcp):
    label = "tcp" if tcp else "pty"
    commands, signals = table()
    node = 5

    def arbitration(name):
        return node << 5 | commands[name]

    def pack(name, fmt_by_signal, length):
        data = bytearray(length)
        for signal_name, (fmt, value) in fmt_by_signal.items():
            struct.pack_into("<" + fmt, data, signals[(commands[name], signal_name)], value)
        return message(arbitration(name), bytes(data))

    def unpack(frame, name, signal_name, fmt):
        return struct.unpack_from("<" + fmt, frame.data, signals[(commands[name], signal_name)])[0]

    with Emulator(sinew, "--protocol", "odrive", "--model", "d6374", "--id", str(node), tcp=tcp) as emulator:
        with emulator.bus() as bus:

            def get(name, seconds=1.0, remote=True):
                if remote:
                    bus.send(message(arbitration(name), remote=True, dlc=8))
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline:
                    frame = bus.recv(0.2)
                    if frame is not None and frame.arbitration_id == arbitration(name):
                        return frame
                return None

            heartbeat = get("ODrive Heartbeat Message", remote=False)
            check(
                f"{label} CANSimple: heartbeat says idle",
                unpack(heartbeat, "ODrive Heartbeat Message", "Axis Current State", "B"),
                1,
            )
            check(
                f"{label} CANSimple: and no error",
                unpack(heartbeat, "ODrive Heartbeat Message", "Axis Error", "I"),
                0,
            )
            voltage = unpack(get("Get Vbus Voltage"), "Get Vbus Voltage", "Vbus Voltage", "f")
            check(f"{label} CANSimple: supply", voltage, (24.0, 0.5))
            gains = {"Vel Gain": ("f", 2 * math.pi), "Vel Integrator Gain": ("f", 0.0)}
            bus.send(pack("Set Vel Gains", gains, 8))
            bus.send(pack("Set Position Gain", {"Pos Gain": ("f", 20.0)}, 4))
            bus.send(pack("Set Controller Modes", {"Control Mode": ("i", 3), "Input Mode": ("i", 1)}, 8))
            bus.send(pack("Set Axis Requested State", {"Axis Requested State": ("I", 8)}, 4))

            def is_running():
                frame = get("ODrive Heartbeat Message", remote=False)
                return frame and unpack(frame, "ODrive Heartbeat Message", "Axis Current State", "B") == 8

            check(f"{label} CANSimple: closed loop", wait(is_running), True)
            bus.send(pack("Set Input Pos", {"Input Pos": ("f", 0.25), "Vel FF": ("h", 0), "Torque FF": ("h", 0)}, 8))

            def turns():
                return unpack(get("Get Encoder Estimates"), "Get Encoder Estimates", "Encoder Pos Estimate", "f")

            wait(lambda: abs(turns() - 0.25) < 0.002, 8)
            time.sleep(0.5)
            check(f"{label} CANSimple: a quarter of a turn is reached", turns(), (0.25, 0.003))
            bus.send(pack("Set Input Torque", {"Input Torque": ("f", 0.4)}, 4))
            bus.send(pack("Set Controller Modes", {"Control Mode": ("i", 1), "Input Mode": ("i", 1)}, 8))
            time.sleep(0.02)
            current = unpack(get("Get IQ"), "Get IQ", "Iq Measured", "f")
            check(f"{label} CANSimple: torque mode, by the current", current * 8.27 / 150, (0.4, 0.08))
            bus.send(pack("Set Axis Requested State", {"Axis Requested State": ("I", 1)}, 4))
            check(f"{label} CANSimple: idle again", wait(lambda: not is_running()), True)


class Motor:
    """A motor made of damiao-motor's own codec: it unpacks commands with the package's ranges and packs its answers with the
    package's functions. Its plant is a double integrator."""

    def __init__(self, motor_id, feedback_id, motor_type):
        self.codec = DaMiaoMotor(motor_id, feedback_id, None, motor_type=motor_type)
        self.enabled = False
        self.position = self.velocity = self.torque = self.farthest = 0.0
        self.inertia = 0.002 * self.codec._t_max
        self.command = (0.0,) * 5
        self.registers = {
            9: struct.pack("<I", 0),
            10: struct.pack("<I", 2),
            21: struct.pack("<f", self.codec._p_max),
            22: struct.pack("<f", self.codec._v_max),
            23: struct.pack("<f", self.codec._t_max),
        }
        self.seen = {"enable": 0, "disable": 0, "control": 0, "zero": 0, "refused": 0}
        self.strangest = 0
        self.last = time.monotonic()

    def step(self):
        now = time.monotonic()
        seconds, self.last = min(now - self.last, 0.05), now
        p, v, kp, kd, t = self.command
        for _ in range(max(1, round(seconds / 0.0005))):
            self.torque = kp * (p - self.position) + kd * (v - self.velocity) + t if self.enabled else 0.0
            self.velocity += (self.torque / self.inertia - 2.0 * self.velocity) * 0.0005
            self.position += self.velocity * 0.0005
        self.farthest = max(self.farthest, abs(self.position))

    def answer(self):
        c = self.codec
        p = float_to_uint(self.position, c._p_min, c._p_max, 16)
        v = float_to_uint(self.velocity, c._v_min, c._v_max, 12)
        t = float_to_uint(self.torque, c._t_min, c._t_max, 12)
        status = 1 if self.enabled else 0
        return bytes([status << 4 | c.motor_id & 0xF, p >> 8, p & 255, v >> 4, (v & 15) << 4 | t >> 8, t & 255, 36, 33])

    def control(self, data):
        c = self.codec
        number = int.from_bytes(data, "big")
        fields = [
            (number >> 48, 16, c._p_min, c._p_max),
            (number >> 36 & 0xFFF, 12, c._v_min, c._v_max),
            (number >> 24 & 0xFFF, 12, 0.0, 500.0),
            (number >> 12 & 0xFFF, 12, 0.0, 5.0),
            (number & 0xFFF, 12, c._t_min, c._t_max),
        ]
        p, v, kp, kd, t = (low + code * (high - low) / ((1 << bits) - 1) for code, bits, low, high in fields)
        self.command = (p, v, kp, kd, t)
        # Packed again by the package, at most one code away: it rounds down.
        again = int.from_bytes(c.encode_cmd_msg(p, v, t, kp, kd), "big")
        for shift, bits in [(48, 16), (36, 12), (24, 12), (12, 12), (0, 12)]:
            mask = (1 << bits) - 1
            self.strangest = max(self.strangest, abs((number >> shift & mask) - (again >> shift & mask)))
        self.seen["control"] += 1

    def frame(self, identifier, data):
        """The answer to a frame; None for a frame of somebody else."""
        c = self.codec
        self.step()
        if identifier == c.motor_id:
            if data == c.encode_enable_msg():
                self.enabled, self.seen["enable"] = True, self.seen["enable"] + 1
            elif data == c.encode_disable_msg():
                self.enabled, self.seen["disable"] = False, self.seen["disable"] + 1
            elif data == c.encode_save_position_zero_msg():
                self.seen["zero"] += 1
            elif data != c.encode_clear_error_msg():
                self.control(data)
            return self.answer()
        if identifier != 0x7FF or data[0] | data[1] << 8 != c.motor_id:
            return None
        kind, register = data[2], data[3]
        if kind == 0xCC:
            return self.answer()
        if kind == 0x55:
            self.registers[register] = data[4:]
        if kind in (0x33, 0x55) and register in self.registers:
            return data[:4] + self.registers[register]
        self.seen["refused"] += 1
        return None


class Adapter(threading.Thread):
    """An SLCAN adapter on a pseudo-terminal with motors behind it."""

    def __init__(self, motors):
        super().__init__(daemon=True)
        self.controller, self.device = os.openpty()
        tty.setraw(self.device)
        self.path = os.ttyname(self.device)
        self.motors = motors
        self.quit = False

    def serve(self, line):
        if line[:1] == b"F":
            return b"F00\r"
        if line[:1] != b"t":
            return b"\r"
        length = int(line[4:5])
        data = bytes.fromhex(line[5 : 5 + 2 * length].decode())
        reply = b"z\r"
        for motor in self.motors:
            answer = motor.frame(int(line[1:4], 16), data)
            if answer is not None:
                reply += b"t%03X8" % motor.codec.feedback_id + answer.hex().upper().encode() + b"\r"
        return reply

    def run(self):
        rest = b""
        while not self.quit:
            rest += os.read(self.controller, 4096)
            *lines, rest = rest.split(b"\r")
            for line in lines:
                os.write(self.controller, self.serve(line))


def driver(sinew):
    """Our driver, in a run of its own, against motors that are damiao-motor's."""
    types = ["4340", "4340", "4340", "4310", "4310", "4310"]
    motors = [Motor(index + 1, index + 0x11, kind) for index, kind in enumerate(types)]
    adapter = Adapter(motors)
    adapter.start()
    with tempfile.TemporaryDirectory() as folder:
        sets = [
            f'robot.port="{adapter.path}"',
            f'recording.directory="{folder}/dataset"',
            # Python on a busy computer may answer late.
            "robot.can.watchdog_ms=5000",
            "robot.reply_timeout_ms=500",
            "supervision.state_hold_after_ms=2000",
            "supervision.state_ramp_after_ms=4000",
            'rest.then="torque_off"',
        ]
        command = [sinew, "run", str(ROOT / "configs/can.toml"), "--for", "4s"]
        for value in sets:
            command += ["--set", value]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:])
        check("our driver: the run ends well", done.returncode, 0)
    adapter.quit = True
    for motor in motors:
        label = f"our driver, motor {motor.codec.motor_id}:"
        check(f"{label} enables", motor.seen["enable"] >= 1, True)
        check(f"{label} commands", motor.seen["control"], lambda it: it > 100)
        check(f"{label} never sets the zero", motor.seen["zero"], 0)
        check(f"{label} says nothing that a Damiao has not", motor.seen["refused"], 0)
        check(f"{label} its frames are the package's, to one code", motor.strangest, lambda it: it <= 1)
        check(f"{label} chose MIT mode", struct.unpack("<I", motor.registers[10])[0], 1)
        check(f"{label} set TIMEOUT to 5 s", struct.unpack("<I", motor.registers[9])[0], 100_000)
        check(f"{label} torque is off at the end", motor.seen["disable"] >= 1 and not motor.enabled, True)
    check("our driver: something moved", max(motor.farthest for motor in motors), lambda it: it > 0.05)


def main():
    program = sys.argv[1]
    emulate = [program] if os.environ.get("PLAIN") else [program, "emulate", "can-actuator"]
    for tcp in (False, True):
        for part in (adapter, damiao, robstride, odrive):
            part(emulate, tcp)
    if not os.environ.get("PLAIN"):
        driver(program)
    print(f"{SCORE['passed']} right, {SCORE['failed']} wrong")
    return SCORE["failed"] != 0


if __name__ == "__main__":
    sys.exit(main())
