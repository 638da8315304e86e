//! What the emulated arm does on each request, and what it answers.

use sinew_simulation::kinematics::Transform;

use super::plant::{self, Coords, Plant};
use crate::mycobot320::wire::{ARM_JOINTS, Answer, NO_SOLUTION, Reply, Request, scaling};

/// Versions times 10, as the recorded firmware reports them.
const SYSTEM_VERSION: u8 = 11;
const ATOM_VERSION: u8 = 42;
const BASIC_VERSION: u8 = 10;
const REBOOTS: u16 = 1;
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

/// Registers of the force-controlled gripper.
mod register {
    pub(super) const SET_ANGLE: i16 = 11;
    pub(super) const ANGLE: i16 = 12;
    pub(super) const CALIBRATE: i16 = 13;
    pub(super) const STATUS: i16 = 14;
    pub(super) const SET_TORQUE: i16 = 27;
    pub(super) const TORQUE: i16 = 28;
    pub(super) const SET_SPEED: i16 = 32;
    pub(super) const SPEED: i16 = 33;
    pub(super) const SET_ABSOLUTE_ANGLE: i16 = 36;
    pub(super) const PAUSE: i16 = 37;
    pub(super) const RESUME: i16 = 38;
    pub(super) const STOP: i16 = 39;
    pub(super) const CURRENT: i16 = 44;
    pub(super) const COUNT: usize = 64;
}

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
    force_gripper: [i16; register::COUNT],
    force_gripper_target: f64,
}

impl Controller {
    pub(super) fn new(plant: Plant) -> Self {
        let mut memory = [0; 256];
        // LED, P, I, D, starting force, at the addresses the client documents.
        memory[20..=24].copy_from_slice(&[0, 32, 0, 8, 0]);
        let mut force_gripper = [0; register::COUNT];
        force_gripper[register::TORQUE as usize] = 100;
        force_gripper[register::SPEED as usize] = 100;
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
            force_gripper,
            force_gripper_target: 1.0,
        }
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
            Request::GetRebootCount {} => Answer::RebootCount { count: REBOOTS },
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
            Request::GetProGripper { id, address } => {
                Answer::ProGripper { id, address, value: self.read_force_gripper(address) }
            }
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
                self.write_force_gripper(address, value)?;
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

    fn read_force_gripper(&self, address: i16) -> i16 {
        let gripper = &self.plant.force_gripper;
        match address {
            register::ANGLE => i16::from(scaling::gripper_from_opening(gripper.position())),
            // 0 moving, 1 stopped with nothing held.
            register::STATUS => i16::from(!gripper.is_moving()),
            register::CURRENT => 0,
            _ => {
                let stored =
                    usize::try_from(address).ok().and_then(|at| self.force_gripper.get(at));
                stored.copied().unwrap_or(-1)
            }
        }
    }

    fn write_force_gripper(&mut self, address: i16, value: i16) -> Option<()> {
        let gripper = &mut self.plant.force_gripper;
        match address {
            register::SET_ANGLE | register::SET_ABSOLUTE_ANGLE => {
                let opening = u8::try_from(value).ok().and_then(scaling::opening_from_gripper)?;
                self.force_gripper_target = opening;
                let speed = self.force_gripper[register::SPEED as usize];
                gripper.move_to(opening, part(u8::try_from(speed).unwrap_or(100)));
            }
            register::CALIBRATE => {
                gripper.place(0.0);
                self.force_gripper_target = 0.0;
            }
            register::SET_TORQUE => self.force_gripper[register::TORQUE as usize] = value,
            register::SET_SPEED => self.force_gripper[register::SPEED as usize] = value,
            register::PAUSE | register::STOP => gripper.halt(),
            register::RESUME => {
                let speed = self.force_gripper[register::SPEED as usize];
                let part = part(u8::try_from(speed).unwrap_or(100));
                gripper.move_to(self.force_gripper_target, part);
            }
            _ => *self.force_gripper.get_mut(usize::try_from(address).ok()?)? = value,
        }
        Some(())
    }
}

/// A joint, servo or axis number as an index.
fn index(number: u8) -> Option<usize> {
    usize::from(number).checked_sub(1)
}

/// A speed byte as a fraction of full speed.
fn part(speed: u8) -> f64 {
    f64::from(speed.clamp(1, 100)) / 100.0
}

/// Angles in rad as the firmware reports them: to the nearest 0.01°.
fn wire_angles(angles: &[f64; ARM_JOINTS]) -> [i16; ARM_JOINTS] {
    angles.map(|angle| (angle.to_degrees() * scaling::ANGLE_PER_DEGREE).round() as i16)
}

fn wire_coords(coords: &Coords) -> [i16; 6] {
    std::array::from_fn(|axis| {
        let scale =
            if axis < 3 { scaling::LENGTH_PER_MILLIMETRE } else { scaling::ANGLE_PER_DEGREE };
        (coords[axis] * scale).round() as i16
    })
}

fn coord_from_wire(axis: usize, value: i16) -> f64 {
    if axis < 3 {
        scaling::millimetres_from_length(value)
    } else {
        scaling::degrees_from_angle(value)
    }
}

fn coords_from_wire(coords: &[i16; 6]) -> Coords {
    std::array::from_fn(|axis| coord_from_wire(axis, coords[axis]))
}

fn transform_from_wire(coords: &[i16; 6]) -> Transform {
    plant::transform_from(&coords_from_wire(coords))
}

fn limit_to_wire(radians: f64) -> i16 {
    (radians.to_degrees() * scaling::LIMIT_PER_DEGREE).round() as i16
}

fn counts_per_second(velocity: f64) -> f64 {
    velocity / std::f64::consts::TAU * scaling::ENCODER_PER_TURN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mycobot320::wire::{Frame, MAX_PAYLOAD};

    fn controller() -> Controller {
        Controller::new(Plant::new([0.0; ARM_JOINTS], 1.0, true))
    }

    fn answer(controller: &mut Controller, request: Request) -> Answer {
        match controller.respond(&request) {
            Response::Reply(Reply::Answer(answer)) => answer,
            other => panic!("{request:?}: {other:?}"),
        }
    }

    #[test]
    fn every_request_with_valid_arguments_is_answered() {
        let mut controller = controller();
        for command in 0..=u8::MAX {
            for length in 0..=MAX_PAYLOAD {
                let frame = Frame::new(command, &vec![1; length]).unwrap();
                let Ok(request) = Request::parse(&frame) else { continue };
                let response = controller.respond(&request);
                let framed = match response {
                    Response::Reply(reply) => {
                        assert_eq!(reply.command(), command, "{request:?}");
                        assert_eq!(Reply::parse(&reply.encode()), Ok(reply));
                        true
                    }
                    Response::Text(_) | Response::Nothing => false,
                };
                assert_eq!(framed, !matches!(command, 0xB0 | 0xB1), "{request:?}");
            }
        }
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let mut controller = controller();
        for request in [
            Request::SendAngle { joint: 7, angle: 0, speed: 50 },
            Request::SendAngle { joint: 0, angle: 0, speed: 50 },
            Request::SetServoData { servo: 8, address: 0, value: 0 },
            Request::SetGripperValue { value: 101, speed: 50, kind: None },
            Request::JogCoord { axis: 0, direction: 1, speed: 50 },
        ] {
            let refused = Reply::Acknowledged { command: request.command(), result: 0 };
            assert_eq!(controller.respond(&request), Response::Reply(refused), "{request:?}");
        }
        assert_eq!(controller.respond(&Request::GetEncoder { joint: 0 }), Response::Nothing);
    }

    #[test]
    fn what_was_set_is_read_back() {
        let mut controller = controller();
        let coords = [0, 0, 505, 0, 0, 9000];
        for (set, get, expected) in [
            (
                Request::SetToolReference { coords },
                Request::GetToolReference {},
                Answer::ToolReference { coords },
            ),
            (
                Request::SetJointMinimum { joint: 1, limit: -1600 },
                Request::GetJointMinimum { joint: 1 },
                Answer::JointMinimum { limit: -1600 },
            ),
            (
                Request::SetServoDataWide { servo: 2, address: 30, value: 1234, mode: 1 },
                Request::GetServoData { servo: 2, address: 30, mode: Some(1) },
                Answer::ServoDataWide { value: 1234 },
            ),
            (
                Request::SetBasicOutput { pin: 5, level: 1 },
                Request::GetBasicInput { pin: 5 },
                Answer::BasicInput { pin: 5, level: 1 },
            ),
            (
                Request::SetProGripper { id: 14, address: 27, value: 200 },
                Request::GetProGripper { id: 14, address: 28 },
                Answer::ProGripper { id: 14, address: 28, value: 200 },
            ),
        ] {
            controller.respond(&set);
            assert_eq!(answer(&mut controller, get), expected);
        }
    }

    #[test]
    fn solved_angles_give_the_pose_they_were_solved_for() {
        let mut controller = controller();
        let angles = [1000, 2000, -3000, 4050, -5025, 6000];
        let Answer::Coords { coords } =
            answer(&mut controller, Request::GetCoords { angles: Some(angles) })
        else {
            panic!("not coordinates")
        };
        let near = angles.map(|angle| angle + 300);
        let solve = Request::SolveInverseKinematics { coords, angles: near };
        let Answer::InverseKinematics { angles: found } = answer(&mut controller, solve) else {
            panic!("not angles")
        };
        let again = answer(&mut controller, Request::GetCoords { angles: Some(found) });
        let Answer::Coords { coords: reached } = again else { panic!("not coordinates") };
        assert!(
            coords.iter().zip(&reached).all(|(a, b)| (a - b).abs() <= 3),
            "{coords:?} {reached:?}"
        );

        let far = Request::SolveInverseKinematics { coords: [9000, 0, 0, 0, 0, 0], angles };
        let none = Answer::InverseKinematics { angles: [NO_SOLUTION; ARM_JOINTS] };
        assert_eq!(answer(&mut controller, far), none);
    }
}
