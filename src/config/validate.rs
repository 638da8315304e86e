//! Checks that need more than one value: against each other, against the robot, against the disk.
//! Types and ranges of single values are in order already ([`super::shape`]).

use std::collections::BTreeMap;
use std::path::Path;

use sinew_episodes::{lerobot, rig_csv};
use sinew_firmware_interfaces::can_actuators::emulator::Faults as CanFaults;
use sinew_firmware_interfaces::franka::emulator::Faults as FrankaFaults;
use sinew_firmware_interfaces::mock;
use sinew_firmware_interfaces::mycobot320::emulator::Faults;
use sinew_firmware_interfaces::rig::emulator::Faults as RigFaults;
use sinew_firmware_interfaces::{OnSilence, RobotDescription, each_once};
use sinew_models::{Device, Precision};

use super::error::Problem;
use super::keys::with_unit;
use super::limits::{self, display_unit, range_words};
use super::mapping::{self, unknown_joint};
use super::schema::{
    CameraConfig, CanConfig, ClockKind, EmulatorConfig, Execution, FrankaConfig, PolicyConfig,
    RigConfig, RigDrive, RobotConfig, RobotModel,
};
use super::tree::{child, element, number};
use super::{
    ConfigError, Loaded, actuation, excitation, guards, resolve_limits, timing, workspace,
};
use crate::limits::JointLimits;
use crate::recording::CycleSample;

/// Most cycles that the ring between loop and recorder holds: 100 s at 1 kHz.
const RING_SAMPLES: f64 = 100_000.0;

impl Loaded {
    /// Holds the configuration against `robot` and against itself, and yields the limits of every
    /// joint in the robot's order. Opens nothing.
    ///
    /// # Errors
    /// [`ConfigError`] with every contradiction found.
    pub fn validate(&self, robot: &RobotDescription) -> Result<Vec<JointLimits>, ConfigError> {
        let mut problems = Vec::new();
        self.check_robot(robot, &mut problems);
        self.check_limits(robot, &mut problems);
        self.check_rest(robot, &mut problems);
        self.check_emulator(robot, &mut problems);
        self.check_policy(&mut problems);
        excitation::check(self, robot, &mut problems);
        guards::check(self, robot, &mut problems);
        mapping::check(self, robot, &mut problems);
        self.check_supervision(&mut problems);
        self.check_recording(&mut problems);
        self.check_csv(robot, &mut problems);
        actuation::check(self, robot, &mut problems);
        timing::check(self, robot, &mut problems);
        workspace::check(self, &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::sorted(problems));
        }
        let limits = resolve_limits(&self.config, robot)?;
        self.check_rest_time(robot, &limits, &mut problems);
        if problems.is_empty() { Ok(limits) } else { Err(ConfigError::sorted(problems)) }
    }

    /// Looks whether the folders that a run reads are there and the one it writes can be one.
    ///
    /// # Errors
    /// [`ConfigError`] with every path that is not what it should be.
    pub fn validate_paths(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut check = |key: &str, path: &Path, what: &str| {
            if !path.is_dir() {
                let found = if path.exists() { "is not a folder" } else { "does not exist" };
                let message = format!("{} {found}. Needed is {what}", path.display());
                problems.push(self.problem(key, message));
            }
        };
        if let Some(policy) = &self.config.policy {
            check("policy.path", &policy.path, "the folder of a checkpoint");
        }
        for (name, camera) in &self.config.cameras {
            if let CameraConfig::Replay { path, .. } = camera {
                let key = child(&child("cameras", name), "path");
                check(&key, path, "a folder of PNG files");
            }
        }
        problems.extend(workspace::missing_file(self));
        let directory = &self.config.recording.directory;
        // The folder itself may come into being with the first episode.
        if let Some(file) = directory.ancestors().find(|it| it.exists()).filter(|it| !it.is_dir()) {
            let message = format!("{} is a file, where a folder is needed", file.display());
            problems.push(self.problem("recording.directory", message));
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::sorted(problems)) }
    }

    fn check_robot(&self, robot: &RobotDescription, problems: &mut Vec<Problem>) {
        let said = &self.config.robot;
        let emulated = said.port == "emulator";
        if self.config.run.clock == ClockKind::Simulated && !emulated {
            let message = format!(
                "\"simulated\" is for emulated robots, but robot.port is \"{}\" ({}). Set run.clock \
                 = \"real\" or robot.port = \"emulator\"",
                said.port,
                self.place("robot.port")
            );
            problems.push(self.problem("run.clock", message));
        }
        if said.model != RobotModel::Mock && said.joints != RobotConfig::default_joints() {
            let message = format!(
                "{} has no effect on the {}, which has its own {} joints. Remove it",
                said.joints,
                robot.model,
                robot.joints.len()
            );
            problems.push(self.problem("robot.joints", message));
        }
        if said.model == RobotModel::Rig {
            if let Err(error) = super::rig::driver(said).validate() {
                problems.push(self.problem(super::rig::key(&error), error.to_string()));
            }
        } else if said.rig != RigConfig::default() {
            let message = format!("has no effect on the {}. Remove it", robot.model);
            problems.push(self.problem("robot.rig", message));
        }
        if said.model == RobotModel::Can {
            if let Some((key, message)) = super::can::check(said) {
                problems.push(self.problem(&child("robot", &key), message));
            }
        } else {
            for (key, void) in [
                ("robot.can", said.can == CanConfig::default()),
                ("robot.actuators", said.actuators.is_empty()),
            ] {
                if !void {
                    let message = format!("has no effect on the {}. Remove it", robot.model);
                    problems.push(self.problem(key, message));
                }
            }
        }
        if said.model == RobotModel::Franka {
            for (key, message) in super::franka::check(said) {
                let key = if key.is_empty() {
                    "robot.franka".to_owned()
                } else {
                    child("robot.franka", key)
                };
                problems.push(self.problem(&key, message));
            }
        } else if said.franka != FrankaConfig::default() {
            let message = format!("has no effect on the {}. Remove it", robot.model);
            problems.push(self.problem("robot.franka", message));
        }
        let silence = match robot.on_silence {
            OnSilence::Stops => None,
            OnSilence::Continues => Some("goes on to its last target and stays there, powered,"),
            OnSilence::Unknown => Some("may go on or stop, nobody knows which,"),
        };
        if let Some(what) = silence
            && !said.accept_motion_on_silence
        {
            let message = format!(
                "the {} {what} when commands stop, and a runtime that was killed cannot stop it. \
                 Allowed: true, once that is acceptable where the arm stands",
                robot.model
            );
            problems.push(self.problem("robot.accept_motion_on_silence", message));
        }
    }

    fn check_limits(&self, robot: &RobotDescription, problems: &mut Vec<Problem>) {
        for joint in &robot.joints {
            match self.config.limits.get(&joint.name) {
                Some(said) => limits::check_joint(self, joint, said, problems),
                None => problems.push(limits::missing(self.place("limits"), joint)),
            }
        }
        self.check_names("limits", &self.config.limits, robot, problems);
    }

    /// Refuses names in table `table` that are no joints.
    fn check_names<T>(
        &self,
        table: &str,
        entries: &BTreeMap<String, T>,
        robot: &RobotDescription,
        problems: &mut Vec<Problem>,
    ) {
        for name in entries.keys() {
            if !robot.joints.iter().any(|joint| joint.name == *name) {
                problems.push(unknown_joint(self, robot, &child(table, name), name));
            }
        }
    }

    fn check_rest(&self, robot: &RobotDescription, problems: &mut Vec<Problem>) {
        let pose = &self.config.rest.pose;
        self.check_names("rest.pose", pose, robot, problems);
        for joint in &robot.joints {
            let key = child("rest.pose", &joint.name);
            let unit = display_unit(joint.kind);
            let Some(position) = pose.get(&joint.name) else {
                problems.push(Problem::Missing {
                    at: self.place("rest.pose"),
                    key,
                    meaning: "The rest pose needs every joint.".to_owned(),
                    needed: format!("a position in {unit}"),
                });
                continue;
            };
            let Some(said) = self.config.limits.get(&joint.name) else { continue };
            // Limits that are wrong themselves are named by themselves.
            let Some([low, high]) = limits::commanded_range(said, joint) else { continue };
            if *position < low || *position > high {
                problems.push(Problem::OutOfRange {
                    at: self.place(&key),
                    key,
                    value: with_unit(&number(*position), unit),
                    allowed: range_words(low, high, unit),
                    remedy: format!(
                        "Move it inside limits.{}, less its margin at both ends ({})",
                        joint.name,
                        self.place(&child("limits", &joint.name))
                    ),
                });
            }
        }
    }

    /// The motion to rest must have time from anywhere, or every stop would end in torque off.
    fn check_rest_time(
        &self,
        robot: &RobotDescription,
        limits: &[JointLimits],
        problems: &mut Vec<Problem>,
    ) {
        /// Time to settle at the goal, in s.
        const SETTLING: f64 = 1.0;
        let given = self.config.supervision.ramp_timeout_s;
        for (joint, limits) in robot.joints.iter().zip(limits) {
            let Some(rest) = self.config.rest.pose.get(&joint.name) else { continue };
            let slowed = limits.slowed(self.config.rest.speed_fraction);
            let [low, high] = limits.position;
            let farthest = (rest - low).abs().max((high - rest).abs());
            let way = farthest / slowed.max_velocity;
            let needed = way + limits::stopping_time(&slowed) + SETTLING;
            if needed <= given {
                continue;
            }
            let without_jerk = way + slowed.max_velocity / slowed.max_acceleration + SETTLING;
            let remedy = if without_jerk > given {
                "Raise one of the two".to_owned()
            } else {
                format!(
                    "Raise it, or the joint's jerk, which costs {:.1} s of them",
                    needed - without_jerk
                )
            };
            problems.push(self.problem(
                "supervision.ramp_timeout_s",
                format!(
                    "{given} s is too short: at rest.speed_fraction = {} joint `{}` may need \
                     {needed:.1} s to its rest pose, and a ramp that takes longer ends in torque \
                     off. {remedy}",
                    self.config.rest.speed_fraction, joint.name
                ),
            ));
        }
    }

    fn check_emulator(&self, robot: &RobotDescription, problems: &mut Vec<Problem>) {
        let faults = &self.config.emulator.faults;
        if let Err(error) = each_once(faults.iter().map(String::as_str)) {
            problems.push(self.problem("emulator.faults", error.to_string()));
        }
        for (index, fault) in faults.iter().enumerate() {
            let refused = match self.config.robot.model {
                RobotModel::Mycobot320 => {
                    Faults::default().add(fault).err().map(|error| error.to_string())
                }
                RobotModel::Mock => {
                    mock::Faults::default().add(fault).err().map(|error| error.to_string())
                }
                RobotModel::Rig => RigFaults::default().add(fault).err().map(|it| it.to_string()),
                RobotModel::Can => CanFaults::default().add(fault).err().map(|it| it.to_string()),
                RobotModel::Franka => {
                    FrankaFaults::default().add(fault).err().map(|it| it.to_string())
                }
            };
            if let Some(error) = refused {
                problems.push(self.problem(&element("emulator.faults", index), error));
            }
        }
        let rig = self.config.robot.model == RobotModel::Rig;
        if self.config.emulator.drive != RigDrive::default() && !rig {
            let message = format!("it has no effect on the {}. Remove it", robot.model);
            problems.push(self.problem("emulator.drive", message));
        }
        let EmulatorConfig { patience_ms, payload_kg, .. } = self.config.emulator;
        for (key, said) in [("patience_ms", patience_ms > 0), ("payload_kg", payload_kg > 0.0)] {
            if said && self.config.robot.model != RobotModel::Franka {
                let message = format!("it has no effect on the {}. Remove it", robot.model);
                problems.push(self.problem(&child("emulator", key), message));
            }
        }
        let start = &self.config.emulator.start;
        self.check_names("emulator.start", start, robot, problems);
        for joint in &robot.joints {
            let Some(position) = start.get(&joint.name) else { continue };
            let range = &joint.limits.position;
            if !range.contains(position) {
                let key = child("emulator.start", &joint.name);
                let unit = display_unit(joint.kind);
                problems.push(Problem::OutOfRange {
                    at: self.place(&key),
                    key,
                    value: with_unit(&number(*position), unit),
                    allowed: range_words(*range.start(), *range.end(), unit),
                    remedy: "The device cannot stand there: move it inside".to_owned(),
                });
            }
        }
    }

    fn check_policy(&self, problems: &mut Vec<Problem>) {
        let Some(policy) = &self.config.policy else { return };
        let ensemble = policy.execution == Execution::Ensemble;
        match policy.ensemble_coefficient {
            Some(value) if !ensemble => problems.push(self.problem(
                "policy.ensemble_coefficient",
                format!(
                    "{} has no effect without policy.execution = \"ensemble\". Remove it or switch \
                     ensembling on",
                    number(value)
                ),
            )),
            None if ensemble => problems.push(Problem::Missing {
                at: self.place("policy.execution"),
                key: "policy.ensemble_coefficient".to_owned(),
                meaning: "policy.execution = \"ensemble\" has no default for it.".to_owned(),
                needed: "a number, -10 to 10; LeRobot's usual value is 0.01".to_owned(),
            }),
            _ => {}
        }
        if let Some(period) = policy.inference_period_ms
            && policy.execution == Execution::Queue
        {
            let message = format!(
                "{} ms has no effect with policy.execution = \"queue\", which infers when its \
                 queue is empty. Remove it",
                number(period)
            );
            problems.push(self.problem("policy.inference_period_ms", message));
        }
        let without_effect = match policy.execution {
            Execution::Queue => Some(("queue", "whose chunks do not overlap in time")),
            Execution::Ensemble => Some(("ensemble", "which averages over all chunks")),
            _ => None,
        };
        for (key, said) in [
            ("policy.warm_start", policy.warm_start.is_some()),
            ("policy.inpaint", policy.inpaint == Some(true)),
        ] {
            if let Some((execution, why)) = without_effect.filter(|_| said) {
                let message = format!(
                    "it does not keep what it promises with policy.execution = \"{execution}\", \
                     {why}. Remove it"
                );
                problems.push(self.problem(key, message));
            }
        }
        self.check_device(policy, problems);
        for (index, cpu) in policy.cpus.iter().enumerate() {
            let key = element("policy.cpus", index);
            if policy.cpus.iter().take(index).any(|before| before == cpu) {
                let message = format!("CPU {cpu} is listed twice. Remove one");
                problems.push(self.problem(&key, message));
            } else if self.config.realtime.cpus.contains(cpu) {
                let message = format!(
                    "CPU {cpu} is in realtime.cpus: the control thread runs there. Give the \
                     inference another one"
                );
                problems.push(self.problem(&key, message));
            } else if index + 1 >= policy.threads {
                let message = format!(
                    "CPU {cpu} has no thread: policy.threads is {}, and the first is not bound. \
                     Remove it or ask for more threads",
                    policy.threads
                );
                problems.push(self.problem(&key, message));
            }
        }
    }

    /// What this build cannot do, and what a device does not honour.
    fn check_device(&self, policy: &PolicyConfig, problems: &mut Vec<Problem>) {
        let device = policy.device.name();
        if let Some(feature) = policy.device.feature().filter(|_| !policy.device.is_built()) {
            let built = Device::ALL.into_iter().filter(|device| device.is_built());
            let built: Vec<String> = built.map(|device| format!("\"{}\"", device.name())).collect();
            let message = format!(
                "\"{device}\" is not in this build, which has {}. Choose one of these, or build \
                 with `cargo build --release --features {feature}`",
                built.join(" and ")
            );
            problems.push(self.problem("policy.device", message));
        }
        if policy.device != Device::Cpu && policy.precision == Precision::Bf16 {
            let message = format!(
                "\"bf16\" is for policy.device = \"cpu\"; \"{device}\" computes with \"f32\" only. \
                 Remove it"
            );
            problems.push(self.problem("policy.precision", message));
        }
    }

    fn check_supervision(&self, problems: &mut Vec<Problem>) {
        let said = &self.config.supervision;
        let rungs = [
            (
                "policy_hold_after_ms",
                said.policy_hold_after_ms,
                "policy_ramp_after_ms",
                said.policy_ramp_after_ms,
            ),
            (
                "state_hold_after_ms",
                said.state_hold_after_ms,
                "state_ramp_after_ms",
                said.state_ramp_after_ms,
            ),
        ];
        for (hold, hold_after, ramp, ramp_after) in rungs {
            if ramp_after <= hold_after {
                let hold_key = child("supervision", hold);
                let ramp_key = child("supervision", ramp);
                // Point at the one that somebody wrote.
                let key = if self.origins.of(&ramp_key) == super::Origin::Default {
                    &hold_key
                } else {
                    &ramp_key
                };
                problems.push(self.problem(
                    key,
                    format!(
                        "the ramp comes after the hold, but {ramp} = {} ms is not above {hold} = {} \
                         ms. Raise {ramp} or lower {hold}",
                        number(ramp_after),
                        number(hold_after)
                    ),
                ));
            }
        }
    }

    /// A CSV needs what only a rig measures.
    fn check_csv(&self, robot: &RobotDescription, problems: &mut Vec<Problem>) {
        let names: Vec<&str> = robot.sensors.iter().map(|sensor| sensor.name.as_str()).collect();
        let missing = rig_csv::missing(&names);
        if self.config.recording.csv.is_some() && !missing.is_empty() {
            let message = format!(
                "the {} does not measure {}: such a file is for an actuator on a test rig \
                 (robot.model = \"rig\"). Remove it",
                robot.model,
                missing.join(", ")
            );
            problems.push(self.problem("recording.csv", message));
        }
    }

    fn check_recording(&self, problems: &mut Vec<Problem>) {
        let loop_rate = self.config.run.rate_hz;
        let (rate, source) = self.config.episode_rate_hz();
        let whose = match source {
            "recording.rate_hz" => String::new(),
            other => format!(" (not said, so {other})"),
        };
        if rate > loop_rate {
            problems.push(self.problem(
                "recording.rate_hz",
                format!(
                    "{} Hz{whose} is more than run.rate_hz = {} Hz ({}). Frames are taken from \
                     cycles: set it to {} Hz or less",
                    number(rate),
                    number(loop_rate),
                    self.place("run.rate_hz"),
                    number(loop_rate)
                ),
            ));
        }
        if !lerobot::is_frame_rate(rate) {
            problems.push(Problem::OutOfRange {
                at: self.place("recording.rate_hz"),
                key: "recording.rate_hz".to_owned(),
                value: with_unit(&number(rate), "Hz") + &whose,
                allowed: "a whole number, 1 to 1000 Hz, as every LeRobot dataset".to_owned(),
                remedy:
                    "Set recording.rate_hz: frames are taken from cycles, and need not go with \
                         the policy"
                        .to_owned(),
            });
        }
        let duration = self.config.run.duration_s;
        let frames = duration * rate;
        if frames > lerobot::FRAME_LIMIT as f64 {
            problems.push(self.problem(
                "run.duration_s",
                format!(
                    "{} s at recording.rate_hz = {} Hz{whose} are {} dataset frames, and an episode \
                     has {} at most. Shorten the run to {} s, or lower recording.rate_hz ({})",
                    number(duration),
                    number(rate),
                    number(frames.ceil()),
                    lerobot::FRAME_LIMIT,
                    number((lerobot::FRAME_LIMIT as f64 / rate).floor()),
                    self.place("recording.rate_hz")
                ),
            ));
        }
        let samples = self.config.recording.ring_s * loop_rate;
        if samples > RING_SAMPLES {
            problems.push(self.problem(
                "recording.ring_s",
                format!(
                    "{} s at run.rate_hz = {} Hz ({}) are {} cycles, and the ring holds {} at most: \
                     its memory ({:.0} MB for these) is touched and locked before the run. Lower it to {} s",
                    number(self.config.recording.ring_s),
                    number(loop_rate),
                    self.place("run.rate_hz"),
                    number(samples.ceil()),
                    number(RING_SAMPLES),
                    samples * size_of::<CycleSample>() as f64 * 1e-6,
                    number((RING_SAMPLES / loop_rate).floor()),
                ),
            ));
        }
    }
}
