//! What went wrong last, as plain data: no text is made where it happens.

use std::fmt;
use std::io::ErrorKind;

use crate::rig::wire::{Fault, Reason, Request, VERSION, WireError};

/// A failure of link or device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failure {
    /// No state came for too long.
    Silent,
    /// The port reported an error.
    Port(ErrorKind),
    /// A frame or line was whole and not understood.
    Malformed(WireError),
    /// The encoder reads an angle outside the joint's travel.
    OutOfRange {
        /// The angle, in rad.
        angle: f64,
        /// The travel, both ways, in rad.
        most: f64,
    },
    /// The encoder reads an angle further from the one before than the joint can have moved.
    EncoderJump {
        /// Angle before, in rad.
        from: f64,
        /// Angle now, in rad.
        to: f64,
    },
    /// The gyroscope reads a rate that no such sensor has in its range.
    GyroRange {
        /// The rate, in rad/s.
        rate: f64,
        /// The range, both ways, in rad/s.
        most: f64,
    },
    /// The gyroscope reads a rate further from the one before than the load's can have changed, and
    /// the encoder does not move like that.
    GyroJump {
        /// Rate before, in rad/s.
        from: f64,
        /// Rate now, in rad/s.
        to: f64,
    },
    /// A command was not finite or outside the device's range, and was not sent.
    BadCommand {
        /// The value.
        value: f64,
        /// The range, both ways.
        most: f64,
    },
    /// The device refused a request.
    Refused {
        /// The request's type byte.
        kind: u8,
        /// Why.
        reason: Reason,
    },
    /// A remark of the device's says that it refused a command.
    RefusedByRemark,
    /// The device speaks another version of the protocol.
    Version {
        /// Its version.
        version: u8,
    },
    /// The device cannot send state this often.
    Rate {
        /// States a second asked for.
        wanted: u16,
        /// Most states a second.
        most: u16,
    },
    /// The device takes less torque than the configuration allows.
    Torque {
        /// Largest torque of the configuration, in N·m.
        configured: f64,
        /// Largest torque that the device takes, in N·m.
        most: f64,
    },
    /// The configuration says that the device measures something that it does not.
    NoSensor {
        /// Its name among the robot's sensors.
        sensor: &'static str,
    },
    /// The device's clock and this computer's drift apart faster than clocks do.
    Clock {
        /// By how much the device's is slow, in parts per million; negative where it is fast.
        ppm: i32,
        /// The most that is borne.
        most: i32,
    },
    /// The device has begun to count again: it was switched off, or its controller restarted.
    Restarted,
    /// The device reports faults.
    Faulty {
        /// Bits of [`Fault`].
        faults: u8,
    },
    /// The device had not heard from here for too long, and held by itself.
    Held,
    /// The device has no torque though nobody here took it off.
    Released,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => formatter.write_str("the device sends no state"),
            Self::Port(kind) => write!(formatter, "port: {kind}"),
            Self::Malformed(error) => write!(formatter, "not understood: {error}"),
            Self::OutOfRange { angle, most } => {
                write!(formatter, "the encoder reads {angle:.4} rad, outside -{most} to {most} rad")
            }
            Self::EncoderJump { from, to } => write!(
                formatter,
                "encoder jump: {to:.4} rad right after {from:.4} rad, faster than the joint can move"
            ),
            Self::GyroRange { rate, most } => {
                write!(
                    formatter,
                    "the gyroscope reads {rate:.2} rad/s, outside -{most} to {most} rad/s"
                )
            }
            Self::GyroJump { from, to } => write!(
                formatter,
                "gyroscope: {to:.2} rad/s right after {from:.2} rad/s, and the encoder does not say so"
            ),
            Self::BadCommand { value, most } => {
                write!(
                    formatter,
                    "a command of {value} was not sent: allowed are -{most} to {most}"
                )
            }
            Self::Refused { kind, reason } => write!(
                formatter,
                "the device refused the request \"{}\": {}",
                Request::name_of(*kind),
                reason.words()
            ),
            Self::RefusedByRemark => {
                formatter.write_str("the device refused the last command (\"# refused\")")
            }
            Self::Version { version } => write!(
                formatter,
                "the device speaks version {version} of the protocol, this driver version {VERSION}"
            ),
            Self::Rate { wanted, most } => write!(
                formatter,
                "the device sends at most {most} states a second, and robot.rig.rate_hz asks for {wanted}"
            ),
            Self::Torque { configured, most } => write!(
                formatter,
                "the device takes at most {} N·m, and robot.rig.max_torque_nm allows {configured} N·m",
                // As it came.
                *most as f32
            ),
            Self::NoSensor { sensor } => write!(
                formatter,
                "the device does not measure {sensor}, and by robot.rig.{sensor} it does"
            ),
            Self::Clock { ppm, most } => write!(
                formatter,
                "the device's clock is {} ppm {} than this computer's; up to {most} ppm are borne. Does it \
                 count time with a crystal, in the unit it says, and does the line carry all states \
                 (robot.rig.rate_hz)?",
                ppm.abs(),
                if *ppm > 0 { "slower" } else { "faster" },
            ),
            Self::Restarted => formatter.write_str("the device has started again"),
            Self::Faulty { faults } => {
                formatter.write_str("the device reports: ")?;
                let present = Fault::ALL.iter().filter(|(fault, _)| fault.is_in(*faults));
                for (index, (_, words)) in present.enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(formatter, "{comma}{words}")?;
                }
                Ok(())
            }
            Self::Held => formatter.write_str("the device heard nothing from here and held"),
            Self::Released => formatter.write_str("the device has taken torque off by itself"),
        }
    }
}
