//! Driver and emulated rig in virtual time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sinew_firmware_interfaces::rig::emulator::{Faults, Firmware, FirmwareConfig};
use sinew_firmware_interfaces::rig::wire::Mode;
use sinew_firmware_interfaces::rig::{Config, Protocol, SteppedRig};
use sinew_firmware_interfaces::{
    Clock, Command, ControlMode, LinkStatus, MAX_JOINTS, Robot, SimulatedClock, State, StopRequest,
    Timestamp,
};

const MS: Duration = Duration::from_millis(1);
const ARMING: Duration = Duration::from_secs(5);

struct Bench {
    rig: SteppedRig,
    clock: SimulatedClock,
    state: State,
}

impl Bench {
    fn new(config: Config, firmware: FirmwareConfig) -> Self {
        let clock = SimulatedClock::new();
        let firmware = Firmware::new(firmware).unwrap();
        let rig = SteppedRig::new(config, firmware, clock.clone()).unwrap();
        Self { rig, clock, state: State::default() }
    }

    fn with(faults: &str) -> Self {
        let faults: Faults = faults.parse().unwrap();
        Self::new(measured(), FirmwareConfig { faults, ..FirmwareConfig::default() })
    }

    fn text() -> Self {
        let config = Config { protocol: Protocol::Text, rate_hz: 200, ..measured() };
        let firmware = FirmwareConfig { text: true, rate_hz: 100, ..FirmwareConfig::default() };
        Self::new(config, firmware)
    }

    fn armed(mut self) -> Self {
        self.rig.arm(ARMING).unwrap();
        self
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// One cycle of 1 ms with a command made by `decide`.
    fn cycle(&mut self, decide: impl FnOnce(&State) -> Option<(ControlMode, f64)>) {
        let now = self.now().after(MS);
        self.clock.advance_to(now);
        self.rig.read(now, &mut self.state);
        if let Some((mode, value)) = decide(&self.state) {
            let (mut position, mut effort) = ([0.0; MAX_JOINTS], [0.0; MAX_JOINTS]);
            match mode {
                ControlMode::Position => position[0] = value,
                ControlMode::Effort => effort[0] = value,
            }
            let epoch = self.state.epoch;
            self.rig.write(now, &Command { mode, position, effort, issued: now, epoch });
        }
    }

    fn go_to(&mut self, angle: f64, cycles: usize) {
        for _ in 0..cycles {
            self.cycle(|_| Some((ControlMode::Position, angle)));
        }
    }

    fn idle(&mut self, cycles: usize) {
        for _ in 0..cycles {
            self.cycle(|_| None);
        }
    }

    fn mode(&mut self) -> Mode {
        self.rig.firmware_mut().mode()
    }

    fn failure(&self) -> String {
        self.rig.last_failure().unwrap_or_default()
    }
}

fn measured() -> Config {
    Config { inertia: Some(0.010), radius: Some(0.1), ..Config::default() }
}

#[test]
fn arming_moves_nothing_and_a_position_is_followed() {
    let mut bench = Bench::with("").armed();
    bench.idle(100);
    assert!(bench.state.position[0].abs() < 0.01);
    assert_eq!((bench.mode(), bench.state.link), (Mode::Hold, LinkStatus::Up));
    bench.go_to(0.8, 1000);
    assert!((bench.state.position[0] - 0.8).abs() < 0.05, "{}", bench.state.position[0]);
    assert!((bench.state.sensors[1] - 0.8).abs() < 1e-6);
    assert!((bench.state.sensors[9] - 6.0).abs() < 0.5);
    let statistics = bench.rig.statistics();
    assert_eq!((statistics.timeouts, statistics.rejected, statistics.garbage_bytes), (0, 0, 0));
    assert!(statistics.commands >= 999 && statistics.replies >= 1100);
}

#[test]
fn every_cycle_has_a_new_state_with_velocity_and_effort_near_the_truth() {
    let mut bench = Bench::with("").armed();
    let mut last = 0;
    let (mut worst_velocity, mut error, mut size) = (0.0_f64, 0.0, 0.0);
    for index in 0..2000 {
        let target = 0.5 * (f64::from(index) * 0.008).sin();
        bench.cycle(|_| Some((ControlMode::Position, target)));
        assert_eq!(bench.state.sequence, if last == 0 { bench.state.sequence } else { last + 1 });
        last = bench.state.sequence;
        let truth = *bench.rig.firmware_mut().truth();
        worst_velocity = worst_velocity.max((bench.state.velocity[0] - truth.load_velocity).abs());
        error += (bench.state.effort[0] - truth.net_torque).powi(2);
        size += truth.net_torque.powi(2);
        assert!(bench.now().since(bench.state.captured[0]) <= MS);
    }
    assert!(worst_velocity < 0.1, "{worst_velocity}");
    // The accelerometer also sees its noise, its bias and a little gravity.
    assert!(error < 0.01 * size, "{error} {size}");
}

#[test]
fn a_torque_moves_the_load_and_ends_by_itself_when_commands_end() {
    let mut bench = Bench::with("").armed();
    for _ in 0..60 {
        bench.cycle(|_| Some((ControlMode::Effort, 0.5)));
    }
    assert_eq!(bench.mode(), Mode::Torque);
    assert!(bench.state.position[0] > 0.01, "{}", bench.state.position[0]);
    // The session lives, the loop is stuck: nobody says a heartbeat for it.
    bench.idle(150);
    assert_eq!(bench.mode(), Mode::Hold);
    let held = bench.state.position[0];
    bench.idle(300);
    assert!((bench.state.position[0] - held).abs() < 0.3);
    assert!(bench.failure().contains("held"), "{}", bench.failure());
    // It was armed again where it stands, in a new epoch, and follows again.
    let angle = bench.state.position[0];
    bench.go_to(angle - 0.3, 500);
    assert!((bench.state.position[0] - angle + 0.3).abs() < 0.05);
}

#[test]
fn hold_stops_and_torque_off_lasts_until_armed_again() {
    let mut bench = Bench::with("").armed();
    bench.go_to(1.0, 60);
    let now = bench.now();
    bench.rig.stop(now, StopRequest::Hold);
    bench.idle(300);
    assert_eq!(bench.mode(), Mode::Hold);
    assert!(bench.state.position[0] < 0.95);
    bench.go_to(1.0, 300);
    assert_eq!(bench.mode(), Mode::Position);
    let now = bench.now();
    bench.rig.stop(now, StopRequest::TorqueOff);
    bench.go_to(0.0, 100);
    assert_eq!(bench.mode(), Mode::Off);
    bench.rig.disarm(ARMING).unwrap();
    bench.rig.arm(ARMING).unwrap();
    bench.go_to(0.0, 500);
    assert!(bench.state.position[0].abs() < 0.05);
}

#[test]
fn bad_commands_are_not_sent() {
    let mut bench = Bench::with("").armed();
    for (mode, value) in [
        (ControlMode::Position, f64::NAN),
        (ControlMode::Position, 3.1),
        (ControlMode::Effort, f64::INFINITY),
        (ControlMode::Effort, -1.9),
    ] {
        bench.cycle(|_| Some((mode, value)));
        assert!(bench.failure().contains("not sent"), "{}", bench.failure());
    }
    assert_eq!(bench.rig.statistics().rejected, 4);
    bench.idle(10);
    assert_eq!(bench.mode(), Mode::Hold);
}

#[test]
fn a_torque_that_a_text_device_refuses_ends_the_one_before() {
    let config = Config { protocol: Protocol::Text, rate_hz: 200, ..measured() };
    let mut firmware = FirmwareConfig { text: true, rate_hz: 200, ..FirmwareConfig::default() };
    firmware.actuator.stall_torque = 0.5;
    let mut bench = Bench::new(config, firmware).armed();
    for _ in 0..20 {
        bench.cycle(|_| Some((ControlMode::Effort, 0.3)));
    }
    assert_eq!(bench.mode(), Mode::Torque);
    bench.cycle(|_| Some((ControlMode::Effort, 1.0)));
    bench.idle(20);
    assert_eq!(bench.mode(), Mode::Hold);
    assert!(bench.failure().contains("refused"), "{}", bench.failure());
}

#[test]
fn glitches_of_the_encoder_are_refused_and_counted_and_a_slip_begins_a_new_epoch() {
    let mut bench = Bench::with("glitch=1/50").armed();
    bench.go_to(0.5, 1000);
    assert!((bench.state.position[0] - 0.5).abs() < 0.05);
    let rejected = bench.rig.statistics().rejected;
    assert!((15..=40).contains(&rejected), "{rejected}");
    assert!(bench.failure().contains("encoder jump"), "{}", bench.failure());

    let mut bench = Bench::with("jump=0.5@1s").armed();
    let epoch = bench.state.epoch;
    bench.idle(1200);
    assert!((bench.state.position[0] - 0.5).abs() < 0.05);
    assert!(bench.state.epoch > epoch);
    assert_eq!(bench.rig.statistics().rejected, 5);
}

#[test]
fn glitches_of_the_gyroscope_are_refused_and_one_that_is_stuck_ends_the_run() {
    let mut bench = Bench::with("gyro-glitch=1/50").armed();
    let mut fastest: f64 = 0.0;
    for _ in 0..1000 {
        bench.go_to(0.5, 1);
        fastest = fastest.max(bench.state.velocity[0].abs());
    }
    assert!(fastest < 15.0, "{fastest}");
    assert!((bench.state.position[0] - 0.5).abs() < 0.05);
    let rejected = bench.rig.statistics().rejected;
    assert!((15..=40).contains(&rejected), "{rejected}");
    assert!(bench.failure().contains("gyroscope"), "{}", bench.failure());

    for (rate, words) in [
        (20.0, "the encoder does not say so"),
        (-100.0, "outside -70 to 70 rad/s"),
        (f64::INFINITY, "gyro_z is not a finite number"),
    ] {
        let mut bench = Bench::with("").armed();
        let start = bench.now().after(Duration::from_millis(100));
        bench.rig.firmware_mut().faults_mut().gyro_stuck = Some((rate, start));
        for _ in 0..150 {
            bench.cycle(|_| Some((ControlMode::Effort, 0.02)));
        }
        assert_eq!(bench.state.link, LinkStatus::Lost, "{rate}");
        assert!(bench.failure().contains(words), "{rate}: {}", bench.failure());
        assert_eq!(bench.mode(), Mode::Hold, "{rate}");
        assert!(bench.state.velocity[0].abs() < 15.0);
    }
}

#[test]
fn lost_damaged_and_dirty_states_cost_themselves_and_nothing_more() {
    let mut bench = Bench::with("drop=1/20,corrupt=1/33,garbage=1/25").armed();
    bench.go_to(0.5, 2000);
    assert!((bench.state.position[0] - 0.5).abs() < 0.05);
    assert_eq!((bench.state.link, bench.state.epoch), (LinkStatus::Up, 1));
    let statistics = bench.rig.statistics();
    // A lost or a damaged period is a gap of one, and now and then of two.
    let lost = 2000 / 20 + 2000 / 33;
    assert!((lost - 20..lost + 40).contains(&statistics.timeouts), "{statistics:?}");
    assert!(statistics.garbage_bytes > 80, "{statistics:?}");
    assert!(statistics.rejected >= 40, "{statistics:?}");
}

#[test]
fn silence_takes_the_link_down_holds_the_device_and_ends_in_a_new_epoch() {
    let mut bench = Bench::with("silence=500ms@2s").armed();
    let mut downs = 0;
    while bench.now().as_seconds() < 3.5 {
        bench.go_to(0.3, 1);
        downs += u32::from(bench.state.link == LinkStatus::Down);
    }
    assert!(downs > 300, "{downs}");
    assert_eq!((bench.state.link, bench.state.epoch), (LinkStatus::Up, 2));
    bench.go_to(0.6, 500);
    assert!((bench.state.position[0] - 0.6).abs() < 0.05, "{}", bench.failure());
    assert_eq!(bench.rig.statistics().reconnects, 1);
}

#[test]
fn a_link_that_stays_down_is_lost() {
    for faults in ["silence@2s", "disconnect@2s"] {
        let mut bench = Bench::with(faults).armed();
        while bench.now().as_seconds() < 8.0 {
            bench.go_to(0.3, 1);
        }
        assert_eq!(bench.state.link, LinkStatus::Lost, "{faults}");
    }
}

#[test]
fn a_device_that_starts_again_or_gets_hot_is_lost_with_its_reason() {
    for (faults, words) in [("reset@2s", "started again"), ("overheat@2s", "too hot")] {
        let mut bench = Bench::with(faults).armed();
        while bench.now().as_seconds() < 2.5 {
            bench.go_to(0.3, 1);
        }
        assert_eq!(bench.state.link, LinkStatus::Lost, "{faults}");
        assert!(bench.failure().contains(words), "{}", bench.failure());
        assert_eq!(bench.mode(), Mode::Off);
    }
    let mut bench = Bench::with("overheat@0s");
    let refused = bench.rig.arm(ARMING).unwrap_err().to_string();
    assert!(refused.contains("too hot") || refused.contains("has a fault"), "{refused}");
}

#[test]
fn a_device_that_cannot_do_what_is_asked_is_not_armed() {
    let firmware = FirmwareConfig { rate_hz: 500, max_rate_hz: 500, ..FirmwareConfig::default() };
    let mut bench = Bench::new(measured(), firmware);
    let refused = bench.rig.arm(ARMING).unwrap_err().to_string();
    assert!(refused.contains("at most 500"), "{refused}");
    let mut bench = Bench::new(Config { max_effort: 2.5, ..measured() }, FirmwareConfig::default());
    let refused = bench.rig.arm(ARMING).unwrap_err().to_string();
    assert!(refused.contains("1.82 N·m") && refused.contains("2.5 N·m"), "{refused}");
}

#[test]
fn a_sensor_that_the_device_has_not_is_not_believed_in() {
    let config = |supply| Config {
        protocol: Protocol::Text,
        rate_hz: 200,
        temperature: Some(true),
        supply,
        ..measured()
    };
    let firmware = || FirmwareConfig { text: true, rate_hz: 200, ..FirmwareConfig::default() };
    let mut bench = Bench::new(config(None), firmware()).armed();
    bench.idle(20);
    assert!((bench.state.sensors[8] - 23.0).abs() < 1.0, "{}", bench.state.sensors[8]);
    let mut bench = Bench::new(config(Some(true)), firmware());
    let refused = bench.rig.arm(ARMING).unwrap_err().to_string();
    assert!(refused.contains("does not measure supply"), "{refused}");
    assert_eq!(bench.mode(), Mode::Off);
}

#[test]
fn a_clock_that_drifts_is_followed_for_ten_minutes_or_named() {
    // Age of the oldest sample, after the seconds that it takes to measure a drift.
    let oldest = |drift: &str, seconds: f64| {
        let faults = drift.parse().unwrap();
        let config = Config { rate_hz: 100, ..measured() };
        let firmware = FirmwareConfig { faults, rate_hz: 100, ..FirmwareConfig::default() };
        let mut bench = Bench::new(config, firmware).armed();
        let mut oldest = Duration::ZERO;
        while bench.now().as_seconds() < seconds && bench.state.link != LinkStatus::Lost {
            bench.clock.advance_to(bench.now().after(9 * MS));
            bench.cycle(|_| None);
            if bench.now().as_seconds() > 4.0 {
                oldest = oldest.max(bench.now().since(bench.state.captured[0]));
            }
        }
        (oldest, bench)
    };
    // A sample is up to a period old when the next one comes.
    for (drift, seconds) in [
        ("drift=200@0s", 600.0),
        ("drift=-200@0s", 600.0),
        ("drift=5000@0s", 60.0),
        ("drift=-5000@0s", 60.0),
    ] {
        let (oldest, bench) = oldest(drift, seconds);
        assert_eq!(bench.state.link, LinkStatus::Up, "{drift}: {}", bench.failure());
        assert!(oldest < Duration::from_millis(12), "{drift}: {oldest:?}");
        assert_eq!(bench.rig.statistics().rejected, 0, "{drift}");
    }
    for (drift, words) in [("drift=-30000@10s", "slower"), ("drift=30000@10s", "faster")] {
        let (oldest, mut bench) = oldest(drift, 60.0);
        assert_eq!(bench.state.link, LinkStatus::Lost, "{drift}");
        assert!(bench.now().as_seconds() < 14.0 && oldest < Duration::from_millis(100), "{drift}");
        let failure = bench.failure();
        assert!(failure.contains(words) && failure.contains("10000 ppm"), "{failure}");
        assert!(matches!(bench.mode(), Mode::Hold), "{drift}");
    }
}

#[test]
fn a_rig_that_cannot_be_measured_is_not_armed() {
    // Without its spring it stays there.
    let mut firmware = FirmwareConfig { angle: 3.5, ..FirmwareConfig::default() };
    firmware.actuator.spring_stiffness = 0.0;
    let mut bench = Bench::new(measured(), firmware);
    let refused = bench.rig.arm(ARMING).unwrap_err().to_string();
    assert!(refused.contains("the encoder reads 3.5"), "{refused}");
    assert_eq!(bench.mode(), Mode::Off);
    let mut bench = Bench::with("gyro-stuck=100@0s");
    let refused = bench.rig.arm(ARMING).unwrap_err().to_string();
    assert!(refused.contains("the gyroscope reads 100"), "{refused}");
}

#[test]
fn a_slow_line_drops_states_and_says_so() {
    // 67 bytes a millisecond need 670,000 baud.
    let firmware = FirmwareConfig { baud_rate: Some(460_800), ..FirmwareConfig::default() };
    let mut bench = Bench::new(measured(), firmware).armed();
    bench.idle(2000);
    let statistics = bench.rig.statistics();
    assert!(statistics.timeouts > 500, "{statistics:?}");
    assert_eq!((statistics.rejected, bench.state.link), (0, LinkStatus::Up));
}

#[test]
fn text_is_understood_configured_and_stopped() {
    let mut bench = Bench::text().armed();
    bench.go_to(0.5, 2000);
    assert!((bench.state.position[0] - 0.5).abs() < 0.05, "{}", bench.state.position[0]);
    assert!((bench.state.sensors[1] - 0.5).abs() < 1e-4);
    let before = bench.state.sequence;
    bench.idle(1000);
    // The device was told 200 Hz.
    assert!((190..=201).contains(&(bench.state.sequence - before)));
    let now = bench.now();
    bench.rig.stop(now, StopRequest::TorqueOff);
    bench.rig.disarm(ARMING).unwrap();
    assert_eq!(bench.mode(), Mode::Off);
}

#[test]
fn how_the_device_speaks_is_found_out() {
    for text in [false, true] {
        let config = Config { protocol: Protocol::Auto, rate_hz: 200, ..measured() };
        let firmware = FirmwareConfig { text, rate_hz: 200, ..FirmwareConfig::default() };
        let mut bench = Bench::new(config, firmware).armed();
        bench.go_to(0.5, 1000);
        assert!((bench.state.position[0] - 0.5).abs() < 0.05, "text {text}");
    }
}

#[test]
fn damaged_text_is_survived() {
    let mut bench = Bench::text();
    bench.rig.firmware_mut().faults_mut().corrupt =
        "corrupt=1/20".parse::<Faults>().unwrap().corrupt;
    let mut bench = bench.armed();
    bench.go_to(0.5, 5000);
    // A line has no check: what looks like a line is believed, unless it jumps.
    assert_eq!(bench.state.link, LinkStatus::Up, "{}", bench.failure());
    assert!((bench.state.position[0] - 0.5).abs() < 0.5);
    assert!(bench.rig.statistics().rejected > 10);
}

#[test]
fn two_runs_are_identical_to_the_bit() {
    let run = || {
        let mut bench = Bench::with("drop=0.01,corrupt=0.01,garbage=0.01,glitch=0.01").armed();
        let mut states = Vec::new();
        for index in 0..500 {
            bench.go_to(f64::from(index) * 1e-3, 1);
            states.push(bench.state);
        }
        (states, bench.rig.statistics())
    };
    assert_eq!(run(), run());
}

#[test]
fn stepping_does_not_allocate_once_armed() {
    let mut bench = Bench::with("drop=0.01,corrupt=0.01,garbage=0.01").armed();
    bench.idle(100);
    let allocated = allocation_counter::measure(|| {
        bench.go_to(0.2, 500);
    });
    assert_eq!(allocated.count_total, 0);
}
