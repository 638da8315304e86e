//! Positions to efforts: by an actuator model, joint by joint, or by a law for the whole arm.

use sinew_firmware_interfaces::{MAX_JOINTS, State};
use sinew_models::actuators::{ActuatorModel, Gains, IdealPd, JointInput, ParameterError};

use super::law::{ArmLaw, LawInput};
use crate::limits::Motion;

/// What makes the efforts, with its inputs.
enum Maker {
    Model { model: Box<dyn ActuatorModel>, inputs: Vec<JointInput> },
    Law { law: Box<dyn ArmLaw>, inputs: LawInputs, period: f64 },
}

/// Inputs of a law, one entry per joint of the arm.
struct LawInputs {
    positions: Vec<f64>,
    velocities: Vec<f64>,
    wanted: Vec<Motion>,
}

/// What makes efforts of positions, and which joints of the robot it drives.
pub struct Actuation {
    maker: Maker,
    joints: Vec<usize>,
    efforts: Vec<f64>,
}

impl std::fmt::Debug for Actuation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Actuation({} of joints {:?})", self.kind(), self.joints)
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
        Self { maker: Maker::Model { model, inputs }, joints, efforts }
    }

    /// A law for an arm whose joint `n` is the robot's joint `joints[n]`, in cycles of `period`
    /// seconds. `None` where these are not as many as the law drives, or beyond [`MAX_JOINTS`].
    pub fn law(law: Box<dyn ArmLaw>, joints: Vec<usize>, period: f64) -> Option<Self> {
        let count = law.joints();
        if joints.len() != count || joints.iter().any(|joint| *joint >= MAX_JOINTS) {
            return None;
        }
        let inputs = LawInputs {
            positions: vec![0.0; count],
            velocities: vec![0.0; count],
            wanted: vec![Motion::default(); count],
        };
        Some(Self { maker: Maker::Law { law, inputs, period }, joints, efforts: vec![0.0; count] })
    }

    /// A proportional and derivative law for each of the robot's first joints.
    ///
    /// # Errors
    /// [`ParameterError`] for no joint, and gains that are negative or not finite.
    pub fn pd(gains: &[Gains]) -> Result<Self, ParameterError> {
        let laws: Vec<_> = gains.iter().map(|gains| (*gains, None)).collect();
        Ok(Self::new(Box::new(IdealPd::new(&laws)?), (0..gains.len()).collect()))
    }

    /// What kind of model or law it is.
    pub fn kind(&self) -> &'static str {
        match &self.maker {
            Maker::Model { model, .. } => model.kind(),
            Maker::Law { law, .. } => law.kind(),
        }
    }

    /// The robot's joints that it lets a hand lead, as a bit set: none but for a law that guides.
    pub fn guided(&self) -> u32 {
        match &self.maker {
            Maker::Law { law, .. } if law.guides() => {
                self.joints.iter().fold(0, |set, joint| set | 1 << joint)
            }
            _ => 0,
        }
    }

    /// Forgets what the joints did before: commands begin again, or time was missed.
    pub fn reset(&mut self) {
        match &mut self.maker {
            Maker::Model { model, .. } => model.reset_all(),
            Maker::Law { law, .. } => law.reset(),
        }
    }

    /// One step: `motion` gives the commanded motion of a joint, `state` is what it does, `periods`
    /// after the last step (1 where none was missed): a model lives through those without a cycle
    /// with the same inputs, so that its past stays as long as it was trained on. `free` is true
    /// while a hand leads the arm. Returns for each driven joint its effort, in N·m, and whether the
    /// law within a model stood in for its network.
    ///
    /// # Errors
    /// The robot's joint, if it is one, at which there is no effort to give; the past is forgotten
    /// then.
    pub fn step(
        &mut self,
        motion: impl Fn(usize) -> Motion,
        state: &State,
        periods: u32,
        free: bool,
    ) -> Result<impl Iterator<Item = (usize, f64, bool)> + '_, Option<usize>> {
        let Self { maker, joints, efforts } = self;
        let periods = periods.max(1);
        match maker {
            Maker::Model { model, inputs } => {
                for (input, joint) in inputs.iter_mut().zip(&*joints) {
                    let wanted = motion(*joint);
                    *input = JointInput {
                        position: state.position[*joint],
                        velocity: state.velocity[*joint],
                        target_position: wanted.position,
                        target_velocity: wanted.velocity,
                    };
                }
                for _ in 0..periods {
                    if let Err(error) = model.step(inputs, efforts) {
                        model.reset_all();
                        return Err(error.joint().and_then(|joint| joints.get(joint).copied()));
                    }
                }
            }
            Maker::Law { law, inputs, period } => {
                for (index, joint) in joints.iter().enumerate() {
                    inputs.positions[index] = state.position[*joint];
                    inputs.velocities[index] = state.velocity[*joint];
                    inputs.wanted[index] = motion(*joint);
                }
                let LawInputs { positions, velocities, wanted } = &*inputs;
                let dt = *period * f64::from(periods);
                let input = LawInput { positions, velocities, wanted, free, dt };
                if let Err(error) = law.step(&input, efforts) {
                    law.reset();
                    return Err(error.joint().and_then(|joint| joints.get(joint).copied()));
                }
            }
        }
        let fallback = |index: usize| match &self.maker {
            Maker::Model { model, .. } => model.parts(index).fallback,
            Maker::Law { .. } => false,
        };
        let driven = self.joints.iter().zip(&self.efforts).enumerate();
        Ok(driven.map(move |(index, (joint, effort))| (*joint, *effort, fallback(index))))
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
        let efforts: Vec<_> = actuation.step(motion, &state, 1, false).unwrap().collect();
        let expected = 100.0 * (0.5 - 0.4) + 5.0 * (0.2 - 0.4);
        assert_eq!(efforts, [(1, expected, false), (4, -3.0, false)]);
        state.position[4] = f64::NAN;
        assert_eq!(actuation.step(motion, &state, 1, false).err(), Some(Some(4)));
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
            actuation.step(at(target), &state, periods, false).unwrap().next().unwrap().1
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
