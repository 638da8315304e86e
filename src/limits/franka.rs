//! Limits of Franka's arms, as the limiter in the client library counts them.
//!
//! Sources: libfranka 0.9.2 (FER) and 0.21.2 (FR3), `include/franka/rate_limiting.h`; the ends of
//! the ranges and the efforts are those of the arms' URDFs. `tests/fixtures/libfranka` holds what
//! another program makes of them.

use super::bounds::{EffortLimits, JointLimits, VelocityBarrier};

/// Time of one cycle of Franka's interface, in s.
pub const PERIOD: f64 = 1e-3;
/// Largest change of a joint's torque, in N·m/s.
pub const MAX_EFFORT_RATE: f64 = 1000.0;
/// What the limiter stays below every limit, in that limit's unit.
pub const TOLERANCE: f64 = 1e-3;

/// One joint as its maker publishes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrankaJoint {
    /// Ends of the range, in rad.
    pub position: [f64; 2],
    /// Largest speed, in rad/s.
    pub max_velocity: f64,
    /// Largest acceleration, in rad/s².
    pub max_acceleration: f64,
    /// Largest jerk, in rad/s³.
    pub max_jerk: f64,
    /// Largest torque, in N·m.
    pub max_effort: f64,
    /// Limit of speed by position; the FER has none.
    pub barrier: Option<VelocityBarrier>,
    /// Cycles of full acceleration that the limiter keeps in reserve below the largest speed,
    /// because the arm goes on accelerating while packets are lost.
    pub lost_packets: f64,
}

impl FrankaJoint {
    /// Limits at [`PERIOD`] under which the limiter of libfranka has nothing to change.
    ///
    /// Beside the limits it bounds acceleration by `(jerk / acceleration)` times the room below
    /// the largest speed. A joint that levels off in whole cycles needs `jerk * PERIOD²` of room
    /// for that. Where the barrier is 0 the limiter wants motion inwards, so the range ends before.
    pub const fn limits(&self) -> JointLimits {
        let max_acceleration = self.max_acceleration - TOLERANCE;
        let max_jerk = self.max_jerk - TOLERANCE;
        let reserve =
            TOLERANCE + self.lost_packets * PERIOD * max_acceleration + max_jerk * PERIOD * PERIOD;
        let max_velocity = self.max_velocity - reserve;
        let mut position = self.position;
        let mut barrier = self.barrier;
        if let Some(barrier) = &mut barrier {
            barrier.offset += reserve;
            let unreachable = barrier.offset * barrier.offset / (2.0 * barrier.deceleration);
            position = [position[0] + unreachable, position[1] - unreachable];
        }
        JointLimits {
            position,
            max_velocity,
            max_acceleration,
            max_jerk,
            max_step: max_velocity * PERIOD,
            barrier,
            effort: Some(EffortLimits {
                max: self.max_effort,
                max_rate: MAX_EFFORT_RATE - TOLERANCE,
            }),
        }
    }
}

const fn fer(position: [f64; 2], rates: [f64; 3], max_effort: f64) -> FrankaJoint {
    let [max_velocity, max_acceleration, max_jerk] = rates;
    FrankaJoint {
        position,
        max_velocity,
        max_acceleration,
        max_jerk,
        max_effort,
        barrier: None,
        lost_packets: 3.0,
    }
}

/// `braking` is offset and deceleration of the barrier.
const fn fr3(
    position: [f64; 2],
    max_velocity: f64,
    braking: [f64; 2],
    max_effort: f64,
) -> FrankaJoint {
    let [offset, deceleration] = braking;
    FrankaJoint {
        position,
        max_velocity,
        max_acceleration: 10.0,
        max_jerk: 5000.0,
        max_effort,
        barrier: Some(VelocityBarrier { position, offset, deceleration }),
        lost_packets: 0.0,
    }
}

/// Franka Emika Robot, also known as Panda.
pub const FER: [FrankaJoint; 7] = [
    fer([-2.8973, 2.8973], [2.175, 15.0, 7500.0], 87.0),
    fer([-1.7628, 1.7628], [2.175, 7.5, 3750.0], 87.0),
    fer([-2.8973, 2.8973], [2.175, 10.0, 5000.0], 87.0),
    fer([-3.0718, -0.0698], [2.175, 12.5, 6250.0], 87.0),
    fer([-2.8973, 2.8973], [2.61, 15.0, 7500.0], 12.0),
    fer([-0.0175, 3.7525], [2.61, 20.0, 10000.0], 12.0),
    fer([-2.8973, 2.8973], [2.61, 20.0, 10000.0], 12.0),
];

/// Franka Research 3. The limiter's ranges and offsets are not those of the data sheet, which
/// change with the system's version; the robot itself sends its own in its URDF.
pub const FR3: [FrankaJoint; 7] = [
    fr3([-2.7501, 2.7501], 2.62, [0.30, 6.0], 87.0),
    fr3([-1.7918, 1.7918], 2.62, [0.20, 2.585], 87.0),
    fr3([-2.9065, 2.9065], 2.62, [0.20, 3.5], 87.0),
    fr3([-3.0481, -0.1458], 2.62, [0.30, 4.0], 87.0),
    fr3([-2.8101, 2.8101], 5.26, [0.35, 17.0], 12.0),
    fr3([0.54092, 4.5205], 4.18, [0.35, 5.5], 12.0),
    fr3([-3.0196, 3.0196], 5.26, [0.35, 17.0], 12.0),
];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::EffortGate;
    use super::*;

    /// What franka-rs computed: `tests/fixtures/libfranka/ORIGIN.md`.
    fn fixture() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/libfranka/limiter.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn seven(value: &Value) -> [f64; 7] {
        std::array::from_fn(|joint| value[joint].as_f64().unwrap())
    }

    fn near(ours: f64, theirs: f64) -> bool {
        (ours - theirs).abs() <= 1e-12
    }

    #[test]
    fn the_limits_are_those_of_libfranka() {
        let fixture = fixture();
        for (name, arm) in [("fer", FER), ("fr3", FR3)] {
            let theirs = |key: &str| seven(&fixture[name][key]);
            for (joint, ours) in arm.iter().enumerate() {
                let limits = ours.limits();
                assert_eq!(ours.position, [theirs("lower")[joint], theirs("upper")[joint]]);
                assert!(near(limits.max_acceleration, theirs("acceleration")[joint]));
                assert!(near(limits.max_jerk, theirs("jerk")[joint]));
                assert!(near(limits.effort.unwrap().max_rate, theirs("torque_rate")[joint]));
                let room = limits.max_jerk * PERIOD * PERIOD;
                assert!(near(limits.max_velocity, theirs("velocity")[joint] - room), "{joint}");
            }
        }
    }

    #[test]
    fn the_speed_that_a_position_allows_is_that_of_libfranka() {
        let fixture = fixture();
        let rows = fixture["fr3_velocity"].as_array().unwrap();
        assert!(rows.len() > 100);
        let mut beyond = 0;
        for row in rows {
            let (q, lower, upper) = (seven(&row["q"]), seven(&row["lower"]), seven(&row["upper"]));
            for (joint, ours) in FR3.iter().enumerate() {
                let [least, most] = ours.barrier.unwrap().at(q[joint], ours.max_velocity);
                let position = q[joint];
                assert!(near(most - TOLERANCE, upper[joint]), "joint {joint} at {position}");
                assert!(near(least + TOLERANCE, lower[joint]), "joint {joint} at {position}");
                beyond += u32::from(!(ours.position[0]..=ours.position[1]).contains(&position));
            }
        }
        assert!(beyond > 100, "positions outside the range are looked at too");
    }

    #[test]
    fn a_joint_may_stand_anywhere_in_the_range_that_the_gate_is_given() {
        for joint in FR3 {
            let limits = joint.limits();
            let barrier = joint.barrier.unwrap();
            for position in limits.position {
                let [least, most] = barrier.at(position, joint.max_velocity);
                assert!(least <= -TOLERANCE && most >= TOLERANCE, "{position}");
            }
        }
    }

    #[test]
    fn the_range_ends_where_the_barrier_of_the_limits_leaves_no_speed() {
        for joint in FR3 {
            let limits = joint.limits();
            let (published, barrier) = (joint.barrier.unwrap(), limits.barrier.unwrap());
            assert_eq!(barrier.deceleration, published.deceleration);
            let reserve = joint.max_velocity - limits.max_velocity;
            assert!(near(barrier.offset, published.offset + reserve));
            let [lower, upper] = limits.position;
            // Speed that is left 1 µm further in and further out.
            let left = |position: f64| barrier.at(position, 1.0);
            assert!(left(upper + 1e-6)[1] == 0.0 && left(upper - 1e-6)[1] > 0.0, "{upper}");
            assert!(left(lower - 1e-6)[0] == 0.0 && left(lower + 1e-6)[0] < 0.0, "{lower}");
        }
        for joint in FER.into_iter().chain(FR3) {
            let limits = joint.limits();
            assert!(near(limits.max_step / PERIOD, limits.max_velocity));
        }
    }

    #[test]
    fn torques_rise_as_in_libfranka() {
        let fixture = fixture();
        for (joint, ours) in FR3.iter().enumerate() {
            let mut gate = EffortGate::new(ours.limits().effort.unwrap(), PERIOD);
            for row in fixture["torque"].as_array().unwrap() {
                let (commanded, limited) = (seven(&row["commanded"]), seven(&row["limited"]));
                let (effort, _) = gate.apply(commanded[joint]);
                assert!(near(effort, limited[joint]), "joint {joint}: {effort}");
            }
        }
    }
}
