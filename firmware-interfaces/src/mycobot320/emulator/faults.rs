//! Faults that the emulator can be told to have.

use std::str::FromStr;
use std::time::Duration;

use crate::Timestamp;
use crate::faults::{Description, FaultError, Rate, Stall, Window, each_of};

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
    /// The controller starts again: it answers nothing for a second, then stands without power.
    pub reset: Option<Timestamp>,
    /// The gripper's value reads 255, from a moment on.
    pub gripper_255: Option<Timestamp>,
    /// A read of the *driver* blocks the control thread. Whoever opens the robot sees to it: the
    /// firmware does not know.
    pub stall: Option<Stall>,
}

/// The names, for messages.
const NAMES: &str =
    "drop, corrupt, garbage, delay, silence, disconnect, reset, gripper255 or stall";

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
    /// | `reset@5s` | the controller starts again, without power |
    /// | `gripper255@5s` | failed gripper reads |
    /// | `stall=2s@3s` | the control thread is blocked for 2 s, in real time |
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
            "delay" => self.delay = Some(fault.span("delay", "delay=200ms@3s")?),
            "silence" => self.silence = Some(fault.window()?),
            "disconnect" => self.disconnect = Some(fault.window()?),
            "reset" => self.reset = Some(fault.moment("reset")?),
            "gripper255" => self.gripper_255 = Some(fault.moment("gripper255")?),
            "stall" => self.stall = Some(fault.stall()?),
            _ => return Err(fault.unknown(NAMES)),
        }
        Ok(())
    }
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

    #[test]
    fn the_documented_descriptions_are_read() {
        let faults: Faults =
            "drop=0.05, corrupt=1/20,delay=200ms@3s,silence=2s@5s,disconnect@1.5min,gripper255,\
             reset@4s,stall=2s@3s"
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
                reset: Some(at(4)),
                gripper_255: Some(Timestamp::ZERO),
                stall: Some(Stall { span: Duration::from_secs(2), start: at(3) }),
            }
        );
        assert!(faults.silence.is_some_and(|w| w.contains(at(6)) && !w.contains(at(7))));
    }

    #[test]
    fn each_mistake_has_its_name() {
        let refused = |text: &str| text.parse::<Faults>().unwrap_err();
        let unknown = refused("dorp=0.1").to_string();
        for name in ["dorp", "drop", "reset", "stall"] {
            assert!(unknown.contains(name), "{unknown}");
        }
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
        assert!(matches!(refused("reset=1s@5s"), FaultError::UnexpectedValue { .. }));
        assert!(matches!(refused("stall@3s"), FaultError::MissingValue { .. }));
    }
}
