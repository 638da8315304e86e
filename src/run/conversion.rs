//! Runs becoming episodes, as the operator sees it: how far it is, and a way to put it off.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sinew_episodes::lerobot::Converted;

use super::Console;
use crate::control::OperatorSignal;

/// How often there is a line. A conversion that is over before has none.
const PACE: Duration = Duration::from_secs(2);

/// Watches conversions, from now on.
pub(super) struct Conversion<'a> {
    console: &'a mut dyn Console,
    operator: &'a OperatorSignal,
    /// What the operator had asked for before; that was for the arm.
    raised: u32,
    told: Instant,
}

impl<'a> Conversion<'a> {
    pub fn new(console: &'a mut dyn Console, operator: &'a OperatorSignal) -> Self {
        Self { console, operator, raised: operator.raised(), told: Instant::now() }
    }

    /// Tells how far it is, now and then, and whether it may go on.
    pub fn watch(&mut self, converted: &Converted<'_>) -> ControlFlow<()> {
        if self.operator.raised() > self.raised {
            return ControlFlow::Break(());
        }
        if self.told.elapsed() >= PACE {
            self.told = Instant::now();
            let Converted { run, frames, of } = converted;
            self.console.progress(&format!(
                "run {run} becomes an episode: {frames} of {of} frames; Ctrl-C leaves it to the \
                 next run"
            ));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Console for Silent {
        fn line(&mut self, _text: &str) {}
    }

    #[test]
    fn only_what_the_operator_asks_from_now_on_breaks_it_off() {
        let operator = OperatorSignal::default();
        operator.raise();
        let mut console = Silent;
        let mut conversion = Conversion::new(&mut console, &operator);
        let converted = Converted { run: "run", frames: 1, of: 2 };
        assert!(conversion.watch(&converted).is_continue());
        // Another robot's fault stops this arm; it says nothing of the recording.
        operator.stop();
        assert!(conversion.watch(&converted).is_continue());
        operator.raise();
        assert!(conversion.watch(&converted).is_break());
    }
}
