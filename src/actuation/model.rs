//! Positions to efforts by an actuator model.

use sinew_firmware_interfaces::{MAX_JOINTS, State};
use sinew_models::actuators::{ActuatorModel, Gains, IdealPd, JointInput, ParameterError};

use crate::limits::Motion;

/// An actuator model, and which joints of the robot it drives.
pub struct Actuation {
    model: Box<dyn ActuatorModel>,
    joints: Vec<usize>,
    inputs: Vec<JointInput>,
    efforts: Vec<f64>,
}

impl std::fmt::Debug for Actuation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Actuation({} of joints {:?})", self.model.kind(), self.joints)
    }
}

impl Actuation {
    /// A model whose joint `n` is the robot's joint `joints[n]`. Joints beyond the model's own, and
    /// beyond [`MAX_JOINTS`], are not driven.
    pub fn new(model: Box<dyn ActuatorModel>, mut joints: Vec<usize>) -> Self {
        joints.truncate(model.joints());
        joints.retain(|joint| *joint < MAX_JOINTS);
        let (inputs, efforts) =
            (vec![JointInput::default(); model.joints()], vec![0.0; model.joints()]);
        Self { model, joints, inputs, efforts }
    }

    /// A proportional and derivative law for each of the robot's first joints.
    ///
    /// # Errors
    /// [`ParameterError`] for no joint, and gains that are negative or not finite.
    pub fn pd(gains: &[Gains]) -> Result<Self, ParameterError> {
        let laws: Vec<_> = gains.iter().map(|gains| (*gains, None)).collect();
        Ok(Self::new(Box::new(IdealPd::new(&laws)?), (0..gains.len()).collect()))
    }

    /// What kind of model it is.
    pub fn kind(&self) -> &'static str {
        self.model.kind()
    }

    /// Forgets what the joints did before: commands begin again, or time was missed.
    pub fn reset(&mut self) {
        self.model.reset_all();
    }

    /// One step: `motion` gives the commanded motion of a joint, `state` is what it does, `periods`
    /// after the last step (1 where none was missed): the model lives through those without a cycle
    /// with the same inputs, so that its past stays as long as it was trained on. Returns for each
    /// driven joint its effort, in N·m, and whether the law within the model stood in for its network.
    ///
    /// # Errors
    /// The robot's joint, if it is one, at which the model has no effort to give; it has forgotten
    /// everything then.
    pub fn step(
        &mut self,
        motion: impl Fn(usize) -> Motion,
        state: &State,
        periods: u32,
    ) -> Result<impl Iterator<Item = (usize, f64, bool)> + '_, Option<usize>> {
        for (input, joint) in self.inputs.iter_mut().zip(&self.joints) {
            let wanted = motion(*joint);
            *input = JointInput {
                position: state.position[*joint],
                velocity: state.velocity[*joint],
                target_position: wanted.position,
                target_velocity: wanted.velocity,
            };
        }
        for _ in 0..periods.max(1) {
            if let Err(error) = self.model.step(&self.inputs, &mut self.efforts) {
                self.model.reset_all();
                return Err(error.joint().and_then(|joint| self.joints.get(joint).copied()));
            }
        }
        let model = &self.model;
        let driven = self.joints.iter().zip(&self.efforts).enumerate();
        Ok(driven
            .map(move |(index, (joint, effort))| (*joint, *effort, model.parts(index).fallback)))
    }
}

#[cfg(test)]
mod tests {
    use sinew_models::actuators::{Delay, Delayed};

    use super::*;

    #[test]
    fn efforts_go_to_the_joints_that_are_driven() {
        let gains = Gains { stiffness: 100.0, damping: 5.0 };
        let model = IdealPd::new(&[(gains, None), (gains, Some(3.0))]).unwrap();
        let mut actuation = Actuation::new(Box::new(model), vec![1, 4]);
        let mut state = State::default();
        (state.position[1], state.velocity[1]) = (0.4, 0.4);
        let motion = |joint| match joint {
            1 => Motion { position: 0.5, velocity: 0.2, ..Motion::default() },
            _ => Motion { position: -1.0, ..Motion::default() },
        };
        let efforts: Vec<_> = actuation.step(motion, &state, 1).unwrap().collect();
        let expected = 100.0 * (0.5 - 0.4) + 5.0 * (0.2 - 0.4);
        assert_eq!(efforts, [(1, expected, false), (4, -3.0, false)]);
        state.position[4] = f64::NAN;
        assert_eq!(actuation.step(motion, &state, 1).err(), Some(Some(4)));
    }

    #[test]
    fn periods_without_a_cycle_are_lived_through() {
        let gains = Gains { stiffness: 1.0, damping: 0.0 };
        let delayed = || {
            let law = IdealPd::new(&[(gains, None)]).unwrap();
            let delay = Delay::Milliseconds { delay_ms: 3.0, rate_hz: 1000.0 };
            Actuation::new(Box::new(Delayed::new(law, delay).unwrap()), vec![0])
        };
        let at = |position| move |_| Motion { position, ..Motion::default() };
        let state = State::default();
        let effort = |actuation: &mut Actuation, target: f64, periods| {
            actuation.step(at(target), &state, periods).unwrap().next().unwrap().1
        };
        let mut steady = delayed();
        let mut late = delayed();
        for actuation in [&mut steady, &mut late] {
            assert_eq!(effort(actuation, 0.0, 1), 0.0);
        }
        let told: Vec<f64> = (0..4).map(|_| effort(&mut steady, 1.0, 1)).collect();
        assert_eq!(told, [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(effort(&mut late, 1.0, 4), 1.0, "three cycles were missed");
    }
}
