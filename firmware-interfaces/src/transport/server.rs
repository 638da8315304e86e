//! Runs an emulated device on a thread, behind an [`Endpoint`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::endpoint::{EmulatorError, Endpoint, Transport};
use crate::{Clock, MonotonicClock, Timestamp};

/// Longest wait of the thread: how fast it notices a stop or a switched fault.
const LONGEST_WAIT: Duration = Duration::from_millis(10);
/// Wait while the connection is closed by a fault.
const CLOSED_WAIT: Duration = Duration::from_millis(2);
/// Buffers read before answers are sent.
const READS_PER_PASS: usize = 16;

/// Emulated firmware: bytes and time in, bytes and time out.
pub trait Served: Send + 'static {
    /// Bytes that go out together.
    type Message: AsRef<[u8]>;

    /// False while a fault keeps the connection closed.
    fn is_connected(&self, now: Timestamp) -> bool;

    /// The client has gone: what it had begun is forgotten.
    fn hang_up(&mut self);

    /// Takes bytes from the client.
    fn receive(&mut self, now: Timestamp, bytes: &[u8]);

    /// What goes out at `now`; called until it is `None`.
    fn transmit(&mut self, now: Timestamp) -> Option<Self::Message>;

    /// When to call [`transmit`](Self::transmit) again if no bytes arrive before.
    fn next_due(&self) -> Option<Timestamp>;
}

struct Shared<F> {
    firmware: Mutex<F>,
    port: Mutex<String>,
    clock: MonotonicClock,
    stop: AtomicBool,
}

impl<F> Shared<F> {
    fn firmware(&self) -> MutexGuard<'_, F> {
        // The firmware is valid after any panic: a lock is held for single calls only.
        self.firmware.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port(&self) -> MutexGuard<'_, String> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A way to the firmware of a running [`Server`].
pub struct Access<F> {
    shared: Arc<Shared<F>>,
}

impl<F> Clone for Access<F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<F> Access<F> {
    /// Calls `work` with the firmware and its present time.
    pub fn with<T>(&self, work: impl FnOnce(&mut F, Timestamp) -> T) -> T {
        let now = self.shared.clock.now();
        work(&mut self.shared.firmware(), now)
    }
}

/// Firmware that is being served. It stops when dropped.
pub struct Server<F: Served> {
    shared: Arc<Shared<F>>,
    thread: Option<JoinHandle<()>>,
}

impl<F: Served> Server<F> {
    /// Opens the port and starts serving it on a thread called `name`.
    ///
    /// # Errors
    /// [`EmulatorError`] when the port, the link or the thread cannot be made.
    pub fn spawn(firmware: F, transport: Transport, name: &str) -> Result<Self, EmulatorError> {
        let endpoint = Endpoint::open(transport)?;
        let shared = Arc::new(Shared {
            firmware: Mutex::new(firmware),
            port: Mutex::new(endpoint.port()),
            clock: MonotonicClock::new(),
            stop: AtomicBool::new(false),
        });
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || serve(&shared, endpoint)
            })
            .map_err(|source| EmulatorError::Thread { source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The port as the driver takes it: a path, or `tcp://ADDRESS:PORT`.
    pub fn port(&self) -> String {
        self.shared.port().clone()
    }

    /// A way to the firmware, for other threads too.
    pub fn access(&self) -> Access<F> {
        Access { shared: Arc::clone(&self.shared) }
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

impl<F: Served> Drop for Server<F> {
    /// Closes the port and removes the link.
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread: moves bytes between endpoint and firmware until told to stop.
fn serve<F: Served>(shared: &Shared<F>, mut endpoint: Endpoint) {
    let mut buffer = [0; 256];
    while !shared.stop.load(Ordering::Acquire) {
        let now = shared.clock.now();
        if !shared.firmware().is_connected(now) {
            endpoint.close();
            shared.firmware().hang_up();
            std::thread::sleep(CLOSED_WAIT);
            continue;
        }
        if !endpoint.is_open() {
            if !endpoint.reopen() {
                std::thread::sleep(CLOSED_WAIT);
                continue;
            }
            *shared.port() = endpoint.port();
        }
        if endpoint.client_left() {
            shared.firmware().hang_up();
        }
        // Bounded: a client that never stops sending must not keep answers and the end waiting.
        for _ in 0..READS_PER_PASS {
            let Some(count) = endpoint.read(&mut buffer) else { break };
            let bytes = buffer.get(..count).unwrap_or_default();
            shared.firmware().receive(shared.clock.now(), bytes);
        }
        loop {
            let message = shared.firmware().transmit(shared.clock.now());
            let Some(message) = message else { break };
            endpoint.write(message.as_ref());
        }
        let next = shared.firmware().next_due();
        let wait = next.map_or(LONGEST_WAIT, |due| due.since(shared.clock.now()));
        endpoint.wait(wait.min(LONGEST_WAIT));
    }
}
