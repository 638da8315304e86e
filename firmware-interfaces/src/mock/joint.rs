//! The mechanics of one joint, in closed form over any span.

use super::Config;
use super::config::{RANGE, TOP_SPEED};

/// What drives a joint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Drive {
    /// Nothing: it stands, as if braked.
    Off,
    /// A servo that takes it to this position, in rad.
    Position(f64),
    /// This torque, in N·m.
    Effort(f64),
}

/// What all joints have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mechanics {
    bandwidth: f64,
    inertia: f64,
    friction: f64,
    max_effort: f64,
    range: f64,
}

impl Mechanics {
    pub(super) fn new(config: &Config) -> Self {
        // What is no number, or none that makes sense, gives a joint that hardly moves.
        let positive =
            |value: f64| if value > f64::MIN_POSITIVE { value } else { f64::MIN_POSITIVE };
        Self {
            bandwidth: positive(config.bandwidth_rad_s),
            inertia: positive(config.inertia_kg_m2).max(1e-9),
            friction: config.friction_nm_s_rad.max(0.0),
            max_effort: config.max_effort_nm.max(0.0),
            range: RANGE,
        }
    }

    /// What is left of a servo's error after `seconds`, but for the part that grows with time.
    pub(super) fn decay(&self, seconds: f64) -> f64 {
        (-self.bandwidth * seconds).exp()
    }
}

/// One joint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Joint {
    pub(super) position: f64,
    pub(super) velocity: f64,
    pub(super) effort: f64,
    drive: Drive,
    /// Where the servo's set point is on its way to the commanded position.
    set_point: f64,
}

impl Joint {
    pub(super) const fn new(position: f64) -> Self {
        Self { position, velocity: 0.0, effort: 0.0, drive: Drive::Off, set_point: position }
    }

    /// Follows `drive` from now on.
    pub(super) fn drive(&mut self, drive: Drive, mechanics: &Mechanics) {
        let was_servo = matches!(self.drive, Drive::Position(_));
        self.drive = drive;
        match drive {
            Drive::Off => self.stand(),
            Drive::Position(_) if !was_servo => self.set_point = self.position,
            Drive::Position(_) => {}
            Drive::Effort(effort) => {
                let most = mechanics.max_effort;
                self.drive = Drive::Effort(effort.clamp(-most, most));
            }
        }
    }

    /// Stays where it is, with power.
    pub(super) fn hold(&mut self) {
        self.drive = Drive::Position(self.position);
        self.set_point = self.position;
    }

    /// Stands still at once.
    pub(super) const fn stand(&mut self) {
        self.velocity = 0.0;
        self.effort = 0.0;
        self.set_point = self.position;
    }

    /// Moves on by `seconds`, over which a servo's error decays by `decay`: [`Mechanics::decay`],
    /// the same for all joints.
    pub(super) fn advance(&mut self, seconds: f64, decay: f64, mechanics: &Mechanics) {
        match self.drive {
            Drive::Off => {}
            Drive::Position(target) => {
                // The set point goes to the target at top speed, and stays there.
                let way = target - self.set_point;
                let moving = (way.abs() / TOP_SPEED).min(seconds);
                let mut left = decay;
                if moving > 0.0 {
                    let speed = TOP_SPEED.copysign(way);
                    self.servo(speed, moving, mechanics.decay(moving), mechanics);
                    left = mechanics.decay(seconds - moving);
                }
                if moving < seconds {
                    self.set_point = target;
                    self.servo(0.0, seconds - moving, left, mechanics);
                }
            }
            Drive::Effort(effort) => self.push(effort, seconds, mechanics),
        }
        if self.position.abs() > mechanics.range {
            // The end stop.
            self.position = mechanics.range.copysign(self.position);
            self.velocity = 0.0;
        }
    }

    /// Critically damped motion behind a set point that moves at constant speed.
    fn servo(&mut self, speed: f64, seconds: f64, decay: f64, mechanics: &Mechanics) {
        let rate = mechanics.bandwidth;
        let lag = 2.0 * speed / rate;
        let from = self.position - (self.set_point - lag);
        let slope = self.velocity - speed + rate * from;
        let error = (from + slope * seconds) * decay;
        let error_speed = slope * decay - rate * error;
        self.set_point += speed * seconds;
        self.position = self.set_point - lag + error;
        self.velocity = speed + error_speed;
        let acceleration = -rate * (slope * decay + error_speed);
        self.effort = (mechanics.inertia * acceleration + mechanics.friction * self.velocity)
            .clamp(-mechanics.max_effort, mechanics.max_effort);
    }

    /// Inertia and viscous friction under a constant torque.
    fn push(&mut self, effort: f64, seconds: f64, mechanics: &Mechanics) {
        self.effort = effort;
        let Mechanics { inertia, friction, .. } = *mechanics;
        // 1 - exp(-x), and that divided by x, are exact for small x as well.
        let x = friction * seconds / inertia;
        let lost = -(-x).exp_m1();
        let share = if x > 0.0 { lost / x } else { 1.0 };
        let gained = effort / inertia * seconds * share;
        let mean = if x > 1e-4 { (1.0 - share) / x } else { 0.5 - x / 6.0 };
        self.position +=
            self.velocity * seconds * share + effort / inertia * seconds * seconds * mean;
        self.velocity += gained - self.velocity * lost;
    }
}
