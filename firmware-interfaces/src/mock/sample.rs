//! A sample on its way from the device to the driver.

use crate::Timestamp;
use crate::random::Random;
use crate::robot::MAX_JOINTS;

/// What the device measured at one beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) captured: Timestamp,
    pub(super) arrives: Timestamp,
    /// How many joints it is of.
    pub(super) joints: usize,
    pub(super) position: [f64; MAX_JOINTS],
    pub(super) velocity: [f64; MAX_JOINTS],
    pub(super) effort: [f64; MAX_JOINTS],
    /// Made by the device over the numbers above.
    pub(super) check: u64,
}

impl Sample {
    /// The check that belongs to the numbers. Each step is a bijection, so a change of one number
    /// always changes it.
    pub(super) fn checked(&self) -> u64 {
        let mut check = self.captured.as_nanos();
        for numbers in [&self.position, &self.velocity, &self.effort] {
            for number in numbers.iter().take(self.joints) {
                check =
                    (check ^ number.to_bits()).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
            }
        }
        check
    }

    /// True where the numbers are those that the device sent.
    pub(super) fn is_sound(&self) -> bool {
        self.check == self.checked()
    }

    /// Flips one bit of one of the positions.
    pub(super) fn flip(&mut self, random: &mut Random) {
        let (joint, bit) = (random.below(self.joints), random.below(64));
        if let Some(position) = self.position.get_mut(joint) {
            *position = f64::from_bits(position.to_bits() ^ 1 << bit);
        }
    }

    /// Replaces the numbers by random bits; returns how many bytes that is.
    pub(super) fn scramble(&mut self, random: &mut Random) -> u64 {
        for numbers in [&mut self.position, &mut self.velocity, &mut self.effort] {
            for number in numbers.iter_mut().take(self.joints) {
                *number = f64::from_bits(random.next());
            }
        }
        3 * 8 * self.joints as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_garbage_is_seen() {
        let mut sample = Sample {
            captured: Timestamp::from_nanos(7),
            arrives: Timestamp::from_nanos(7),
            joints: 7,
            position: [0.5; MAX_JOINTS],
            velocity: [0.0; MAX_JOINTS],
            effort: [f64::NAN; MAX_JOINTS],
            check: 0,
        };
        sample.check = sample.checked();
        assert!(sample.is_sound());
        let mut random = Random::new(1);
        for _ in 0..1000 {
            let mut damaged = sample;
            damaged.flip(&mut random);
            assert!(!damaged.is_sound());
            let mut damaged = sample;
            assert_eq!(damaged.scramble(&mut random), 168);
            assert!(!damaged.is_sound());
        }
    }
}
