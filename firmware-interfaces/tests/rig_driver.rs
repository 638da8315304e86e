//! The rig's driver against the emulator on a pseudo-terminal and over TCP, in real time.
//!
//! Times are generous: the machine may be busy. Order and counts are what is checked.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sinew_firmware_interfaces::rig::emulator::{Emulator, Firmware, FirmwareConfig, Transport};
use sinew_firmware_interfaces::rig::wire::Mode;
use sinew_firmware_interfaces::rig::{Config, Protocol, Rig};
use sinew_firmware_interfaces::{
    Clock, Command, ControlMode, LinkStatus, MAX_JOINTS, MonotonicClock, Robot, RobotError, State,
    StopRequest,
};

/// A pseudo-terminal that was closed gives its name to the next one that is made: tests that close one
/// would open another test's.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const PATIENCE: Duration = Duration::from_secs(20);

struct Run {
    robot: Rig,
    clock: MonotonicClock,
    state: State,
}

/// The emulated device bears silence for longer here: the test's thread may be kept waiting.
fn config(port: String) -> Config {
    Config { port, watchdog: Duration::from_secs(5), ..Config::default() }
}

impl Run {
    fn open(config: Config) -> Self {
        let clock = MonotonicClock::new();
        let robot = Rig::open(config, clock.clone()).unwrap();
        Self { robot, clock, state: State::default() }
    }

    fn armed(config: Config) -> Self {
        let mut run = Self::open(config);
        run.robot.arm(PATIENCE).unwrap();
        run.read();
        run
    }

    fn read(&mut self) {
        self.robot.read(self.clock.now(), &mut self.state);
    }

    fn write(&mut self, mode: ControlMode, value: f64) {
        let (mut position, mut effort) = ([0.0; MAX_JOINTS], [0.0; MAX_JOINTS]);
        match mode {
            ControlMode::Position => position[0] = value,
            ControlMode::Effort => effort[0] = value,
        }
        let issued = self.clock.now();
        let epoch = self.state.epoch;
        self.robot.write(issued, &Command { mode, position, effort, issued, epoch });
    }

    /// Commands at each beat until `done`.
    fn command_until(
        &mut self,
        what: &str,
        mode: ControlMode,
        value: f64,
        done: impl Fn(&State) -> bool,
    ) {
        let start = Instant::now();
        while !done(&self.state) {
            let failure = self.robot.last_failure();
            assert!(start.elapsed() < PATIENCE, "{what}: {:?} {failure:?}", self.state);
            self.robot.wait(Duration::from_millis(20));
            self.read();
            self.write(mode, value);
        }
    }

    fn reach(&mut self, angle: f64) {
        self.command_until("goal", ControlMode::Position, angle, |state| {
            (state.position[0] - angle).abs() < 0.03
        });
    }
}

fn spawn(firmware: FirmwareConfig) -> Emulator {
    // A link of its own: the number of a pseudo-terminal that is gone may be another test's next.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let link = std::env::temp_dir().join(format!("sinew-rig-test-{}-{count}", std::process::id()));
    let transport = Transport::Pty { link: Some(link) };
    Emulator::spawn(Firmware::new(firmware).unwrap(), transport).unwrap()
}

fn pty(faults: &str) -> Emulator {
    spawn(FirmwareConfig { faults: faults.parse().unwrap(), ..FirmwareConfig::default() })
}

#[test]
fn on_a_pty_the_rig_is_armed_moved_and_left_without_torque() {
    let _alone = alone();
    let emulator = pty("");
    let mut run = Run::armed(config(emulator.port()));
    assert_eq!(run.state.link, LinkStatus::Up);
    run.reach(0.7);
    assert!((emulator.truth().load_angle - 0.7).abs() < 0.1);
    run.robot.stop(run.clock.now(), StopRequest::TorqueOff);
    run.robot.disarm(PATIENCE).unwrap();
    assert_eq!(emulator.mode(), Mode::Off);
}

#[test]
fn over_tcp_and_in_text_it_is_the_same() {
    let _alone = alone();
    let address = "127.0.0.1:0".parse().unwrap();
    let transport = Transport::Tcp { address, allow_remote: false };
    let text = FirmwareConfig { text: true, rate_hz: 200, ..FirmwareConfig::default() };
    let emulator = Emulator::spawn(Firmware::new(text).unwrap(), transport).unwrap();
    for protocol in [Protocol::Text, Protocol::Auto] {
        let text = Config { protocol, rate_hz: 200, ..config(emulator.port()) };
        let mut run = Run::armed(text);
        run.reach(0.5);
        run.reach(-0.5);
        run.robot.stop(run.clock.now(), StopRequest::TorqueOff);
        run.robot.disarm(PATIENCE).unwrap();
        assert_eq!(emulator.mode(), Mode::Off);
    }
}

#[test]
fn the_device_sets_the_pace_and_gaps_show_in_its_count() {
    let _alone = alone();
    let emulator = pty("");
    let mut run = Run::armed(config(emulator.port()));
    let mut last = None;
    for _ in 0..500 {
        let beat = run.robot.wait(PATIENCE).unwrap();
        assert!(last.is_none_or(|last| beat.index > last));
        last = Some(beat.index);
        run.read();
        assert!(run.state.captured[0] <= beat.arrived);
    }
    emulator.faults().silence(None);
    let start = Instant::now();
    while run.robot.wait(Duration::from_millis(50)).is_some() {
        assert!(start.elapsed() < PATIENCE);
    }
}

#[test]
fn a_torque_turns_the_load() {
    let _alone = alone();
    let emulator = pty("");
    let mut run = Run::armed(config(emulator.port()));
    let start = Instant::now();
    run.command_until("torque", ControlMode::Effort, 0.6, |state| state.position[0] > 0.2);
    assert!(start.elapsed() < PATIENCE);
    assert!(emulator.truth().load_velocity > 0.0);
    run.robot.stop(run.clock.now(), StopRequest::Hold);
    run.robot.disarm(PATIENCE).unwrap();
    assert_eq!(emulator.mode(), Mode::Hold);
}

#[test]
fn a_loop_that_hangs_leaves_the_device_to_hold_by_itself() {
    let _alone = alone();
    let emulator = pty("");
    let quick = Config { watchdog: Duration::from_millis(50), ..config(emulator.port()) };
    let mut run = Run::armed(quick);
    let start = Instant::now();
    while emulator.mode() != Mode::Torque {
        assert!(start.elapsed() < PATIENCE);
        run.read();
        run.write(ControlMode::Effort, 0.3);
        std::thread::sleep(Duration::from_millis(1));
    }
    while emulator.mode() != Mode::Hold {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_stop_handle_stops_while_the_control_thread_goes_on_commanding_and_latches() {
    let _alone = alone();
    let emulator = pty("");
    let mut run = Run::armed(config(emulator.port()));
    run.reach(0.3);
    let handle = run.robot.stop_handle().unwrap();
    std::thread::spawn(move || handle.stop(StopRequest::TorqueOff)).join().unwrap();
    let start = Instant::now();
    while emulator.mode() != Mode::Off {
        assert!(start.elapsed() < PATIENCE);
        run.read();
        run.write(ControlMode::Position, 1.0);
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..50 {
        run.write(ControlMode::Position, 1.0);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(emulator.mode(), Mode::Off);
    run.robot.arm(PATIENCE).unwrap();
    run.read();
    run.reach(0.0);
}

#[test]
fn lost_damaged_and_dirty_states_do_not_stop_the_run() {
    let _alone = alone();
    let emulator = pty("drop=0.05,corrupt=0.05,garbage=0.05,glitch=0.01");
    let mut run = Run::armed(config(emulator.port()));
    run.reach(0.6);
    run.reach(-0.6);
    let statistics = run.robot.statistics();
    assert!(statistics.rejected > 0 && statistics.garbage_bytes > 0, "{statistics:?}");
    assert!(statistics.timeouts > 0, "{statistics:?}");
    assert_eq!(run.state.epoch, 1);
}

#[test]
fn a_port_that_goes_and_comes_back_is_opened_again() {
    let _alone = alone();
    let emulator = pty("");
    let mut run = Run::armed(Config { reconnect_window: PATIENCE, ..config(emulator.port()) });
    run.reach(0.4);
    emulator.faults().disconnect(Some(Duration::from_millis(500)));
    let start = Instant::now();
    while run.state.epoch < 2 || run.state.link != LinkStatus::Up {
        assert!(start.elapsed() < PATIENCE, "{:?}", run.robot.last_failure());
        run.read();
        std::thread::sleep(Duration::from_millis(2));
    }
    run.reach(-0.4);
    assert_eq!(run.robot.statistics().reconnects, 1);
}

#[test]
fn a_port_that_vanishes_for_good_is_lost() {
    let _alone = alone();
    let emulator = pty("");
    let window = Duration::from_millis(300);
    let mut run = Run::armed(Config { reconnect_window: window, ..config(emulator.port()) });
    emulator.faults().disconnect(None);
    let start = Instant::now();
    while run.state.link != LinkStatus::Lost {
        assert!(start.elapsed() < PATIENCE);
        run.read();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(matches!(run.robot.arm(PATIENCE), Err(RobotError::Lost { .. })));
}

#[test]
fn a_device_that_does_not_answer_is_not_armed_and_the_remedy_is_named() {
    let _alone = alone();
    let emulator = pty("silence");
    let mut run = Run::open(config(emulator.port()));
    let refused = run.robot.arm(Duration::from_millis(300)).unwrap_err();
    assert!(matches!(refused, RobotError::NoAnswer { .. }), "{refused}");
    assert!(refused.to_string().contains("robot.rig.baud_rate"), "{refused}");
    let missing = Rig::open(config("/dev/no-rig".to_owned()), MonotonicClock::new());
    assert!(matches!(missing.err(), Some(RobotError::Open { .. })));
}

#[test]
fn the_control_threads_calls_do_not_allocate() {
    let _alone = alone();
    let emulator = pty("drop=0.02,corrupt=0.02,glitch=0.02");
    let mut run = Run::armed(config(emulator.port()));
    run.reach(0.2);
    let allocated = allocation_counter::measure(|| {
        for _ in 0..300 {
            run.robot.wait(Duration::from_millis(20));
            run.read();
            run.write(ControlMode::Position, 0.1);
        }
        run.robot.stop(run.clock.now(), StopRequest::Hold);
    });
    assert_eq!(allocated.count_total, 0);
}
