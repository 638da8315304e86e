//! Lists of CPUs as the kernel writes them.

use std::fmt;

/// CPU numbers, ascending, without repetition. Reads and writes the kernel's list format
/// (`0-3,6`; `Documentation/admin-guide/cputopology.rst`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuList(Vec<u32>);

impl CpuList {
    /// A list of these CPUs.
    pub fn new(cpus: impl IntoIterator<Item = u32>) -> Self {
        let mut cpus: Vec<u32> = cpus.into_iter().collect();
        cpus.sort_unstable();
        cpus.dedup();
        Self(cpus)
    }

    /// Reads the kernel's format; an empty line and `(null)`, which some kernels write for none,
    /// are the empty list.
    ///
    /// # Errors
    /// `None` for anything else that is not such a list.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text == "(null)" {
            return Some(Self::default());
        }
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            // Linux knows no more than 8192 CPUs; a longer range is no list of CPUs.
            if first > last || last >= 8192 {
                return None;
            }
            cpus.extend(first..=last);
        }
        Some(Self::new(cpus))
    }

    /// The CPUs.
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("none");
        }
        for (index, run) in self.0.chunk_by(|a, b| a + 1 == *b).enumerate() {
            if index > 0 {
                out.write_str(",")?;
            }
            match run {
                [one] => write!(out, "{one}")?,
                [first, .., last] => write!(out, "{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written_as_the_kernel_does() {
        let list = CpuList::parse("0-2,5,7-8\n").unwrap();
        assert_eq!(list.as_slice(), [0, 1, 2, 5, 7, 8]);
        assert_eq!(list.to_string(), "0-2,5,7-8");
        assert_eq!(CpuList::new([3, 2, 3]).to_string(), "2-3");
        assert!(CpuList::parse("\n").unwrap().is_empty());
        assert!(CpuList::parse("(null)").unwrap().is_empty());
        assert_eq!(CpuList::default().to_string(), "none");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["x", "3-1", "1,", "-", "0-4294967295"] {
            assert_eq!(CpuList::parse(text), None, "{text}");
        }
    }
}
