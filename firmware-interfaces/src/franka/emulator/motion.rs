//! One motion that a client commands, cycle by cycle.

use nalgebra::SMatrix;
use sinew_simulation::dynamics::{Chain, IkSettings, Joints, Pose};
use sinew_simulation::kinematics::{Transform, twist_between};

use super::RobotModel;
use super::cartesian::CartesianJudge;
use super::judge::{self, CARTESIAN, JOINT, Judge, Names, START};
use super::plant::{Desired, PERIOD};
use super::poses;
use super::state::ELBOW_FLIP;
use crate::franka::wire::{Controller, Error, Generator, MoveRequest, RobotCommand};

/// Lost commands in a row that end a motion.
const MOST_LOST: u32 = 20;
/// Cycles that a client may take before its first command: some plan their motion then.
const PATIENCE: u32 = 2000;
/// Steps to joint positions for a pose.
const STEPS: usize = 20;
/// How near they come, m and rad.
const NEAR: f64 = 1e-9;
/// Commands over which the success rate is counted.
const COUNTED: u32 = 100;

/// What a cycle of a motion came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Progress {
    /// It goes on.
    Running,
    /// The client has ended it.
    Finished,
    /// The arm ends it.
    Failed(Error),
}

/// What the arm follows in a cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Drive {
    /// Its own controller.
    Impedance,
    /// The client's torques, N·m.
    Torques(Joints<7>),
}

#[derive(Clone, Debug)]
pub(super) struct Motion {
    /// Number of the request: the second answer has it too.
    pub id: u32,
    pub controller: Controller,
    pub generator: Generator,
    model: RobotModel,
    judge: Judge,
    cartesian: CartesianJudge,
    /// The first command has come.
    begun: bool,
    waited: u32,
    /// Commands lost in a row.
    lost: u32,
    /// The last 100 cycles, one bit each, 1 where a command came.
    history: u128,
    cycles: u32,
    torques: Joints<7>,
    /// Pose of the end effector that was commanded last.
    pose: Transform,
}

impl Motion {
    pub fn new(
        model: RobotModel,
        id: u32,
        request: &MoveRequest,
        desired: &Desired,
        pose: Transform,
    ) -> Self {
        Self {
            id,
            controller: request.controller,
            generator: request.generator,
            model,
            judge: Judge::new(model, desired.positions),
            cartesian: CartesianJudge::new(model),
            begun: false,
            waited: 0,
            lost: 0,
            history: 0,
            cycles: 0,
            torques: Joints::zeros(),
            pose,
        }
    }

    /// Share of the last 100 commands that came in time.
    pub fn success_rate(&self) -> f64 {
        let counted = self.cycles.min(COUNTED);
        if counted == 0 { 0.0 } else { f64::from(self.history.count_ones()) / f64::from(counted) }
    }

    /// The first command has come.
    pub const fn has_begun(&self) -> bool {
        self.begun
    }

    /// What drives the arm in this cycle.
    pub fn drive(&self) -> Drive {
        if self.controller == Controller::External && self.begun {
            Drive::Torques(self.torques)
        } else {
            Drive::Impedance
        }
    }

    /// One cycle: `desired` goes on to where the joints shall be at its end.
    pub fn step(
        &mut self,
        command: Option<&RobotCommand>,
        chain: &Chain<7>,
        measured: &Joints<7>,
        desired: &mut Desired,
    ) -> Progress {
        let names = match self.generator {
            Generator::CartesianPosition | Generator::CartesianVelocity => &CARTESIAN,
            _ => &JOINT,
        };
        let Some(command) = command else { return self.without(chain, desired, names) };
        self.count(true);
        let cycles = std::mem::take(&mut self.lost) + 1;
        match self.obey(command, cycles, chain, measured, desired, names) {
            Ok(()) if self.ends(command) => match self.may_end(desired, names) {
                Ok(()) => Progress::Finished,
                Err(error) => Progress::Failed(error),
            },
            Ok(()) => Progress::Running,
            Err(error) => Progress::Failed(error),
        }
    }

    fn without(&mut self, chain: &Chain<7>, desired: &mut Desired, names: &Names) -> Progress {
        if !self.begun {
            self.waited += 1;
            *desired = judge::brake(self.model, desired);
            return if self.waited > PATIENCE {
                Progress::Failed(Error::COMMUNICATION_CONSTRAINTS)
            } else {
                Progress::Running
            };
        }
        self.count(false);
        self.lost += 1;
        self.cartesian.lose();
        if self.lost >= MOST_LOST {
            return Progress::Failed(Error::COMMUNICATION_CONSTRAINTS);
        }
        if self.generator == Generator::None {
            return Progress::Running;
        }
        match self.judge.extrapolate(desired, names) {
            Ok(next) => {
                *desired = next;
                self.pose = chain.at(&next.positions).tool().into();
                Progress::Running
            }
            Err(error) => Progress::Failed(error),
        }
    }

    fn obey(
        &mut self,
        command: &RobotCommand,
        cycles: u32,
        chain: &Chain<7>,
        measured: &Joints<7>,
        desired: &mut Desired,
        names: &Names,
    ) -> Result<(), Error> {
        let first = !std::mem::replace(&mut self.begun, true);
        if self.controller == Controller::External {
            let torques = Joints::from(command.tau_j_d);
            judge::torques(self.model, &self.torques, &torques, cycles)?;
            self.torques = torques;
        }
        let positions = match self.generator {
            Generator::None => {
                *desired = Desired::at_rest(*measured);
                return Ok(());
            }
            Generator::JointVelocity => {
                let velocities = Joints::from(command.dq_c);
                *desired = self.judge.velocities(desired, velocities, names)?;
                return Ok(());
            }
            Generator::JointPosition => Joints::from(command.q_c),
            Generator::CartesianPosition => {
                let pose = poses::from_wire(&command.o_t_ee_c).ok_or(Error::CARTESIAN_FRAME)?;
                let far = twist_between(&self.pose, &pose).iter().any(|way| way.abs() > START);
                if first && far {
                    return Err(Error::CARTESIAN_START_POSE);
                }
                let elbow = elbow(self.model, command, first, desired)?;
                let turned = elbow.map_or(0.0, |elbow| elbow - desired.positions[2]);
                self.cartesian.pose(&self.pose, &pose, turned)?;
                self.reach(chain, pose, elbow, desired)?
            }
            Generator::CartesianVelocity => {
                let elbow = elbow(self.model, command, first, desired)?;
                let turned = elbow.map_or(0.0, |elbow| elbow - desired.positions[2]);
                self.cartesian.twist(&command.o_dp_ee_c, turned)?;
                let pose = poses::moved(&self.pose, &command.o_dp_ee_c, PERIOD);
                self.reach(chain, pose, elbow, desired)?
            }
        };
        if first && let Some(error) = self.judge.start(desired, &positions, names) {
            return Err(error);
        }
        *desired = self.judge.positions(desired, positions, names)?;
        Ok(())
    }

    /// Joint positions for a pose, with joint 3 at `elbow` where one is commanded.
    fn reach(
        &mut self,
        chain: &Chain<7>,
        pose: Transform,
        elbow: Option<f64>,
        desired: &Desired,
    ) -> Result<Joints<7>, Error> {
        self.pose = pose;
        if let Some(elbow) = elbow {
            return with_elbow(chain, &pose, elbow, desired.positions)
                .ok_or(Error::CARTESIAN_JOINT_POSITION);
        }
        let settings = IkSettings {
            position_tolerance: NEAR,
            rotation_tolerance: NEAR,
            iterations: STEPS,
            ..IkSettings::default()
        };
        chain
            .inverse(&Pose::from(pose), &desired.positions, &settings)
            .map_err(|_| Error::CARTESIAN_JOINT_POSITION)
    }

    fn ends(&self, command: &RobotCommand) -> bool {
        match self.generator {
            Generator::None => command.torque_command_finished,
            _ => command.motion_generation_finished,
        }
    }

    /// Torques may end in motion: the arm's own controller takes over and brakes.
    fn may_end(&self, desired: &Desired, names: &Names) -> Result<(), Error> {
        if self.controller == Controller::External {
            Ok(())
        } else {
            judge::end(self.model, desired, names)
        }
    }

    fn count(&mut self, came: bool) {
        const KEPT: u128 = (1 << COUNTED) - 1;
        self.history = ((self.history << 1) | u128::from(came)) & KEPT;
        self.cycles = self.cycles.saturating_add(1);
    }
}

/// The elbow that is commanded, if one is: the position of joint 3.
fn elbow(
    model: RobotModel,
    command: &RobotCommand,
    first: bool,
    desired: &Desired,
) -> Result<Option<f64>, Error> {
    if !command.valid_elbow {
        return Ok(None);
    }
    let [elbow, sign] = command.elbow_c;
    let flipped = desired.positions[3] > ELBOW_FLIP;
    if sign != if flipped { 1.0 } else { -1.0 } {
        return Err(Error::ELBOW_SIGN);
    }
    if first && (elbow - desired.positions[2]).abs() > START {
        return Err(Error::ELBOW_START);
    }
    let range = &judge::limits(model)[2];
    if !(range.lower..=range.upper).contains(&elbow) {
        return Err(Error::ELBOW_LIMIT);
    }
    Ok(Some(elbow))
}

/// Joint positions next to `positions` for a pose of the end effector with joint 3 at `elbow`:
/// Newton's steps, as many equations as joints.
fn with_elbow(
    chain: &Chain<7>,
    pose: &Transform,
    elbow: f64,
    mut positions: Joints<7>,
) -> Option<Joints<7>> {
    for _ in 0..STEPS {
        let here = chain.at(&positions);
        let [x, y, z, a, b, c] = twist_between(&here.tool().into(), pose);
        let left = Joints::from([x, y, z, a, b, c, elbow - positions[2]]);
        if left.amax() <= NEAR {
            return Some(positions);
        }
        let mut rows = SMatrix::<f64, 7, 7>::zeros();
        rows.fixed_rows_mut::<6>(0).copy_from(&here.jacobian());
        rows[(6, 2)] = 1.0;
        positions += rows.lu().solve(&left)?;
    }
    None
}
