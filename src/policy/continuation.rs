//! What a new chunk may know of the one before it.

use std::time::Duration;

use sinew_firmware_interfaces::Timestamp;
use sinew_models::Continuation;

/// The latest chunk in the policy's own units, and what it says for the times of the next.
#[derive(Debug, Default)]
pub(super) struct Latest {
    observed: Timestamp,
    actions: Vec<f32>,
    size: usize,
    /// Its actions at the times of the next chunk.
    shifted: Vec<f32>,
}

impl Latest {
    /// Nothing yet; room for chunks of `chunk` actions of `size` values.
    pub(super) fn new(chunk: usize, size: usize) -> Self {
        let room = || Vec::with_capacity(chunk * size);
        Self { observed: Timestamp::ZERO, actions: room(), size, shifted: room() }
    }

    /// Forgets it.
    pub(super) fn clear(&mut self) {
        self.actions.clear();
    }

    /// Takes the latest chunk.
    pub(super) fn set(&mut self, observed: Timestamp, actions: &[f32]) {
        self.observed = observed;
        self.actions.clear();
        self.actions.extend_from_slice(actions);
    }

    /// What it says from `observed` on, at times `step` apart. Actions up to the one that follows
    /// `handover` are committed: the arm will be on its way to it.
    pub(super) fn continuation(
        &mut self,
        observed: Timestamp,
        step: Duration,
        handover: Timestamp,
    ) -> Continuation<'_> {
        self.shifted.clear();
        let rows = self.actions.chunks_exact(self.size.max(1));
        if rows.len() == 0 || observed < self.observed || step.is_zero() {
            return Continuation::default();
        }
        let place = observed.since(self.observed).as_secs_f64() / step.as_secs_f64();
        let (first, fraction) = (place as usize, place.fract() as f32);
        let here = rows.clone().skip(first);
        let next = rows.clone().skip(first + 1).chain(rows.last());
        for (here, next) in here.zip(next) {
            let between = here.iter().zip(next);
            self.shifted.extend(between.map(|(here, next)| here + (next - here) * fraction));
        }
        let rows = self.shifted.len() / self.size;
        let ahead = handover.since(observed).as_secs_f64() / step.as_secs_f64();
        let committed = (ahead.ceil() as usize).saturating_add(1).min(rows);
        Continuation { previous: &self.shifted, committed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    fn said(latest: &mut Latest, observed: u64, handover: u64) -> (Vec<f32>, usize) {
        let Continuation { previous, committed } =
            latest.continuation(at(observed), STEP, at(handover));
        (previous.to_vec(), committed)
    }

    #[test]
    fn a_chunk_is_shifted_to_the_times_of_the_next() {
        let mut latest = Latest::new(4, 2);
        assert_eq!(said(&mut latest, 0, 0), (vec![], 0), "there is none");
        latest.set(at(1000), &[0.0, 10.0, 1.0, 11.0, 2.0, 12.0, 3.0, 13.0]);
        let (rows, committed) = said(&mut latest, 1200, 1200);
        assert_eq!((rows, committed), (vec![2.0, 12.0, 3.0, 13.0], 1));
        // Between two actions: on the straight line; the last one is held.
        let (rows, committed) = said(&mut latest, 1150, 1290);
        assert_eq!((rows, committed), (vec![1.5, 11.5, 2.5, 12.5, 3.0, 13.0], 3));
        assert_eq!(said(&mut latest, 1150, 9000).1, 3, "no more than there are");
        assert_eq!(said(&mut latest, 1400, 1400), (vec![], 0), "it has ended");
        assert_eq!(said(&mut latest, 900, 1000), (vec![], 0), "it is of the future");
        latest.clear();
        assert_eq!(said(&mut latest, 1200, 1200), (vec![], 0));
    }
}
