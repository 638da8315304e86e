//! Faults that the mock arm can be told to have.

use std::str::FromStr;
use std::time::Duration;

use crate::Timestamp;
use crate::faults::{Description, FaultError, Rate, Stall, Window, each_of};
use crate::random::Random;
use crate::robot::LinkStatus;

/// The names, for messages.
const NAMES: &str = "drop, corrupt, garbage, delay, silence, disconnect, reset, nan, jump, stuck \
                     or stall";
/// How long a controller takes to start again if nothing else is said.
const BOOT: Duration = Duration::from_millis(300);
/// Longest delay: samples on their way are kept.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// What is wrong with the mock arm. The default is nothing. Times count from when it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Samples that never arrive.
    pub drop: Rate,
    /// Samples in which one bit is flipped.
    pub corrupt: Rate,
    /// Samples whose numbers are random bits.
    pub garbage: Rate,
    /// How old samples are when they arrive, from a moment on.
    pub delay: Option<(Duration, Timestamp)>,
    /// No samples; commands and stops are not heard. The link stays up.
    pub silence: Option<Window>,
    /// The link is down.
    pub disconnect: Option<Window>,
    /// The controller starts again: the link is down, the joints stand without torque; then they
    /// hold.
    pub reset: Option<Window>,
    /// Joint 1 measures `NaN`.
    pub nan: Option<Window>,
    /// Joint 1 measures so much more, in rad, from a moment on.
    pub jump: Option<(f64, Timestamp)>,
    /// The joints stand, whatever is commanded.
    pub stuck: Option<Window>,
    /// A read blocks its thread, once. In real time only.
    pub stall: Option<Stall>,
}

/// What becomes of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Sound,
    Dropped,
    Corrupt,
    Garbage,
}

impl Faults {
    /// Adds one fault described as `NAME[=VALUE][@START]`, where `START` counts from when the arm
    /// was made:
    ///
    /// | description | meaning |
    /// |---|---|
    /// | `drop=0.05`, `drop=1/20` | samples lost, by probability or every nth |
    /// | `corrupt=…`, `garbage=…` | likewise: one bit flipped, all numbers random; refused |
    /// | `delay=200ms@3s` | samples arrive 200 ms late, from 3 s on; at most 10 s late |
    /// | `silence=2s@5s`, `silence@5s` | no samples and no ear, for a while or for good |
    /// | `disconnect=1s@5s`, `disconnect@5s` | link down, for a while or for good |
    /// | `reset@5s`, `reset=1s@5s` | controller starts again, within 300 ms or as said |
    /// | `nan@5s`, `nan=20ms@5s` | joint 1 measures `NaN` |
    /// | `jump=0.5@5s` | joint 1 measures 0.5 rad more |
    /// | `stuck@5s`, `stuck=1s@5s` | joints stand |
    /// | `stall=2s@3s` | a read blocks its thread for 2 s, in real time |
    ///
    /// A fault that is there already is replaced; [`each_once`](crate::each_once) finds those.
    ///
    /// # Errors
    /// [`FaultError`] names what is wrong with the description.
    pub fn add(&mut self, description: &str) -> Result<(), FaultError> {
        let fault = Description::new(description);
        match fault.name {
            "drop" => self.drop = fault.rate("drop", "drop=0.05")?,
            "corrupt" => self.corrupt = fault.rate("corrupt", "corrupt=0.05")?,
            "garbage" => self.garbage = fault.rate("garbage", "garbage=0.05")?,
            "delay" => {
                let (span, start) = fault.span("delay", "delay=200ms@3s")?;
                if span > LONGEST_DELAY {
                    let value = fault.value.unwrap_or_default().to_owned();
                    let most = LONGEST_DELAY;
                    return Err(FaultError::TooLong { name: "delay", value, most });
                }
                self.delay = Some((span, start));
            }
            "silence" => self.silence = Some(fault.window()?),
            "disconnect" => self.disconnect = Some(fault.window()?),
            "reset" => {
                let Window { start, duration } = fault.window()?;
                self.reset = Some(Window { start, duration: duration.or(Some(BOOT)) });
            }
            "nan" => self.nan = Some(fault.window()?),
            "jump" => self.jump = Some(fault.quantity("jump", "jump=0.5@5s", "rad")?),
            "stuck" => self.stuck = Some(fault.window()?),
            "stall" => self.stall = Some(fault.stall()?),
            _ => return Err(fault.unknown(NAMES)),
        }
        Ok(())
    }

    /// The link at `time`, for a driver that gives up after `patience`.
    pub(super) fn link(&self, time: Timestamp, patience: Duration) -> LinkStatus {
        let mut link = LinkStatus::Up;
        for outage in [self.disconnect, self.reset].into_iter().flatten() {
            let too_long = outage.duration.is_none_or(|duration| duration > patience);
            if too_long && time >= outage.start.after(patience) {
                return LinkStatus::Lost;
            }
            if outage.contains(time) {
                link = LinkStatus::Down;
            }
        }
        link
    }

    /// What becomes of the sample of beat `index`, and the numbers that damage it. A function of
    /// the index alone, so that whoever waits for a beat knows as much as whoever takes it.
    pub(super) const fn fate(&self, seed: u64, index: u64) -> (Fate, Random) {
        let mut random = Random::new(seed.wrapping_add(index.wrapping_mul(0xD1B5_4A32_D192_ED03)));
        let count = index + 1;
        let dropped = self.drop.happens(count, random.fraction());
        let corrupt = self.corrupt.happens(count, random.fraction());
        let garbage = self.garbage.happens(count, random.fraction());
        let fate = if dropped {
            Fate::Dropped
        } else if garbage {
            Fate::Garbage
        } else if corrupt {
            Fate::Corrupt
        } else {
            Fate::Sound
        };
        (fate, random)
    }

    /// When something that lasts begins or ends.
    pub(super) fn edges(&self) -> impl Iterator<Item = Timestamp> {
        [self.silence, self.disconnect, self.reset, self.nan, self.stuck]
            .into_iter()
            .flatten()
            .flat_map(|Window { start, duration }| {
                [Some(start), duration.map(|span| start.after(span))].into_iter().flatten()
            })
    }

    /// How old the sample taken at `time` is when it arrives.
    pub(super) fn delay_at(&self, time: Timestamp) -> Duration {
        self.delay.map_or(
            Duration::ZERO,
            |(span, start)| {
                if time >= start { span } else { Duration::ZERO }
            },
        )
    }
}

/// True while `window` is there and holds.
pub(super) fn holds(window: Option<Window>, time: Timestamp) -> bool {
    window.is_some_and(|window| window.contains(time))
}

impl FromStr for Faults {
    type Err = FaultError;

    /// Faults separated by commas, each at most once; empty for none.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        each_of(text, |description| faults.add(description))?;
        Ok(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::ZERO.after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn the_documented_descriptions_are_read() {
        let window = |start, duration: u64| {
            Some(Window { start: at(start), duration: Some(Duration::from_millis(duration)) })
        };
        let faults: Faults = "drop=0.05,corrupt=1/20,garbage=1,delay=200ms@3s,silence=2s@5s,\
                              disconnect=1s@1.5min,reset@5s,nan=20ms@5s,jump=-0.5@5s,stuck=1s,\
                              stall=2s@3s"
            .parse()
            .unwrap();
        let expected = Faults {
            drop: Rate::Probability(0.05),
            corrupt: Rate::EveryNth(20),
            garbage: Rate::Probability(1.0),
            delay: Some((Duration::from_millis(200), at(3000))),
            silence: window(5000, 2000),
            disconnect: window(90_000, 1000),
            reset: window(5000, 300),
            nan: window(5000, 20),
            jump: Some((-0.5, at(5000))),
            stuck: window(0, 1000),
            stall: Some(Stall { span: Duration::from_secs(2), start: at(3000) }),
        };
        assert_eq!(faults, expected);
    }

    #[test]
    fn each_mistake_has_its_name() {
        let refused = |text: &str| text.parse::<Faults>().unwrap_err();
        let unknown = refused("gripper255@5s").to_string();
        for name in ["gripper255", "drop", "reset", "nan", "jump", "stuck", "stall"] {
            assert!(unknown.contains(name), "{unknown}");
        }
        assert!(matches!(refused("delay=11s"), FaultError::TooLong { .. }));
        let twice = refused("disconnect=1s@5s,nan@1s,disconnect=1s@10s").to_string();
        for part in ["\"disconnect=1s@5s\"", "\"disconnect=1s@10s\"", "Keep one"] {
            assert!(twice.contains(part), "{twice}");
        }
        assert!(matches!(refused("drop=0.1,drop=1/2"), FaultError::Twice { .. }));
        assert!(matches!(refused("jump@5s"), FaultError::MissingValue { name: "jump", .. }));
        assert!(matches!(refused("jump=NaN@5s"), FaultError::Quantity { unit: "rad", .. }));
        assert!(matches!(refused("reset=soon"), FaultError::Duration { .. }));
        assert!(matches!(refused("drop=1/20@3s"), FaultError::UnexpectedStart { .. }));
    }

    #[test]
    fn an_outage_beyond_patience_is_a_loss_for_good() {
        let patience = Duration::from_secs(2);
        let links = |text: &str| {
            let faults: Faults = text.parse().unwrap();
            [999, 1000, 2999, 3000, 9000].map(|time| faults.link(at(time), patience))
        };
        use LinkStatus::{Down, Lost, Up};
        assert_eq!(links("disconnect=2s@1s"), [Up, Down, Down, Up, Up]);
        assert_eq!(links("disconnect=3s@1s"), [Up, Down, Down, Lost, Lost]);
        assert_eq!(links("disconnect@1s"), [Up, Down, Down, Lost, Lost]);
        assert_eq!(links("reset@1s"), [Up, Down, Up, Up, Up]);
    }

    #[test]
    fn rates_are_kept_and_repeat() {
        let faults: Faults = "drop=1/4,corrupt=0.2".parse().unwrap();
        let fates = |seed| (0..1000).map(|index| faults.fate(seed, index).0).collect::<Vec<_>>();
        let count = |fate| fates(1).iter().filter(|it| **it == fate).count();
        assert_eq!(count(Fate::Dropped), 250);
        assert!((100..200).contains(&count(Fate::Corrupt)), "{}", count(Fate::Corrupt));
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
    }
}
