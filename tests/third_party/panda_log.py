"""Rows for `cargo run -p sinew-simulation --example panda_log`: panda_log.py LOG ROWS; or, where ROWS ends in .csv, the log as it is,
as a table for `sinew-tools validate dynamics`: panda_log.py LOG LOG.csv [--late MS]

--late shifts the torques, so that they come MS milliseconds later than they did.

LOG is the folder matlab/data/Exciting_Traj/Trajectory_1/rbt_log of github.com/marcocognetti/FrankaEmikaPandaDynModel (GPL-3), or an .npz
with time, position_rad, velocity_rad_s and torque_nm. The log has gaps: it is put on a grid of 1 ms, all signals go through the same
zero-phase Butterworth filter of order 2 at 10 Hz, accelerations are differences of the filtered velocities, and half a second at both ends
is left out. Needs numpy and scipy.
"""

import pathlib
import sys

import numpy as np
from scipy.signal import butter, filtfilt

STEP = 0.001


def load(path: pathlib.Path):
    if path.suffix == ".npz":
        log = np.load(path)
        return [log[name] for name in ("time", "position_rad", "velocity_rad_s", "torque_nm")]
    signals = [np.loadtxt(path / f"exciting_traj_{name}.txt") for name in ("time", "positions", "velocity", "torques")]
    return [signals[0].ravel(), *(signal.reshape(-1, 7) for signal in signals[1:])]


def table(time, position, velocity, torque, path: pathlib.Path, late_s: float):
    torque = np.stack([np.interp(time - late_s, time, column) for column in torque.T], axis=1)
    rising = np.concatenate([[True], np.diff(time) > 0])
    fields = [f"joint{joint}.{field}" for field in ("position", "velocity", "effort") for joint in range(1, 8)]
    rows = np.hstack([time[:, None], position, velocity, torque])[rising]
    np.savetxt(path, rows, fmt="%.9g", delimiter=",", header=",".join(["time_s", *fields]), comments="")


def main():
    log, rows = map(pathlib.Path, sys.argv[1:3])
    time, *signals = load(log)
    if rows.suffix == ".csv":
        late_ms = float(sys.argv[4]) if sys.argv[3:4] == ["--late"] else 0.0
        table(time, *signals, rows, late_ms / 1000)
        return
    grid = np.arange(time[0], time[-1], STEP)
    b, a = butter(2, 10 * 2 * STEP)
    filtered = [
        filtfilt(b, a, np.stack([np.interp(grid, time, column) for column in signal.T], axis=1), axis=0)
        for signal in signals
    ]
    position, velocity, torque = filtered
    acceleration = np.gradient(velocity, STEP, axis=0)
    np.savetxt(rows, np.hstack([position, velocity, acceleration, torque])[500:-500])


if __name__ == "__main__":
    main()
