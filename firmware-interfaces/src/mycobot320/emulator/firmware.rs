//! The emulated firmware: bytes and time in, bytes and time out.

use std::collections::VecDeque;
use std::time::Duration;

use super::commands::{Controller, Response};
use super::faults::Faults;
use super::plant::Plant;
use crate::Timestamp;
use crate::faults::Rate;
use crate::mycobot320::wire::{ARM_JOINTS, FrameReader, Request};
use crate::random::Random;

/// Requests that wait while one is executed; more are lost, as in a full receive buffer.
const INBOX_LENGTH: usize = 64;
const OUTBOX_LENGTH: usize = 64;
const MESSAGE_LENGTH: usize = 64;
const LONGEST_GARBAGE: usize = 12;
/// How long the controller takes to start again. An estimate: the maker publishes none.
const BOOT: Duration = Duration::from_secs(1);
/// Bytes of one frame further apart than this belong to different frames.
const INTER_BYTE_TIMEOUT: Duration = Duration::from_millis(50);

/// How the emulated arm behaves. Times are those measured by users of the real one.
#[derive(Clone, Debug, PartialEq)]
pub struct FirmwareConfig {
    /// Joint angles at start in rad.
    pub angles: [f64; ARM_JOINTS],
    /// Gripper opening at start, 0 to 1.
    pub opening: f64,
    /// Whether the servos have power at start.
    pub powered: bool,
    /// Time to execute a getter.
    pub read_latency: Duration,
    /// Time to execute a setter.
    pub write_latency: Duration,
    /// Time to execute `GetRobotStatus`, which tests every servo.
    pub status_latency: Duration,
    /// Latencies vary evenly by up to this, both ways.
    pub jitter: Duration,
    /// Whether setters are acknowledged, as new firmware does.
    pub acknowledge: bool,
    /// Seed of jitter and random faults.
    pub seed: u64,
    /// Faults from the start.
    pub faults: Faults,
}

impl Default for FirmwareConfig {
    /// An arm that is powered and bent slightly, with the gripper open.
    fn default() -> Self {
        Self {
            angles: [0.0, -0.3, 0.6, -0.3, 0.2, 0.0],
            opening: 1.0,
            powered: true,
            read_latency: Duration::from_micros(18_500),
            write_latency: Duration::from_millis(4),
            status_latency: Duration::from_millis(150),
            jitter: Duration::from_micros(1500),
            acknowledge: true,
            seed: 320,
            faults: Faults::default(),
        }
    }
}

/// Bytes that go out together.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    bytes: [u8; MESSAGE_LENGTH],
    length: usize,
}

impl Message {
    const EMPTY: Self = Self { bytes: [0; MESSAGE_LENGTH], length: 0 };

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn extend(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// The emulated firmware. It neither does I/O nor reads a clock; given the same configuration and
/// the same bytes at the same times it answers the same bytes at the same times.
#[derive(Clone, Debug)]
pub struct Firmware {
    config: FirmwareConfig,
    controller: Controller,
    reader: FrameReader,
    last_byte: Timestamp,
    /// Requests with the time at which each will have been executed.
    inbox: VecDeque<(Timestamp, Request)>,
    /// Messages with the time at which each goes out.
    outbox: VecDeque<(Timestamp, Message)>,
    busy_until: Timestamp,
    random: Random,
    replies: u64,
    /// The reset that has been executed last.
    reset: Option<Timestamp>,
    /// Switched while running.
    faults: Faults,
}

impl Firmware {
    /// An arm at rest at time zero.
    pub fn new(config: FirmwareConfig) -> Self {
        let plant = Plant::new(config.angles, config.opening.clamp(0.0, 1.0), config.powered);
        Self {
            controller: Controller::new(plant),
            reader: FrameReader::new(),
            last_byte: Timestamp::ZERO,
            inbox: VecDeque::with_capacity(INBOX_LENGTH),
            outbox: VecDeque::with_capacity(OUTBOX_LENGTH),
            busy_until: Timestamp::ZERO,
            random: Random::new(config.seed),
            replies: 0,
            reset: None,
            faults: config.faults,
            config,
        }
    }

    /// Takes bytes that arrived at `now`.
    pub fn receive(&mut self, now: Timestamp, bytes: &[u8]) {
        if self.is_booting(now) {
            return;
        }
        if self.reader.is_partial() && now.since(self.last_byte) > INTER_BYTE_TIMEOUT {
            self.reader.reset();
        }
        if !bytes.is_empty() {
            self.last_byte = now;
        }
        let mut rest = bytes;
        while let Some(frame) = self.reader.next(&mut rest) {
            let Ok(request) = Request::parse(&frame) else { continue };
            if self.inbox.len() < INBOX_LENGTH {
                let latency = self.latency(&request);
                self.busy_until = self.busy_until.max(now).after(latency);
                self.inbox.push_back((self.busy_until, request));
            }
        }
    }

    /// The next message that is due at `now`. Call it until it returns `None`.
    pub fn transmit(&mut self, now: Timestamp) -> Option<Message> {
        if self.is_booting(now) {
            return None;
        }
        while let Some((due, request)) = self.inbox.front().copied()
            && due <= now
        {
            self.inbox.pop_front();
            self.execute(due, &request);
        }
        let (due, message) = self.outbox.front().copied()?;
        (due <= now).then(|| {
            self.outbox.pop_front();
            message
        })
    }

    /// When [`Firmware::transmit`] will next have something to do.
    pub fn next_due(&self) -> Option<Timestamp> {
        let inbox = self.inbox.front().map(|(due, _)| *due);
        let outbox = self.outbox.front().map(|(due, _)| *due);
        [inbox, outbox].into_iter().flatten().min()
    }

    /// False while the disconnect fault holds.
    pub fn is_connected(&self, now: Timestamp) -> bool {
        !self.faults.disconnect.is_some_and(|window| window.contains(now))
    }

    /// Forgets what is in transit, as when the port is closed. The arm itself goes on.
    pub fn hang_up(&mut self) {
        self.reader.reset();
        self.inbox.clear();
        self.outbox.clear();
        self.busy_until = Timestamp::ZERO;
    }

    /// The faults, to be switched while running.
    pub const fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Where the joints (rad) and the gripper (opening) really are at `now`.
    pub fn plant_positions(&mut self, now: Timestamp) -> [f64; ARM_JOINTS + 1] {
        self.is_booting(now);
        self.controller.plant.advance_to(now);
        let angles = self.controller.plant.angles();
        let opening = self.controller.plant.gripper.position();
        std::array::from_fn(|joint| angles.get(joint).copied().unwrap_or(opening))
    }

    /// True while every joint has torque.
    pub fn has_torque(&self) -> bool {
        self.controller.plant.enabled.iter().all(|on| *on)
    }

    /// The light at the flange: red, green, blue.
    pub const fn color(&self) -> [u8; 3] {
        self.controller.color
    }

    /// True while the controller starts again; does so when it is time to.
    fn is_booting(&mut self, now: Timestamp) -> bool {
        let Some(start) = self.faults.reset.filter(|start| now >= *start) else { return false };
        if self.reset != Some(start) {
            self.reset = Some(start);
            self.hang_up();
            self.controller.reboot(start);
        }
        now < start.after(BOOT)
    }

    fn latency(&mut self, request: &Request) -> Duration {
        let base = match request {
            Request::GetRobotStatus {} => self.config.status_latency,
            _ if request.is_setter() => self.config.write_latency,
            _ => self.config.read_latency,
        };
        let swing = self.config.jitter.mul_f64(2.0 * self.random.fraction());
        (base + swing).saturating_sub(self.config.jitter)
    }

    fn execute(&mut self, now: Timestamp, request: &Request) {
        if self.faults.silence.is_some_and(|window| window.contains(now)) {
            return;
        }
        self.controller.plant.advance_to(now);
        self.controller.gripper_255 = self.faults.gripper_255.is_some_and(|start| now >= start);
        let response = self.controller.respond(request);
        if request.is_setter() && !self.config.acknowledge {
            return;
        }
        let mut reply = Message::EMPTY;
        match response {
            Response::Nothing => return,
            Response::Text(text) => reply.extend(text),
            Response::Reply(answer) => reply.extend(answer.encode().as_bytes()),
        }
        self.replies += 1;
        // Every reply draws the same numbers, so that one fault does not shift the others.
        let (drop, corrupt, garbage) = (
            self.happens(self.faults.drop),
            self.happens(self.faults.corrupt),
            self.happens(self.faults.garbage),
        );
        if drop {
            return;
        }
        if corrupt {
            let place = self.random.below(reply.length);
            let bit = self.random.below(8);
            if let Some(byte) = reply.bytes.get_mut(place) {
                *byte ^= 1 << bit;
            }
        }
        let mut message = Message::EMPTY;
        if garbage {
            for _ in 0..=self.random.below(LONGEST_GARBAGE) {
                let byte = self.random.next() as u8;
                message.extend(&[byte]);
            }
        }
        message.extend(reply.as_bytes());
        let due = match self.faults.delay {
            Some((span, start)) if now >= start => now.after(span),
            _ => now,
        };
        if self.outbox.len() < OUTBOX_LENGTH {
            // Order is kept when a delay ends while replies wait.
            let due = self.outbox.back().map_or(due, |(last, _)| due.max(*last));
            self.outbox.push_back((due, message));
        }
    }

    fn happens(&mut self, rate: Rate) -> bool {
        let drawn = self.random.fraction();
        rate.happens(self.replies, drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Window;
    use crate::mycobot320::wire::{Answer, Frame, Reply};

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::from_nanos(milliseconds * 1_000_000)
    }

    /// Sends a request and collects the replies due within `wait` ms.
    fn ask(firmware: &mut Firmware, now: u64, request: Request, wait: u64) -> Vec<(u64, Vec<u8>)> {
        firmware.receive(at(now), request.encode().as_bytes());
        let mut replies = Vec::new();
        for millisecond in now..=now + wait {
            while let Some(message) = firmware.transmit(at(millisecond)) {
                replies.push((millisecond - now, message.as_bytes().to_vec()));
            }
        }
        replies
    }

    #[test]
    fn a_read_takes_17_to_20_ms_and_a_setter_less() {
        let mut firmware = Firmware::new(FirmwareConfig::default());
        for round in 0..50 {
            let replies = ask(&mut firmware, round * 100, Request::GetAngles {}, 50);
            assert_eq!(replies.len(), 1);
            assert!((17..=21).contains(&replies[0].0), "{replies:?}");
        }
        let replies = ask(&mut firmware, 9000, Request::SetFreshMode { mode: 1 }, 50);
        assert!((2..=6).contains(&replies[0].0), "{replies:?}");
        assert_eq!(replies[0].1, [0xfe, 0xfe, 0x03, 0x16, 0x01, 0xfa]);
    }

    #[test]
    fn a_commanded_motion_arrives() {
        let mut firmware = Firmware::new(FirmwareConfig::default());
        let target = [1000, -1000, 500, 0, 0, 0];
        ask(&mut firmware, 0, Request::SendAngles { angles: target, speed: 100 }, 2000);
        let replies = ask(&mut firmware, 3000, Request::GetAngles {}, 50);
        let mut rest = &replies[0].1[..];
        let frame = FrameReader::new().next(&mut rest).unwrap();
        assert_eq!(Reply::parse(&frame), Ok(Reply::Answer(Answer::Angles { angles: target })));
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let with = |faults: &str| {
            let faults = faults.parse().unwrap();
            Firmware::new(FirmwareConfig { faults, ..FirmwareConfig::default() })
        };
        let count = |mut firmware: Firmware| {
            (0..40)
                .filter(|n| !ask(&mut firmware, n * 100, Request::GetAngles {}, 90).is_empty())
                .count()
        };
        assert_eq!(count(with("")), 40);
        assert_eq!(count(with("drop=1/4")), 30);
        assert_eq!(count(with("drop=1")), 0);
        // 1 s of 4 s.
        assert_eq!(count(with("silence=1s@1s")), 30);
        assert!((20..=36).contains(&count(with("drop=0.3"))));

        let replies = ask(&mut with("delay=200ms"), 0, Request::GetAngles {}, 300);
        assert!((217..=221).contains(&replies[0].0), "{replies:?}");
        let replies = ask(&mut with("garbage=1"), 0, Request::GetAngles {}, 50);
        assert!(replies[0].1.len() > 17 && replies[0].1.ends_with(&[0xfa]));
        let good = ask(&mut with(""), 0, Request::GetAngles {}, 50)[0].1.clone();
        let bad = ask(&mut with("corrupt=1"), 0, Request::GetAngles {}, 50)[0].1.clone();
        let flipped: u32 = good.iter().zip(&bad).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(flipped, 1);
        let replies = ask(&mut with("gripper255"), 0, Request::GetGripperValue { kind: None }, 50);
        assert_eq!(replies[0].1, [0xfe, 0xfe, 0x03, 0x65, 0xff, 0xfa]);

        let mut firmware = with("");
        firmware.faults_mut().disconnect =
            Some(Window { start: at(10), duration: Some(Duration::from_millis(5)) });
        assert_eq!(
            [9, 10, 14, 15].map(|t| firmware.is_connected(at(t))),
            [true, false, false, true]
        );
    }

    #[test]
    fn a_controller_that_starts_again_forgets_all_but_its_joints() {
        let faults = "reset@1s".parse().unwrap();
        let config = FirmwareConfig { faults, ..FirmwareConfig::default() };
        let mut firmware = Firmware::new(config);
        let reboots = |firmware: &mut Firmware, now| {
            let replies = ask(firmware, now, Request::GetRebootCount {}, 50);
            replies.first().map(|(_, bytes)| bytes[5])
        };
        assert_eq!(reboots(&mut firmware, 0), Some(1));
        ask(&mut firmware, 100, Request::SetFreshMode { mode: 1 }, 50);
        ask(&mut firmware, 200, Request::SetColor { red: 9, green: 8, blue: 7 }, 50);
        let target = [1000, -1000, 500, 0, 0, 0];
        ask(&mut firmware, 700, Request::SendAngles { angles: target, speed: 100 }, 50);
        // In the middle of a motion; a request that is under way is forgotten.
        firmware.receive(at(995), Request::GetAngles {}.encode().as_bytes());
        assert_eq!(reboots(&mut firmware, 1000), None);
        assert_eq!(reboots(&mut firmware, 1900), None);
        assert!(!firmware.has_torque());
        let stood = firmware.plant_positions(at(1000));
        assert!(stood[0] > 0.01 && stood[0] < 0.17, "{stood:?}");
        assert_eq!(reboots(&mut firmware, 2000), Some(2));
        assert_eq!(firmware.plant_positions(at(9000)), stood);
        assert_eq!(firmware.color(), [0, 0, 0]);
        ask(&mut firmware, 9100, Request::PowerOn {}, 50);
        assert!(firmware.has_torque());
    }

    #[test]
    fn old_firmware_does_not_acknowledge_but_obeys() {
        let config = FirmwareConfig { acknowledge: false, ..FirmwareConfig::default() };
        let mut firmware = Firmware::new(config);
        let light = Request::SetColor { red: 9, green: 8, blue: 7 };
        assert!(ask(&mut firmware, 0, light, 50).is_empty());
        assert_eq!(firmware.color(), [9, 8, 7]);
    }

    #[test]
    fn a_cut_request_does_not_swallow_the_next() {
        let mut firmware = Firmware::new(FirmwareConfig::default());
        firmware.receive(at(0), &[0xfe, 0xfe, 0x1e, 0x22]);
        assert_eq!(ask(&mut firmware, 100, Request::GetAngles {}, 50).len(), 1);
        // Unknown commands and impossible payloads are ignored.
        firmware.receive(at(200), Frame::new(0x03, &[1, 2]).unwrap().as_bytes());
        firmware.receive(at(200), Frame::new(0x20, &[1, 2]).unwrap().as_bytes());
        assert_eq!(firmware.next_due(), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_at_the_same_times() {
        let run = || {
            let faults = "drop=0.1,corrupt=0.1,garbage=0.2".parse().unwrap();
            let mut firmware = Firmware::new(FirmwareConfig { faults, ..Default::default() });
            (0..30)
                .map(|n| ask(&mut firmware, n * 50, Request::GetAngles {}, 49))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
