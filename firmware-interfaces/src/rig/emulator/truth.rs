//! What no sensor shows, beside what the sensors say.

use std::fmt;

use sinew_simulation::actuator::Truth;

use crate::rig::wire::Sample;

/// Columns of a [`TruthRow`]: those of a recording, then the true torques in N·m, angles in rad and
/// rates in SI units. `Torque_Nm` is the net torque on the load: inertia times angular acceleration.
pub const TRUTH_HEADER: &str = "Time_ms,Encoder_Angle,Commanded_Angle,Acc_X,Acc_Y,Acc_Z,Gyro_X,\
                                Gyro_Y,Gyro_Z,Temperature_C,Supply_V,Mode,Torque_Nm,Motor_Nm,Friction_Nm,\
                                Transmission_Nm,Spring_Nm,Gravity_Nm,True_Angle_rad,True_Velocity_rad_s,\
                                True_Acceleration_rad_s2,Motor_Angle_rad,Motor_Velocity_rad_s";

/// One period of the device with its truth. Its display is a line of CSV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthRow {
    /// What the device measured.
    pub sample: Sample,
    /// What was the case.
    pub truth: Truth,
}

impl fmt::Display for TruthRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sample, truth } = self;
        write!(
            formatter,
            "{:.3},{:.5},{:.5}",
            sample.time_us as f64 * 1e-3,
            sample.encoder.to_degrees(),
            sample.command.to_degrees(),
        )?;
        for value in sample.acceleration {
            write!(formatter, ",{value:.5}")?;
        }
        for value in sample.gyro {
            write!(formatter, ",{:.5}", value.to_degrees())?;
        }
        write!(formatter, ",{:.2},{:.3},{}", sample.temperature, sample.supply, sample.mode as u8)?;
        for value in [
            truth.net_torque,
            truth.motor_torque,
            truth.friction_torque,
            truth.transmission_torque,
            truth.spring_torque,
            truth.gravity_torque,
            truth.load_angle,
            truth.load_velocity,
            truth.load_acceleration,
            truth.motor_angle,
            truth.motor_velocity,
        ] {
            write!(formatter, ",{value:.7}")?;
        }
        Ok(())
    }
}
