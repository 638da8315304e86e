//! What this user may do.

use rustix::process::{Resource, getrlimit};

use super::check::{Area, Check, Verdict};
use super::system::System;
use crate::realtime::{CapabilitySet, Facility, Grants, has_capability, size};

const AREA: Area = Area::Rights;
const DMA_LATENCY: &str = "dev/cpu_dma_latency";

/// `process` and `thread` are what was granted to this process and to a thread of it.
pub(super) fn checks(system: &System, process: &Grants, thread: &Grants) -> Vec<Check> {
    let priority = getrlimit(Resource::Rtprio).current;
    let memory = getrlimit(Resource::Memlock).current;
    let mut checks = Vec::new();
    checks.extend(granted(thread, Facility::Scheduler, "SCHED_FIFO"));
    checks.push(limit(
        "RLIMIT_RTPRIO",
        priority.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string()),
        priority.is_none_or(|limit| limit >= 99),
        has_capability(CapabilitySet::SYS_NICE).then_some("CAP_SYS_NICE"),
        "rtprio 99",
    ));
    checks.extend(granted(thread, Facility::Affinity, "CPUs"));
    checks.extend(granted(process, Facility::Memory, "memory lock"));
    checks.push(limit(
        "RLIMIT_MEMLOCK",
        memory.map_or_else(|| "unlimited".to_owned(), size),
        memory.is_none(),
        has_capability(CapabilitySet::IPC_LOCK).then_some("CAP_IPC_LOCK"),
        "memlock unlimited",
    ));
    checks.push(dma_latency(system));
    checks
}

/// What was tried, and what came of it.
fn granted(grants: &Grants, what: Facility, name: &str) -> Option<Check> {
    let grant = grants.0.iter().find(|grant| grant.what == what)?;
    Some(match &grant.outcome {
        Ok(got) if got.is_empty() => Check::ok(AREA, name, format!("{} granted", grant.asked)),
        Ok(got) => Check::ok(AREA, name, format!("{} granted, {got}", grant.asked)),
        Err(error) => Check::other(
            AREA,
            name,
            Verdict::Bad,
            format!("{} refused: {error}", grant.asked),
            error.remedy(),
        ),
    })
}

/// A limit, which a capability overrides.
fn limit(name: &str, value: String, enough: bool, override_by: Option<&str>, line: &str) -> Check {
    match override_by {
        _ if enough => Check::ok(AREA, name, value),
        Some(capability) => {
            Check::ok(AREA, name, format!("{value}, overridden by {capability} of this process"))
        }
        None => Check::other(
            AREA,
            name,
            Verdict::Warn,
            value,
            format!(
                "`@realtime - {line}` in /etc/security/limits.d/realtime.conf, then log in anew"
            ),
        ),
    }
}

fn dma_latency(system: &System) -> Check {
    const NAME: &str = "cpu_dma_latency";
    if !system.exists(DMA_LATENCY) {
        let remedy = "in a container, pass --device /dev/cpu_dma_latency";
        return Check::other(AREA, NAME, Verdict::Unknown, "no such device", remedy);
    }
    if system.may_write(DMA_LATENCY) {
        return Check::ok(AREA, NAME, "may be written, so realtime.cpu_dma_latency_us works");
    }
    Check::other(
        AREA,
        NAME,
        Verdict::Warn,
        "not writable: realtime.cpu_dma_latency_us would not be granted",
        "udev: KERNEL==\"cpu_dma_latency\", GROUP=\"realtime\", MODE=\"0660\"",
    )
}

#[cfg(test)]
mod tests {
    use super::super::system::fake::Fake;
    use super::*;
    use crate::realtime::{Grant, GrantError};

    #[test]
    fn what_was_tried_is_shown_with_its_remedy() {
        let refused = Grants(vec![Grant {
            what: Facility::Scheduler,
            asked: "SCHED_FIFO 81".to_owned(),
            outcome: Err(GrantError::PriorityLimit { asked: 81, limit: 0 }),
        }]);
        let check = granted(&refused, Facility::Scheduler, "SCHED_FIFO").unwrap();
        assert_eq!(check.verdict, Verdict::Bad);
        assert!(check.found.contains("RLIMIT_RTPRIO is 0"), "{}", check.found);
        assert!(check.remedy.unwrap().contains("limits.d"));
        assert_eq!(granted(&refused, Facility::Memory, "memory"), None);
    }

    #[test]
    fn a_capability_overrides_a_limit() {
        let of = |enough, capability| limit("RLIMIT_X", "0".to_owned(), enough, capability, "x 1");
        assert_eq!(of(true, None).verdict, Verdict::Ok);
        assert_eq!(of(false, Some("CAP_X")).verdict, Verdict::Ok);
        let check = of(false, None);
        assert_eq!(check.verdict, Verdict::Warn);
        assert!(check.remedy.unwrap().contains("@realtime - x 1"));
    }

    #[test]
    fn a_missing_wake_up_device_is_unknown() {
        let fake = Fake::new();
        assert_eq!(dma_latency(&fake.system()).verdict, Verdict::Unknown);
        let fake = fake.file(DMA_LATENCY, "");
        assert_eq!(dma_latency(&fake.system()).verdict, Verdict::Ok);
    }
}
