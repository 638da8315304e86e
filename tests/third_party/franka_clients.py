"""Other people's clients against the emulated Franka: python franka_clients.py SINEW LIBRARY
runs them all against emulators of their own, python franka_clients.py CLIENT ADDRESS one against a running one.

CLIENT is pylibfranka (0.21.3, FR3), panda or panda_class (panda-python 1.1.1, FER) or franky (franky-control 2.0.0, FR3). LIBRARY is
libsinew_fer_model.so, which the emulated FER serves. The emulators are patient with busy computers.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import time

PATIENCE_MS = 200
# Twenty commands in a row are lost.
STALL = 20 * PATIENCE_MS * 1e-3 + 1
PINOCCHIO = pathlib.Path(__file__).parent.parent / "fixtures/dynamics/panda_pinocchio.json"


def pylibfranka(address):
    import pylibfranka as lf

    robot = lf.Robot(address, lf.RealtimeConfig.kIgnore)
    state = robot.read_once()
    print("q", [round(q, 4) for q in state.q])
    robot.set_joint_impedance([3000.0] * 4 + [2500.0] * 2 + [2000.0])
    control = robot.start_joint_position_control(lf.ControllerMode.JointImpedance)
    start, seconds = None, 0.0
    while True:
        state, duration = control.readOnce()
        start = start or list(state.q_d)
        seconds += duration.to_sec()
        q = list(start)
        q[3] += 0.1 * (1 - math.cos(math.pi * min(seconds, 2.0)))
        command = lf.JointPositions(q)
        command.motion_finished = seconds >= 2.0
        control.writeOnce(command)
        if command.motion_finished:
            break
    print("joint motion done", state.control_command_success_rate)
    time.sleep(0.1)
    control = robot.start_torque_control()
    seconds = 0.0
    while True:
        state, duration = control.readOnce()
        seconds += duration.to_sec()
        torques = [0.0] * 7
        torques[0] = 0.5 * math.sin(2 * math.pi * min(seconds, 1.0))
        command = lf.Torques(torques)
        command.motion_finished = seconds >= 1.0
        control.writeOnce(command)
        if command.motion_finished:
            break
    print("torque motion done", state.control_command_success_rate)
    time.sleep(0.5)
    # The model that the client makes of the URDF is the arm that holds itself up.
    model = robot.load_model()
    state = robot.read_once()
    gravity = model.gravity(state)
    assert all(abs(a - b) < 1e-3 for a, b in zip(gravity, state.tau_J)), (gravity, state.tau_J)
    print("model query done")
    control = robot.start_cartesian_pose_control(lf.ControllerMode.CartesianImpedance)
    start, seconds = None, 0.0
    while True:
        state, duration = control.readOnce()
        start = start or list(state.O_T_EE_d)
        seconds += duration.to_sec()
        pose = list(start)
        pose[14] -= 0.03 * (1 - math.cos(math.pi * min(seconds, 2.0)))
        command = lf.CartesianPose(pose)
        command.motion_finished = seconds >= 2.0
        control.writeOnce(command)
        if command.motion_finished:
            break
    print("Cartesian motion done", state.control_command_success_rate)
    time.sleep(0.1)
    control = robot.start_joint_position_control(lf.ControllerMode.JointImpedance)
    try:
        for cycle in range(200):
            state, duration = control.readOnce()
            if cycle == 50:
                time.sleep(STALL)
            control.writeOnce(lf.JointPositions(list(state.q_d)))
        raise SystemExit("a stalled client was not noticed")
    except lf.ControlException as error:
        assert "communication_constraints_violation" in str(error), error
    del control
    robot.automatic_error_recovery()
    assert robot.read_once().robot_mode == lf.RobotMode.Idle
    print("reflex and recovery done")
    gripper = lf.Gripper(address)
    assert gripper.homing()
    assert gripper.move(0.05, 0.1)
    width = gripper.read_once().width
    assert abs(width - 0.05) < 1e-3, width
    print("ok")


def near(ours, theirs, tolerance, what):
    off = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    assert off <= tolerance, (what, off)


def flat(values):
    return [number for value in values for number in flat(value)] if isinstance(values, list) else [values]


def library(robot, libfranka):
    """The model library, as libfranka calls it, against Pinocchio and against what the arm measures."""
    model = robot.load_model()
    nothing, identity = ([0.0] * 9, 0.0, [0.0] * 3), [float(i % 5 == 0) for i in range(16)]
    flange = libfranka.Frame.kFlange
    for case in json.loads(PINOCCHIO.read_text())["sets"]["gaz2019"]["cases"]:
        q, dq = case["q"], case["v"]
        near(model.mass(q, *nothing), flat(case["M"]), 1e-9, "mass")
        gravity = model.gravity(q, 0.0, [0.0] * 3)
        near(gravity, case["g"], 1e-9, "gravity")
        coriolis = model.coriolis(q, dq, *nothing)
        near([c + g for c, g in zip(coriolis, gravity)], case["nle"], 1e-9, "coriolis")
        near(model.pose(flange, q, identity, identity)[12:15], case["flange_p"], 1e-9, "pose")
        jacobian = model.zero_jacobian(flange, q, identity, identity)
        columns = [list(column) for column in zip(*case["J_world_aligned"])]
        near(jacobian, flat(columns), 1e-9, "zero_jacobian")
    state = robot.read_once()
    near(model.gravity(state), state.tau_J, 1e-3, "gravity of the arm at rest")
    near(model.pose(libfranka.Frame.kEndEffector, state), state.O_T_EE, 1e-9, "pose of the end effector")
    # Turning a frame's Jacobian into the frame's axes: columns of the pose are those axes.
    for frame in libfranka.Frame.__members__.values():
        pose, zero = model.pose(frame, state), model.zero_jacobian(frame, state)
        body = model.body_jacobian(frame, state)
        for joint in range(7):
            for part in (6 * joint, 6 * joint + 3):
                turned = [sum(pose[4 * axis + i] * zero[part + i] for i in range(3)) for axis in range(3)]
                near(body[part : part + 3], turned, 1e-9, f"body_jacobian of {frame}")
    print("model library done")


def panda_class(address):
    import panda_py

    arm = panda_py.Panda(address)
    goal = list(arm.q)
    goal[3] += 0.1
    assert arm.move_to_joint_position(goal, speed_factor=0.1)
    near(arm.q, goal, 5e-3, "panda_py.Panda's own motion")
    print("ok")


def panda(address):
    from panda_py import libfranka

    robot = libfranka.Robot(address, libfranka.RealtimeConfig.kIgnore)
    state = robot.read_once()
    print("q", [round(q, 4) for q in state.q])
    library(robot, libfranka)
    robot.set_collision_behavior([20.0] * 7, [20.0] * 7, [20.0] * 6, [20.0] * 6)
    robot.set_joint_impedance([3000.0] * 7)
    start, seconds = None, 0.0

    def positions(state, duration):
        nonlocal start, seconds
        start = start or list(state.q_d)
        seconds += duration.to_sec()
        q = list(start)
        q[3] += 0.1 * (1 - math.cos(math.pi * min(seconds, 2.0)))
        command = libfranka.JointPositions(q)
        command.motion_finished = seconds >= 2.0
        return command

    robot.control_joint_position(positions)
    print("joint motion done")
    seconds = 0.0

    def torques(state, duration):
        nonlocal seconds
        seconds += duration.to_sec()
        command = libfranka.Torques([0.5 * math.sin(2 * math.pi * min(seconds, 1.0))] + [0.0] * 6)
        command.motion_finished = seconds >= 1.0
        return command

    robot.control(torques)
    print("torque motion done")
    start, seconds = None, 0.0

    def pose(state, duration):
        nonlocal start, seconds
        start = start or list(state.O_T_EE_d)
        seconds += duration.to_sec()
        goal = list(start)
        goal[14] -= 0.03 * (1 - math.cos(math.pi * min(seconds, 2.0)))
        command = libfranka.CartesianPose(goal)
        command.motion_finished = seconds >= 2.0
        return command

    robot.control_cartesian_pose(pose)
    print("Cartesian motion done")
    lost = False

    def stall(state, duration):
        nonlocal lost
        if not lost and duration.to_sec() > 0:
            lost = True
            time.sleep(STALL)
        return libfranka.JointPositions(list(state.q_d))

    try:
        robot.control_joint_position(stall)
        raise SystemExit("a stalled client was not noticed")
    except RuntimeError as error:
        assert "communication_constraints_violation" in str(error), error
    robot.automatic_error_recovery()
    assert robot.read_once().robot_mode == libfranka.RobotMode.kIdle
    print("reflex and recovery done")
    gripper = libfranka.Gripper(address)
    assert gripper.homing() and gripper.move(0.05, 0.1)
    print("ok")


def franky(address):
    import franky as fk

    robot = fk.Robot(address, realtime_config=fk.RealtimeConfig.Ignore)
    robot.relative_dynamics_factor = 0.1
    start = list(robot.current_joint_state.position)
    goal = list(start)
    goal[3] += 0.2
    robot.move(fk.JointMotion(goal))
    reached = robot.current_joint_state.position
    assert abs(reached[3] - goal[3]) < 2e-3, reached
    print("joint motion done")
    robot.move(fk.CartesianMotion(fk.Affine([0.05, 0.0, 0.0]), fk.ReferenceType.Relative))
    print("Cartesian motion done")
    time.sleep(0.5)
    state = robot.state
    near(robot.model.gravity(state), state.tau_J, 1e-2, "gravity of the arm at rest")
    print("model query done")
    goal = list(robot.current_joint_state.position)
    goal[3] += 0.05
    # Torques: a spring that pulls the joints to where they shall be.
    robot.move(fk.JointImpedanceMotion(goal, stiffness=[400.0] * 4 + [100.0] * 3), asynchronous=True)
    until = time.monotonic() + 60
    while max(abs(a - b) for a, b in zip(robot.current_joint_state.position, goal)) > 0.01:
        assert time.monotonic() < until, robot.current_joint_state.position
        time.sleep(0.05)
    robot.move(fk.TorqueStopMotion())
    print("torque motion done")
    goal[3] += 0.4
    robot.move(fk.JointMotion(goal), asynchronous=True)
    # The motion is planned and made by a thread of franky's: the whole process stands still.
    stall = f"sleep 0.3; kill -STOP {os.getpid()}; sleep {STALL}; kill -CONT {os.getpid()}"
    helper = subprocess.Popen(["sh", "-c", stall])
    try:
        robot.join_motion()
        raise SystemExit("a stalled client was not noticed")
    except fk.ControlException as error:
        assert "communication_constraints_violation" in str(error), error
    helper.wait()
    assert robot.has_errors and robot.recover_from_errors() and not robot.has_errors
    robot.move(fk.JointMotion(goal))
    print("reflex and recovery done")
    gripper = fk.Gripper(address)
    assert gripper.move(0.05, 0.1)
    print("ok")


def every(sinew, library):
    clients = [("panda_class", "fer"), ("panda", "fer"), ("pylibfranka", "fr3"), ("franky", "fr3")]
    for number, (client, robot) in enumerate(clients, 71):
        address = f"127.0.0.{number}"
        command = [sinew, "emulate", "franka", "--robot", robot, "--bind", address, "--patience", f"{PATIENCE_MS}ms"]
        if robot == "fer":
            command += ["--model-library", library]
        emulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert emulator.stdout.readline().startswith("ready"), client
            print(f"{client}, {robot} at {address}", flush=True)
            # A process each: their libraries bring their own copies of the same symbols.
            subprocess.run([sys.executable, __file__, client, address], check=True, timeout=300)
        finally:
            emulator.terminate()
            emulator.wait()


if __name__ == "__main__":
    clients = {"pylibfranka": pylibfranka, "panda": panda, "panda_class": panda_class, "franky": franky}
    if sys.argv[1] in clients:
        clients[sys.argv[1]](sys.argv[2])
    else:
        every(sys.argv[1], sys.argv[2])
