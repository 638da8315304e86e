//! One finding.

use serde::Serialize;

/// Where a check belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The kernel, its settings, and what is below it.
    Kernel,
    /// What this user may do.
    Rights,
    /// Ports and interfaces.
    Devices,
    /// The recording directory.
    Disk,
    /// How late a thread wakes.
    WakeUps,
}

/// What a finding means for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing to do.
    Ok,
    /// May make a cycle late, or needs a look.
    Warn,
    /// A run that needs it fails.
    Bad,
    /// Cannot be seen from here.
    Unknown,
}

impl Verdict {
    /// As text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// One line of the findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Where it belongs.
    pub area: Area,
    /// What was looked at.
    pub name: String,
    /// What it means.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Check {
    /// A finding that needs nothing.
    pub(super) fn ok(area: Area, name: &str, found: impl Into<String>) -> Self {
        let name = name.to_owned();
        Self { area, name, verdict: Verdict::Ok, found: found.into(), remedy: None }
    }

    /// A finding with a remedy.
    pub(super) fn other(
        area: Area,
        name: &str,
        verdict: Verdict,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { verdict, remedy: Some(remedy.into()), ..Self::ok(area, name, found) }
    }
}
