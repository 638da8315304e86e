//! `sinew-tools validate dynamics`: do the torques of a model make the motions that an arm made?

mod causes;
mod findings;
mod model;
mod motion;
mod page;
mod recording;
mod signals;

use std::path::PathBuf;

use causes::{Causes, Effects};
use findings::{JointFindings, Validation};
use model::{ModelError, Wanted};
use recording::{Recording, RecordingError};
use signals::{Filtering, SignalError, Signals};
use sinew_simulation::dynamics::Link;

/// Fewest samples that are judged.
const FEWEST_KEPT: usize = 100;

#[derive(clap::Args)]
pub struct Arguments {
    /// A run's folder (RECORDING/runs/NAME), a journal, or a table (.csv with time_s, NAME.position,
    /// NAME.velocity and NAME.effort, in s, rad, rad/s and N·m)
    episode: PathBuf,
    /// fr3, panda, panda_identified, viperx300, or the path of a URDF
    #[arg(long, value_name = "NAME|URDF")]
    arm: String,
    /// Link at the end of the arm, of a URDF with several ends
    #[arg(long, value_name = "LINK")]
    tip: Option<String>,
    /// Joints of the arm, from its base [default: all of the episode that turn or slide]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    joints: Vec<String>,
    /// What the arm carries: kg, and centre of mass in the frame of the tool, in m
    #[arg(long, value_delimiter = ',', num_args = 4, value_names = ["KG", "X", "Y", "Z"], allow_negative_numbers = true)]
    payload: Vec<f64>,
    /// Leave out the model's friction
    #[arg(long)]
    no_friction: bool,
    /// The measured efforts are without those that hold the arm's weight
    #[arg(long)]
    no_gravity: bool,
    /// Cut-off of the zero-phase low-pass on all signals, in Hz
    #[arg(long, value_name = "HZ", default_value_t = 10.0)]
    cutoff_hz: f64,
    /// Its order
    #[arg(long, default_value_t = 2)]
    order: usize,
    /// How long the model moves on its own at a time, in s
    #[arg(long, value_name = "S", default_value_t = 0.1)]
    window_s: f64,
    /// Largest RMSE of a joint's torque, in N·m: one number, or one for each joint
    #[arg(long, value_delimiter = ',', required = true, value_name = "NM,…")]
    torque_tolerance: Vec<f64>,
    /// Largest RMSE of a joint's position at the end of a window, in mrad (mm):
    /// one number, or one for each joint [default: told, not judged]
    #[arg(long, value_delimiter = ',', value_name = "MRAD,…")]
    motion_tolerance: Vec<f64>,
    /// Folder to write: validation.json, report.html and its pictures
    #[arg(long)]
    out: PathBuf,
}

/// Why nothing can be said of a model.
#[derive(Debug, thiserror::Error)]
pub enum DynamicsError {
    #[error("--{what} is {value}; allowed: a number above 0")]
    Number { what: &'static str, value: f64 },
    #[error(
        "--{what} has {found} numbers; needed is one, or one for each of the {joints} joints ({names})"
    )]
    Count { what: &'static str, found: usize, joints: usize, names: String },
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Signals(#[from] SignalError),
    #[error(transparent)]
    Page(#[from] crate::actuator::run::RunError),
}

/// What to print, and whether the model is inside the tolerances.
pub fn run(arguments: &Arguments) -> Result<(String, bool), DynamicsError> {
    let recording = Recording::read(&arguments.episode, &arguments.joints)?;
    let names: Vec<&str> = recording.joints.iter().map(String::as_str).collect();
    let torque = each("torque-tolerance", &arguments.torque_tolerance, &names)?;
    let motion = match &arguments.motion_tolerance[..] {
        [] => None,
        said => Some(each("motion-tolerance", said, &names)?),
    };
    for (what, value) in [("cutoff-hz", arguments.cutoff_hz), ("window-s", arguments.window_s)] {
        positive(what, value)?;
    }
    let payload = match arguments.payload[..] {
        [mass, x, y, z] => Some(Link::point(mass, [x, y, z])),
        _ => None,
    };
    let model = model::model(&Wanted {
        arm: &arguments.arm,
        tip: arguments.tip.as_deref(),
        joints: &names,
        payload,
        friction: !arguments.no_friction,
        gravity: !arguments.no_gravity,
    })?;
    let filtering = Filtering { cutoff_hz: arguments.cutoff_hz, order: arguments.order };
    let signals = Signals::new(&recording, filtering, model.as_ref())?;
    let effects = Effects::new(&signals, model.as_ref());
    let causes: Causes = effects.causes(&torque);
    let moved = motion::motion(model.as_ref(), &signals, arguments.window_s);
    let joints: Vec<JointFindings> = (0..names.len())
        .map(|joint| {
            let tolerances = (torque[joint], motion.as_ref().map(|motion| motion[joint]));
            findings::joint(names[joint], joint, &signals, &effects, &causes, &moved, tolerances)
        })
        .collect();
    let validation = Validation {
        episode: recording.path.clone(),
        robot: recording.robot.clone(),
        arm: arguments.arm.clone(),
        friction: model.rubs(),
        rate_hz: signals.rate_hz,
        cutoff_hz: arguments.cutoff_hz,
        seconds: signals.len() as f64 / signals.rate_hz,
        gaps: signals.gaps,
        window_s: arguments.window_s,
        inside: joints.iter().all(|joint| joint.inside),
        joints,
        causes,
    };
    page::write(&arguments.out, &validation, &signals, &effects, &moved)?;
    Ok((validation.describe(), validation.inside))
}

fn positive(what: &'static str, value: f64) -> Result<(), DynamicsError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(DynamicsError::Number { what, value })
}

/// One number for each joint.
fn each(what: &'static str, said: &[f64], names: &[&str]) -> Result<Vec<f64>, DynamicsError> {
    said.iter().try_for_each(|value| positive(what, *value))?;
    match said {
        [one] => Ok(vec![*one; names.len()]),
        each if each.len() == names.len() => Ok(each.to_vec()),
        _ => Err(DynamicsError::Count {
            what,
            found: said.len(),
            joints: names.len(),
            names: names.join(", "),
        }),
    }
}
