//! The last few observations, oldest first.

use std::ops::Range;

/// One observation.
pub(crate) struct Moment {
    /// Its part of the condition: state, features of the images, environment.
    pub condition: Vec<f32>,
    /// Images as they came, one per camera.
    pub images: Vec<Vec<u8>>,
    /// Whether the features belong to the images.
    encoded: bool,
    /// Which observation it is: copies have the same number.
    number: u64,
}

/// As many observations as the network sees.
pub(crate) struct History {
    moments: Vec<Moment>,
    /// Where the features are in a condition.
    features: Range<usize>,
    noted: u64,
}

impl History {
    /// Room for `length` observations, whose conditions have `size` values.
    pub(crate) fn new(
        length: usize,
        size: usize,
        features: Range<usize>,
        images: &[usize],
    ) -> Self {
        let moment = || Moment {
            condition: vec![0.0; size],
            images: images.iter().map(|size| vec![0; *size]).collect(),
            encoded: false,
            number: 0,
        };
        Self { moments: (0..length).map(|_| moment()).collect(), features, noted: 0 }
    }

    /// Forgets all observations.
    pub(crate) fn clear(&mut self) {
        self.noted = 0;
    }

    /// Notes the newest observation, which `write` writes. The first one after
    /// [`History::clear`] also takes the place of all earlier ones.
    pub(crate) fn note(&mut self, write: impl FnOnce(&mut Moment)) {
        self.noted += 1;
        let number = self.noted;
        self.moments.rotate_left(1);
        let Some((newest, earlier)) = self.moments.split_last_mut() else { return };
        write(newest);
        (newest.encoded, newest.number) = (false, number);
        for earlier in earlier.iter_mut().filter(|_| number == 1) {
            earlier.condition.copy_from_slice(&newest.condition);
            // Its features will be copied from the newest, so it needs no images.
            (earlier.encoded, earlier.number) = (false, number);
        }
    }

    /// All observations, oldest first.
    pub(crate) fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// Computes missing features by `encode`, from the images of one observation; what was
    /// observed once is encoded once.
    pub(crate) fn encode<E>(
        &mut self,
        mut encode: impl FnMut(&[Vec<u8>], &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut later: Option<&Moment> = None;
        for moment in self.moments.iter_mut().rev() {
            if !moment.encoded {
                let out = &mut moment.condition[self.features.clone()];
                match later.filter(|later| later.number == moment.number) {
                    Some(later) => out.copy_from_slice(&later.condition[self.features.clone()]),
                    None => encode(&moment.images, out)?,
                }
                moment.encoded = true;
            }
            later = Some(moment);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_observation_stands_for_those_before_it() {
        let mut history = History::new(3, 2, 1..2, &[1]);
        let note = |history: &mut History, value: u8| {
            history.note(|moment| {
                moment.condition[0] = f32::from(value);
                moment.images[0][0] = value;
            });
        };
        let seen = |history: &mut History| {
            let mut calls = 0;
            let encoded: Result<(), ()> = history.encode(|images, features| {
                calls += 1;
                features[0] = f32::from(images[0][0]);
                Ok(())
            });
            encoded.unwrap();
            let moments = history.moments().iter();
            let values: Vec<_> = moments.map(|m| (m.condition[0], m.condition[1])).collect();
            (values, calls)
        };
        note(&mut history, 7);
        assert_eq!(seen(&mut history), (vec![(7.0, 7.0); 3], 1));
        note(&mut history, 8);
        assert_eq!(seen(&mut history), (vec![(7.0, 7.0), (7.0, 7.0), (8.0, 8.0)], 1));
        note(&mut history, 9);
        note(&mut history, 10);
        assert_eq!(seen(&mut history), (vec![(8.0, 8.0), (9.0, 9.0), (10.0, 10.0)], 2));
        history.clear();
        note(&mut history, 1);
        assert_eq!(seen(&mut history), (vec![(1.0, 1.0); 3], 1));
    }
}
