//! Faults that the emulator can be told to have.

use std::str::FromStr;
use std::time::Duration;

use crate::Timestamp;
use crate::faults::{Description, FaultError, Rate, Stall, Window, each_of};

/// What is wrong with the emulated rig. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Periods whose state is not sent.
    pub drop: Rate,
    /// States in which one bit is flipped.
    pub corrupt: Rate,
    /// States with up to 12 random bytes in front.
    pub garbage: Rate,
    /// Periods in which the encoder reads 1 rad too much.
    pub glitch: Rate,
    /// Additional time before everything that is sent, from a moment on.
    pub delay: Option<(Duration, Timestamp)>,
    /// Nothing is heard and nothing is sent.
    pub silence: Option<Window>,
    /// The connection is closed and refused.
    pub disconnect: Option<Window>,
    /// The controller starts again, without torque.
    pub reset: Option<Timestamp>,
    /// The encoder reads this much more, in rad, from a moment on: it has slipped.
    pub jump: Option<(f64, Timestamp)>,
    /// Periods in which the gyroscope reads 30 rad/s too much about z.
    pub gyro_glitch: Rate,
    /// The gyroscope reads this about z whatever happens, in rad/s, from a moment on.
    pub gyro_stuck: Option<(f64, Timestamp)>,
    /// The device's clock gains so much, in ppm, from a moment on.
    pub drift: Option<(f64, Timestamp)>,
    /// The motor is too hot, from a moment on.
    pub overheat: Option<Timestamp>,
    /// A read of the *driver* blocks the control thread. Whoever opens the robot sees to it: the
    /// firmware does not know.
    pub stall: Option<Stall>,
}

/// The names, for messages.
const NAMES: &str = "drop, corrupt, garbage, glitch, delay, silence, disconnect, reset, jump, \
                     gyro-glitch, gyro-stuck, drift, overheat or stall";

impl Faults {
    /// Adds one fault described as `NAME[=VALUE][@START]`, where `START` counts from the
    /// emulator's start:
    ///
    /// | description | meaning |
    /// |---|---|
    /// | `drop=0.05`, `drop=1/20` | states lost, by probability or every nth |
    /// | `corrupt=…`, `garbage=…` | likewise: one bit flipped, random bytes in front |
    /// | `glitch=1/500` | likewise: the encoder reads 1 rad too much, once |
    /// | `delay=5ms@3s` | everything 5 ms later, from 3 s on |
    /// | `silence=2s@5s`, `silence@5s` | deaf and dumb, for a while or for good |
    /// | `disconnect=1s@5s`, `disconnect@5s` | connection closed, for a while or for good |
    /// | `reset@5s` | the controller starts again, without torque |
    /// | `jump=0.5@5s` | the encoder has slipped by 0.5 rad |
    /// | `gyro-glitch=1/500` | the gyroscope reads 30 rad/s too much, by probability or every nth |
    /// | `gyro-stuck=20@5s` | the gyroscope reads 20 rad/s, whatever happens |
    /// | `drift=-5000@5s` | its clock loses 5000 ppm |
    /// | `overheat@5s` | the motor is too hot and has no torque |
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
            "glitch" => self.glitch = fault.rate("glitch", "glitch=1/500")?,
            "delay" => self.delay = Some(fault.span("delay", "delay=5ms@3s")?),
            "silence" => self.silence = Some(fault.window()?),
            "disconnect" => self.disconnect = Some(fault.window()?),
            "reset" => self.reset = Some(fault.moment("reset")?),
            "jump" => self.jump = Some(fault.quantity("jump", "jump=0.5@5s", "rad")?),
            "gyro-glitch" => self.gyro_glitch = fault.rate("gyro-glitch", "gyro-glitch=1/500")?,
            "gyro-stuck" => {
                self.gyro_stuck =
                    Some(fault.quantity("gyro-stuck", "gyro-stuck=20@5s", "rad/s")?);
            }
            "drift" => self.drift = Some(fault.quantity("drift", "drift=-5000@5s", "ppm")?),
            "overheat" => self.overheat = Some(fault.moment("overheat")?),
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
    fn the_documented_descriptions_are_read_and_each_mistake_has_its_name() {
        let faults: Faults = "drop=0.05,glitch=1/500,delay=5ms@3s,silence=2s@5s,disconnect@5s,\
                              reset@5s,jump=-0.5@5s,overheat@5s,stall=2s@3s,corrupt=1,garbage=0"
            .parse()
            .unwrap();
        let at = |seconds| Timestamp::ZERO.after(Duration::from_secs(seconds));
        assert_eq!(faults.glitch, Rate::EveryNth(500));
        assert_eq!(faults.jump, Some((-0.5, at(5))));
        assert_eq!(faults.overheat, Some(at(5)));
        assert_eq!(
            faults.silence,
            Some(Window { start: at(5), duration: Some(Duration::from_secs(2)) })
        );
        let refused = |text: &str| text.parse::<Faults>().unwrap_err();
        assert!(refused("gripper255").to_string().contains("overheat"));
        assert!(matches!(refused("jump=NaN"), FaultError::Quantity { .. }));
        assert!(matches!(refused("reset=1"), FaultError::UnexpectedValue { .. }));
        assert!(matches!(refused("drop=0.1,drop=0.2"), FaultError::Twice { .. }));
    }
}
