//! The terminal, taken and given back.

use std::fs::File;
use std::io::{self, BufWriter, Write, stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use ratatui::backend::{Backend, ClearType, CrosstermBackend};
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, isatty,
    tcflush, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
};

use super::ScreenError;

/// The keyboard, with single keys instead of lines while it is held.
pub(super) struct Keyboard {
    tty: OwnedFd,
    before: Mutex<Option<Termios>>,
}

impl Keyboard {
    /// Takes the terminal on standard input, or else the controlling one.
    pub fn take() -> Result<Self, ScreenError> {
        let input = stdin();
        let tty = if isatty(&input) {
            input.as_fd().try_clone_to_owned()
        } else {
            File::options().read(true).write(true).open("/dev/tty").map(OwnedFd::from)
        };
        let tty = tty.map_err(ScreenError::NoKeyboard)?;
        // Ok: job control knows this terminal. Changing it from the background would stop the
        // whole process, control thread and all.
        let group = tcgetpgrp(&tty).ok();
        if group.is_some_and(|group| group != getpgrp()) {
            return Err(ScreenError::Background);
        }
        let before = tcgetattr(&tty).map_err(io::Error::from).map_err(ScreenError::NoKeyboard)?;
        let mut modes = before.clone();
        modes.input_modes.remove(InputModes::IXON);
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN);
        // Ctrl-C stays a signal, so that it works even if the screen hangs. Where the kernel has
        // nobody to send it to, it must come as a key. Ctrl-Z and Ctrl-\ must not leave an arm
        // alone.
        modes.local_modes.set(LocalModes::ISIG, group.is_some());
        modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
        modes.special_codes[SpecialCodeIndex::VQUIT] = 0;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        let keyboard = Self { tty, before: Mutex::new(Some(before)) };
        tcsetattr(&keyboard.tty, OptionalActions::Now, &modes)
            .map_err(io::Error::from)
            .map_err(ScreenError::NoKeyboard)?;
        keyboard.flush();
        Ok(keyboard)
    }

    /// Waits up to `timeout` for keys and reads them. `None` once there is no keyboard any more.
    pub fn read<'a>(&self, buffer: &'a mut [u8], timeout: Duration) -> Option<&'a [u8]> {
        let timeout = Timespec::try_from(timeout).ok()?;
        let mut waiting = [PollFd::new(&self.tty, PollFlags::IN)];
        match poll(&mut waiting, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Some(&[]),
            Ok(_) => {}
            Err(_) => return None,
        }
        match rustix::io::read(&self.tty, &mut *buffer) {
            Ok(0) => None,
            Ok(count) => Some(&buffer[..count]),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Some(&[]),
            Err(_) => None,
        }
    }

    /// Gives the terminal its lines back. Does not wait for output, and may be called again.
    pub fn restore(&self) {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(before) = before {
            self.flush();
            let _ = tcsetattr(&self.tty, OptionalActions::Now, &before);
        }
    }

    /// Throws away what was typed ahead: it was not meant for whoever reads next.
    fn flush(&self) {
        let _ = tcflush(&self.tty, QueueSelector::IFlush);
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.restore();
    }
}

type Canvas = Terminal<CrosstermBackend<BufWriter<File>>>;

/// The alternate screen of the terminal on standard output. It has its own handle: whoever waits
/// for it does not hold up those who print.
pub(super) struct Output {
    file: File,
    size: (u16, u16),
    canvas: Canvas,
}

impl Output {
    /// Switches to the alternate screen.
    pub fn take() -> Result<Self, ScreenError> {
        let file = stdout().as_fd().try_clone_to_owned().map(File::from)?;
        let size = size(&file)?;
        if size.0 == 0 || size.1 == 0 {
            return Err(ScreenError::NoSize);
        }
        let canvas = canvas(&file, size)?;
        let mut output = Self { file, size, canvas };
        execute!(output.file, EnterAlternateScreen)?;
        Ok(output)
    }

    /// Draws one frame, in the size that the terminal has now.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame)) -> io::Result<()> {
        let size = size(&self.file)?;
        if size != self.size {
            self.size = size;
            self.anew()?;
        }
        self.canvas.draw(draw)?;
        Ok(())
    }

    /// Forgets what is on the screen, so that the next frame draws everything.
    pub fn anew(&mut self) -> io::Result<()> {
        self.canvas = canvas(&self.file, self.size)?;
        self.canvas.backend_mut().clear_region(ClearType::All)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // In this order: what the canvas still holds belongs on the screen that is left.
        let _ = Write::flush(self.canvas.backend_mut());
        let _ = execute!(self.file, LeaveAlternateScreen, Show);
    }
}

fn canvas(file: &File, (columns, rows): (u16, u16)) -> io::Result<Canvas> {
    let backend = CrosstermBackend::new(BufWriter::new(file.try_clone()?));
    // Fixed: sizes are asked of this terminal, not of the controlling one.
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
    Terminal::with_options(backend, TerminalOptions { viewport })
}

fn size(file: &File) -> io::Result<(u16, u16)> {
    let size = tcgetwinsize(file)?;
    Ok((size.ws_col, size.ws_row))
}
