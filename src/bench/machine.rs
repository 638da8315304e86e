//! Where it was measured.

use serde::Serialize;

use crate::realtime::Grants;

/// What a reader of the figures must know about the computer.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model of the CPUs.
    pub cpu: String,
    /// How many of them this process may use.
    pub cpus: usize,
    /// Kernel release and version.
    pub kernel: String,
    /// Load averages when measuring began.
    pub load: String,
    /// True in a build with optimisation: figures of any other mean nothing.
    pub optimised: bool,
    /// What the operating system did not grant, and why.
    pub not_granted: Vec<String>,
}

impl Machine {
    /// Looks, with what was granted to process and thread.
    pub(super) fn look(process: &Grants, thread: &Grants) -> Self {
        let refused = process.refused().chain(thread.refused());
        Self { not_granted: refused.map(|grant| grant.to_string()).collect(), ..Self::ordinary() }
    }

    /// Looks, where nothing is asked of the operating system.
    pub(super) fn ordinary() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let info = text("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel =
            [text("/proc/sys/kernel/osrelease"), text("/proc/sys/kernel/version")].join(" ");
        Self {
            cpu: model.map_or("?", |(_, name)| name.trim()).to_owned(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            kernel,
            load: text("/proc/loadavg"),
            optimised: !cfg!(debug_assertions),
            not_granted: Vec::new(),
        }
    }
}
