//! Codecs against captured frames, against each other, and against damage.

use proptest::prelude::*;

use super::super::models::{MODELS, Model, Protocol};
use super::damiao::{self, Access, Register, RegisterReply, Status};
use super::mit::{Control, Fault, Measured, Ranges, Request};
use super::{odrive, robstride};
use crate::can::wire::{Line, LineReader, Reply};
use crate::can::{Frame, Id};

fn ranges(protocol: Protocol, name: &str) -> Ranges {
    Model::find(protocol, name).unwrap().ranges
}

/// The frames of the captured traffic, both directions.
fn captured() -> impl Iterator<Item = Frame> {
    let log = include_str!("../../../../tests/fixtures/slcan/slcan_traffic.log");
    log.lines().filter_map(|row| {
        let text = row.split_once("b'")?.1.trim_end_matches('\'').trim_end_matches("\\r");
        let line: Line = LineReader::new().next(&mut format!("{text}\r").as_bytes())?;
        match Reply::parse(&line)? {
            Reply::Received { frame, .. } => Some(frame),
            _ => None,
        }
    })
}

#[test]
fn every_captured_damiao_frame_is_understood_and_made_again() {
    let ranges = ranges(Protocol::Damiao, "4310");
    let (mut commands, mut answers, mut registers) = (0, 0, 0);
    for frame in captured() {
        let (Id::Standard(id), Some(bytes)) = (frame.id(), frame.eight()) else { continue };
        let again = match id {
            0x001 => {
                commands += 1;
                let request = Request::parse(&bytes, &ranges);
                Frame::standard(id, request.encode(&ranges).unwrap())
            }
            0x7FF => {
                registers += 1;
                let (motor, access) = Access::parse(&bytes).unwrap();
                access.encode(motor)
            }
            0x011 if RegisterReply::parse(&bytes, 1).is_some() => {
                registers += 1;
                Frame::standard(id, RegisterReply::parse(&bytes, 1).unwrap().encode())
            }
            _ => {
                answers += 1;
                let feedback = damiao::Feedback::parse(&bytes, &ranges);
                assert!(matches!(feedback.status, Status::Enabled | Status::Disabled));
                assert_eq!((feedback.driver_temperature, feedback.rotor_temperature), (35, 32));
                Frame::standard(id, feedback.encode(&ranges))
            }
        };
        assert_eq!(again, frame);
    }
    assert_eq!((commands, answers, registers), (204, 204, 4));
}

#[test]
fn the_captured_command_says_what_damiao_motor_was_asked_for() {
    let ranges = ranges(Protocol::Damiao, "4310");
    let bytes = [0x8A, 0x3C, 0x7F, 0xF0, 0xA3, 0x33, 0x37, 0xFF];
    let Request::Control(control) = Request::parse(&bytes, &ranges) else { panic!() };
    // 1 rad with 20 N·m/rad and 1 N·m·s/rad; damiao-motor rounds down.
    let wanted = [1.0, 0.0, 20.0, 1.0, 0.0];
    let found =
        [control.position, control.velocity, control.stiffness, control.damping, control.torque];
    let spans = [ranges.position, ranges.velocity, ranges.stiffness, ranges.damping, ranges.torque];
    for ((wanted, found), span) in wanted.iter().zip(found).zip(spans) {
        assert!(found <= *wanted && wanted - found < span.step(), "{wanted} {found}");
    }
}

#[test]
fn captured_robstride_frames_are_understood_and_made_again() {
    let ranges = ranges(Protocol::Robstride, "rs01");
    let found: Vec<_> = captured().filter(|frame| matches!(frame.id(), Id::Extended(_))).collect();
    let [enable, enabled, read, value] = found[..] else { panic!("{found:?}") };
    let (motor, host, request) = robstride::Request::parse(&enable, &ranges).unwrap();
    assert_eq!((motor, host, request), (127, 0xAA, robstride::Request::Enable));
    assert_eq!(request.encode(motor, host, &ranges), Ok(enable));
    let reply = robstride::Reply::parse(&enabled, 0xAA, &ranges).unwrap();
    let robstride::Reply::Feedback(feedback) = reply else { panic!("{reply:?}") };
    assert_eq!((feedback.id, feedback.mode), (127, robstride::Mode::Run));
    assert!((feedback.temperature - 25.3).abs() < 1e-9);
    assert_eq!(reply.encode(0xAA, &ranges), enabled);
    let (motor, host, request) = robstride::Request::parse(&read, &ranges).unwrap();
    assert_eq!(request, robstride::Request::Read { index: robstride::parameter::SUPPLY });
    assert_eq!(request.encode(motor, host, &ranges), Ok(read));
    let reply = robstride::Reply::parse(&value, 0xAA, &ranges).unwrap();
    let robstride::Reply::Parameter { value: bytes, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(f32::from_le_bytes(bytes), 24.0);
    assert_eq!(reply.encode(0xAA, &ranges), value);
}

#[test]
fn odrive_commands_have_the_numbers_and_fields_of_the_published_table() {
    let table = include_str!("../../../../tests/fixtures/odrive/can-protocol.csv");
    let has = |number: u8, name: &str| {
        assert!(table.contains(&format!("0x{number:03X},{name}")), "{number:#x} {name}");
    };
    has(odrive::command::HEARTBEAT, "ODrive Heartbeat Message");
    has(odrive::command::ESTOP, "ODrive Estop Message");
    has(odrive::command::AXIS_STATE, "Set Axis Requested State");
    has(odrive::command::ENCODER, "Get Encoder Estimates");
    has(odrive::command::CONTROLLER_MODE, "Set Controller Modes");
    has(odrive::command::INPUT_POSITION, "Set Input Pos");
    has(odrive::command::INPUT_VELOCITY, "Set Input Vel");
    has(odrive::command::INPUT_TORQUE, "Set Input Torque");
    has(odrive::command::LIMITS, "Set Limits");
    has(odrive::command::IQ, "Get IQ");
    has(odrive::command::SUPPLY, "Get Vbus Voltage");
    has(odrive::command::CLEAR_ERRORS, "Clear Errors");
    has(odrive::command::POSITION_GAIN, "Set Position Gain");
    has(odrive::command::VELOCITY_GAINS, "Set Vel Gains");
    let message = odrive::Message::InputPosition { position: 1.5, velocity: 1000, torque: -250 };
    // Node 3: 3 << 5 | 0x0C.
    assert_eq!(message.encode(3).to_string(), "06C#0000C03FE80306FF");
    assert_eq!(odrive::ask(3, odrive::command::ENCODER).unwrap().to_string(), "069#R8");
}

#[test]
fn faults_and_statuses_come_back_by_their_codes() {
    for code in 0..=255 {
        assert_eq!(Fault::from_code(code).code(), code);
        assert_eq!(Fault::from_code(code).words().is_none(), code == 0);
        assert_eq!(Status::from_code(code & 0xF).code(), code & 0xF);
        assert_eq!(robstride::Faults(code & 0x3F).words().is_none(), code & 0x3F == 0);
    }
    assert!(Register::ALL.iter().all(|it| Register::from_number(it.number()) == Some(*it)));
}

#[test]
fn models_are_named_once_and_their_gains_fit_their_ranges() {
    for (index, model) in MODELS.iter().enumerate() {
        assert_eq!(Model::find(model.protocol, model.name), Some(model));
        let twin = MODELS.iter().skip(index + 1);
        assert!(twin.clone().all(|it| (it.protocol, it.name) != (model.protocol, model.name)));
        for protocol in Protocol::ALL {
            assert_eq!(Protocol::from_name(protocol.name()), Some(protocol));
        }
    }
}

fn model() -> impl Strategy<Value = &'static Model> {
    (0..MODELS.len()).prop_map(|index| &MODELS[index])
}

proptest! {
    #[test]
    fn a_command_comes_back_within_half_a_step_in_both_packings(
        model in model(), parts in prop::array::uniform5(0.0..=1.0f64), id in 1u8..128,
    ) {
        // ODrive sends floating-point numbers.
        prop_assume!(model.protocol != Protocol::Odrive);
        let ranges = model.ranges;
        let spans =
            [ranges.position, ranges.velocity, ranges.stiffness, ranges.damping, ranges.torque];
        let mut value = [0.0; 5];
        for ((value, span), part) in value.iter_mut().zip(spans).zip(parts) {
            *value = (span.low + part * (span.high - span.low)).clamp(span.low, span.high);
        }
        let [position, velocity, stiffness, damping, torque] = value;
        let control = Control { position, velocity, stiffness, damping, torque };
        let back = if model.protocol == Protocol::Robstride {
            let frame = robstride::Request::Control(control).encode(id, 0, &ranges).unwrap();
            let (motor, _, request) = robstride::Request::parse(&frame, &ranges).unwrap();
            prop_assert_eq!(motor, id);
            let robstride::Request::Control(back) = request else { panic!("{request:?}") };
            back
        } else {
            let bytes = Request::Control(control).encode(&ranges).unwrap();
            let Request::Control(back) = Request::parse(&bytes, &ranges) else {
                // All ends at once are the special frames' pattern; no proportion hits it.
                return Ok(());
            };
            back
        };
        let found =
            [back.position, back.velocity, back.stiffness, back.damping, back.torque];
        for ((value, found), span) in value.iter().zip(found).zip(spans) {
            prop_assert!((value - found).abs() <= span.step() / 2.0 + 1e-9);
        }
    }

    #[test]
    fn a_command_with_one_number_out_of_range_is_refused(
        model in model(), which in 0usize..5, beyond in 1.0..1e6f64,
    ) {
        let ranges = model.ranges;
        let mut control = Control::default();
        let place = match which {
            0 => &mut control.position,
            1 => &mut control.velocity,
            2 => &mut control.stiffness,
            3 => &mut control.damping,
            _ => &mut control.torque,
        };
        *place = -1e4 - beyond;
        prop_assert!(Request::Control(control).encode(&ranges).is_err());
        prop_assert!(robstride::Request::Control(control).encode(1, 0, &ranges).is_err());
    }

    #[test]
    fn answers_come_back_as_they_went(
        model in model(), codes in prop::array::uniform3(any::<u16>()), temperatures in any::<[u8; 2]>(),
    ) {
        let ranges = model.ranges;
        let measured = Measured {
            position: ranges.position.decode(codes[0]),
            velocity: ranges.velocity.decode(codes[1]),
            torque: ranges.torque.decode(codes[2]),
        };
        let [driver_temperature, rotor_temperature] = temperatures;
        if model.protocol == Protocol::Mit {
            let health = Some((driver_temperature as i8, Fault::from_code(rotor_temperature)));
            let feedback = super::mit::Feedback { id: 7, measured, health };
            let (bytes, length) = feedback.encode(&ranges);
            let bytes = &bytes[..length.into()];
            prop_assert_eq!(super::mit::Feedback::parse(bytes, &ranges), Some(feedback));
        } else if model.protocol == Protocol::Damiao {
            let status = Status::from_code(rotor_temperature & 0xF);
            let feedback = damiao::Feedback {
                id: 3, status, measured, driver_temperature, rotor_temperature,
            };
            prop_assert_eq!(damiao::Feedback::parse(&feedback.encode(&ranges), &ranges), feedback);
        }
    }

    #[test]
    fn any_frame_is_survived_and_what_is_understood_is_finite(
        id in any::<u32>(), extended in any::<bool>(), data in prop::collection::vec(any::<u8>(), 0..=8),
        model in model(), host in any::<u8>(),
    ) {
        let id = if extended {
            Id::Extended(id & 0x1FFF_FFFF)
        } else {
            Id::Standard(id as u16 & 0x7FF)
        };
        let frame = Frame::new(id, &data).unwrap();
        let ranges = model.ranges;
        if let Some(robstride::Reply::Feedback(feedback)) =
            robstride::Reply::parse(&frame, host, &ranges)
        {
            prop_assert!(feedback.measured.position.is_finite());
            let again = robstride::Reply::Feedback(feedback).encode(host, &ranges);
            prop_assert_eq!(again, frame);
        }
        if let Some((motor, host, request)) = robstride::Request::parse(&frame, &ranges) {
            prop_assert!(request.encode(motor, host, &ranges).is_ok());
        }
        if let Some((node, message)) = odrive::Message::parse(&frame) {
            let again = message.encode(node);
            prop_assert_eq!(again.id(), frame.id());
            prop_assert_eq!(odrive::Message::parse(&again), Some((node, message)));
        }
        let _ = super::mit::Feedback::parse(&data, &ranges);
        if let Some(bytes) = frame.eight().filter(|_| ranges.torque.bits == 12) {
            let request = Request::parse(&bytes, &ranges);
            prop_assert_eq!(request.encode(&ranges), Ok(bytes));
            let feedback = damiao::Feedback::parse(&bytes, &ranges);
            prop_assert_eq!(feedback.encode(&ranges), bytes);
            if let Some((motor, access)) = Access::parse(&bytes) {
                prop_assert_eq!(Access::parse(&access.encode(motor).eight().unwrap()), Some((motor, access)));
            }
        }
    }
}
