//! Plants and kinematics for emulated robots.
