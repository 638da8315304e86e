//! When a policy with a history observes and when it infers.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sinew_firmware_interfaces::{
    Clock, Frame, LinkStatus, MAX_JOINTS, SimulatedClock, State, Timestamp,
};
use sinew_models::{
    Continuation, Cost, Observation, Policy, PolicyDescription, PolicyInfo, PredictError,
    SamplingProgress, Trace,
};

use super::{Mapping, PolicyMailboxes, PolicySettings, PolicyWorker, WarmUpError, warm_up};
use crate::config::{self, Execution};
use crate::control::OperatorSignal;
use crate::recording::RecorderInbox;
use crate::targets::Chunk;

/// How old what is seen is, in ns.
const LAG: u64 = 5_000_000;

type Calls = Arc<Mutex<Vec<(u64, &'static str)>>>;

/// A policy that writes down what it is asked, and when; an inference takes `latency`.
struct Spy {
    policy: Box<dyn Policy>,
    calls: Calls,
    clock: SimulatedClock,
    latency: Duration,
}

impl Spy {
    fn note(&self, what: &'static str) {
        self.calls.lock().unwrap().push((self.clock.now().as_nanos() / 1_000_000, what));
    }
}

impl Policy for Spy {
    fn description(&self) -> &PolicyDescription {
        self.policy.description()
    }

    fn info(&self) -> &PolicyInfo {
        self.policy.info()
    }

    fn cost(&self) -> Cost {
        self.policy.cost()
    }

    fn feature_maps(&mut self, camera: usize, image: &[u8]) -> Result<Trace, PredictError> {
        self.policy.feature_maps(camera, image)
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), PredictError> {
        self.note("observe");
        self.policy.observe(observation)
    }

    fn reset(&mut self) {
        self.note("reset");
        self.policy.reset();
    }

    fn predict(&mut self, _: &Observation<'_>, _: &mut [f32]) -> Result<(), PredictError> {
        unreachable!("a worker continues chunks")
    }

    fn predict_from(
        &mut self,
        observation: &Observation<'_>,
        continuation: Continuation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError> {
        self.note(if continuation.previous.is_empty() { "begin" } else { "continue" });
        self.clock.advance_to(self.clock.now().after(self.latency));
        self.policy.predict_from(observation, continuation, actions)
    }
}

/// What a worker asks of its policy within 900 ms, at 10 actions a second; commands begin anew at
/// `reconnect`.
fn calls(
    latency_ms: u64,
    period_ms: Option<u64>,
    reconnect: Option<u64>,
) -> Vec<(u64, &'static str)> {
    calls_of("diffusion", latency_ms, period_ms, reconnect, 0)
}

fn calls_of(
    configuration: &str,
    latency_ms: u64,
    period_ms: Option<u64>,
    reconnect: Option<u64>,
    jitter_ms: u64,
) -> Vec<(u64, &'static str)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(format!("configs/{configuration}.toml"));
    let loaded = config::load(&path, &[]).unwrap();
    let config = &loaded.config;
    let robot = crate::robots::description(&config.robot);
    let said = config.policy.as_ref().unwrap();
    let policy = sinew_models::load(&said.path, &said.load_options()).unwrap();
    let mapping = Mapping::new(said, &robot, policy.description(), |_| Some((64, 48))).unwrap();
    let clock = SimulatedClock::new();
    let calls = Calls::default();
    let spy = Spy {
        policy,
        calls: Arc::clone(&calls),
        clock: clock.clone(),
        latency: Duration::from_millis(latency_ms),
    };
    let hour = Duration::from_secs(3600);
    let settings = PolicySettings {
        execution: Execution::Timeline,
        step: Duration::from_millis(100),
        period: period_ms.map(Duration::from_millis),
        judged: 0,
        state_max_age: hour,
        frame_max_age: hour,
        simulated_latency: None,
    };
    let views = vec![0; mapping.cameras().len()];
    let (mut state_in, state) = triple_buffer::triple_buffer(&State::default());
    let arm = State { sequence: 1, link: LinkStatus::Up, ..State::default() };
    state_in.write(arm);
    let picture = Frame { rgb: vec![7; 64 * 48 * 3], ..Frame::default() };
    let (mut frame_in, frame) = triple_buffer::triple_buffer(&Frame::default());
    frame_in.write(picture.clone());
    let (chunks, mut taken) = rtrb::RingBuffer::new(Chunk::IN_TRANSIT);
    let (_spent_in, spent) = rtrb::RingBuffer::new(Chunk::BOXES);
    let (demand, restarted) = (Arc::new(AtomicU64::new(1)), Arc::<AtomicU64>::default());
    let mailboxes = PolicyMailboxes {
        state,
        frames: vec![frame],
        views,
        chunks,
        spent,
        demand,
        restarted: Arc::clone(&restarted),
    };
    let (inbox, _messages) = RecorderInbox::new();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let mut worker = PolicyWorker::new(Box::new(spy), mapping, settings, mailboxes, shared, inbox);
    let end = Timestamp::from_nanos(900_000_000);
    let mut reconnect = reconnect.map(|at| Timestamp::from_nanos(at * 1_000_000));
    while clock.now() < end {
        if reconnect.take_if(|at| *at <= clock.now()).is_some() {
            restarted.store(clock.now().as_nanos(), Ordering::Release);
        }
        // A bus and a camera that are a moment behind.
        let captured = Timestamp::from_nanos(clock.now().as_nanos().saturating_sub(LAG));
        state_in.write(State { captured: [captured; MAX_JOINTS], ..arm });
        frame_in.write(Frame { captured, ..picture.clone() });
        let next = worker.step(clock.now());
        clock.advance_to(next.max(clock.now()));
        // The first four wake-ups are late.
        if clock.now() <= Timestamp::from_nanos(450_000_000) {
            clock.advance_to(clock.now().after(Duration::from_millis(jitter_ms)));
        }
        while taken.pop().is_ok() {}
    }
    drop(worker);
    Arc::into_inner(calls).unwrap().into_inner().unwrap()
}

/// One observation per action, and an inference every four (`n_action_steps`).
#[test]
fn observations_between_inferences_are_noted_at_the_rate_of_the_actions() {
    let expected = [
        (0, "begin"),
        (100, "observe"),
        (200, "observe"),
        (300, "observe"),
        (400, "continue"),
        (500, "observe"),
        (600, "observe"),
        (700, "observe"),
        (800, "continue"),
    ];
    assert_eq!(calls(10, None, None), expected);
}

/// An inference that takes longer than an action leaves a gap: the history of two is looked at
/// anew before the next.
#[test]
fn after_a_long_inference_the_history_is_filled_first() {
    let expected =
        [(0, "begin"), (180, "observe"), (280, "continue"), (460, "observe"), (560, "continue")];
    assert_eq!(calls(180, Some(50), None)[..5], expected);
}

/// With what is seen after commands began anew: the control thread refuses what came before.
#[test]
fn a_reconnected_arm_begins_anew() {
    let expected = [
        (0, "begin"),
        (100, "observe"),
        (200, "reset"),
        (206, "begin"),
        (300, "observe"),
        (400, "observe"),
    ];
    assert_eq!(calls(10, None, Some(150))[..6], expected);
}

/// An inference whose wake-up was late does not put off the next by a whole observation.
#[test]
fn inferences_keep_their_distance_in_observations_whatever_the_jitter() {
    let calls = calls_of("diffusion", 10, None, None, 7);
    let inferences: Vec<usize> = (0..calls.len()).filter(|i| calls[*i].1 != "observe").collect();
    assert_eq!(inferences, [0, 4, 8], "{calls:?}");
}

/// Without a history to fill, it does not wait for the end of its period either.
#[test]
fn a_policy_of_one_observation_begins_anew_at_once() {
    let expected = [(0, "begin"), (200, "reset"), (206, "begin"), (806, "continue")];
    assert_eq!(calls_of("demo", 10, Some(600), Some(150), 0), expected);
}

/// A policy that asks for an end itself and samples for ever, or panics.
struct Stubborn {
    policy: Box<dyn Policy>,
    operator: OperatorSignal,
    panics: bool,
}

impl Policy for Stubborn {
    fn description(&self) -> &PolicyDescription {
        self.policy.description()
    }

    fn info(&self) -> &PolicyInfo {
        self.policy.info()
    }

    fn cost(&self) -> Cost {
        self.policy.cost()
    }

    fn progress(&self) -> Option<Arc<SamplingProgress>> {
        self.policy.progress()
    }

    fn feature_maps(&mut self, camera: usize, image: &[u8]) -> Result<Trace, PredictError> {
        self.policy.feature_maps(camera, image)
    }

    fn predict(
        &mut self,
        observation: &Observation<'_>,
        actions: &mut [f32],
    ) -> Result<(), PredictError> {
        assert!(!self.panics, "as asked");
        self.operator.raise();
        (0..1_000_000).try_for_each(|_| self.policy.predict(observation, actions))
    }
}

fn warm_up_of(panics: bool) -> Result<Duration, WarmUpError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let loaded = config::load(&root.join("configs/diffusion.toml"), &[]).unwrap();
    let config = &loaded.config;
    let said = config.policy.as_ref().unwrap();
    let policy = sinew_models::load(&said.path, &said.load_options()).unwrap();
    let robot = crate::robots::description(&config.robot);
    let mapping = Mapping::new(said, &robot, policy.description(), |_| Some((64, 48))).unwrap();
    let operator = OperatorSignal::default();
    let mut stubborn = Stubborn { policy, operator: operator.clone(), panics };
    warm_up(&mut stubborn, &mapping, Duration::from_secs(1), &operator)
}

#[test]
fn a_first_inference_that_runs_already_ends_when_the_operator_asks() {
    assert!(warm_up_of(false).unwrap_err().is_interrupted());
}

#[test]
fn a_first_inference_that_panics_ends() {
    assert!(std::panic::catch_unwind(|| warm_up_of(true)).is_err());
}
