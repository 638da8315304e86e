//! Faults that the emulator can be told to have.

use crate::Timestamp;
use crate::faults::{Description, FaultError, Rate, Stall, Window};

/// What is wrong with the emulated bus and its actuators. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Answers that are not sent. The command has been executed.
    pub drop: Rate,
    /// Answers in which one bit of data is flipped (an adapter's fault: CAN itself has a checksum).
    pub corrupt: Rate,
    /// Answers with up to 12 random bytes in front, on the adapter's line.
    pub garbage: Rate,
    /// Answers that are followed by a frame of a node that nobody knows.
    pub unknown: Rate,
    /// No actuator hears or says anything. What they do goes on, until their watchdogs end it.
    pub silence: Option<Window>,
    /// The adapter's connection is closed and refused.
    pub disconnect: Option<Window>,
    /// The adapter's controller is bus-off: it refuses frames and hears none.
    pub bus_off: Option<Window>,
    /// The first actuator reports over-temperature and has no torque, from a moment on.
    pub over_temperature: Option<Timestamp>,
    /// The first actuator's encoder is off by so much (rad), from a moment on.
    pub jump: Option<(f64, Timestamp)>,
    /// A read of the *driver* blocks the control thread. Whoever opens the robot sees to it.
    pub stall: Option<Stall>,
}

/// The names, for messages.
const NAMES: &str = "drop, corrupt, garbage, unknown, silence, disconnect, bus-off, over-temperature, \
                     jump or stall";

impl Faults {
    /// Adds one fault described as `NAME[=VALUE][@START]`, where `START` counts from the
    /// emulator's start:
    ///
    /// | description | meaning |
    /// |---|---|
    /// | `drop=0.05`, `drop=1/20` | answers lost, by probability or every nth |
    /// | `corrupt=…`, `garbage=…`, `unknown=…` | likewise: one bit flipped, random bytes in front, a frame of a stranger behind |
    /// | `silence=2s@5s`, `silence@5s` | no answers, for a while or for good |
    /// | `disconnect=1s@5s` | connection closed |
    /// | `bus-off=1s@5s` | controller off the bus |
    /// | `over-temperature@5s` | the first actuator faults |
    /// | `jump=0.7@5s` | the first actuator's encoder jumps by 0.7 rad |
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
            "unknown" => self.unknown = fault.rate("unknown", "unknown=1/50")?,
            "silence" => self.silence = Some(fault.window()?),
            "disconnect" => self.disconnect = Some(fault.window()?),
            "bus-off" => self.bus_off = Some(fault.window()?),
            "over-temperature" => self.over_temperature = Some(fault.moment("over-temperature")?),
            "jump" => self.jump = Some(fault.quantity("jump", "jump=0.7@5s", "rad")?),
            "stall" => self.stall = Some(fault.stall()?),
            _ => return Err(fault.unknown(NAMES)),
        }
        Ok(())
    }

    pub(in super::super) fn holds(window: Option<Window>, now: Timestamp) -> bool {
        window.is_some_and(|window| window.contains(now))
    }
}
