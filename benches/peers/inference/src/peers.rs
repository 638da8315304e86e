//! Everybody's networks behind one trait.

use crate::Error;
use libloading::Library;
use ort::memory::Allocator;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use safetensors::SafeTensors;
use sinew_models::actuators::{
    ActuatorModel, Feature, GruActuator, GruLayerParameters, GruParameters, GruSpec, JointInput,
    Normalization, Output, PdPart, Spring, SpringConvention, TargetVelocity, TorqueSpeedCurve,
};
use sinew_models::recurrent::{
    Activation, GruNetwork, GruTensors, MlpActivations, MlpNetwork, MlpTensors, Precision,
    StepOptions,
};
use std::ffi::{CString, c_char, c_void};
use std::path::Path;

/// A network of the comparison.
#[derive(Clone, Copy)]
pub struct Case {
    /// Name of its files.
    pub name: &'static str,
    /// Rows of a step.
    pub rows: usize,
    /// Numbers in a row of inputs.
    pub inputs: usize,
    /// Numbers in a row of outputs.
    pub outputs: usize,
    /// Layers and size of the state; none for the MLP.
    pub state: Option<(usize, usize)>,
}

/// One step after the other.
pub trait Peer {
    /// From inputs to outputs; the state stays inside.
    fn step(&mut self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), Error>;
}

impl Peer for GruNetwork {
    fn step(&mut self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), Error> {
        Ok(self.step(inputs, outputs)?)
    }
}

impl Peer for MlpNetwork {
    fn step(&mut self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), Error> {
        Ok(self.step(inputs, outputs)?)
    }
}

/// Ours.
pub fn sinew(folder: &Path, case: Case, precision: Precision) -> Result<Box<dyn Peer>, Error> {
    let file = folder.join(format!("{}.safetensors", case.name));
    let options = StepOptions { rows: case.rows, precision };
    if case.state.is_some() {
        let tensors = GruTensors { gru: "gru.", head: Some("linear."), others: &[] };
        return Ok(Box::new(GruNetwork::from_safetensors(&file, tensors, options)?));
    }
    let tensors = MlpTensors { layers: &["0.", "1.", "2.", "3."], others: &[] };
    let elu = MlpActivations { between: Activation::Elu, last: None };
    Ok(Box::new(MlpNetwork::from_safetensors(&file, tensors, elu, options)?))
}

/// The same network as the actuators of as many joints: inputs in 64 bits, checked and normalised; PD
/// control, torque–speed curve and spring beside it, all of them with gains of zero; a clamp behind.
struct Actuators {
    model: GruActuator,
    inputs: Vec<JointInput>,
    efforts: Vec<f64>,
}

/// Ours, with all that is around a network in a control cycle.
pub fn actuator(folder: &Path, case: Case) -> Result<Box<dyn Peer>, Error> {
    let bytes = std::fs::read(folder.join(format!("{}.safetensors", case.name)))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let tensor = |name: &str| -> Result<Vec<f32>, Error> {
        let (numbers, _) = file.tensor(name)?.data().as_chunks::<4>();
        Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    };
    let (layers, hidden) = case.state.ok_or("no recurrent network")?;
    let layer = |index: usize| -> Result<GruLayerParameters, Error> {
        Ok(GruLayerParameters {
            weight_ih: tensor(&format!("gru.weight_ih_l{index}"))?,
            weight_hh: tensor(&format!("gru.weight_hh_l{index}"))?,
            bias_ih: tensor(&format!("gru.bias_ih_l{index}"))?,
            bias_hh: tensor(&format!("gru.bias_hh_l{index}"))?,
        })
    };
    let parameters = GruParameters {
        inputs: case.inputs,
        hidden,
        layers: (0..layers).map(layer).collect::<Result<_, _>>()?,
        head_weight: tensor("linear.weight")?,
        head_bias: tensor("linear.bias")?,
    };
    let spec = GruSpec {
        features: Feature::SEED.to_vec(),
        rate_hz: 1000.0,
        output: Output::Residual,
        normalization: Normalization {
            input_mean: vec![0.0; 3],
            input_std: vec![1.0; 3],
            target_mean: 0.0,
            target_std: 1.0,
            epsilon: Normalization::SEED_EPSILON,
            std_floor: 0.0,
        },
        pd: Some(PdPart {
            stiffness_nm_per_rad: 0.0,
            damping_nm_s_per_rad: 0.0,
            target_velocity: TargetVelocity::Zero,
        }),
        torque_speed_curve: Some(TorqueSpeedCurve {
            stall_torque_nm: 1.82,
            no_load_speed_rad_s: 36.0,
        }),
        spring: Some(Spring {
            stiffness_nm_per_rad: 0.0,
            rest_position_rad: 0.0,
            convention: SpringConvention::Physical,
        }),
        dc_motor: None,
        effort_limit_nm: Some(100.0),
    };
    Ok(Box::new(Actuators {
        model: GruActuator::new(&spec, &parameters, case.rows, 1000.0)?,
        inputs: vec![JointInput::default(); case.rows],
        efforts: vec![0.0; case.rows],
    }))
}

impl Peer for Actuators {
    fn step(&mut self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), Error> {
        for (input, x) in self.inputs.iter_mut().zip(inputs.chunks_exact(3)) {
            input.position = x[0].into();
            input.target_position = x[1].into();
            input.velocity = x[2].into();
        }
        self.model.step(&self.inputs, &mut self.efforts)?;
        for (output, effort) in outputs.iter_mut().zip(&self.efforts) {
            *output = *effort as f32;
        }
        Ok(())
    }
}

/// ONNX Runtime, with everything bound once: two bindings that hand the state to each other.
struct OnnxRuntime {
    session: Session,
    input: Tensor<f32>,
    bindings: [IoBinding; 2],
    turn: usize,
}

/// ONNX Runtime on one thread.
pub fn onnx_runtime(folder: &Path, case: Case) -> Result<Box<dyn Peer>, Error> {
    let session = Session::builder(crate::environment()?)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .commit_from_file(folder.join(format!("{}.onnx", case.name)))?;
    let memory = Allocator::default();
    let zeros = |shape: &[usize]| -> Result<Tensor<f32>, Error> {
        let mut tensor = Tensor::<f32>::new(&memory, shape.to_vec())?;
        tensor.extract_tensor_mut().1.fill(0.0);
        Ok(tensor)
    };
    let mut bindings = [session.create_binding()?, session.create_binding()?];
    let input = match case.state {
        Some(_) => zeros(&[1, case.rows, case.inputs])?,
        None => zeros(&[case.rows, case.inputs])?,
    };
    for binding in &mut bindings {
        binding.bind_input("x", &input)?;
        binding.bind_output("y", zeros(&[case.rows, case.outputs])?)?;
    }
    if let Some((layers, hidden)) = case.state {
        for layer in 0..layers {
            let mut states = [zeros(&[1, case.rows, hidden])?, zeros(&[1, case.rows, hidden])?];
            for (turn, binding) in bindings.iter_mut().enumerate() {
                binding.bind_input(format!("h{layer}"), &states[turn])?;
                binding.bind_output(format!("next{layer}"), &mut states[1 - turn])?;
            }
        }
    }
    Ok(Box::new(OnnxRuntime { session, input, bindings, turn: 0 }))
}

impl Peer for OnnxRuntime {
    fn step(&mut self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), Error> {
        self.input.extract_tensor_mut().1.copy_from_slice(inputs);
        let results = self.session.run_binding(&self.bindings[self.turn])?;
        outputs.copy_from_slice(results["y"].try_extract_tensor::<f32>()?.1);
        self.turn = 1 - self.turn;
        Ok(())
    }
}

type Step = unsafe extern "C" fn(*mut c_void, *const f32, *mut f32);
type Make = unsafe extern "C" fn(*const c_char, *const f32) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);

/// RTNeural, built by `run.sh`.
struct RtNeural {
    network: *mut c_void,
    step: Step,
    free: Free,
    _library: Library,
}

/// One of RTNeural's backends; none where it has no such network (it knows no batches).
pub fn rtneural(library: &Path, folder: &Path, case: Case) -> Result<Option<Box<dyn Peer>>, Error> {
    if case.rows > 1 {
        return Ok(None);
    }
    let bytes = std::fs::read(folder.join(format!("{}.safetensors", case.name)))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let mut tensors = Vec::new();
    let mut push = |name: String| -> Result<(), Error> {
        let (numbers, _) = file.tensor(&name)?.data().as_chunks::<4>();
        tensors.extend(numbers.iter().map(|number| f32::from_le_bytes(*number)));
        Ok(())
    };
    if let Some((layers, _)) = case.state {
        for layer in 0..layers {
            for tensor in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] {
                push(format!("gru.{tensor}_l{layer}"))?;
            }
        }
        push("linear.weight".into())?;
        push("linear.bias".into())?;
    } else {
        for layer in 0..4 {
            push(format!("{layer}.weight"))?;
            push(format!("{layer}.bias"))?;
        }
    }
    let name = CString::new(case.name)?;
    // SAFETY: the three functions are those of `rtneural.cpp`, and the tensors all that it takes.
    unsafe {
        let library = Library::new(library)?;
        let (make, step, free): (Make, Step, Free) =
            (*library.get(b"peer_make")?, *library.get(b"peer_step")?, *library.get(b"peer_free")?);
        let network = make(name.as_ptr(), tensors.as_ptr());
        if network.is_null() {
            return Ok(None);
        }
        Ok(Some(Box::new(RtNeural { network, step, free, _library: library })))
    }
}

impl Peer for RtNeural {
    fn step(&mut self, inputs: &[f32], outputs: &mut [f32]) -> Result<(), Error> {
        // SAFETY: the sizes are those of the case.
        unsafe { (self.step)(self.network, inputs.as_ptr(), outputs.as_mut_ptr()) };
        Ok(())
    }
}

impl Drop for RtNeural {
    fn drop(&mut self) {
        // SAFETY: made by `peer_make` and freed once.
        unsafe { (self.free)(self.network) };
    }
}
