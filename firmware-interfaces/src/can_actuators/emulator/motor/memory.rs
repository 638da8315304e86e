//! Registers and parameters.

use super::super::super::models::Protocol;
use super::super::super::wire::damiao::{self, Register};
use super::super::super::wire::mit::Ranges;
use super::super::super::wire::odrive;
use super::super::super::wire::robstride::parameter;
use super::MotorConfig;

/// What registers and parameters hold at the start.
pub(super) fn defaults(config: &MotorConfig, ranges: &Ranges) -> Vec<(u16, [u8; 4])> {
    let whole = |number: u16, value: u32| (number, value.to_le_bytes());
    let real = |number: u16, value: f64| (number, (value as f32).to_le_bytes());
    match config.model.protocol {
        Protocol::Mit => Vec::new(),
        Protocol::Damiao => vec![
            real(0, 15.0),
            real(2, 100.0),
            whole(Register::MasterId.number().into(), config.feedback_id.into()),
            whole(Register::MotorId.number().into(), config.id.into()),
            whole(Register::Timeout.number().into(), 0),
            whole(Register::ControlMode.number().into(), damiao::MODE_MIT),
            whole(14, 5013),
            real(Register::GearRatio.number().into(), 10.0),
            real(Register::PositionRange.number().into(), ranges.position.high),
            real(Register::VelocityRange.number().into(), ranges.velocity.high),
            real(Register::TorqueRange.number().into(), ranges.torque.high),
            whole(35, 4),
        ],
        Protocol::Robstride => vec![
            whole(parameter::RUN_MODE, 0),
            real(parameter::IQ_REF, 0.0),
            real(parameter::SPEED_REF, 0.0),
            real(parameter::TORQUE_LIMIT, ranges.torque.high),
            real(parameter::POSITION_REF, 0.0),
            real(parameter::SPEED_LIMIT, 2.0),
            real(parameter::CURRENT_LIMIT, 23.0),
            real(parameter::POSITION_GAIN, 30.0),
            real(parameter::SPEED_GAIN, 1.0),
            real(parameter::SPEED_INTEGRAL, 0.0),
        ],
        // An ODrive's gains as it leaves the factory.
        Protocol::Odrive => vec![
            real(odrive::command::POSITION_GAIN.into(), 20.0),
            real(odrive::command::VELOCITY_GAINS.into(), 1.0 / 6.0),
        ],
    }
}
