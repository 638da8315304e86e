//! Arms by name, as configurations and command lines say them.

use std::any::Any;
use std::path::Path;

use thiserror::Error;

use super::{franka, mycobot320, viperx300};
use crate::dynamics::{Arm, Chain, LinkError};
use crate::urdf::UrdfError;

/// The names that are known.
pub const NAMES: [&str; 5] = ["fr3", "panda", "panda_identified", "viperx300", "mycobot320"];

/// How far a finger of the ViperX is from the middle when it is known by name alone, m: closed.
const FINGER: f64 = 0.021;

/// Why there is no such arm.
#[derive(Debug, Error)]
pub enum NamedArmError {
    /// A name that is none of [`NAMES`] and no path of a URDF.
    #[error("no arm is called {name:?}. Known: {}, or the path of a URDF (FILE.urdf)", NAMES.join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// An arm with another number of joints.
    #[error("the arm {name} has {has} joints, and {needed} are asked for ({joints})")]
    Joints {
        /// The name.
        name: String,
        /// Joints of that arm.
        has: usize,
        /// Joints that are asked for.
        needed: usize,
        /// Their names.
        joints: String,
    },
    /// An arm whose masses nobody published.
    #[error("the arm {name} has no masses: its maker publishes none. Give a URDF with <inertial>")]
    Massless {
        /// The name.
        name: String,
    },
    /// A URDF that does not fit.
    #[error(transparent)]
    Urdf(#[from] UrdfError),
    /// A table that does not hold: none here.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Whether `name` is a path: it is in a folder, or ends like a URDF.
fn is_path(name: &str) -> bool {
    let path = Path::new(name);
    path.components().count() > 1
        || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("urdf"))
}

impl<const N: usize> Arm<N> {
    /// The arm called `name`, or that of the URDF `name` up to the link `tip`. A URDF's moving joints
    /// are called `joints`; of an arm that is known by its name only their number is looked at.
    ///
    /// # Errors
    /// [`NamedArmError`].
    pub fn named(name: &str, tip: Option<&str>, joints: &[&str; N]) -> Result<Self, NamedArmError> {
        match name {
            "fr3" => fitting(franka::fr3()?, name, franka::JOINTS, joints),
            "panda" => fitting(franka::panda()?, name, franka::JOINTS, joints),
            "panda_identified" => {
                fitting(franka::panda_identified()?, name, franka::JOINTS, joints)
            }
            "viperx300" => fitting(viperx300(FINGER)?, name, 6, joints),
            "mycobot320" => Err(NamedArmError::Massless { name: name.to_owned() }),
            path if is_path(path) => Ok(Self::from_urdf(Path::new(path), tip, joints)?),
            _ => Err(NamedArmError::Unknown { name: name.to_owned() }),
        }
    }
}

impl<const N: usize> Chain<N> {
    /// The chain of the arm called `name`, or that of the URDF `name` up to the link `tip`: see
    /// [`Arm::named`]. Masses are not asked for.
    ///
    /// # Errors
    /// [`NamedArmError`].
    pub fn named(name: &str, tip: Option<&str>, joints: &[&str; N]) -> Result<Self, NamedArmError> {
        match name {
            "mycobot320" => fitting(mycobot320(), name, 6, joints),
            path if is_path(path) => Ok(Self::from_urdf(Path::new(path), tip, joints)?),
            name => Ok(Arm::named(name, tip, joints)?.chain),
        }
    }
}

/// `found`, an arm or chain of `has` joints, as one of `N`.
fn fitting<T: 'static, U: 'static, const N: usize>(
    found: T,
    name: &str,
    has: usize,
    joints: &[&str; N],
) -> Result<U, NamedArmError> {
    let found: Box<dyn Any> = Box::new(found);
    found.downcast().map(|found| *found).map_err(|_| NamedArmError::Joints {
        name: name.to_owned(),
        has,
        needed: N,
        joints: joints.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_an_arm_and_what_does_not_fit_is_named() {
        let seven = ["a"; 7];
        for name in ["fr3", "panda", "panda_identified"] {
            let arm = Arm::named(name, None, &seven).unwrap();
            assert_eq!(arm.chain, Chain::named(name, None, &seven).unwrap());
        }
        assert_eq!(Arm::named("panda", None, &seven).unwrap(), franka::panda().unwrap());
        let six = ["a"; 6];
        assert!(Arm::named("viperx300", None, &six).is_ok());
        assert_eq!(Chain::named("mycobot320", None, &six).unwrap(), mycobot320());
        let refused = |name| Arm::named(name, None, &six).unwrap_err().to_string();
        assert_eq!(
            refused("fr3"),
            "the arm fr3 has 7 joints, and 6 are asked for (a, a, a, a, a, a)"
        );
        assert!(refused("mycobot320").contains("has no masses"));
        assert!(refused("fr4").contains("no arm is called \"fr4\". Known: fr3, panda"));
        assert!(refused("none.urdf").contains("none.urdf"));
    }
}
