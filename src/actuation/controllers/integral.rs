//! The integral part of a law, which never winds up.

use nalgebra::SVector;

/// An integral in the unit of what it adds, N·m or N, bounded on both sides.
#[derive(Clone, Copy, Debug)]
pub struct Integral<const N: usize> {
    limit: SVector<f64, N>,
    sum: SVector<f64, N>,
}

impl<const N: usize> Integral<N> {
    /// An integral that adds at most `limit` to either side.
    pub fn new(limit: SVector<f64, N>) -> Self {
        Self { limit, sum: SVector::zeros() }
    }

    /// What it adds.
    pub const fn value(&self) -> &SVector<f64, N> {
        &self.sum
    }

    /// Begins again at 0.
    pub fn reset(&mut self) {
        self.sum = SVector::zeros();
    }

    /// Goes on by `rate · dt` in every entry that `runs`; the others stay, but for the way back to
    /// 0: what the drive cannot give must not add up.
    pub fn add(&mut self, rate: &SVector<f64, N>, dt: f64, runs: impl Fn(usize) -> bool) {
        for (index, sum) in self.sum.iter_mut().enumerate() {
            let next = (*sum + rate[index] * dt).clamp(-self.limit[index], self.limit[index]);
            if runs(index) || next.abs() < sum.abs() {
                *sum = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bounds_and_what_is_held_only_comes_back() {
        let mut integral = Integral::new(SVector::<f64, 2>::from([2.0, 5.0]));
        for _ in 0..1000 {
            integral.add(&SVector::<f64, 2>::from([10.0, 1.0]), 1e-3, |_| true);
        }
        assert_eq!(integral.value()[0], 2.0);
        assert!((integral.value()[1] - 1.0).abs() < 1e-12);
        integral.add(&SVector::<f64, 2>::from([-10.0, 1.0]), 0.1, |_| false);
        assert_eq!(integral.value()[0], 1.0);
        assert!((integral.value()[1] - 1.0).abs() < 1e-12);
        integral.reset();
        assert_eq!(*integral.value(), SVector::<f64, 2>::zeros());
    }
}
