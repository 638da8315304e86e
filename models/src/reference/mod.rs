//! The networks in Burn: on a graphics card, to train them, and to test the engine against.
//!
//! Weights come from the files and the readers of the engine, images through its preprocessing.
//! What a policy is apart from its network is the same code on every device.

mod act;
mod act_policy;
mod devices;
mod diffusion;
mod encoder;
mod gru;
mod resnet;
mod transformer;
mod unet;
mod variational;
mod weights;

pub use act::{ActInputs, ActReference};
pub use burn;
pub use diffusion::DiffusionReference;
pub use gru::GruReference;
pub use variational::VariationalEncoder;

use crate::diffusion::DiffusionPolicy;
use crate::engine::{Isa, Precision};
use crate::layers::convolution::{Layout, MapSize};
use crate::lerobot::{LoadError, PolicyConfig};
use crate::policy::{LoadOptions, Policy, PredictError};
use crate::source;
use crate::trace::Trace;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use std::path::Path;

/// What the graphics card is called on which policies were loaded.
#[cfg(feature = "wgpu")]
pub(crate) fn card_name() -> Option<&'static str> {
    devices::card_name()
}

/// Loads a policy for the device that `options` names.
///
/// # Errors
/// [`LoadError`], as [`crate::load`].
pub(crate) fn load(folder: &Path, options: &LoadOptions) -> Result<Box<dyn Policy>, LoadError> {
    let refuse = |option, found: &str, needed: &str| {
        let device = options.device.name();
        let needed = format!("{needed} on device {device}; or device cpu");
        let (folder, found) = (folder.to_path_buf(), found.to_owned());
        Err(LoadError::Option { folder, option, found, needed })
    };
    if options.precision != Precision::F32 {
        return refuse("precision", "bf16", "f32");
    }
    if options.isa != Isa::best() {
        return refuse("instructions", options.isa.name(), "none");
    }
    let device = devices::open(options.device)?;
    source::read(folder, options, |source| match source.config.clone() {
        PolicyConfig::Act(config) => {
            Ok(Box::new(act_policy::ActDevicePolicy::from_source(source, &config, device)?) as _)
        }
        PolicyConfig::Diffusion(config) => {
            let options = &options.diffusion;
            let policy =
                DiffusionPolicy::computed_by(source, config, options, |config, image, tensors| {
                    let compute = diffusion::DeviceCompute::read(config, image, tensors, device)?;
                    Ok(Box::new(compute) as _)
                })?;
            Ok(Box::new(policy) as _)
        }
        other => refuse("policy", other.kind(), "act or diffusion"),
    })
}

/// A vector as a batch of one.
fn row(values: &[f32], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), device)
}

/// A normalised image as a batch of one.
fn image_tensor(map: &[f32], layout: Layout, device: &Device) -> Tensor<4> {
    let MapSize { height, width } = layout.size;
    let shape = [1, layout.channels, height, width];
    Tensor::from_data(TensorData::new(layout.channels_first(map), shape), device)
}

/// Brings the values of a tensor from its device.
fn read_values<const D: usize>(tensor: Tensor<D>, out: &mut [f32]) -> Result<(), PredictError> {
    let failed = |message: String| PredictError::Device { message };
    let data = tensor.try_into_data().map_err(|error| failed(error.to_string()))?;
    let values = data.as_slice::<f32>().map_err(|error| failed(format!("{error:?}")))?;
    if values.len() != out.len() {
        let (needed, got) = (out.len(), values.len());
        return Err(PredictError::Size { feature: "result of the device".to_owned(), needed, got });
    }
    out.copy_from_slice(values);
    Ok(())
}

/// Records a tensor; one that cannot be read is left out, and its comparison fails.
fn record<const D: usize>(trace: &mut Trace, name: String, tensor: &Tensor<D>) {
    let mut values = vec![0.0; tensor.shape().num_elements()];
    if read_values(tensor.clone(), &mut values).is_ok() {
        trace.record(name, &tensor.dims(), &values);
    }
}

/// Records tokens of a batch of one as LeRobot orders them, `[tokens, 1, width]`.
fn rows(trace: &mut Trace, name: &str, tokens: &Tensor<3>) {
    record(trace, name.to_owned(), &tokens.clone().swap_dims(0, 1));
}

/// Bytes of all weights.
fn parameter_bytes(module: &impl Module) -> usize {
    module.num_params() * size_of::<f32>()
}
