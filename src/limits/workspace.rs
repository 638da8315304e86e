//! A box that the tool stays in.

use std::sync::Arc;

use sinew_firmware_interfaces::MAX_JOINTS;
use sinew_simulation::tool::ToolChain;

use super::stop::{Step, StopPlan};

/// Where the tool is, for joint positions; and how far it moves at most for each joint.
pub trait Tool: Send + Sync + std::fmt::Debug {
    /// The tool's position in the base frame, in m, for positions in joint order.
    fn tip(&self, positions: &[f64]) -> [f64; 3];

    /// An upper bound on how far the tool moves per unit of joint `joint`, in m.
    fn reach(&self, joint: usize) -> f64;
}

impl Tool for ToolChain {
    fn tip(&self, positions: &[f64]) -> [f64; 3] {
        self.tip(positions)
    }

    fn reach(&self, joint: usize) -> f64 {
        self.reach(joint)
    }
}

/// A Cartesian box for the tool, judged over the whole of every proven stop.
#[derive(Clone, Debug)]
pub struct Workspace {
    tool: Arc<dyn Tool>,
    least: [f64; 3],
    most: [f64; 3],
}

/// How much smaller than configured the box is judged on each side, in m: the tool is never further
/// from a pose that was looked at.
const GRAIN: f64 = 0.01;
/// Most poses looked at in one stop. One that needs more is not taken.
const MOST_POSES: u32 = 256;

impl Workspace {
    /// A box from `least` to `most`, in m, in the tool's base frame.
    pub fn new(tool: Arc<dyn Tool>, least: [f64; 3], most: [f64; 3]) -> Self {
        Self { tool, least, most }
    }

    /// How much smaller than configured the box is judged, in m.
    pub const fn grain() -> f64 {
        GRAIN
    }

    /// True where the tool is inside the box, less `margin` m on each side.
    pub fn holds(&self, positions: &[f64], margin: f64) -> bool {
        let (least, most) = self.shrunk(margin);
        is_between(self.tool.tip(positions), least, most)
    }

    fn shrunk(&self, margin: f64) -> ([f64; 3], [f64; 3]) {
        (self.least.map(|least| least + margin), self.most.map(|most| most - margin))
    }

    /// True if the tool stays inside while every joint takes its stop, from where the tool is with
    /// the joints at `present`. Poses are looked at so close to each other that the tool cannot
    /// have left between them. A tool that is nearer to a wall already (an arm sags while it is not
    /// commanded) may go anywhere but nearer to it.
    pub(super) fn holds_stop(&self, present: &[f64], stops: &[(Step, StopPlan)]) -> bool {
        let (mut least, mut most) = self.shrunk(GRAIN);
        let tip = self.tool.tip(present);
        let near = !is_between(tip, least, most);
        if near {
            for axis in 0..3 {
                // Exactly: a slack for rounding would be taken again in every cycle.
                least[axis] = least[axis].min(tip[axis]);
                most[axis] = most[axis].max(tip[axis]);
            }
        }
        let longest = stops.iter().map(|(_, plan)| plan.length()).max().unwrap_or(0);
        // Largest way of the tool in one cycle.
        let mut speed = 0.0;
        for (joint, (step, plan)) in stops.iter().enumerate() {
            let peak = plan.extent(*step).peak.abs().max(step.velocity.abs());
            speed += self.tool.reach(joint) * peak;
        }
        // Commands are looked at one by one where the tool moves fast or is near a wall.
        let stride = if near { 1 } else { (2.0 * GRAIN / speed) as u32 };
        let stride = stride.clamp(1, longest.max(1));
        if longest / stride > MOST_POSES {
            return false;
        }
        let mut positions = [0.0; MAX_JOINTS];
        let mut cycle = 0;
        loop {
            for (position, (step, plan)) in positions.iter_mut().zip(stops) {
                *position = plan.after(*step, cycle).position;
            }
            if !is_between(self.tool.tip(&positions[..stops.len()]), least, most) {
                return false;
            }
            if cycle >= longest {
                return true;
            }
            cycle = (cycle + stride).min(longest);
        }
    }
}

fn is_between(tip: [f64; 3], least: [f64; 3], most: [f64; 3]) -> bool {
    (0..3).all(|axis| tip[axis] >= least[axis] && tip[axis] <= most[axis])
}
