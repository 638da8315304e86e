//! Hostile clients at the emulated Franka's sockets: `SINEW_MUTATIONS=1000 cargo test --release -p
//! sinew-firmware-interfaces --test franka_hostile`. Without it there are a few dozen of them.
//!
//! Sound and damaged requests arrive in pieces of any size, datagrams of any length from anybody.
//! The emulator goes on with its cycles and serves the next client.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use sinew_firmware_interfaces::Random;
use sinew_firmware_interfaces::franka::emulator::{
    Config, Control, Emulator, EmulatorConfig, Hand, RobotModel,
};
use sinew_firmware_interfaces::franka::wire::{
    Controller, Generator, GripperRequest, MoveRequest, Request, RobotState,
};

const PATIENCE: Duration = Duration::from_secs(20);
const FEW: u64 = 40;

fn below(random: &mut Random, limit: usize) -> usize {
    (random.fraction() * limit as f64) as usize
}

fn emulator(robot: RobotModel) -> Emulator {
    let control = Control::new(Config::new(robot)).unwrap();
    let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let config = EmulatorConfig { robot_port: 0, gripper_port: 0, ..EmulatorConfig::new(bind) };
    Emulator::spawn(control, Hand::new(0.0), config).unwrap()
}

/// Writes in pieces; the other side may have hung up.
fn write(stream: &mut TcpStream, bytes: &[u8], random: &mut Random) {
    let mut left = bytes;
    while !left.is_empty() {
        let (piece, rest) = left.split_at(1 + below(random, left.len().min(300)));
        if stream.write_all(piece).is_err() {
            return;
        }
        left = rest;
    }
}

/// A handshake in pieces of any size: its answer, or none where the client before this one has not
/// been noticed to have gone.
fn handshake(
    address: SocketAddr,
    bytes: &[u8],
    size: usize,
    random: &mut Random,
) -> Option<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    write(&mut stream, bytes, random);
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer).ok()?;
    Some((stream, answer))
}

fn connected(address: SocketAddr, bytes: &[u8], size: usize, random: &mut Random) -> TcpStream {
    loop {
        if let Some((stream, answer)) = handshake(address, bytes, size, random) {
            assert_eq!(answer[size - 3..size - 2], [0], "taken");
            return stream;
        }
    }
}

#[test]
fn the_arm_behind_its_sockets_survives_hostile_clients() {
    let count = std::env::var("SINEW_MUTATIONS").ok().and_then(|count| count.parse().ok());
    for robot in [RobotModel::Fer, RobotModel::Fr3] {
        let emulator = emulator(robot);
        let protocol = robot.protocol();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(PATIENCE)).unwrap();
        let udp_port = udp.local_addr().unwrap().port();
        let mut hello = Vec::new();
        let connect = Request::Connect { version: protocol.version(), udp_port };
        connect.encode(protocol, 0, &mut hello).unwrap();
        let motion = Request::Move(MoveRequest {
            controller: Controller::JointImpedance,
            generator: Generator::JointPosition,
            path_deviation: [10.0, 3.12, 6.0],
            goal_deviation: [10.0, 3.12, 6.0],
            asynchronous: false,
            max_velocity: [0.0; 7],
        });
        let sound = [
            motion,
            Request::StopMove,
            Request::AutomaticErrorRecovery,
            Request::SetJointImpedance([1000.0; 7]),
            Request::LoadModelLibrary { architecture: 0, system: 0 },
            Request::GetRobotModel,
        ];
        for number in 0..count.unwrap_or(FEW) {
            let mut random = Random::new(number);
            let mut stream = connected(emulator.robot_address(), &hello, 15, &mut random);
            let mut state = [0; 4096];
            let (size, commands) = udp.recv_from(&mut state).unwrap();
            RobotState::parse(protocol, &state[..size]).unwrap();
            // A second client is sent away, whatever it says.
            assert!(handshake(emulator.robot_address(), &hello, 15, &mut random).is_none());
            for _ in 0..4 {
                let mut bytes = Vec::new();
                let request = &sound[below(&mut random, sound.len())];
                if request.encode(protocol, 1, &mut bytes).is_err() {
                    continue;
                }
                for _ in 0..below(&mut random, 3) {
                    let at = below(&mut random, bytes.len());
                    bytes[at] = below(&mut random, 256) as u8;
                }
                write(&mut stream, &bytes, &mut random);
                let mut datagram = vec![0xFF; below(&mut random, 9000)];
                datagram.iter_mut().for_each(|byte| *byte = below(&mut random, 256) as u8);
                udp.send_to(&datagram, commands).unwrap();
            }
            let before = emulator.counts().cycles;
            drop(stream);
            while emulator.counts().cycles < before + 2 {
                std::thread::yield_now();
            }
            assert!(emulator.positions().iter().all(|position| position.is_finite()));
            // What is left of this client's states is not the next one's.
            udp.set_nonblocking(true).unwrap();
            while udp.recv(&mut state).is_ok() {}
            udp.set_nonblocking(false).unwrap();
        }
    }
}

#[test]
fn the_hand_behind_its_sockets_survives_hostile_clients() {
    let emulator = emulator(RobotModel::Fr3);
    let mut hello = Vec::new();
    let connect = GripperRequest::Connect { version: GripperRequest::VERSION, udp_port: 40_000 };
    connect.encode(0, &mut hello);
    for number in 0..FEW {
        let mut random = Random::new(number);
        let mut stream = TcpStream::connect(emulator.gripper_address()).unwrap();
        write(&mut stream, &hello, &mut random);
        let mut bytes = Vec::new();
        GripperRequest::Move { width: 0.03, speed: 0.1 }.encode(1, &mut bytes);
        let at = below(&mut random, bytes.len());
        bytes[at] = below(&mut random, 256) as u8;
        write(&mut stream, &bytes, &mut random);
    }
    let mut random = Random::new(0);
    loop {
        if let Some((_, answer)) = handshake(emulator.gripper_address(), &hello, 14, &mut random) {
            assert_eq!(answer[10..12], [0, 0]);
            break;
        }
    }
}
