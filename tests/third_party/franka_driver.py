"""sinew's Franka driver against servers it did not start itself: python franka_driver.py SINEW [FRANKY_SIM]

`sinew emulate franka` as both arms in processes of their own, in position and torque; and, where FRANKY_SIM names its program
(franky-sim 1.0.4), that server through franky_sim_proxy.py, with its hand.
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
# A busy computer keeps every thread waiting now and then; franky-sim is slower than 1 kHz besides.
PATIENT = [
    "supervision.state_hold_after_ms=5000",
    "supervision.state_ramp_after_ms=20000",
    "supervision.tracking_error_ms=20000",
]
ATTEMPTS = 4
HAND = [
    "robot.gripper=true",
    "limits.gripper={ opening = [0, 1], max_slew_per_s = 1.0, max_slew_change_per_s2 = 8.0 }",
    "rest.pose.gripper=0.5",
]


def run(sinew, config, address, more=()):
    """A run; on a computer that stood still for too long in the middle of one, another."""
    for attempt in range(ATTEMPTS):
        try:
            return once(sinew, config, address, more)
        except AssertionError as error:
            if attempt + 1 == ATTEMPTS:
                raise
            print(f"{config} at {address}, once more: {error}")
            time.sleep(1)


def once(sinew, config, address, more):
    """One run; what it counted."""
    with tempfile.TemporaryDirectory() as folder:
        sets = [f"robot.port={address}", f'recording.directory="{folder}/run"', *PATIENT, *more]
        command = [sinew, "run", f"configs/{config}.toml", "--for", "4s", "--format", "json"]
        for value in sets:
            command += ["--set", value]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (done.returncode, done.stderr[-3000:])
        summary = json.loads(done.stdout.strip().splitlines()[-1])
        information = pathlib.Path(folder, "run", "meta", "stats.json")
        moved = json.loads(information.read_text())["observation.state"]
        span = [high - low for low, high in zip(moved["min"], moved["max"])]
        assert span[0] > 0.05 or span[3] > 0.05, ("the arm did not move", span)
        assert all(math.isfinite(value) for value in span)
        bus = summary["bus"]
        print(f"{config} at {address}: {bus['commands']} commands, {bus['timeouts']} states lost, exit code 0")


def until_listening(process, word):
    for line in process.stdout:
        if word in line:
            return
    raise SystemExit(f"{process.args} ended: {process.wait()}")


def emulated(sinew):
    arms = [("fr3", "127.0.0.21", ("franka", "franka-torque")), ("fer", "127.0.0.22", ("franka-fer", "franka-fer"))]
    for robot, address, configs in arms:
        command = [sinew, "emulate", "franka", "--robot", robot, "--bind", address, "--patience", "200ms"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            until_listening(server, "ready")
            for number, config in enumerate(configs):
                law = ["actuation.model=joint_impedance", "actuation.arm=panda"]
                run(sinew, config, address, law if robot == "fer" and number else ())
        finally:
            server.kill()
            server.wait()


def until_served(server, address):
    """Waits until somebody listens there; a connection of our own might be its only client."""
    local = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    for _ in range(240):
        assert server.poll() is None, ("franky-sim ended", server.returncode)
        listening = [line.split()[1] for line in open("/proc/net/tcp") if line.split()[3] == "0A"]
        if f"{local}:{1337:04X}" in listening and f"{local}:{1338:04X}" in listening:
            return
        time.sleep(0.5)
    raise SystemExit("franky-sim does not listen")


def franky_sim(sinew, program):
    server_address, address = "127.0.0.23", "127.0.0.24"
    log = tempfile.TemporaryFile("w+")
    server = subprocess.Popen([program, "-s", "mujoco", "--hostname", server_address], stdout=log, stderr=log)
    proxy = None
    try:
        until_served(server, server_address)
        proxy = subprocess.Popen(
            [sys.executable, ROOT / "tests/third_party/franky_sim_proxy.py", address, server_address],
            stdout=subprocess.PIPE,
            text=True,
        )
        until_listening(proxy, "ready")
        run(sinew, "franka", address)
        run(sinew, "franka-torque", address)
        run(sinew, "franka", address, HAND)
    finally:
        for process in (proxy, server):
            if process:
                process.kill()
                process.wait()


if __name__ == "__main__":
    emulated(sys.argv[1])
    if len(sys.argv) > 2:
        franky_sim(sys.argv[1], sys.argv[2])
    print("ok")
