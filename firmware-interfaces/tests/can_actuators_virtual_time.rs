//! The driver's session and emulated motors in virtual time: every protocol, and every fault.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sinew_firmware_interfaces::can::Bitrate;
use sinew_firmware_interfaces::can_actuators::emulator::{ActuatorsConfig, Faults, MotorConfig};
use sinew_firmware_interfaces::can_actuators::{
    Config, JointConfig, Model, Protocol, SteppedCanActuators,
};
use sinew_firmware_interfaces::{
    Clock, Command, ControlMode, LinkStatus, MAX_JOINTS, Robot, RobotError, SimulatedClock, State,
    StopRequest, Timestamp,
};

const ALL: [(Protocol, &str); 4] = [
    (Protocol::Mit, "ak80-9"),
    (Protocol::Damiao, "4310"),
    (Protocol::Robstride, "rs02"),
    (Protocol::Odrive, "d6374"),
];

fn joint(name: &str, protocol: Protocol, model: &str, id: u16) -> JointConfig {
    JointConfig {
        name: name.to_owned(),
        model: Model::find(protocol, model).unwrap(),
        id,
        feedback_id: 0x100 + id,
        reversed: false,
        offset: 0.0,
        gear_ratio: 1.0,
        stiffness: 20.0,
        damping: 1.0,
    }
}

struct Bench {
    robot: SteppedCanActuators,
    clock: SimulatedClock,
    state: State,
}

impl Bench {
    fn new(joints: Vec<JointConfig>, faults: &[&str]) -> Self {
        let mut made = Faults::default();
        faults.iter().for_each(|fault| made.add(fault).unwrap());
        let motors = joints
            .iter()
            .map(|joint| MotorConfig {
                model: joint.model,
                id: joint.id,
                feedback_id: joint.feedback_id,
                position: 0.0,
            })
            .collect();
        let actuators = ActuatorsConfig { motors, bitrate: Bitrate::M1, seed: 3, faults: made };
        let config =
            Config { joints, reconnect_window: Duration::from_secs(1), ..Config::default() };
        let clock = SimulatedClock::new();
        let robot = SteppedCanActuators::new(config, actuators, clock.clone()).unwrap();
        Self { robot, clock, state: State::default() }
    }

    fn arm(&mut self) -> Result<(), RobotError> {
        self.robot.arm(Duration::from_secs(3))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Goes on for `milliseconds`, with the same command every millisecond.
    fn run(&mut self, milliseconds: u64, mode: ControlMode, values: &[f64]) {
        for _ in 0..milliseconds {
            let now = self.now().after(Duration::from_millis(1));
            self.clock.advance_to(now);
            self.robot.read(now, &mut self.state);
            let mut command = Command {
                mode,
                position: [0.0; MAX_JOINTS],
                effort: [0.0; MAX_JOINTS],
                issued: now,
                epoch: self.state.epoch,
            };
            match mode {
                ControlMode::Position => command.position[..values.len()].copy_from_slice(values),
                ControlMode::Effort => command.effort[..values.len()].copy_from_slice(values),
            }
            self.robot.write(now, &command);
        }
    }

    /// Goes on for `milliseconds` and says nothing.
    fn wait(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            let now = self.now().after(Duration::from_millis(1));
            self.clock.advance_to(now);
            self.robot.read(now, &mut self.state);
        }
    }

    fn really(&mut self, index: usize) -> f64 {
        self.robot.actuators_mut().position(index).unwrap()
    }

    fn has_torque(&mut self, index: usize) -> bool {
        self.robot.actuators_mut().is_enabled(index)
    }

    fn failure(&self) -> String {
        self.robot.last_failure().unwrap_or_default()
    }
}

fn one(protocol: Protocol, model: &str, faults: &[&str]) -> Bench {
    Bench::new(vec![joint("elbow", protocol, model, 3)], faults)
}

#[test]
fn every_protocol_is_armed_without_a_motion_and_goes_where_it_is_told() {
    for (protocol, model) in ALL {
        let mut bench = one(protocol, model, &[]);
        bench.arm().unwrap_or_else(|error| panic!("{protocol:?}: {error}"));
        assert!(bench.has_torque(0), "{protocol:?}");
        assert!(bench.really(0).abs() < 1e-3, "{protocol:?}");
        bench.run(1500, ControlMode::Position, &[1.0]);
        assert_eq!(bench.state.link, LinkStatus::Up);
        let really = bench.really(0);
        // kp of 20 N·m/rad against the friction.
        assert!((really - 1.0).abs() < 0.02, "{protocol:?}: {really}");
        let span = bench.state.position[0] - really;
        assert!(span.abs() < 1e-3, "{protocol:?}: {span}");
        assert!(bench.state.velocity[0].abs() < 0.1, "{protocol:?}: {:?}", bench.state.velocity[0]);
        assert!((20.0..60.0).contains(&bench.state.sensors[0]), "{:?}", bench.state.sensors[0]);
        let statistics = bench.robot.statistics();
        assert_eq!(
            (statistics.timeouts, statistics.rejected),
            (0, 0),
            "{protocol:?}: {}",
            bench.failure()
        );
        bench.robot.stop(bench.now(), StopRequest::TorqueOff);
        bench.robot.disarm(Duration::from_secs(1)).unwrap();
        assert!(!bench.has_torque(0), "{protocol:?}");
    }
}

#[test]
fn torque_turns_every_motor_and_is_measured() {
    for (protocol, model) in ALL {
        let mut bench = one(protocol, model, &[]);
        bench.arm().unwrap();
        // A quarter of the torque of a model, for 60 ms.
        let torque = 0.25 * Model::find(protocol, model).unwrap().ranges.torque.high;
        bench.run(60, ControlMode::Effort, &[torque]);
        assert!(bench.state.velocity[0] > 1.0, "{protocol:?}: {}", bench.state.velocity[0]);
        let measured = bench.state.effort[0];
        assert!((measured - torque).abs() < 0.05 * torque, "{protocol:?}: {measured} {torque}");
    }
}

#[test]
fn an_effort_that_nobody_repeats_ends_in_a_hold() {
    let mut bench = one(Protocol::Damiao, "4310", &[]);
    bench.arm().unwrap();
    bench.run(60, ControlMode::Effort, &[2.0]);
    bench.wait(1500);
    let stood = bench.really(0);
    bench.wait(500);
    assert!(bench.has_torque(0));
    assert!((bench.really(0) - stood).abs() < 1e-3, "{} {stood}", bench.really(0));
}

#[test]
fn direction_offset_and_gear_are_between_joint_and_actuator() {
    let mut reversed = joint("elbow", Protocol::Damiao, "4310", 3);
    reversed.reversed = true;
    reversed.offset = 0.5;
    reversed.gear_ratio = 4.0;
    let straight = joint("wrist", Protocol::Robstride, "rs02", 3);
    let mut bench = Bench::new(vec![reversed, straight], &[]);
    let limits = bench.robot.description().joints[0].limits.clone();
    assert!((limits.position.end() - (12.5 / 4.0 + 0.5)).abs() < 1e-9, "{limits:?}");
    assert_eq!(limits.max_effort, Some(40.0));
    bench.arm().unwrap();
    bench.wait(50);
    assert!((bench.state.position[0] - 0.5).abs() < 1e-3, "{}", bench.state.position[0]);
    bench.run(2000, ControlMode::Position, &[0.8, -0.4]);
    assert!((bench.state.position[0] - 0.8).abs() < 0.02, "{}", bench.state.position[0]);
    // 0.3 rad of the joint are 1.2 rad of the actuator, the other way round.
    let really = bench.really(0);
    assert!((really + 1.2).abs() < 0.05, "{really}");
    assert!((bench.really(1) + 0.4).abs() < 0.02);
    assert!(bench.state.captured[0] != bench.state.captured[1], "each has its own time");
}

#[test]
fn a_command_outside_the_range_is_refused_and_nothing_wraps() {
    for (protocol, model) in ALL {
        let mut bench = one(protocol, model, &[]);
        bench.arm().unwrap();
        bench.run(1000, ControlMode::Position, &[0.3]);
        for wrong in [1e4, f64::NAN, f64::INFINITY] {
            bench.run(20, ControlMode::Position, &[wrong]);
            assert!(bench.failure().contains("elbow"), "{}", bench.failure());
        }
        bench.run(5, ControlMode::Effort, &[1e4]);
        assert!(bench.robot.statistics().rejected >= 65);
        assert!((bench.really(0) - 0.3).abs() < 0.02, "{protocol:?}: {}", bench.really(0));
    }
}

#[test]
fn lost_and_damaged_answers_and_strangers_are_counted_and_do_no_harm() {
    for (protocol, model) in ALL {
        let mut bench = one(protocol, model, &["drop=0.05", "unknown=1/50"]);
        bench.arm().unwrap_or_else(|error| panic!("{protocol:?}: {error}"));
        bench.run(2000, ControlMode::Position, &[0.5]);
        let statistics = bench.robot.statistics();
        assert!(statistics.rejected > 5, "{protocol:?}: {statistics:?}");
        assert!(statistics.timeouts > 5, "{protocol:?}: {statistics:?}");
        assert_eq!((bench.state.link, bench.state.epoch), (LinkStatus::Up, 1), "{protocol:?}");
        assert!((bench.really(0) - 0.5).abs() < 0.02, "{protocol:?}");
    }
    let mut bench = one(Protocol::Damiao, "4310", &["unknown=1/50"]);
    bench.arm().unwrap();
    bench.run(300, ControlMode::Position, &[0.0]);
    assert!(bench.failure().contains("0x5A5"), "{}", bench.failure());
}

#[test]
fn an_actuator_that_reports_a_fault_ends_the_run_with_its_name() {
    for (protocol, model) in ALL {
        let mut bench = Bench::new(
            vec![joint("elbow", protocol, model, 3), joint("wrist", protocol, model, 4)],
            &["over-temperature@1s"],
        );
        bench.arm().unwrap();
        bench.run(1500, ControlMode::Position, &[0.1, 0.1]);
        assert_eq!(bench.state.link, LinkStatus::Lost, "{protocol:?}");
        let failure = bench.failure();
        let named = failure.contains("elbow reports");
        assert!(named, "{protocol:?}: {failure}");
        assert!(!bench.has_torque(0) && !bench.has_torque(1), "{protocol:?}");
    }
}

#[test]
fn an_encoder_that_jumps_is_not_believed_and_ends_the_run() {
    for (protocol, model) in ALL {
        let mut bench = one(protocol, model, &["jump=0.7@1s"]);
        bench.arm().unwrap();
        let mut seen: f64 = 0.0;
        for _ in 0..1500 {
            bench.run(1, ControlMode::Position, &[0.0]);
            seen = seen.max(bench.state.position[0].abs());
        }
        assert!(seen < 0.1, "{protocol:?}: {seen}");
        assert_eq!(bench.state.link, LinkStatus::Lost, "{protocol:?}");
        assert!(bench.failure().contains("faster than it can move"), "{}", bench.failure());
        assert!(!bench.has_torque(0), "{protocol:?}");
    }
}

#[test]
fn nothing_old_is_sent_after_a_reconnection_and_the_motor_stays_where_it_is_then() {
    for (protocol, model) in ALL {
        // While nobody is connected, the encoder gets another zero: the old target is elsewhere now.
        let mut bench = one(protocol, model, &["disconnect=100ms@1s", "jump=0.7@1050ms"]);
        bench.arm().unwrap();
        bench.run(990, ControlMode::Position, &[0.3]);
        let stood = bench.really(0);
        assert!((stood - 0.3).abs() < 0.02, "{protocol:?}: {stood}");
        bench.wait(600);
        assert_eq!((bench.state.link, bench.state.epoch), (LinkStatus::Up, 2), "{protocol:?}");
        assert!((bench.really(0) - stood).abs() < 0.02, "{protocol:?}: {}", bench.really(0));
        assert!(bench.has_torque(0), "{protocol:?}");
        bench.run(1000, ControlMode::Position, &[0.8]);
        assert!((bench.really(0) - 0.1).abs() < 0.03, "{protocol:?}: {}", bench.really(0));
    }
}

#[test]
fn a_fault_that_an_actuator_has_already_keeps_it_from_being_armed() {
    for (protocol, model) in ALL {
        let mut bench = one(protocol, model, &["over-temperature@0s"]);
        let armed = bench.arm();
        assert!(armed.is_err(), "{protocol:?} {model}");
        let refused = armed.unwrap_err().to_string();
        assert!(refused.contains("elbow reports"), "{protocol:?}: {refused}");
        assert!(refused.contains("temperature") || refused.contains("axis error"), "{refused}");
        assert!(refused.contains("switch the actuator off and on"), "{protocol:?}: {refused}");
        assert!(!bench.has_torque(0), "{protocol:?}");
    }
}

#[test]
fn a_bus_off_is_named_and_a_short_one_is_survived_by_motors_without_a_watchdog() {
    let mut bench = one(Protocol::Mit, "ak80-9", &["bus-off=300ms@1s"]);
    bench.arm().unwrap();
    bench.run(1200, ControlMode::Position, &[0.2]);
    assert_eq!(bench.state.link, LinkStatus::Down);
    assert!(bench.failure().contains("bus-off"), "{}", bench.failure());
    bench.run(800, ControlMode::Position, &[0.2]);
    assert_eq!((bench.state.link, bench.state.epoch), (LinkStatus::Up, 2), "{}", bench.failure());
    assert_eq!(bench.robot.statistics().reconnects, 1);

    let mut bench = one(Protocol::Mit, "ak80-9", &["bus-off@1s"]);
    bench.arm().unwrap();
    bench.run(2500, ControlMode::Position, &[0.2]);
    assert_eq!(bench.state.link, LinkStatus::Lost);
    assert!(bench.failure().contains("bus-off"), "{}", bench.failure());
}

#[test]
fn a_damiao_whose_watchdog_has_ended_its_torque_is_not_switched_on_again() {
    let mut bench = one(Protocol::Damiao, "4310", &["silence=600ms@1s"]);
    bench.arm().unwrap();
    bench.run(990, ControlMode::Position, &[0.2]);
    assert!(bench.has_torque(0));
    bench.run(300, ControlMode::Position, &[0.2]);
    assert!(!bench.has_torque(0), "its TIMEOUT of 200 ms has passed");
    bench.run(1000, ControlMode::Position, &[0.2]);
    assert_eq!(bench.state.link, LinkStatus::Lost);
    assert!(bench.failure().contains("lost communication"), "{}", bench.failure());
    assert!(!bench.has_torque(0));
}

#[test]
fn a_wrong_model_is_found_by_the_motors_own_registers() {
    let mut bench = one(Protocol::Damiao, "4310", &[]);
    let config =
        Config { joints: vec![joint("elbow", Protocol::Damiao, "4340", 3)], ..Config::default() };
    let motors = vec![MotorConfig {
        model: Model::find(Protocol::Damiao, "4310").unwrap(),
        id: 3,
        feedback_id: 0x103,
        position: 0.0,
    }];
    let actuators =
        ActuatorsConfig { motors, bitrate: Bitrate::M1, seed: 1, faults: Faults::default() };
    let clock = SimulatedClock::new();
    bench.robot = SteppedCanActuators::new(config, actuators, clock.clone()).unwrap();
    let refused = bench.arm().unwrap_err().to_string();
    assert!(refused.contains("VMAX says 30") && refused.contains("10"), "{refused}");
    assert!(!bench.has_torque(0));
}

#[test]
fn an_actuator_that_is_not_there_keeps_all_from_being_switched_on() {
    for (protocol, model) in ALL {
        let joints = vec![joint("elbow", protocol, model, 3), joint("wrist", protocol, model, 4)];
        let config = Config { joints: joints.clone(), ..Config::default() };
        let motors = vec![MotorConfig {
            model: joints[0].model,
            id: 3,
            feedback_id: joints[0].feedback_id,
            position: 0.0,
        }];
        let actuators =
            ActuatorsConfig { motors, bitrate: Bitrate::M1, seed: 1, faults: Faults::default() };
        let clock = SimulatedClock::new();
        let mut robot = SteppedCanActuators::new(config, actuators, clock).unwrap();
        let refused = robot.arm(Duration::from_secs(1)).unwrap_err().to_string();
        assert!(refused.contains("wrist"), "{protocol:?}: {refused}");
        robot.disarm(Duration::from_secs(1)).ok();
        assert!(!robot.actuators_mut().is_enabled(0), "{protocol:?}");
    }
}

#[test]
fn the_same_run_gives_the_same_numbers() {
    let run = || {
        let mut bench = one(Protocol::Damiao, "4310", &["drop=0.1", "corrupt=0.002"]);
        bench.arm().unwrap();
        bench.run(500, ControlMode::Position, &[0.5]);
        (bench.state, bench.robot.statistics())
    };
    assert_eq!(run(), run());
}
