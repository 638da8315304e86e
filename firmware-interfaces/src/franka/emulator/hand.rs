//! The emulated hand: two fingers that move with a speed, and something between them.

use std::time::Duration;

use crate::Timestamp;
use crate::franka::wire::{
    GripperFunction, GripperRequest, GripperState, GripperStatus, HeaderLayout, MessageReader,
};

/// Largest opening, m.
const MAX_WIDTH: f64 = 0.08;
/// Largest speed, m/s.
const MAX_SPEED: f64 = 0.1;
/// Speed while homing, m/s.
const HOMING_SPEED: f64 = 0.05;
/// Largest force, N.
const MAX_FORCE: f64 = 140.0;
/// Time between states.
const PERIOD: Duration = Duration::from_millis(20);
/// °C.
const TEMPERATURE: u16 = 28;

/// What the fingers are doing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    /// Opening, then closing.
    Homing { opened: bool },
    /// On the way to a width.
    Move { width: f64, speed: f64 },
    /// Closing on an object.
    Grasp { width: f64, inner: f64, outer: f64, speed: f64 },
}

/// The hand's firmware: pure, with time as an argument.
#[derive(Clone, Debug)]
pub struct Hand {
    inbox: MessageReader,
    outbox: Vec<u8>,
    udp_port: Option<u16>,
    closing: bool,
    width: f64,
    /// Found by homing; a hand that was homed before knows it.
    max_width: f64,
    grasped: bool,
    /// Width of what stands between the fingers; 0 for nothing.
    object: f64,
    work: Option<(GripperFunction, u32, Work)>,
    message_id: u32,
    next: Timestamp,
}

impl Hand {
    /// A hand that is half open, with an object of this width between its fingers.
    pub fn new(object: f64) -> Self {
        Self {
            inbox: MessageReader::new(HeaderLayout::Gripper),
            outbox: Vec::new(),
            udp_port: None,
            closing: false,
            width: 0.5 * MAX_WIDTH,
            max_width: MAX_WIDTH,
            grasped: false,
            object: object.clamp(0.0, 0.5 * MAX_WIDTH),
            work: None,
            message_id: 0,
            next: Timestamp::ZERO,
        }
    }

    /// Where the client wants its states.
    pub const fn udp_port(&self) -> Option<u16> {
        self.udp_port
    }

    /// Whether the connection is to be closed: the client has sent nonsense.
    pub const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Opening, m.
    pub const fn width(&self) -> f64 {
        self.width
    }

    /// Whether the fingers are under way.
    pub const fn is_moving(&self) -> bool {
        self.work.is_some()
    }

    /// The client has gone.
    pub fn hang_up(&mut self) {
        self.inbox.reset();
        self.outbox.clear();
        self.udp_port = None;
        self.closing = false;
        self.work = None;
    }

    /// Takes bytes from the client.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.closing {
            return;
        }
        self.inbox.push(bytes);
        loop {
            let message = match self.inbox.take_message() {
                Ok(Some(message)) => message,
                Ok(None) => return,
                Err(_) => break,
            };
            let request = GripperRequest::parse(message.header.command, &message.payload);
            let Ok(request) = request else { break };
            let connect = matches!(request, GripperRequest::Connect { .. });
            if self.udp_port.is_some() == connect {
                break;
            }
            self.ask(&request, message.header.id);
        }
        self.closing = true;
    }

    /// What goes to the client.
    pub fn take_bytes(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.outbox);
    }

    /// When [`tick`](Self::tick) is due.
    pub const fn next_due(&self) -> Timestamp {
        self.next
    }

    /// One period. True when `out` has a state to send.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<u8>) -> bool {
        self.next = now.after(PERIOD);
        self.step(PERIOD.as_secs_f64());
        if self.udp_port.is_none() {
            return false;
        }
        self.message_id = self.message_id.wrapping_add(1);
        let state = GripperState {
            message_id: self.message_id,
            width: self.width,
            max_width: self.max_width,
            is_grasped: self.grasped,
            temperature: TEMPERATURE,
        };
        out.clear();
        state.encode(out);
        true
    }

    fn ask(&mut self, request: &GripperRequest, id: u32) {
        let function = request.function();
        let valid = |width: f64, speed: f64| {
            (0.0..=MAX_WIDTH).contains(&width) && speed > 0.0 && speed.is_finite()
        };
        let work = match *request {
            GripperRequest::Connect { version, udp_port } => {
                let agree = version == GripperRequest::VERSION;
                self.udp_port = agree.then_some(udp_port);
                let status = if agree { GripperStatus::Success } else { GripperStatus::Fail };
                return status.reply(function, id, &mut self.outbox);
            }
            GripperRequest::Stop => {
                self.finish(GripperStatus::Aborted);
                return GripperStatus::Success.reply(function, id, &mut self.outbox);
            }
            GripperRequest::Homing => Some(Work::Homing { opened: false }),
            GripperRequest::Move { width, speed } => {
                valid(width, speed).then_some(Work::Move { width, speed: speed.min(MAX_SPEED) })
            }
            GripperRequest::Grasp { width, inner, outer, speed, force } => {
                let possible = valid(width, speed)
                    && inner >= 0.0
                    && outer >= 0.0
                    && (0.0..=MAX_FORCE).contains(&force);
                let speed = speed.min(MAX_SPEED);
                possible.then_some(Work::Grasp { width, inner, outer, speed })
            }
        };
        self.finish(GripperStatus::Aborted);
        match work {
            Some(work) => {
                self.grasped = false;
                self.work = Some((function, id, work));
            }
            None => GripperStatus::Fail.reply(function, id, &mut self.outbox),
        }
    }

    /// Ends what the fingers are doing.
    fn finish(&mut self, status: GripperStatus) {
        if let Some((function, id, _)) = self.work.take() {
            status.reply(function, id, &mut self.outbox);
        }
    }

    fn step(&mut self, seconds: f64) {
        let Some((function, id, work)) = self.work else { return };
        match work {
            Work::Homing { opened } => {
                let goal = if opened { self.object } else { MAX_WIDTH };
                if self.approach(goal, HOMING_SPEED * seconds) {
                    if opened {
                        self.max_width = MAX_WIDTH;
                        self.finish(GripperStatus::Success);
                    } else {
                        self.work = Some((function, id, Work::Homing { opened: true }));
                    }
                }
            }
            Work::Move { width, speed } => {
                let goal = width.max(self.object);
                if self.approach(goal, speed * seconds) {
                    let there = (width - self.width).abs() < 1e-3;
                    self.finish(match there {
                        true => GripperStatus::Success,
                        false => GripperStatus::Unsuccessful,
                    });
                }
            }
            Work::Grasp { width, inner, outer, speed } => {
                let goal = self.object;
                if self.approach(goal, speed * seconds) {
                    let held = width - inner < self.width && self.width < width + outer;
                    self.grasped = held;
                    self.finish(match held {
                        true => GripperStatus::Success,
                        false => GripperStatus::Unsuccessful,
                    });
                }
            }
        }
    }

    /// One step towards `goal`; true when it is reached.
    fn approach(&mut self, goal: f64, step: f64) -> bool {
        let left = goal - self.width;
        if left.abs() <= step {
            self.width = goal;
        } else {
            self.width += step.copysign(left);
        }
        self.width == goal
    }
}
