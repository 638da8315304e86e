//! What becomes of missed deadlines.

use std::time::Duration;

use sinew_firmware_interfaces::Timestamp;

use crate::config::OverrunPolicy;

/// How missed deadlines are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overruns {
    /// What a miss leads to.
    pub policy: OverrunPolicy,
    /// Misses that a window bears.
    pub allowed: u32,
    /// The time over which that many misses are forgotten.
    pub window: Duration,
}

/// What the present cycle's misses lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Bearable,
    /// The arm holds for this cycle.
    Hold,
    /// The run ends.
    Stop,
}

/// How full an [`OverrunBucket`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketLevel {
    /// Misses in it, rounded up.
    pub misses: u64,
    /// Misses that it bears.
    pub allowed: u32,
    /// The time over which it forgets that many.
    pub window: Duration,
}

/// A leaky bucket: it gains one for each missed deadline and loses `allowed` per `window`. Misses
/// that come in a burst are judged together; those far apart never add up.
#[derive(Clone, Copy, Debug)]
pub struct OverrunBucket {
    overruns: Overruns,
    level: f64,
    seen: Option<Timestamp>,
}

impl OverrunBucket {
    /// An empty bucket.
    pub const fn new(overruns: Overruns) -> Self {
        Self { overruns, level: 0.0, seen: None }
    }

    /// Judges the `misses` before the cycle at `now`.
    pub fn judge(&mut self, misses: u64, now: Timestamp) -> Verdict {
        let Overruns { policy, allowed, window } = self.overruns;
        let elapsed = self.seen.map_or(Duration::ZERO, |seen| now.since(seen));
        self.seen = Some(now);
        let drained = f64::from(allowed) * elapsed.as_secs_f64() / window.as_secs_f64();
        self.level = (self.level - drained).max(0.0) + misses as f64;
        match policy {
            OverrunPolicy::Report => Verdict::Bearable,
            _ if self.level > f64::from(allowed) => Verdict::Stop,
            OverrunPolicy::Hold if misses > 0 => Verdict::Hold,
            OverrunPolicy::Hold | OverrunPolicy::Stop => Verdict::Bearable,
        }
    }

    /// How full it is.
    pub fn level(&self) -> BucketLevel {
        let Overruns { allowed, window, .. } = self.overruns;
        BucketLevel { misses: self.level.ceil() as u64, allowed, window }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(policy: OverrunPolicy) -> OverrunBucket {
        OverrunBucket::new(Overruns { policy, allowed: 5, window: Duration::from_secs(1) })
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_report_never_acts() {
        let mut bucket = bucket(OverrunPolicy::Report);
        assert_eq!(bucket.judge(1_000_000, at(0)), Verdict::Bearable);
        assert_eq!(bucket.level().misses, 1_000_000);
    }

    #[test]
    fn each_miss_holds_and_one_more_than_allowed_stops() {
        let mut bucket = bucket(OverrunPolicy::Hold);
        for _ in 0..5 {
            assert_eq!(bucket.judge(1, at(10)), Verdict::Hold);
            assert_eq!(bucket.judge(0, at(10)), Verdict::Bearable);
        }
        assert_eq!(bucket.level().misses, 5);
        assert_eq!(bucket.judge(1, at(10)), Verdict::Stop);
    }

    #[test]
    fn misses_are_forgotten_at_the_rate_of_the_window() {
        let mut bucket = bucket(OverrunPolicy::Stop);
        assert_eq!(bucket.judge(5, at(0)), Verdict::Bearable);
        // 0.4 s later two of them are forgotten.
        assert_eq!(bucket.judge(2, at(400)), Verdict::Bearable);
        assert_eq!(bucket.level().misses, 5);
        assert_eq!(bucket.judge(1, at(400)), Verdict::Stop);
        // A miss every 200 ms is borne for ever.
        assert_eq!(bucket.judge(0, at(9_000)), Verdict::Bearable);
        for k in 0..10_000 {
            assert_eq!(bucket.judge(1, at(9_200 + 200 * k)), Verdict::Bearable, "{k}");
        }
        // Every 190 ms is not.
        let verdicts = (1..200).map(|k| bucket.judge(1, at(2_009_000 + 190 * k)));
        assert!(verdicts.into_iter().any(|verdict| verdict == Verdict::Stop));
    }

    #[test]
    fn a_longer_window_forgets_more_slowly() {
        let (policy, window) = (OverrunPolicy::Stop, Duration::from_secs(10));
        let mut bucket = OverrunBucket::new(Overruns { policy, allowed: 5, window });
        bucket.judge(5, at(0));
        assert_eq!(bucket.judge(0, at(4_000)), Verdict::Bearable);
        assert_eq!(bucket.level(), BucketLevel { misses: 3, allowed: 5, window });
    }

    #[test]
    fn none_allowed_means_none() {
        let overruns =
            Overruns { policy: OverrunPolicy::Stop, allowed: 0, window: Duration::from_secs(1) };
        let mut bucket = OverrunBucket::new(overruns);
        assert_eq!(bucket.judge(0, at(0)), Verdict::Bearable);
        assert_eq!(bucket.judge(1, at(1)), Verdict::Stop);
        assert_eq!(bucket.judge(0, at(100_000)), Verdict::Stop, "nothing drains it");
    }
}
