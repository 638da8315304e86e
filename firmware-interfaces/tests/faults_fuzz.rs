//! Whatever is said about faults, a fault or a named error: never a panic, neither when it is read
//! nor when an arm has it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sinew_firmware_interfaces::can_actuators::emulator::Faults as CanFaults;
use sinew_firmware_interfaces::mock::{Config, FaultError, Faults, MockArm};
use sinew_firmware_interfaces::mycobot320::emulator::Faults as EmulatorFaults;
use sinew_firmware_interfaces::rig::emulator::Faults as RigFaults;
use sinew_firmware_interfaces::{
    Clock, Command, ControlMode, MAX_JOINTS, Robot, SimulatedClock, State,
};

const NAMES: &[&str] = &[
    "drop",
    "corrupt",
    "garbage",
    "delay",
    "silence",
    "disconnect",
    "reset",
    "nan",
    "jump",
    "stuck",
    "glitch",
    "gyro-glitch",
    "gyro-stuck",
    "drift",
    "overheat",
    "unknown",
    "bus-off",
    "over-temperature",
    "gripper255",
    "stall",
    "",
    "x",
];
const VALUES: &[&str] = &[
    "",
    "=",
    "=0",
    "=1",
    "=1/2",
    "=1/0",
    "=1/4294967296",
    "=-1",
    "=nan",
    "=inf",
    "=1e308",
    "=0.5",
    "=0ms",
    "=3us",
    "=10s",
    "=1e300s",
    "=-1s",
    "=1e-300ms",
    "=5m",
    "=ms",
    "=nans",
    "=µs",
];
const STARTS: &[&str] = &["", "@", "@0s", "@2ms", "@1e12s", "@-1s", "@1", "@@1s", "@1s@2s", "@=1s"];

/// An error says which fault is meant, or what was said, and what to say instead.
fn judge<T>(read: &Result<T, FaultError>) {
    if let Err(error) = read {
        assert!(error.to_string().len() > 20, "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,60}") {
        judge(&text.parse::<Faults>());
        judge(&text.parse::<EmulatorFaults>());
        judge(&text.parse::<RigFaults>());
        judge(&CanFaults::default().add(&text));
    }

    #[test]
    fn faults_made_of_odd_parts_never_panic_and_an_arm_bears_them(
        parts in prop::collection::vec(
            (prop::sample::select(NAMES), prop::sample::select(VALUES), prop::sample::select(STARTS)),
            0..6,
        ),
        seed in any::<u64>(),
    ) {
        let described: Vec<_> = parts.iter().map(|(a, b, c)| format!("{a}{b}{c}")).collect();
        judge(&described.join(",").parse::<Faults>());
        judge(&described.join(",").parse::<EmulatorFaults>());
        judge(&described.join(",").parse::<RigFaults>());
        // What can be read of them happens to one arm.
        let mut faults = Faults::default();
        for fault in &described {
            judge(&faults.add(fault));
            judge(&CanFaults::default().add(fault));
        }
        faults.stall = None;
        let clock = SimulatedClock::new();
        let config = Config { faults, seed, ..Config::default() };
        let mut arm = MockArm::new(config, Arc::new(clock.clone()));
        let _ = arm.arm(Duration::ZERO);
        let mut state = State::default();
        for _ in 0..40 {
            clock.advance_to(clock.now().after(Duration::from_micros(700)));
            let now = clock.now();
            arm.read(now, &mut state);
            let command = Command {
                mode: ControlMode::Position,
                position: state.position,
                effort: [0.0; MAX_JOINTS],
                issued: now,
                epoch: state.epoch,
            };
            arm.write(now, &command);
        }
        // The process was stopped for a while.
        clock.advance_to(clock.now().after(Duration::from_millis(500)));
        arm.read(clock.now(), &mut state);
        let _ = arm.last_failure();
    }
}
