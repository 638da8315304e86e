//! How long the latest inferences took.

use std::time::Duration;

/// Inferences that count. One that the computer kept waiting shall not shorten the period of the
/// inferences for ever.
const COUNT: usize = 16;

/// The latest latencies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    latencies: [Duration; COUNT],
    next: usize,
}

impl Recent {
    /// Adds one; the oldest is forgotten.
    pub(super) fn push(&mut self, latency: Duration) {
        self.latencies[self.next] = latency;
        self.next = (self.next + 1) % COUNT;
    }

    /// The longest of them, zero where there is none.
    pub(super) fn slowest(&self) -> Duration {
        self.latencies.into_iter().max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_inference_is_forgotten_in_the_end() {
        let mut recent = Recent::default();
        assert_eq!(recent.slowest(), Duration::ZERO);
        recent.push(Duration::from_millis(700));
        for _ in 0..COUNT - 1 {
            recent.push(Duration::from_millis(20));
            assert_eq!(recent.slowest(), Duration::from_millis(700));
        }
        recent.push(Duration::from_millis(21));
        assert_eq!(recent.slowest(), Duration::from_millis(21));
    }
}
