//! The device's clock on ours.

use crate::Timestamp;

/// How fast the two clocks may drift apart before it is measured, in parts per million: more than
/// quartz does.
const QUARTZ_PPM: i128 = 500;
/// How fast they may drift apart at all: ceramic resonators stay within half of it, and velocities
/// that are learned from such times are wrong by as much.
const MOST_PPM: i128 = 10_000;
/// Over what time of the device's the drift is measured, in ns.
const WINDOW: i128 = 500_000_000;
/// A drift is believed when so many windows in a row have shown it: a line that has become slower
/// shows it in one.
const WINDOWS: usize = 3;
const PPM: i128 = 1_000_000;

/// Maps the device's time to the run's: a sample was taken at its own time plus the smallest delay
/// seen, so that what the line adds now and then does not show. The delay's constant part cannot be
/// seen from one side, and counts as none.
///
/// The smallest delay would be that of the beginning for ever if the device's clock ran slow, and
/// every sample would grow older. So it grows by what quartz may drift, and by the drift that the
/// smallest delays of some windows in a row have in common.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeviceTime {
    /// Device time in ns, and ours minus it, of the last sample.
    last: Option<(i128, i128)>,
    /// The window that is under way: its begin, and the least of ours minus device time in it, with
    /// the device time at which that was.
    window: Option<(i128, (i128, i128))>,
    /// The least of the window before.
    before: Option<(i128, i128)>,
    /// Drifts from one window to the next, newest first, in ppm; and how many there are.
    drifts: [i128; WINDOWS],
    known: usize,
}

impl DeviceTime {
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// When the sample that was taken at `device_us` and arrived now was taken.
    pub(super) fn captured(&mut self, device_us: u64, arrived: Timestamp) -> Timestamp {
        let device = i128::from(device_us) * 1000;
        let seen = i128::from(arrived.as_nanos()) - device;
        let anchor = self.measure(device, seen);
        let offset = self.last.map_or(seen, |(last, offset)| {
            let grown = offset + (device - last).max(0) * (self.drift() + QUARTZ_PPM) / PPM;
            // A drift that has just been found began before: what it has added since is caught up.
            seen.min(anchor.map_or(grown, |anchor| grown.max(anchor)))
        });
        self.last = Some((device, offset));
        let nanos = u64::try_from(device + offset).unwrap_or_default();
        Timestamp::from_nanos(nanos)
    }

    /// Time on the device's clock since the last sample, in ns; `None` for the first.
    pub(super) fn since_last(&self, device_us: u64) -> Option<i128> {
        self.last.map(|(last, _)| i128::from(device_us) * 1000 - last)
    }

    /// By how much the device's clock is slow, in ppm, where that is more than clocks may be; negative
    /// where it is fast.
    pub(super) fn excess(&self) -> Option<i32> {
        let drift = self.common()?;
        (drift.abs() > MOST_PPM).then(|| drift.clamp(-999_999, 999_999) as i32)
    }

    /// The largest drift that is borne, in ppm.
    pub(super) const fn most() -> i32 {
        MOST_PPM as i32
    }

    /// The drift that all known windows share, 0 where they share none.
    fn common(&self) -> Option<i128> {
        let drifts = self.drifts.get(..self.known).filter(|_| self.known == WINDOWS)?;
        let (low, high) = (drifts.iter().min()?, drifts.iter().max()?);
        Some(if *low > 0 {
            *low
        } else if *high < 0 {
            *high
        } else {
            0
        })
    }

    /// By how much a slow clock is slow, in ppm: what the smallest delay is let grow by.
    fn drift(&self) -> i128 {
        self.common().unwrap_or(0).clamp(0, MOST_PPM)
    }

    /// Takes a sample into the windows. At the end of one, and where the clock is slow, it says where
    /// the smallest delay must be by now.
    fn measure(&mut self, device: i128, seen: i128) -> Option<i128> {
        let (begin, least) = self.window.get_or_insert((device, (seen, device)));
        if seen <= least.0 {
            *least = (seen, device);
        }
        if device - *begin < WINDOW {
            return None;
        }
        let (ended, at) = *least;
        self.window = None;
        if let Some((delay, since)) = self.before.replace((ended, at)) {
            self.drifts.rotate_right(1);
            // Two least delays that lie close together say little.
            self.drifts[0] = (ended - delay) * PPM / (at - since).max(WINDOW / 2);
            self.known = (self.known + 1).min(WINDOWS);
        }
        let drift = self.drift();
        (drift > QUARTZ_PPM).then_some(ended + (device - at) * drift / PPM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten minutes at 1 kHz of a device whose clock is `ppm` slow, on a line that takes 0.4 ms and up
    /// to 3 ms more. Returns the largest error of a sample's time from second `from` on, in ns.
    fn worst(time: &mut DeviceTime, ppm: i64, from: u64) -> i64 {
        let mut worst: i64 = 0;
        for index in 0..600_000_u64 {
            let true_ns = 5_000_000_000 + index * (1_000_000_000 + ppm * 1000) as u64 / 1000;
            let arrived = true_ns + 400_000 + (index * 7919 % 100) * 30_000;
            let captured = time.captured(index * 1000, Timestamp::from_nanos(arrived));
            assert!(captured.as_nanos() <= arrived);
            if index >= from * 1000 {
                worst = worst.max((captured.as_nanos() as i64 - true_ns as i64 - 400_000).abs());
            }
        }
        worst
    }

    #[test]
    fn delays_that_come_and_go_do_not_show_and_drift_is_followed_for_ten_minutes() {
        for ppm in [0, 200, -200, 450] {
            let mut time = DeviceTime::default();
            // The first hundred milliseconds have not seen the least delay yet.
            let worst = worst(&mut time, ppm, 1);
            assert!(worst < 150_000, "{ppm} ppm: {worst} ns");
            assert_eq!(time.excess(), None);
        }
    }

    #[test]
    fn a_resonators_drift_is_measured_and_followed() {
        for ppm in [5000, -5000, 9500] {
            let mut time = DeviceTime::default();
            let worst = worst(&mut time, ppm, 3);
            assert!(worst < 1_200_000, "{ppm} ppm: {worst} ns");
            assert_eq!(time.excess(), None);
        }
    }

    #[test]
    fn a_clock_that_is_no_clock_is_found() {
        for (ppm, least) in [(20_000, 15_000), (-20_000, 15_000), (300_000, 200_000)] {
            let mut time = DeviceTime::default();
            worst(&mut time, ppm, 600);
            let excess = time.excess().unwrap();
            assert_eq!(excess.signum(), ppm.signum() as i32);
            assert!(i64::from(excess.abs()) > least, "{ppm}: {excess}");
        }
    }

    #[test]
    fn a_line_that_has_become_slower_is_no_drift() {
        let mut time = DeviceTime::default();
        for index in 0..60_000_u64 {
            let delay = if index < 10_000 { 400_000 } else { 20_400_000 };
            let arrived = Timestamp::from_nanos(1_000_000_000 + index * 1_000_000 + delay);
            time.captured(index * 1000, arrived);
            assert_eq!((time.drift(), time.excess()), (0, None), "{index}");
        }
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
