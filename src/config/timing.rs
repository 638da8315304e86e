//! When cycles happen and what watches over them: pace, overruns, watchdog, CPUs.
//!
//! Settings of the machine (`realtime`, `run.spin_us`) are not refused where they do nothing, in
//! simulated time or at a device's pace: one file serves both, and `--set` cannot take them away.

use sinew_firmware_interfaces::RobotDescription;

use super::error::Problem;
use super::keys::with_unit;
use super::schema::{ClockKind, OverrunPolicy, Pace};
use super::tree::{element, number};
use super::{Loaded, Origin};

/// Least time of the watchdog, in periods of the loop: below that, one late cycle may stop the arm.
const WATCHDOG_PERIODS: f64 = 10.0;

/// Checks `run.pace`, `supervision.watchdog_ms`, `overrun` and `realtime`.
pub(super) fn check(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    check_pace(loaded, robot, problems);
    check_watchdog(loaded, problems);
    check_overrun(loaded, problems);
    check_cpus(loaded, problems);
}

fn check_pace(loaded: &Loaded, robot: &RobotDescription, problems: &mut Vec<Problem>) {
    let run = &loaded.config.run;
    if run.pace != Pace::Device && !(robot.lockstep && run.clock == ClockKind::Simulated) {
        // Every state of such an arm's wants its command: a clock beside the arm's loses some.
        if robot.lockstep && run.clock == ClockKind::Real {
            let message = format!(
                "\"timer\" is refused for the {}, which wants a command for each of its states. Set \
                 it to \"device\"",
                robot.model
            );
            problems.push(loaded.problem("run.pace", message));
        }
        return;
    }
    let Some(rate) = robot.device_rate_hz else {
        let message = format!(
            "\"device\" is for robots that own the clock, and the {} does not. Set it to \"timer\"",
            robot.model
        );
        problems.push(loaded.problem("run.pace", message));
        return;
    };
    if (run.rate_hz - rate).abs() > 1e-9 * rate {
        problems.push(Problem::OutOfRange {
            at: loaded.place("run.rate_hz"),
            key: "run.rate_hz".to_owned(),
            value: with_unit(&number(run.rate_hz), "Hz"),
            allowed: format!(
                "{}, the rate of the {}, which sets the pace with run.pace = \"device\" ({})",
                with_unit(&number(rate), "Hz"),
                robot.model,
                loaded.place("run.pace")
            ),
            remedy: "Limits, targets and recording reckon with this rate: write the robot's, or \
                     set run.pace = \"timer\""
                .to_owned(),
        });
    }
}

fn check_watchdog(loaded: &Loaded, problems: &mut Vec<Problem>) {
    const KEY: &str = "supervision.watchdog_ms";
    let value = loaded.config.supervision.watchdog_ms;
    let rate = loaded.config.run.rate_hz;
    let least = WATCHDOG_PERIODS * 1000.0 / rate;
    if value < least * (1.0 - 1e-9) {
        let whose =
            if loaded.origins.of(KEY) == Origin::Default { " (not said, the default)" } else { "" };
        // Rounded up, so that what is shown is allowed.
        let least = with_unit(&number((least * 10.0 - 1e-6).ceil() / 10.0), "ms");
        problems.push(Problem::OutOfRange {
            at: loaded.place(KEY),
            key: KEY.to_owned(),
            value: with_unit(&number(value), "ms") + whose,
            allowed: format!(
                "{least} or more, {WATCHDOG_PERIODS} periods at run.rate_hz = {} Hz ({})",
                number(rate),
                loaded.place("run.rate_hz")
            ),
            remedy: format!(
                "The watchdog stops an arm whose control thread is stuck, not one with a late \
                 cycle: raise it to {least}"
            ),
        });
    }
}

/// A bucket that loses as fast as it can be filled never stops anything.
fn check_overrun(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let said = &loaded.config.overrun;
    let rate = loaded.config.run.rate_hz;
    let periods = rate * said.window_s;
    if said.policy != OverrunPolicy::Stop || f64::from(said.allowed) < periods {
        return;
    }
    // Point at the one that somebody wrote.
    let written = ["overrun.allowed", "overrun.window_s", "overrun.policy"];
    let key = written.into_iter().find(|key| loaded.origins.of(key) != Origin::Default);
    problems.push(loaded.problem(
        key.unwrap_or("overrun.allowed"),
        format!(
            "allowed = {} in window_s = {} s never stops the arm: at run.rate_hz = {} Hz ({}) the \
             window has {} periods, and no more can be missed. Lower allowed below that, raise \
             window_s above {} s, or say policy = \"report\"",
            said.allowed,
            number(said.window_s),
            number(rate),
            loaded.place("run.rate_hz"),
            number(periods),
            number(f64::from(said.allowed) / rate),
        ),
    ));
}

fn check_cpus(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let cpus = &loaded.config.realtime.cpus;
    for (index, cpu) in cpus.iter().enumerate() {
        if cpus.iter().take(index).any(|before| before == cpu) {
            let message = format!("CPU {cpu} is listed twice. Remove one");
            problems.push(loaded.problem(&element("realtime.cpus", index), message));
        }
    }
}
