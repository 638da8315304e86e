//! The devices that a build knows.

use crate::lerobot::LoadError;
use crate::policy;
use burn::tensor::Device;

/// Opens a device of this kind.
pub(super) fn open(device: policy::Device) -> Result<Device, LoadError> {
    match device {
        #[cfg(feature = "wgpu")]
        policy::Device::Gpu => gpu(),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated, reason = "Burn gives this backend up; whoever asks for it knows")]
        policy::Device::Ndarray => Ok(Device::ndarray()),
        #[cfg(feature = "train")]
        policy::Device::Flex => Ok(Device::flex()),
        device => Err(device.absent()),
    }
}

/// The best graphics card, which all policies of a process share.
#[cfg(feature = "wgpu")]
fn gpu() -> Result<Device, LoadError> {
    use std::sync::OnceLock;
    static GPU: OnceLock<Result<Device, String>> = OnceLock::new();
    GPU.get_or_init(|| Device::wgpu_options().init().map_err(|error| error.to_string()))
        .clone()
        .map_err(|message| LoadError::NoAdapter { message })
}
