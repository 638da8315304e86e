//! What signals leave to chance, drawn once when the configuration is loaded: the effective
//! configuration has the numbers, and loaded again it is the same motion whatever its seed.
//!
//! Ranges are those of the generator of CLASSIFY's and RoboMorph's data (arXiv 2409.11815), which
//! plays at 60 samples a second; its amplitudes in N·m are fractions of the joint's range here.

use std::collections::BTreeMap;
use std::f64::consts::{PI, TAU};

use sinew_firmware_interfaces::Random;

use super::schema::{Config, JointLimitsConfig, SignalConfig};

/// Samples a second of the original.
const RATE_HZ: f64 = 60.0;
/// The part of the way to an end of the range that a drawn motion uses at most.
const MOST: f64 = 0.95;

/// Fills in what the signals of `config` do not say.
pub(super) fn draw(config: &mut Config) {
    let limits = &config.limits;
    let Some(excitation) = &mut config.excitation else { return };
    for (index, signal) in excitation.signals.iter_mut().enumerate() {
        // Its own numbers for each signal: one more before it does not change it.
        let stream = (index as u64 + 1).wrapping_mul(0xd134_2543_de82_ef95);
        let mut draws = Draws { random: Random::new(excitation.seed ^ stream), limits };
        draws.random.fraction();
        draws.fill(signal);
    }
}

/// What a joint may do.
#[derive(Clone, Copy)]
struct Reach {
    lower: f64,
    upper: f64,
    speed: f64,
}

impl Reach {
    fn middle(&self) -> f64 {
        0.5 * (self.lower + self.upper)
    }

    /// How far it may go to both sides of `centre`.
    fn room(&self, centre: f64) -> f64 {
        MOST * (centre - self.lower).min(self.upper - centre).max(0.0)
    }
}

struct Draws<'a> {
    random: Random,
    limits: &'a BTreeMap<String, JointLimitsConfig>,
}

impl Draws<'_> {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.random.fraction() * (high - low)
    }

    fn sign(&mut self) -> f64 {
        if self.random.fraction() < 0.5 { -1.0 } else { 1.0 }
    }

    /// The named joints, all that turn where there are none; what does not turn has no room to move.
    fn reaches(&self, joints: &mut Vec<String>) -> Vec<Reach> {
        if joints.is_empty() {
            let turning = self.limits.iter().filter(|(_, said)| said.position_rad.is_some());
            joints.extend(turning.map(|(name, _)| name.clone()));
        }
        let of = |joint: &String| {
            let said = self.limits.get(joint);
            let [lower, upper] = said.and_then(|said| said.position_rad).unwrap_or_default();
            let margin = said.and_then(|said| said.margin_rad).unwrap_or_default();
            let speed = said.and_then(|said| said.max_velocity_rad_s).unwrap_or_default();
            Reach { lower: lower + margin, upper: upper - margin, speed }
        };
        joints.iter().map(of).collect()
    }

    fn fill(&mut self, signal: &mut SignalConfig) {
        match signal {
            SignalConfig::JointMultiSine {
                joints,
                frequency_hz,
                fraction,
                centres_rad,
                frequencies_hz,
                amplitudes_rad,
                ..
            } => {
                let reaches = self.reaches(joints);
                let f = *frequency_hz;
                fill(centres_rad, &reaches, |reach| reach.middle());
                fill(frequencies_hz, &reaches, |_| self.between(f / 1.5, 1.5 * f));
                if amplitudes_rad.is_empty() {
                    for (index, (reach, centre)) in reaches.iter().zip(&*centres_rad).enumerate() {
                        let less = if index == 1 { 1.3 } else { 1.6 };
                        let [sign, last] = [self.sign(), self.sign()];
                        let own = [sign, sign, sign, sign * last].map(|sign| {
                            2.0 * sign * *fraction * self.between(reach.lower, reach.upper) / less
                        });
                        let most: f64 = own.iter().map(|it| it.abs()).sum();
                        let scale = (reach.room(*centre) / most.max(f64::MIN_POSITIVE)).min(1.0);
                        amplitudes_rad.extend(own.map(|amplitude| amplitude * scale));
                    }
                }
            }
            SignalConfig::JointChirp {
                joints,
                frequency_hz,
                fraction,
                centres_rad,
                frequencies_hz,
                swings_hz,
                phases_rad,
                amplitudes_rad,
                ..
            } => {
                let reaches = self.reaches(joints);
                let f = *frequency_hz;
                let [first, swing] = if f < 0.3 {
                    [[f / 1.1, 1.5 * f], [f / 1.5, 2.0 * f]]
                } else {
                    [[f / 1.3, f / 1.2], [f / 1.1, 1.1 * f]]
                };
                fill(centres_rad, &reaches, |reach| {
                    // The original's offset is up to an eighth of its amplitude.
                    let span = *fraction * (reach.upper - reach.lower);
                    reach.middle() + span * self.between(-0.125, 0.125)
                });
                fill(frequencies_hz, &reaches, |_| self.between(first[0], first[1]));
                fill(swings_hz, &reaches, |_| self.between(swing[0], swing[1]));
                fill(phases_rad, &reaches, |_| self.between(-PI, PI));
                if amplitudes_rad.is_empty() {
                    for (reach, centre) in reaches.iter().zip(&*centres_rad) {
                        let drawn =
                            self.sign() * *fraction * self.between(reach.lower, reach.upper);
                        let room = reach.room(*centre);
                        amplitudes_rad.push(drawn.clamp(-room, room));
                    }
                }
            }
            SignalConfig::JointImpulse {
                joints,
                duration_s,
                fraction,
                centres_rad,
                rests_s,
                plateaus_s,
                levels_rad,
            } => {
                let reaches = self.reaches(joints);
                fill(centres_rad, &reaches, |reach| reach.middle());
                let mut gone = 0.0;
                let drawn = rests_s.is_empty() && plateaus_s.is_empty();
                while drawn && gone < *duration_s {
                    let [rest, plateau] = [(); 2].map(|()| self.between(20.0, 100.0) / RATE_HZ);
                    rests_s.push(rest);
                    plateaus_s.push(plateau);
                    gone += rest + plateau;
                }
                if levels_rad.is_empty() {
                    for _ in 0..rests_s.len() {
                        for (reach, centre) in reaches.iter().zip(&*centres_rad) {
                            let level = self.between(0.25 * reach.lower, 0.75 * reach.upper) / 1.5;
                            let room = reach.room(*centre);
                            levels_rad.push((self.sign() * *fraction * level).clamp(-room, room));
                        }
                    }
                }
            }
            SignalConfig::JointTrapezoid {
                joints,
                duration_s,
                fraction,
                centres_rad,
                rests_s,
                ramps_s,
                plateaus_s,
                levels_rad,
            } => {
                let reaches = self.reaches(joints);
                fill(centres_rad, &reaches, |reach| reach.middle());
                let drawn = [&*rests_s, ramps_s, plateaus_s, levels_rad]
                    .into_iter()
                    .all(|list| list.is_empty());
                let (mut gone, mut way) = (0.0, 1.0);
                while drawn && gone < *duration_s {
                    let rest = self.between(20.0, 50.0) / RATE_HZ;
                    let plateau = self.between(20.0, 150.0) / RATE_HZ;
                    let mut ramp = f64::MIN_POSITIVE;
                    for (reach, centre) in reaches.iter().zip(&*centres_rad) {
                        let half = 0.5 * *fraction * (reach.upper - reach.lower);
                        let level = (self.between(0.3, 0.7) * half).min(reach.room(*centre));
                        levels_rad.push(way * level);
                        let speed = self.between(0.5, 0.75) * reach.speed;
                        ramp = ramp.max(level / speed.max(f64::MIN_POSITIVE));
                    }
                    rests_s.push(rest);
                    plateaus_s.push(plateau);
                    ramps_s.push(ramp.max(1.0 / RATE_HZ));
                    gone += rest + plateau + 2.0 * ramp;
                    way = -way;
                }
            }
            SignalConfig::Circle { radius_m, period_s, .. } => self.round(radius_m, period_s),
            SignalConfig::VerticalSpiral { radius_m, period_s, travel_m, .. }
            | SignalConfig::HorizontalSpiral { radius_m, period_s, travel_m, .. } => {
                self.round(radius_m, period_s);
                let travel = self.sign() * self.between(0.1, 0.3);
                travel_m.get_or_insert(travel);
            }
            SignalConfig::Chirp { .. }
            | SignalConfig::ModulatedChirp { .. }
            | SignalConfig::MultiSine { .. }
            | SignalConfig::Steps { .. } => {}
        }
    }

    fn round(&mut self, radius_m: &mut Option<f64>, period_s: &mut Option<f64>) {
        let (radius, samples) = (self.between(0.01, 0.1), self.between(20.0, 100.0));
        radius_m.get_or_insert(radius);
        period_s.get_or_insert(TAU * samples / RATE_HZ);
    }
}

/// One number for each joint, where none was said.
fn fill(values: &mut Vec<f64>, reaches: &[Reach], draw: impl FnMut(&Reach) -> f64) {
    if values.is_empty() {
        values.extend(reaches.iter().map(draw));
    }
}
