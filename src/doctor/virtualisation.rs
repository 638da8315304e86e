//! What lies between the kernel and the hardware, or between the process and the kernel.

use super::check::{Area, Check, Verdict};
use super::system::System;

const AREA: Area = Area::Kernel;

pub(super) fn checks(system: &System) -> Vec<Check> {
    vec![machine(system), container(system), cpu_quota(system)]
}

fn machine(system: &System) -> Check {
    const NAME: &str = "machine";
    let cpuinfo = system.text("proc/cpuinfo").unwrap_or_default();
    let flagged = cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| line.split_ascii_whitespace().any(|flag| flag == "hypervisor"));
    let vendor = system.text("sys/class/dmi/id/sys_vendor");
    let product = system.text("sys/class/dmi/id/product_name");
    let product: Vec<String> = [vendor, product].into_iter().flatten().collect();
    // ARM has no such flag; there the device tree and the product name tell.
    let named = ["QEMU", "KVM", "VMware", "VirtualBox", "Xen", "Virtual Machine"]
        .iter()
        .any(|maker| product.iter().any(|name| name.contains(maker)));
    let tree = system.exists("proc/device-tree/hypervisor") || system.exists("sys/hypervisor/type");
    let name = if product.is_empty() { String::new() } else { format!(" ({})", product.join(" ")) };
    if flagged || named || tree {
        return Check::other(
            AREA,
            NAME,
            Verdict::Warn,
            format!("virtual{name}"),
            "the host can take a CPU away for ms and no setting here prevents it: for hardware, \
             use hardware",
        );
    }
    if cpuinfo.is_empty() {
        return Check::other(AREA, NAME, Verdict::Unknown, "no /proc/cpuinfo", "mount /proc");
    }
    Check::ok(AREA, NAME, format!("no hypervisor seen{name}"))
}

fn container(system: &System) -> Check {
    const NAME: &str = "container";
    let from_init = system.text("proc/1/cgroup").unwrap_or_default();
    let kind = if let Some(kind) = system.text("run/systemd/container") {
        Some(kind)
    } else if system.exists(".dockerenv") {
        Some("docker, or made from its image".to_owned())
    } else if system.exists("run/.containerenv") {
        Some("podman".to_owned())
    } else {
        ["kubepods", "docker", "containerd", "lxc"]
            .into_iter()
            .find(|name| from_init.contains(name))
            .map(str::to_owned)
    };
    match kind {
        None => Check::ok(AREA, NAME, "none seen"),
        Some(kind) => Check::ok(
            AREA,
            NAME,
            format!("{kind}; its rights come from --cap-add and --ulimit, its ports from --device"),
        ),
    }
}

/// A quota stops all threads of the group, real-time ones on some kernels included, when it is
/// used up.
fn cpu_quota(system: &System) -> Check {
    const NAME: &str = "CPU quota";
    let groups = system.text("proc/self/cgroup").unwrap_or_default();
    match quota(system, &groups) {
        None => Check::ok(AREA, NAME, "none seen"),
        Some(quota) => Check::other(
            AREA,
            NAME,
            Verdict::Warn,
            quota,
            "run without --cpus or CPUQuota=: when it is used up the loop stands still",
        ),
    }
}

/// `groups` is `/proc/self/cgroup`: a line `0::/a/b` for the second version of cgroups, and
/// `4:cpu,cpuacct:/a/b` for the first.
fn quota(system: &System, groups: &str) -> Option<String> {
    let text = |runtime: &str, period: &str| {
        let (runtime, period): (f64, f64) = (runtime.parse().ok()?, period.parse().ok()?);
        (runtime > 0.0 && period > 0.0)
            .then(|| format!("{} ms in each {} ms", runtime / 1e3, period / 1e3))
    };
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        // Inside a container the path may not exist, and the container's own group is the root.
        let mut path = path.trim_end_matches('/');
        loop {
            let found = if controllers.is_empty() {
                let max = system.text(&format!("sys/fs/cgroup{path}/cpu.max"));
                max.and_then(|max| max.split_once(' ').and_then(|(a, b)| text(a, b)))
            } else if controllers.split(',').any(|controller| controller == "cpu") {
                let folder = format!("sys/fs/cgroup/cpu{path}");
                let value = |name: &str| system.text(&format!("{folder}/cpu.cfs_{name}_us"));
                value("quota").zip(value("period")).and_then(|(a, b)| text(&a, &b))
            } else {
                None
            };
            if found.is_some() {
                return found;
            }
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => break,
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::system::fake::Fake;
    use super::*;

    #[test]
    fn a_virtual_machine_shows_in_its_flags_or_its_name() {
        let metal = Fake::new().file("proc/cpuinfo", "flags\t\t: fpu tsc avx2\n");
        assert_eq!(machine(&metal.system()).verdict, Verdict::Ok);
        let named = metal.file("sys/class/dmi/id/product_name", "KVM Virtual Machine\n");
        let check = machine(&named.system());
        assert_eq!(check.verdict, Verdict::Warn);
        assert_eq!(check.found, "virtual (KVM Virtual Machine)");
        let flagged = Fake::new().file("proc/cpuinfo", "flags\t\t: fpu hypervisor avx2\n");
        assert_eq!(machine(&flagged.system()).verdict, Verdict::Warn);
        assert_eq!(machine(&Fake::new().system()).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_quota_of_any_group_above_is_found() {
        let fake = Fake::new()
            .file("sys/fs/cgroup/user/app/cpu.max", "max 100000\n")
            .file("sys/fs/cgroup/user/cpu.max", "150000 100000\n");
        let system = fake.system();
        assert_eq!(quota(&system, "0::/user/app").as_deref(), Some("150 ms in each 100 ms"));
        assert_eq!(quota(&system, "0::/other/app"), None);
        let old = Fake::new()
            .file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
            .file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
            .file("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "50000\n")
            .file("sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
        let groups = "5:devices:/box\n1:cpu,cpuacct:/box\n0::/";
        assert_eq!(quota(&old.system(), groups).as_deref(), Some("50 ms in each 100 ms"));
        assert_eq!(quota(&old.system(), "1:cpu:/\nnonsense"), None);
    }

    #[test]
    fn containers_are_named() {
        assert_eq!(container(&Fake::new().system()).found, "none seen");
        let podman = Fake::new().file("run/.containerenv", "");
        assert!(container(&podman.system()).found.starts_with("podman"));
        let pod = Fake::new().file("proc/1/cgroup", "1:cpu:/kubepods/x\n");
        assert!(container(&pod.system()).found.starts_with("kubepods"));
    }
}
