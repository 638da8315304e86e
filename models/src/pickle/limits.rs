//! Bounds on the work and memory that a pickle may ask for.

/// How much a pickle may ask for.
///
/// A pickle of `n` bytes takes at most `n` opcodes. What an opcode copies or builds is charged
/// against `memory` and never given back, so the sum bounds work as well. Tensors cost nothing
/// while they are views of the file, but what their numbers would take is charged too: many views
/// of one storage cannot add up to more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that values may take, tensors included.
    pub memory: usize,
    /// Opcodes.
    pub opcodes: usize,
    /// Values on the stack at once.
    pub stack: usize,
    /// Values that the pickle remembers.
    pub memo: usize,
    /// Depth of nesting.
    pub depth: usize,
}

impl Default for Limits {
    /// Enough for a training state of a hundred thousand tensors.
    fn default() -> Self {
        Self { memory: 256 << 20, opcodes: 4 << 20, stack: 1 << 20, memo: 1 << 21, depth: 100 }
    }
}

impl Limits {
    /// The defaults, with room for tensors that take four times as much as the file: half-precision
    /// numbers become twice as large, and some files hold a tensor under two names.
    #[must_use]
    pub fn for_file(bytes: &[u8]) -> Self {
        let limits = Self::default();
        let memory = limits.memory.saturating_add(bytes.len().saturating_mul(4));
        Self { memory, ..limits }
    }
}

/// What is left of a memory limit.
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { left: limits.memory }
    }

    /// Takes `bytes`, or nothing if there are not as many left.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}
