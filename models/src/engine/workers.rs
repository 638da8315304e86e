//! Threads that belong to one engine and share its work.
//!
//! Helpers wait for work by spinning for a short while and then sleeping; handing out work
//! allocates nothing and takes no lock. Which thread does which task is a matter of chance, so
//! tasks must not depend on it: each writes values of its own.
#![allow(unsafe_code, reason = "threads borrow work from the caller's stack until it is done")]

use std::cell::UnsafeCell;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// Rounds of waiting before a helper sleeps: tens of microseconds, longer than the gap between
/// two layers.
const SPINS: u32 = 4000;

/// The calling thread and helpers.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// One caller at a time: not `Sync`.
    _single: PhantomData<std::cell::Cell<()>>,
}

/// Of [`Shared::gate`]: no helper may begin any more.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Work on the caller's stack, valid until the gate is closed and nobody is behind it.
type Work = *const (dyn Fn(usize, usize) + Sync);

struct Shared {
    /// Written by the caller while the gate is closed, read by helpers behind it.
    work: UnsafeCell<Option<Work>>,
    tasks: AtomicUsize,
    next: AtomicUsize,
    /// How many helpers are behind it, and [`CLOSED`]. A helper that comes late finds it closed:
    /// nobody waits for one that another program keeps from running.
    gate: AtomicUsize,
    /// Goes up with every piece of work.
    generation: AtomicU32,
    stop: AtomicBool,
    panicked: AtomicBool,
}

// SAFETY: `work` is the only part that is not `Sync`. The caller writes it before it opens the gate
// (release), helpers read it after they went through (acquire), and the caller does not return, let
// alone write again, before the gate is closed and nobody behind it. What it points to is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Workers {
    /// Starts `threads - 1` helpers; the caller is the remaining thread. The first helper is bound
    /// to `cpus[0]` where that is given, and so on.
    ///
    /// # Errors
    /// When the operating system refuses a thread or a processor.
    pub(crate) fn new(threads: usize, cpus: &[usize]) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            work: UnsafeCell::new(None),
            tasks: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            gate: AtomicUsize::new(CLOSED),
            generation: AtomicU32::new(0),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        let mut workers = Self { shared, helpers: Vec::new(), _single: PhantomData };
        for index in 1..threads.max(1) {
            let shared = Arc::clone(&workers.shared);
            let cpu = cpus.get(index - 1).copied();
            let (told, answer) = std::sync::mpsc::sync_channel(1);
            let helper =
                thread::Builder::new().name(format!("inference {index}")).spawn(move || {
                    let bound = cpu.map_or(Ok(()), bind);
                    let ready = bound.is_ok();
                    let _ = told.send(bound);
                    if ready {
                        help(&shared, index);
                    }
                })?;
            workers.helpers.push(helper);
            answer.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended")))?;
        }
        Ok(workers)
    }

    /// Number of threads that work, the caller among them.
    pub(crate) fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `work` with the number of a thread (0 is the caller) and that of a task, once for
    /// every task below `tasks`, and returns when all calls have.
    ///
    /// # Panics
    /// When a call panics.
    pub(crate) fn run<F: Fn(usize, usize) + Sync>(&self, tasks: usize, work: F) {
        if self.helpers.is_empty() || tasks < 2 {
            (0..tasks).for_each(|task| work(0, task));
            return;
        }
        let work: &(dyn Fn(usize, usize) + Sync) = &work;
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. `Finish` waits, also when a call panics, until no
        // helper has the pointer any more.
        let erased: Work =
            unsafe { std::mem::transmute(work as *const (dyn Fn(usize, usize) + Sync)) };
        // SAFETY: the gate is closed and nobody behind it, so nobody reads.
        unsafe { *shared.work.get() = Some(erased) };
        shared.tasks.store(tasks, Ordering::Relaxed);
        shared.next.store(0, Ordering::Relaxed);
        shared.gate.store(0, Ordering::Release);
        shared.generation.fetch_add(1, Ordering::Release);
        self.helpers.iter().for_each(|helper| helper.thread().unpark());
        let finish = Finish(shared);
        drain(shared, 0, work);
        drop(finish);
        assert!(!shared.panicked.load(Ordering::Relaxed), "a helper of the engine panicked");
    }

    /// Splits `values` into chunks of `length` (the last may be shorter) and calls `work` with
    /// the number of each and the chunk.
    pub(crate) fn run_chunks<T: Send>(
        &self,
        values: &mut [T],
        length: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let count = values.len();
        let parts = Parts::new(values);
        self.run(count.div_ceil(length.max(1)), |_, index| {
            let begin = index * length;
            // SAFETY: chunks do not overlap, and each index is visited once.
            work(index, unsafe { parts.get(begin..count.min(begin + length)) });
        });
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.generation.fetch_add(1, Ordering::Release);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            let _ = helper.join();
        }
    }
}

/// Lets no helper begin any more, and waits for those that have.
struct Finish<'a>(&'a Shared);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        // Nothing new begins, should the caller be unwinding.
        self.0.next.fetch_max(self.0.tasks.load(Ordering::Relaxed), Ordering::Relaxed);
        self.0.gate.fetch_or(CLOSED, Ordering::Relaxed);
        let mut spins = 0;
        while self.0.gate.load(Ordering::Acquire) != CLOSED {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { thread::yield_now() }
        }
    }
}

/// Does tasks until none is left.
fn drain(shared: &Shared, thread: usize, work: &(dyn Fn(usize, usize) + Sync)) {
    let tasks = shared.tasks.load(Ordering::Relaxed);
    loop {
        let task = shared.next.fetch_add(1, Ordering::Relaxed);
        if task >= tasks {
            return;
        }
        work(thread, task);
    }
}

/// The life of a helper.
fn help(shared: &Shared, thread: usize) {
    let mut seen = 0;
    loop {
        let mut spins = 0;
        loop {
            let generation = shared.generation.load(Ordering::Acquire);
            if generation != seen {
                seen = generation;
                break;
            }
            spins += 1;
            // A wake-up between the look and the sleep is kept: the sleep then ends at once.
            if spins < SPINS { std::hint::spin_loop() } else { thread::park() }
        }
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let enter = |gate: usize| (gate & CLOSED == 0).then(|| gate + 1);
        if shared.gate.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_err() {
            continue;
        }
        // SAFETY: this helper is behind the gate.
        let work = unsafe { *shared.work.get() };
        if let Some(work) = work {
            // SAFETY: the caller keeps the work alive while somebody is behind the gate.
            let work = unsafe { &*work };
            if catch_unwind(AssertUnwindSafe(|| drain(shared, thread, work))).is_err() {
                shared.panicked.store(true, Ordering::Relaxed);
            }
        }
        shared.gate.fetch_sub(1, Ordering::Release);
    }
}

/// Binds the current thread to a processor.
#[cfg(target_os = "linux")]
fn bind(cpu: usize) -> io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    if cpu >= rustix::thread::CpuSet::MAX_CPU {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no processor {cpu}")));
    }
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn bind(_: usize) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "threads are bound on Linux only"))
}

/// A slice of which several tasks write different parts.
pub(crate) struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    _slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out parts only under the promise that they do not overlap.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    /// Borrows the slice until the last part is gone.
    pub(crate) fn new(values: &'a mut [T]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), _slice: PhantomData }
    }

    /// The values in `range`.
    ///
    /// # Safety
    /// No two parts that live at the same time overlap.
    ///
    /// # Panics
    /// When the range is not within the slice.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "that is what it is for")]
    pub(crate) unsafe fn get(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the slice; exclusive by the promise of the caller.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once_whatever_the_number_of_threads() {
        for threads in [1, 2, 3, 5] {
            let workers = Workers::new(threads, &[]).unwrap();
            assert_eq!(workers.threads(), threads);
            for count in [0, 1, 2, 7, 1000] {
                let mut values = vec![0_u32; count];
                workers.run_chunks(&mut values, 3, |index, chunk| {
                    chunk.iter_mut().for_each(|value| *value += 1 + index as u32);
                });
                assert!(values.iter().enumerate().all(|(i, v)| *v as usize == 1 + i / 3));
            }
        }
    }

    #[test]
    fn helpers_wake_from_sleep() {
        let workers = Workers::new(3, &[]).unwrap();
        for _ in 0..5 {
            thread::sleep(std::time::Duration::from_millis(3));
            let done = AtomicUsize::new(0);
            workers.run(100, |_, _| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 100);
        }
    }

    #[test]
    fn a_panic_in_a_task_reaches_the_caller_and_the_threads_stay_usable_or_end() {
        let workers = Workers::new(2, &[]).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| {
            workers.run(64, |_, task| assert!(task != 20, "as asked"));
        }));
        assert!(result.is_err());
        drop(workers);
    }

    #[test]
    fn handing_out_work_allocates_nothing() {
        let workers = Workers::new(2, &[]).unwrap();
        let sum = AtomicUsize::new(0);
        let work = || {
            workers.run(32, |_, task| {
                sum.fetch_add(task, Ordering::Relaxed);
            });
        };
        work();
        let allocations = allocation_counter::measure(|| (0..100).for_each(|_| work()));
        assert_eq!(allocations.count_total, 0);
        assert_eq!(sum.into_inner(), 101 * 31 * 16);
    }
}
