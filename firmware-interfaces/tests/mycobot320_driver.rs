//! The driver against the emulator on a pseudo-terminal and over TCP, in real time.
//!
//! Times are generous: the machine may be busy. Order and counts are what is checked.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sinew_firmware_interfaces::mycobot320::emulator::{
    Emulator, EmulatorConfig, EmulatorError, FirmwareConfig, Transport,
};
use sinew_firmware_interfaces::mycobot320::{Config, MyCobot320};
use sinew_firmware_interfaces::{
    Clock, Command, ControlMode, LinkStatus, MAX_JOINTS, MonotonicClock, Robot, RobotError, State,
    StopRequest, Timestamp,
};

const PATIENCE: Duration = Duration::from_secs(20);
const GRIPPER: usize = 6;
const GOAL: [f64; 6] = [0.3, -0.1, 0.4, -0.2, 0.1, 0.5];

struct Run {
    robot: MyCobot320,
    clock: MonotonicClock,
    state: State,
}

impl Run {
    fn open(port: String) -> Self {
        let clock = MonotonicClock::new();
        let robot = MyCobot320::open(Config::new(port), clock.clone()).unwrap();
        Self { robot, clock, state: State::default() }
    }

    fn armed(emulator: &Emulator) -> Self {
        let mut run = Self::open(emulator.port());
        run.robot.arm(PATIENCE).unwrap();
        run.read();
        run
    }

    fn read(&mut self) {
        self.robot.read(self.clock.now(), &mut self.state);
    }

    fn write(&mut self, arm: [f64; 6], opening: f64) {
        let mut position = [0.0; MAX_JOINTS];
        position[..6].copy_from_slice(&arm);
        position[GRIPPER] = opening;
        let issued = self.clock.now();
        let epoch = self.state.epoch;
        let command = Command {
            mode: ControlMode::Position,
            position,
            effort: [0.0; MAX_JOINTS],
            issued,
            epoch,
        };
        self.robot.write(issued, &command);
    }

    fn until(&mut self, what: &str, done: impl Fn(&State) -> bool) {
        let start = Instant::now();
        self.read();
        while !done(&self.state) {
            let failure = self.robot.last_failure();
            assert!(start.elapsed() < PATIENCE, "{what}: {:?} {failure:?}", self.state);
            std::thread::sleep(Duration::from_millis(5));
            self.read();
        }
    }

    /// Commands the goal and waits until it is reached.
    fn reach(&mut self, goal: [f64; 6], opening: f64) {
        self.write(goal, opening);
        self.until("goal", |state| {
            let arm = state.position.iter().zip(&goal).all(|(a, b)| (a - b).abs() < 1e-3);
            arm && (state.position[GRIPPER] - opening).abs() < 0.011
        });
    }

    /// Lets the bus work until it has read so often.
    fn reads(&mut self, count: u64) {
        let from = self.robot.statistics().reads;
        let start = Instant::now();
        while self.robot.statistics().reads < from + count {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.robot.statistics());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.read();
    }
}

fn pty(faults: &str) -> Emulator {
    let firmware = FirmwareConfig { faults: faults.parse().unwrap(), ..FirmwareConfig::default() };
    // A link of its own: the number of a pseudo-terminal that is gone may be another test's next.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let link = std::env::temp_dir().join(format!("sinew-test-{}-{count}", std::process::id()));
    let transport = Transport::Pty { link: Some(link) };
    Emulator::spawn(EmulatorConfig { firmware, transport }).unwrap()
}

fn tcp() -> Emulator {
    let address = "127.0.0.1:0".parse().unwrap();
    let transport = Transport::Tcp { address, allow_remote: false };
    Emulator::spawn(EmulatorConfig { transport, ..EmulatorConfig::default() }).unwrap()
}

fn refused(port: &str) -> String {
    match MyCobot320::open(Config::new(port), MonotonicClock::new()) {
        Ok(_) => panic!("{port} was opened"),
        Err(error @ RobotError::Open { .. }) => error.to_string(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn on_a_pty_the_arm_is_armed_moved_and_left_holding() {
    let emulator = pty("");
    let start = emulator.plant_positions();
    let mut run = Run::armed(&emulator);
    assert_eq!(emulator.plant_positions(), start, "arming moved the arm");
    assert_eq!((run.state.link, run.state.epoch), (LinkStatus::Up, 1));
    for (joint, expected) in start.iter().enumerate() {
        assert!((run.state.position[joint] - expected).abs() < 1e-3, "joint {joint}");
    }
    run.reach(GOAL, 0.25);
    let truth = emulator.plant_positions();
    assert!(truth.iter().zip(GOAL).all(|(a, b)| (a - b).abs() < 1e-3), "{truth:?}");
    let statistics = run.robot.statistics();
    assert_eq!(statistics.commands, 2, "{statistics:?}");
    assert!(statistics.reads > 10 && statistics.rejected == 0, "{statistics:?}");
    run.robot.disarm(PATIENCE).unwrap();
    assert!(emulator.has_torque());
    assert!(run.robot.arm(PATIENCE).is_err(), "a disarmed driver has ended");
}

#[test]
fn over_tcp_the_arm_is_armed_and_moved() {
    let emulator = tcp();
    assert!(emulator.port().starts_with("tcp://127.0.0.1:"));
    let mut run = Run::armed(&emulator);
    run.reach(GOAL, 0.25);
    run.robot.disarm(PATIENCE).unwrap();
    // The next client is served after the first has left.
    let mut run = Run::armed(&emulator);
    run.reach([0.0; 6], 1.0);
}

#[test]
fn a_second_driver_on_the_same_port_is_refused() {
    let emulator = pty("");
    let run = Run::armed(&emulator);
    let error = refused(&emulator.port());
    assert!(error.contains(&emulator.port()) && error.contains("another run"), "{error}");
    drop(run);
    let mut run = Run::armed(&emulator);
    run.reach(GOAL, 1.0);
}

#[test]
fn a_port_that_cannot_be_opened_is_named_with_a_remedy() {
    let error = refused("/dev/ttyNOSUCHPORT");
    assert!(error.contains("ttyNOSUCHPORT") && error.contains("erial port"), "{error}");
    let error = refused("/dev/null");
    assert!(error.contains("/dev/null") && error.contains("serial port"), "{error}");
    let error = refused("tcp://127.0.0.1:1");
    assert!(error.contains("127.0.0.1:1") && error.contains("running"), "{error}");
    let error = refused("tcp://nonsense");
    assert!(error.contains("tcp://ADDRESS:PORT"), "{error}");
    let config = Config { speed: 0, ..Config::new("/dev/null") };
    let error = MyCobot320::open(config, MonotonicClock::new()).err().unwrap().to_string();
    assert!(error.contains("speed is 0"), "{error}");
}

#[test]
fn hold_stops_the_arm_and_torque_off_releases_it() {
    let emulator = pty("");
    let mut run = Run::armed(&emulator);
    let far = [1.5, -0.3, 0.6, -0.3, 0.2, 0.0];
    run.write(far, 1.0);
    run.until("motion", |state| state.position[0] > 0.1);
    run.robot.stop(run.clock.now(), StopRequest::Hold);
    run.reads(40);
    let held = run.state.position;
    assert!(held[0] < 1.2, "{held:?}");
    run.reads(20);
    assert_eq!(run.state.position[0], held[0]);
    run.reach(far, 1.0);
    run.robot.stop(run.clock.now(), StopRequest::TorqueOff);
    run.robot.disarm(PATIENCE).unwrap();
    assert!(!emulator.has_torque());
}

#[test]
fn a_stop_handle_stops_while_the_control_thread_goes_on_commanding_and_latches() {
    let emulator = pty("");
    let mut run = Run::armed(&emulator);
    let handle = run.robot.stop_handle().unwrap();
    let far = [1.5, -0.3, 0.6, -0.3, 0.2, 0.0];
    run.write(far, 1.0);
    run.until("motion", |state| state.position[0] > 0.1);

    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        handle.stop(StopRequest::Hold);
        handle
    });
    // Every command differs from the one before, or it would not be sent anyway.
    let command = |run: &mut Run, count: u32| {
        for step in 0..count {
            run.write([1.4 + f64::from(step % 100) * 1e-3, -0.3, 0.6, -0.3, 0.2, 0.0], 1.0);
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    command(&mut run, 20);
    let handle = stopper.join().unwrap();
    // What was on the wire when it came is over, and the arm stands, a few reads later.
    run.reads(60);
    let (sent, held) = (run.robot.statistics().commands, run.state.position);
    command(&mut run, 100);
    run.robot.stop(run.clock.now(), StopRequest::Hold);
    command(&mut run, 20);
    run.reads(20);
    assert_eq!(run.robot.statistics().commands, sent, "a command was sent behind the stop");
    assert_eq!(run.state.position[0], held[0]);

    run.robot.arm(PATIENCE).unwrap();
    run.read();
    run.reach(GOAL, 1.0);

    handle.stop(StopRequest::TorqueOff);
    command(&mut run, 100);
    run.robot.disarm(PATIENCE).unwrap();
    assert!(!emulator.has_torque());
    // The driver has ended; nobody minds.
    handle.stop(StopRequest::Hold);
}

#[test]
fn a_controller_that_starts_again_has_no_power_and_is_lost() {
    let emulator = pty("");
    let mut run = Run::armed(&emulator);
    run.reach(GOAL, 0.5);
    emulator.faults().reset();
    run.until("down", |state| state.link == LinkStatus::Down);
    run.until("lost", |state| state.link == LinkStatus::Lost);
    let failure = run.robot.last_failure().unwrap();
    assert!(failure.contains("no power"), "{failure}");
    assert!(!emulator.has_torque());
}

#[test]
fn lost_garbled_and_dirty_replies_do_not_stop_the_run() {
    let emulator = pty("drop=0.05,corrupt=0.05,garbage=0.2");
    let mut run = Run::armed(&emulator);
    run.reach(GOAL, 0.5);
    run.reads(200);
    let statistics = run.robot.statistics();
    assert!(statistics.timeouts > 0 && statistics.retries > 0, "{statistics:?}");
    assert!(statistics.garbage_bytes > 0, "{statistics:?}");
    assert_eq!(run.state.link, LinkStatus::Up);
}

#[test]
fn silence_takes_the_link_down_and_a_new_epoch_follows() {
    let emulator = pty("");
    let mut run = Run::armed(&emulator);
    run.reach(GOAL, 0.5);
    emulator.faults().silence(Some(Duration::from_secs(2)));
    run.until("down", |state| state.link == LinkStatus::Down);
    run.write([0.0; 6], 1.0); // made for the old connection
    run.until("up again", |state| state.link == LinkStatus::Up);
    assert_eq!(run.state.epoch, 2);
    let commands = run.robot.statistics().commands;
    run.reads(20);
    assert_eq!(run.robot.statistics().commands, commands, "an old command was sent");
    run.reach([0.0; 6], 1.0);
    assert_eq!(run.robot.statistics().reconnects, 1);
}

#[test]
fn a_port_that_goes_and_comes_back_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("arm");
    let transport = Transport::Pty { link: Some(link.clone()) };
    let serial =
        Emulator::spawn(EmulatorConfig { transport, ..EmulatorConfig::default() }).unwrap();
    assert_eq!(serial.port(), link.display().to_string());
    for emulator in [serial, tcp()] {
        let mut run = Run::armed(&emulator);
        run.reach(GOAL, 0.5);
        emulator.faults().disconnect(Some(Duration::from_secs(1)));
        run.until("down", |state| state.link == LinkStatus::Down);
        run.until("up again", |state| state.link == LinkStatus::Up);
        assert_eq!(run.state.epoch, 2, "{}", emulator.port());
        run.reach([0.0; 6], 1.0);
        run.robot.disarm(PATIENCE).unwrap();
    }
    assert!(!link.is_symlink(), "the link outlives the emulator");
}

#[test]
fn a_port_that_vanishes_for_good_is_lost() {
    let emulator = pty("");
    let clock = MonotonicClock::new();
    let config =
        Config { reconnect_window: Duration::from_millis(800), ..Config::new(emulator.port()) };
    let robot = MyCobot320::open(config, clock.clone()).unwrap();
    let mut run = Run { robot, clock, state: State::default() };
    run.robot.arm(PATIENCE).unwrap();
    emulator.stop();
    run.until("lost", |state| state.link == LinkStatus::Lost);
    assert!(run.robot.last_failure().unwrap().contains("port"), "{:?}", run.robot.last_failure());
    run.robot.stop(Timestamp::ZERO, StopRequest::TorqueOff);
    assert!(matches!(run.robot.disarm(PATIENCE), Err(RobotError::Lost { .. })));
}

#[test]
fn an_arm_that_does_not_answer_is_not_armed() {
    let emulator = pty("silence");
    let mut run = Run::open(emulator.port());
    let error = run.robot.arm(Duration::from_secs(2)).unwrap_err();
    assert!(matches!(&error, RobotError::NoAnswer { .. }), "{error}");
    assert!(error.to_string().contains("Transponder"), "{error}");
    emulator.faults().clear();
    run.robot.arm(PATIENCE).unwrap();
}

#[test]
fn a_gripper_that_reads_255_is_reported_as_commanded() {
    let emulator = pty("gripper255");
    let mut run = Run::armed(&emulator);
    assert!(run.state.is_substituted(GRIPPER));
    run.reach(GOAL, 0.4);
    assert!(run.state.is_substituted(GRIPPER));
    assert!(run.robot.statistics().substituted > 0);
    emulator.faults().clear();
    run.until("real reading", |state| !state.is_substituted(GRIPPER));
}

#[test]
fn the_control_threads_calls_do_not_allocate() {
    let emulator = pty("drop=0.02");
    let mut run = Run::armed(&emulator);
    let started = Instant::now();
    let info = allocation_counter::measure(|| {
        for cycle in 0..10_000 {
            let wave = (f64::from(cycle) * 1e-3).sin() * 0.2;
            run.read();
            run.write([wave; 6], 0.5 + wave);
            if cycle == 9_999 {
                run.robot.stop(run.clock.now(), StopRequest::Hold);
            }
        }
    });
    assert_eq!(info.count_total, 0);
    // 10,000 pairs of calls without waiting for the bus, which needs 20 ms for a single read.
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn the_emulator_refuses_what_it_should_not_take() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "precious").unwrap();
    let transport = Transport::Pty { link: Some(taken.clone()) };
    let error = Emulator::spawn(EmulatorConfig { transport, ..EmulatorConfig::default() });
    assert!(matches!(error.err(), Some(EmulatorError::LinkTaken { .. })));
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "precious");

    // A link belongs to the emulator that lives behind it, and to nobody when that is gone.
    let link = folder.path().join("arm");
    let linked = || {
        let transport = Transport::Pty { link: Some(link.clone()) };
        Emulator::spawn(EmulatorConfig { transport, ..EmulatorConfig::default() })
    };
    let first = linked().unwrap();
    let terminal = std::fs::read_link(&link).unwrap();
    let error = linked().err().unwrap();
    assert!(matches!(error, EmulatorError::LinkInUse { .. }), "{error}");
    assert_eq!(std::fs::read_link(&link).unwrap(), terminal);
    first.stop();
    std::os::unix::fs::symlink("/dev/pts/none", &link).unwrap();
    linked().unwrap().stop();

    let spawn = |address: &str, allow_remote| {
        let transport = Transport::Tcp { address: address.parse().unwrap(), allow_remote };
        Emulator::spawn(EmulatorConfig { transport, ..EmulatorConfig::default() })
    };
    let error = spawn("0.0.0.0:0", false).err();
    assert!(matches!(error, Some(EmulatorError::RemoteAddress { .. })));
    assert!(spawn("0.0.0.0:0", true).is_ok());
    let first = tcp();
    let address = first.port().replace("tcp://", "");
    assert!(matches!(spawn(&address, false).err(), Some(EmulatorError::Listen { .. })));
}

#[test]
fn an_arm_is_armed_again_right_after_torque_off() {
    let emulator = pty("");
    let clock = MonotonicClock::new();
    let mut robot = MyCobot320::open(Config::new(emulator.port()), clock).unwrap();
    robot.arm(PATIENCE).unwrap();
    robot.stop(Timestamp::ZERO, StopRequest::TorqueOff);
    robot.arm(PATIENCE).unwrap();
}

#[test]
fn every_address_of_a_name_is_tried() {
    let emulator = tcp();
    let port = emulator.port().replace("127.0.0.1", "localhost");
    let mut robot = MyCobot320::open(Config::new(port), MonotonicClock::new()).unwrap();
    robot.arm(PATIENCE).unwrap();
}

#[test]
fn a_client_that_never_stops_sending_does_not_hold_up_the_end_of_the_emulator() {
    use std::io::Write;
    let emulator = tcp();
    let address = emulator.port().replace("tcp://", "");
    let mut client = std::net::TcpStream::connect(address).unwrap();
    let flood = std::thread::spawn(move || while client.write_all(&[0x55; 4096]).is_ok() {});
    std::thread::sleep(Duration::from_millis(100));
    emulator.stop();
    flood.join().unwrap();
}
