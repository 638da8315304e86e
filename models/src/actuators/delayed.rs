//! Targets that arrive late.

use super::error::not_negative;
use super::rate::MAX_RATE_HZ;
use super::{ActuatorError, ActuatorModel, JointInput, ParameterError, Parts, check};

/// Longest delay, in steps.
const MAX_STEPS: usize = 10_000;

/// How late targets arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// A number of steps.
    Steps(usize),
    /// A time, of which the nearest whole number of steps counts.
    Milliseconds {
        /// The time in milliseconds.
        delay_ms: f64,
        /// Steps in a second.
        rate_hz: f64,
    },
}

impl Delay {
    /// The delay in steps.
    ///
    /// # Errors
    /// [`ParameterError`] for a time or rate that is no such thing, and for more than 10,000 steps.
    pub fn steps(self) -> Result<usize, ParameterError> {
        let steps = match self {
            Self::Steps(steps) => steps,
            Self::Milliseconds { delay_ms, rate_hz } => {
                not_negative("delay_ms", delay_ms)?;
                super::rate::check(rate_hz)?;
                (delay_ms / 1e3 * rate_hz.min(MAX_RATE_HZ)).round() as usize
            }
        };
        if steps <= MAX_STEPS {
            return Ok(steps);
        }
        let (value, allowed) = (steps as f64, "0 to 10000");
        Err(ParameterError::Value { what: "delay in steps", value, allowed })
    }
}

/// A model whose targets arrive late; what is measured does not. After a reset the first target counts
/// as the one that was there all along, as Isaac Lab's `DelayedPDActuator` has it.
pub struct Delayed<M> {
    model: M,
    /// Targets of each joint, `steps + 1` of them in a ring.
    targets: Vec<Vec<(f64, f64)>>,
    /// Where the newest target of each joint goes; `None` before the first one.
    next: Vec<Option<usize>>,
    delayed: Vec<JointInput>,
}

impl<M: ActuatorModel> Delayed<M> {
    /// Delays the targets of a model.
    ///
    /// # Errors
    /// [`ParameterError`] for a delay that is none.
    pub fn new(model: M, delay: Delay) -> Result<Self, ParameterError> {
        let (joints, length) = (model.joints(), delay.steps()? + 1);
        Ok(Self {
            model,
            targets: vec![vec![(0.0, 0.0); length]; joints],
            next: vec![None; joints],
            delayed: vec![JointInput::default(); joints],
        })
    }

    /// Steps by which targets are late.
    #[must_use]
    pub fn delay_steps(&self) -> usize {
        self.targets[0].len() - 1
    }
}

impl<M: ActuatorModel> ActuatorModel for Delayed<M> {
    fn step(&mut self, inputs: &[JointInput], efforts: &mut [f64]) -> Result<(), ActuatorError> {
        check(inputs, efforts, self.model.joints())?;
        for (joint, input) in inputs.iter().enumerate() {
            let (ring, target) =
                (&mut self.targets[joint], (input.target_position, input.target_velocity));
            let at = self.next[joint].unwrap_or_else(|| {
                ring.fill(target);
                0
            });
            ring[at] = target;
            // The oldest one is the one after the newest.
            let next = (at + 1) % ring.len();
            let (target_position, target_velocity) = ring[next];
            self.next[joint] = Some(next);
            self.delayed[joint] = JointInput { target_position, target_velocity, ..*input };
        }
        self.model.step(&self.delayed, efforts)
    }

    fn reset(&mut self, joint: usize) {
        self.next[joint] = None;
        self.model.reset(joint);
    }

    fn joints(&self) -> usize {
        self.model.joints()
    }

    fn rate_hz(&self) -> Option<f64> {
        self.model.rate_hz()
    }

    fn kind(&self) -> &'static str {
        "delayed"
    }

    fn parts(&self, joint: usize) -> Parts {
        self.model.parts(joint)
    }

    fn fallbacks(&self) -> u64 {
        self.model.fallbacks()
    }
}
