//! Elephant Robotics myCobot 320.
