//! The mechanics.

use std::time::Duration;

use super::motor::{Motion, Motor};
use super::noise::Noise;
use super::sensors::{Sensed, sense};
use super::{ActuatorConfig, ActuatorConfigError, GRAVITY};

/// The fixed step of integration.
pub const SUBSTEP: Duration = Duration::from_micros(50);

/// What the actuator is told to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Drive {
    /// Nothing: the motor has no torque. It takes effect at once.
    #[default]
    Off,
    /// The on-board servo goes to this angle, in rad, with the gains of the configuration.
    Position(f64),
    /// The motor gives this torque, in N·m.
    Torque(f64),
    /// The on-board servo gives `stiffness * (position - q) + damping * (velocity - dq) + torque`.
    Impedance {
        /// Angle, in rad.
        position: f64,
        /// Velocity, in rad/s.
        velocity: f64,
        /// N·m/rad.
        stiffness: f64,
        /// N·m·s/rad.
        damping: f64,
        /// N·m.
        torque: f64,
    },
}

impl Drive {
    fn is_finite(self) -> bool {
        match self {
            Self::Off => true,
            Self::Position(value) | Self::Torque(value) => value.is_finite(),
            Self::Impedance { position, velocity, stiffness, damping, torque } => {
                [position, velocity, stiffness, damping, torque].iter().all(|it| it.is_finite())
            }
        }
    }
}

/// What no sensor shows. Torques in N·m at the output shaft, positive in the direction of motion.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Truth {
    /// Time since the start, in s.
    pub time: f64,
    /// What drives the motor now, after the delay.
    pub drive: Drive,
    /// Angle of the rotor, in rad.
    pub motor_angle: f64,
    /// Velocity of the rotor, in rad/s.
    pub motor_velocity: f64,
    /// Angle of the load, in rad.
    pub load_angle: f64,
    /// Velocity of the load, in rad/s.
    pub load_velocity: f64,
    /// Acceleration of the load, in rad/s².
    pub load_acceleration: f64,
    /// The motor's torque on the rotor.
    pub motor_torque: f64,
    /// The friction's torque on the rotor.
    pub friction_torque: f64,
    /// The transmission's torque on the load (and its opposite on the rotor).
    pub transmission_torque: f64,
    /// The parallel spring's torque on the load.
    pub spring_torque: f64,
    /// Gravity's torque on the load.
    pub gravity_torque: f64,
    /// The sum of the last three: inertia times acceleration of the load.
    pub net_torque: f64,
    /// Temperature of the motor, in °C.
    pub temperature: f64,
    /// Supply at the motor, in V.
    pub supply: f64,
}

/// The actuator in motion.
#[derive(Clone, Debug)]
pub struct ActuatorPlant {
    config: ActuatorConfig,
    motor: Motor,
    noise: Noise,
    truth: Truth,
    /// Drives that have not taken effect yet: a ring, oldest at `oldest`. Never empty.
    delayed: Vec<Drive>,
    oldest: usize,
    /// Sub-steps since the start.
    steps: u64,
    /// Nanoseconds asked for that do not make a whole sub-step yet.
    carry: u64,
}

impl ActuatorPlant {
    /// An actuator without power, at rest at angle 0. The same configuration, seed and calls give
    /// the same numbers.
    ///
    /// # Errors
    /// [`ActuatorConfigError`] naming the quantity that is out of its range.
    pub fn new(config: ActuatorConfig, seed: u64) -> Result<Self, ActuatorConfigError> {
        config.validate()?;
        let steps = (config.delay / SUBSTEP.as_secs_f64()).round() as usize;
        let truth =
            Truth { temperature: config.ambient, supply: config.supply, ..Truth::default() };
        Ok(Self {
            motor: Motor::new(&config),
            noise: Noise::new(seed),
            truth,
            delayed: vec![Drive::Off; steps + 1],
            oldest: 0,
            steps: 0,
            carry: 0,
            config,
        })
    }

    /// What it is made of.
    pub const fn config(&self) -> &ActuatorConfig {
        &self.config
    }

    /// Puts rotor and load to `angle` (rad), at rest. An angle that is not finite is ignored.
    pub const fn place(&mut self, angle: f64) {
        if angle.is_finite() {
            self.motor.motion = Motion { angle, velocity: 0.0 };
            self.truth.motor_angle = angle;
            self.truth.motor_velocity = 0.0;
            self.truth.load_angle = angle;
            self.truth.load_velocity = 0.0;
            self.truth.load_acceleration = 0.0;
        }
    }

    /// Moves on by `dt` under `drive`. What is less than a sub-step is kept for the next call. A
    /// drive that is not finite is [`Drive::Off`].
    pub fn step(&mut self, dt: Duration, drive: Drive) {
        let drive = if drive.is_finite() { drive } else { Drive::Off };
        let step = SUBSTEP.as_nanos() as u64;
        self.carry = self.carry.saturating_add(dt.as_nanos().try_into().unwrap_or(u64::MAX));
        while self.carry >= step {
            self.carry -= step;
            self.sub_step(drive);
        }
    }

    /// The true state after the last whole sub-step.
    pub const fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Reads the sensors once. Each call draws new noise.
    pub fn sense(&mut self) -> Sensed {
        sense(&self.config, &self.truth, &mut self.noise)
    }

    fn sub_step(&mut self, drive: Drive) {
        let step = SUBSTEP.as_secs_f64();
        let drive = self.delay(drive);
        let Self { config, motor, truth, .. } = self;
        let load = Motion { angle: truth.load_angle, velocity: truth.load_velocity };
        let transmission = motor.step(config, drive, load, step);
        let spring = -config.spring_stiffness * (load.angle - config.spring_rest);
        let gravity = -config.unbalance * GRAVITY * config.tilt.sin() * load.angle.sin();
        let net = transmission + spring + gravity;
        let acceleration = net / config.inertia;
        let velocity = load.velocity + acceleration * step;
        self.steps += 1;
        *truth = Truth {
            // From the count, so that no error adds up.
            time: self.steps as f64 * step,
            drive,
            motor_angle: motor.motion.angle,
            motor_velocity: motor.motion.velocity,
            load_angle: load.angle + velocity * step,
            load_velocity: velocity,
            load_acceleration: acceleration,
            motor_torque: motor.torque,
            friction_torque: motor.friction,
            transmission_torque: transmission,
            spring_torque: spring,
            gravity_torque: gravity,
            net_torque: net,
            temperature: motor.temperature,
            supply: motor.supply,
        };
    }

    /// What takes effect now. Power off does not wait, and nothing that was under way survives it.
    fn delay(&mut self, drive: Drive) -> Drive {
        if drive == Drive::Off {
            self.delayed.fill(Drive::Off);
            return drive;
        }
        self.delayed[self.oldest] = drive;
        self.oldest = (self.oldest + 1) % self.delayed.len();
        self.delayed[self.oldest]
    }
}
