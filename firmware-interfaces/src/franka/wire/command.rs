//! The datagram that a client sends for each state.

use super::field::{Reader, check, put_reals};
use super::{Protocol, WireError};

/// What a client commands. What its motion does not use is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RobotCommand {
    /// That of the state it answers.
    pub message_id: u64,
    /// Joint positions, rad.
    pub q_c: [f64; 7],
    /// Joint velocities, rad/s.
    pub dq_c: [f64; 7],
    /// Pose of the end effector in the base.
    pub o_t_ee_c: [f64; 16],
    /// Its velocity in the axes of the base, m/s and rad/s.
    pub o_dp_ee_c: [f64; 6],
    /// Position of joint 3 in rad, sign of joint 4.
    pub elbow_c: [f64; 2],
    /// Whether the elbow is commanded.
    pub valid_elbow: bool,
    /// The motion ends with this command.
    pub motion_generation_finished: bool,
    /// Torques without gravity and friction, N·m.
    pub tau_j_d: [f64; 7],
    /// A motion of torques alone ends with this command; not in version 5.
    pub torque_command_finished: bool,
}

impl RobotCommand {
    /// The command that a datagram is.
    ///
    /// # Errors
    /// [`WireError`] for another length or a number that is none.
    pub fn parse(protocol: Protocol, bytes: &[u8]) -> Result<Self, WireError> {
        check("a robot command", bytes, protocol.command_size())?;
        let mut reader = Reader::new(bytes);
        Ok(Self {
            message_id: reader.u64(),
            q_c: reader.reals("q_c")?,
            dq_c: reader.reals("dq_c")?,
            o_t_ee_c: reader.reals("O_T_EE_c")?,
            o_dp_ee_c: reader.reals("O_dP_EE_c")?,
            elbow_c: reader.reals("elbow_c")?,
            valid_elbow: reader.flag(),
            motion_generation_finished: reader.flag(),
            tau_j_d: reader.reals("tau_J_d")?,
            torque_command_finished: protocol == Protocol::V10 && reader.flag(),
        })
    }

    /// Appends the datagram.
    pub fn encode(&self, protocol: Protocol, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.message_id.to_le_bytes());
        put_reals(out, &self.q_c);
        put_reals(out, &self.dq_c);
        put_reals(out, &self.o_t_ee_c);
        put_reals(out, &self.o_dp_ee_c);
        put_reals(out, &self.elbow_c);
        out.push(u8::from(self.valid_elbow));
        out.push(u8::from(self.motion_generation_finished));
        put_reals(out, &self.tau_j_d);
        if protocol == Protocol::V10 {
            out.push(u8::from(self.torque_command_finished));
        }
    }
}
