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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::bounds::Bounds;
    use super::*;

    /// A tool on a circle of 1 m around a single joint, which counts how often it is looked at.
    #[derive(Debug, Default)]
    struct Circle {
        looks: AtomicU32,
    }

    impl Tool for Circle {
        fn tip(&self, positions: &[f64]) -> [f64; 3] {
            self.looks.fetch_add(1, Ordering::Relaxed);
            [positions[0].cos(), positions[0].sin(), 0.0]
        }

        fn reach(&self, _: usize) -> f64 {
            1.0
        }
    }

    /// A stop of `cycles` from `position` with `velocity` per cycle.
    fn stop(position: f64, velocity: f64, cycles: u32) -> (Step, StopPlan) {
        let acceleration = velocity.abs() / f64::from(cycles - 1);
        let jerk = 2.0 * acceleration;
        let bounds = Bounds {
            lower: -1e9,
            upper: 1e9,
            velocity: 1e9,
            acceleration,
            jerk,
            inverse: [1.0 / acceleration, 1.0 / jerk],
            barrier: None,
        };
        let step = Step { position, velocity, acceleration: 0.0 };
        let plan = StopPlan::find(step, &bounds).unwrap();
        assert_eq!(plan.length(), cycles);
        (step, plan)
    }

    /// Whether a box holds that stop, and how many poses were looked at.
    fn judged(least: [f64; 3], most: [f64; 3], stop: (Step, StopPlan)) -> (bool, u32) {
        let circle = Arc::new(Circle::default());
        let holds =
            Workspace::new(circle.clone(), least, most).holds_stop(&[stop.0.position], &[stop]);
        (holds, circle.looks.load(Ordering::Relaxed))
    }

    const WIDE: ([f64; 3], [f64; 3]) = ([-2.0; 3], [2.0; 3]);

    #[test]
    fn a_stop_that_leaves_the_box_on_its_way_and_comes_back_is_not_held() {
        // From 0.5 rad on one side to 0.5 rad on the other: its ends are the farthest from the wall.
        let way = stop(-0.5, 0.05, 40);
        let end = way.1.end(way.0);
        assert!((0.4..0.6).contains(&end), "{end}");
        assert!(judged(WIDE.0, WIDE.1, way).0);
        assert!(!judged(WIDE.0, [0.95, 2.0, 2.0], way).0);
        // The same wall on the other side.
        let (step, plan) = way;
        let way = (Step { position: step.position + std::f64::consts::PI, ..step }, plan);
        assert!(!judged([-0.95, -2.0, -2.0], WIDE.1, way).0);
    }

    #[test]
    fn poses_are_looked_at_no_closer_than_needed() {
        // 1 mm a cycle, and twice the grain between two poses: every 20th of 200 cycles, the first,
        // and where the tool is.
        let (holds, looks) = judged(WIDE.0, WIDE.1, stop(0.0, 0.001, 200));
        assert!(holds);
        assert!((11..=13).contains(&looks), "{looks}");
    }

    #[test]
    fn a_stop_that_would_need_too_many_poses_is_not_held() {
        let most = stop(0.0, 0.05, MOST_POSES);
        assert_eq!(judged(WIDE.0, WIDE.1, most), (true, MOST_POSES + 2));
        assert_eq!(judged(WIDE.0, WIDE.1, stop(0.0, 0.05, MOST_POSES + 1)), (false, 1));
    }

    #[test]
    fn who_is_nearer_to_a_wall_than_allowed_may_stand_and_leave_but_not_come_nearer() {
        for side in [-1.0, 1.0] {
            // 3 mm from a wall across y.
            let angle = side * 0.2f64;
            let (mut least, mut most) = WIDE;
            if side > 0.0 {
                most[1] = angle.sin() + 0.003;
            } else {
                least[1] = angle.sin() - 0.003;
            }
            let at = |velocity: f64| judged(least, most, stop(angle, velocity, 20)).0;
            assert!(at(-side * 0.001), "away");
            assert!(!at(side * 0.001), "nearer");
            let stands = (Step { position: angle, ..Step::default() }, StopPlan::default());
            assert!(judged(least, most, stands).0, "stands");
        }
    }

    #[test]
    fn a_box_is_smaller_by_its_margin_on_every_side() {
        let grain = Workspace::grain();
        assert_eq!(grain, 0.01);
        for q in [0.7f64, 2.4, -0.7, -2.4] {
            let tip = [q.cos(), q.sin(), 0.0];
            let more = |by: f64| tip.map(|value| value + by);
            for axis in 0..3 {
                for (gap, holds) in [(0.5 * grain, false), (1.5 * grain, true)] {
                    let (mut least, mut most) = (more(-1.0), more(1.0));
                    least[axis] = tip[axis] - gap;
                    let workspace = Workspace::new(Arc::new(Circle::default()), least, most);
                    assert_eq!(workspace.holds(&[q], grain), holds, "least {axis} {gap}");
                    least[axis] = tip[axis] - 1.0;
                    most[axis] = tip[axis] + gap;
                    let workspace = Workspace::new(Arc::new(Circle::default()), least, most);
                    assert_eq!(workspace.holds(&[q], grain), holds, "most {axis} {gap}");
                }
            }
        }
    }

    #[test]
    fn a_chain_from_a_urdf_is_a_tool() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/urdf/panda.urdf");
        let joints = [1, 2, 3, 4, 5, 6, 7].map(|joint| format!("joint{joint}"));
        let joints = joints.each_ref().map(String::as_str);
        let chain = ToolChain::from_urdf(path.as_ref(), Some("flange"), &joints).unwrap();
        let positions = [0.3; 7];
        let tool: &dyn Tool = &chain;
        assert_eq!(tool.tip(&positions), chain.tip(&positions));
        // The pieces from the shoulder to the flange, in m.
        assert_eq!(tool.reach(1), chain.reach(1));
        assert!((0.9..0.99).contains(&tool.reach(1)));
    }
}
