//! The screen's thread: ten frames a second, and keys in between.

use std::io::{self, Write, stderr};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::keys::{Action, Keys, StopKeys};
use super::terminal::{Keyboard, Output};
use super::view::{self, Look};
use super::{SharedFeed, Snapshot};
use crate::control::OperatorSignal;

/// Time of a frame.
const FRAME: Duration = Duration::from_millis(100);
/// How soon the end of the run is noticed.
const NAP: Duration = Duration::from_millis(20);
/// How long the end of a run waits for a terminal that takes no output.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why there is no live view.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// Neither standard input nor `/dev/tty` is a terminal.
    #[error("there is no keyboard to stop the run with ({0})")]
    NoKeyboard(io::Error),
    /// Taking the terminal from the background would stop the process.
    #[error("the run is in the background of its terminal")]
    Background,
    /// The terminal does not say how large it is.
    #[error("the terminal has no size; set one, for example with `stty rows 24 columns 80`")]
    NoSize,
    /// The terminal refuses.
    #[error("the terminal cannot be set up: {0}")]
    Terminal(#[from] io::Error),
    /// No thread for it.
    #[error("its thread cannot be started: {0}")]
    Thread(io::Error),
}

/// A live view on the terminal. Dropping it gives the terminal back.
pub struct Screen {
    feed: SharedFeed,
    keyboard: Arc<Keyboard>,
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl Screen {
    /// Takes the terminal and shows `feed` on it. Keys raise `operator`.
    ///
    /// # Errors
    /// [`ScreenError`] when this terminal cannot carry a live view; it is then as before.
    pub fn open(feed: SharedFeed, operator: OperatorSignal) -> Result<Self, ScreenError> {
        let keyboard = Arc::new(Keyboard::take()?);
        let output = Output::take()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, ended) = channel();
        keep_panics();
        let mut stage = Stage {
            output,
            keyboard: Arc::clone(&keyboard),
            feed: feed.clone(),
            operator,
            stop: Arc::clone(&stop),
            look: Look::new(std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())),
            stop_keys: StopKeys::default(),
            _ended: sender,
        };
        let body = move || {
            // Whatever ends it, dropping the stage gives the terminal back.
            let _ = stage.play();
        };
        let spawned = thread::Builder::new().name("screen".to_owned()).spawn(body);
        if let Err(error) = spawned {
            release_panics();
            return Err(ScreenError::Thread(error));
        }
        feed.set_shown(true);
        Ok(Self { feed, keyboard, stop, ended })
    }

    /// False once the terminal is gone: print lines instead.
    pub fn is_open(&self) -> bool {
        let open = self.ended.try_recv() != Err(TryRecvError::Disconnected);
        if !open {
            self.feed.set_shown(false);
            release_panics();
        }
        open
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // It hangs on output. The arm cannot wait for that; the lines at least come back.
            self.keyboard.restore();
        }
        self.feed.set_shown(false);
        release_panics();
    }
}

/// What the thread owns. Dropping it gives back the keyboard, then the screen, and then tells
/// whoever waits.
struct Stage {
    output: Output,
    keyboard: Arc<Keyboard>,
    feed: SharedFeed,
    operator: OperatorSignal,
    stop: Arc<AtomicBool>,
    look: Look,
    stop_keys: StopKeys,
    _ended: Sender<()>,
}

impl Stage {
    fn play(&mut self) -> io::Result<()> {
        let mut keys = Keys::default();
        let mut has_keyboard = true;
        let mut bytes = [0; 64];
        let mut panics = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let due = Instant::now() + FRAME;
            for text in panics_since(&mut panics) {
                self.feed.note(&text);
            }
            self.draw()?;
            let mut again = false;
            while !again && Instant::now() < due && !self.stop.load(Ordering::Relaxed) {
                if !has_keyboard {
                    thread::sleep(NAP);
                    continue;
                }
                match self.keyboard.read(&mut bytes, NAP) {
                    None => has_keyboard = false,
                    Some(read) => {
                        for action in read.iter().filter_map(|byte| keys.feed(*byte)) {
                            self.act(action)?;
                            again = true;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        let snapshot: Snapshot = self.feed.snapshot();
        self.look.request = self.operator.request();
        self.stop_keys.note(self.look.request, Instant::now());
        let look = &mut self.look;
        self.output.draw(|frame| view::draw(frame, &snapshot, look))
    }

    fn act(&mut self, action: Action) -> io::Result<()> {
        let now = Instant::now();
        self.stop_keys.note(self.operator.request(), now);
        match action {
            Action::Stop | Action::Interrupt => {
                if self.stop_keys.counts(action, now) {
                    self.operator.raise();
                    self.stop_keys.note(self.operator.request(), now);
                }
            }
            Action::Help => self.look.help = !self.look.help,
            Action::Scroll(rows) => {
                self.look.scroll = self.look.scroll.saturating_add_signed(rows as isize);
            }
            Action::Redraw => self.output.anew()?,
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Before the fields go: the shell must not see keys that were meant for the run.
        self.keyboard.restore();
    }
}

/// What panicking threads had to say while a screen was open. They must not wait for a terminal:
/// one of them may be the control thread, and its arm is stopped only when it unwinds.
static PANICS: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// Keeps the messages of panics until [`release_panics`].
fn keep_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(panics) = panics.as_mut() else {
                drop(panics);
                return previous(info);
            };
            let thread = thread::current();
            let backtrace = std::backtrace::Backtrace::capture();
            let backtrace = match backtrace.status() {
                std::backtrace::BacktraceStatus::Captured => format!("\n{backtrace}"),
                _ => String::new(),
            };
            let name = thread.name().unwrap_or("?");
            panics.push(format!("thread '{name}' {info}{backtrace}"));
        }));
    });
    PANICS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// Prints what was kept; from here on panics speak for themselves again.
fn release_panics() {
    let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner).take();
    for text in panics.unwrap_or_default() {
        let _ = writeln!(stderr().lock(), "{text}");
    }
}

/// The messages kept since the `seen`th.
fn panics_since(seen: &mut usize) -> Vec<String> {
    let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    let new: Vec<String> =
        panics.iter().flatten().skip(*seen).map(|text| text.replace('\n', " ")).collect();
    *seen += new.len();
    new
}
