//! What the arm tells of itself.

use sinew_simulation::dynamics::{GRAVITY, Joints};
use sinew_simulation::kinematics::Transform;

use super::contact::beyond;
use super::control::{Control, f_t_ne};
use super::motion::Drive;
use super::plant::{HAND, PERIOD};
use super::poses::to_wire;
use crate::franka::wire::{Controller, ControllerMode, Generator, MotionGeneratorMode, RobotState};

/// Where joint 4 has its elbow stretched, rad.
pub(super) const ELBOW_FLIP: f64 = -0.467_002_423_653_011;

impl Control {
    pub(super) fn state(&self) -> RobotState {
        let plant = &self.plant;
        let here = self.chain.at(&plant.positions);
        let there = self.chain.at(&self.desired.positions);
        let pose = to_wire(&Transform::from(here.tool()));
        let desired_pose = to_wire(&Transform::from(there.tool()));
        let (rate, jacobian) = (there.jacobian_rate(&self.desired.velocities), there.jacobian());
        let twist = jacobian * self.desired.velocities;
        let acceleration = jacobian * self.desired.accelerations + rate * self.desired.velocities;
        let twist: [f64; 6] = twist.into();
        let wrench = &self.contact.wrench;
        let felt: [f64; 7] = self.contact.torques.into();
        let (contact, collision) = self.thresholds();
        let stiffness_frame = Transform::from(here.tool()).then(&self.settings.ee_t_k);
        let f_t_ne = f_t_ne();
        let load = &self.settings.load;
        let [xx, xy, xz, yy, yz, zz] = HAND.inertia;
        let torque_rate = (plant.torques - self.torques_before) / PERIOD;
        let (motion_generator_mode, controller_mode) = self.modes();
        RobotState {
            message_id: self.message_id,
            o_t_ee: pose,
            o_t_ee_d: desired_pose,
            f_t_ee: to_wire(&f_t_ne.then(&self.settings.ne_t_ee)),
            ee_t_k: to_wire(&self.settings.ee_t_k),
            f_t_ne: to_wire(&f_t_ne),
            ne_t_ee: to_wire(&self.settings.ne_t_ee),
            m_ee: HAND.mass,
            i_ee: [xx, xy, xz, xy, yy, yz, xz, yz, zz],
            f_x_cee: HAND.center,
            m_load: load.mass,
            i_load: load.inertia,
            f_x_cload: load.center,
            elbow: elbow(&plant.positions),
            elbow_d: elbow(&self.desired.positions),
            tau_j: plant.torques.into(),
            tau_j_d: match self.motion.as_ref().map(|motion| motion.drive()) {
                Some(Drive::Torques(torques)) => torques.into(),
                _ => plant.desired_torques.into(),
            },
            dtau_j: torque_rate.into(),
            q: plant.positions.into(),
            q_d: self.desired.positions.into(),
            dq: plant.velocities.into(),
            dq_d: self.desired.velocities.into(),
            ddq_d: self.desired.accelerations.into(),
            joint_contact: beyond(&felt, &contact.torques),
            cartesian_contact: beyond(wrench, &contact.forces),
            joint_collision: beyond(&felt, &collision.torques),
            cartesian_collision: beyond(wrench, &collision.forces),
            tau_ext_hat_filtered: felt,
            o_f_ext_hat_k: *wrench,
            k_f_ext_hat_k: turned(&stiffness_frame, wrench),
            o_dp_ee_d: twist,
            o_ddp_o: GRAVITY.into(),
            elbow_c: elbow(&self.desired.positions),
            delbow_c: [self.desired.velocities[2], 0.0],
            ddelbow_c: [self.desired.accelerations[2], 0.0],
            o_t_ee_c: desired_pose,
            // Clients' filters and limiters go on from these.
            o_dp_ee_c: twist,
            o_ddp_ee_c: acceleration.into(),
            theta: plant.positions.into(),
            dtheta: plant.velocities.into(),
            motion_generator_mode,
            controller_mode,
            errors: self.errors,
            reflex_reason: self.reflex_reason,
            robot_mode: self.mode,
            control_command_success_rate: self.success_rate(),
            ..RobotState::default()
        }
    }

    fn modes(&self) -> (MotionGeneratorMode, ControllerMode) {
        let Some(motion) = &self.motion else {
            return (MotionGeneratorMode::Idle, ControllerMode::Other);
        };
        let generator = match motion.generator {
            Generator::JointPosition => MotionGeneratorMode::JointPosition,
            Generator::JointVelocity => MotionGeneratorMode::JointVelocity,
            Generator::CartesianPosition => MotionGeneratorMode::CartesianPosition,
            Generator::CartesianVelocity => MotionGeneratorMode::CartesianVelocity,
            Generator::None => MotionGeneratorMode::None,
        };
        let controller = match motion.controller {
            Controller::JointImpedance => ControllerMode::JointImpedance,
            Controller::CartesianImpedance => ControllerMode::CartesianImpedance,
            Controller::External => ControllerMode::External,
        };
        (generator, controller)
    }
}

/// A wrench in the axes of a frame instead of the base's.
fn turned(frame: &Transform, wrench: &[f64; 6]) -> [f64; 6] {
    std::array::from_fn(|i| {
        let (part, column) = (i / 3 * 3, i % 3);
        (0..3).map(|row| frame.rotation[row][column] * wrench[part + row]).sum()
    })
}

fn elbow(positions: &Joints<7>) -> [f64; 2] {
    [positions[2], if positions[3] > ELBOW_FLIP { 1.0 } else { -1.0 }]
}
