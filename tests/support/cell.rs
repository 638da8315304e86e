//! The cells of the fault matrices: a run with a fault, and what is the case in every one of them.

use sinew::supervision::ArmState::{self, Disarmed};
use sinew::supervision::{HoldCause, StopCause};
use sinew_episodes::journal::CycleRecord;
use tempfile::TempDir;

use super::process::Running;
use super::{Ended, Journal, root, run, start};

/// A cell that has been played.
pub struct Cell {
    pub ended: Ended,
    pub journal: Journal,
    _folder: TempDir,
}

impl Cell {
    /// Looks at what holds in every cell.
    pub fn new(ended: Ended, folder: TempDir) -> Self {
        assert!(!ended.json["episode"].is_null(), "{}", ended.stderr);
        let journal = ended.journal();
        journal.assert_inside_limits();
        let cell = Self { ended, journal, _folder: folder };
        // A control thread that never came back has counted nothing that is known.
        let knows = !cell.ended.json["timing"].is_null();
        let lost = |what: &str| cell.ended.count(&format!("/drops/{what}")) > 0;
        if knows && !lost("samples") && !lost("unwritten") {
            let missed = cell.journal.assert_every_miss_is_reported();
            assert_eq!(cell.ended.count("/timing/missed"), missed);
            cell.assert_flight_agrees();
        }
        cell
    }

    /// The flight recorder holds the last two seconds, as the journal has them.
    fn assert_flight_agrees(&self) {
        let flight = self.ended.flight().expect("a flight recorder");
        let kept = flight.cycles.len();
        let cycles = &self.journal.cycles;
        let least = (2.0 * self.journal.header.rate_hz) as usize;
        assert_eq!(kept, least.min(cycles.len()));
        assert!(flight.cycles == cycles[cycles.len() - kept..], "the last {kept} cycles differ");
        assert!(flight.has_event("stop", self.ended.cause()));
    }

    pub fn ends(self, cause: StopCause, state: ArmState) -> Self {
        let (stderr, told) = (&self.ended.stderr, self.journal.told());
        let code = i32::from(cause.exit_code());
        assert_eq!((self.ended.code, self.ended.cause()), (code, cause.name()), "{stderr}\n{told}");
        self.stands(cause, state)
    }

    /// The end in the journal, whatever the exit code says beside it.
    pub fn stands(self, cause: StopCause, state: ArmState) -> Self {
        let told = self.journal.told();
        assert_eq!(self.journal.last_cause(), Some(cause), "{told}");
        assert_eq!(self.journal.last_state(), state, "{told}");
        self
    }

    pub fn completes(self) -> Self {
        self.ends(StopCause::Completed, Disarmed)
    }

    pub fn says(self, kind: &str, text: &str) -> Self {
        assert!(self.journal.has_event(kind, text), "no {kind}: {text}\n{}", self.journal.told());
        self
    }

    pub fn never_says(self, kind: &str, text: &str) -> Self {
        assert!(!self.journal.has_event(kind, text), "{}", self.journal.told());
        self
    }

    pub fn counts(self, path: &str) -> Self {
        assert!(self.ended.count(path) > 0, "{path}");
        self
    }

    /// What the run gives as the last failure of the link.
    pub fn gives(self, text: &str) -> Self {
        let said = self.ended.stderr.lines().find(|line| line.contains("last failure of the link"));
        assert!(said.is_some_and(|line| line.contains(text)), "{text}: {said:?}");
        self
    }

    pub fn held(self, cause: HoldCause) -> Self {
        let held = self.journal.cycles.iter().any(|cycle| cycle.hold == cause.number());
        assert!(held, "no hold: {}\n{}", cause.message(), self.journal.told());
        self
    }

    /// True of the cycles in order: what each must be after the one before.
    pub fn all(self, what: &str, holds: impl Fn(&CycleRecord) -> bool) -> Self {
        let broken = self.journal.cycles.iter().find(|cycle| !holds(cycle));
        assert!(broken.is_none(), "{what}: {broken:?}");
        self
    }
}

pub fn sets<'a>(more: &[&'a str]) -> Vec<&'a str> {
    more.iter().flat_map(|set| ["--set", set]).collect()
}

/// A run in virtual time with the faults, and more settings.
pub fn simulated(config: &str, faults: &str, more: &[&str]) -> Cell {
    let folder = tempfile::tempdir().unwrap();
    let faults = format!("emulator.faults={faults}");
    let mut arguments = vec!["--for", "6s", "--set", "run.clock=simulated", "--set", &faults];
    arguments.extend(sets(more));
    // Where a configuration has its samples written as well, they go where all else goes.
    let csv = format!("recording.csv={:?}", folder.path().join("csv").display().to_string());
    if std::fs::read_to_string(root().join(config)).unwrap().contains("\ncsv = ") {
        arguments.extend(["--set", &csv]);
    }
    Cell::new(run(config, folder.path(), &arguments), folder)
}

/// A run in real time.
pub fn real(config: &str, span: &str, more: &[&str], then: impl FnOnce(&mut Running)) -> Cell {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["--for", span, "--set", "rest.speed_fraction=1.0"];
    arguments.extend(sets(more));
    let mut running = Running::new(start(config, folder.path(), &arguments));
    then(&mut running);
    Cell::new(running.end(), folder)
}

/// One test per cell; its name says what happens.
#[macro_export]
macro_rules! cells {
    ($($name:ident: $cell:expr;)*) => {
        $(#[test]
        fn $name() {
            $cell;
        })*
    };
}
