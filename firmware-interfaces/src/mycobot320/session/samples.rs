//! Which readings are believed, and when they were taken.

use std::time::Duration;

use super::failure::Failure;
use crate::Timestamp;
use crate::mycobot320::arm;
use crate::mycobot320::config::Config;
use crate::mycobot320::wire::{ARM_JOINTS, scaling};

/// Refuses readings outside the joints' ranges, and those further from the last believed one than
/// the arm can have moved. The protocol has no checksum, so this is all that catches a flipped bit.
#[derive(Clone, Debug)]
pub(super) struct SampleFilter {
    believed: Option<([i16; ARM_JOINTS], Timestamp)>,
    /// A refused reading that others may confirm.
    candidate: Option<([i16; ARM_JOINTS], Timestamp, u32)>,
    most: [i16; ARM_JOINTS],
    jump_margin: f64,
    persistence: u32,
}

impl SampleFilter {
    pub(super) fn new(config: &Config) -> Self {
        let margin = config.range_margin.to_degrees();
        Self {
            believed: None,
            candidate: None,
            most: arm::JOINT_RANGE_DEGREES
                .map(|degrees| scaling::angle_from_degrees(degrees + margin)),
            jump_margin: config.jump_margin.to_degrees() * scaling::ANGLE_PER_DEGREE,
            persistence: config.jump_persistence,
        }
    }

    /// Forgets earlier readings: the next one is believed if it is in range.
    pub(super) const fn reset(&mut self) {
        self.believed = None;
        self.candidate = None;
    }

    /// Believes a reading taken at `captured`, or says why not.
    pub(super) fn check(
        &mut self,
        angles: &[i16; ARM_JOINTS],
        captured: Timestamp,
    ) -> Result<(), Failure> {
        for (joint, (angle, most)) in angles.iter().zip(&self.most).enumerate() {
            if i32::from(*angle).abs() > i32::from(*most) {
                let joint = joint + 1;
                return Err(Failure::OutOfRange { joint, angle: *angle, most: *most });
            }
        }
        let Some((last, taken)) = self.believed else {
            self.believed = Some((*angles, captured));
            return Ok(());
        };
        let jump = self.jump(&last, angles, captured.since(taken));
        if let Some(joint) = jump {
            // Readings that agree with each other are true after all: the arm was moved while
            // nobody looked, or the believed reading was the wrong one.
            let seen = match self.candidate {
                Some((other, at, seen))
                    if self.jump(&other, angles, captured.since(at)).is_none() =>
                {
                    seen + 1
                }
                _ => 1,
            };
            self.candidate = Some((*angles, captured, seen));
            if seen < self.persistence {
                let (from, to) = (last[joint], angles[joint]);
                return Err(Failure::Jump { joint: joint + 1, from, to });
            }
        }
        self.candidate = None;
        self.believed = Some((*angles, captured));
        Ok(())
    }

    /// The first joint that cannot have moved so far in `span`.
    fn jump(
        &self,
        from: &[i16; ARM_JOINTS],
        to: &[i16; ARM_JOINTS],
        span: Duration,
    ) -> Option<usize> {
        // A capture time says when the reading was requested; the arm may have moved for another
        // request's time since.
        let seconds = span.as_secs_f64() + 0.02;
        let reach = arm::MAX_JOINT_SPEED_DEGREES * scaling::ANGLE_PER_DEGREE * seconds;
        let most = reach + self.jump_margin;
        from.iter().zip(to).position(|(from, to)| (f64::from(*to) - f64::from(*from)).abs() > most)
    }
}

const LENGTH: usize = 8;
/// How long a device that answers late is taken to be slow.
const SLOW_SPELL: Duration = Duration::from_secs(2);

/// Times at which readings were requested and not answered yet, oldest first.
///
/// Answers carry no number, so each is taken for the oldest request that may still be answered: a
/// sample may look older than it is, never newer. When an answer was lost, that alone would make
/// every later sample look a time-out too old. So, once an answer comes as fast after the newest
/// request as answers usually do, nothing is asked for a moment: if no further answer turns up,
/// the older requests are known to be lost, and counting begins anew. A device whose answers come
/// at other times is slow rather than deaf; then the oldest request goes on counting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unanswered {
    times: [Timestamp; LENGTH],
    count: usize,
    /// Usual time from request to answer, averaged over answers that are beyond doubt.
    usual: Option<Duration>,
    /// When requests that are still open count as lost.
    lost_at: Option<Timestamp>,
    slow_until: Timestamp,
}

impl Unanswered {
    pub(super) const fn new() -> Self {
        Self {
            times: [Timestamp::ZERO; LENGTH],
            count: 0,
            usual: None,
            lost_at: None,
            slow_until: Timestamp::ZERO,
        }
    }

    /// When the next reading may be requested.
    pub(super) fn next_request(&self) -> Timestamp {
        self.lost_at.unwrap_or(Timestamp::ZERO)
    }

    /// A reading is requested.
    pub(super) fn push(&mut self, sent: Timestamp) {
        if self.lost_at.take().is_some_and(|lost_at| sent >= lost_at) {
            self.count = 0;
        }
        if self.count == LENGTH {
            self.pop();
        }
        self.times[self.count] = sent;
        self.count += 1;
    }

    /// The request that an answer arriving at `now` belongs to. Requests older than `limit` are
    /// taken to have been lost.
    pub(super) fn match_answer(&mut self, now: Timestamp, limit: Duration) -> Option<Timestamp> {
        while self.count > 0 && now.since(self.times[0]) > limit {
            self.pop();
        }
        let newest = *self.times.get(self.count.checked_sub(1)?)?;
        let taken = now.since(newest);
        if self.lost_at.take().is_some() {
            // So the one before was late, not lost.
            self.slow_until = now.after(SLOW_SPELL);
        } else if self.count == 1 {
            let usual = self.usual.unwrap_or(taken);
            self.usual = Some((usual * 7 + taken) / 8);
        } else if let Some(usual) = self.usual
            && now >= self.slow_until
        {
            if taken <= usual + usual / 2 + Duration::from_millis(5) {
                self.lost_at = Some(now.after(2 * usual));
            } else {
                self.slow_until = now.after(SLOW_SPELL);
            }
        }
        Some(self.pop())
    }

    pub(super) const fn clear(&mut self) {
        self.count = 0;
        self.lost_at = None;
    }

    fn pop(&mut self) -> Timestamp {
        let first = self.times[0];
        self.times.copy_within(1.., 0);
        self.count -= 1;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::from_nanos(milliseconds * 1_000_000)
    }

    fn filter() -> SampleFilter {
        SampleFilter::new(&Config::default())
    }

    #[test]
    fn a_reading_outside_the_range_is_never_believed() {
        let mut filter = filter();
        // The value that broken firmware repeats for ever, 180.08°.
        for time in 0..20 {
            let refused = filter.check(&[0, 18008, 0, 0, 0, 0], at(time * 25));
            assert!(matches!(refused, Err(Failure::OutOfRange { joint: 2, angle: 18008, .. })));
        }
        // A joint resting slightly past its limit is believed.
        assert_eq!(filter.check(&[17000, 0, 0, 0, 0, 0], at(600)), Ok(()));
    }

    #[test]
    fn full_speed_is_believed_and_a_jump_is_not() {
        let mut filter = filter();
        assert_eq!(filter.check(&[0; 6], at(0)), Ok(()));
        // 150°/s for 40 ms.
        assert_eq!(filter.check(&[600, 0, 0, 0, 0, 0], at(40)), Ok(()));
        let jump = filter.check(&[600, 0, 0, 4096, 0, 0], at(80));
        assert_eq!(jump, Err(Failure::Jump { joint: 4, from: 0, to: 4096 }));
        assert_eq!(filter.check(&[620, 0, 0, 0, 0, 0], at(120)), Ok(()));
    }

    #[test]
    fn a_jump_that_persists_is_believed_and_scattered_ones_are_not() {
        let mut filter = filter();
        filter.check(&[0; 6], at(0)).unwrap();
        for round in 1..4 {
            assert!(filter.check(&[0, 0, 5000 + round, 0, 0, 0], at(round as u64 * 40)).is_err());
        }
        assert_eq!(filter.check(&[0, 0, 5004, 0, 0, 0], at(160)), Ok(()));
        for (round, angle) in [-9000, 9000, -9000, 9000, -9000].into_iter().enumerate() {
            assert!(filter.check(&[0, 0, angle, 0, 0, 0], at(200 + round as u64 * 40)).is_err());
        }
    }

    #[test]
    fn answers_belong_to_the_oldest_request_that_may_still_be_answered() {
        let limit = Duration::from_millis(400);
        let mut unanswered = Unanswered::new();
        [0, 100, 200].map(at).iter().for_each(|time| unanswered.push(*time));
        assert_eq!(unanswered.match_answer(at(210), limit), Some(at(0)));
        assert_eq!(unanswered.match_answer(at(310), limit), Some(at(100)));
        assert_eq!(unanswered.match_answer(at(700), limit), None);
        for time in 0..20 {
            unanswered.push(at(1000 + time));
        }
        assert_eq!(unanswered.match_answer(at(1020), limit), Some(at(1012)));
    }

    #[test]
    fn after_a_lost_answer_samples_look_older_once_and_then_have_their_time_again() {
        let limit = Duration::from_millis(700);
        let mut unanswered = Unanswered::new();
        for time in [0, 20, 40] {
            unanswered.push(at(time));
            assert_eq!(unanswered.match_answer(at(time + 18), limit), Some(at(time)));
        }
        // The answer to this one is lost; it is asked again after its time-out.
        unanswered.push(at(60));
        unanswered.push(at(160));
        assert_eq!(unanswered.match_answer(at(178), limit), Some(at(60)));
        assert_eq!(unanswered.next_request(), at(178 + 36));
        for time in [214, 234, 254] {
            unanswered.push(at(time));
            assert_eq!(unanswered.match_answer(at(time + 18), limit), Some(at(time)));
        }
    }

    #[test]
    fn an_answer_that_is_late_is_never_taken_for_a_newer_request() {
        let limit = Duration::from_millis(700);
        let mut unanswered = Unanswered::new();
        unanswered.push(at(0));
        assert_eq!(unanswered.match_answer(at(18), limit), Some(at(0)));
        // From here on every answer takes 150 ms, one and a half time-outs.
        unanswered.push(at(20));
        unanswered.push(at(120));
        assert_eq!(unanswered.match_answer(at(170), limit), Some(at(20)));
        assert_eq!(unanswered.next_request(), Timestamp::ZERO);
        unanswered.push(at(220));
        assert_eq!(unanswered.match_answer(at(270), limit), Some(at(120)));
        assert_eq!(unanswered.match_answer(at(370), limit), Some(at(220)));
    }
}
