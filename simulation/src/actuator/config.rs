//! What an actuator and its sensors are made of.

use super::plant::SUBSTEP;

/// One actuator with its load. Everything is seen from the output shaft.
///
/// The defaults are a hobby servo with metal gears on a rig whose arm turns in a nearly horizontal
/// plane.
#[derive(Clone, Debug, PartialEq)]
pub struct ActuatorConfig {
    /// Total inertia that turns with the load, in kg·m².
    pub inertia: f64,
    /// Inertia of rotor and gear, in kg·m².
    pub rotor_inertia: f64,
    /// Position gain of the on-board servo, in N·m/rad.
    pub servo_stiffness: f64,
    /// Velocity gain of the on-board servo, in N·m·s/rad.
    pub servo_damping: f64,
    /// Time from a command to its effect, in s, up to 1 s.
    pub delay: f64,
    /// Time constant with which the motor's torque follows what the servo asks for, in s.
    pub torque_lag: f64,
    /// Torque at standstill, in N·m.
    pub stall_torque: f64,
    /// Speed at which the motor has no torque left, in rad/s.
    pub no_load_speed: f64,
    /// Supply voltage without load, in V.
    pub supply: f64,
    /// Share of the supply that is lost at stall torque, 0 to below 1.
    pub supply_sag: f64,
    /// Sliding friction, in N·m.
    pub coulomb: f64,
    /// Friction that must be overcome at standstill, in N·m; not below `coulomb`.
    pub breakaway: f64,
    /// Speed over which friction falls from `breakaway` to `coulomb` (Stribeck), in rad/s.
    pub stribeck_speed: f64,
    /// Viscous friction, in N·m·s/rad.
    pub viscous: f64,
    /// Play of the gear from one flank to the other, in rad.
    pub backlash: f64,
    /// Stiffness between gear and load, in N·m/rad.
    pub transmission_stiffness: f64,
    /// Damping between gear and load while a flank touches, in N·m·s/rad.
    pub transmission_damping: f64,
    /// Spring parallel to the actuator, from the load to the frame, in N·m/rad; 0 for none. Its
    /// torque on the load is `-spring_stiffness * (angle - spring_rest)`.
    pub spring_stiffness: f64,
    /// Angle at which that spring is slack, in rad.
    pub spring_rest: f64,
    /// First moment of the load (mass times distance of its centre), in kg·m.
    pub unbalance: f64,
    /// Angle between the axis of rotation and the vertical, in rad. Gravity then pulls the load
    /// towards angle 0.
    pub tilt: f64,
    /// Temperature around it, in °C.
    pub ambient: f64,
    /// Heat at stall torque, in W; it goes with the torque's square.
    pub stall_heat: f64,
    /// Heat capacity, in J/K.
    pub heat_capacity: f64,
    /// Thermal resistance to the surroundings, in K/W.
    pub thermal_resistance: f64,
    /// What is measured, and how badly.
    pub sensors: SensorConfig,
}

/// Sensors of the rig: an encoder and an inertial unit on the load, an encoder on the motor.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorConfig {
    /// Steps of the encoders per turn; 0 for no quantisation.
    pub encoder_counts: u32,
    /// Standard deviation of the encoders, in rad.
    pub encoder_noise: f64,
    /// Distance of the accelerometer from the axis, in m.
    pub radius: f64,
    /// Standard deviation of the accelerometer, in m/s².
    pub acceleration_noise: f64,
    /// Constant error of the accelerometer, in m/s².
    pub acceleration_bias: [f64; 3],
    /// Standard deviation of the gyroscope, in rad/s.
    pub gyro_noise: f64,
    /// Constant error of the gyroscope, in rad/s.
    pub gyro_bias: [f64; 3],
}

impl Default for ActuatorConfig {
    fn default() -> Self {
        Self {
            inertia: 0.010,
            rotor_inertia: 0.001_5,
            servo_stiffness: 12.0,
            servo_damping: 0.12,
            delay: 0.012,
            torque_lag: 0.003,
            stall_torque: 1.82,
            no_load_speed: 36.0,
            supply: 6.0,
            supply_sag: 0.05,
            coulomb: 0.14,
            breakaway: 0.20,
            stribeck_speed: 0.4,
            viscous: 0.012,
            backlash: 0.012,
            transmission_stiffness: 150.0,
            transmission_damping: 0.6,
            spring_stiffness: 0.2,
            spring_rest: 0.0,
            unbalance: 0.04,
            tilt: 0.015,
            ambient: 23.0,
            stall_heat: 18.0,
            heat_capacity: 45.0,
            thermal_resistance: 12.0,
            sensors: SensorConfig::default(),
        }
    }
}

impl ActuatorConfig {
    /// A drive that gives the torque it is told to, nearly at once and with little friction: what a
    /// model of another actuator is run on.
    pub fn direct_drive() -> Self {
        Self {
            rotor_inertia: 0.000_2,
            delay: 0.001,
            torque_lag: 0.000_5,
            stall_torque: 5.0,
            no_load_speed: 80.0,
            coulomb: 0.01,
            breakaway: 0.015,
            viscous: 0.001,
            backlash: 0.0,
            transmission_stiffness: 400.0,
            transmission_damping: 0.8,
            spring_stiffness: 0.0,
            ..Self::default()
        }
    }
}

impl Default for SensorConfig {
    fn default() -> Self {
        Self {
            encoder_counts: 4096,
            encoder_noise: 0.000_5,
            radius: 0.1,
            acceleration_noise: 0.01,
            acceleration_bias: [0.0, 0.0392, 0.0],
            gyro_noise: 0.01,
            gyro_bias: [0.0, 0.0, -0.002_27],
        }
    }
}

impl SensorConfig {
    /// Sensors without quantisation, noise and bias.
    pub fn ideal() -> Self {
        Self {
            encoder_counts: 0,
            encoder_noise: 0.0,
            acceleration_noise: 0.0,
            acceleration_bias: [0.0; 3],
            gyro_noise: 0.0,
            gyro_bias: [0.0; 3],
            ..Self::default()
        }
    }
}

/// A quantity outside its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("actuator: {name} is {value}; allowed: {allowed}")]
pub struct ActuatorConfigError {
    /// The quantity.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What is allowed.
    pub allowed: String,
}

impl ActuatorConfig {
    /// Checks every quantity, and that the sub-step is short enough for this transmission.
    ///
    /// # Errors
    /// [`ActuatorConfigError`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), ActuatorConfigError> {
        let sensors = &self.sensors;
        let positive = [
            ("inertia", self.inertia),
            ("rotor_inertia", self.rotor_inertia),
            ("stall_torque", self.stall_torque),
            ("no_load_speed", self.no_load_speed),
            ("supply", self.supply),
            ("stribeck_speed", self.stribeck_speed),
            ("transmission_stiffness", self.transmission_stiffness),
            ("heat_capacity", self.heat_capacity),
            ("thermal_resistance", self.thermal_resistance),
            ("sensors.radius", sensors.radius),
        ];
        for (name, value) in positive {
            check(name, value, f64::MIN_POSITIVE..=1e6, || "above 0, up to 1e6".to_owned())?;
        }
        let not_negative = [
            ("servo_stiffness", self.servo_stiffness),
            ("servo_damping", self.servo_damping),
            ("torque_lag", self.torque_lag),
            ("coulomb", self.coulomb),
            ("viscous", self.viscous),
            ("backlash", self.backlash),
            ("transmission_damping", self.transmission_damping),
            ("spring_stiffness", self.spring_stiffness),
            ("unbalance", self.unbalance),
            ("stall_heat", self.stall_heat),
            ("sensors.encoder_noise", sensors.encoder_noise),
            ("sensors.acceleration_noise", sensors.acceleration_noise),
            ("sensors.gyro_noise", sensors.gyro_noise),
        ];
        for (name, value) in not_negative {
            check(name, value, 0.0..=1e6, || "0 to 1e6".to_owned())?;
        }
        check("delay", self.delay, 0.0..=1.0, || "0 to 1 s".to_owned())?;
        check("supply_sag", self.supply_sag, 0.0..=0.9, || "0 to 0.9".to_owned())?;
        let least = self.coulomb;
        check("breakaway", self.breakaway, least..=1e6, || format!("{least} (coulomb) or more"))?;
        check("tilt", self.tilt, -1.6..=1.6, || "-1.6 to 1.6 rad".to_owned())?;
        check("spring_rest", self.spring_rest, -1e3..=1e3, || "-1000 to 1000 rad".to_owned())?;
        check("ambient", self.ambient, -100.0..=200.0, || "-100 to 200 °C".to_owned())?;
        for bias in sensors.acceleration_bias.into_iter().chain(sensors.gyro_bias) {
            check("sensors bias", bias, -1e3..=1e3, || "-1000 to 1000".to_owned())?;
        }
        self.validate_sub_step()
    }

    /// Explicit integration follows oscillations far below one radian a sub-step, and damping that
    /// takes less than the whole speed away in one.
    fn validate_sub_step(&self) -> Result<(), ActuatorConfigError> {
        let step = SUBSTEP.as_secs_f64();
        let lighter = self.inertia.min(self.rotor_inertia);
        let most = 0.05 * lighter / (step * step);
        let name = "transmission_stiffness";
        check(name, self.transmission_stiffness, 0.0..=most, || {
            format!("up to {most:.0} N·m/rad with these inertias")
        })?;
        let most = 0.5 * lighter / step;
        for (name, value) in [
            ("transmission_damping", self.transmission_damping),
            ("servo_damping", self.servo_damping),
            ("viscous", self.viscous),
        ] {
            check(name, value, 0.0..=most, || {
                format!("up to {most:.1} N·m·s/rad with these inertias")
            })?;
        }
        Ok(())
    }
}

fn check(
    name: &'static str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
    allowed: impl FnOnce() -> String,
) -> Result<(), ActuatorConfigError> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(ActuatorConfigError { name, value, allowed: allowed() })
    }
}
