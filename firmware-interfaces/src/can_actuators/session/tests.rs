//! The session alone: answers at moments that no emulated motor would choose.

use super::super::models::{Model, Protocol};
use super::super::wire::mit::{DISABLE, Feedback, Measured};
use super::super::wire::odrive::{IDLE, Message};
use super::*;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_nanos(1_000_000_000 + micros * 1000)
}

/// One T-Motor at identifier 3.
fn joint() -> JointConfig {
    JointConfig {
        name: "elbow".to_owned(),
        model: Model::find(Protocol::Mit, "ak80-9").unwrap(),
        id: 3,
        feedback_id: 0x103,
        reversed: false,
        offset: 0.0,
        gear_ratio: 1.0,
        stiffness: 20.0,
        damping: 1.0,
    }
}

/// Its answer to whatever it was told.
fn answer() -> Event {
    let measured = Measured { position: 0.25, ..Measured::default() };
    let (bytes, length) = Feedback { id: 3, measured, health: None }.encode(&joint().model.ranges);
    Event::Frame(Frame::standard(0x103, bytes).shortened(length))
}

/// The frame that leaves at `now`, if any.
fn sent(session: &mut Session, now: Timestamp) -> Option<[u8; 8]> {
    match session.poll(now) {
        Step::Transmit(Packet::Frame(frame)) => frame.eight(),
        _ => None,
    }
}

/// Armed, and with a command on its way since `at(1000)`.
fn commanded() -> Session {
    let config = Config { joints: vec![joint()], ..Config::default() };
    let mut session = Session::new(config);
    session.connected(at(0));
    session.arm(at(0));
    sent(&mut session, at(0)).unwrap();
    session.receive(at(200), answer());
    assert!(session.is_armed());
    assert!(sent(&mut session, at(1000)).is_some_and(|bytes| bytes != DISABLE));
    session
}

#[test]
fn an_answer_that_comes_before_torque_off_was_sent_does_not_keep_it_from_being_sent() {
    let mut session = commanded();
    session.stop(StopRequest::TorqueOff);
    session.receive(at(1200), answer());
    assert!(session.is_stopping());
    assert_eq!(sent(&mut session, at(1300)), Some(DISABLE));
    session.receive(at(1500), answer());
    assert!(!session.is_stopping() && !session.is_unheard());
}

#[test]
fn an_answer_to_a_command_that_comes_after_torque_off_is_no_answer_to_it() {
    let mut session = commanded();
    session.stop(StopRequest::TorqueOff);
    assert_eq!(sent(&mut session, at(1050)), Some(DISABLE));
    session.receive(at(1200), answer());
    assert!(session.is_stopping());
    // Torque off itself was lost. It is sent again, and that is answered.
    assert_eq!(sent(&mut session, at(10_000)), None);
    assert_eq!(sent(&mut session, at(22_000)), Some(DISABLE));
    session.receive(at(22_200), answer());
    assert!(!session.is_stopping() && !session.is_unheard());
}

#[test]
fn an_estimate_of_an_odrive_does_not_say_that_it_has_no_torque() {
    let model = Model::find(Protocol::Odrive, "d6374").unwrap();
    let config = Config { joints: vec![JointConfig { model, ..joint() }], ..Config::default() };
    let mut session = Session::new(config);
    session.connected(at(0));
    session.stop(StopRequest::TorqueOff);
    assert!(matches!(session.poll(at(0)), Step::Transmit(Packet::Frame(_))));
    let say = |message: Message| Event::Frame(message.encode(3));
    session.receive(at(500), say(Message::Encoder { position: 0.1, velocity: 0.0 }));
    assert!(session.is_stopping());
    let heartbeat = Message::Heartbeat { error: 0, state: IDLE as u8, flags: [0; 3] };
    session.receive(at(600), say(heartbeat));
    assert!(!session.is_stopping());
}
