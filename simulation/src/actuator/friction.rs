//! Dry friction with a true standstill.

/// Coulomb friction that rises to a breakaway torque at low speed (Stribeck's curve in its
/// exponential form, Armstrong-Hélouvry 1991), and viscous friction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Friction {
    pub(super) coulomb: f64,
    pub(super) breakaway: f64,
    pub(super) stribeck_speed: f64,
    pub(super) viscous: f64,
}

impl Friction {
    /// The size of the friction torque at this speed, in N·m.
    pub(super) fn magnitude(&self, velocity: f64) -> f64 {
        let ratio = velocity / self.stribeck_speed;
        self.coulomb
            + (self.breakaway - self.coulomb) * (-ratio * ratio).exp()
            + self.viscous * velocity.abs()
    }

    /// Takes friction out of the velocity `free` that a body of `inertia` would have after `step`
    /// seconds without it. Friction stops a body and never turns it round: a body whose speed it
    /// could take away within the step stands. Returns the velocity and the torque that acted.
    pub(super) fn slow(&self, free: f64, inertia: f64, step: f64) -> (f64, f64) {
        let most = self.magnitude(free) * step / inertia;
        let lost = free.clamp(-most, most);
        (free - lost, -lost * inertia / step)
    }
}
