//! The grammar in which emulated devices are told what is wrong with them:
//! `NAME[=VALUE][@START]`.

use std::time::Duration;

use crate::Timestamp;

/// How often something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Rate {
    /// Never.
    #[default]
    Never,
    /// Each time with this probability, 0 to 1.
    Probability(f64),
    /// Every nth time.
    EveryNth(u32),
}

impl Rate {
    /// Whether it happens at `count`, which counts from 1, given a number drawn evenly from 0 to 1.
    pub(crate) const fn happens(self, count: u64, drawn: f64) -> bool {
        match self {
            Self::Never => false,
            Self::Probability(probability) => drawn < probability,
            Self::EveryNth(nth) => nth != 0 && count.is_multiple_of(nth as u64),
        }
    }
}

/// A span of time in which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins, on the device's clock.
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

/// A call of [`Robot::read`](crate::Robot::read) that blocks its thread, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// How long, in real time.
    pub span: Duration,
    /// The first call at or after this time blocks, on the device's clock.
    pub start: Timestamp,
}

impl Stall {
    /// Blocks the calling thread if it is time to, and is `None` from then on.
    pub fn block(stall: &mut Option<Self>, now: Timestamp) {
        if let Some(Self { span, .. }) = stall.take_if(|stall| now >= stall.start) {
            std::thread::sleep(span);
        }
    }
}

/// Why a fault's description was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No fault of this name.
    #[error("unknown fault \"{name}\": expected {expected}")]
    Unknown {
        /// The name given.
        name: String,
        /// The names that the device knows.
        expected: &'static str,
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
    #[error("rate \"{value}\": expected a probability from 0 to 1, or 1/n for every nth time")]
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
    /// A duration that the device cannot keep samples for.
    #[error("fault \"{name}\": {value} is too long, the most is {most:?}")]
    TooLong {
        /// The fault.
        name: &'static str,
        /// The value given.
        value: String,
        /// The longest.
        most: Duration,
    },
    /// A quantity that is not a finite number.
    #[error("fault \"{name}\": expected a finite number in {unit}, got \"{value}\"")]
    Quantity {
        /// The fault.
        name: &'static str,
        /// Its unit.
        unit: &'static str,
        /// The value given.
        value: String,
    },
    /// One fault, described twice.
    #[error(
        "\"{first}\" and \"{second}\" are the same fault: a device has each of them once. Keep one"
    )]
    Twice {
        /// The first description.
        first: String,
        /// The second.
        second: String,
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

/// Refuses descriptions of which two are about the same fault: the second would silently take the
/// first one's place.
///
/// # Errors
/// [`FaultError::Twice`] with both.
pub fn each_once<'a>(descriptions: impl IntoIterator<Item = &'a str>) -> Result<(), FaultError> {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for text in descriptions {
        let name = Description::new(text).name;
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == name) {
            return Err(FaultError::Twice { first: (*first).to_owned(), second: text.to_owned() });
        }
        seen.push((name, text));
    }
    Ok(())
}

/// Passes each of the descriptions in `text`, which commas separate, to `add`; none where two
/// are about the same fault.
///
/// # Errors
/// [`FaultError::Twice`], or the first of `add`'s.
pub(crate) fn each_of(
    text: &str,
    add: impl FnMut(&str) -> Result<(), FaultError>,
) -> Result<(), FaultError> {
    let mut descriptions = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    each_once(descriptions.clone())?;
    descriptions.try_for_each(add)
}

/// One description, cut into its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: Option<&'a str>,
    start: Option<&'a str>,
}

impl<'a> Description<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let (head, start) = match text.split_once('@') {
            Some((head, start)) => (head, Some(start.trim())),
            None => (text, None),
        };
        match head.split_once('=') {
            Some((name, value)) => Self { name: name.trim(), value: Some(value.trim()), start },
            None => Self { name: head.trim(), value: None, start },
        }
    }

    pub(crate) fn unknown(&self, expected: &'static str) -> FaultError {
        FaultError::Unknown { name: self.name.to_owned(), expected }
    }

    /// `NAME=RATE`, without a start.
    pub(crate) fn rate(
        &self,
        name: &'static str,
        example: &'static str,
    ) -> Result<Rate, FaultError> {
        if let Some(start) = self.start {
            return Err(FaultError::UnexpectedStart { name, start: start.to_owned() });
        }
        parse_rate(self.needed(name, example)?)
    }

    /// `NAME[=DURATION][@START]`.
    pub(crate) fn window(&self) -> Result<Window, FaultError> {
        let duration = self.value.map(parse_duration).transpose()?;
        Ok(Window { start: self.start()?, duration })
    }

    /// `NAME=DURATION[@START]`.
    pub(crate) fn span(
        &self,
        name: &'static str,
        example: &'static str,
    ) -> Result<(Duration, Timestamp), FaultError> {
        Ok((parse_duration(self.needed(name, example)?)?, self.start()?))
    }

    /// `NAME=DURATION[@START]`, for the calling thread.
    pub(crate) fn stall(&self) -> Result<Stall, FaultError> {
        let (span, start) = self.span("stall", "stall=2s@3s")?;
        Ok(Stall { span, start })
    }

    /// `NAME=NUMBER[@START]`.
    pub(crate) fn quantity(
        &self,
        name: &'static str,
        example: &'static str,
        unit: &'static str,
    ) -> Result<(f64, Timestamp), FaultError> {
        let value = self.needed(name, example)?;
        let refused = || FaultError::Quantity { name, unit, value: value.to_owned() };
        let number: f64 = value.parse().map_err(|_| refused())?;
        if number.is_finite() { Ok((number, self.start()?)) } else { Err(refused()) }
    }

    /// `NAME[@START]`.
    pub(crate) fn moment(&self, name: &'static str) -> Result<Timestamp, FaultError> {
        match self.value {
            Some(value) => Err(FaultError::UnexpectedValue { name, value: value.to_owned() }),
            None => self.start(),
        }
    }

    fn needed(&self, name: &'static str, example: &'static str) -> Result<&'a str, FaultError> {
        self.value.ok_or(FaultError::MissingValue { name, example })
    }

    fn start(&self) -> Result<Timestamp, FaultError> {
        Ok(Timestamp::ZERO.after(self.start.map_or(Ok(Duration::ZERO), parse_duration)?))
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
