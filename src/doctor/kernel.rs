//! Kernel, preemption, clock, throttling, CPUs.

use super::check::{Area, Check, Verdict};
use super::system::System;
use crate::realtime::{CpuList, Throttling, throttling};

const AREA: Area = Area::Kernel;
const CPUS: &str = "sys/devices/system/cpu";

pub(super) fn checks(system: &System) -> Vec<Check> {
    vec![
        kernel(system),
        clock_source(system),
        rt_throttling(throttling(system.root())),
        isolation(system),
        governor(system),
        idle_states(system),
    ]
}

/// When the kernel lets a thread that has become ready have the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preemption {
    /// Nearly always (PREEMPT_RT).
    Rt,
    /// Outside locks and interrupt handlers.
    Full,
    /// As `Full` for real-time threads, at ticks for others.
    Lazy,
    /// At points that were put in for it.
    Voluntary,
    /// On the way back to a program.
    None,
    /// Switchable, and not to be seen which.
    Dynamic,
    Unknown,
}

fn kernel(system: &System) -> Check {
    let release = system.text("proc/sys/kernel/osrelease").unwrap_or_default();
    let version = system.text("proc/sys/kernel/version").unwrap_or_default();
    let realtime = system.text("sys/kernel/realtime");
    let preempt = system.text("sys/kernel/debug/sched/preempt");
    let cmdline = system.text("proc/cmdline").unwrap_or_default();
    let config = system
        .gzip_text("proc/config.gz")
        .or_else(|| system.text(&format!("boot/config-{release}")));
    let release = if release.is_empty() { "unknown".to_owned() } else { release };
    let seen =
        preemption(&version, realtime.as_deref(), preempt.as_deref(), &cmdline, config.as_deref());
    let (verdict, text) = match seen {
        Preemption::Rt => return Check::ok(AREA, "kernel", format!("{release}, PREEMPT_RT")),
        Preemption::Full => (Verdict::Warn, "full, not PREEMPT_RT"),
        Preemption::Lazy => (Verdict::Warn, "lazy, not PREEMPT_RT"),
        Preemption::Voluntary => (Verdict::Warn, "voluntary"),
        Preemption::None => (Verdict::Warn, "none"),
        Preemption::Dynamic => (Verdict::Unknown, "dynamic; which of them cannot be read"),
        Preemption::Unknown => (Verdict::Unknown, "unknown"),
    };
    let remedy = match seen {
        Preemption::Full | Preemption::Lazy => {
            "a PREEMPT_RT kernel bounds wake-ups; this one does not"
        }
        _ => "install a PREEMPT_RT kernel, or boot with preempt=full",
    };
    Check::other(AREA, "kernel", verdict, format!("{release}, preemption {text}"), remedy)
}

/// From the kernel's version line, `/sys/kernel/realtime`, the switch in debugfs
/// (`none voluntary (full)`), the command line and the build configuration; the first that speaks
/// wins. Kernels with PREEMPT_RT need not have `/sys/kernel/realtime`, so the version line counts
/// too.
fn preemption(
    version: &str,
    realtime: Option<&str>,
    switch: Option<&str>,
    cmdline: &str,
    config: Option<&str>,
) -> Preemption {
    let named = |name: &str| match name {
        "none" => Some(Preemption::None),
        "voluntary" => Some(Preemption::Voluntary),
        "full" => Some(Preemption::Full),
        "lazy" => Some(Preemption::Lazy),
        _ => None,
    };
    let has = |word: &str| version.split_ascii_whitespace().any(|part| part == word);
    if realtime == Some("1") || has("PREEMPT_RT") {
        return Preemption::Rt;
    }
    let dynamic = has("PREEMPT_DYNAMIC");
    let chosen = switch
        .and_then(|text| text.split_once('(')?.1.split_once(')'))
        .and_then(|(name, _)| named(name))
        .or_else(|| {
            let options = cmdline.split_ascii_whitespace();
            let option = options.rev().find_map(|option| option.strip_prefix("preempt="));
            option.filter(|_| dynamic).and_then(named)
        })
        .or_else(|| built(config?));
    match chosen {
        Some(chosen) => chosen,
        None if dynamic => Preemption::Dynamic,
        None if has("PREEMPT") => Preemption::Full,
        None => Preemption::Unknown,
    }
}

/// The choice that a kernel was built with; with PREEMPT_DYNAMIC it is the one it boots with.
fn built(config: &str) -> Option<Preemption> {
    let set = |name: &str| config.lines().any(|line| line.trim().strip_prefix(name) == Some("=y"));
    [
        ("CONFIG_PREEMPT_RT", Preemption::Rt),
        ("CONFIG_PREEMPT_LAZY", Preemption::Lazy),
        ("CONFIG_PREEMPT", Preemption::Full),
        ("CONFIG_PREEMPT_VOLUNTARY", Preemption::Voluntary),
        ("CONFIG_PREEMPT_NONE", Preemption::None),
    ]
    .into_iter()
    .find_map(|(name, choice)| set(name).then_some(choice))
}

fn clock_source(system: &System) -> Check {
    const NAME: &str = "clock source";
    let path = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    match system.text(path) {
        Some(name) if matches!(name.as_str(), "hpet" | "acpi_pm" | "jiffies" | "pit") => {
            let found = format!("{name}: reading the time takes a µs or more");
            Check::other(AREA, NAME, Verdict::Warn, found, "find out in dmesg why tsc was given up")
        }
        Some(name) => Check::ok(AREA, NAME, name),
        None => Check::other(AREA, NAME, Verdict::Unknown, "not readable", format!("see /{path}")),
    }
}

fn rt_throttling(throttling: Option<Throttling>) -> Check {
    const NAME: &str = "RT throttling";
    const DEFAULT: &str = "sysctl kernel.sched_rt_runtime_us=950000";
    let Some(Throttling { runtime_us, period_us }) = throttling else {
        return Check::other(
            AREA,
            NAME,
            Verdict::Unknown,
            "no sched_rt_runtime_us",
            "none where the kernel has no such limit",
        );
    };
    let (runtime, period) = (runtime_us as f64 / 1e3, period_us as f64 / 1e3);
    match runtime_us {
        0 => {
            Check::other(AREA, NAME, Verdict::Bad, "real-time threads get no time at all", DEFAULT)
        }
        ..0 => Check::other(
            AREA,
            NAME,
            Verdict::Warn,
            "off: a real-time thread that never sleeps takes its CPU for good",
            DEFAULT,
        ),
        _ => Check::ok(
            AREA,
            NAME,
            format!(
                "real-time threads have {runtime} of each {period} ms; the loop sleeps, so that is ample"
            ),
        ),
    }
}

fn isolation(system: &System) -> Check {
    const NAME: &str = "isolated CPUs";
    let list = |name: &str| {
        let text = system.text(&format!("{CPUS}/{name}"))?;
        CpuList::parse(&text)
    };
    let ticks = list("nohz_full").unwrap_or_default();
    match list("isolated") {
        None => Check::other(AREA, NAME, Verdict::Unknown, "not readable", "see /proc/cmdline"),
        Some(cpus) if cpus.is_empty() => Check::other(
            AREA,
            NAME,
            Verdict::Warn,
            "none: the loop shares its CPU with everything else",
            "for rates from some 500 Hz, boot with isolcpus=N and set realtime.cpus = [N]",
        ),
        Some(cpus) => Check::ok(
            AREA,
            NAME,
            format!("{cpus}, without ticks {ticks}; name them in realtime.cpus"),
        ),
    }
}

fn governor(system: &System) -> Check {
    const NAME: &str = "CPU governor";
    let mut governors: Vec<(String, usize)> = Vec::new();
    for cpu in system.names(CPUS, "cpu") {
        let Some(name) = system.text(&format!("{CPUS}/{cpu}/cpufreq/scaling_governor")) else {
            continue;
        };
        match governors.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => governors.push((name, 1)),
        }
    }
    let found: Vec<String> =
        governors.iter().map(|(name, count)| format!("{name} on {count}")).collect();
    match governors.as_slice() {
        [] => Check::other(
            AREA,
            NAME,
            Verdict::Unknown,
            "no cpufreq: the firmware or a host decides",
            "choose performance in the firmware's set-up, or on the host",
        ),
        [(name, _)] if name == "performance" => Check::ok(AREA, NAME, found.join(", ")),
        _ => Check::other(
            AREA,
            NAME,
            Verdict::Warn,
            format!("{} CPUs", found.join(", ")),
            "cpupower frequency-set -g performance",
        ),
    }
}

fn idle_states(system: &System) -> Check {
    const NAME: &str = "idle states";
    let folder = format!("{CPUS}/cpu0/cpuidle");
    let deepest = system
        .names(&folder, "state")
        .into_iter()
        .filter(|state| system.number(&format!("{folder}/{state}/disable")) != Some(1))
        .filter_map(|state| {
            let latency = system.number(&format!("{folder}/{state}/latency"))?;
            Some((latency, system.text(&format!("{folder}/{state}/name"))?))
        })
        .max();
    match deepest {
        None => Check::other(
            AREA,
            NAME,
            Verdict::Unknown,
            "none listed: the firmware or a host decides",
            "limit C-states in the firmware's set-up, or on the host",
        ),
        Some((latency, name)) if latency > 20 => Check::other(
            AREA,
            NAME,
            Verdict::Warn,
            format!("down to {name}, which takes {latency} µs to wake"),
            "realtime.cpu_dma_latency_us = 0 keeps CPUs awake while a run lasts",
        ),
        Some((latency, name)) => {
            Check::ok(AREA, NAME, format!("down to {name}, which takes {latency} µs to wake"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::system::fake::Fake;
    use super::*;

    #[test]
    fn preemption_is_seen_wherever_the_kernel_shows_it() {
        let plain = "#1 SMP PREEMPT_DYNAMIC Tue";
        let of = preemption;
        assert_eq!(of("#1 SMP PREEMPT_RT Debian 6.1", None, None, "", None), Preemption::Rt);
        assert_eq!(of("#1 SMP PREEMPT Ubuntu", Some("1"), None, "", None), Preemption::Rt);
        assert_eq!(of("#1 SMP PREEMPT Ubuntu", None, None, "", None), Preemption::Full);
        let switch = Some("none voluntary (full) lazy");
        assert_eq!(of(plain, None, switch, "preempt=none", None), Preemption::Full);
        assert_eq!(of(plain, None, None, "quiet preempt=full", None), Preemption::Full);
        assert_eq!(of(plain, None, None, "preempt=none preempt=lazy", None), Preemption::Lazy);
        let config = "# CONFIG_PREEMPT is not set\nCONFIG_PREEMPT_NONE=y\nCONFIG_PREEMPT_DYNAMIC=y";
        assert_eq!(of(plain, None, None, "quiet", Some(config)), Preemption::None);
        assert_eq!(of(plain, None, None, "quiet", None), Preemption::Dynamic);
        // A kernel that cannot switch ignores the option.
        assert_eq!(of("#1 SMP", None, None, "preempt=full", None), Preemption::Unknown);
        assert_eq!(built("CONFIG_PREEMPT_VOLUNTARY=y"), Some(Preemption::Voluntary));
        assert_eq!(built("CONFIG_PREEMPTION=y\nCONFIG_PREEMPT_COUNT=y"), None);
    }

    #[test]
    fn the_build_configuration_is_read_through_gzip() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"CONFIG_PREEMPT_LAZY=y\n").unwrap();
        let fake = Fake::new()
            .file("proc/sys/kernel/osrelease", "6.18.1\n")
            .file("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC\n")
            .file("proc/config.gz", gzip.finish().unwrap());
        let check = kernel(&fake.system());
        assert_eq!(check.found, "6.18.1, preemption lazy, not PREEMPT_RT");
        assert_eq!(check.verdict, Verdict::Warn);
        let fake = fake.file("proc/config.gz", "not gzip").file("sys/kernel/realtime", "1\n");
        assert_eq!(kernel(&fake.system()).verdict, Verdict::Ok);
    }

    #[test]
    fn throttling_is_wanted_and_must_leave_time() {
        let of = |runtime_us| {
            rt_throttling(Some(Throttling { runtime_us, period_us: 1_000_000 })).verdict
        };
        assert_eq!(of(950_000), Verdict::Ok);
        assert_eq!(of(-1), Verdict::Warn);
        assert_eq!(of(0), Verdict::Bad);
        assert_eq!(rt_throttling(None).verdict, Verdict::Unknown);
    }

    #[test]
    fn cpus_are_judged_by_isolation_governor_and_idle_states() {
        let fake = Fake::new()
            .file("sys/devices/system/cpu/isolated", "2-3\n")
            .file("sys/devices/system/cpu/nohz_full", "3\n")
            .file("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
            .file("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n")
            .file("sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "0\n")
            .file("sys/devices/system/cpu/cpu0/cpuidle/state0/name", "POLL\n")
            .file("sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "133\n")
            .file("sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C6\n")
            .file("sys/devices/system/cpu/cpu0/cpuidle/state2/latency", "890\n")
            .file("sys/devices/system/cpu/cpu0/cpuidle/state2/name", "C10\n")
            .file("sys/devices/system/cpu/cpu0/cpuidle/state2/disable", "1\n");
        let system = fake.system();
        let check = isolation(&system);
        assert_eq!((check.verdict, &check.found[..23]), (Verdict::Ok, "2-3, without ticks 3; n"));
        let check = governor(&system);
        assert_eq!(check.verdict, Verdict::Warn);
        assert_eq!(check.found, "powersave on 1, performance on 1 CPUs");
        let check = idle_states(&system);
        assert_eq!(check.found, "down to C6, which takes 133 µs to wake");
        assert_eq!(check.verdict, Verdict::Warn);
    }

    #[test]
    fn what_an_empty_computer_does_not_show_is_unknown() {
        let fake = Fake::new();
        assert!(checks(&fake.system()).iter().all(|check| check.verdict == Verdict::Unknown));
        let clock = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        let fake = fake.file(clock, "hpet\n");
        assert_eq!(clock_source(&fake.system()).verdict, Verdict::Warn);
        assert_eq!(clock_source(&fake.file(clock, "tsc\n").system()).verdict, Verdict::Ok);
    }
}
