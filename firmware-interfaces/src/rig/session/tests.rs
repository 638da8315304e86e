//! The session alone: what a device says at moments that the emulated one would not choose.

use super::*;
use crate::rig::wire::{Identity, Reason, Report, Sample, VERSION};
use crate::robot::MAX_JOINTS;

const MS: u64 = 1_000_000;

/// A device that answers by hand.
struct Bench {
    session: Session,
    now: Timestamp,
    index: u32,
    mode: Mode,
    temperature: f64,
}

impl Bench {
    fn connected(config: Config, max_torque: f64) -> Self {
        let now = Timestamp::from_nanos(1000 * MS);
        let mut session = Session::new(config);
        session.connected(now);
        let mut bench = Self { session, now, index: 0, mode: Mode::Off, temperature: 25.0 };
        bench.sent();
        let identity = Identity {
            version: VERSION,
            rate_hz: 1000,
            max_rate_hz: 2000,
            watchdog_ms: 100,
            max_torque,
            name: Identity::named("by-hand"),
        };
        bench.say(&Report::Identity(identity));
        bench
    }

    fn armed() -> Self {
        let mut bench = Self::connected(Config::default(), 1.82);
        bench.state(0.0, 0.0);
        bench.session.arm(bench.now);
        assert!(!bench.sent().contains(&Request::Arm), "where it stood is old news");
        bench.state(0.0, 0.0);
        assert!(bench.sent().contains(&Request::Arm));
        bench.mode = Mode::Hold;
        bench.state(0.0, 0.0);
        bench.state(0.0, 0.0);
        assert!(bench.session.is_armed());
        bench
    }

    fn say(&mut self, report: &Report) {
        self.session.receive(self.now, report.frame(0).as_bytes());
    }

    /// A period later, with these readings.
    fn state(&mut self, encoder: f64, rate: f64) {
        self.now = self.now.after(std::time::Duration::from_millis(1));
        self.index += 1;
        let sample = Sample {
            index: self.index,
            time_us: u64::from(self.index) * 1000,
            encoder,
            gyro: [0.0, 0.0, rate],
            temperature: self.temperature,
            supply: 6.0,
            mode: self.mode,
            ..Sample::default()
        };
        self.say(&Report::State(sample));
    }

    /// Everything that goes out now.
    fn sent(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        while let Step::Transmit(packet) = self.session.poll(self.now) {
            let mut reader = FrameReader::new();
            let mut bytes = packet.as_bytes();
            while let Some(frame) = reader.next(&mut bytes) {
                requests.push(Request::parse(&frame).unwrap());
            }
        }
        requests
    }

    fn push(&mut self, torque: f64) {
        let mut effort = [0.0; MAX_JOINTS];
        effort[0] = torque;
        let epoch = self.session.state().epoch;
        let position = [0.0; MAX_JOINTS];
        let mode = ControlMode::Effort;
        let command = Command { mode, position, effort, issued: self.now, epoch };
        self.session.command(self.now, &command);
    }

    fn failure(&self) -> String {
        self.session.failure().map(|failure| failure.to_string()).unwrap_or_default()
    }
}

#[test]
fn a_device_that_takes_less_torque_than_is_configured_is_refused_with_both() {
    let bench = Bench::connected(Config::default(), 0.75);
    assert_eq!(bench.session.state().link, LinkStatus::Lost);
    let failure = bench.failure();
    assert!(failure.contains("at most 0.75 N·m") && failure.contains("1.82 N·m"), "{failure}");
    // More is no matter, and single precision is not less.
    for most in [1.82, f64::from(1.82_f32), 5.0] {
        let bench = Bench::connected(Config::default(), most);
        assert_eq!(bench.session.state().link, LinkStatus::Down, "{most}: {}", bench.failure());
    }
}

#[test]
fn a_torque_that_the_device_refuses_ends_the_one_before() {
    let mut bench = Bench::armed();
    bench.push(0.5);
    assert_eq!(bench.sent(), [Request::Torque(0.5)]);
    bench.mode = Mode::Torque;
    bench.state(0.0, 0.0);
    bench.push(1.75);
    bench.sent();
    let (kind, reason) = (Request::Torque(0.0).kind(), Reason::Value);
    bench.say(&Report::Refusal { kind, sequence: 0, reason });
    let epoch = bench.session.state().epoch;
    bench.push(1.0);
    assert_eq!(bench.sent(), [Request::Hold], "made for a motion that is over");
    assert!(bench.failure().contains("\"torque\": a value out of its range"));
    assert_eq!(bench.session.statistics().rejected, 1);
    bench.mode = Mode::Hold;
    bench.state(0.0, 0.0);
    bench.state(0.0, 0.0);
    assert_eq!(bench.session.state().epoch, epoch + 1);
    bench.push(0.25);
    assert_eq!(bench.sent(), [Request::Torque(0.25)]);
}

#[test]
fn a_torque_that_cannot_be_sent_ends_the_one_before() {
    let mut bench = Bench::armed();
    bench.push(0.5);
    bench.sent();
    bench.push(f64::NAN);
    assert_eq!(bench.sent(), [Request::Hold]);
    assert!(bench.failure().contains("not sent"), "{}", bench.failure());
}

#[test]
fn frames_without_a_temperature_are_not_taken_for_a_cold_motor() {
    let mut bench = Bench::connected(Config::default(), 1.82);
    bench.temperature = 0.0;
    bench.state(0.0, 0.0);
    bench.session.arm(bench.now);
    for _ in 0..50 {
        bench.state(0.0, 0.0);
        assert!(!bench.sent().contains(&Request::Arm), "no torque where it is not to be armed");
    }
    assert!(!bench.session.is_armed());
    assert!(bench.failure().contains("does not measure temperature"), "{}", bench.failure());
    let config = Config { temperature: Some(false), ..Config::default() };
    assert!(config.description().sensors.iter().all(|sensor| sensor.name != "temperature"));

    let mut bench = Bench::armed();
    bench.temperature = 0.0;
    bench.state(0.0, 0.0);
    assert!(bench.session.is_armed());
    bench.state(0.0, 0.0);
    assert_eq!(bench.session.state().link, LinkStatus::Lost);
}

#[test]
fn an_arming_that_is_given_up_takes_torque_off() {
    let mut bench = Bench::connected(Config::default(), 1.82);
    bench.session.arm(bench.now);
    bench.state(0.0, 0.0);
    bench.state(0.0, 0.0);
    assert!(bench.sent().contains(&Request::Arm));
    bench.session.cancel_arming();
    assert_eq!(bench.sent(), [Request::Off]);
}

#[test]
fn a_motor_without_torque_is_not_told_to_hold() {
    let mut bench = Bench::connected(Config::default(), 1.82);
    bench.state(0.0, 0.0);
    bench.sent();
    bench.session.stop(bench.now, StopRequest::Hold);
    assert_eq!(bench.sent(), []);
    let mut bench = Bench::armed();
    bench.session.stop(bench.now, StopRequest::TorqueOff);
    assert_eq!(bench.sent(), [Request::Off]);
    bench.session.stop(bench.now, StopRequest::Hold);
    assert!(!bench.sent().contains(&Request::Hold), "torque off stays off");
}
