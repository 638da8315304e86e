//! The emulated arm's mechanics: servos, gripper, queued and Cartesian motion.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use sinew_simulation::kinematics::{SerialChain, Transform};
use sinew_simulation::servo::Servo;

use crate::Timestamp;
use crate::mycobot320::arm;
use crate::mycobot320::wire::ARM_JOINTS;

/// Error codes of the protocol's `ErrorInformation`.
pub(super) mod error {
    pub(in super::super) const NONE: u8 = 0;
    pub(in super::super) const NO_INVERSE_KINEMATICS: u8 = 32;
    pub(in super::super) const NO_ADJACENT_SOLUTION: u8 = 33;
}

/// Motions that wait while the fresh mode is off.
const QUEUE_LENGTH: usize = 64;
/// Step in which queued and Cartesian motion is followed.
const STEP: Duration = Duration::from_millis(10);
const DEGREES_PER_SECOND_WHEN_TURNING: f64 = 90.0;
/// How exactly a pose is reached: below the protocol's resolution of 0.1 mm and 0.01°.
const POSITION_TOLERANCE: f64 = 2e-5;
const ROTATION_TOLERANCE: f64 = 1e-4;

/// A pose as the protocol means it: x, y, z in mm, rx, ry, rz in degrees, which are roll, pitch
/// and yaw about fixed axes. That convention is assumed, not verified against a real arm.
pub(super) type Coords = [f64; 6];

/// Targets in rad and speeds in rad/s; `None` leaves a joint alone.
#[derive(Clone, Copy, Debug)]
struct Motion {
    joints: [Option<(f64, f64)>; ARM_JOINTS],
}

#[derive(Clone, Copy, Debug)]
struct Jog {
    coords: Coords,
    axis: usize,
    /// Per second, in the axis' unit.
    velocity: f64,
}

/// The mechanics.
#[derive(Clone, Debug)]
pub(super) struct Plant {
    chain: SerialChain<ARM_JOINTS>,
    servos: [Servo; ARM_JOINTS],
    pub(super) gripper: Servo,
    pub(super) force_gripper: Servo,
    pub(super) limits: [RangeInclusive<f64>; ARM_JOINTS],
    pub(super) enabled: [bool; ARM_JOINTS],
    pub(super) powered: bool,
    pub(super) fresh: bool,
    pub(super) error: u8,
    pub(super) tool: Transform,
    pub(super) world: Transform,
    pub(super) end_is_tool: bool,
    queue: VecDeque<Motion>,
    current: Option<Motion>,
    jog: Option<Jog>,
    paused: bool,
    time: Timestamp,
}

impl Plant {
    pub(super) fn new(angles: [f64; ARM_JOINTS], opening: f64, powered: bool) -> Self {
        let speed = full_speed();
        let acceleration = arm::MAX_JOINT_ACCELERATION_DEGREES.to_radians();
        let gripper = |opening| Servo::new(opening, arm::MAX_GRIPPER_SPEED, 10.0);
        Self {
            chain: arm::chain(),
            servos: angles.map(|angle| Servo::new(angle, speed, acceleration)),
            gripper: gripper(opening),
            force_gripper: gripper(1.0),
            limits: std::array::from_fn(arm::joint_range),
            enabled: [powered; ARM_JOINTS],
            powered,
            fresh: false,
            error: error::NONE,
            tool: Transform::IDENTITY,
            world: Transform::IDENTITY,
            end_is_tool: false,
            queue: VecDeque::with_capacity(QUEUE_LENGTH),
            current: None,
            jog: None,
            paused: false,
            time: Timestamp::ZERO,
        }
    }

    /// Moves everything on to `time`.
    pub(super) fn advance_to(&mut self, time: Timestamp) {
        while self.time < time {
            let following = self.jog.is_some() || !self.queue.is_empty();
            let step = if following { STEP } else { time.since(self.time) };
            let next = self.time.after(step).min(time);
            let seconds = next.since(self.time).as_secs_f64();
            self.time = next;
            self.follow_jog(seconds);
            for servo in self.servos.iter_mut().chain([&mut self.gripper, &mut self.force_gripper])
            {
                servo.advance(seconds);
            }
            if !self.paused
                && !self.servos.iter().any(Servo::is_moving)
                && let Some(motion) = self.queue.pop_front()
            {
                self.start(motion);
            }
        }
    }

    pub(super) fn angles(&self) -> [f64; ARM_JOINTS] {
        self.servos.map(|servo| servo.position())
    }

    pub(super) fn planned_angles(&self) -> [f64; ARM_JOINTS] {
        self.servos.map(|servo| servo.target())
    }

    pub(super) fn velocities(&self) -> [f64; ARM_JOINTS] {
        self.servos.map(|servo| servo.velocity())
    }

    pub(super) fn is_moving(&self) -> bool {
        self.jog.is_some()
            || self.servos.iter().any(Servo::is_moving)
            || (!self.paused && !self.queue.is_empty())
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Moves some joints; each target in rad with its speed as a fraction of full speed. Refused
    /// as a whole when one target lies outside its limits.
    pub(super) fn move_joints(&mut self, targets: [Option<(f64, f64)>; ARM_JOINTS]) {
        for (joint, (target, limits)) in targets.iter().zip(&self.limits).enumerate() {
            // Targets come in steps of 0.01°, limits are exact.
            let outside = |angle: f64| angle < limits.start() - 1e-9 || angle > limits.end() + 1e-9;
            if target.is_some_and(|(angle, _)| outside(angle)) {
                self.error = joint as u8 + 1;
                return;
            }
        }
        if !self.powered {
            return;
        }
        let motion =
            Motion { joints: targets.map(|t| t.map(|(angle, part)| (angle, part * full_speed()))) };
        self.jog = None;
        if self.fresh {
            self.queue.clear();
            self.paused = false;
            self.start(motion);
        } else if !self.is_moving() && !self.paused {
            self.start(motion);
        } else if self.queue.len() < QUEUE_LENGTH {
            self.queue.push_back(motion);
        }
    }

    /// Moves the end to `coords` by moving all joints at once; the straight line of the real
    /// arm's linear mode is not emulated.
    pub(super) fn move_to_coords(&mut self, coords: &Coords, part: f64) {
        match self.solve(coords, &self.planned_angles()) {
            Some(angles) => self.move_joints(angles.map(|angle| Some((angle, part)))),
            None => self.error = error::NO_INVERSE_KINEMATICS,
        }
    }

    /// Turns a joint towards one of its limits.
    pub(super) fn jog_joint(&mut self, joint: usize, forward: bool, part: f64) {
        let Some(limits) = self.limits.get(joint) else { return };
        let target = if forward { *limits.end() } else { *limits.start() };
        let mut targets = [None; ARM_JOINTS];
        targets[joint] = Some((target, part));
        self.move_joints(targets);
    }

    /// Moves the end along axis 0 to 2 or about axis 3 to 5 until stopped.
    pub(super) fn jog_end(&mut self, axis: usize, forward: bool, part: f64) {
        if !self.powered || axis >= 6 {
            return;
        }
        let rate = if axis < 3 {
            arm::MAX_LINEAR_SPEED_MILLIMETRES
        } else {
            DEGREES_PER_SECOND_WHEN_TURNING
        };
        let velocity = if forward { rate * part } else { -rate * part };
        self.queue.clear();
        self.jog = Some(Jog { coords: self.coords_of(&self.angles()), axis, velocity });
    }

    /// Brakes and forgets the motion.
    pub(super) fn stop(&mut self) {
        self.queue.clear();
        self.jog = None;
        self.current = None;
        self.paused = false;
        self.servos.iter_mut().for_each(Servo::halt);
    }

    pub(super) fn pause(&mut self) {
        self.paused = true;
        self.jog = None;
        self.servos.iter_mut().for_each(Servo::halt);
    }

    pub(super) fn resume(&mut self) {
        if std::mem::take(&mut self.paused)
            && let Some(motion) = self.current
        {
            self.start(motion);
        }
    }

    /// Switches power and torque of all servos.
    pub(super) fn set_power(&mut self, on: bool) {
        self.stop();
        self.powered = on;
        self.enabled = [on; ARM_JOINTS];
        if !on {
            self.gripper.halt();
        }
    }

    /// Switches one joint's torque. Without torque it stays where it is: gravity is not emulated.
    pub(super) fn set_torque(&mut self, joint: usize, on: bool) {
        if let (Some(enabled), Some(servo)) =
            (self.enabled.get_mut(joint), self.servos.get_mut(joint))
        {
            *enabled = on && self.powered;
            servo.halt();
        }
    }

    /// Makes a joint's present angle its zero.
    pub(super) fn calibrate(&mut self, joint: usize) {
        if let Some(servo) = self.servos.get_mut(joint) {
            servo.place(0.0);
        }
    }

    /// The pose that `angles` (rad) give.
    pub(super) fn coords_of(&self, angles: &[f64; ARM_JOINTS]) -> Coords {
        let mut pose = self.world.inverse().then(&self.chain.forward(angles));
        if self.end_is_tool {
            pose = pose.then(&self.tool);
        }
        coords_from(&pose)
    }

    /// Angles that give the pose, near `seed`.
    pub(super) fn solve(
        &self,
        coords: &Coords,
        seed: &[f64; ARM_JOINTS],
    ) -> Option<[f64; ARM_JOINTS]> {
        let mut pose = self.world.then(&transform_from(coords));
        if self.end_is_tool {
            pose = pose.then(&self.tool.inverse());
        }
        // Near a singular posture the first search may stick; a bent one next to it gets free.
        const BENDS: [[f64; ARM_JOINTS]; 5] = [
            [0.0; ARM_JOINTS],
            [0.05, -0.3, 0.4, -0.1, 0.2, 0.05],
            [-0.05, 0.3, -0.4, 0.1, -0.2, -0.05],
            [0.1, -0.6, 1.0, -0.4, 0.5, 0.1],
            [-0.1, 0.6, -1.0, 0.4, -0.5, -0.1],
        ];
        BENDS.iter().find_map(|bend| {
            let from = std::array::from_fn(|joint| seed[joint] + bend[joint]);
            self.chain.inverse(&pose, &from, POSITION_TOLERANCE, ROTATION_TOLERANCE)
        })
    }

    fn start(&mut self, motion: Motion) {
        self.current = Some(motion);
        let joints = self.servos.iter_mut().zip(&self.enabled).zip(&motion.joints);
        for ((servo, enabled), goal) in joints {
            if let (true, Some((angle, speed))) = (*enabled, goal) {
                servo.move_to(*angle, *speed);
            }
        }
    }

    fn follow_jog(&mut self, seconds: f64) {
        let Some(mut jog) = self.jog else { return };
        if let Some(value) = jog.coords.get_mut(jog.axis) {
            *value += jog.velocity * seconds;
        }
        // Only the branch next to the present posture: a jog must not jump to another one.
        let mut pose = self.world.then(&transform_from(&jog.coords));
        if self.end_is_tool {
            pose = pose.then(&self.tool.inverse());
        }
        let seed = self.planned_angles();
        match self.chain.inverse(&pose, &seed, POSITION_TOLERANCE, ROTATION_TOLERANCE) {
            Some(angles) => {
                self.start(Motion { joints: angles.map(|angle| Some((angle, full_speed()))) });
                self.jog = Some(jog);
            }
            None => {
                self.stop();
                self.error = error::NO_ADJACENT_SOLUTION;
            }
        }
    }
}

fn full_speed() -> f64 {
    arm::MAX_JOINT_SPEED_DEGREES.to_radians()
}

/// A pose in m and rad from one in mm and degrees.
pub(super) fn transform_from(coords: &Coords) -> Transform {
    let [x, y, z, rx, ry, rz] = *coords;
    Transform::from_xyz_rpy(
        [x, y, z].map(|millimetres| millimetres * 1e-3),
        [rx, ry, rz].map(f64::to_radians),
    )
}

/// A pose in mm and degrees from one in m and rad.
pub(super) fn coords_from(pose: &Transform) -> Coords {
    let [x, y, z] = pose.translation.map(|metres| metres * 1e3);
    let [rx, ry, rz] = pose.rpy().map(f64::to_degrees);
    [x, y, z, rx, ry, rz]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::ZERO.after(Duration::from_secs_f64(seconds))
    }

    fn all(angle: f64) -> [Option<(f64, f64)>; ARM_JOINTS] {
        [Some((angle, 1.0)); ARM_JOINTS]
    }

    #[test]
    fn fresh_motions_replace_and_queued_ones_wait() {
        let mut plant = Plant::new([0.0; ARM_JOINTS], 1.0, true);
        plant.move_joints(all(0.5));
        plant.move_joints(all(0.2));
        plant.advance_to(at(0.8));
        assert!(plant.angles()[0] > 0.45, "the first motion is not cut short");
        plant.advance_to(at(5.0));
        assert!((plant.angles()[0] - 0.2).abs() < 1e-9);

        plant.fresh = true;
        plant.move_joints(all(1.0));
        plant.advance_to(at(5.1));
        plant.move_joints(all(0.0));
        plant.advance_to(at(10.0));
        assert!(plant.angles()[0].abs() < 1e-9 && !plant.is_moving());
    }

    #[test]
    fn a_paused_motion_resumes_and_a_stopped_one_does_not() {
        let mut plant = Plant::new([0.0; ARM_JOINTS], 1.0, true);
        plant.fresh = true;
        plant.move_joints(all(1.0));
        plant.advance_to(at(0.3));
        plant.pause();
        plant.advance_to(at(2.0));
        let halted = plant.angles()[0];
        assert!(halted < 0.6 && !plant.is_moving() && plant.is_paused());
        plant.resume();
        plant.advance_to(at(4.0));
        assert!((plant.angles()[0] - 1.0).abs() < 1e-9);
        plant.move_joints(all(0.0));
        plant.advance_to(at(4.2));
        plant.stop();
        plant.resume();
        plant.advance_to(at(6.0));
        assert!(plant.angles()[0] > 0.1 && !plant.is_moving());
    }

    #[test]
    fn a_target_past_a_limit_moves_nothing_and_is_reported() {
        let mut plant = Plant::new([0.0; ARM_JOINTS], 1.0, true);
        let mut targets = all(0.1);
        targets[2] = Some((2.9, 1.0));
        plant.move_joints(targets);
        plant.advance_to(at(1.0));
        assert_eq!((plant.angles(), plant.error), ([0.0; ARM_JOINTS], 3));
    }

    #[test]
    fn without_power_or_torque_nothing_moves() {
        let mut plant = Plant::new([0.0; ARM_JOINTS], 1.0, false);
        plant.fresh = true;
        plant.move_joints(all(0.5));
        plant.advance_to(at(1.0));
        assert_eq!(plant.angles(), [0.0; ARM_JOINTS]);
        plant.set_power(true);
        plant.set_torque(1, false);
        plant.move_joints(all(0.5));
        plant.advance_to(at(3.0));
        assert_eq!(plant.angles()[1], 0.0);
        assert!((plant.angles()[0] - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_cartesian_jog_moves_along_its_axis_only() {
        let mut plant = Plant::new([0.2, 0.5, 0.9, 0.3, 0.4, 0.1], 1.0, true);
        let from = plant.coords_of(&plant.angles());
        plant.jog_end(2, false, 0.5);
        plant.advance_to(at(1.0));
        assert!(plant.is_moving());
        plant.stop();
        plant.advance_to(at(2.0));
        let to = plant.coords_of(&plant.angles());
        assert!(!plant.is_moving());
        assert!((20.0..60.0).contains(&(from[2] - to[2])), "{from:?} {to:?}");
        // The servos lag differently, so the path bends a little.
        assert!((from[0] - to[0]).abs() < 3.0 && (from[1] - to[1]).abs() < 3.0);
    }

    #[test]
    fn tool_and_world_frames_shift_the_pose_and_the_inverse_follows() {
        let angles = [0.2, 0.5, 0.9, 0.3, 0.4, 0.1];
        let mut plant = Plant::new(angles, 1.0, true);
        plant.world = transform_from(&[100.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        plant.tool = transform_from(&[0.0, 0.0, 50.0, 0.0, 0.0, 90.0]);
        let flange = plant.coords_of(&angles);
        plant.end_is_tool = true;
        let tool = plant.coords_of(&angles);
        let apart: f64 = (0..3).map(|k| (flange[k] - tool[k]).powi(2)).sum();
        assert!((apart.sqrt() - 50.0).abs() < 1e-6);
        let near = angles.map(|angle| angle + 0.1);
        let found = plant.solve(&tool, &near).unwrap();
        let again = plant.coords_of(&found);
        assert!((0..3).all(|k| (again[k] - tool[k]).abs() < 0.05), "{again:?} {tool:?}");
    }
}
