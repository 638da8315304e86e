//! Whatever the kernel's files say, checks with remedies: never a panic.

use proptest::prelude::*;

use super::system::fake::Fake;
use super::{Check, devices, kernel, virtualisation, wakeups};

/// Files that are looked at, with what they may hold.
const FILES: &[(&str, &str)] = &[
    ("proc/cpuinfo", "processor : 0\nflags : fpu hypervisor\n"),
    ("proc/1/cgroup", "0::/docker/1\n"),
    ("proc/self/cgroup", "4:cpu,cpuacct:/a/b\n0::/a/b/\n"),
    ("proc/cmdline", "ro preempt=full isolcpus=2-3"),
    ("proc/sys/kernel/osrelease", "6.18.1\n"),
    ("proc/sys/kernel/version", "#1 SMP PREEMPT_RT\n"),
    ("proc/sys/kernel/sched_rt_runtime_us", "950000\n"),
    ("proc/sys/kernel/sched_rt_period_us", "1000000\n"),
    ("proc/config.gz", "\u{1f}"),
    ("boot/config-6.18.1", "CONFIG_PREEMPT_RT=y\n"),
    ("run/systemd/container", "lxc"),
    ("sys/class/dmi/id/sys_vendor", "QEMU"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
    ("sys/devices/system/cpu/isolated", "2-3,7"),
    ("sys/devices/system/cpu/nohz_full", "(null)"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "2"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/name", "POLL"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/disable", "0"),
    ("sys/fs/cgroup/a/cpu.max", "50000 100000"),
    ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1"),
    ("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000"),
    ("sys/kernel/realtime", "1"),
    ("sys/kernel/debug/sched/preempt", "none voluntary (full) lazy"),
    ("sys/class/tty/ttyUSB0/x", ""),
    ("sys/bus/usb-serial/devices/ttyUSB0/latency_timer", "16"),
    ("sys/class/net/can0/type", "280"),
    ("sys/class/net/can0/flags", "0x1003"),
    ("sys/class/net/can0/tx_queue_len", "10"),
    ("sys/class/net/eth0/type", "1"),
    ("sys/class/net/eth0/operstate", "unknown"),
    ("sys/class/net/eth0/speed", "-1"),
];

/// Text that has broken readers before.
const TEXTS: &[&str] = &[
    "",
    "\n",
    "-",
    ",",
    "0-",
    "3-1",
    "0-4294967295",
    "4294967296",
    "18446744073709551616",
    "-9223372036854775808",
    "nan nan",
    "inf 0",
    "0x",
    "0xffffffffff",
    "0::",
    "::::",
    "0::/../../..",
    "4:cpu:////",
    "[",
    "(",
    ")",
    "\u{0}",
    "🦾",
    "CONFIG_PREEMPT_RT",
];

fn judge(fake: &Fake) {
    let system = fake.system();
    let mut checks: Vec<Check> = kernel::checks(&system);
    checks.extend(virtualisation::checks(&system));
    checks.extend(devices::checks(&system));
    assert!(checks.len() > 8);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn whatever_the_kernels_files_say_the_checks_are_made(
        said in prop::collection::vec(
            prop_oneof![
                3 => Just(None),
                2 => prop::sample::select(TEXTS).prop_map(|text| Some(text.as_bytes().to_vec())),
                1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Some),
            ],
            FILES.len(),
        ),
    ) {
        let fake = FILES.iter().zip(said).fold(Fake::new(), |fake, ((path, text), said)| {
            fake.file(path, said.unwrap_or_else(|| text.as_bytes().to_vec()))
        });
        judge(&fake);
    }

    #[test]
    fn a_stolen_share_is_one_of_100_percent_or_none(
        before in prop::collection::vec(prop_oneof![0..1000u64, any::<u64>()], 0..12),
        after in prop::collection::vec(prop_oneof![0..1000u64, any::<u64>()], 0..12),
        free in ".{0,40}",
    ) {
        let line = |fields: &[u64]| {
            let fields: Vec<_> = fields.iter().map(u64::to_string).collect();
            format!("cpu  {}\ncpu0 1 2 3\n", fields.join(" "))
        };
        for (before, after) in
            [(line(&before), line(&after)), (free.clone(), line(&after)), (line(&before), free)]
        {
            if let Some(percent) = wakeups::stolen(&before, &after) {
                prop_assert!((0.0..=100.0).contains(&percent), "{percent}");
            }
        }
    }
}
