//! Torques of a real Panda against the model: `panda_log ROWS`.
//!
//! Each row of the text file has 28 numbers: positions (rad), velocities, accelerations and measured
//! torques (N·m) of seven joints, filtered alike. `tests/third_party/panda_log.py` makes such rows
//! from the log of Gaz et al., which is under the GPL and therefore not part of this repository.
//! Fails where a joint's error is not the one that Pinocchio has with the same parameters.

use std::error::Error;

use sinew_simulation::arms::franka::{JOINTS, panda_identified};
use sinew_simulation::dynamics::Joints;

/// Pinocchio 4.1.0's RMS errors with the parameters and friction of Gaz et al., N·m, rounded.
const EXPECTED: [f64; JOINTS] = [0.260, 0.578, 0.241, 0.294, 0.148, 0.096, 0.066];

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: panda_log ROWS")?;
    let arm = panda_identified()?;
    let mut squares = [Joints::<JOINTS>::zeros(); 2];
    let mut rows = 0;
    for (index, line) in std::fs::read_to_string(file)?.lines().enumerate() {
        let row: Vec<f64> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("line {}: {error}", index + 1))?;
        let [q, v, a, measured] = row.as_chunks::<JOINTS>().0 else {
            return Err(format!("line {}: {} numbers, needed are 28", index + 1, row.len()).into());
        };
        let [q, v, a, measured] = [q, v, a, measured].map(|part| Joints::from(*part));
        let rigid = arm.at(&q).inverse(&v, &a) - measured;
        let whole = rigid + arm.friction_torque(&v);
        squares[0] += whole.component_mul(&whole);
        squares[1] += rigid.component_mul(&rigid);
        rows += 1;
    }
    let [whole, rigid] = squares.map(|sum| (sum / f64::from(rows)).map(f64::sqrt));
    println!("{rows} rows; RMS error per joint in N·m");
    println!("with friction    {:.4}", whole.transpose());
    println!("without friction {:.4}", rigid.transpose());
    let off = (whole - Joints::from(EXPECTED)).amax();
    if off > 0.000_5 {
        return Err(format!("off by {off:.4} N·m from {EXPECTED:?}").into());
    }
    Ok(())
}
