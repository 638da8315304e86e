//! A network's own rate against that of whoever steps it.

use super::ParameterError;

/// Highest rate that is believed.
pub(super) const MAX_RATE_HZ: f64 = 100_000.0;

/// How far a ratio of rates may be from a whole number.
const TOLERANCE: f64 = 0.01;

/// Lets a network step at every k-th call.
pub(super) struct Divider {
    calls: u32,
    /// Calls until the next step.
    left: u32,
}

/// Refuses a rate that is none.
pub(super) fn check(rate_hz: f64) -> Result<(), ParameterError> {
    if rate_hz > 0.0 && rate_hz <= MAX_RATE_HZ {
        return Ok(());
    }
    let allowed = "above 0, to 100000";
    Err(ParameterError::Value { what: "rate_hz", value: rate_hz, allowed })
}

impl Divider {
    /// For a network of `model_hz` that is called at `caller_hz`.
    pub(super) fn new(model_hz: f64, caller_hz: f64) -> Result<Self, ParameterError> {
        check(model_hz)?;
        check(caller_hz)?;
        let ratio = caller_hz / model_hz;
        let calls = ratio.round();
        if calls < 1.0 || (ratio - calls).abs() > TOLERANCE * calls {
            let nearest = model_hz * calls.max(1.0);
            return Err(ParameterError::Rates { model_hz, caller_hz, nearest });
        }
        Ok(Self { calls: calls as u32, left: 0 })
    }

    /// Whether the network steps at this call.
    pub(super) fn is_due(&self) -> bool {
        self.left == 0
    }

    /// Counts a call.
    pub(super) fn advance(&mut self) {
        self.left = if self.left == 0 { self.calls - 1 } else { self.left - 1 };
    }

    /// Lets the next call be one with a step.
    pub(super) fn restart(&mut self) {
        self.left = 0;
    }

    /// Calls for each step.
    pub(super) fn calls(&self) -> u32 {
        self.calls
    }
}
