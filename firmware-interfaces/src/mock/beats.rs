//! The device's clock: an absolute grid, a little off the run's.

use std::time::Duration;

use crate::Timestamp;

/// Beat `k` is at `origin + k / rate`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beats {
    origin: Timestamp,
    rate_hz: f64,
}

impl Beats {
    /// Beats whose number 0 is at `origin`. A rate that is none is one a second.
    pub(super) fn new(origin: Timestamp, rate_hz: f64, drift_ppm: f64) -> Self {
        let rate = rate_hz * (1.0 + drift_ppm * 1e-6);
        let rate_hz = if rate.is_finite() && rate > 0.0 { rate } else { 1.0 };
        Self { origin, rate_hz }
    }

    /// When beat `index` is due. Computed from the index each time, so that no error adds up.
    pub(super) fn due(&self, index: u64) -> Timestamp {
        let nanos = (index as f64 * 1e9 / self.rate_hz).round() as u64;
        self.origin.after(Duration::from_nanos(nanos))
    }

    /// The last beat at or before `time`, or one beside it: rounding decides.
    pub(super) fn index(&self, time: Timestamp) -> u64 {
        self.at_elapsed(self.elapsed(time))
    }

    /// The same, for a time on the device's own axis.
    pub(super) fn at_elapsed(&self, elapsed: Timestamp) -> u64 {
        self.count(elapsed.since(Timestamp::ZERO))
    }

    /// Beats in `span`.
    pub(super) fn count(&self, span: Duration) -> u64 {
        (span.as_secs_f64() * self.rate_hz) as u64
    }

    /// `time` on the device's own axis, which begins with beat 0.
    pub(super) const fn elapsed(&self, time: Timestamp) -> Timestamp {
        Timestamp::ZERO.after(time.since(self.origin))
    }
}
