//! Damaged bytes for the emulated Franka: `SINEW_MUTATIONS=1000000 cargo test --release -p
//! sinew-firmware-interfaces --test franka_fuzz`. Without it each port gets a few thousand.
//!
//! Whatever a client sends, the arm neither panics nor shows a number that is none, and it serves
//! the next client. A damage is a function of its number, which is printed where one fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sinew_firmware_interfaces::franka::emulator::{Config, Control, Hand, RobotModel};
use sinew_firmware_interfaces::franka::wire::{
    CollisionBehavior, Controller, Generator, GripperRequest, Load, MoveRequest, Request,
    RobotCommand, RobotState,
};
use sinew_firmware_interfaces::{Random, Timestamp};

const FEW: u64 = 1_500;

fn count() -> u64 {
    std::env::var("SINEW_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(FEW)
}

fn below(random: &mut Random, limit: usize) -> usize {
    (random.fraction() * limit as f64) as usize
}

fn damaged(sound: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..below(random, 4) {
        let at = below(random, bytes.len());
        match below(random, 5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(random, 8),
            1 if at < bytes.len() => bytes[at] = below(random, 256) as u8,
            2 => bytes.truncate(at),
            // A number that is none, where numbers are.
            3 if at + 8 <= bytes.len() => {
                let odd = [f64::NAN, f64::INFINITY, -1e308, 1e-320][below(random, 4)];
                bytes[at..at + 8].copy_from_slice(&odd.to_le_bytes());
            }
            _ => bytes.extend_from_slice(&sound[..at.min(sound.len())]),
        }
    }
    bytes
}

fn requests(version: u16) -> Vec<Request> {
    let motion = |controller, generator| {
        Request::Move(MoveRequest {
            controller,
            generator,
            path_deviation: [10.0, 3.12, 6.0],
            goal_deviation: [10.0, 3.12, 6.0],
            asynchronous: false,
            max_velocity: [0.0; 7],
        })
    };
    vec![
        Request::Connect { version, udp_port: 40_000 },
        motion(Controller::JointImpedance, Generator::JointPosition),
        motion(Controller::JointImpedance, Generator::JointVelocity),
        motion(Controller::CartesianImpedance, Generator::CartesianPosition),
        motion(Controller::CartesianImpedance, Generator::CartesianVelocity),
        motion(Controller::External, Generator::JointVelocity),
        motion(Controller::External, Generator::None),
        Request::StopMove,
        Request::AutomaticErrorRecovery,
        Request::SetJointImpedance([1000.0; 7]),
        Request::SetCartesianImpedance([100.0; 6]),
        Request::SetLoad(Load { mass: 1.0, center: [0.1; 3], inertia: [0.0; 9] }),
        Request::SetNeToEe(std::array::from_fn(|index| f64::from(u8::from(index % 5 == 0)))),
        Request::SetFilters([100.0; 5]),
        Request::GetRobotModel,
        Request::LoadModelLibrary { architecture: 0, system: 0 },
        Request::SetCollisionBehavior(Box::new(CollisionBehavior {
            lower_torque_acceleration: [20.0; 7],
            upper_torque_acceleration: [20.0; 7],
            lower_torque: [20.0; 7],
            upper_torque: [20.0; 7],
            lower_force_acceleration: [20.0; 6],
            upper_force_acceleration: [20.0; 6],
            lower_force: [20.0; 6],
            upper_force: [20.0; 6],
        })),
    ]
}

/// A command that is near to what the arm would accept.
fn command(state: &RobotState, random: &mut Random) -> RobotCommand {
    let mut near = |value: f64, by: f64| value + by * (random.fraction() - 0.5);
    RobotCommand {
        message_id: state.message_id,
        q_c: state.q_d.map(|q| near(q, 1e-6)),
        dq_c: state.dq_d.map(|v| near(v, 1e-3)),
        o_t_ee_c: state.o_t_ee_d,
        tau_j_d: state.tau_j_d.map(|torque| near(torque, 1.0)),
        ..RobotCommand::default()
    }
}

#[test]
fn the_arm_survives_hostile_clients_and_serves_the_next_one() {
    for robot in [RobotModel::Fer, RobotModel::Fr3] {
        let protocol = robot.protocol();
        let requests = requests(protocol.version());
        let mut control = Control::new(Config::new(robot)).unwrap();
        let mut now = Timestamp::ZERO;
        let mut state = RobotState::default();
        let mut seen = 0_u64;
        for number in 0..count() {
            let mut random = Random::new(number);
            let mut bytes = Vec::new();
            // A sound handshake first: damage behind it goes deeper.
            requests[0].encode(protocol, 0, &mut bytes).unwrap();
            control.receive(&bytes);
            for _ in 0..6 {
                let request = &requests[below(&mut random, requests.len())];
                bytes.clear();
                if request.encode(protocol, 1, &mut bytes).is_ok() {
                    let bytes = damaged(&bytes, &mut random);
                    control.receive(&bytes);
                }
                for _ in 0..3 {
                    bytes.clear();
                    command(&state, &mut random).encode(protocol, &mut bytes);
                    control.command(&damaged(&bytes, &mut random));
                    now = now.after(Duration::from_millis(1));
                    control.tick(now);
                    bytes.clear();
                    while control.transmit(now, &mut bytes) {
                        let parsed = RobotState::parse(protocol, &bytes);
                        state = parsed.unwrap_or_else(|error| panic!("{number}: {error}"));
                        seen += 1;
                        bytes.clear();
                    }
                }
            }
            control.hang_up();
        }
        assert!(seen > count(), "{robot:?} has shown its state {seen} times");
        let mut bytes = Vec::new();
        requests[0].encode(protocol, 0, &mut bytes).unwrap();
        control.receive(&bytes);
        bytes.clear();
        control.take_bytes(&mut bytes);
        assert_eq!(bytes.get(12), Some(&0), "{robot:?} takes the next client");
    }
}

#[test]
fn the_hand_survives_hostile_clients_and_serves_the_next_one() {
    let sound = [
        GripperRequest::Homing,
        GripperRequest::Move { width: 0.03, speed: 0.1 },
        GripperRequest::Grasp { width: 0.02, inner: 0.01, outer: 0.01, speed: 0.1, force: 30.0 },
        GripperRequest::Stop,
    ];
    let connect = GripperRequest::Connect { version: GripperRequest::VERSION, udp_port: 40_000 };
    let mut hand = Hand::new(0.02);
    let (mut now, mut datagram) = (Timestamp::ZERO, Vec::new());
    for number in 0..count() {
        let mut random = Random::new(number);
        let mut bytes = Vec::new();
        connect.encode(0, &mut bytes);
        hand.receive(&bytes);
        for _ in 0..6 {
            bytes.clear();
            sound[below(&mut random, sound.len())].encode(1, &mut bytes);
            hand.receive(&damaged(&bytes, &mut random));
            now = now.after(Duration::from_millis(20));
            hand.tick(now, &mut datagram);
            assert!((0.0..=0.08).contains(&hand.width()), "{number}: {}", hand.width());
        }
        hand.hang_up();
    }
    let mut bytes = Vec::new();
    connect.encode(0, &mut bytes);
    hand.receive(&bytes);
    bytes.clear();
    hand.take_bytes(&mut bytes);
    assert_eq!(bytes.get(10), Some(&0));
}
