//! A test rig for one actuator: a servo that turns a known inertia with an inertial unit on it.

pub mod wire;
