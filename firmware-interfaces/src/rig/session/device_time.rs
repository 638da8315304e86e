//! The device's clock on ours.

use crate::Timestamp;

/// How fast the two clocks may drift apart, in parts per million: more than quartz does.
const DRIFT_PPM: i128 = 500;

/// Maps the device's time to the run's: a sample was taken at its own time plus the smallest delay
/// seen, so that what the line adds now and then does not show. The delay's constant part cannot be
/// seen from one side, and counts as none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeviceTime {
    /// Device time in ns, and ours minus it, of the last sample.
    last: Option<(i128, i128)>,
}

impl DeviceTime {
    pub(super) const fn reset(&mut self) {
        self.last = None;
    }

    /// When the sample that was taken at `device_us` and arrived now was taken.
    pub(super) fn captured(&mut self, device_us: u64, arrived: Timestamp) -> Timestamp {
        let device = i128::from(device_us) * 1000;
        let seen = i128::from(arrived.as_nanos()) - device;
        let offset = self.last.map_or(seen, |(last, offset)| {
            let drift = (device - last).max(0) * DRIFT_PPM / 1_000_000;
            seen.min(offset + drift)
        });
        self.last = Some((device, offset));
        let nanos = u64::try_from(device + offset).unwrap_or_default();
        Timestamp::from_nanos(nanos)
    }

    /// Time on the device's clock since the last sample, in ns; `None` for the first.
    pub(super) fn since_last(&self, device_us: u64) -> Option<i128> {
        self.last.map(|(last, _)| i128::from(device_us) * 1000 - last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_that_come_and_go_do_not_show_and_drift_is_followed() {
        let mut time = DeviceTime::default();
        let mut worst: i64 = 0;
        for index in 0..100_000_u64 {
            // The device's clock is 200 ppm slow; the line takes up to 3 ms more.
            let (device_us, true_ns) = (index * 1000, 5_000_000_000 + index * 1_000_200);
            let arrived = true_ns + 400_000 + (index * 7919 % 100) * 30_000;
            let captured = time.captured(device_us, Timestamp::from_nanos(arrived));
            assert!(captured.as_nanos() <= arrived);
            if index > 100 {
                worst = worst.max((captured.as_nanos() as i64 - true_ns as i64 - 400_000).abs());
            }
        }
        assert!(worst < 100_000, "{worst}");
    }

    #[test]
    fn a_clock_that_goes_back_is_seen() {
        let mut time = DeviceTime::default();
        assert_eq!(time.since_last(5), None);
        time.captured(2000, Timestamp::from_nanos(1));
        assert_eq!(time.since_last(3000), Some(1_000_000));
        assert_eq!(time.since_last(1000), Some(-1_000_000));
    }
}
