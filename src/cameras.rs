//! The camera side: one worker per camera, each on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use sinew_episodes::image::encode_png;
use sinew_episodes::journal::FrameRecord;
use sinew_firmware_interfaces::cameras::{ReplayCamera, SyntheticCamera};
use sinew_firmware_interfaces::{Camera, CameraError, Clock, Frame, Timestamp};

use crate::config::CameraConfig;
use crate::recording::RecorderInbox;

/// Opens the camera that `config` describes.
///
/// # Errors
/// [`CameraError`] when its source cannot be read.
pub fn open(config: &CameraConfig) -> Result<Box<dyn Camera>, CameraError> {
    let period = |rate_hz: f64| Duration::from_secs_f64(1.0 / rate_hz);
    Ok(match config {
        CameraConfig::Synthetic { width, height, rate_hz, stops_after_s } => {
            let stops_after = stops_after_s.map(Duration::from_secs_f64);
            Box::new(SyntheticCamera::new(*width, *height, period(*rate_hz), stops_after))
        }
        CameraConfig::Replay { path, rate_hz } => {
            Box::new(ReplayCamera::open(path, period(*rate_hz))?)
        }
    })
}

/// One camera with its mailbox.
pub struct CameraWorker {
    name: String,
    index: u32,
    camera: Box<dyn Camera>,
    mailbox: triple_buffer::Input<Frame>,
    inbox: RecorderInbox,
    clock: Arc<dyn Clock>,
    frame: Frame,
    next: Timestamp,
    failed: bool,
}

impl CameraWorker {
    /// A worker for the camera at `index` in the journal's header, and the mailbox's other end.
    pub fn new(
        name: String,
        index: u32,
        camera: Box<dyn Camera>,
        inbox: RecorderInbox,
        clock: Arc<dyn Clock>,
    ) -> (Self, triple_buffer::Output<Frame>) {
        let (mailbox, output) = triple_buffer::triple_buffer(&Frame::default());
        let worker = Self {
            name,
            index,
            camera,
            mailbox,
            inbox,
            clock,
            frame: Frame::default(),
            next: Timestamp::ZERO,
            failed: false,
        };
        (worker, output)
    }

    /// Takes a frame when one is due at `now`, publishes it to the policy and sends it to the
    /// recorder as PNG. Returns when to be called again. A camera that fails says so once and is
    /// tried again at every period: its last frame ages, and the stop ladder judges that.
    pub fn step(&mut self, now: Timestamp) -> Timestamp {
        if now < self.next {
            return self.next;
        }
        let period = self.camera.description().period;
        // Keep the grid unless a whole period was lost.
        self.next = self.next.after(period);
        if self.next < now {
            self.next = now.after(period);
        }
        match self.camera.capture(now, &mut self.frame) {
            Ok(()) => {
                if self.failed {
                    self.failed = false;
                    self.inbox.event(now, "camera", format!("{}: delivers again", self.name));
                }
                self.mailbox.input_buffer_mut().clone_from(&self.frame);
                self.mailbox.publish();
                self.record();
            }
            Err(error) => {
                if !self.failed {
                    self.failed = true;
                    self.inbox.event(now, "camera", format!("{}: {error}", self.name));
                }
            }
        }
        self.next
    }

    fn record(&self) {
        let frame = &self.frame;
        match encode_png(frame.width as u32, frame.height as u32, &frame.rgb) {
            Ok(png) => self.inbox.frame(FrameRecord {
                camera: self.index,
                sequence: frame.sequence,
                captured_ns: frame.captured.as_nanos(),
                png,
            }),
            Err(error) => {
                self.inbox.event(self.clock.now(), "camera", format!("{}: {error}", self.name));
            }
        }
    }
}
