//! What the firmware measures, and its clock.

use super::Firmware;
use crate::Timestamp;
use crate::rig::wire::Sample;

/// Error of the encoder in a glitch, in rad, and of the gyroscope, in rad/s.
const GLITCH: f64 = 1.0;
const GYRO_GLITCH: f64 = 30.0;

impl Firmware {
    pub(super) fn measure(&mut self, now: Timestamp) -> Sample {
        let faults = &self.config.faults;
        let sensed = self.plant.sense();
        let mut encoder = sensed.encoder;
        if let Some((offset, _)) = faults.jump.filter(|(_, start)| now >= *start) {
            encoder += offset;
        }
        let drawn = self.random.fraction();
        if faults.glitch.happens(self.reports, drawn) {
            encoder += GLITCH;
        }
        let mut gyro = sensed.gyro;
        if faults.gyro_glitch.happens(self.reports, drawn) {
            gyro[2] += GYRO_GLITCH;
        }
        if let Some((rate, _)) = faults.gyro_stuck.filter(|(_, start)| now >= *start) {
            gyro[2] = rate;
        }
        let (command, torque) = self.motor.commanded(encoder);
        Sample {
            index: self.index,
            time_us: self.clock(now),
            encoder,
            command,
            torque,
            acceleration: sensed.acceleration,
            gyro,
            temperature: sensed.temperature,
            supply: sensed.supply,
            mode: self.motor.mode(),
            faults: self.motor.faults(),
            refused: self.refused,
        }
    }

    /// Its own clock, in µs.
    fn clock(&self, now: Timestamp) -> u64 {
        let elapsed = now.since(self.booted).as_micros() as u64;
        let gained = self
            .config
            .faults
            .drift
            .map_or(0.0, |(ppm, start)| now.since(start.max(self.booted)).as_secs_f64() * ppm);
        elapsed.saturating_add_signed(gained as i64)
    }

    pub(super) fn is_hot(&self, now: Timestamp) -> bool {
        self.config.faults.overheat.is_some_and(|start| now >= start)
            || self.plant.truth().temperature > self.config.max_temperature
    }
}
