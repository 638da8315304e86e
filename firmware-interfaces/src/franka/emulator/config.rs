//! What is emulated, and what is counted of it.

use sinew_simulation::arms::franka;
use sinew_simulation::dynamics::Link;

use super::faults::Faults;
use crate::franka::wire::Protocol;

/// Which arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RobotModel {
    /// Franka Emika Robot, also known as Panda.
    Fer,
    /// Franka Research 3.
    Fr3,
}

impl RobotModel {
    /// The version that it speaks.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Fer => Protocol::V5,
            Self::Fr3 => Protocol::V10,
        }
    }
}

/// What is emulated.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which arm.
    pub robot: RobotModel,
    /// Joint positions at the start, rad.
    pub positions: [f64; 7],
    /// What the flange carries beside the hand without having been told, in the flange's frame.
    pub payload: Option<Link>,
    /// Share of the joints' friction that is not compensated, 0 to 1.
    pub friction: f64,
    /// The shared library that a FER serves: not ours to make here.
    pub model_library: Option<Vec<u8>>,
    /// What is wrong.
    pub faults: Faults,
    /// Seed of random faults.
    pub seed: u64,
}

impl Config {
    /// An arm in the posture of Franka's examples.
    pub fn new(robot: RobotModel) -> Self {
        Self {
            robot,
            positions: franka::READY,
            payload: None,
            friction: 0.0,
            model_library: None,
            faults: Faults::default(),
            seed: 1,
        }
    }
}

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cycles.
    pub cycles: u64,
    /// Datagrams that were commands, those that a fault has dropped included.
    pub commands: u64,
    /// Cycles of motions, from their first command on, without a command.
    pub lost: u64,
    /// Reflexes.
    pub reflexes: u64,
    /// Motions begun.
    pub motions: u64,
}
