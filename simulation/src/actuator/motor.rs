//! The motor's side: on-board servo, rotor with friction, gear.

use super::friction::Friction;
use super::{ActuatorConfig, Drive};

/// Motion of the load, in rad and rad/s: what the motor feels through the gear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Motion {
    pub(super) angle: f64,
    pub(super) velocity: f64,
}

/// Rotor and electronics. What they do to the load depends on how it moves, and not on its inertia.
#[derive(Clone, Copy, Debug)]
pub(super) struct Motor {
    pub(super) motion: Motion,
    /// Torques on the rotor, in N·m.
    pub(super) torque: f64,
    pub(super) friction: f64,
    /// In °C and V.
    pub(super) temperature: f64,
    pub(super) supply: f64,
}

impl Motor {
    pub(super) const fn new(config: &ActuatorConfig) -> Self {
        Self {
            motion: Motion { angle: 0.0, velocity: 0.0 },
            torque: 0.0,
            friction: 0.0,
            temperature: config.ambient,
            supply: config.supply,
        }
    }

    /// Moves on by `step` seconds. Returns the transmission's torque on the load.
    pub(super) fn step(
        &mut self,
        config: &ActuatorConfig,
        drive: Drive,
        load: Motion,
        step: f64,
    ) -> f64 {
        self.torque = self.next_torque(config, drive, step);
        let transmission = self.transmission(config, load);
        let friction = Friction {
            coulomb: config.coulomb,
            breakaway: config.breakaway,
            stribeck_speed: config.stribeck_speed,
            viscous: config.viscous,
        };
        // The velocity first, then the angle with the new velocity: the energy of an undamped
        // oscillation stays bounded (semi-implicit Euler).
        let inertia = config.rotor_inertia;
        let free = self.motion.velocity + (self.torque - transmission) / inertia * step;
        (self.motion.velocity, self.friction) = friction.slow(free, inertia, step);
        self.motion.angle += self.motion.velocity * step;

        let share = self.torque / config.stall_torque;
        let heat = config.stall_heat * share * share - self.friction * self.motion.velocity;
        let cooling = (self.temperature - config.ambient) / config.thermal_resistance;
        self.temperature += (heat - cooling) / config.heat_capacity * step;
        self.supply = config.supply * (1.0 - config.supply_sag * share.abs());
        transmission
    }

    /// What the servo asks for, within the torque–speed line, after the lag.
    fn next_torque(&self, config: &ActuatorConfig, drive: Drive, step: f64) -> f64 {
        let Motion { angle, velocity } = self.motion;
        let wanted = match drive {
            Drive::Off => return 0.0,
            Drive::Position(target) => {
                config.servo_stiffness * (target - angle) - config.servo_damping * velocity
            }
            Drive::Torque(torque) => torque,
            Drive::Impedance { position, velocity: speed, stiffness, damping, torque } => {
                stiffness * (position - angle) + damping * (speed - velocity) + torque
            }
        };
        // The supply scales both ends of the line. Against the motion the motor has all its torque.
        let share = self.supply / config.supply;
        let stall = config.stall_torque * share;
        let driving = stall * (1.0 - velocity.abs() / (config.no_load_speed * share)).max(0.0);
        let least = if velocity < 0.0 { -driving } else { -stall };
        let most = if velocity > 0.0 { driving } else { stall };
        let weight = step / (config.torque_lag + step);
        self.torque + (wanted.clamp(least, most) - self.torque) * weight
    }

    /// An elastic coupling with play. A flank pushes and never pulls, however it is damped.
    fn transmission(&self, config: &ActuatorConfig, load: Motion) -> f64 {
        let twist = self.motion.angle - load.angle;
        let damping = config.transmission_damping * (self.motion.velocity - load.velocity);
        let half = 0.5 * config.backlash;
        if half == 0.0 {
            config.transmission_stiffness * twist + damping
        } else if twist > half {
            (config.transmission_stiffness * (twist - half) + damping).max(0.0)
        } else if twist < -half {
            (config.transmission_stiffness * (twist + half) + damping).min(0.0)
        } else {
            0.0
        }
    }
}
