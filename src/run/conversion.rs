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
    /// What breaking it off means.
    offer: &'static str,
    /// What the operator had asked for before; that was for the arm.
    raised: u32,
    told: Instant,
}

impl<'a> Conversion<'a> {
    /// `offer` completes "Ctrl-C ...".
    pub fn new(
        console: &'a mut dyn Console,
        operator: &'a OperatorSignal,
        offer: &'static str,
    ) -> Self {
        Self { console, operator, offer, raised: operator.raised(), told: Instant::now() }
    }

    /// Tells how far it is, now and then, and whether it may go on. As long as an arm listens,
    /// what the operator asks is meant for that: it is neither asked for nor taken here.
    pub fn watch(&mut self, converted: &Converted<'_>) -> ControlFlow<()> {
        let raised = self.operator.raised();
        let offers = !self.operator.has_arms();
        if !offers {
            self.raised = raised;
        } else if raised > self.raised {
            return ControlFlow::Break(());
        }
        if self.told.elapsed() >= PACE {
            self.told = Instant::now();
            let Converted { run, frames, of } = converted;
            let offer = if offers { format!("; Ctrl-C {}", self.offer) } else { String::new() };
            self.console
                .progress(&format!("run {run} becomes an episode: {frames} of {of} frames{offer}"));
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
        let mut conversion = Conversion::new(&mut console, &operator, "leaves it");
        let converted = Converted { run: "run", frames: 1, of: 2 };
        assert!(conversion.watch(&converted).is_continue());
        // Another robot's fault stops this arm; it says nothing of the recording.
        operator.stop();
        assert!(conversion.watch(&converted).is_continue());
        // What is asked while an arm listens is for the arm.
        let arm = operator.listening_arm();
        operator.raise();
        assert!(conversion.watch(&converted).is_continue());
        drop(arm);
        assert!(conversion.watch(&converted).is_continue());
        operator.raise();
        assert!(conversion.watch(&converted).is_break());
    }
}
