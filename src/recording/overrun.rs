//! Missed deadlines in words.

use std::time::Duration;

use sinew_episodes::journal::{JointMeta, Phases};
use sinew_firmware_interfaces::JointKind;

use super::CycleSample;
use crate::pacing::BucketLevel;
use crate::supervision::{ArmState, HoldCause, StopCause};

/// What the cycle of `sample` learned of deadlines missed before it: which cycle took how long of
/// its period, where the time went, what follows, and how full the bucket is. For example
/// `cycle 18231 took 3.21 ms of 2.00 ms (read 2.94 ms: joint4 late) → hold; 3 of 5 allowed in 1 s`.
pub(super) fn message(
    previous: Option<&CycleSample>,
    sample: &CycleSample,
    period: Duration,
    joints: &[JointMeta],
) -> String {
    let took = Duration::from_nanos(sample.phases.previous.into());
    // Where samples were dropped, what is known of the cycle before is not known of the right one.
    let index = sample.tick.index.checked_sub(sample.tick.missed + 1);
    let previous = previous.filter(|previous| index == Some(previous.tick.index));
    // The record holds no longer times.
    let least = if sample.phases.previous == u32::MAX { "over " } else { "" };
    let mut text = match previous {
        Some(previous) if took > period => format!(
            "cycle {} took {least}{} of {} ({})",
            previous.tick.index,
            millis(took),
            millis(period),
            reason(previous, sample, took, joints)
        ),
        None if took > period => format!(
            "the cycle before {} took {least}{} of {}",
            sample.tick.index,
            millis(took),
            millis(period),
        ),
        _ => format!("the thread woke late for cycle {}", sample.tick.index),
    };
    if sample.tick.missed > 0 {
        let periods = if sample.tick.missed == 1 { "period" } else { "periods" };
        text.push_str(&format!(", {} {periods} without a cycle", sample.tick.missed));
    }
    let BucketLevel { misses, allowed, window } = sample.outcome.overruns;
    let window = window.as_secs_f64();
    let consequence = match (sample.outcome.state, sample.cause, sample.hold) {
        (ArmState::Stopping, Some(StopCause::Overrun), _) => "ramp to rest",
        (ArmState::Holding, _, Some(HoldCause::Overrun)) => "hold",
        _ => "reported",
    };
    text.push_str(&format!(" → {consequence}; {misses} of {allowed} allowed in {window} s"));
    text
}

/// The part of the cycle that took longest, and the joint whose sample was oldest where that part
/// is reading.
fn reason(
    previous: &CycleSample,
    sample: &CycleSample,
    took: Duration,
    joints: &[JointMeta],
) -> String {
    let Phases { read, take, decide, write, .. } = previous.phases;
    // The record of a cycle is known to the next one only.
    let record = sample.phases.record;
    let waking = previous.tick.woke.since(previous.tick.scheduled).as_nanos() as u64;
    let parts = [
        ("waking", waking),
        ("read", read.into()),
        ("take", take.into()),
        ("decide", decide.into()),
        ("write", write.into()),
        ("record", record.into()),
    ];
    let known: u64 = parts.iter().map(|(_, nanos)| nanos).sum();
    let between = (took.as_nanos() as u64).saturating_sub(known);
    let (name, nanos) = parts
        .into_iter()
        .chain([("between", between)])
        .max_by_key(|part| part.1)
        .unwrap_or(parts[0]);
    let mut text = format!("{name} {}", millis(Duration::from_nanos(nanos)));
    if name == "read" {
        let captured =
            || joints.iter().zip(&previous.state.captured).filter(|(joint, _)| is_judged(joint));
        let oldest = captured().min_by_key(|(_, at)| **at);
        // Where all are of one time, none of them is late.
        if let Some((joint, at)) = oldest
            && captured().any(|(_, other)| other > at)
        {
            text.push_str(&format!(": {} late", joint.name));
        }
    }
    text
}

/// Grippers are read at a lower rate: theirs is always the oldest sample, and late for nobody.
fn is_judged(joint: &JointMeta) -> bool {
    joint.unit != JointKind::Gripper.unit()
}

fn millis(span: Duration) -> String {
    format!("{:.2} ms", span.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sinew_firmware_interfaces::Timestamp;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_nanos(micros * 1000)
    }

    fn late() -> (CycleSample, CycleSample) {
        let mut previous = CycleSample::default();
        previous.tick.index = 18231;
        previous.tick.scheduled = at(1000);
        previous.tick.woke = at(1020);
        previous.phases.read = 2_940_000;
        previous.phases.decide = 100_000;
        previous.state.captured[..4].copy_from_slice(&[at(900), at(200), at(900), at(1)]);
        let mut sample = CycleSample::default();
        sample.phases.previous = 3_210_000;
        sample.inputs.misses = 1;
        sample.tick.index = 18232;
        sample.outcome.state = ArmState::Holding;
        sample.hold = Some(HoldCause::Overrun);
        sample.outcome.overruns =
            BucketLevel { misses: 3, allowed: 5, window: Duration::from_secs(1) };
        (previous, sample)
    }

    fn said(previous: &CycleSample, sample: &CycleSample) -> String {
        let meta = |(name, kind): (&str, JointKind)| JointMeta {
            name: name.to_owned(),
            unit: kind.unit().to_owned(),
        };
        let turns = JointKind::Revolute;
        let joints = [("joint3", turns), ("joint4", turns), ("joint5", turns)];
        let joints = joints.into_iter().chain([("gripper", JointKind::Gripper)]).map(meta);
        let joints: Vec<_> = joints.collect();
        message(Some(previous), sample, Duration::from_millis(2), &joints)
    }

    #[test]
    fn it_names_cycle_phase_joint_consequence_and_budget() {
        let (previous, sample) = late();
        assert_eq!(
            said(&previous, &sample),
            "cycle 18231 took 3.21 ms of 2.00 ms (read 2.94 ms: joint4 late) → hold; 3 of 5 allowed in 1 s"
        );
    }

    #[test]
    fn joints_of_one_time_are_not_late_and_a_lost_cycle_is_not_spoken_of() {
        let (mut previous, mut sample) = late();
        previous.state.captured[..3].fill(at(900));
        assert!(said(&previous, &sample).contains("(read 2.94 ms) →"));
        sample.tick.index += 7;
        assert_eq!(
            said(&previous, &sample),
            "the cycle before 18239 took 3.21 ms of 2.00 ms → hold; 3 of 5 allowed in 1 s"
        );
        sample.phases.previous = u32::MAX;
        assert!(said(&previous, &sample).contains("took over 4294.97 ms of"));
    }

    #[test]
    fn a_stalled_thread_is_told_from_a_slow_phase() {
        let (mut previous, mut sample) = late();
        previous.phases.read = 10_000;
        sample.phases.previous = 1_000_000_000;
        sample.tick.index += 498;
        sample.tick.missed = 498;
        sample.inputs.misses = 499;
        sample.outcome.state = ArmState::Stopping;
        sample.cause = Some(StopCause::Overrun);
        sample.outcome.overruns.misses = 499;
        assert_eq!(
            said(&previous, &sample),
            "cycle 18231 took 1000.00 ms of 2.00 ms (between 999.87 ms), 498 periods without a \
             cycle → ramp to rest; 499 of 5 allowed in 1 s"
        );
        sample.phases.previous = 100_000;
        sample.outcome.state = ArmState::Running;
        sample.cause = None;
        sample.tick.index = 18233;
        sample.tick.missed = 1;
        assert_eq!(
            said(&previous, &sample),
            "the thread woke late for cycle 18233, 1 period without a cycle → reported; 499 of 5 \
             allowed in 1 s"
        );
    }
}
