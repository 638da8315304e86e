//! The force-controlled gripper, which is read and written by register.

use sinew_simulation::servo::Servo;

use super::conversions::part;
use crate::mycobot320::wire::scaling;

/// Registers of the force-controlled gripper.
mod register {
    pub(super) const SET_ANGLE: i16 = 11;
    pub(super) const ANGLE: i16 = 12;
    pub(super) const CALIBRATE: i16 = 13;
    pub(super) const STATUS: i16 = 14;
    pub(super) const SET_TORQUE: i16 = 27;
    pub(super) const TORQUE: i16 = 28;
    pub(super) const SET_SPEED: i16 = 32;
    pub(super) const SPEED: i16 = 33;
    pub(super) const SET_ABSOLUTE_ANGLE: i16 = 36;
    pub(super) const PAUSE: i16 = 37;
    pub(super) const RESUME: i16 = 38;
    pub(super) const STOP: i16 = 39;
    pub(super) const CURRENT: i16 = 44;
    pub(super) const COUNT: usize = 64;
}

/// Its registers, and where it was last told to go.
#[derive(Clone, Debug)]
pub(super) struct ForceGripper {
    registers: [i16; register::COUNT],
    target: f64,
}

impl Default for ForceGripper {
    fn default() -> Self {
        let mut registers = [0; register::COUNT];
        registers[register::TORQUE as usize] = 100;
        registers[register::SPEED as usize] = 100;
        Self { registers, target: 1.0 }
    }
}

impl ForceGripper {
    /// The value at `address`; -1 where there is none.
    pub(super) fn read(&self, gripper: &Servo, address: i16) -> i16 {
        match address {
            register::ANGLE => i16::from(scaling::gripper_from_opening(gripper.position())),
            // 0 moving, 1 stopped with nothing held.
            register::STATUS => i16::from(!gripper.is_moving()),
            register::CURRENT => 0,
            _ => {
                let stored = usize::try_from(address).ok().and_then(|at| self.registers.get(at));
                stored.copied().unwrap_or(-1)
            }
        }
    }

    /// Writes `value` to `address` and does what that asks for; `None` where it is not allowed.
    pub(super) fn write(&mut self, gripper: &mut Servo, address: i16, value: i16) -> Option<()> {
        match address {
            register::SET_ANGLE | register::SET_ABSOLUTE_ANGLE => {
                let opening = u8::try_from(value).ok().and_then(scaling::opening_from_gripper)?;
                self.target = opening;
                let speed = self.registers[register::SPEED as usize];
                gripper.move_to(opening, part(u8::try_from(speed).unwrap_or(100)));
            }
            register::CALIBRATE => {
                gripper.place(0.0);
                self.target = 0.0;
            }
            register::SET_TORQUE => self.registers[register::TORQUE as usize] = value,
            register::SET_SPEED => self.registers[register::SPEED as usize] = value,
            register::PAUSE | register::STOP => gripper.halt(),
            register::RESUME => {
                let speed = self.registers[register::SPEED as usize];
                let part = part(u8::try_from(speed).unwrap_or(100));
                gripper.move_to(self.target, part);
            }
            _ => *self.registers.get_mut(usize::try_from(address).ok()?)? = value,
        }
        Some(())
    }
}
