//! The gate of a whole robot.

use sinew_episodes::journal::ClampCause;
use sinew_firmware_interfaces::MAX_JOINTS;

use super::bounds::JointLimits;
use super::finite::Finite;
use super::joint::JointGate;
use super::stop::{Step, StopPlan};
use super::workspace::Workspace;

/// The gates of all joints, and the box around the tool.
#[derive(Clone, Debug)]
pub struct Gate {
    joints: Vec<JointGate>,
    workspace: Option<Workspace>,
}

impl Gate {
    /// A gate for `limits.len()` joints (at most [`MAX_JOINTS`]) and cycles of `dt` seconds.
    pub fn new(limits: &[JointLimits], workspace: Option<Workspace>, dt: f64) -> Self {
        let joints =
            limits.iter().take(MAX_JOINTS).map(|limits| JointGate::new(limits, dt)).collect();
        Self { joints, workspace }
    }

    /// Joint `joint` starts again from a standstill at `measured`.
    pub fn reset(&mut self, joint: usize, measured: Finite) {
        if let Some(joint) = self.joints.get_mut(joint) {
            joint.reset(measured);
        }
    }

    /// The gate of joint `joint`.
    pub fn joint(&self, joint: usize) -> Option<&JointGate> {
        self.joints.get(joint)
    }

    /// Joint `joint` is led by a hand, and moves as measured ([`JointGate::led`]): its position, and
    /// the causes of what was cut.
    pub fn lead(&mut self, joint: usize, position: Finite, velocity: Finite) -> Option<(f64, u16)> {
        let joint = self.joints.get_mut(joint)?;
        let proposal = joint.led(position, velocity);
        joint.commit(&proposal);
        Some((proposal.step.position, proposal.clamps))
    }

    /// Passes one request per joint through the gate: `None` brakes. Writes what may be commanded
    /// to `limited` and the causes of every change to `clamps`.
    pub fn apply(
        &mut self,
        requests: &[Option<Finite>; MAX_JOINTS],
        limited: &mut [f64; MAX_JOINTS],
        clamps: &mut [u16; MAX_JOINTS],
    ) {
        let joints = self.joints.iter_mut().zip(requests);
        let Some(workspace) = &self.workspace else {
            for (index, (joint, request)) in joints.enumerate() {
                let proposal = joint.propose(*request);
                joint.commit(&proposal);
                limited[index] = proposal.step.position;
                clamps[index] = proposal.clamps;
            }
            return;
        };
        let mut present = [0.0; MAX_JOINTS];
        let mut proposals = [None; MAX_JOINTS];
        let mut stops = [(Step::default(), StopPlan::default()); MAX_JOINTS];
        for (index, (joint, request)) in joints.enumerate() {
            present[index] = joint.motion().position;
            let proposal = joint.propose(*request);
            stops[index] = (proposal.step, proposal.plan);
            proposals[index] = Some(proposal);
        }
        let count = self.joints.len();
        let outside = !workspace.holds_stop(&present[..count], &stops[..count]);
        for (index, (joint, proposal)) in
            self.joints.iter_mut().zip(proposals.into_iter().flatten()).enumerate()
        {
            clamps[index] = proposal.clamps;
            let mut taken = proposal;
            if outside {
                // All at once: the stops were proven together.
                taken = joint.brake();
                clamps[index] |= ClampCause::Workspace.bit();
            }
            joint.commit(&taken);
            limited[index] = taken.step.position;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_joint_has_a_gate_of_its_own() {
        let limits = JointLimits {
            position: [-1.0, 1.0],
            max_velocity: 1.0,
            max_acceleration: 1.0,
            max_jerk: 10.0,
            max_step: 0.1,
            barrier: None,
            effort: None,
        };
        let mut gate = Gate::new(&[limits; 2], None, 0.01);
        gate.reset(1, Finite::new(0.3).unwrap());
        // There is none.
        gate.reset(2, Finite::new(0.7).unwrap());
        let positions = [0, 1].map(|joint| gate.joint(joint).unwrap().motion().position);
        assert_eq!(positions, [0.0, 0.3]);
        assert!(gate.joint(2).is_none());
    }
}
