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

/// Most cycles of a stop that are looked at one by one: a stop that needs more is not taken.
const MOST_WALKED: u32 = 4000;

impl StopPlan {
    /// Where a stop from `from` ends and how it gets there; `None` where it needs more cycles than
    /// anyone waits for. Only acceleration and jerk of `bounds` count.
    pub(super) fn find(from: Step, bounds: &Bounds) -> Option<Self> {
        let (most, jerk) = (bounds.acceleration, bounds.jerk);
        let [per_most, per_jerk] = bounds.inverse;
        let Step { velocity, acceleration, .. } = from;
        // The velocity that is left when the acceleration is taken to 0 at once.
        let settle = ceil(acceleration.abs() * per_jerk);
        let left = velocity + acceleration * (settle - 1.0).max(0.0) / 2.0;
        let tiny = SLACK * jerk;
        if left.abs() <= tiny && velocity.abs() <= tiny && acceleration.abs() <= jerk {
            return Some(Self::default());
        }
        let side = if left >= 0.0 { 1.0 } else { -1.0 };
        let (v, a) = (side * velocity, side * acceleration);
        // The peak of the fastest stop, were cycles divisible.
        let peak = (jerk * (v - a / 2.0) + a * a / 2.0).max(0.0).sqrt().min(most);
        let mut fall = ceil((a + peak) * per_jerk - SLACK).max(1.0);
        let mut rise = ceil(peak * per_jerk - SLACK).max(1.0);
        let rest = (v + (fall - 1.0) * a / 2.0) * per_most - (fall + rise) / 2.0;
        let mut stay = ceil(rest - SLACK).max(0.0);
        // Whole cycles are more than divisible ones: the peak sinks, unless the joint still speeds
        // up in them. A few more cycles then bring it down.
        let mut grow = |tries: u32| {
            for _ in 0..tries {
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
            None
        };
        // A joint that brakes already may have no peak ahead, only the way back to 0: in two parts
        // of unlike steps, because its whole cycles hardly ever fit in one.
        let in_two = || {
            (0..3).find_map(|more| {
                let way = settle + f64::from(more);
                let first = (way / 2.0).floor().max(1.0);
                Self::of(side, v, a, bounds, [first, 0.0, (way - first).max(1.0)])
            })
        };
        // One that brakes hard and hardly moves needs as many cycles more as its acceleration takes.
        let patient = a.abs() <= most * FULL;
        grow(4).or_else(in_two).or_else(|| patient.then(|| grow(8)).flatten())
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
        // A stop that moves against its peak, or has none, may be too fast before its end.
        let one_way = from.velocity * peak > 0.0 || from.velocity == 0.0;
        if one_way && bounds.passes_barrier(end, peak) {
            return true;
        }
        if self.length() > MOST_WALKED {
            return false;
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

/// The smallest whole number that is not below `x`, for any `|x|` that can be a number of cycles;
/// beyond 2⁵¹ something about as large. (The C library's is a call, which costs more than this.)
fn ceil(x: f64) -> f64 {
    // Here doubles lie one apart, so that adding rounds to a whole number.
    const WHOLE: f64 = 6_755_399_441_055_744.0;
    let near = (x + WHOLE) - WHOLE;
    if near < x { near + 1.0 } else { near }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bounds::VelocityBarrier;
    use super::*;

    fn bounds(acceleration: f64, jerk: f64) -> Bounds {
        let (lower, upper, velocity) = (-1e9, 1e9, 1e9);
        let inverse = [1.0 / acceleration, 1.0 / jerk];
        Bounds { lower, upper, velocity, acceleration, jerk, inverse, barrier: None }
    }

    fn moving(velocity: f64, acceleration: f64) -> Step {
        Step { position: 0.0, velocity, acceleration }
    }

    /// Every cycle of a stop, its beginning included.
    fn path(from: Step, plan: StopPlan) -> Vec<Step> {
        let (mut step, mut left, mut path) = (from, plan, vec![from]);
        while !left.is_over() {
            (step, left) = left.advance(step);
            path.push(step);
        }
        path
    }

    #[test]
    fn a_stop_whose_parts_fit_into_cycles_takes_exactly_those() {
        for unit in [1.0, 0.1, 0.3, 1e-7] {
            for peak in 1..6u32 {
                for stay in 0..5u32 {
                    let (n, s) = (f64::from(peak), f64::from(stay));
                    let from = moving(unit * n * (n + s), 0.0);
                    for from in [from, moving(-from.velocity, 0.0)] {
                        let plan = StopPlan::find(from, &bounds(unit * n, unit)).unwrap();
                        assert_eq!(plan.cycles, [peak, stay, peak], "{unit} {n} {s}");
                        // Faster jerk or acceleration than there is use for changes nothing.
                        if stay == 0 {
                            let more = StopPlan::find(from, &bounds(unit * 9.0, unit)).unwrap();
                            assert_eq!(more.cycles, plan.cycles);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_joint_that_brakes_hard_and_hardly_moves_has_a_stop() {
        // 0.4 rad/s and -194 rad/s² at 1 kHz, inside 400 rad/s² and 40,000 rad/s³: what divisible
        // cycles suggest is six short of it.
        for side in [1.0, -1.0] {
            let from = moving(side * 0.405_8e-3, side * -1.937e-4);
            assert!(StopPlan::find(from, &bounds(4e-4, 4e-5)).is_some(), "{side}");
        }
    }

    #[test]
    fn a_stop_from_the_middle_of_another_goes_on_as_that_one() {
        for unit in [1.0, 0.125] {
            let bounds = bounds(4.0 * unit, unit);
            let from = moving(28.0 * unit, 0.0);
            let plan = StopPlan::find(from, &bounds).unwrap();
            let path = path(from, plan);
            assert_eq!(path.len(), 12);
            for (passed, step) in path.iter().enumerate().take(10) {
                // What is left may have cycles behind the stand.
                let rest = self::path(*step, StopPlan::find(*step, &bounds).unwrap());
                let stands = rest.iter().position(|step| {
                    step.velocity.abs() <= 1e-9 * unit && step.acceleration.abs() <= 1e-9 * unit
                });
                assert_eq!(stands, Some(11 - passed), "{unit}: {step:?}");
            }
        }
    }

    #[test]
    fn who_stands_needs_no_stop_and_who_needs_a_day_gets_none() {
        let bounds = bounds(1.0, 0.5);
        for standing in [moving(0.0, 0.0), moving(1e-10, 0.0), moving(-1e-10, 0.0)] {
            assert_eq!(StopPlan::find(standing, &bounds), Some(StopPlan::default()));
        }
        // The last cycle of a stop: its velocity is 0 already.
        assert_eq!(StopPlan::find(moving(0.0, -0.5), &bounds), Some(StopPlan::default()));
        for moves in [moving(1e-8, 0.0), moving(0.0, -0.6), moving(0.0, 0.6), moving(-1e-8, 0.5)] {
            assert!(!StopPlan::find(moves, &bounds).unwrap().is_over(), "{moves:?}");
        }
        assert!(StopPlan::find(moving(8.0e7, 0.0), &bounds).is_some());
        assert_eq!(StopPlan::find(moving(8.7e7, 0.0), &bounds), None);
    }

    #[test]
    fn rounding_up_is_that_of_the_standard_library() {
        let whole = [0.0, 1.0, -1.0, 2.0, 86_400_000.0, -7.0, 1e15];
        for x in whole.into_iter().flat_map(|x: f64| [x, x.next_up(), x.next_down(), x + 0.5]) {
            assert_eq!(ceil(x), x.ceil(), "{x}");
        }
        for x in [1e16, 1e300] {
            assert!((ceil(x) / x - 1.0).abs() < 1e-15);
        }
        assert!(ceil(f64::NAN).is_nan() && ceil(f64::INFINITY) == f64::INFINITY);
    }

    #[test]
    fn a_joint_that_turns_round_still_has_a_stop() {
        let cases = [
            // Rounded up, the cycles of the fastest stop are too few for its first part: one more.
            ((3.16, -2.87), 38.0, [3, 0, 3]),
            // None is wasted.
            ((0.35, -2.59), 2.6, [4, 0, 2]),
            // Braking harder than it has use for: only the way back to 0, in two parts.
            ((16.73, -5.82), 10.0, [3, 0, 4]),
        ];
        for ((velocity, acceleration), most, cycles) in cases {
            for side in [-1.0, 1.0] {
                let from = moving(side * velocity, side * acceleration);
                let plan = StopPlan::find(from, &bounds(most, 1.0)).unwrap();
                assert_eq!(plan.cycles, cycles, "{from:?}");
            }
        }
    }

    #[test]
    fn who_could_only_stop_with_more_than_the_largest_acceleration_gets_no_stop() {
        // As after a change of limits, for which the stop already proven is there.
        assert_eq!(StopPlan::find(moving(22.21, -5.61), &bounds(3.2, 1.0)), None);
        assert!(StopPlan::find(moving(22.21, -5.61), &bounds(5.7, 1.0)).is_some());
    }

    #[test]
    fn a_stop_of_a_day_is_the_longest() {
        let bounds = bounds(1.0, 2.0);
        let longest = StopPlan::find(moving(MOST_CYCLES - 1.0, 0.0), &bounds).unwrap();
        assert_eq!(f64::from(longest.length()), MOST_CYCLES);
        assert_eq!(StopPlan::find(moving(MOST_CYCLES, 0.0), &bounds), None);
    }

    #[test]
    fn a_stop_that_turns_round_is_held_against_the_barrier_on_both_ways() {
        // The last comes back faster than it goes.
        for (velocity, lower, inside) in
            [(-80.0, -1e6, true), (-80.0, -100.0, false), (-30.0, -20.0, false)]
        {
            let (from, position) = (moving(velocity, 16.0), [lower, 1e6]);
            let barrier = VelocityBarrier { position, offset: 0.0, deceleration: 10.0 };
            let bounds = Bounds { barrier: Some(barrier), ..bounds(40.0, 1.0) };
            let plan = StopPlan::find(from, &bounds).unwrap();
            let Extent { end, peak, .. } = plan.extent(from);
            assert!(peak > 0.0 && bounds.passes_barrier(end, peak));
            assert_eq!(plan.stays_inside(from, &bounds), inside, "{velocity} {lower}");
        }
    }

    #[test]
    fn a_stop_that_would_have_to_be_walked_for_too_long_is_not_taken() {
        for (length, taken) in [(MOST_WALKED, true), (MOST_WALKED + 1, false)] {
            let acceleration = 1.0 / f64::from(length - 1);
            let (from, open) = (moving(1.0, 0.0), bounds(acceleration, 2.0 * acceleration));
            let plan = StopPlan::find(from, &open).unwrap();
            assert_eq!(plan.length(), length);
            // It ends where no more than a part of its first speed is allowed.
            let position = [-1e6, plan.end(from) + 1.0];
            let deceleration = 4.0 * acceleration;
            let barrier = Some(VelocityBarrier { position, offset: 0.0, deceleration });
            assert_eq!(plan.stays_inside(from, &Bounds { velocity: 2.0, barrier, ..open }), taken);
        }
    }

    #[test]
    fn a_stop_without_a_peak_is_held_against_the_barrier_all_the_way() {
        // From -1 to 0 in four cycles: its largest velocity towards its end is 0.
        let plan = StopPlan { cycles: [4, 0, 0], change: [0.1, 0.0] };
        let from = moving(-1.0, 0.0);
        assert_eq!(plan.extent(from).peak, 0.0);
        let barrier = crate::limits::VelocityBarrier {
            position: [-9.0, 9.0],
            offset: 0.0,
            deceleration: 1e-4,
        };
        let slow = Bounds { barrier: Some(barrier), velocity: 10.0, ..bounds(1.0, 1.0) };
        assert!(slow.passes_barrier(plan.end(from), 0.0));
        assert!(!plan.passes_barrier(from, 0.0, plan.end(from), &slow));
    }

    #[test]
    fn a_stop_that_is_over_stands_exactly() {
        let from = Step { position: 1.5, velocity: 1e-12, acceleration: 0.2 };
        let (step, plan) = StopPlan::default().advance(from);
        assert_eq!((step, plan), (Step { position: 1.5, ..Step::default() }, StopPlan::default()));
    }

    /// Velocities and accelerations, in units of a jerk limit of 1, that a joint can have which
    /// keeps its limits: one that levels off in time.
    fn motions() -> impl Strategy<Value = (f64, f64, f64)> {
        (0.5..60.0f64, 0.0..400.0f64, -1.0..1.0f64, any::<bool>()).prop_map(
            |(most, velocity, share, mirrored)| {
                let acceleration = share * most;
                let side = if mirrored { -1.0 } else { 1.0 };
                (most, side * velocity, side * acceleration)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

        #[test]
        fn a_stop_keeps_acceleration_and_jerk_and_ends_in_a_stand((most, v, a) in motions()) {
            let (from, bounds) = (moving(v, a), bounds(most, 1.0f64.min(2.0 * most)));
            let Some(plan) = StopPlan::find(from, &bounds) else {
                // Only what turns round may find none: it brakes harder than it has use for.
                prop_assert!(a * v < 0.0, "no stop from {from:?} within {most}");
                return Ok(());
            };
            let path = path(from, plan);
            for pair in path.windows(2) {
                prop_assert!(pair[1].acceleration.abs() <= most * (1.0 + 1e-6));
                let jerk = pair[1].acceleration - pair[0].acceleration;
                prop_assert!(jerk.abs() <= bounds.jerk * (1.0 + 1e-6), "{jerk}");
            }
            let end = path[path.len() - 1];
            prop_assert!(end.velocity.abs() < 1e-6 && end.acceleration.abs() <= bounds.jerk);
        }

        #[test]
        fn a_stop_is_hardly_longer_than_the_fastest_there_is((most, v, a) in motions()) {
            let (v, a) = (v.abs(), a.abs());
            let jerk = 1.0f64.min(2.0 * most);
            let plan = StopPlan::find(moving(v, a), &bounds(most, jerk)).unwrap();
            // In continuous time, for a joint that still speeds up.
            let free = (jerk * v + a * a / 2.0).sqrt();
            let peak = free.min(most);
            let held = (free * free - peak * peak) / (jerk * peak).max(f64::MIN_POSITIVE);
            let fastest = (a + 2.0 * peak) / jerk + held;
            let length = f64::from(plan.length());
            prop_assert!(length <= fastest + 2.0, "{length} cycles, fastest {fastest}");
            prop_assert!(length >= fastest - 2.0, "{length} cycles, fastest {fastest}");
        }

        #[test]
        fn sums_in_closed_form_are_those_of_the_cycles((most, v, a) in motions()) {
            let (from, bounds) = (moving(v, a), bounds(most, 1.0f64.min(2.0 * most)));
            let Some(plan) = StopPlan::find(from, &bounds) else { return Ok(()) };
            let path = path(from, plan);
            let scale = path.iter().map(|step| step.position.abs()).fold(1.0, f64::max);
            for (cycle, step) in path.iter().enumerate() {
                let sum = plan.after(from, cycle as u32);
                prop_assert!((sum.position - step.position).abs() <= 1e-9 * scale);
                prop_assert!((sum.velocity - step.velocity).abs() <= 1e-9 * scale);
                prop_assert!((sum.acceleration - step.acceleration).abs() <= 1e-9 * scale);
            }
            let Extent { end, turn, peak } = plan.extent(from);
            prop_assert!((end - path[path.len() - 1].position).abs() <= 1e-9 * scale);
            // From the beginning to the turn and from there to the end: nowhere else.
            let low = from.position.min(turn).min(end) - 1e-9 * scale;
            let high = from.position.max(turn).max(end) + 1e-9 * scale;
            for step in &path {
                prop_assert!((low..=high).contains(&step.position), "{step:?}: {turn} to {end}");
            }
            let met = path.iter().any(|step| (step.position - turn).abs() <= 1e-9 * scale);
            prop_assert!(met, "never at {turn}");
            // The peak is the largest velocity towards the end of what comes, or that of the start.
            let side = if plan.change[1] >= 0.0 { 1.0 } else { -1.0 };
            let largest = path.iter().map(|step| side * step.velocity).fold(0.0, f64::max);
            prop_assert!((side * peak - largest).abs() <= 1e-9 * scale.sqrt().max(1.0) * 10.0,
                "{peak}, largest {largest}");
        }
    }
}
