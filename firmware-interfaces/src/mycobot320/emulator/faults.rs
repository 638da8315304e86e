//! Faults that the emulator can be told to have.

use std::str::FromStr;
use std::time::Duration;

use crate::Timestamp;

/// How often something happens to a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Rate {
    /// Never.
    #[default]
    Never,
    /// To each reply with this probability, 0 to 1.
    Probability(f64),
    /// To every nth reply.
    EveryNth(u32),
}

/// A span of time in which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins, on the emulator's clock.
    pub start: Timestamp,
    /// How long it lasts; `None` for ever.
    pub duration: Option<Duration>,
}

impl Window {
    /// True while `now` lies inside.
    pub fn contains(&self, now: Timestamp) -> bool {
        now >= self.start && self.duration.is_none_or(|span| now < self.start.after(span))
    }
}

/// What is wrong with the emulated arm. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Replies that are not sent. The request has been executed.
    pub drop: Rate,
    /// Replies in which one bit is flipped.
    pub corrupt: Rate,
    /// Replies with up to 12 random bytes in front.
    pub garbage: Rate,
    /// Additional time before each reply, from a moment on.
    pub delay: Option<(Duration, Timestamp)>,
    /// Requests are neither answered nor executed. Motion under way goes on.
    pub silence: Option<Window>,
    /// The connection is closed and refused.
    pub disconnect: Option<Window>,
    /// The gripper's value reads 255, from a moment on.
    pub gripper_255: Option<Timestamp>,
}

/// Why a fault's description was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault of this name.
    #[error(
        "unknown fault \"{name}\": expected drop, corrupt, garbage, delay, silence, disconnect or \
         gripper255"
    )]
    Unknown {
        /// The name given.
        name: String,
    },
    /// A fault that needs a value has none.
    #[error("fault \"{name}\" needs a value, for example \"{example}\"")]
    MissingValue {
        /// The fault.
        name: &'static str,
        /// A complete description.
        example: &'static str,
    },
    /// A fault that takes no value has one.
    #[error("fault \"{name}\" takes no value, got \"{value}\"")]
    UnexpectedValue {
        /// The fault.
        name: &'static str,
        /// The value given.
        value: String,
    },
    /// A rate that is neither a probability nor `1/n`.
    #[error("rate \"{value}\": expected a probability from 0 to 1, or 1/n for every nth reply")]
    Rate {
        /// The value given.
        value: String,
    },
    /// A duration without number or unit.
    #[error("duration \"{value}\": expected a number and a unit, such as 200ms, 1.5s or 2min")]
    Duration {
        /// The value given.
        value: String,
    },
    /// A fault that has no starting time.
    #[error("fault \"{name}\" has no start time, got \"@{start}\"")]
    UnexpectedStart {
        /// The fault.
        name: &'static str,
        /// The time given.
        start: String,
    },
}

impl Faults {
    /// Adds one fault described as `NAME[=VALUE][@START]`, where `START` counts from the
    /// emulator's start:
    ///
    /// | description | meaning |
    /// |---|---|
    /// | `drop=0.05`, `drop=1/20` | replies lost, by probability or every nth |
    /// | `corrupt=…`, `garbage=…` | likewise: one bit flipped, random bytes in front |
    /// | `delay=200ms@3s` | every reply 200 ms later, from 3 s on |
    /// | `silence=2s@5s`, `silence@5s` | no answers, for a while or for good |
    /// | `disconnect=1s@5s`, `disconnect@5s` | connection closed, for a while or for good |
    /// | `gripper255@5s` | failed gripper reads |
    ///
    /// # Errors
    /// [`FaultError`] names what is wrong with the description.
    pub fn add(&mut self, description: &str) -> Result<(), FaultError> {
        let (head, start) = match description.split_once('@') {
            Some((head, start)) => (head, Some(start)),
            None => (description, None),
        };
        let (name, value) = match head.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (head.trim(), None),
        };
        let start_or_zero = || -> Result<Timestamp, FaultError> {
            Ok(Timestamp::ZERO.after(start.map_or(Ok(Duration::ZERO), parse_duration)?))
        };
        let window = || -> Result<Option<Window>, FaultError> {
            let duration = value.map(parse_duration).transpose()?;
            Ok(Some(Window { start: start_or_zero()?, duration }))
        };
        let rate = |name, example| -> Result<Rate, FaultError> {
            if let Some(start) = start {
                return Err(FaultError::UnexpectedStart { name, start: start.to_owned() });
            }
            parse_rate(value.ok_or(FaultError::MissingValue { name, example })?)
        };
        match name {
            "drop" => self.drop = rate("drop", "drop=0.05")?,
            "corrupt" => self.corrupt = rate("corrupt", "corrupt=0.05")?,
            "garbage" => self.garbage = rate("garbage", "garbage=0.05")?,
            "delay" => {
                let missing = FaultError::MissingValue { name: "delay", example: "delay=200ms@3s" };
                let span = parse_duration(value.ok_or(missing)?)?;
                self.delay = Some((span, start_or_zero()?));
            }
            "silence" => self.silence = window()?,
            "disconnect" => self.disconnect = window()?,
            "gripper255" => {
                if let Some(value) = value {
                    let value = value.to_owned();
                    return Err(FaultError::UnexpectedValue { name: "gripper255", value });
                }
                self.gripper_255 = Some(start_or_zero()?);
            }
            _ => return Err(FaultError::Unknown { name: name.to_owned() }),
        }
        Ok(())
    }
}

impl FromStr for Faults {
    type Err = FaultError;

    /// Faults separated by commas; empty for none.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        for description in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            faults.add(description)?;
        }
        Ok(faults)
    }
}

fn parse_rate(value: &str) -> Result<Rate, FaultError> {
    let refused = || FaultError::Rate { value: value.to_owned() };
    if let Some(nth) = value.strip_prefix("1/") {
        let nth: u32 = nth.parse().map_err(|_| refused())?;
        return if nth == 0 { Err(refused()) } else { Ok(Rate::EveryNth(nth)) };
    }
    let probability: f64 = value.parse().map_err(|_| refused())?;
    if (0.0..=1.0).contains(&probability) {
        Ok(Rate::Probability(probability))
    } else {
        Err(refused())
    }
}

fn parse_duration(value: &str) -> Result<Duration, FaultError> {
    let refused = || FaultError::Duration { value: value.to_owned() };
    let digits = value.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(refused)?;
    let (number, unit) = value.split_at(digits);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        _ => return Err(refused()),
    };
    let number: f64 = number.trim().parse().map_err(|_| refused())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_descriptions_are_read() {
        let faults: Faults =
            "drop=0.05, corrupt=1/20,delay=200ms@3s,silence=2s@5s,disconnect@1.5min,gripper255"
                .parse()
                .unwrap();
        let at = |seconds| Timestamp::ZERO.after(Duration::from_secs(seconds));
        assert_eq!(
            faults,
            Faults {
                drop: Rate::Probability(0.05),
                corrupt: Rate::EveryNth(20),
                garbage: Rate::Never,
                delay: Some((Duration::from_millis(200), at(3))),
                silence: Some(Window { start: at(5), duration: Some(Duration::from_secs(2)) }),
                disconnect: Some(Window { start: at(90), duration: None }),
                gripper_255: Some(Timestamp::ZERO),
            }
        );
        assert!(faults.silence.is_some_and(|w| w.contains(at(6)) && !w.contains(at(7))));
    }

    #[test]
    fn each_mistake_has_its_name() {
        let refused = |text: &str| text.parse::<Faults>().unwrap_err();
        assert!(matches!(refused("dorp=0.1"), FaultError::Unknown { name } if name == "dorp"));
        assert!(matches!(refused("drop"), FaultError::MissingValue { name: "drop", .. }));
        assert!(matches!(refused("drop=1.5"), FaultError::Rate { .. }));
        assert!(matches!(refused("drop=NaN"), FaultError::Rate { .. }));
        assert!(matches!(refused("drop=1/0"), FaultError::Rate { .. }));
        assert!(matches!(refused("drop=0.1@2s"), FaultError::UnexpectedStart { .. }));
        assert!(matches!(refused("delay=200"), FaultError::Duration { .. }));
        assert!(matches!(refused("delay=-1s"), FaultError::Duration { .. }));
        assert!(matches!(refused("silence=2parsecs"), FaultError::Duration { .. }));
        assert!(matches!(refused("silence=1e300s"), FaultError::Duration { .. }));
        assert!(matches!(refused("gripper255=1"), FaultError::UnexpectedValue { .. }));
    }
}
