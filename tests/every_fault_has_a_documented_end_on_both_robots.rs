//! The fault matrix: everything that can be made to go wrong, on the emulated myCobot 320 and on
//! the mock arm at 1 kHz. Each cell has its exit code, its arm state and its words in the journal;
//! in every cell all commands are inside the limits, no missed period goes unreported, and the
//! flight recorder agrees with the journal.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use serde_json::Value;
use sinew::supervision::ArmState::{Disarmed, Faulted};
use sinew::supervision::{HoldCause, StopCause};
use sinew_episodes::journal::CycleRecord;
use tempfile::TempDir;

use support::cell::{Cell, real, simulated};
use support::process::Running;
use support::{Journal, PATIENT, root, run, sinew, start, wait};

const MYCOBOT: &str = "configs/demo.toml";
const MOCK: &str = "configs/mock.toml";

// The line, in virtual time: exact, and the same every time.
cells! {
    replies_lost_by_the_mycobot_are_asked_for_again:
        simulated(MYCOBOT, r#"["drop=1/10"]"#, &[])
            .completes().counts("/bus/timeouts").counts("/bus/retries");
    samples_lost_by_the_mock_leave_the_last_one_standing:
        simulated(MOCK, r#"["drop=1/5"]"#, &[]).completes().counts("/bus/timeouts");

    // On the way to rest its readings are so old that it is not seen to follow: it stands.
    late_replies_of_the_mycobot_hold_it_and_then_ramp_it_to_a_stand:
        simulated(MYCOBOT, r#"["delay=200ms@3s"]"#, &["robot.reply_timeout_ms=2000"])
            .ends(StopCause::TrackingError, Disarmed)
            .held(HoldCause::StateStale).says("state", "running → holding");
    late_samples_of_the_mock_hold_it:
        simulated(MOCK, r#"["delay=400ms@3s"]"#, &[])
            .completes().held(HoldCause::StateStale).says("state", "running → holding");
    very_late_replies_of_the_mycobot_ramp_it_to_a_stand:
        simulated(MYCOBOT, r#"["delay=1500ms@3s"]"#, &["robot.reply_timeout_ms=5000"])
            .ends(StopCause::StateStale, Disarmed)
            .says("state", "delivered no measurements for too long");
    very_late_samples_of_the_mock_ramp_it_to_a_stand:
        simulated(MOCK, r#"["delay=1500ms@3s"]"#, &[])
            .ends(StopCause::StateStale, Disarmed)
            .says("state", "delivered no measurements for too long");

    damaged_replies_of_the_mycobot_are_refused:
        simulated(MYCOBOT, r#"["corrupt=1/10"]"#, &[]).completes().counts("/bus/retries");
    damaged_samples_of_the_mock_are_refused:
        simulated(MOCK, r#"["corrupt=1/5"]"#, &[]).completes().counts("/bus/rejected");

    garbage_of_the_mycobot_is_passed_over:
        simulated(MYCOBOT, r#"["garbage=1/5"]"#, &[]).completes().counts("/bus/garbage_bytes");
    garbage_of_the_mock_is_passed_over:
        simulated(MOCK, r#"["garbage=1/5"]"#, &[])
            .completes().counts("/bus/garbage_bytes").counts("/bus/rejected");

    a_short_silence_of_the_mycobot_holds_and_goes_on:
        simulated(MYCOBOT, r#"["silence=1s@3s"]"#, &[])
            .completes().counts("/bus/timeouts").says("state", "running → holding");
    a_short_silence_of_the_mock_holds_and_goes_on:
        simulated(MOCK, r#"["silence=600ms@3s"]"#, &[])
            .completes().held(HoldCause::StateStale).says("state", "holding → running");
    a_mycobot_that_stays_silent_is_lost:
        simulated(MYCOBOT, r#"["silence@3s"]"#, &[])
            .ends(StopCause::LinkLost, Faulted).says("link", "given up");
    a_mock_that_stays_silent_is_ramped_to_a_stand:
        simulated(MOCK, r#"["silence@3s"]"#, &[])
            .ends(StopCause::StateStale, Disarmed)
            .says("state", "delivered no measurements for too long");

    a_mycobot_that_comes_back_begins_at_the_measured_position:
        simulated(MYCOBOT, r#"["disconnect=1s@3s"]"#, &[])
            .completes().held(HoldCause::LinkDown).counts("/bus/reconnects")
            .says("reconnect", "begin again at the measured position");
    a_mock_that_comes_back_begins_at_the_measured_position:
        simulated(MOCK, r#"["disconnect=1s@3s"]"#, &[])
            .completes().held(HoldCause::LinkDown).counts("/bus/reconnects")
            .says("reconnect", "begin again at the measured position");
    a_mycobot_that_stays_away_is_lost:
        simulated(MYCOBOT, r#"["disconnect@3s"]"#, &["robot.reconnect_window_ms=1000"])
            .ends(StopCause::LinkLost, Faulted).says("link", "given up");
    a_mock_that_stays_away_is_lost:
        simulated(MOCK, r#"["disconnect@3s"]"#, &["robot.reconnect_window_ms=1000"])
            .ends(StopCause::LinkLost, Faulted).says("link", "given up");

    a_mycobot_that_starts_again_has_no_power_and_is_lost:
        simulated(MYCOBOT, r#"["reset@3s"]"#, &[])
            .ends(StopCause::LinkLost, Faulted).says("link", "given up");
    a_mock_that_starts_again_holds_and_goes_on:
        simulated(MOCK, r#"["reset@3s"]"#, &[])
            .completes().held(HoldCause::LinkDown).says("reconnect", "begin again");

    a_policy_that_falls_silent_brings_the_mycobot_to_rest:
        simulated(MYCOBOT, "[]", &["policy.inference_period_ms=60000"])
            .ends(StopCause::PolicyStale, Disarmed)
            .held(HoldCause::PolicyStale).says("state", "holding → stopping");
    a_policy_that_falls_silent_brings_the_mock_to_rest:
        simulated(MOCK, "[]", &["policy.inference_period_ms=60000"])
            .ends(StopCause::PolicyStale, Disarmed)
            .held(HoldCause::PolicyStale).says("state", "holding → stopping");

    a_dead_camera_brings_the_mycobot_to_rest:
        simulated(MYCOBOT, "[]", &["cameras.top.stops_after_s=2.0"])
            .ends(StopCause::PolicyStale, Disarmed).counts("/staleness/stale_frames")
            .says("camera", "top: camera stopped").says("state", "running → holding");
    a_dead_camera_brings_the_mock_to_rest:
        simulated(MOCK, "[]", &["cameras.top.stops_after_s=2.0"])
            .ends(StopCause::PolicyStale, Disarmed).counts("/staleness/stale_frames")
            .says("camera", "top: camera stopped").says("state", "running → holding");
}

// Threads that stand still, in real time.

/// Holds the inference thread from outside: an inference that never returns. The run ends all the
/// same, without it.
fn stalled_policy(config: &str) -> Cell {
    let more = ["supervision.policy_ramp_after_ms=500"];
    let cell = real(config, "60s", &more, |running| {
        running.until_it_says("running");
        running.hold_thread_for_good("inference");
    });
    let stderr = &cell.ended.stderr;
    assert!(stderr.contains("the inference thread did not come back"), "{stderr}");
    cell
}

/// A read blocks the control thread, and the watchdog is `watchdog` ms patient.
fn stalled_control(config: &str, fault: &str, watchdog: u32, more: &[&str]) -> Cell {
    let fault = format!("emulator.faults=[{fault:?}]");
    let watchdog = format!("supervision.watchdog_ms={watchdog}");
    let mut sets = vec![fault.as_str(), watchdog.as_str()];
    sets.extend(more);
    real(config, "4s", &sets, |_| {})
}

/// The watchdog's stop: told at once, held, and nothing commanded afterwards.
fn watchdog_stops(config: &str) -> Cell {
    let cell = stalled_control(config, "stall=1500ms@2s", 300, &[])
        .ends(StopCause::ControlStalled, Faulted)
        .says("watchdog", StopCause::ControlStalled.message())
        .says("state", "→ faulted")
        .all("commands end with the watchdog's stop", |it| !(it.watchdog && it.commanded));
    let [.., before, last] = cell.journal.cycles.as_slice() else { panic!("too few cycles") };
    assert!(last.watchdog && !before.watchdog);
    // The cycle that was stuck is the last one: its record says in which part.
    assert!(last.phases.read > 1_000_000_000, "{:?}", last.phases);
    assert!(cell.ended.count("/timing/overruns") > 0);
    // Not before its patience was over.
    let told = cell.journal.events.iter().find(|event| event.kind == "watchdog").unwrap();
    assert!(told.at_ns > last.woke_ns + 300_000_000);
    assert_eq!(cell.ended.json["episode_index"], 0);
    cell
}

/// A control thread that does not come back: the run ends without it.
fn ends_without_control(config: &str) {
    let cell = stalled_control(config, "stall=30s@2s", 300, &[]);
    let ended = &cell.ended;
    assert_eq!((ended.code, ended.cause()), (37, "control_stalled"), "{}", ended.stderr);
    assert!(ended.stderr.contains("did not come back"), "{}", ended.stderr);
    assert_eq!(ended.json["episode_index"], 0, "{}", ended.stderr);
    // What only that thread knew is not shown as if it were zero.
    for lost in ["/timing", "/bus", "/clamps", "/cycles", "/drops/samples", "/staleness/state"] {
        assert_eq!(ended.json.pointer(lost), Some(&Value::Null), "{lost}");
    }
    assert!(ended.stderr.contains("LOST: the control thread never came back"), "{}", ended.stderr);
    assert!(ended.flight().is_none(), "its memory is the stuck thread's own");
    assert!(cell.journal.ended && cell.journal.has_event("watchdog", "stuck"));
    // Everything before the stall is there, and nothing after.
    cell.journal.assert_every_miss_is_reported();
    let last = cell.journal.cycles.last().unwrap();
    assert!(last.commanded && last.woke_ns > 1_000_000_000, "{last:?}");
}

cells! {
    an_inference_that_does_not_return_brings_the_mycobot_to_rest:
        stalled_policy(MYCOBOT)
            .ends(StopCause::PolicyStale, Disarmed).held(HoldCause::PolicyStale);
    an_inference_that_does_not_return_brings_the_mock_to_rest:
        stalled_policy(MOCK).ends(StopCause::PolicyStale, Disarmed).held(HoldCause::PolicyStale);

    the_watchdog_stops_the_mycobot_when_its_control_thread_stands:
        watchdog_stops(MYCOBOT);
    the_watchdog_stops_the_mock_when_its_control_thread_stands: {
        let cell = watchdog_stops(MOCK);
        // Nothing reached the device after the commands in the journal but the stop.
        let sent = cell.journal.cycles.iter().filter(|cycle| cycle.commanded).count() as u64;
        assert_eq!(cell.ended.count("/bus/commands"), sent);
        assert!(cell.ended.count("/bus/requests") > sent);
        cell
    };
    a_run_of_the_mycobot_whose_control_thread_stays_away_ends_without_it:
        ends_without_control(MYCOBOT);
    a_run_of_the_mock_whose_control_thread_stays_away_ends_without_it:
        ends_without_control(MOCK);

    a_stall_holds_the_mycobot_where_the_policy_of_overruns_says_so:
        stalled_control(MYCOBOT, "stall=500ms@2s", 5000, &HOLDS)
            .completes().held(HoldCause::Overrun).says("overrun", "→ hold");
    a_stall_holds_the_mock_where_the_policy_of_overruns_says_so:
        stalled_control(MOCK, "stall=500ms@2s", 5000, &HOLDS)
            .completes().held(HoldCause::Overrun).says("overrun", "→ hold");
    a_stall_stops_the_mycobot_where_the_policy_of_overruns_says_so:
        stalled_control(MYCOBOT, "stall=500ms@2s", 5000, &STOPS)
            .ends(StopCause::Overrun, Disarmed).says("overrun", "→ ramp to rest");
    a_stall_stops_the_mock_where_the_policy_of_overruns_says_so:
        stalled_control(MOCK, "stall=500ms@2s", 5000, &STOPS)
            .ends(StopCause::Overrun, Disarmed).says("overrun", "→ ramp to rest");
}

/// Every miss holds, and none is too much.
const HOLDS: [&str; 2] = ["overrun.policy=hold", "overrun.allowed=1000000"];
/// What a shared machine misses by itself is borne; what these faults cost is not.
const STOPS: [&str; 3] = ["overrun.policy=stop", "overrun.allowed=20", "overrun.window_s=3"];
/// The same for a process that stands for 3 s.
const STOPS_LATE: [&str; 3] = ["overrun.policy=stop", "overrun.allowed=100", "overrun.window_s=3"];

// The whole process, in real time.

/// Stops the process for 3 s, as a suspended computer or a debugger does.
fn stopped_process(config: &str, overrun: &[&str]) -> Cell {
    // What a crowded machine makes of the seconds after it is not under test.
    let mut more = vec![
        "supervision.watchdog_ms=1500",
        "supervision.tracking_error_ms=30000",
        "supervision.state_ramp_after_ms=30000",
        "supervision.policy_ramp_after_ms=30000",
    ];
    if config == MOCK {
        // At 1 kHz a crowded machine misses more than is borne before anything happens.
        more.push("run.rate_hz=100");
    }
    more.extend(overrun);
    let cell = real(config, "5s", &more, |running| {
        running.until_it_says("running");
        running.signal(Signal::SIGSTOP);
        std::thread::sleep(Duration::from_secs(3));
        running.signal(Signal::SIGCONT);
    });
    let missed = cell.ended.count("/timing/missed");
    let stood = (2.9 * cell.journal.header.rate_hz) as u64;
    assert!(missed >= stood, "{missed} of {stood} periods without a cycle");
    // The watchdog was stopped too, and blames nobody.
    cell.never_says("watchdog", "stuck").says("overrun", "periods without a cycle")
}

/// Kills the process: at most half a second is lost, and the next start makes the episode.
fn killed_process(config: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::new(start(config, folder.path(), &["--for", "60s"]));
    running.until_it_says("running");
    std::thread::sleep(Duration::from_millis(1500));
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    running.kill();
    let runs = std::fs::read_dir(folder.path().join("runs")).unwrap();
    let killed = runs.map(|entry| entry.unwrap().path()).next().unwrap();
    let journal = Journal::read(&killed.join("journal.sinew"));
    assert!(!journal.ended && !killed.join("flight.sinew").exists());
    journal.assert_inside_limits();
    journal.assert_every_miss_is_reported();
    let last = journal.header.unix_ns + journal.cycles.last().unwrap().woke_ns;
    let lost = before.saturating_sub(last);
    assert!(lost < 500_000_000, "{} ms are lost", lost / 1_000_000);
    let report = killed.join("report.html");
    assert!(!report.exists());
    let reported = sinew().arg("report").arg(&killed).output().unwrap();
    assert!(reported.status.success(), "{}", String::from_utf8_lossy(&reported.stderr));
    assert_eq!(String::from_utf8_lossy(&reported.stdout).trim(), report.display().to_string());
    assert!(std::fs::read_to_string(&report).unwrap().contains(&journal.header.run));

    let next = run(config, folder.path(), &["--for", "500ms"]);
    assert_eq!((next.code, &next.json["episode_index"]), (0, &1.into()), "{}", next.stderr);
    assert!(next.stderr.contains("repaired"), "{}", next.stderr);
    let mut dataset = sinew_episodes::lerobot::Reader::open(folder.path()).unwrap();
    assert_eq!(dataset.episodes().len(), 2);
    for index in 0..dataset.frames() {
        dataset.frame(index).unwrap();
    }
}

cells! {
    a_run_of_the_mycobot_that_stood_for_3_s_goes_on_where_misses_are_reported:
        stopped_process(MYCOBOT, &[]).completes().says("overrun", "→ reported");
    a_run_of_the_mock_that_stood_for_3_s_goes_on_where_misses_are_reported:
        stopped_process(MOCK, &[]).completes().says("overrun", "→ reported");
    a_run_of_the_mycobot_that_stood_for_3_s_holds_where_misses_hold:
        stopped_process(MYCOBOT, &HOLDS).completes().says("state", "→ holding");
    a_run_of_the_mock_that_stood_for_3_s_holds_where_misses_hold:
        stopped_process(MOCK, &HOLDS)
            .completes().held(HoldCause::Overrun).says("overrun", "→ hold");
    a_run_of_the_mycobot_that_stood_for_3_s_stops_where_misses_stop:
        stopped_process(MYCOBOT, &STOPS_LATE)
            .ends(StopCause::Overrun, Disarmed).says("overrun", "→ ramp to rest");
    a_run_of_the_mock_that_stood_for_3_s_stops_where_misses_stop:
        stopped_process(MOCK, &STOPS_LATE)
            .ends(StopCause::Overrun, Disarmed).says("overrun", "→ ramp to rest");
    a_killed_run_of_the_mycobot_loses_half_a_second_at_most:
        killed_process(MYCOBOT);
    a_killed_run_of_the_mock_loses_half_a_second_at_most:
        killed_process(MOCK);
}

// The disk, in real time.

/// Holds the recorder thread from outside, as a disk does that takes its time over a write.
fn slow_disk(config: &str, more: &[&str]) -> Cell {
    let mut at = [0; 2];
    let cell = real(config, "4s", more, |running| {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        running.until_it_says("running");
        at[0] = now();
        running.hold_thread("recorder", Duration::from_millis(1500));
        at[1] = now();
    });
    // The loop went on meanwhile: half of its cycles, to be generous to a shared machine.
    let began = cell.journal.header.unix_ns;
    let inside = |cycle: &&CycleRecord| (at[0]..at[1]).contains(&(began + cycle.woke_ns));
    let meanwhile = cell.journal.cycles.iter().filter(inside).count() as u64;
    let dropped = cell.ended.count("/drops/samples");
    let least = (0.75 * cell.journal.header.rate_hz) as u64;
    assert!(meanwhile + dropped > least, "{meanwhile} cycles and {dropped} dropped");
    cell
}

/// The ring is too short for the disk: what is lost is counted, told, and a gap in the journal.
fn overflowing_ring(config: &str) {
    let cell = slow_disk(config, &["recording.ring_s=0.3"])
        .stands(StopCause::Completed, Disarmed)
        .counts("/drops/samples");
    assert_eq!(cell.ended.code, 40, "{}", cell.ended.stderr);
    assert!(cell.ended.json["recording_fault"].as_str().unwrap().contains("no room"));
    // The journal's own summary knows, too.
    assert_eq!(cell.journal.summary["exit"]["code"], 40);
    assert_eq!(cell.journal.summary["recording_fault"], cell.ended.json["recording_fault"]);
    let dropped = cell.ended.count("/drops/samples");
    let cycles = &cell.journal.cycles;
    // A gap of misses is counted by the cycle behind it; one of dropped samples is not.
    let gap =
        |pair: &[CycleRecord]| (pair[1].index - pair[0].index - 1).saturating_sub(pair[1].misses);
    let gaps: u64 = cycles.windows(2).map(gap).sum();
    // What a dropped sample would have said of misses before it is lost with it; the summary has it.
    let missed = cell.ended.count("/timing/missed");
    assert!(gaps > 0 && gaps <= dropped + missed, "{gaps} missing, {dropped} dropped");
    let periods = cycles.last().unwrap().index + 1;
    assert_eq!(cycles.len() as u64 + dropped + missed, periods);
    // The control thread's own memory has what the ring lost at the end, if anything.
    let flight = cell.ended.flight().unwrap();
    assert_eq!(flight.cycles.last(), cycles.last());
    assert!(
        flight
            .cycles
            .windows(2)
            .all(|pair| { pair[1].index - pair[0].index - 1 <= pair[1].misses })
    );
}

/// Runs with files that may grow to `kib` KiB. The signal that would end the process is ignored, so
/// writes fail as they do on a full disk.
fn limited_files(config: &str, kib: u32) -> Cell {
    let folder = tempfile::tempdir().unwrap();
    let command = format!(
        "trap '' XFSZ; ulimit -f {kib}; exec {} run {config} --for 3s --format json --set \
         'recording.directory=\"{}\"' {}",
        env!("CARGO_BIN_EXE_sinew"),
        folder.path().display(),
        PATIENT.join(" ")
    );
    let child = Command::new("bash")
        .args(["-c", &command])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Cell::new(wait(child), folder)
}

/// A full disk: the arm goes to its end, the exit code and the summary tell, and what was written
/// is a journal for `sinew info`.
fn is_incomplete(cell: &Cell) {
    let ended = &cell.ended;
    assert_eq!((ended.code, ended.cause()), (40, "completed"), "{}", ended.stderr);
    assert!(ended.count("/drops/unwritten") > 0, "{}", ended.json);
    assert_eq!(ended.count("/drops/samples"), 0);
    let fault = ended.json["recording_fault"].as_str().unwrap();
    assert!(fault.contains("journal.sinew"), "{fault}");
    assert!(ended.stderr.contains("INCOMPLETE"), "{}", ended.stderr);
    assert!(!cell.journal.ended && cell.journal.cycles.len() > 30);
    let info = support::sinew().arg("info").arg(ended.folder()).output().unwrap();
    assert!(info.status.success());
    // What the disk did not take, the flight recorder would have; it is on the same disk.
    let run = ended.count("/cycles/running");
    assert!(run as f64 > 0.25 * 3.0 * cell.journal.header.rate_hz, "{run} cycles ran");
}

/// A small file system of its own, if this process may mount one.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", size, "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("NOT TESTED: mounting a small tmpfs needs root; this cell saw no full disk");
        }
        mounted.then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

/// A disk that is full for a while: records wait in memory, and all of them arrive when there is
/// space again.
fn full_for_a_while(config: &str) {
    let Some(disk) = SmallDisk::new("size=32m") else { return };
    let ballast = disk.path().join("ballast");
    let mut running = Running::new(start(config, &disk.path().join("set"), &["--for", "4s"]));
    running.until_it_says("running");
    // As much as there is room for.
    let mut file = std::fs::File::create(&ballast).unwrap();
    let full = std::io::copy(&mut std::io::repeat(7), &mut file);
    assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    std::thread::sleep(Duration::from_millis(1500));
    std::fs::remove_file(&ballast).unwrap();
    drop(file);
    let ended = running.end();
    let journal = ended.journal();
    let told = journal.told();
    assert_eq!((ended.code, ended.cause()), (0, "completed"), "{}\n{told}", ended.stderr);
    assert!(journal.has_event("recording", "No space left"), "{told}");
    assert!(journal.has_event("recording", "takes records again; 0 were dropped"), "{told}");
    assert_eq!(ended.count("/drops/unwritten") + ended.count("/drops/samples"), 0);
    journal.assert_inside_limits();
    assert_eq!(journal.assert_every_miss_is_reported(), ended.count("/timing/missed"));
    assert!(journal.ended);
}

cells! {
    a_disk_that_takes_its_time_costs_a_run_of_the_mycobot_nothing:
        slow_disk(MYCOBOT, &[]).completes();
    a_disk_that_takes_its_time_costs_a_run_of_the_mock_nothing:
        slow_disk(MOCK, &[]).completes();
    a_ring_too_short_for_the_disk_leaves_a_counted_gap_in_a_journal_of_the_mycobot:
        overflowing_ring(MYCOBOT);
    a_ring_too_short_for_the_disk_leaves_a_counted_gap_in_a_journal_of_the_mock:
        overflowing_ring(MOCK);
    a_full_disk_does_not_stop_the_mycobot:
        is_incomplete(&limited_files(MYCOBOT, 192));
    a_full_disk_does_not_stop_the_mock:
        is_incomplete(&limited_files(MOCK, 512));
    a_disk_that_is_full_for_a_while_costs_a_journal_of_the_mycobot_nothing:
        full_for_a_while(MYCOBOT);
    a_disk_that_is_full_for_a_while_costs_a_journal_of_the_mock_nothing:
        full_for_a_while(MOCK);
}
