//! The gate for efforts.

use sinew_episodes::journal::ClampCause;

use super::bounds::EffortLimits;

/// Limits effort and its rate for one joint. Its state is the previous command.
#[derive(Clone, Copy, Debug)]
pub struct EffortGate {
    limits: EffortLimits,
    /// Largest change in one cycle.
    change: f64,
    previous: f64,
}

impl EffortGate {
    /// A gate for cycles of `dt` seconds that begins at no effort.
    pub fn new(limits: EffortLimits, dt: f64) -> Self {
        Self { limits, change: limits.max_rate * dt, previous: 0.0 }
    }

    /// Begins again at `effort`: what the joint bears when a connection begins.
    pub fn reset(&mut self, effort: f64) {
        let effort = if effort.is_finite() { effort } else { 0.0 };
        self.previous = effort.clamp(-self.limits.max, self.limits.max);
    }

    /// The last effort.
    pub const fn effort(&self) -> f64 {
        self.previous
    }

    /// The effort nearest to `wanted` that the limits allow, and the set of [`ClampCause`] bits of
    /// those that bound it. An effort that is not finite is one of 0, approached at the allowed
    /// rate. Effort itself comes before its rate, and both can always be kept, because the previous
    /// command was within the first.
    pub fn apply(&mut self, wanted: f64) -> (f64, u16) {
        let mut clamps = 0;
        let wanted = if wanted.is_finite() {
            wanted
        } else {
            clamps |= ClampCause::NonFinite.bit();
            0.0
        };
        let most = wanted.clamp(-self.limits.max, self.limits.max);
        if most != wanted {
            clamps |= ClampCause::Effort.bit();
        }
        let change = (most - self.previous).clamp(-self.change, self.change);
        if change != most - self.previous {
            clamps |= ClampCause::EffortRate.bit();
            self.previous += change;
        } else {
            self.previous = most;
        }
        (self.previous, clamps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: EffortLimits = EffortLimits { max: 10.0, max_rate: 1000.0 };

    fn gate() -> EffortGate {
        EffortGate::new(LIMITS, 0.001)
    }

    #[test]
    fn an_effort_inside_its_limits_passes_unchanged() {
        let mut gate = gate();
        for wanted in [0.5, 1.25, 0.3, -0.7] {
            assert_eq!(gate.apply(wanted), (wanted, 0));
        }
    }

    #[test]
    fn a_jump_is_spread_over_cycles_and_a_large_effort_cut_off() {
        let mut gate = gate();
        let both = ClampCause::Effort.bit() | ClampCause::EffortRate.bit();
        assert_eq!(gate.apply(25.0), (1.0, both));
        for _ in 0..9 {
            gate.apply(25.0);
        }
        assert_eq!(gate.apply(25.0), (10.0, ClampCause::Effort.bit()));
        assert_eq!(gate.apply(9.5), (9.5, 0));
    }

    #[test]
    fn what_is_not_finite_takes_the_effort_to_zero_at_the_allowed_rate() {
        let mut gate = gate();
        gate.reset(2.5);
        let both = ClampCause::NonFinite.bit() | ClampCause::EffortRate.bit();
        assert_eq!(gate.apply(f64::NAN), (1.5, both));
        assert_eq!(gate.apply(f64::NEG_INFINITY), (0.5, both));
        assert_eq!(gate.apply(f64::INFINITY), (0.0, ClampCause::NonFinite.bit()));
    }

    #[test]
    fn a_beginning_outside_the_limits_or_of_no_number_is_brought_inside() {
        let mut gate = gate();
        gate.reset(f64::NAN);
        assert_eq!(gate.apply(0.0), (0.0, 0));
        gate.reset(-30.0);
        assert_eq!(gate.apply(-30.0), (-10.0, ClampCause::Effort.bit()));
    }

    proptest! {
        #[test]
        fn whatever_is_asked_effort_and_rate_stay_inside(
            begin in -50.0..50.0f64,
            wanted in prop::collection::vec(prop_oneof![
                6 => -40.0..40.0f64, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-1e308),
            ], 1..80),
        ) {
            let mut gate = gate();
            gate.reset(begin);
            let mut before = begin.clamp(-10.0, 10.0);
            for wanted in wanted {
                let (effort, _) = gate.apply(wanted);
                prop_assert!(effort.abs() <= 10.0);
                prop_assert!((effort - before).abs() <= 1.0 + 1e-12);
                before = effort;
            }
        }
    }
}
