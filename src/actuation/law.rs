//! Laws for whole arms: positions to efforts where a joint's effort depends on all joints.

use thiserror::Error;

use crate::limits::Motion;

/// What a law sees of the arm in one cycle: one entry per joint of the arm.
#[derive(Clone, Copy, Debug)]
pub struct LawInput<'a> {
    /// Measured positions, rad.
    pub positions: &'a [f64],
    /// Measured velocities, rad/s.
    pub velocities: &'a [f64],
    /// The commanded motion: what generator and limits made of the target.
    pub wanted: &'a [Motion],
    /// True while a hand leads the arm: then `wanted` follows the measurement, and only
    /// [guiding](super::controllers::Guiding) makes a difference of it.
    pub free: bool,
    /// Time since the last step, s.
    pub dt: f64,
}

/// A law from the motion of an arm to the efforts of its joints. It does not allocate.
pub trait ArmLaw: Send {
    /// Its name in configurations and recordings.
    fn kind(&self) -> &'static str;

    /// How many joints it drives.
    fn joints(&self) -> usize;

    /// Whether it lets a hand lead the arm ([`LawInput::free`]).
    fn guides(&self) -> bool {
        false
    }

    /// Forgets the past: commands begin again, or time was missed.
    fn reset(&mut self);

    /// The efforts of one cycle, in N·m, without those of gravity where the robot adds them itself.
    ///
    /// # Errors
    /// [`LawError`] where there is no effort to give. `efforts` means nothing then.
    fn step(&mut self, input: &LawInput<'_>, efforts: &mut [f64]) -> Result<(), LawError>;
}

/// Why a law has no effort to give.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LawError {
    /// A list of another length than the arm has joints.
    #[error("the law is for {needed} joints and was given {found}")]
    Size {
        /// Joints of the arm.
        needed: usize,
        /// Entries given.
        found: usize,
    },
    /// A number that is none.
    #[error("joint {} of the arm: its {quantity} is {value}, needed is a finite number", .joint + 1)]
    NotFinite {
        /// The joint, from 0.
        joint: usize,
        /// What is not finite.
        quantity: &'static str,
        /// What was given.
        value: f64,
    },
    /// The law's own result is no number: positions or velocities far beyond those of an arm.
    #[error("joint {} of the arm: the law's effort would be {value} N·m", .joint + 1)]
    NoEffort {
        /// The joint, from 0.
        joint: usize,
        /// What came out.
        value: f64,
    },
}

impl LawError {
    /// The joint of the arm that it is about, from 0.
    pub const fn joint(&self) -> Option<usize> {
        match self {
            Self::Size { .. } => None,
            Self::NotFinite { joint, .. } | Self::NoEffort { joint, .. } => Some(*joint),
        }
    }
}
