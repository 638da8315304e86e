//! A way to a stand, cycle by cycle.

use super::bounds::{Bounds, SLACK};

/// A stop in three parts, in units of cycles: the acceleration goes in equal steps to a peak
/// against the motion, stays there, and returns in equal steps to 0 just when the velocity is 0.
///
/// With whole numbers of cycles for the parts and steps below the jerk limit the end is met exactly
/// and every sum has a closed form, so a plan is found and judged in a few dozen operations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StopPlan {
    /// Cycles of each part that are left.
    cycles: [u32; 3],
    /// Change of acceleration per cycle in the first and the last part.
    change: [f64; 2],
}

/// A motion in units of cycles.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Step {
    pub position: f64,
    pub velocity: f64,
    pub acceleration: f64,
}

impl Step {
    /// One cycle later, at `acceleration`.
    pub fn next(self, acceleration: f64) -> Self {
        let velocity = self.velocity + acceleration;
        Self { position: self.position + velocity, velocity, acceleration }
    }
}

/// How far and how fast a stop goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Where the joint stands at the end.
    pub end: f64,
    /// Where it turns on the way, or its beginning: all of the way lies between here and the end.
    pub turn: f64,
    /// Its largest velocity in the direction of the end; against it, it begins with its largest.
    pub peak: f64,
}

/// Most cycles of one part: a day at 1 kHz. Limits that need more are refused at load.
const MOST_CYCLES: f64 = 86_400_000.0;

impl StopPlan {
    /// Where a stop from `from` ends and how it gets there; `None` where it needs more cycles than
    /// anyone waits for. Only acceleration and jerk of `bounds` count.
    pub(super) fn find(from: Step, bounds: &Bounds) -> Option<Self> {
        let (most, jerk) = (bounds.acceleration, bounds.jerk);
        let Step { velocity, acceleration, .. } = from;
        // The velocity that is left when the acceleration is taken to 0 at once.
        let settle = (acceleration.abs() / jerk).ceil();
        let left = velocity + acceleration * (settle - 1.0).max(0.0) / 2.0;
        let tiny = SLACK * jerk;
        if left.abs() <= tiny && velocity.abs() <= tiny && acceleration.abs() <= jerk {
            return Some(Self::default());
        }
        let side = if left >= 0.0 { 1.0 } else { -1.0 };
        let (v, a) = (side * velocity, side * acceleration);
        // The peak of the fastest stop, were cycles divisible.
        let peak = (jerk * (v - a / 2.0) + a * a / 2.0).max(0.0).sqrt().min(most);
        let mut fall = ((a + peak) / jerk - SLACK).ceil().max(1.0);
        let mut rise = (peak / jerk - SLACK).ceil().max(1.0);
        let rest = (v + (fall - 1.0) * a / 2.0) / most - (fall + rise) / 2.0;
        let mut stay = (rest - SLACK).ceil().max(0.0);
        // Whole cycles are more than divisible ones: the peak sinks, unless the joint still speeds
        // up in them. A few more cycles then bring it down.
        for _ in 0..4 {
            let peak = level(v, a, fall, stay, rise);
            if (a + peak).abs() > fall * jerk * FULL {
                fall += 1.0;
            } else if peak > rise * jerk * FULL {
                rise += 1.0;
            } else if peak > most * FULL {
                stay += 1.0;
            } else {
                return Self::of(side, v, a, bounds, [fall, stay, rise]);
            }
        }
        // A joint that brakes already may have no peak ahead, only the way back to 0: in two parts
        // of unlike steps, because its whole cycles hardly ever fit in one.
        (0..3).find_map(|more| {
            let way = settle + f64::from(more);
            let first = (way / 2.0).floor().max(1.0);
            Self::of(side, v, a, bounds, [first, 0.0, (way - first).max(1.0)])
        })
    }

    /// The plan of these cycles, if it keeps the limits. `v` and `a` are those of the joint, seen
    /// in the direction of its motion.
    fn of(side: f64, v: f64, a: f64, bounds: &Bounds, cycles: [f64; 3]) -> Option<Self> {
        let [fall, stay, rise] = cycles;
        let peak = level(v, a, fall, stay, rise);
        let keeps = peak >= -SLACK * bounds.jerk
            && peak <= bounds.acceleration * FULL
            && (a + peak).abs() <= fall * bounds.jerk * FULL
            && peak <= rise * bounds.jerk * FULL
            && fall + stay + rise <= MOST_CYCLES;
        keeps.then(|| {
            let peak = peak.max(0.0);
            Self {
                cycles: [fall as u32, stay as u32, rise as u32],
                change: [-side * (a + peak) / fall, side * peak / rise],
            }
        })
    }

    /// True when nothing is left of it: the joint stands.
    pub fn is_over(&self) -> bool {
        self.cycles == [0; 3]
    }

    /// Cycles until the joint stands.
    pub fn length(&self) -> u32 {
        self.cycles.iter().sum()
    }

    /// The next cycle of the stop from `from`, and what is left of it afterwards.
    pub(super) fn advance(self, from: Step) -> (Step, Self) {
        let [fall, stay, rise] = self.cycles;
        let (change, cycles) = match (fall, stay, rise) {
            (0, 0, 0) => {
                // Exactly: sums of equal steps leave a rest of rounding.
                return (Step { velocity: 0.0, acceleration: 0.0, ..from }, self);
            }
            (0, 0, _) => (self.change[1], [0, 0, rise - 1]),
            (0, ..) => (0.0, [0, stay - 1, rise]),
            _ => (self.change[0], [fall - 1, stay, rise]),
        };
        (from.next(from.acceleration + change), Self { cycles, ..self })
    }

    /// The motion after `cycles` cycles of the stop from `from`.
    pub(super) fn after(&self, from: Step, cycles: u32) -> Step {
        let mut left = cycles;
        let mut step = from;
        for (part, change) in self.cycles.iter().zip([self.change[0], 0.0, self.change[1]]) {
            let n = left.min(*part);
            left -= n;
            step = run(step, change, f64::from(n));
        }
        step
    }

    /// Where the joint stands at the end.
    pub(super) fn end(&self, from: Step) -> f64 {
        self.after(from, u32::MAX).position
    }

    /// How far and how fast the stop from `from` goes.
    pub(super) fn extent(&self, from: Step) -> Extent {
        let end = self.end(from);
        let side = if self.change[1] >= 0.0 { 1.0 } else { -1.0 };
        let (v, a, u) = (side * from.velocity, side * from.acceleration, -side * self.change[0]);
        // Against `side` the joint moves at most until its velocity changes sign, in the first
        // part: see where the parabola of its velocity has its root.
        let mut turn = from.position;
        if v < 0.0 {
            let slope = a - u / 2.0;
            let inside = (slope * slope + 2.0 * u * v).max(0.0);
            // The smaller root, in the form that does not cancel.
            let root = -2.0 * v / (slope + inside.sqrt());
            let most = f64::from(self.cycles[0]);
            let last = if root.is_finite() { root.clamp(0.0, most) } else { most };
            let before = run(from, self.change[0], last.floor()).position;
            let after = run(from, self.change[0], last.ceil()).position;
            turn = if side > 0.0 { before.min(after) } else { before.max(after) };
        }
        // The velocity peaks where the acceleration changes sign, in the first part too.
        let mut peak = v.max(0.0);
        if a > 0.0 && u > 0.0 {
            let top = (a / u).min(f64::from(self.cycles[0])).floor();
            peak = peak.max(side * run(from, self.change[0], top).velocity);
        }
        Extent { end, turn, peak: side * peak }
    }

    /// True if the stop from `from` stays inside `bounds` all the way: position, velocity and
    /// barrier. (Acceleration and jerk it keeps by its making.)
    pub(super) fn stays_inside(&self, from: Step, bounds: &Bounds) -> bool {
        let Extent { end, turn, peak } = self.extent(from);
        bounds.holds(turn, from.position)
            && bounds.holds(end, turn)
            && peak.abs() <= bounds.velocity * (1.0 + SLACK)
            && (bounds.barrier.is_none() || self.passes_barrier(from, peak, end, bounds))
    }

    /// Looks at the velocity barrier at the end of the stop, where it is lowest; where the peak
    /// does not pass there, at every cycle.
    fn passes_barrier(&self, from: Step, peak: f64, end: f64, bounds: &Bounds) -> bool {
        if bounds.passes_barrier(end, peak) && from.velocity * peak >= 0.0 {
            return true;
        }
        let (mut step, mut plan) = (from, *self);
        while !plan.is_over() {
            if !bounds.passes_barrier(step.position, step.velocity) {
                return false;
            }
            (step, plan) = plan.advance(step);
        }
        true
    }
}

/// The deceleration between the first and the last part of a stop, with which the velocity is 0 at
/// the end.
fn level(v: f64, a: f64, fall: f64, stay: f64, rise: f64) -> f64 {
    (v + (fall - 1.0) * a / 2.0) / ((fall + rise) / 2.0 + stay)
}

/// A limit with the slack for rounding.
const FULL: f64 = 1.0 + SLACK;

/// `n` cycles from `from`, with the acceleration changed by `change` in each.
fn run(from: Step, change: f64, n: f64) -> Step {
    let Step { position, velocity, acceleration } = from;
    let triangle = n * (n + 1.0) / 2.0;
    let pyramid = triangle * (n + 2.0) / 3.0;
    Step {
        position: position + n * velocity + triangle * acceleration + pyramid * change,
        velocity: velocity + n * acceleration + triangle * change,
        acceleration: acceleration + n * change,
    }
}
