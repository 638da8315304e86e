//! A low-pass filter of torques.

use sinew_simulation::dynamics::Joints;

/// A first-order low-pass filter, exact for inputs that stay for a cycle.
#[derive(Clone, Copy, Debug)]
pub struct LowPass<const N: usize> {
    cutoff_hz: f64,
    value: Option<Joints<N>>,
}

impl<const N: usize> LowPass<N> {
    /// A filter that lets half the power through at `cutoff_hz`.
    pub const fn new(cutoff_hz: f64) -> Self {
        Self { cutoff_hz, value: None }
    }

    /// Begins again with the next input.
    pub fn reset(&mut self) {
        self.value = None;
    }

    /// One step of `dt` seconds.
    pub fn step(&mut self, input: Joints<N>, dt: f64) -> Joints<N> {
        let share = -(-std::f64::consts::TAU * self.cutoff_hz * dt).exp_m1();
        let before = self.value.unwrap_or(input);
        *self.value.insert(before + (input - before) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_approached_as_an_exponential_and_a_beginning_is_none() {
        let mut filter = LowPass::<1>::new(10.0);
        let step =
            |filter: &mut LowPass<1>, value: f64| filter.step(Joints::from([value]), 1e-3)[0];
        assert_eq!(step(&mut filter, 3.0), 3.0);
        let mut last = 0.0;
        for _ in 0..20 {
            last = step(&mut filter, 4.0);
        }
        let expected = 4.0 - (-std::f64::consts::TAU * 10.0 * 0.02_f64).exp();
        assert!((last - expected).abs() < 1e-12, "{last}, {expected}");
        filter.reset();
        assert_eq!(step(&mut filter, -2.0), -2.0);
    }
}
