//! What is sent, and when.

use std::time::Duration;

use super::device::{Check, Frames, Target};
use super::joint::{Joint, Phase, Question};
use super::{Arming, Failure, Link, Packet, QUEUE, SLOW_PERIOD, Session, Step};
use crate::Timestamp;
use crate::robot::LinkStatus;

/// How often an actuator without torque is asked how it is.
const IDLE_PERIOD: Duration = Duration::from_millis(20);
/// ODrive says by itself, every 100 ms, that it has torque.
const ENABLE_TIMEOUT: Duration = Duration::from_millis(400);
/// Time between two of them.
const DISABLE_PERIOD: Duration = Duration::from_millis(20);
/// An effort that nobody has asked for again for so long ends in a hold.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(200);
/// How often a step of switching on is repeated.
const SWITCH_ON_TRIES: u32 = 10;

impl Session {
    /// What to do at `now`. Call it again until it says [`Step::Wait`], and when frames have been
    /// received.
    pub fn poll(&mut self, now: Timestamp) -> Step {
        if self.link == Link::Lost && !self.is_stopping() {
            return Step::Wait(now.after(IDLE_PERIOD));
        }
        if self.link != Link::Lost
            && let Some(since) = self.down_since
            && self.state.link == LinkStatus::Down
            && self.is_expected()
            && now.since(since) > self.config.reconnect_window
        {
            self.give_up();
        }
        if self.link == Link::Closed {
            return Step::Wait(now.after(IDLE_PERIOD));
        }
        if std::mem::take(&mut self.bus_off) && self.link == Link::Open {
            return Step::Disconnect(Failure::BusOff);
        }
        if let Some(frame) = self.queue.pop_front() {
            self.statistics.requests += 1;
            return Step::Transmit(Packet::Frame(frame));
        }
        if let Some(failure) = self.overdue(now) {
            return Step::Disconnect(failure);
        }
        if now >= self.next_turn {
            // On the grid, unless too much of it was missed.
            let next = self.next_turn.after(self.period);
            self.next_turn = if next > now { next } else { now.after(self.period) };
            self.turn(now);
            if let Some(frame) = self.queue.pop_front() {
                self.statistics.requests += 1;
                return Step::Transmit(Packet::Frame(frame));
            }
        }
        if std::mem::take(&mut self.ask_condition) {
            return Step::Transmit(Packet::AskCondition);
        }
        let deadlines = self.joints.iter().filter_map(|joint| Some(joint.question?.deadline));
        Step::Wait(deadlines.fold(self.next_turn, Timestamp::min))
    }

    /// True where answers are due: actuators of the MIT family say nothing unless they are commanded.
    fn is_expected(&self) -> bool {
        self.link == Link::Closed
            || self.arming == Arming::Armed
            || self.joints.iter().all(|joint| joint.device.ask(joint.off).is_some())
    }

    /// Ends questions that are open for too long. Returns the failure that ends the connection.
    fn overdue(&mut self, now: Timestamp) -> Option<Failure> {
        let mut failure = None;
        for (at, joint) in self.joints.iter_mut().enumerate() {
            if joint.question.is_none_or(|question| now < question.deadline) {
                continue;
            }
            joint.question = None;
            joint.missed += 1;
            self.statistics.timeouts += 1;
            let no_answer = Failure::NoAnswer { joint: at, tries: joint.missed };
            // Silence after torque off is not what went wrong.
            if joint.disable == 0 && !joint.unheard && self.link == Link::Open {
                self.failure = Some(no_answer);
            }
            let most = match joint.phase {
                Phase::SwitchingOn(_) => SWITCH_ON_TRIES.max(self.config.retries),
                _ => self.config.retries,
            };
            if joint.missed > most && self.link == Link::Open {
                joint.missed = 0;
                failure = Some(no_answer);
            }
        }
        failure
    }

    /// One turn: every actuator gets what it is to get.
    fn turn(&mut self, now: Timestamp) {
        let slow = now >= self.next_slow;
        if slow {
            self.next_slow = now.after(SLOW_PERIOD);
            self.ask_condition = true;
        }
        let silent = now.since(self.last_command) > COMMAND_TIMEOUT;
        let torque = |joint: &Joint| {
            matches!((joint.phase, joint.target), (Phase::Running, Some(Target::Torque(_))))
        };
        if self.is_armed() && silent && self.joints.iter().any(torque) {
            self.hold();
        }
        let all_checked = self.joints.iter().all(|joint| match joint.phase {
            Phase::SwitchingOn(step) => joint.device.is_last(step) && joint.question.is_none(),
            _ => true,
        });
        let wanted = matches!(self.arming, Arming::Wanted(_));
        let any_on = wanted && self.joints.iter().any(|joint| joint.phase == Phase::Running);
        let mut commanded = false;
        for at in 0..self.joints.len() {
            commanded |= self.turn_of(now, at, all_checked || any_on, slow);
        }
        if commanded {
            self.statistics.commands += u64::from(std::mem::take(&mut self.unsent));
        }
    }

    /// The turn of one actuator; true if it got a command.
    fn turn_of(&mut self, now: Timestamp, at: usize, may_switch_on: bool, slow: bool) -> bool {
        let timeout = self.config.reply_timeout;
        let Some(joint) = self.joints.get_mut(at) else { return false };
        let question = |register, timeout| {
            Some(Question { sent: now, deadline: now.after(timeout), register })
        };
        let mut frames: Frames = [None; 4];
        let mut commanded = false;
        if joint.disable > 0 {
            if joint.question.is_none() {
                joint.disable -= 1;
                joint.off_sent = true;
                joint.question = question(None, DISABLE_PERIOD);
                frames[0] = Some(joint.device.disable());
                joint.unheard = joint.disable == 0;
            }
        } else if self.link != Link::Open {
            return false;
        } else {
            match joint.phase {
                Phase::Idle if joint.question.is_none() && now >= joint.next_ask => {
                    joint.next_ask = now.after(IDLE_PERIOD);
                    frames[0] = joint.device.ask(joint.off);
                    if frames[0].is_some() {
                        joint.question = question(None, timeout);
                    }
                }
                Phase::SwitchingOn(step) if joint.question.is_none() => {
                    let measured = joint.measured.unwrap_or_default();
                    match joint.device.switch_on(step, measured) {
                        Some(_) if joint.device.is_last(step) && !may_switch_on => {}
                        Some((frame, check)) => {
                            frames[0] = Some(frame);
                            joint.question = match check {
                                Check::None => None,
                                Check::State => question(None, timeout),
                                Check::Enabled => question(None, timeout.max(ENABLE_TIMEOUT)),
                                Check::Written(number) => question(Some(number), timeout),
                                Check::Equals(register, _) => {
                                    question(Some(register.number()), timeout)
                                }
                            };
                            if check == Check::None {
                                joint.phase = Phase::SwitchingOn(step + 1);
                            }
                        }
                        None => joint.phase = Phase::Running,
                    }
                }
                Phase::Returning if joint.question.is_none() => {
                    frames[0] = joint.device.inquire();
                    joint.question = question(None, timeout);
                }
                Phase::Running if joint.question.is_none() => {
                    if let Some(target) = joint.target
                        && let Ok(command) = joint.device.command(target)
                    {
                        frames = command;
                        joint.question = question(None, timeout);
                        commanded = true;
                        self.hold_sent |= self.holding & 1 << at;
                        self.holding &= !(1 << at);
                    }
                }
                _ => {}
            }
            if slow && let Some(place) = frames.iter_mut().find(|frame| frame.is_none()) {
                *place = joint.device.ask_slow();
            }
        }
        for frame in frames.into_iter().flatten() {
            if self.queue.len() < QUEUE {
                self.queue.push_back(frame);
            }
        }
        commanded
    }
}
