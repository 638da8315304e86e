//! What arrives.

use std::time::Duration;

use super::filter::Verdict;
use super::schedule::RESEND;
use super::{Arming, DeviceTime, Failure, Phase, Session, Speech, gyro};
use crate::Timestamp;
use crate::rig::wire::{
    Columns, Fault, Frame, Identity, KEEP, Mode, Report, Request, Sample, VERSION, WireError,
};
use crate::robot::{LinkStatus, StopRequest};

/// A device's clock that is this much ahead of where it could be has not simply gone on.
const LEAP: Duration = Duration::from_secs(1);

/// What a line turned out to be.
enum Line {
    Header(Result<Columns, WireError>),
    Sample(Result<Sample, WireError>),
    Remark,
    /// A remark that says that something was refused.
    Refusal,
}

impl Session {
    /// Takes bytes that arrived at `now`.
    pub fn receive(&mut self, now: Timestamp, bytes: &[u8]) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        if self.speech != Speech::Text {
            let mut rest = bytes;
            while let Some(frame) = self.frames.next(&mut rest) {
                self.speech = Speech::Binary;
                self.take_frame(now, &frame);
            }
        }
        if self.speech != Speech::Binary {
            let mut rest = bytes;
            let columns = self.columns;
            while let Some(line) = self.lines.next(&mut rest, |line| {
                if Columns::is_refusal(line) {
                    Line::Refusal
                } else if line.starts_with(b"#") {
                    Line::Remark
                } else if Columns::is_header(line) {
                    Line::Header(Columns::parse(line))
                } else {
                    Line::Sample(columns.sample(line))
                }
            }) {
                self.take_line(now, line);
            }
        }
        self.count_garbage();
    }

    fn take_frame(&mut self, now: Timestamp, frame: &Frame) {
        match Report::parse(frame) {
            Ok(Report::State(sample)) => {
                let last = self.last_index.replace(sample.index);
                let periods = last.map_or(1, |last| sample.index.wrapping_sub(last));
                self.take_sample(now, &sample, periods.into());
            }
            Ok(Report::Identity(identity)) => self.take_identity(now, &identity),
            Ok(Report::Refusal { kind, reason, .. }) => {
                let moves = Request::is_motion_kind(kind);
                self.take_refusal(now, Failure::Refused { kind, reason }, moves);
            }
            Err(error) => self.take_nonsense(now, error),
        }
    }

    fn take_line(&mut self, now: Timestamp, line: Line) {
        let heard = self.speech == Speech::Text;
        match line {
            Line::Header(Ok(columns)) => {
                self.speech = Speech::Text;
                self.columns = columns;
            }
            Line::Sample(Ok(sample)) => {
                self.speech = Speech::Text;
                let columns = &self.columns;
                if let Some(failure) = self.missing(columns.has_temperature(), columns.has_supply())
                {
                    // The header may still come: it is asked for again and again.
                    self.heard = now;
                    self.unusable += 1;
                    if self.unusable > self.config.jump_persistence && self.is_armed() {
                        return self.stop_broken(now, failure);
                    }
                    return self.refuse(failure);
                }
                if self.phase == Phase::Identify && self.configured {
                    self.phase = Phase::Running;
                }
                let elapsed = self.time.since_last(sample.time_us).unwrap_or_default();
                let period = self.config.period().as_nanos().max(1);
                let periods = (elapsed as f64 / period as f64).round().clamp(1.0, 1e9);
                self.take_sample(now, &sample, periods as u64);
            }
            // Before anything was understood, it may be the tail of a line, or no text at all.
            Line::Header(Err(error)) | Line::Sample(Err(error)) if heard => {
                self.take_nonsense(now, error);
            }
            // A remark does not say what it is about: the last request, if the device is quick.
            Line::Refusal if heard => {
                self.take_refusal(now, Failure::RefusedByRemark, self.sent_motion);
            }
            Line::Header(Err(_)) | Line::Sample(Err(_)) | Line::Remark | Line::Refusal => {}
        }
    }

    /// What is whole and makes no sense costs itself; a sensor whose readings are no numbers any more
    /// ends the run with its name, and not with the silence that it makes.
    fn take_nonsense(&mut self, now: Timestamp, error: WireError) {
        self.refuse(Failure::Malformed(error));
        if matches!(error, WireError::NotFinite { .. }) {
            self.unusable += 1;
            if self.unusable > self.config.jump_persistence && self.is_armed() {
                self.stop_broken(now, Failure::Malformed(error));
            }
        }
    }

    /// Nothing that moves can be controlled by what this sensor says.
    fn stop_broken(&mut self, now: Timestamp, failure: Failure) {
        // What is not armed gets no torque to hold with.
        let armed = self.is_armed();
        self.stop(now, if armed { StopRequest::Hold } else { StopRequest::TorqueOff });
        self.give_up(Some(failure));
    }

    /// A device that refuses a command goes on with the one before, and an old torque would never
    /// end. It is told to hold, and commands start again from where it then stands.
    fn take_refusal(&mut self, now: Timestamp, failure: Failure, moves: bool) {
        self.refuse(failure);
        if moves && self.is_armed() {
            self.epoch_ends = true;
            self.stop(now, StopRequest::Hold);
        }
    }

    /// What the device should measure and does not.
    fn missing(&self, temperature: bool, supply: bool) -> Option<Failure> {
        let wanted = [
            (self.config.has_temperature() && !temperature, "temperature"),
            (self.config.has_supply() && !supply, "supply"),
        ];
        let (_, sensor) = wanted.into_iter().find(|(missing, _)| *missing)?;
        Some(Failure::NoSensor { sensor })
    }

    fn take_identity(&mut self, now: Timestamp, identity: &Identity) {
        self.heard = now;
        if identity.version != VERSION {
            return self.give_up(Some(Failure::Version { version: identity.version }));
        }
        let wanted = self.config.rate_hz;
        if identity.max_rate_hz < wanted {
            let most = identity.max_rate_hz;
            return self.give_up(Some(Failure::Rate { wanted, most }));
        }
        // What travels in single precision may come back a little smaller.
        let (configured, most) = (self.config.max_effort, identity.max_torque);
        if most > 0.0 && configured > most * (1.0 + f64::from(f32::EPSILON)) {
            return self.give_up(Some(Failure::Torque { configured, most }));
        }
        let watchdog = self.watchdog_ms();
        if self.phase == Phase::Identify
            && identity.rate_hz == wanted
            && identity.watchdog_ms == watchdog
        {
            self.phase = Phase::Running;
        } else {
            // It is told, and asked again: the next identity confirms it.
            self.next_hello = self.next_hello.min(now.after(RESEND));
        }
    }

    /// The watchdog as it is sent.
    pub(super) fn watchdog_ms(&self) -> u16 {
        let most = u128::from(KEEP - 1);
        self.config.watchdog.as_millis().min(most) as u16
    }

    /// Takes a sample that is `periods` after the one before by the device's count.
    fn take_sample(&mut self, now: Timestamp, sample: &Sample, periods: u64) {
        let waited = now.since(self.heard);
        self.heard = now;
        self.unusable = 0;
        let Some(elapsed) = self.elapsed(now, sample.time_us, waited) else { return };
        // A wrapped count is a small step; one that went back while the clock did not is none.
        let periods = if periods > u64::from(u32::MAX / 2) { 1 } else { periods.max(1) };
        let captured = self.time.captured(sample.time_us, now);
        if let Some(ppm) = self.time.excess().filter(|_| self.phase == Phase::Running) {
            return self.stop_broken(now, Failure::Clock { ppm, most: DeviceTime::most() });
        }
        (self.mode, self.mode_at) = (sample.mode, captured);
        if self.speaks_of_mode() {
            self.follow_mode(captured, sample);
        } else if matches!(self.arming, Arming::Wanted(since) if captured > since && self.next_arm > since)
        {
            // It was told, and cannot say more.
            self.arming = Arming::Armed;
        }
        self.statistics.timeouts += periods - 1;
        self.beat.index += periods;
        self.gyro.elapse(elapsed);
        match self.filter.judge(sample.encoder, elapsed) {
            Verdict::Good => {}
            Verdict::Refused(failure) => return self.refuse(failure),
            Verdict::Moved => {
                self.epoch_ends = true;
                self.pending = None;
                self.gyro.reset();
            }
        }
        let rate = self.config.gyro_axis.of(sample.gyro);
        match self.gyro.judge(sample.gyro, rate, sample.encoder) {
            gyro::Verdict::Good => self.accept(now, captured, sample),
            gyro::Verdict::Broken(failure) if self.is_armed() => {
                self.statistics.rejected += 1;
                self.stop_broken(now, failure);
            }
            gyro::Verdict::Refused(failure) | gyro::Verdict::Broken(failure) => {
                self.refuse(failure);
            }
        }
    }

    /// Time on the device's clock since the sample before. `None` for a sample that is not to be
    /// believed: its time stands, goes back or leaps. What the next one confirms is a restart, or a
    /// gap.
    fn elapsed(&mut self, now: Timestamp, time_us: u64, waited: Duration) -> Option<Duration> {
        let Some(nanos) = self.time.since_last(time_us) else { return Some(Duration::ZERO) };
        let most = (waited + LEAP).as_nanos() as i128;
        if (1..=most).contains(&nanos) {
            self.suspect = None;
            return Some(Duration::from_nanos(nanos as u64));
        }
        let confirmed = self
            .suspect
            .replace(time_us)
            .and_then(|suspect| time_us.checked_sub(suspect))
            .is_some_and(|step| step > 0 && u128::from(step) < LEAP.as_micros());
        if !confirmed {
            let (field, value) = ("time", time_us as f64 * 1e-6);
            self.refuse(Failure::Malformed(WireError::Meaningless { field, value }));
            return None;
        }
        self.suspect = None;
        self.time.reset();
        self.filter.reset();
        self.gyro.reset();
        self.epoch_ends = true;
        self.pending = None;
        if nanos > 0 {
            return Some(Duration::ZERO);
        }
        self.restarted(now);
        None
    }

    /// What the motor follows decides about arming, and about stops in `poll`. What would end the
    /// link is believed when it is said twice in a row: a line of text has no check.
    fn follow_mode(&mut self, captured: Timestamp, sample: &Sample) {
        let held = Fault::Silence.is_in(sample.faults);
        let faults = sample.faults & !(Fault::Silence as u8);
        let off = sample.mode == Mode::Off;
        // Frames have a 0 where there is no sensor; a guard of it would guard nothing.
        let missing = match self.speech {
            Speech::Text => None,
            _ => self.missing(sample.temperature != 0.0, sample.supply != 0.0),
        };
        self.lacks = missing.is_some();
        let bad = faults != 0 || off || held || self.lacks;
        let said_before = std::mem::replace(&mut self.bad_news, bad);
        match self.arming {
            Arming::Wanted(_) if missing.is_some() => self.failure = missing,
            Arming::Wanted(since)
                if self.may_arm() && captured > since && !off && sample.faults == 0 =>
            {
                self.arming = Arming::Armed;
            }
            Arming::Wanted(_) if faults != 0 => self.failure = Some(Failure::Faulty { faults }),
            Arming::Armed if !said_before => {}
            Arming::Armed if faults != 0 => self.give_up(Some(Failure::Faulty { faults })),
            Arming::Armed if off => self.give_up(Some(Failure::Released)),
            Arming::Armed if missing.is_some() => self.give_up(missing),
            Arming::Armed if held => {
                // It is armed again where it stands, and the next command starts from there.
                self.failure = Some(Failure::Held);
                self.pending = None;
                self.arming = Arming::Wanted(captured);
                self.epoch_ends = true;
            }
            _ => {}
        }
    }

    fn restarted(&mut self, now: Timestamp) {
        if self.is_armed() {
            return self.give_up(Some(Failure::Restarted));
        }
        if self.phase == Phase::Lost {
            return;
        }
        self.failure = Some(Failure::Restarted);
        self.last_index = None;
        // It has forgotten what it was told.
        self.phase = Phase::Identify;
        self.state.link = LinkStatus::Down;
        self.down_since.get_or_insert(now);
        self.configured = false;
        self.next_hello = now;
    }

    fn accept(&mut self, now: Timestamp, captured: Timestamp, sample: &Sample) {
        let state = &mut self.state;
        if std::mem::take(&mut self.epoch_ends) {
            state.epoch += 1;
            if std::mem::replace(&mut self.connected_before, true) && self.down_since.is_some() {
                self.statistics.reconnects += 1;
            }
        }
        state.position[0] = sample.encoder;
        state.velocity[0] = self.config.gyro_axis.of(sample.gyro);
        let acceleration = self.config.accel_axis.of(sample.acceleration);
        let scale = self.config.effort_per_acceleration();
        state.effort[0] = scale.map_or(0.0, |scale| scale * acceleration);
        state.captured[0] = captured;
        let [ax, ay, az] = sample.acceleration;
        let [gx, gy, gz] = sample.gyro;
        let sensors = [sample.time_us as f64 * 1e-6, sample.command, ax, ay, az, gx, gy, gz];
        let temperature = self.config.has_temperature().then_some(sample.temperature);
        let supply = self.config.has_supply().then_some(sample.supply);
        let sensors = sensors.into_iter().chain(temperature).chain(supply);
        for (place, value) in state.sensors.iter_mut().zip(sensors) {
            *place = value;
        }
        state.sequence += 1;
        if self.phase == Phase::Running {
            state.link = LinkStatus::Up;
            self.down_since = None;
        }
        self.beat.arrived = now;
        let age = now.since(captured).as_nanos() as u64;
        self.statistics.replies += 1;
        self.statistics.reads += 1;
        self.statistics.read_ns_sum += age;
        self.statistics.read_ns_max = self.statistics.read_ns_max.max(age);
    }
}
