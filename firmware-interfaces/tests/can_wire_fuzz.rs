//! Damaged bytes and frames for both ends of a CAN bus: `SINEW_MUTATIONS=1000000 cargo test --release -p
//! sinew-firmware-interfaces --test can_wire_fuzz`. Without it each end gets a few thousand.
//!
//! Neither end may panic, show a number that is none, or move a joint further than it can have moved;
//! and the adapter must understand the next sound line. A damage is a function of its number, which is
//! printed where one fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sinew_firmware_interfaces::can::wire::{Line, LineReader, Reply, Request};
use sinew_firmware_interfaces::can::{Bitrate, Condition, Event, Frame, Id};
use sinew_firmware_interfaces::can_actuators::emulator::{
    Actuators, ActuatorsConfig, Adapter, Faults, MotorConfig,
};
use sinew_firmware_interfaces::can_actuators::session::{Packet, Session, Step};
use sinew_firmware_interfaces::can_actuators::{Config, JointConfig, Model, Protocol};
use sinew_firmware_interfaces::transport::Served;
use sinew_firmware_interfaces::{
    Command, ControlMode, LinkStatus, MAX_JOINTS, Random, StopRequest, Timestamp,
};

const FEW: u64 = 1_000;
const MS: Duration = Duration::from_millis(1);
const ALL: [(Protocol, &str); 4] = [
    (Protocol::Mit, "ak80-9"),
    (Protocol::Damiao, "4310"),
    (Protocol::Robstride, "rs02"),
    (Protocol::Odrive, "d6374"),
];
const TOKENS: [&[u8]; 8] =
    [b"\r", b"\x07", b"t1038", b"T", b"F82\r", b"sb000255\r", b"zZ", b"\xFF\x00"];

/// Numbers that look random.
struct Dice(Random);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.0.fraction() * limit as f64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

fn count() -> u64 {
    std::env::var("SINEW_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(FEW)
}

fn joint(protocol: Protocol, model: &str) -> JointConfig {
    JointConfig {
        name: "elbow".to_owned(),
        model: Model::find(protocol, model).unwrap(),
        id: 3,
        feedback_id: 0x103,
        reversed: false,
        offset: 0.0,
        gear_ratio: 1.0,
        stiffness: 20.0,
        damping: 1.0,
    }
}

fn motors(joint: &JointConfig, seed: u64) -> Actuators {
    let (model, id, feedback_id) = (joint.model, joint.id, joint.feedback_id);
    let motor = MotorConfig { model, id, feedback_id, position: 0.0 };
    let faults = Faults::default();
    Actuators::new(ActuatorsConfig { motors: vec![motor], bitrate: Bitrate::M1, seed, faults })
}

/// The frame with other bits, another length, another identifier, or as a remote frame.
fn damaged(frame: &Frame, random: &mut Dice) -> Frame {
    let mut data = frame.data().to_vec();
    let mut id = frame.id();
    match random.below(5) {
        0 if !data.is_empty() => {
            let at = random.below(data.len());
            data[at] ^= 1 << random.below(8);
        }
        1 => data.iter_mut().for_each(|byte| *byte = random.byte()),
        2 => data.truncate(random.below(8)),
        3 => {
            id = match id {
                Id::Standard(id) => Id::Standard(id ^ 1 << random.below(11)),
                Id::Extended(id) => Id::Extended(id ^ 1 << random.below(29)),
            };
        }
        _ => return Frame::remote(id, random.below(9) as u8).unwrap(),
    }
    Frame::new(id, &data).unwrap()
}

fn event(frame: &Frame, random: &mut Dice) -> Event {
    match random.below(40) {
        0..=7 => Event::Frame(damaged(frame, random)),
        8 => Event::Overrun,
        9 => Event::Refused,
        10 => Event::Garbage(random.below(100) as u64),
        11 => Event::Condition(Condition::Passive),
        _ => Event::Frame(*frame),
    }
}

#[test]
fn the_driver_survives_damaged_frames_and_its_torque_off_is_heard() {
    for (protocol, model) in ALL {
        for number in 0..count() / 8 {
            let joint = joint(protocol, model);
            let fastest = 1.5 * joint.model.ranges.velocity.high;
            let mut motors = motors(&joint, number);
            let mut session = Session::new(Config { joints: vec![joint], ..Config::default() });
            let mut random = Dice::new(number);
            let mut now = Timestamp::from_nanos(1_000_000);
            session.connected(now);
            session.arm(now);
            let mut last: Option<(f64, Timestamp)> = None;
            for step in 0..200 {
                if step == 150 {
                    session.stop(StopRequest::TorqueOff);
                }
                let mut open = true;
                while let Some(sent) = transmitted(&mut session, now, &mut open) {
                    motors.receive(now, &sent);
                }
                now = now.after(MS);
                while let Some(frame) = motors.transmit(now) {
                    // What damage has ended comes to its end undamaged.
                    let event =
                        if step < 150 { event(&frame, &mut random) } else { Event::Frame(frame) };
                    session.receive(now, event);
                }
                if !open {
                    session.connected(now);
                }
                let state = session.state();
                let shown = [state.position[0], state.velocity[0], state.effort[0]];
                let finite = shown.iter().chain(&state.sensors).all(|value| value.is_finite());
                assert!(finite, "{protocol:?}, damage {number}: {state:?}");
                if state.link == LinkStatus::Up && session.is_armed() {
                    let (position, captured) = (state.position[0], state.captured[0]);
                    let (from, taken) = last.unwrap_or((position, captured));
                    let reach = fastest * captured.since(taken).as_secs_f64() + 0.1 + 1e-9;
                    let moved = (position - from).abs();
                    assert!(moved <= reach, "{protocol:?}, damage {number}: by {moved} rad");
                    last = Some((position, captured));
                } else {
                    last = None;
                }
                let epoch = state.epoch;
                let position = [0.001 * f64::from(step); MAX_JOINTS];
                let effort = [0.0; MAX_JOINTS];
                let mode = ControlMode::Position;
                session.command(now, &Command { mode, position, effort, issued: now, epoch });
            }
            while session.is_stopping() && now < Timestamp::from_nanos(2_000_000_000) {
                let mut open = true;
                while let Some(sent) = transmitted(&mut session, now, &mut open) {
                    motors.receive(now, &sent);
                }
                now = now.after(MS);
                while let Some(frame) = motors.transmit(now) {
                    session.receive(now, Event::Frame(frame));
                }
                if !open {
                    session.connected(now);
                }
            }
            assert!(!motors.is_enabled(0), "{protocol:?}, damage {number}");
        }
    }
}

/// The next frame that the session sends.
fn transmitted(session: &mut Session, now: Timestamp, open: &mut bool) -> Option<Frame> {
    loop {
        match session.poll(now) {
            Step::Transmit(Packet::Frame(frame)) => return Some(frame),
            Step::Transmit(Packet::AskCondition) => {}
            Step::Wait(_) => return None,
            Step::Disconnect(failure) => {
                session.disconnected(now, failure);
                *open = false;
                return None;
            }
        }
    }
}

#[test]
fn the_adapter_survives_damaged_lines_and_understands_the_next_sound_one() {
    let enable = Frame::new(Id::Standard(3), &[255, 255, 255, 255, 255, 255, 255, 0xFC]).unwrap();
    let requests = [
        Request::Close,
        Request::Bitrate(Bitrate::M1),
        Request::Open,
        Request::Flags,
        Request::Version,
        Request::Transmit(enable),
        Request::Transmit(Frame::remote(Id::Extended(0x0300_FD03), 8).unwrap()),
    ];
    let sound: Vec<u8> =
        requests.iter().flat_map(|request| request.encode().as_bytes().to_vec()).collect();
    for number in 0..count() {
        let (protocol, model) = ALL[number as usize % ALL.len()];
        let mut adapter = Adapter::new(motors(&joint(protocol, model), number), number);
        let mut random = Dice::new(number);
        let mut bytes = sound.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len().max(1)).min(bytes.len());
            match random.below(4) {
                0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
                1 if at < bytes.len() => bytes[at] = random.byte(),
                2 => drop(bytes.drain(at..(at + random.below(9)).min(bytes.len()))),
                _ => drop(bytes.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
            }
        }
        let mut now = Timestamp::from_nanos(1_000_000);
        for piece in bytes.chunks(1 + random.below(30)) {
            adapter.receive(now, piece);
            now = now.after(MS);
            let _ = said(&mut adapter, now);
        }
        adapter.receive(now, b"\rC\r");
        let _ = said(&mut adapter, now.after(MS));
        adapter.receive(now.after(MS), b"V\r");
        let said = said(&mut adapter, now.after(2 * MS));
        let mut reader = LineReader::new();
        let version = reader.next(&mut &said[..]).as_ref().and_then(Reply::parse);
        assert_eq!(version, Some(Reply::Version(*b"1013")), "damage {number}: {said:?}");
        assert!(adapter.actuators().position(0).unwrap().is_finite());
    }
}

/// Everything that the adapter says by `now`.
fn said(adapter: &mut Adapter, now: Timestamp) -> Vec<u8> {
    let mut said = Vec::new();
    while let Some(message) = adapter.transmit(now) {
        said.extend_from_slice(message.as_ref());
    }
    said
}

#[test]
fn whatever_an_adapter_says_is_a_reply_or_nothing() {
    let frame = Frame::new(Id::Standard(0x103), &[3, 0x7F, 0xFF, 0x7F, 0xF7, 0xFF, 25, 0]).unwrap();
    let sound: Vec<u8> = [
        Reply::Done,
        Reply::Received { frame, time: Some(59_999) },
        Reply::State { condition: Condition::BusOff, receive_errors: 1, transmit_errors: 255 },
    ]
    .iter()
    .flat_map(|reply| reply.encode().as_bytes().to_vec())
    .collect();
    for number in 0..10 * count() {
        let mut random = Dice::new(number);
        let mut bytes = sound.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = random.byte();
        }
        let (mut reader, mut rest) = (LineReader::new(), &bytes[..]);
        while let Some(line) = reader.next(&mut rest) {
            check(&line, number);
        }
    }
}

/// A reply that is understood is understood again as itself.
fn check(line: &Line, number: u64) {
    let Some(reply) = Reply::parse(line) else { return };
    let text = reply.encode();
    let mut bytes = text.as_bytes();
    let again = LineReader::new().next(&mut bytes).as_ref().and_then(Reply::parse);
    assert_eq!(again, Some(reply), "damage {number}");
}
