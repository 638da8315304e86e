//! The last cycles before the end, kept where no disk and no other thread can lose them.

use std::time::Duration;

use super::CycleSample;

/// How much of the past is kept.
const SPAN: Duration = Duration::from_secs(2);
/// Most cycles kept: 2 s at 1 kHz.
const MOST: usize = 2000;

/// A ring of samples in the control thread's own memory. It never grows.
#[derive(Debug)]
pub struct FlightRecorder {
    samples: Box<[CycleSample]>,
    /// Cycles kept so far, overwritten ones included.
    count: usize,
}

impl FlightRecorder {
    /// A recorder for the last two seconds of cycles of `period`.
    pub fn new(period: Duration) -> Self {
        let cycles = SPAN.as_secs_f64() / period.as_secs_f64().max(1e-6);
        let capacity = (cycles as usize).clamp(16, MOST);
        Self { samples: vec![CycleSample::default(); capacity].into(), count: 0 }
    }

    /// Keeps one more cycle in place of the oldest.
    pub fn push(&mut self, sample: &CycleSample) {
        let index = self.count % self.samples.len();
        self.samples[index] = *sample;
        self.count += 1;
    }

    /// What is kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &CycleSample> {
        let kept = self.count.min(self.samples.len());
        (self.count - kept..self.count).map(|index| &self.samples[index % self.samples.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cycles_are_kept_in_order() {
        let mut flight = FlightRecorder::new(Duration::from_millis(100));
        for index in 0..53 {
            let mut sample = CycleSample::default();
            sample.tick.index = index;
            flight.push(&sample);
            let kept: Vec<u64> = flight.iter().map(|sample| sample.tick.index).collect();
            let first = index.saturating_sub(19);
            assert_eq!(kept, (first..=index).collect::<Vec<_>>());
        }
    }
}
