//! From what is wanted of each joint to what it is told: target generator, gate and actuator.

use sinew_episodes::journal::ClampCause;
use sinew_firmware_interfaces::{MAX_JOINTS, State};

use super::CycleSettings;
use crate::actuation::{Actuation, TargetGenerator};
use crate::limits::{EffortGate, Finite, Gate, Motion};

/// What is wanted of one joint in this cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    /// To come to a stand, or stay there.
    Stand,
    /// To follow a target that moves.
    Follow(f64),
    /// To go to its rest position.
    Rest(f64),
    /// To go where a hand takes it.
    Led,
}

/// What the joints are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub requested: [f64; MAX_JOINTS],
    pub generated: [f64; MAX_JOINTS],
    pub limited: [f64; MAX_JOINTS],
    pub effort: [f64; MAX_JOINTS],
    /// Whether the actuator model had efforts to give, where it was asked; if not, the joint it
    /// failed at.
    pub actuated: Result<(), Option<usize>>,
    pub clamps: [u16; MAX_JOINTS],
}

/// Which generator a joint followed in the last cycle without being changed by the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    None,
    Follow,
    Rest,
}

/// The motion of all joints from one cycle to the next.
#[derive(Debug)]
pub(super) struct Motions {
    gate: Gate,
    /// `None` follows targets in straight lines.
    follow: Option<TargetGenerator>,
    rest: TargetGenerator,
    /// `None` commands positions.
    actuation: Option<Actuation>,
    efforts: Vec<Option<EffortGate>>,
    sources: [Source; MAX_JOINTS],
    ranges: Vec<[f64; 2]>,
    /// Efforts begin at 0: the robot bears its own weight.
    from_zero: bool,
}

impl Motions {
    pub fn new(settings: &CycleSettings, actuation: Option<Actuation>) -> Self {
        let dt = settings.period.as_secs_f64();
        let limits = &settings.limits;
        let slowed = |fraction: f64| -> Vec<_> {
            limits.iter().map(|limits| limits.slowed(fraction)).collect()
        };
        Self {
            gate: Gate::new(limits, settings.workspace.clone(), dt),
            follow: settings.generator.map(|it| TargetGenerator::inset(&slowed(it), dt)),
            // A little below the limits even at full speed: the gate shall have nothing to change.
            rest: TargetGenerator::new(&slowed(settings.rest_fraction.min(0.99)), dt),
            actuation,
            efforts: limits
                .iter()
                .map(|limits| limits.effort.map(|effort| EffortGate::new(effort, dt)))
                .collect(),
            sources: [Source::None; MAX_JOINTS],
            ranges: limits.iter().map(|limits| limits.position).collect(),
            from_zero: settings.compensates_gravity,
        }
    }

    /// Commands begin again at the measured state, standing. It must be finite. What is not a
    /// measurement but a substitute may be anywhere: it counts as the nearest place allowed.
    pub fn restart(&mut self, state: &State) {
        for (joint, [lower, upper]) in self.ranges.iter().enumerate() {
            let measured = state.position[joint];
            let substituted = state.is_substituted(joint);
            let begin = if substituted { measured.clamp(*lower, *upper) } else { measured };
            if let Some(measured) = Finite::new(begin) {
                self.gate.reset(joint, measured);
            }
            if let Some(effort) = &mut self.efforts[joint] {
                effort.reset(if self.from_zero { 0.0 } else { state.effort[joint] });
            }
        }
        self.sources = [Source::None; MAX_JOINTS];
        self.forget();
    }

    /// What the actuators remember of the past has nothing to do with the present any more.
    pub fn forget(&mut self) {
        if let Some(actuation) = &mut self.actuation {
            actuation.reset();
        }
    }

    /// The last command of joint `joint`.
    pub fn motion(&self, joint: usize) -> Motion {
        self.gate.joint(joint).map(|joint| joint.motion()).unwrap_or_default()
    }

    /// True where efforts are commanded.
    pub fn commands_effort(&self) -> bool {
        self.actuation.is_some()
    }

    /// The joints that a hand leads while the arm runs, as a bit set.
    pub fn guided(&self) -> u32 {
        self.actuation.as_ref().map_or(0, Actuation::guided)
    }

    /// One cycle, `elapsed` periods after the last one; the commanded motion goes on by `steps` of
    /// them. `state` is what the actuators act upon, `None` where it cannot be acted upon.
    pub fn advance(
        &mut self,
        wanted: &[Wanted; MAX_JOINTS],
        state: Option<&State>,
        elapsed: u32,
        steps: u32,
    ) -> Moved {
        let mut moved = Moved {
            requested: [0.0; MAX_JOINTS],
            generated: [0.0; MAX_JOINTS],
            limited: [0.0; MAX_JOINTS],
            effort: [0.0; MAX_JOINTS],
            actuated: Ok(()),
            clamps: [0; MAX_JOINTS],
        };
        for (joint, wanted) in wanted.iter().enumerate().take(self.ranges.len()) {
            moved.limited[joint] = self.motion(joint).position;
            moved.generated[joint] = moved.limited[joint];
            moved.requested[joint] = match *wanted {
                Wanted::Follow(target) | Wanted::Rest(target) => target,
                Wanted::Led | Wanted::Stand => moved.limited[joint],
            };
        }
        for _ in 0..steps {
            self.go_on(wanted, state, &mut moved);
        }
        match state {
            // For the robot no time has passed.
            Some(_) if steps == 0 => self.repeat(&mut moved),
            Some(state) => {
                let free = wanted.contains(&Wanted::Led);
                moved.actuated = self.actuate(state, elapsed, free, &mut moved);
            }
            None => {}
        }
        moved
    }

    /// The efforts of the last cycle once more.
    fn repeat(&self, moved: &mut Moved) {
        for (effort, gate) in moved.effort.iter_mut().zip(&self.efforts) {
            *effort = gate.map_or(0.0, |gate| gate.effort());
        }
    }

    /// The commanded motion goes on by one period.
    fn go_on(&mut self, wanted: &[Wanted; MAX_JOINTS], state: Option<&State>, moved: &mut Moved) {
        let joints = self.ranges.len();
        let mut causes = moved.clamps;
        let mut requests = [None; MAX_JOINTS];
        for joint in 0..joints {
            let (request, more) = self.request(joint, wanted[joint]);
            requests[joint] = request;
            causes[joint] |= more;
        }
        self.gate.apply(&requests, &mut moved.limited, &mut moved.clamps);
        for joint in 0..joints {
            if wanted[joint] == Wanted::Led
                && let Some(state) = state
            {
                causes[joint] |= self.lead(joint, state, moved);
            }
            let limited = moved.limited[joint];
            let generated = requests[joint].map_or(limited, Finite::get);
            // What the gate had to change, the generator did not know: it begins anew there.
            if generated != limited {
                self.sources[joint] = Source::None;
            }
            moved.generated[joint] = generated;
            moved.requested[joint] = match wanted[joint] {
                Wanted::Follow(target) | Wanted::Rest(target) => target,
                Wanted::Led => state.map_or(limited, |state| state.position[joint]),
                Wanted::Stand => limited,
            };
            moved.clamps[joint] |= causes[joint];
        }
    }

    /// The request to the gate, and clamp causes that it will not see.
    fn request(&mut self, joint: usize, wanted: Wanted) -> (Option<Finite>, u16) {
        let (source, target, generator) = match wanted {
            // What is led is brought to the measurement behind the gate.
            Wanted::Stand | Wanted::Led => {
                self.sources[joint] = Source::None;
                return (None, 0);
            }
            Wanted::Follow(target) => (Source::Follow, target, self.follow.as_mut()),
            Wanted::Rest(target) => (Source::Rest, target, Some(&mut self.rest)),
        };
        let Some(target) = Finite::new(target) else {
            self.sources[joint] = Source::None;
            return (None, ClampCause::NonFinite.bit());
        };
        let Some(generator) = generator else { return (Some(target), 0) };
        if self.sources[joint] != source
            && let Some(gate) = self.gate.joint(joint)
        {
            generator.begin(joint, gate);
            self.sources[joint] = source;
        }
        let [lower, upper] = self.ranges[joint];
        let outside = !(lower..=upper).contains(&target.get());
        let causes = if outside { ClampCause::Position.bit() } else { 0 };
        (generator.step(joint, target), causes)
    }

    /// Lets the commanded motion of a joint be the measured one. Returns the causes of what was cut.
    fn lead(&mut self, joint: usize, state: &State, moved: &mut Moved) -> u16 {
        let measured = (Finite::new(state.position[joint]), Finite::new(state.velocity[joint]));
        let (Some(position), Some(velocity)) = measured else {
            return ClampCause::NonFinite.bit();
        };
        match self.gate.lead(joint, position, velocity) {
            Some((limited, causes)) => {
                moved.limited[joint] = limited;
                causes
            }
            None => 0,
        }
    }

    fn actuate(
        &mut self,
        state: &State,
        elapsed: u32,
        free: bool,
        moved: &mut Moved,
    ) -> Result<(), Option<usize>> {
        let Self { actuation: Some(actuation), gate, efforts, .. } = self else { return Ok(()) };
        let motion = |joint| gate.joint(joint).map(|joint| joint.motion()).unwrap_or_default();
        let wanted = match actuation.step(motion, state, elapsed, free) {
            Ok(wanted) => wanted,
            Err(failed) => {
                if let Some(joint) = failed {
                    moved.clamps[joint] |= ClampCause::Actuator.bit();
                }
                return Err(failed);
            }
        };
        for (joint, effort, fallback) in wanted {
            let Some(gate) = &mut efforts[joint] else { continue };
            let (effort, causes) = gate.apply(effort);
            moved.effort[joint] = effort;
            moved.clamps[joint] |= causes;
            if fallback {
                moved.clamps[joint] |= ClampCause::Actuator.bit();
            }
        }
        Ok(())
    }
}
