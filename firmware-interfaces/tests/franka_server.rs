//! The emulated Franka behind real sockets.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::time::Duration;

use sinew_firmware_interfaces::franka::emulator::{
    Config, Control, Emulator, EmulatorConfig, Hand, RobotModel,
};
use sinew_firmware_interfaces::franka::wire::{
    Controller, Error, Errors, Generator, MoveRequest, Protocol, Request, RobotCommand, RobotMode,
    RobotState,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn emulator(robot: RobotModel) -> Emulator {
    patient(robot, "", Duration::ZERO)
}

fn patient(robot: RobotModel, faults: &str, patience: Duration) -> Emulator {
    let faults = faults.parse().unwrap();
    let control = Control::new(Config { faults, ..Config::new(robot) }).unwrap();
    let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let ports = EmulatorConfig { robot_port: 0, gripper_port: 0, ..EmulatorConfig::new(bind) };
    let config = EmulatorConfig { patience, ..ports };
    Emulator::spawn(control, Hand::new(0.0), config).unwrap()
}

struct Client {
    tcp: TcpStream,
    udp: UdpSocket,
    protocol: Protocol,
}

impl Client {
    fn connect(emulator: &Emulator, protocol: Protocol) -> Self {
        let tcp = TcpStream::connect(emulator.robot_address()).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { tcp, udp, protocol };
        let udp_port = client.udp.local_addr().unwrap().port();
        let connect = Request::Connect { version: protocol.version(), udp_port };
        assert_eq!(client.ask(&connect, 3), 0);
        client
    }

    /// Status of the answer, which has `length` bytes behind the header.
    fn ask(&mut self, request: &Request, length: usize) -> u8 {
        let mut bytes = Vec::new();
        request.encode(self.protocol, 1, &mut bytes).unwrap();
        self.tcp.write_all(&bytes).unwrap();
        self.answer(length)
    }

    fn answer(&mut self, length: usize) -> u8 {
        let mut bytes = vec![0; 12 + length];
        self.tcp.read_exact(&mut bytes).unwrap();
        bytes[12]
    }

    /// The newest state, and where commands go.
    fn state(&self) -> (RobotState, std::net::SocketAddr) {
        let mut buffer = [0; 4096];
        let (count, from) = self.udp.recv_from(&mut buffer).unwrap();
        (RobotState::parse(self.protocol, &buffer[..count]).unwrap(), from)
    }
}

/// A motion of joint 1: where it should have ended, or why it did not.
fn motion(client: &mut Client, think: impl Fn(u64)) -> Result<f64, Errors> {
    let request = MoveRequest {
        controller: Controller::JointImpedance,
        generator: Generator::JointPosition,
        path_deviation: [10.0, 3.12, 6.0],
        goal_deviation: [10.0, 3.12, 6.0],
        asynchronous: false,
        max_velocity: [0.0; 7],
    };
    assert_eq!(client.ask(&Request::Move(request), 1), 1);
    let mut begun = None;
    let mut goal = 0.0;
    loop {
        let (state, from) = client.state();
        if !state.errors.is_empty() {
            return Err(state.errors);
        }
        if state.robot_mode != RobotMode::Move {
            if begun.is_some() {
                return Ok(goal);
            }
            continue;
        }
        let (start, positions) = *begun.get_or_insert((state.message_id, state.q_d));
        let seconds = ((state.message_id - start) as f64 * 1e-3).min(1.0);
        let mut q_c = positions;
        q_c[0] += 0.1 * (1.0 - (std::f64::consts::PI * seconds).cos());
        goal = q_c[0];
        let command = RobotCommand {
            message_id: state.message_id,
            q_c,
            motion_generation_finished: seconds >= 1.0,
            ..RobotCommand::default()
        };
        let mut bytes = Vec::new();
        command.encode(client.protocol, &mut bytes);
        think(state.message_id - start);
        client.udp.send_to(&bytes, from).unwrap();
    }
}

#[test]
fn a_client_moves_a_joint_over_sockets_and_the_next_client_is_let_in() {
    for robot in [RobotModel::Fer, RobotModel::Fr3] {
        let emulator = patient(robot, "", PATIENCE);
        let mut client = Client::connect(&emulator, robot.protocol());
        let before = emulator.positions()[0];
        let goal = loop {
            let ended = motion(&mut client, |_| ());
            // The second answer to Move.
            let status = client.answer(1);
            match ended {
                Ok(goal) => {
                    assert_eq!(status, 0);
                    break goal;
                }
                // A busy computer may not answer for twenty states in a row: as on the real arm.
                Err(errors) => {
                    let busy = errors.contains(Error::COMMUNICATION_CONSTRAINTS);
                    assert!(busy, "{:?}", errors.iter().map(Error::name).collect::<Vec<_>>());
                    assert_eq!(client.ask(&Request::AutomaticErrorRecovery, 1), 0);
                    while client.state().0.robot_mode != RobotMode::Idle {}
                }
            }
        };
        assert!((emulator.positions()[0] - goal).abs() < 1e-3 && goal > before + 0.19);
        drop(client);
        loop {
            // The emulator notices in its own time that the client has gone.
            let mut second = TcpStream::connect(emulator.robot_address()).unwrap();
            second.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            if second.read(&mut [0]).is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_second_client_is_sent_away_and_a_mad_one_too() {
    let emulator = emulator(RobotModel::Fr3);
    let client = Client::connect(&emulator, Protocol::V10);
    let mut second = TcpStream::connect(emulator.robot_address()).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(second.read(&mut [0]), Ok(0) | Err(_)), "closed");
    assert_eq!(client.state().0.robot_mode, RobotMode::Idle);
    let mut hand = TcpStream::connect(emulator.gripper_address()).unwrap();
    hand.set_read_timeout(Some(PATIENCE)).unwrap();
    hand.write_all(&[0xFF; 64]).unwrap();
    assert!(matches!(hand.read(&mut [0]), Ok(0) | Err(_)), "closed");
    assert_eq!(emulator.mode(), RobotMode::Idle);
}

#[test]
fn a_patient_arm_waits_for_slow_commands_and_counts_dropped_ones_as_lost() {
    let slow = |cycle| {
        if cycle % 50 == 7 {
            std::thread::sleep(Duration::from_millis(40));
        }
    };
    for (faults, lossy) in [("", false), ("drop=1/10", true)] {
        let emulator = patient(RobotModel::Fr3, faults, PATIENCE);
        let mut client = Client::connect(&emulator, Protocol::V10);
        let goal = motion(&mut client, slow).unwrap();
        assert_eq!(client.answer(1), 0);
        assert!((emulator.positions()[0] - goal).abs() < 1e-3);
        let counts = emulator.counts();
        assert_eq!(counts.reflexes, 0);
        assert!(counts.commands > 500, "{counts:?}");
        // The last command may be one that is dropped: then one more comes.
        let dropped = counts.commands / 10;
        assert_eq!(counts.lost, if lossy { dropped } else { 0 }, "{counts:?}");
    }
}
