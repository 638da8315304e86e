//! Faults that the emulator can be told to have.

use std::str::FromStr;
use std::time::Duration;

use crate::Timestamp;
use crate::faults::{Description, FaultError, Rate, Window, each_of};

/// What is wrong with the emulated arm or its network. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Commands that are lost on the way to the arm.
    pub drop: Rate,
    /// States that are lost on the way to the client.
    pub drop_state: Rate,
    /// Additional time before every state, from a moment on.
    pub delay: Option<(Duration, Timestamp)>,
    /// No states are sent.
    pub silence: Option<Window>,
    /// The arm takes a contact for a collision.
    pub reflex: Option<Timestamp>,
    /// Something pushes the end effector down with this force in N, for a fifth of a second.
    pub push: Option<(f64, Timestamp)>,
    /// Somebody holds the buttons for guiding by hand.
    pub guide: Option<Window>,
    /// The user stop is pressed.
    pub user_stop: Option<Window>,
    /// No power: brakes closed, connections closed and refused.
    pub power_off: Option<Window>,
}

/// The names, for messages.
const NAMES: &str = "drop, drop-state, delay, silence, reflex, push, guide, user-stop or power-off";

impl Faults {
    /// Adds one fault described as `NAME[=VALUE][@START]`, where `START` counts from the
    /// emulator's start:
    ///
    /// | description | meaning |
    /// |---|---|
    /// | `drop=0.05`, `drop=1/20` | commands lost, by probability or every nth |
    /// | `drop-state=…` | likewise: states lost |
    /// | `delay=2ms@3s` | states 2 ms later, from 3 s on: the commands for them come too late |
    /// | `silence=2s@5s`, `silence@5s` | no states, for a while or for good |
    /// | `reflex@5s` | a contact is taken for a collision |
    /// | `push=50@5s` | the end effector is pushed down with 50 N, for 0.2 s |
    /// | `guide=2s@5s`, `guide@5s` | the buttons for guiding are held, for a while or for good: a push moves the arm |
    /// | `user-stop=2s@5s`, `user-stop@5s` | the user stop is pressed, for a while or for good |
    /// | `power-off=2s@5s`, `power-off@5s` | no power, for a while or for good |
    ///
    /// A fault that is there already is replaced; [`each_once`](crate::each_once) finds those.
    ///
    /// # Errors
    /// [`FaultError`] names what is wrong with the description.
    pub fn add(&mut self, description: &str) -> Result<(), FaultError> {
        let fault = Description::new(description);
        match fault.name {
            "drop" => self.drop = fault.rate("drop", "drop=0.05")?,
            "drop-state" => self.drop_state = fault.rate("drop-state", "drop-state=0.05")?,
            "delay" => self.delay = Some(fault.span("delay", "delay=2ms@3s")?),
            "silence" => self.silence = Some(fault.window()?),
            "reflex" => self.reflex = Some(fault.moment("reflex")?),
            "push" => self.push = Some(fault.quantity("push", "push=50@5s", "N")?),
            "guide" => self.guide = Some(fault.window()?),
            "user-stop" => self.user_stop = Some(fault.window()?),
            "power-off" => self.power_off = Some(fault.window()?),
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
    fn the_documented_descriptions_are_read_and_each_mistake_has_its_name() {
        let text = "drop=0.05,drop-state=1/20,delay=2ms@3s,silence=2s@5s,reflex@5s,push=50@6s,\
                    guide=1s@2s,user-stop=2s@5s,power-off@6s";
        let faults: Faults = text.parse().unwrap();
        let at = |seconds| Timestamp::ZERO.after(Duration::from_secs(seconds));
        assert_eq!(faults.drop_state, Rate::EveryNth(20));
        assert_eq!(faults.reflex, Some(at(5)));
        assert_eq!(faults.push, Some((50.0, at(6))));
        assert_eq!(faults.power_off, Some(Window { start: at(6), duration: None }));
        let refused = |text: &str| text.parse::<Faults>().unwrap_err();
        assert!(refused("glitch=1/20").to_string().contains("user-stop"));
        assert!(matches!(refused("reflex=1"), FaultError::UnexpectedValue { .. }));
        assert!(matches!(refused("drop=0.1,drop=0.2"), FaultError::Twice { .. }));
    }
}
