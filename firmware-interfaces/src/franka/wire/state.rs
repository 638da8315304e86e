//! The datagram in which the arm tells its state, a thousand times a second.

use super::field::check;
use super::{Error, Errors, Protocol, WireError};

/// What the arm is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RobotMode {
    /// Brakes closed, or starting.
    #[default]
    Other,
    /// Holding its position, ready.
    Idle,
    /// In a motion that a client commands.
    Move,
    /// Led by hand.
    Guiding,
    /// Stopped by an error.
    Reflex,
    /// The user stop is pressed.
    UserStopped,
    /// Recovering from an error.
    AutomaticErrorRecovery,
}

/// What is commanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MotionGeneratorMode {
    /// Nothing.
    #[default]
    Idle,
    /// Joint positions.
    JointPosition,
    /// Joint velocities.
    JointVelocity,
    /// Poses of the end effector.
    CartesianPosition,
    /// Velocities of the end effector.
    CartesianVelocity,
    /// Torques alone.
    None,
}

/// What follows the commanded motion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControllerMode {
    /// The arm, stiff in its joints.
    JointImpedance,
    /// The arm, stiff at its end effector.
    CartesianImpedance,
    /// The client, by torques.
    External,
    /// The arm, for itself.
    #[default]
    Other,
}

/// Modes by their numbers.
trait Coded: Copy + PartialEq + 'static {
    const FIELD: &'static str;
    const ALL: &'static [Self];

    fn of(code: u8) -> Result<Self, WireError> {
        let found = Self::ALL.get(usize::from(code)).copied();
        found.ok_or(WireError::Meaningless { field: Self::FIELD, value: code.into() })
    }
}

impl Coded for RobotMode {
    const FIELD: &'static str = "the robot mode";
    const ALL: &'static [Self] = &[
        Self::Other,
        Self::Idle,
        Self::Move,
        Self::Guiding,
        Self::Reflex,
        Self::UserStopped,
        Self::AutomaticErrorRecovery,
    ];
}

impl Coded for MotionGeneratorMode {
    const FIELD: &'static str = "the motion generator mode";
    const ALL: &'static [Self] = &[
        Self::Idle,
        Self::JointPosition,
        Self::JointVelocity,
        Self::CartesianPosition,
        Self::CartesianVelocity,
        Self::None,
    ];
}

impl Coded for ControllerMode {
    const FIELD: &'static str = "the controller mode";
    const ALL: &'static [Self] =
        &[Self::JointImpedance, Self::CartesianImpedance, Self::External, Self::Other];
}

/// State of the arm. Names are Franka's: `O` base, `F` flange, `NE` nominal end effector, `EE` end
/// effector, `K` stiffness frame; `A_T_B` is the pose of `B` in `A`, column by column; `_d` is
/// desired, `_c` commanded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names are Franka's, their meaning is in the sentence above")]
pub struct RobotState {
    /// Milliseconds since the arm started; one more in each state.
    pub message_id: u64,
    pub o_t_ee: [f64; 16],
    pub o_t_ee_d: [f64; 16],
    pub f_t_ee: [f64; 16],
    pub ee_t_k: [f64; 16],
    pub f_t_ne: [f64; 16],
    pub ne_t_ee: [f64; 16],
    /// Mass of the end effector, kg.
    pub m_ee: f64,
    pub i_ee: [f64; 9],
    pub f_x_cee: [f64; 3],
    /// Mass of the load, kg.
    pub m_load: f64,
    pub i_load: [f64; 9],
    pub f_x_cload: [f64; 3],
    /// Position of joint 3 in rad, sign of joint 4.
    pub elbow: [f64; 2],
    pub elbow_d: [f64; 2],
    /// Torques measured, gravity included, N·m.
    pub tau_j: [f64; 7],
    /// Torques desired, without gravity, N·m.
    pub tau_j_d: [f64; 7],
    pub dtau_j: [f64; 7],
    /// rad.
    pub q: [f64; 7],
    pub q_d: [f64; 7],
    /// rad/s.
    pub dq: [f64; 7],
    pub dq_d: [f64; 7],
    /// rad/s².
    pub ddq_d: [f64; 7],
    pub joint_contact: [f64; 7],
    pub cartesian_contact: [f64; 6],
    pub joint_collision: [f64; 7],
    pub cartesian_collision: [f64; 6],
    /// Torques from outside, N·m.
    pub tau_ext_hat_filtered: [f64; 7],
    pub o_f_ext_hat_k: [f64; 6],
    pub k_f_ext_hat_k: [f64; 6],
    pub o_dp_ee_d: [f64; 6],
    /// Gravity's acceleration in the base, m/s².
    pub o_ddp_o: [f64; 3],
    pub elbow_c: [f64; 2],
    pub delbow_c: [f64; 2],
    pub ddelbow_c: [f64; 2],
    pub o_t_ee_c: [f64; 16],
    pub o_dp_ee_c: [f64; 6],
    pub o_ddp_ee_c: [f64; 6],
    /// Positions of the motors, rad.
    pub theta: [f64; 7],
    pub dtheta: [f64; 7],
    /// m/s², version 10 only.
    pub accelerometer_top: [[f64; 3]; 6],
    pub accelerometer_bottom: [[f64; 3]; 6],
    pub motion_generator_mode: MotionGeneratorMode,
    pub controller_mode: ControllerMode,
    /// Errors now.
    pub errors: Errors,
    /// Errors that ended the last motion.
    pub reflex_reason: Errors,
    pub robot_mode: RobotMode,
    /// Share of the last 100 commands that came in time, 0 to 1; 0 outside motions.
    pub control_command_success_rate: f64,
}

impl RobotState {
    /// Appends the datagram.
    pub fn encode(&self, protocol: Protocol, out: &mut Vec<u8>) {
        let mut state = *self;
        // A writer refuses nothing.
        let _ = state.visit(&mut Writer { protocol, out });
    }

    /// The state that a datagram is. What is longer is cut, as clients do.
    ///
    /// # Errors
    /// [`WireError`] for a shorter one, a number that is none, or a mode that does not exist.
    pub fn parse(protocol: Protocol, bytes: &[u8]) -> Result<Self, WireError> {
        let size = protocol.state_size();
        let bytes = bytes.get(..size).unwrap_or(bytes);
        check("a robot state", bytes, size)?;
        let mut state = Self::default();
        state.visit(&mut Reader { protocol, bytes })?;
        Ok(state)
    }

    /// Every field in the order of the wire, for both ways.
    fn visit(&mut self, wire: &mut impl Wire) -> Result<(), WireError> {
        let mut id = self.message_id.to_le_bytes();
        wire.bytes(&mut id);
        self.message_id = u64::from_le_bytes(id);
        let fields: [(&'static str, &mut [f64]); 41] = [
            ("O_T_EE", &mut self.o_t_ee),
            ("O_T_EE_d", &mut self.o_t_ee_d),
            ("F_T_EE", &mut self.f_t_ee),
            ("EE_T_K", &mut self.ee_t_k),
            ("F_T_NE", &mut self.f_t_ne),
            ("NE_T_EE", &mut self.ne_t_ee),
            ("m_ee", std::slice::from_mut(&mut self.m_ee)),
            ("I_ee", &mut self.i_ee),
            ("F_x_Cee", &mut self.f_x_cee),
            ("m_load", std::slice::from_mut(&mut self.m_load)),
            ("I_load", &mut self.i_load),
            ("F_x_Cload", &mut self.f_x_cload),
            ("elbow", &mut self.elbow),
            ("elbow_d", &mut self.elbow_d),
            ("tau_J", &mut self.tau_j),
            ("tau_J_d", &mut self.tau_j_d),
            ("dtau_J", &mut self.dtau_j),
            ("q", &mut self.q),
            ("q_d", &mut self.q_d),
            ("dq", &mut self.dq),
            ("dq_d", &mut self.dq_d),
            ("ddq_d", &mut self.ddq_d),
            ("joint_contact", &mut self.joint_contact),
            ("cartesian_contact", &mut self.cartesian_contact),
            ("joint_collision", &mut self.joint_collision),
            ("cartesian_collision", &mut self.cartesian_collision),
            ("tau_ext_hat_filtered", &mut self.tau_ext_hat_filtered),
            ("O_F_ext_hat_K", &mut self.o_f_ext_hat_k),
            ("K_F_ext_hat_K", &mut self.k_f_ext_hat_k),
            ("O_dP_EE_d", &mut self.o_dp_ee_d),
            ("O_ddP_O", &mut self.o_ddp_o),
            ("elbow_c", &mut self.elbow_c),
            ("delbow_c", &mut self.delbow_c),
            ("ddelbow_c", &mut self.ddelbow_c),
            ("O_T_EE_c", &mut self.o_t_ee_c),
            ("O_dP_EE_c", &mut self.o_dp_ee_c),
            ("O_ddP_EE_c", &mut self.o_ddp_ee_c),
            ("theta", &mut self.theta),
            ("dtheta", &mut self.dtheta),
            // Their places in version 5 have no bytes.
            ("accelerometer_top", wire.if_v10(self.accelerometer_top.as_flattened_mut())),
            ("accelerometer_bottom", wire.if_v10(self.accelerometer_bottom.as_flattened_mut())),
        ];
        for (name, values) in fields {
            wire.reals(name, values)?;
        }
        self.motion_generator_mode = wire.mode(self.motion_generator_mode)?;
        self.controller_mode = wire.mode(self.controller_mode)?;
        wire.errors(&mut self.errors);
        wire.errors(&mut self.reflex_reason);
        self.robot_mode = wire.mode(self.robot_mode)?;
        let rate = std::slice::from_mut(&mut self.control_command_success_rate);
        wire.reals("control_command_success_rate", rate)
    }
}

/// One way through the fields of a state.
trait Wire {
    fn protocol(&self) -> Protocol;

    /// Passes bytes through.
    fn bytes(&mut self, bytes: &mut [u8]);

    /// Numbers: eight bytes each in version 5, four in version 10.
    fn reals(&mut self, name: &'static str, values: &mut [f64]) -> Result<(), WireError> {
        for value in values {
            match self.protocol() {
                Protocol::V5 => {
                    let mut bytes = value.to_le_bytes();
                    self.bytes(&mut bytes);
                    *value = f64::from_le_bytes(bytes);
                }
                Protocol::V10 => {
                    let mut bytes = (*value as f32).to_le_bytes();
                    self.bytes(&mut bytes);
                    *value = f32::from_le_bytes(bytes).into();
                }
            }
            if self.refuses(*value) {
                return Err(WireError::NotFinite { field: name });
            }
        }
        Ok(())
    }

    /// Whether a number ends the way: those that are none, where they are read.
    fn refuses(&self, value: f64) -> bool;

    fn if_v10<'a>(&self, values: &'a mut [f64]) -> &'a mut [f64] {
        if self.protocol() == Protocol::V10 { values } else { &mut [] }
    }

    fn mode<M: Coded>(&mut self, mode: M) -> Result<M, WireError> {
        let place = M::ALL.iter().position(|known| *known == mode);
        let mut code = [place.and_then(|place| u8::try_from(place).ok()).unwrap_or_default()];
        self.bytes(&mut code);
        M::of(code[0])
    }

    fn errors(&mut self, errors: &mut Errors) {
        let mut read = Errors::NONE;
        for error in (0..Errors::COUNT).filter_map(Error::at) {
            let mut flag = [u8::from(errors.contains(error))];
            self.bytes(&mut flag);
            if flag != [0] {
                read.insert(error);
            }
        }
        *errors = read;
    }
}

struct Writer<'a> {
    protocol: Protocol,
    out: &'a mut Vec<u8>,
}

impl Wire for Writer<'_> {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn bytes(&mut self, bytes: &mut [u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn refuses(&self, _: f64) -> bool {
        false
    }
}

struct Reader<'a> {
    protocol: Protocol,
    /// As long as the state.
    bytes: &'a [u8],
}

impl Wire for Reader<'_> {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn bytes(&mut self, bytes: &mut [u8]) {
        if let Some((front, rest)) = self.bytes.split_at_checked(bytes.len()) {
            bytes.copy_from_slice(front);
            self.bytes = rest;
        }
    }

    fn refuses(&self, value: f64) -> bool {
        !value.is_finite()
    }
}
