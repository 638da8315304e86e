//! A run's journal as tests look at it.

use std::path::Path;

use sinew::supervision::{ArmState, StopCause};
use sinew_episodes::journal::{CycleRecord, EventRecord, Header, Reader, Record};

/// A whole journal.
pub struct Journal {
    pub header: Header,
    pub cycles: Vec<CycleRecord>,
    pub events: Vec<EventRecord>,
    pub frames: usize,
    pub chunks: usize,
    /// True if it has the last record of an orderly end.
    pub ended: bool,
    /// What that record says.
    pub summary: serde_json::Value,
}

/// Limits of one joint, as the run's configuration says them.
struct Limits {
    position: [f64; 2],
    velocity: f64,
    acceleration: f64,
    jerk: f64,
    /// Largest effort and rate of effort, where efforts are commanded.
    effort: Option<[f64; 2]>,
}

impl Journal {
    pub fn read(path: &Path) -> Self {
        let mut reader = Reader::open(path).expect("a journal");
        let header = reader.header().clone();
        let (cycles, events) = (Vec::new(), Vec::new());
        let summary = serde_json::Value::Null;
        let mut journal =
            Self { header, cycles, events, frames: 0, chunks: 0, ended: false, summary };
        for record in &mut reader {
            match record.expect("a readable record") {
                Record::Cycle(cycle) => journal.cycles.push(cycle),
                Record::Event(event) => journal.events.push(event),
                Record::Frame(_) => journal.frames += 1,
                Record::Chunk(_) => journal.chunks += 1,
                Record::Summary(text) => {
                    journal.ended = true;
                    journal.summary = serde_json::from_str(&text).expect("the summary is JSON");
                }
                Record::Header(_) => {}
            }
        }
        journal
    }

    /// The effective configuration.
    pub fn config(&self) -> toml::Table {
        self.header.config.parse().expect("the configuration is TOML")
    }

    fn limits(&self) -> Vec<Limits> {
        let config = self.config();
        let of = |joint: &str| {
            let said = config["limits"][joint].as_table().expect("a table");
            let number = |key: &str| said.get(key).map(|value| value.as_float().expect("a number"));
            let either =
                |one: &str, other: &str| number(one).or_else(|| number(other)).expect("a limit");
            let range = said.get("position_rad").or_else(|| said.get("opening"));
            let range = range.and_then(toml::Value::as_array).expect("a range");
            let margin = number("margin_rad").or_else(|| number("margin")).unwrap_or(0.0);
            let acceleration = either("max_acceleration_rad_s2", "max_slew_change_per_s2");
            Limits {
                position: [
                    range[0].as_float().expect("a number") + margin,
                    range[1].as_float().expect("a number") - margin,
                ],
                velocity: either("max_velocity_rad_s", "max_slew_per_s"),
                acceleration,
                jerk: number("max_jerk_rad_s3")
                    .or_else(|| number("max_slew_jerk_per_s3"))
                    .unwrap_or(20.0 * acceleration),
                effort: number("max_torque_nm").zip(number("max_torque_rate_nm_s")).map(Into::into),
            }
        };
        self.header.joints.iter().map(|joint| of(&joint.name)).collect()
    }

    /// True where `cycle` follows `previous` without a cycle in between that is not recorded.
    /// Periods without a cycle are no gap: the command waits through them.
    fn follows(previous: &CycleRecord, cycle: &CycleRecord) -> bool {
        cycle.index > previous.index && cycle.index - previous.index - 1 <= cycle.misses
    }

    /// An arm of Franka's, whose commanded motion goes on by its own count of states.
    fn is_lockstep(&self) -> bool {
        self.header.robot.starts_with("franka")
    }

    /// The cycles in which time passed for the robot. In the others its command stands still.
    fn in_the_robots_time(&self) -> Vec<&CycleRecord> {
        let mut cycles: Vec<&CycleRecord> = Vec::new();
        for cycle in &self.cycles {
            match cycles.last() {
                Some(last) if self.is_lockstep() && last.sample == cycle.sample => {
                    let same = last.limited == cycle.limited;
                    assert!(same || !last.commanded, "no time has passed at cycle {}", cycle.index);
                }
                _ => cycles.push(cycle),
            }
        }
        cycles
    }

    /// True where `cycle` is one period after `previous`.
    fn is_next(&self, previous: &CycleRecord, cycle: &CycleRecord) -> bool {
        if self.is_lockstep() {
            return cycle.sample == previous.sample + 1;
        }
        Self::follows(previous, cycle)
    }

    /// Asserts that no commanded position, speed, acceleration, jerk, effort or rate of effort is
    /// outside what the run's own configuration allows, across the whole run.
    pub fn assert_inside_limits(&self) {
        let dt = 1.0 / self.header.rate_hz;
        let limits = self.limits();
        // After a reconnect, and when an arm in torque is seen again, commands begin again at the measured position, standing.
        let restarts: Vec<u64> = self
            .events
            .iter()
            .filter(|event| event.kind == "reconnect" || event.message.contains("seen again"))
            .map(|event| event.at_ns)
            .collect();
        let mut seen = 0;
        let cycles = self.in_the_robots_time();
        for four in cycles.windows(4) {
            let begins = four[1..].iter().any(|cycle| restarts.contains(&cycle.scheduled_ns));
            if begins || !four.windows(2).all(|pair| self.is_next(pair[0], pair[1])) {
                continue;
            }
            seen += 1;
            for (joint, limits) in limits.iter().enumerate() {
                let name = &self.header.joints[joint].name;
                let at = |cycle: usize| four[cycle].limited[joint];
                let velocity = [1, 2, 3].map(|cycle| (at(cycle) - at(cycle - 1)) / dt);
                let acceleration = [1, 2].map(|cycle| (velocity[cycle] - velocity[cycle - 1]) / dt);
                let jerk = (acceleration[1] - acceleration[0]) / dt;
                let index = four[3].index;
                // Differences of positions that are rounded to 2e-16 of a radian or two.
                let slack = |power: i32| 1e-14 / dt.powi(power);
                let inside = |what: &str, value: f64, most: f64, slack: f64| {
                    assert!(
                        value.is_finite() && value.abs() <= most * (1.0 + 1e-6) + slack,
                        "{name}: {what} {value}, allowed are {most}, at cycle {index}"
                    );
                };
                let [lower, upper] = limits.position;
                // Where the arm began a little outside, commands may be so, but not further.
                let [lower, upper] = [lower.min(at(2)), upper.max(at(2))];
                assert!((lower..=upper).contains(&at(3)), "{name}: {} at cycle {index}", at(3));
                inside("velocity", velocity[2], limits.velocity, slack(1));
                inside("acceleration", acceleration[1], limits.acceleration, slack(2));
                // A joint may stop within a cycle where its jerk would allow no finer stop.
                inside("jerk", jerk, limits.jerk.min(2.0 * limits.acceleration / dt), slack(3));
            }
        }
        assert!(seen > 0, "no cycles to judge");
        self.assert_efforts_inside_limits(&limits, &restarts);
    }

    fn assert_efforts_inside_limits(&self, limits: &[Limits], restarts: &[u64]) {
        let dt = 1.0 / self.header.rate_hz;
        for pair in self.cycles.windows(2) {
            let [before, after] = pair else { continue };
            for (joint, (effort, limits)) in after.effort.iter().zip(limits).enumerate() {
                let [most, rate] = limits.effort.expect("limits of effort");
                assert!(effort.abs() <= most, "{effort} N·m at cycle {}", after.index);
                // An effort that was not sent is none.
                let sent = before.commanded && after.commanded;
                let counts =
                    sent && Self::follows(before, after) && !restarts.contains(&after.scheduled_ns);
                let change = effort - before.effort[joint];
                assert!(
                    !counts || change.abs() <= rate * dt * (1.0 + 1e-9),
                    "{change} N·m in one cycle at cycle {}",
                    after.index
                );
            }
        }
    }

    /// Asserts that no period went by unreported: each is a cycle, or a miss that its next cycle
    /// counts and an event tells. Returns how many had none.
    pub fn assert_every_miss_is_reported(&self) -> u64 {
        let period = 1e9 / self.header.rate_hz;
        let mut missed = 0;
        let mut next = 0;
        let mut reported = 0;
        for cycle in &self.cycles {
            assert!(cycle.index >= next, "cycle {} comes again", cycle.index);
            let gap = cycle.index - next;
            // What is more than the gap is the previous cycle's own lateness.
            let own = u64::from(f64::from(cycle.phases.previous) > period);
            assert_eq!(cycle.misses, gap + own, "before cycle {}", cycle.index);
            if cycle.misses > 0 {
                reported += 1;
                let told = |event: &&EventRecord| {
                    event.kind == "overrun" && event.at_ns == cycle.scheduled_ns
                };
                let event = self.events.iter().find(told);
                let event = event.unwrap_or_else(|| panic!("nothing tells of {}", cycle.index));
                let text = match gap {
                    0 => String::new(),
                    1 => ", 1 period without a cycle".to_owned(),
                    more => format!(", {more} periods without a cycle"),
                };
                assert!(event.message.contains(&text), "{gap}: {}", event.message);
            }
            missed += gap;
            next = cycle.index + 1;
        }
        let overruns = self.events.iter().filter(|event| event.kind == "overrun").count();
        assert_eq!(overruns, reported);
        missed
    }

    /// True if an event of `kind` has `text` in its message.
    pub fn has_event(&self, kind: &str, text: &str) -> bool {
        self.events.iter().any(|event| event.kind == kind && event.message.contains(text))
    }

    /// The arm's state after the last cycle.
    pub fn last_state(&self) -> ArmState {
        let state = self.cycles.last().expect("a cycle").state;
        ArmState::ALL[usize::from(state)]
    }

    /// Why the run ended, as the last cycle has it.
    pub fn last_cause(&self) -> Option<StopCause> {
        let cause = self.cycles.last().expect("a cycle").cause;
        StopCause::ALL.into_iter().find(|it| it.number() == cause)
    }

    /// All events, for the message of an assertion.
    pub fn told(&self) -> String {
        let line = |event: &EventRecord| {
            format!("{:8.3} {}: {}\n", event.at_ns as f64 * 1e-9, event.kind, event.message)
        };
        self.events.iter().map(line).collect()
    }
}
