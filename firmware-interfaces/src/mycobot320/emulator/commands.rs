//! What the emulated arm does on each request, and what it answers.

use super::conversions::{
    coord_from_wire, coords_from_wire, counts_per_second, index, limit_to_wire, part,
    transform_from_wire, wire_angles, wire_coords,
};
use super::force_gripper::ForceGripper;
use super::plant::{self, Plant};
use crate::Timestamp;
use crate::mycobot320::wire::{ARM_JOINTS, Answer, NO_SOLUTION, Reply, Request, scaling};

/// Versions times 10, as the recorded firmware reports them.
const SYSTEM_VERSION: u8 = 11;
const ATOM_VERSION: u8 = 42;
const BASIC_VERSION: u8 = 10;
const SUPPLY_DECIVOLT: u8 = 240;
const TEMPERATURE: u8 = 32;
/// Current at rest, and per rad/s of speed, in mA: plausible, not measured.
const IDLE_CURRENT: f64 = 60.0;
const CURRENT_PER_SPEED: f64 = 250.0;
/// How near counts as being in position.
const NEAR_DEGREES: f64 = 0.5;
const NEAR_MILLIMETRES: f64 = 2.0;
/// Answer to a request for Wi-Fi credentials: the client takes the second and the last word.
const WIFI: &[u8] = b"ssid: MyCobotWiFi2.4G password: mycobot123";
/// Encoder count of the closed gripper, and counts to fully open.
const GRIPPER_ENCODER_CLOSED: f64 = 1024.0;
const GRIPPER_ENCODER_SPAN: f64 = 1024.0;

/// How one request is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Response {
    Reply(Reply),
    /// Bytes without a frame.
    Text(&'static [u8]),
    Nothing,
}

/// Settings that are stored and read back, and the plant.
#[derive(Clone, Debug)]
pub(super) struct Controller {
    pub(super) plant: Plant,
    /// Gripper reads fail.
    pub(super) gripper_255: bool,
    free_mode: u8,
    gripper_mode: u8,
    reference_frame: u8,
    movement_type: u8,
    tool: [i16; 6],
    world: [i16; 6],
    pub(super) color: [u8; 3],
    flange_pins: [u8; 256],
    base_pins: [u8; 256],
    servo_memory: [[u8; 256]; ARM_JOINTS + 1],
    last_gains: [[u8; 3]; ARM_JOINTS + 1],
    force_gripper: ForceGripper,
    reboots: u16,
}

impl Controller {
    pub(super) fn new(plant: Plant) -> Self {
        let mut memory = [0; 256];
        // LED, P, I, D, starting force, at the addresses the client documents.
        memory[20..=24].copy_from_slice(&[0, 32, 0, 8, 0]);
        Self {
            plant,
            gripper_255: false,
            free_mode: 0,
            gripper_mode: 0,
            reference_frame: 0,
            movement_type: 0,
            tool: [0; 6],
            world: [0; 6],
            color: [0; 3],
            flange_pins: [0; 256],
            base_pins: [0; 256],
            servo_memory: [memory; ARM_JOINTS + 1],
            last_gains: [[32, 0, 8]; ARM_JOINTS + 1],
            force_gripper: ForceGripper::default(),
            reboots: 1,
        }
    }

    /// Starts again at `time`: everything is forgotten but what servos and flash memory keep, and
    /// the servos have no power. Joints stay where they are: gravity is not emulated.
    pub(super) fn reboot(&mut self, time: Timestamp) {
        self.plant.advance_to(time);
        let mut plant = Plant::new(self.plant.angles(), self.plant.gripper.position(), false);
        plant.limits = self.plant.limits.clone();
        plant.force_gripper = self.plant.force_gripper;
        plant.force_gripper.halt();
        let before = std::mem::replace(self, Self::new(plant));
        self.servo_memory = before.servo_memory;
        self.reboots = before.reboots.wrapping_add(1);
    }

    /// Executes `request`.
    pub(super) fn respond(&mut self, request: &Request) -> Response {
        if let Some(answer) = self.answer(request) {
            return Response::Reply(Reply::Answer(answer));
        }
        match request {
            Request::GetWifi {} => Response::Text(WIFI),
            Request::SetWifi {} => Response::Nothing,
            _ if request.is_setter() => {
                let result = self.execute(request);
                Response::Reply(Reply::Acknowledged { command: request.command(), result })
            }
            _ => Response::Nothing,
        }
    }

    /// Answers a getter; `None` for a setter or a joint that does not exist.
    fn answer(&mut self, request: &Request) -> Option<Answer> {
        let plant = &self.plant;
        let angles = plant.angles();
        Some(match *request {
            Request::GetSystemVersion {} => Answer::SystemVersion { tenths: SYSTEM_VERSION },
            Request::GetErrorInformation {} => Answer::ErrorInformation { code: plant.error },
            Request::GetAtomVersion {} => Answer::AtomVersion { tenths: ATOM_VERSION },
            Request::IsPowerOn {} => Answer::PoweredOn { on: plant.powered.into() },
            Request::IsControllerConnected {} => Answer::ControllerConnected { connected: 1 },
            Request::ReadNextError {} => Answer::NextError { codes: [0; 7] },
            Request::GetFreshMode {} => Answer::FreshMode { mode: plant.fresh.into() },
            Request::GetRobotStatus {} => Answer::RobotStatus { joints: [0; 6] },
            Request::IsFreeMode {} => Answer::FreeMode { mode: self.free_mode },
            Request::GetAngles {} => Answer::Angles { angles: wire_angles(&angles) },
            Request::GetCoords { angles: asked } => {
                let angles = asked.map_or(angles, |asked| asked.map(scaling::radians_from_angle));
                Answer::Coords { coords: wire_coords(&plant.coords_of(&angles)) }
            }
            Request::IsPaused {} => Answer::Paused { paused: plant.is_paused().into() },
            Request::IsInPosition { target, kind } => {
                Answer::InPosition { there: self.is_in_position(&target, kind).into() }
            }
            Request::IsMoving {} => Answer::Moving { moving: plant.is_moving().into() },
            Request::GetEncoder { joint } => Answer::Encoder { encoder: self.encoder(joint)? },
            Request::GetEncoders {} => {
                Answer::Encoders { encoders: angles.map(scaling::encoder_from_radians) }
            }
            Request::GetJointMinimum { joint } => Answer::JointMinimum {
                limit: limit_to_wire(*plant.limits.get(index(joint)?)?.start()),
            },
            Request::GetJointMaximum { joint } => Answer::JointMaximum {
                limit: limit_to_wire(*plant.limits.get(index(joint)?)?.end()),
            },
            Request::IsServoEnabled { joint } => {
                // 7 is the gripper's servo.
                let enabled = plant.enabled.get(index(joint)?).copied().unwrap_or(plant.powered);
                Answer::ServoEnabled { joint, enabled: enabled.into() }
            }
            Request::AreAllServosEnabled {} => {
                Answer::AllServosEnabled { enabled: plant.enabled.iter().all(|on| *on).into() }
            }
            Request::GetServoData { servo, address, mode } => {
                let memory = self.servo_memory.get(index(servo)?)?;
                let low = memory[usize::from(address)];
                if mode == Some(1) {
                    let high = memory[usize::from(address.wrapping_add(1))];
                    Answer::ServoDataWide { value: i16::from_be_bytes([high, low]) }
                } else {
                    Answer::ServoData { value: low }
                }
            }
            // Input n is wired to output n, so that a client sees what it set.
            Request::GetDigitalInput { pin } => {
                Answer::DigitalInput { pin, level: self.flange_pins[usize::from(pin)] }
            }
            Request::GetBasicInput { pin } => {
                Answer::BasicInput { pin, level: self.base_pins[usize::from(pin)] }
            }
            Request::GetGripperValue { .. } => Answer::GripperValue {
                value: if self.gripper_255 {
                    crate::mycobot320::wire::GRIPPER_READ_ERROR
                } else {
                    scaling::gripper_from_opening(plant.gripper.position())
                },
            },
            Request::IsGripperMoving {} => {
                Answer::GripperMoving { moving: plant.gripper.is_moving().into() }
            }
            Request::GetGripperMode {} => Answer::GripperMode { mode: self.gripper_mode },
            Request::GetToolReference {} => Answer::ToolReference { coords: self.tool },
            Request::GetWorldReference {} => Answer::WorldReference { coords: self.world },
            Request::GetReferenceFrame {} => Answer::ReferenceFrame { frame: self.reference_frame },
            Request::GetMovementType {} => Answer::MovementType { kind: self.movement_type },
            Request::GetEndType {} => Answer::EndType { end: plant.end_is_tool.into() },
            Request::SolveInverseKinematics { coords, angles } => {
                let seed = angles.map(scaling::radians_from_angle);
                let found = plant.solve(&coords_from_wire(&coords), &seed);
                Answer::InverseKinematics {
                    angles: found.map_or([NO_SOLUTION; ARM_JOINTS], |found| wire_angles(&found)),
                }
            }
            // No distance sensor is fitted.
            Request::GetTofDistance {} => Answer::TofDistance { millimetres: 0 },
            Request::GetBasicVersion {} => Answer::BasicVersion { tenths: BASIC_VERSION },
            Request::GetAnglesCoords {} => Answer::AnglesCoords {
                angles: wire_angles(&angles),
                coords: wire_coords(&plant.coords_of(&angles)),
            },
            Request::GetRebootCount {} => Answer::RebootCount { count: self.reboots },
            Request::GetServoSpeeds {} => Answer::ServoSpeeds {
                speeds: plant.velocities().map(|velocity| counts_per_second(velocity) as i16),
            },
            Request::GetServoCurrents {} => Answer::ServoCurrents { currents: self.currents() },
            Request::GetServoVoltages {} => {
                let volts = if plant.powered { SUPPLY_DECIVOLT } else { 0 };
                Answer::ServoVoltages { voltages: [volts; ARM_JOINTS] }
            }
            Request::GetServoStatus {} => Answer::ServoStatus { joints: [0; ARM_JOINTS] },
            Request::GetServoTemperatures {} => {
                Answer::ServoTemperatures { temperatures: [TEMPERATURE; ARM_JOINTS] }
            }
            Request::GetServoLastPdi { servo } => {
                Answer::ServoLastPdi { gains: *self.last_gains.get(index(servo)?)? }
            }
            Request::GetProGripper { id, address } => Answer::ProGripper {
                id,
                address,
                value: self.force_gripper.read(&self.plant.force_gripper, address),
            },
            Request::GetAnglesPlan {} => {
                Answer::AnglesPlan { angles: wire_angles(&plant.planned_angles()) }
            }
            Request::GetCoordsPlan {} => Answer::CoordsPlan {
                coords: wire_coords(&plant.coords_of(&plant.planned_angles())),
            },
            _ => return None,
        })
    }

    /// Executes a setter: 1 if it was accepted, 0 if it names something that does not exist.
    /// A motion that is accepted and then refused for its target still counts as accepted; the
    /// reason is in the error information, as with the real firmware.
    fn execute(&mut self, request: &Request) -> u8 {
        self.try_execute(request).is_some().into()
    }

    fn try_execute(&mut self, request: &Request) -> Option<()> {
        let plant = &mut self.plant;
        match *request {
            Request::ClearError {} => plant.error = plant::error::NONE,
            Request::PowerOn {} => {
                if !plant.powered || !plant.enabled.iter().all(|on| *on) {
                    plant.set_power(true);
                }
            }
            Request::PowerOff {} => plant.set_power(false),
            Request::ReleaseAllServos { .. } => {
                plant.stop();
                plant.enabled = [false; ARM_JOINTS];
            }
            Request::SetFreshMode { mode } => plant.fresh = mode == 1,
            Request::SetFreeMode { mode } => self.free_mode = mode,
            Request::SendAngle { joint, angle, speed } => {
                let mut targets = [None; ARM_JOINTS];
                *targets.get_mut(index(joint)?)? =
                    Some((scaling::radians_from_angle(angle), part(speed)));
                plant.move_joints(targets);
            }
            Request::SendAngles { angles, speed } => {
                let target = |angle| Some((scaling::radians_from_angle(angle), part(speed)));
                plant.move_joints(angles.map(target));
            }
            Request::SendCoord { axis, value, speed } => {
                let mut coords = plant.coords_of(&plant.planned_angles());
                let axis = index(axis)?;
                *coords.get_mut(axis)? = coord_from_wire(axis, value);
                plant.move_to_coords(&coords, part(speed));
            }
            Request::SendCoords { coords, speed, .. } => {
                plant.move_to_coords(&coords_from_wire(&coords), part(speed));
            }
            Request::Pause {} => plant.pause(),
            Request::Resume {} => plant.resume(),
            Request::Stop {} | Request::JogStop {} => plant.stop(),
            Request::JogAngle { joint, direction, speed } => {
                plant.enabled.get(index(joint)?)?;
                plant.jog_joint(index(joint)?, direction == 1, part(speed));
            }
            Request::JogRotation { axis, direction, speed } if (1..=3).contains(&axis) => {
                plant.jog_end(usize::from(axis) + 2, direction == 1, part(speed));
            }
            Request::JogCoord { axis, direction, speed } if (1..=6).contains(&axis) => {
                plant.jog_end(usize::from(axis) - 1, direction == 1, part(speed));
            }
            Request::JogIncrementAngle { joint, increment, speed } => {
                let joint = index(joint)?;
                let target =
                    plant.planned_angles().get(joint)? + scaling::radians_from_angle(increment);
                let mut targets = [None; ARM_JOINTS];
                targets[joint] = Some((target, part(speed)));
                plant.move_joints(targets);
            }
            Request::JogIncrementCoord { axis, increment, speed } => {
                let mut coords = plant.coords_of(&plant.planned_angles());
                let axis = index(axis)?;
                *coords.get_mut(axis)? += coord_from_wire(axis, increment);
                plant.move_to_coords(&coords, part(speed));
            }
            Request::SetEncoder { joint, encoder, speed } => {
                let speed = part(speed.unwrap_or(100));
                if index(joint)? == ARM_JOINTS {
                    let opening =
                        (f64::from(encoder) - GRIPPER_ENCODER_CLOSED) / GRIPPER_ENCODER_SPAN;
                    self.move_gripper(opening, speed);
                } else {
                    let mut targets = [None; ARM_JOINTS];
                    *targets.get_mut(index(joint)?)? =
                        Some((scaling::radians_from_encoder(encoder), speed));
                    plant.move_joints(targets);
                }
            }
            Request::SetEncoders { encoders, speed } => {
                let target = |count| Some((scaling::radians_from_encoder(count), part(speed)));
                plant.move_joints(encoders.map(target));
            }
            Request::SetEncodersDrag { encoders, speeds } => {
                let full =
                    counts_per_second(crate::mycobot320::arm::MAX_JOINT_SPEED_DEGREES.to_radians());
                let target = |joint: usize| {
                    let speed = (f64::from(speeds[joint]) / full).clamp(0.01, 1.0);
                    Some((scaling::radians_from_encoder(encoders[joint]), speed))
                };
                plant.move_joints(std::array::from_fn(target));
            }
            Request::SetJointMinimum { joint, limit } => {
                let range = plant.limits.get_mut(index(joint)?)?;
                *range = scaling::degrees_from_limit(limit).to_radians()..=*range.end();
            }
            Request::SetJointMaximum { joint, limit } => {
                let range = plant.limits.get_mut(index(joint)?)?;
                *range = *range.start()..=scaling::degrees_from_limit(limit).to_radians();
            }
            Request::SetServoData { servo, address, value } => {
                self.write_servo(servo, address, value)?;
            }
            Request::SetServoDataWide { servo, address, value, .. } => {
                let [high, low] = value.to_be_bytes();
                self.write_servo(servo, address, low)?;
                self.write_servo(servo, address.wrapping_add(1), high)?;
            }
            Request::SetServoCalibration { joint } => {
                plant.enabled.get(index(joint)?)?;
                plant.calibrate(index(joint)?);
            }
            Request::JointBrake { joint } => {
                plant.enabled.get(index(joint)?)?;
                plant.stop();
            }
            Request::ReleaseServo { joint, .. } => {
                plant.enabled.get(index(joint)?)?;
                plant.set_torque(index(joint)?, false);
            }
            Request::FocusServo { joint: 0 } => {
                (0..ARM_JOINTS).for_each(|joint| plant.set_torque(joint, true));
            }
            Request::FocusServo { joint } => {
                plant.enabled.get(index(joint)?)?;
                plant.set_torque(index(joint)?, true);
            }
            Request::SetDigitalOutput { pin, level } => {
                self.flange_pins[usize::from(pin)] = level;
            }
            Request::SetBasicOutput { pin, level } => self.base_pins[usize::from(pin)] = level,
            Request::SetGripperState { flag, speed, .. } => match flag {
                0 => self.move_gripper(1.0, part(speed)),
                1 => self.move_gripper(0.0, part(speed)),
                _ => plant.gripper.halt(),
            },
            Request::SetGripperValue { value, speed, .. } => {
                self.move_gripper(scaling::opening_from_gripper(value)?, part(speed));
            }
            Request::SetGripperCalibration {} => plant.gripper.place(0.0),
            Request::SetColor { red, green, blue } => self.color = [red, green, blue],
            Request::SetElectricGripper { closed } => {
                self.move_gripper(if closed == 1 { 0.0 } else { 1.0 }, 1.0);
            }
            Request::SetGripperMode { mode } => self.gripper_mode = mode,
            Request::SetToolReference { coords } => {
                self.tool = coords;
                plant.tool = transform_from_wire(&coords);
            }
            Request::SetWorldReference { coords } => {
                self.world = coords;
                plant.world = transform_from_wire(&coords);
            }
            Request::SetReferenceFrame { frame } => self.reference_frame = frame,
            Request::SetMovementType { kind } => self.movement_type = kind,
            Request::SetEndType { end } => plant.end_is_tool = end == 1,
            Request::SetProGripper { address, value, .. } => {
                self.force_gripper.write(&mut self.plant.force_gripper, address, value)?;
            }
            // Accepted without an effect that a client could read back.
            Request::SetVisionMode { .. }
            | Request::SetPinMode { .. }
            | Request::InitElectricGripper {}
            | Request::SetServerPort { .. }
            | Request::SetVoidCompensation { .. } => {}
            _ => return None,
        }
        Some(())
    }

    fn move_gripper(&mut self, opening: f64, part: f64) {
        if self.plant.powered {
            let speed = part * crate::mycobot320::arm::MAX_GRIPPER_SPEED;
            self.plant.gripper.move_to(opening.clamp(0.0, 1.0), speed);
        }
    }

    fn is_in_position(&self, target: &[i16; 6], kind: u8) -> bool {
        if kind == 0 {
            let angles = self.plant.angles();
            return angles.iter().zip(target).all(|(angle, target)| {
                (angle.to_degrees() - scaling::degrees_from_angle(*target)).abs() <= NEAR_DEGREES
            });
        }
        let coords = self.plant.coords_of(&self.plant.angles());
        let wanted = coords_from_wire(target);
        let error = sinew_simulation::kinematics::twist_between(
            &plant::transform_from(&coords),
            &plant::transform_from(&wanted),
        );
        error[..3].iter().all(|metres| metres.abs() * 1e3 <= NEAR_MILLIMETRES)
            && error[3..].iter().all(|turn| turn.abs().to_degrees() <= NEAR_DEGREES)
    }

    fn encoder(&self, joint: u8) -> Option<u16> {
        let joint = index(joint)?;
        if joint == ARM_JOINTS {
            let opening = self.plant.gripper.position();
            return Some((GRIPPER_ENCODER_CLOSED + GRIPPER_ENCODER_SPAN * opening) as u16);
        }
        self.plant.angles().get(joint).map(|angle| scaling::encoder_from_radians(*angle))
    }

    fn currents(&self) -> [i16; ARM_JOINTS] {
        let idle = if self.plant.powered { IDLE_CURRENT } else { 0.0 };
        self.plant.velocities().map(|velocity| (idle + CURRENT_PER_SPEED * velocity.abs()) as i16)
    }

    fn write_servo(&mut self, servo: u8, address: u8, value: u8) -> Option<()> {
        let servo = index(servo)?;
        let memory = self.servo_memory.get_mut(servo)?;
        if (21..=23).contains(&address) {
            *self.last_gains.get_mut(servo)? = [memory[21], memory[23], memory[22]];
        }
        memory[usize::from(address)] = value;
        Some(())
    }
}

#[cfg(test)]
mod tests;
