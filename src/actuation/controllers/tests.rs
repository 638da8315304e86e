//! Laws in the cycle, against an arm with masses: what they do with friction and a payload that
//! nobody told them of.

use std::time::Duration;

use nalgebra::{Matrix6, Vector3, Vector6};
use proptest::prelude::*;
use sinew_firmware_interfaces::{LinkStatus, MAX_JOINTS, State, StopRequest, Timestamp};
use sinew_simulation::arms::franka;
use sinew_simulation::dynamics::{Arm, JointFriction, Joints, Link};

use super::*;
use crate::actuation::{Actuation, ArmLaw, LawError, LawInput};
use crate::config::{OverrunPolicy, franka_gains};
use crate::cycle::{Cycle, CycleInputs, CycleSettings, OperatorRequest, Outcome, Thresholds};
use crate::limits::{EffortLimits, JointLimits, Motion};
use crate::pacing::Overruns;
use crate::supervision::{ArmState, StopCause};
use crate::targets::{Blend, Chunk};

const PERIOD: Duration = Duration::from_millis(1);
const DT: f64 = 1e-3;
/// N·m.
const LARGEST: [f64; 7] = [87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0];

/// The arm as a law knows it, without friction.
fn model() -> Arm<7> {
    let mut arm = franka::fr3().unwrap().with_friction([JointFriction::None; 7]);
    arm.rotor_inertia = Joints::repeat(franka_gains::ROTOR_INERTIA);
    arm
}

fn limits() -> Vec<JointLimits> {
    let limit = |joint: usize| JointLimits {
        position: [franka::FR3_LIMITS[joint].lower, franka::FR3_LIMITS[joint].upper],
        max_velocity: 1.5,
        max_acceleration: 5.0,
        max_jerk: 100.0,
        max_step: 0.01,
        barrier: None,
        effort: Some(EffortLimits { max: LARGEST[joint], max_rate: 1000.0 }),
    };
    (0..7).map(limit).collect()
}

fn settings() -> CycleSettings {
    let limits = limits();
    CycleSettings {
        guards: Vec::new(),
        compensates_gravity: true,
        lockstep: false,
        period: PERIOD,
        duration: Duration::from_secs(100),
        starts: limits.iter().map(|limits| limits.position).collect(),
        limits,
        workspace: None,
        generator: Some(0.95),
        overruns: Overruns {
            policy: OverrunPolicy::Stop,
            allowed: 5,
            window: Duration::from_secs(1),
        },
        driven: 0x7f,
        judged: 0x7f,
        blend: Blend::Newest,
        crossfade: Duration::ZERO,
        start_ramp: Duration::from_millis(100),
        rest: {
            let mut rest = [0.0; MAX_JOINTS];
            rest[..7].copy_from_slice(&franka::READY);
            rest
        },
        rest_fraction: 0.5,
        thresholds: Thresholds {
            policy_hold: Duration::from_millis(200),
            policy_ramp: Duration::from_secs(10),
            state_hold: Duration::from_millis(100),
            state_ramp: Duration::from_millis(500),
            tracking: [0.2; MAX_JOINTS],
            tracking_time: Duration::from_millis(200),
            clamp_time: Duration::from_secs(5),
            ramp_timeout: Duration::from_secs(10),
        },
    }
}

/// What acts on the arm from outside in one cycle: joint torques, from its positions.
type Push<'a> = &'a dyn Fn(&World) -> Joints<7>;

/// A cycle and the arm that it drives. The arm bears its own weight, as far as it knows it.
struct World {
    cycle: Cycle,
    arm: Arm<7>,
    known: Arm<7>,
    position: Joints<7>,
    velocity: Joints<7>,
    effort: Joints<7>,
    state: State,
    tick: u64,
    inputs: CycleInputs,
    clamps: u16,
}

/// Friction that no law knows of.
const ROUGH: JointFriction =
    JointFriction::Linear { viscous: 0.3, coulomb: 0.5, offset: 0.0, transition: 0.01 };

impl World {
    fn new(law: Box<dyn ArmLaw>, arm: Arm<7>, position: [f64; 7]) -> Self {
        let actuation = Actuation::law(law, (0..7).collect(), DT).unwrap();
        let mut world = Self {
            cycle: Cycle::new(settings(), Some(actuation)),
            arm,
            known: model(),
            position: Joints::from(position),
            velocity: Joints::zeros(),
            effort: Joints::zeros(),
            state: State { link: LinkStatus::Up, sequence: 1, epoch: 1, ..State::default() },
            tick: 0,
            inputs: CycleInputs::default(),
            clamps: 0,
        };
        world.measure();
        world.cycle.arm(&world.state, world.now());
        world
    }

    /// The arm with friction and half a kilogram that nobody knows of.
    fn rough(law: Box<dyn ArmLaw>) -> Self {
        let payload = Link::point(0.5, [0.0, 0.02, 0.08]);
        let arm = model().with_payload(&payload).unwrap().with_friction([ROUGH; 7]);
        Self::new(law, arm, franka::READY)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.tick * 1_000_000)
    }

    fn measure(&mut self) {
        self.state.position[..7].copy_from_slice(self.position.as_slice());
        self.state.velocity[..7].copy_from_slice(self.velocity.as_slice());
        self.state.captured = [self.now(); MAX_JOINTS];
        self.state.sequence += 1;
    }

    fn step(&mut self, push: Push<'_>) -> Outcome {
        self.tick += 1;
        self.measure();
        let now = self.now();
        let outcome = self.cycle.step(&self.state, self.inputs, now);
        if let Some(command) = &outcome.command {
            self.effort = Joints::from_fn(|joint, _| command.effort[joint]);
        }
        self.clamps = outcome.clamps[..7].iter().fold(self.clamps, |all, it| all | it);
        let push = push(self);
        for _ in 0..4 {
            let at = self.arm.at(&self.position);
            let known = self.known.at(&self.position).gravity();
            let effort = self.effort + known + push - self.arm.friction_torque(&self.velocity);
            self.velocity += at.forward(&self.velocity, &effort) * (DT / 4.0);
            self.position += self.velocity * (DT / 4.0);
        }
        outcome
    }

    fn steps(&mut self, count: usize) -> Outcome {
        (1..count).for_each(|_| {
            self.step(&nothing);
        });
        self.step(&nothing)
    }

    /// Gives the cycle the way `path` over time, for `seconds`.
    fn follow(&mut self, seconds: f64, path: impl Fn(f64) -> [f64; 7]) {
        const STEP: f64 = 0.02;
        let count = (seconds / STEP) as usize;
        let mut chunk = Chunk::with_capacity(count, Duration::from_millis(20));
        (chunk.sequence, chunk.observed) = (1, self.now());
        chunk.actions.extend((0..count).map(|index| {
            let mut action = [0.0; MAX_JOINTS];
            action[..7].copy_from_slice(&path(index as f64 * STEP));
            action
        }));
        assert!(self.cycle.insert(Box::new(chunk), self.now()).is_none());
    }

    /// Difference of joints (rad) and of the tool (m) to the last command.
    fn error(&self, outcome: &Outcome) -> [f64; 2] {
        let wanted = Joints::<7>::from_fn(|joint, _| outcome.limited[joint]);
        let tool = |at: &Joints<7>| self.arm.chain.at(at).tool().translation.vector;
        [(wanted - self.position).amax(), (tool(&wanted) - tool(&self.position)).norm()]
    }

    fn energy(&self) -> f64 {
        self.arm.at(&self.position).kinetic_energy(&self.velocity)
    }
}

fn nothing(_: &World) -> Joints<7> {
    Joints::zeros()
}

fn soft(margin: f64) -> SoftLimits<7> {
    let limits = limits();
    SoftLimits {
        lower: Joints::from_fn(|joint, _| limits[joint].position[0]),
        upper: Joints::from_fn(|joint, _| limits[joint].position[1]),
        margin,
        depth: 0.2,
        stiffness: Joints::from(LARGEST) * (0.8 / 0.2),
    }
}

fn options() -> Options<7> {
    Options { soft_limits: Some(soft(0.0)), ..Options::default() }
}

fn boxed(feedback: impl Feedback<7> + 'static) -> Box<dyn ArmLaw> {
    Box::new(Controller::new(model(), feedback, options()))
}

fn impedance() -> JointImpedance<7> {
    JointImpedance {
        stiffness: franka_gains::STIFFNESS.into(),
        damping: franka_gains::DAMPING.into(),
        feedforward: true,
    }
}

fn axes(translation: f64, rotation: f64) -> Vector6<f64> {
    Vector6::from_fn(|axis, _| if axis < 3 { translation } else { rotation })
}

fn null() -> NullSpring<7> {
    NullSpring { stiffness: Joints::repeat(20.0), damping: Joints::repeat(5.0) }
}

fn joint_pid() -> JointPid<7> {
    JointPid::new(
        franka_gains::STIFFNESS.into(),
        franka_gains::DAMPING.into(),
        franka_gains::STIFFNESS.into(),
        franka_gains::INTEGRAL_LIMIT.into(),
        LARGEST.into(),
    )
}

fn cartesian_impedance() -> CartesianImpedance<7> {
    CartesianImpedance { stiffness: axes(600.0, 60.0), damping_ratio: 1.0, null: null() }
}

fn cartesian_pid() -> CartesianPid<7> {
    let gains = TaskGains {
        proportional: axes(600.0, 60.0),
        derivative: axes(80.0, 8.0),
        integral: axes(600.0, 60.0),
        integral_limit: axes(20.0, 3.0),
    };
    CartesianPid::new(gains, null(), LARGEST.into())
}

fn operational_space() -> OperationalSpace {
    OperationalSpace { stiffness: axes(400.0, 400.0), damping_ratio: 1.0, null_stiffness: 40.0 }
}

fn guiding() -> Guiding<7> {
    Guiding {
        hold: impedance(),
        damping: franka_gains::GUIDING.into(),
        fast: 1.0,
        fast_damping: franka_gains::FAST_GUIDING.into(),
    }
}

fn guided(arm: Arm<7>, position: [f64; 7]) -> World {
    let options = Options { soft_limits: Some(soft(0.2)), ..Options::default() };
    let law = Controller::new(model(), guiding(), options);
    let mut world = World::new(Box::new(law), arm, position);
    world.steps(2);
    assert_eq!(world.cycle.state(), ArmState::Running);
    world
}

/// Every law, with how far it may be from a smooth motion (rad, m), and from a place to stand at.
fn laws() -> Vec<(Box<dyn ArmLaw>, [f64; 2], [f64; 2])> {
    vec![
        (boxed(impedance()), [0.02, 0.006], [0.008, 0.005]),
        (boxed(joint_pid()), [0.025, 0.006], [0.003, 0.001]),
        (boxed(cartesian_impedance()), [0.07, 0.022], [0.045, 0.013]),
        (boxed(cartesian_pid()), [0.08, 0.025], [0.005, 0.001]),
        (boxed(operational_space()), [0.035, 0.008], [0.012, 0.006]),
    ]
}

/// Half a radian there and back, all joints at once, without a jump of acceleration at the ends.
fn sweep(t: f64) -> [f64; 7] {
    let phase = (t / 4.0).clamp(0.0, 1.0) * std::f64::consts::TAU;
    let way = 0.25 * (1.0 - phase.cos());
    std::array::from_fn(|joint| {
        franka::READY[joint] + if joint % 2 == 0 { way } else { -0.6 * way }
    })
}

#[test]
fn every_law_follows_a_smooth_motion_through_friction_and_an_unknown_payload() {
    for (law, moving, standing) in laws() {
        let kind = law.kind();
        let mut world = World::rough(law);
        world.follow(8.0, sweep);
        let mut worst = [0.0_f64; 2];
        for _ in 0..5000 {
            let outcome = world.step(&nothing);
            let error = world.error(&outcome);
            worst = [worst[0].max(error[0]), worst[1].max(error[1])];
        }
        assert_eq!(world.cycle.state(), ArmState::Running, "{kind}");
        let outcome = world.steps(2500);
        let left = world.error(&outcome);
        assert!(worst[0] < moving[0] && worst[1] < moving[1], "{kind}: {worst:?}");
        assert!(left[0] < standing[0] && left[1] < standing[1], "{kind}: {left:?}");
        // An integral creeps on through friction.
        assert!(world.velocity.amax() < 5e-3, "{kind}: {}", world.velocity);
        assert_eq!(world.clamps, 0, "{kind}: limits had to change something");
    }
}

#[test]
fn an_arm_that_is_as_its_model_follows_almost_exactly() {
    for (law, _, _) in laws() {
        let kind = law.kind();
        let mut world = World::new(law, model(), franka::READY);
        world.follow(8.0, sweep);
        let mut worst = [0.0_f64; 2];
        for _ in 0..4500 {
            let outcome = world.step(&nothing);
            let error = world.error(&outcome);
            worst = [worst[0].max(error[0]), worst[1].max(error[1])];
        }
        // The PID laws have no model of the arm's inertia.
        let most = if kind.ends_with("pid") { [0.02, 0.01] } else { [0.002, 0.001] };
        assert!(worst[0] < most[0] && worst[1] < most[1], "{kind}: {worst:?}");
    }
}

#[test]
fn a_state_that_is_no_number_is_an_error_with_its_joint_and_never_a_torque() {
    for (mut law, _, _) in laws().into_iter().chain([(boxed(guiding()), [0.0; 2], [0.0; 2])]) {
        let wanted = franka::READY.map(Motion::at_rest);
        let mut efforts = [7.0; 7];
        for (joint, value) in [(2, f64::NAN), (6, f64::INFINITY)] {
            let mut positions = franka::READY;
            positions[joint] = value;
            let input = LawInput {
                positions: &positions,
                velocities: &[0.0; 7],
                wanted: &wanted,
                free: true,
                dt: DT,
            };
            let error = law.step(&input, &mut efforts).unwrap_err();
            assert_eq!(error.joint(), Some(joint));
            assert!(error.to_string().contains("its position is"), "{error}");
            let mut velocities = [0.0; 7];
            velocities[joint] = value;
            let input = LawInput { positions: &franka::READY, velocities: &velocities, ..input };
            let error = law.step(&input, &mut efforts).unwrap_err();
            assert!(error.to_string().contains("its velocity is"), "{error}");
        }
        assert_eq!(efforts, [7.0; 7], "{}", law.kind());
        let short = LawInput {
            positions: &franka::READY[..6],
            velocities: &[0.0; 7],
            wanted: &wanted,
            free: false,
            dt: DT,
        };
        let size = LawError::Size { needed: 7, found: 6 };
        assert_eq!(law.step(&short, &mut efforts), Err(size));
        // Finite, but no arm moves so: the products are not.
        let input = LawInput { positions: &franka::READY, velocities: &[1e300; 7], ..short };
        let error = law.step(&input, &mut efforts).unwrap_err();
        assert!(matches!(error, LawError::NoEffort { .. }), "{} {error}", law.kind());
    }
}

#[test]
fn no_law_allocates() {
    for (mut law, _, _) in laws().into_iter().chain([(boxed(guiding()), [0.0; 2], [0.0; 2])]) {
        let wanted = franka::READY.map(Motion::at_rest);
        let mut efforts = [0.0; 7];
        let allocated = allocation_counter::measure(|| {
            // Stretched out, at a singularity, on the way: every branch.
            for (index, bend) in [-2.0, -0.47, -0.467002423653011, -1.0].into_iter().enumerate() {
                let mut positions = franka::READY;
                positions[3] = bend;
                let input = LawInput {
                    positions: &positions,
                    velocities: &[0.1; 7],
                    wanted: &wanted,
                    free: index % 2 == 0,
                    dt: DT,
                };
                law.step(&input, &mut efforts).unwrap();
                law.reset();
            }
        });
        assert_eq!(allocated.count_total, 0, "{}", law.kind());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn efforts_are_numbers_at_any_place_and_speed(
        positions in prop::array::uniform7(-3.2..3.2f64),
        velocities in prop::array::uniform7(-20.0..20.0f64),
        targets in prop::array::uniform7(-3.2..3.2f64),
        speeds in prop::array::uniform7(-5.0..5.0f64),
        free in any::<bool>(),
    ) {
        for (mut law, _, _) in laws().into_iter().chain([(boxed(guiding()), [0.0; 2], [0.0; 2])]) {
            let wanted: [Motion; 7] = std::array::from_fn(|joint| Motion {
                position: targets[joint],
                velocity: speeds[joint],
                acceleration: -3.0 * speeds[joint],
            });
            let input = LawInput { positions: &positions, velocities: &velocities, wanted: &wanted, free, dt: DT };
            let mut efforts = [f64::NAN; 7];
            law.step(&input, &mut efforts).unwrap();
            prop_assert!(efforts.iter().all(|effort| effort.is_finite()), "{efforts:?}");
        }
    }

    #[test]
    fn null_space_torques_do_not_accelerate_the_tool(
        shift in prop::array::uniform7(-0.6..0.6f64),
        torque in prop::array::uniform7(-50.0..50.0f64),
    ) {
        let position = Joints::from_fn(|joint, _| franka::READY[joint] + shift[joint]);
        let space = TaskSpace::new(&model().at(&position), HEAVIEST_KG).unwrap();
        prop_assume!(space.softening == 0.0);
        let null = space.null(&Joints::from(torque));
        prop_assert!(space.acceleration(&null).amax() < 1e-9);
        // There is one: the elbow.
        prop_assert!((space.null(&null) - null).amax() < 1e-9);
        prop_assert!(null.norm() <= 1e3);
    }
}

#[test]
fn a_singular_arm_keeps_a_bounded_inertia_that_changes_without_a_jump() {
    let arm = model();
    let mut before: Option<TaskSpace<7>> = None;
    let mut softened = 0;
    // From bent to stretched and back through: joint 4 past its end, wrist in line.
    for step in 0..=4000 {
        let bend = -1.6 + 1.6 * f64::from(step) / 4000.0;
        let position = Joints::from([0.0, 0.0, 0.0, bend, 0.0, bend.abs(), 0.0]);
        let space = TaskSpace::new(&arm.at(&position), HEAVIEST_KG).unwrap();
        softened += usize::from(space.softening > 0.0);
        let heaviest = space.inertia.diagonal().max();
        assert!(heaviest.is_finite() && heaviest <= 2.0 * HEAVIEST_KG, "{heaviest} at {bend}");
        if let Some(before) = before {
            let change = (space.inertia - before.inertia).amax();
            assert!(change < 5.0, "{change} kg in 0.4 mrad at {bend}");
        }
        before = Some(space);
    }
    assert!(softened > 100 && softened < 3900, "{softened}");
}

#[test]
fn the_task_inertia_is_what_the_tool_feels() {
    let arm = model();
    let at = arm.at(&Joints::from(franka::READY));
    let space = TaskSpace::new(&at, HEAVIEST_KG).unwrap();
    assert_eq!(space.softening, 0.0);
    let mass = at.mass_matrix().try_inverse().unwrap();
    let mobility: Matrix6<f64> = space.jacobian * mass * space.jacobian.transpose();
    assert!((mobility * space.inertia - Matrix6::identity()).amax() < 1e-9);
    // A force at the tool accelerates it by force over inertia.
    let force = Vector6::new(3.0, -2.0, 1.0, 0.2, 0.1, -0.3);
    let acceleration = space.acceleration(&space.torque(&force));
    assert!((space.inertia * acceleration - force).amax() < 1e-9);
}

#[test]
fn a_cartesian_impedance_gives_way_by_force_over_stiffness() {
    let law = boxed(cartesian_impedance());
    let mut world = World::new(law, model(), franka::READY);
    world.follow(20.0, |_| franka::READY);
    world.steps(500);
    let tool = |world: &World| world.arm.chain.at(&world.position).tool();
    let before = tool(&world);
    let force = Vector3::new(4.0, -3.0, 6.0);
    for _ in 0..6000 {
        world.step(&|world| {
            let jacobian = world.arm.chain.at(&world.position).jacobian();
            jacobian.fixed_rows::<3>(0).tr_mul(&force)
        });
    }
    let after = tool(&world);
    let moved = after.translation.vector - before.translation.vector;
    assert!((moved - force / 600.0).norm() < 2e-5, "{moved}");
    assert!(pose_error(&after, &before).fixed_rows::<3>(3).norm() < 1e-4);
    assert!(world.velocity.amax() < 1e-4, "{}", world.velocity);
}

#[test]
fn an_integral_takes_away_what_a_payload_bends_and_does_not_wind_up() {
    let mut world = World::rough(boxed(joint_pid()));
    world.follow(20.0, |_| franka::READY);
    let outcome = world.steps(6000);
    let [left, _] = world.error(&outcome);
    assert!(left < 2e-3, "{left}");
    // Held away from where it wants to be with more than it has, it comes back without running past.
    for _ in 0..3000 {
        world.step(&|world| {
            let mut push = Joints::zeros();
            push[3] =
                2000.0 * (franka::READY[3] + 0.05 - world.position[3]) - 100.0 * world.velocity[3];
            push
        });
    }
    let mut past = 0.0_f64;
    for _ in 0..3000 {
        world.step(&nothing);
        past = past.max(franka::READY[3] - world.position[3]);
    }
    assert!(past < 0.02, "{past}");
}

#[test]
fn a_guided_arm_follows_the_hand_and_its_command_is_where_it_is() {
    let mut world = guided(model(), franka::READY);
    let tool = |world: &World| world.arm.chain.at(&world.position).tool().translation.vector;
    let before = tool(&world);
    let mut outcome = Outcome::default();
    for _ in 0..600 {
        outcome = world.step(&|world| {
            let jacobian = world.arm.chain.at(&world.position).jacobian();
            jacobian.fixed_rows::<3>(0).tr_mul(&Vector3::new(0.0, 8.0, 0.0))
        });
        assert_eq!(outcome.limited[..7], world.state.position[..7]);
        assert_eq!(outcome.requested[..7], world.state.position[..7]);
    }
    assert_eq!(outcome.state, ArmState::Running);
    let way = tool(&world) - before;
    assert!(way.y > 0.1, "{way}");
    assert_eq!(world.clamps, 0);
    // Let go, it slows down and never speeds up by itself.
    let begin = world.energy();
    let (mut energy, mut turned) = (begin, 0.0_f64);
    for _ in 0..3000 {
        world.step(&nothing);
        assert!(
            world.energy() <= energy * (1.0 + 1e-3) + 1e-9,
            "{} J after {energy} J",
            world.energy()
        );
        energy = world.energy();
        turned = turned.max(world.velocity.amax());
    }
    assert!(energy < 0.1 * begin && turned < 1.5, "{energy} of {begin} J, {turned} rad/s");
}

#[test]
fn a_guided_arm_is_braked_more_where_it_is_fast() {
    let speed = |push: f64| {
        let mut world = guided(model(), franka::READY);
        // Joint 7 turns about its own axis and moves little else.
        let mut fastest = 0.0_f64;
        for _ in 0..900 {
            world.step(&|_| {
                let mut torque = Joints::zeros();
                torque[6] = push;
                torque
            });
            fastest = fastest.max(world.velocity[6]);
        }
        fastest
    };
    // 0.5 N·m·s/rad up to 1 rad/s, 5.5 from there on: 0.4 N·m is for 0.8 rad/s, 3 N·m for 1.45.
    let [slow, fast] = [speed(0.4), speed(3.0)];
    assert!((0.6..0.85).contains(&slow), "{slow}");
    assert!((1.2..1.6).contains(&fast), "{fast}");
}

#[test]
fn a_hand_of_50_n_cannot_push_a_guided_arm_through_a_soft_limit() {
    // 50 N at 0.5 m on joint 1, 4 N·m on joint 7.
    for (joint, push) in [(0, 25.0), (3, 25.0), (6, 4.0)] {
        for side in [-1.0, 1.0] {
            let mut start = franka::READY;
            let [lower, upper] = limits()[joint].position;
            start[joint] = if side > 0.0 { upper - 0.5 } else { lower + 0.5 };
            let mut world = guided(model(), start);
            let mut worst = f64::MAX;
            for _ in 0..4000 {
                let outcome = world.step(&|_| {
                    let mut torque = Joints::zeros();
                    torque[joint] = side * push;
                    torque
                });
                assert_eq!(outcome.state, ArmState::Running);
                let left = (upper - world.position[joint]).min(world.position[joint] - lower);
                worst = worst.min(left);
            }
            assert!(worst > 0.0, "joint {}: {worst} rad past its end", joint + 1);
            assert!(worst < 0.2, "joint {}: it never came to its margin", joint + 1);
        }
    }
}

#[test]
fn a_stop_begins_where_the_hand_left_the_arm_at_its_speed_and_it_stands() {
    for cause in [OperatorRequest::Stop, OperatorRequest::None] {
        let mut world = guided(model(), franka::READY);
        for _ in 0..400 {
            world.step(&|world| {
                let jacobian = world.arm.chain.at(&world.position).jacobian();
                jacobian.fixed_rows::<3>(0).tr_mul(&Vector3::new(0.0, 10.0, 0.0))
            });
        }
        let (from, speed) = (world.position, world.velocity);
        assert!(speed.amax() > 0.3, "{speed}");
        match cause {
            OperatorRequest::Stop => world.inputs.operator = cause,
            _ => world.inputs.finished = true,
        }
        let outcome = world.step(&nothing);
        assert_eq!(outcome.state, ArmState::Stopping);
        assert!(outcome.command.is_some(), "the stop is ours, not left to the robot");
        // Where it was seen, and from there at its speed, braked by what jerk allows in a cycle.
        let mut last = world.step(&nothing);
        for joint in 0..7 {
            let off = outcome.limited[joint] - from[joint];
            let step = last.limited[joint] - outcome.limited[joint];
            assert!(off.abs() < 1e-5, "joint {}: {off}", joint + 1);
            assert!((step - speed[joint] * DT).abs() < 1e-5, "joint {}: {step}", joint + 1);
        }
        for _ in 0..4000 {
            if last.state != ArmState::Stopping {
                break;
            }
            last = world.step(&nothing);
        }
        assert_eq!(last.state, ArmState::Disarmed);
        assert_eq!(last.request, Some(StopRequest::Hold));
        let expected = match cause {
            OperatorRequest::Stop => StopCause::Operator,
            _ => StopCause::Completed,
        };
        assert_eq!(world.cycle.cause(), Some(expected));
        assert!(world.velocity.amax() < 0.05, "{}", world.velocity);
        // It stands near where it was left, not at its rest pose.
        let way = (world.position - from).amax();
        assert!((0.01..0.35).contains(&way), "{way}");
    }
}

#[test]
fn an_arm_that_is_guided_is_held_before_and_stops_with_a_named_cause_when_a_number_is_none() {
    let options = Options { soft_limits: Some(soft(0.2)), ..Options::default() };
    let law = Controller::new(model(), guiding(), options);
    let mut world = World::new(Box::new(law), model(), franka::READY);
    world.state.link = LinkStatus::Down;
    let outcome = world.step(&nothing);
    assert_eq!(outcome.state, ArmState::Holding);
    world.state.link = LinkStatus::Up;
    assert_eq!(world.steps(5).state, ArmState::Running);
    world.velocity[4] = f64::NAN;
    let outcome = world.step(&nothing);
    // It stood: the stop is over as it begins.
    assert_eq!((outcome.state, outcome.offender), (ArmState::Disarmed, Some(4)));
    assert_eq!(world.cycle.cause(), Some(StopCause::NonFinite));
    assert!(outcome.command.is_none(), "no torque is made of it");
    assert_eq!(outcome.request, Some(StopRequest::Hold));
}

#[test]
fn gravity_and_friction_are_added_where_they_are_wanted() {
    let arm = franka::panda_identified().unwrap();
    let efforts = |gravity, friction, velocity: f64| {
        let options = Options { gravity, friction, ..Options::default() };
        let mut law = Controller::new(arm.clone(), impedance(), options);
        let wanted = franka::READY.map(|position| Motion { position, velocity, acceleration: 0.0 });
        let input = LawInput {
            positions: &franka::READY,
            velocities: &[velocity; 7],
            wanted: &wanted,
            free: false,
            dt: DT,
        };
        let mut efforts = [0.0; 7];
        law.step(&input, &mut efforts).unwrap();
        Joints::from(efforts)
    };
    let at = arm.at(&Joints::from(franka::READY));
    let v = Joints::repeat(0.3);
    assert!(efforts(false, 0.0, 0.0).amax() < 1e-12);
    assert!((efforts(true, 0.0, 0.0) - at.gravity()).amax() < 1e-12);
    assert!((efforts(false, 0.0, 0.3) - at.coriolis(&v)).amax() < 1e-12);
    let part = efforts(false, 0.6, 0.3) - at.coriolis(&v);
    assert!((part - arm.friction_torque(&v) * 0.6).amax() < 1e-12);
}
