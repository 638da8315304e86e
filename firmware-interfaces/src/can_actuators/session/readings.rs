//! What frames mean.

use super::super::models::Protocol;
use super::device::{Check, Parsed, Reading, register_value};
use super::joint::Phase;
use super::{Arming, Failure, Link, MOST_JUMPS, SPEED_CHANGE, Session, Target};
use crate::Timestamp;
use crate::can::Frame;
use crate::robot::LinkStatus;

impl Session {
    pub(super) fn frame(&mut self, now: Timestamp, frame: &Frame) {
        for at in 0..self.joints.len() {
            let Some(joint) = self.joints.get(at) else { return };
            let awaited = joint.question.and_then(|question| question.register);
            match joint.device.parse(frame, awaited) {
                Parsed::NotMine => {}
                Parsed::Unusable => {
                    self.statistics.rejected += 1;
                    return;
                }
                Parsed::Reading(reading) => return self.reading(now, at, &reading),
            }
        }
        self.statistics.rejected += 1;
        if self.link == Link::Open {
            self.failure = Some(Failure::UnknownId(frame.id()));
        }
    }

    fn reading(&mut self, now: Timestamp, at: usize, reading: &Reading) {
        let Some(joint) = self.joints.get_mut(at) else { return };
        self.statistics.replies += 1;
        if joint.is_stale(reading) {
            return;
        }
        if reading.enabled == Some(true) {
            joint.seen_on = true;
        }
        if self.link == Link::Lost {
            return;
        }
        self.slow(at, reading);
        if let Some(fault) = reading.fault
            && self.tells_fault(at, fault)
        {
            return;
        }
        if reading.enabled == Some(false) && self.is_without_torque(at) {
            return self.fault(Failure::Disabled { joint: at });
        }
        let believed = self.sample(now, at, reading);
        match self.joints.get(at).map(|joint| joint.phase) {
            Some(Phase::SwitchingOn(step)) => self.step_done(now, at, step, reading, believed),
            Some(Phase::Returning) if believed => {
                self.stay(at);
                self.next_turn = now;
            }
            _ => {}
        }
        self.finish();
    }

    /// True where a fault ends the run or the arming. An actuator that is being switched on may still
    /// have an old one, which is cleared.
    fn tells_fault(&mut self, at: usize, fault: &'static str) -> bool {
        let failure = Failure::Fault { joint: at, fault };
        let Some(joint) = self.joints.get_mut(at) else { return false };
        let seen_on = joint.seen_on;
        match joint.phase {
            // The first step of a T-Motor is its last: what it reports cannot be cleared from here.
            Phase::SwitchingOn(step) if joint.device.is_last(step) => {
                self.fault(failure);
                true
            }
            Phase::SwitchingOn(0) => {
                if let Some(clear) = joint.device.clear() {
                    self.queue.push_back(clear);
                }
                false
            }
            Phase::SwitchingOn(_) => false,
            Phase::Running | Phase::Returning if seen_on || self.arming == Arming::Armed => {
                self.fault(failure);
                true
            }
            _ => {
                if self.failure.is_none() {
                    self.failure = Some(failure);
                }
                false
            }
        }
    }

    fn is_without_torque(&self, at: usize) -> bool {
        self.joints.get(at).is_some_and(|joint| {
            matches!(joint.phase, Phase::Running | Phase::Returning) && joint.seen_on
        })
    }

    fn slow(&mut self, at: usize, reading: &Reading) {
        let Some(places) = self.sensors.get(at) else { return };
        let values = [reading.temperature, reading.rotor_temperature, reading.supply];
        for (place, value) in places.iter().zip(values) {
            if let (Some(place), Some(value)) = (place, value.filter(|value| value.is_finite())) {
                self.state.sensors[*place] = value;
            }
        }
    }

    /// Takes position, velocity and torque over, if they are believed.
    fn sample(&mut self, now: Timestamp, at: usize, reading: &Reading) -> bool {
        let (Some(joint), Some(config)) = (self.joints.get_mut(at), self.config.joints.get(at))
        else {
            return false;
        };
        let sign = config.sign();
        let before = self.state.velocity[at];
        if let Some(velocity) = reading.velocity {
            self.state.velocity[at] = sign * velocity / config.gear_ratio;
        }
        if let Some(torque) = reading.torque {
            self.state.effort[at] = sign * torque * config.gear_ratio;
        }
        let Some(position) = reading.position else { return false };
        let captured = joint.question.map_or(now, |question| question.sent);
        let asked = joint.question.is_some_and(|question| question.register.is_none());
        if asked && !matches!(joint.phase, Phase::SwitchingOn(step) if joint.device.is_last(step)) {
            joint.question = None;
            let round_trip = now.since(captured).as_nanos() as u64;
            self.statistics.reads += 1;
            self.statistics.read_ns_sum += round_trip;
            self.statistics.read_ns_max = self.statistics.read_ns_max.max(round_trip);
        }
        joint.missed = 0;
        let angle = config.to_joint(position);
        if let Some((from, taken)) = joint.believed {
            // Somebody may turn it faster than it could by itself, but not at once.
            let most = 1.5 * config.model.ranges.velocity.high / config.gear_ratio;
            let speed = before.abs().max(self.state.velocity[at].abs());
            let reach = most.min(speed + SPEED_CHANGE) * captured.since(taken).as_secs_f64();
            if (angle - from).abs() > reach + self.config.jump_margin {
                joint.jumps += 1;
                self.statistics.rejected += 1;
                let failure = Failure::Jump { joint: at, from, to: angle };
                self.failure = Some(failure);
                if joint.jumps >= MOST_JUMPS && joint.phase == Phase::Running {
                    self.fault(failure);
                } else if joint.jumps >= MOST_JUMPS {
                    // Somebody has turned it by hand while it had no torque.
                    joint.believed = None;
                }
                return false;
            }
        }
        joint.jumps = 0;
        joint.believed = Some((angle, captured));
        joint.measured = Some(position);
        joint.fresh = true;
        self.hold_sent &= !(1 << at);
        self.state.position[at] = angle;
        self.state.captured[at] = captured;
        self.state.sequence += 1;
        true
    }

    /// Whether an answer is what a step of switching on waits for.
    fn step_done(
        &mut self,
        now: Timestamp,
        at: usize,
        step: usize,
        reading: &Reading,
        believed: bool,
    ) {
        let Some(joint) = self.joints.get_mut(at) else { return };
        let measured = joint.measured.unwrap_or_default();
        let Some((_, check)) = joint.device.switch_on(step, measured) else { return };
        // What was not asked for proves nothing; but the state of an ODrive comes by itself.
        if joint.question.is_none() && check != Check::State {
            return;
        }
        let done = match check {
            Check::None => false,
            Check::State => believed,
            Check::Enabled => match reading.enabled {
                Some(enabled) => enabled,
                // An estimate that an ODrive sends by itself says nothing about torque.
                None => believed && joint.device.protocol() == Protocol::Mit,
            },
            Check::Written(number) => {
                reading.register.is_some_and(|(register, _)| register == number)
            }
            Check::Equals(register, configured) => match reading.register {
                Some((number, value)) if number == register.number() => {
                    let found = register_value(register, value);
                    let most = 1e-3 * configured.abs().max(1e-3);
                    // Erased memory reads as no number, which is near to none.
                    let near = (found - configured).abs() <= most;
                    if !near {
                        let name = register.name();
                        return self.fault(Failure::Register {
                            joint: at,
                            name,
                            found,
                            configured,
                        });
                    }
                    true
                }
                _ => false,
            },
        };
        if !done {
            return;
        }
        joint.question = None;
        joint.missed = 0;
        joint.phase = Phase::SwitchingOn(step + 1);
        if joint.device.switch_on(step + 1, measured).is_none() {
            if joint.device.protocol() == Protocol::Odrive {
                // Its heartbeat says that it has torque, not where it stands: it is asked.
                joint.phase = Phase::Returning;
            } else {
                self.stay(at);
            }
        }
        self.next_turn = now;
    }

    /// It takes commands from now on, and until one comes it stays where it was just measured.
    fn stay(&mut self, at: usize) {
        let Some(joint) = self.joints.get_mut(at) else { return };
        let span = &self.config.joints[at].model.ranges.position;
        joint.phase = Phase::Running;
        joint.target =
            joint.measured.map(|place| Target::Position(place.clamp(span.low, span.high)));
    }

    /// After a reading: is the link up, and is everything armed?
    fn finish(&mut self) {
        if self.link != Link::Open || !self.joints.iter().all(|joint| joint.fresh) {
            return;
        }
        if std::mem::take(&mut self.epoch_ends) {
            self.state.epoch += 1;
            self.statistics.reconnects += u64::from(self.connected_before);
            self.connected_before = true;
        }
        self.state.link = LinkStatus::Up;
        self.down_since = None;
        let Arming::Wanted(since) = self.arming else { return };
        // A clock may begin with the arming: what was captured at 0 was never captured.
        let since = since.max(Timestamp::from_nanos(1));
        let ready =
            self.joints.iter().enumerate().all(|(at, joint)| {
                joint.phase == Phase::Running && self.state.captured[at] >= since
            });
        if ready {
            self.arming = Arming::Armed;
        }
    }
}
