//! The devices that a build knows.

use crate::lerobot::LoadError;
use crate::policy;
use burn::tensor::Device;
#[cfg(feature = "wgpu")]
use burn::tensor::wgpu::wgpu::DeviceType;

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

/// A graphics card, and what it is called.
#[cfg(feature = "wgpu")]
type Card = (Device, String);

/// The best graphics card, which all policies of a process share; once one was asked for.
#[cfg(feature = "wgpu")]
static CARD: std::sync::OnceLock<Result<Card, String>> = std::sync::OnceLock::new();

#[cfg(feature = "wgpu")]
fn gpu() -> Result<Device, LoadError> {
    let card = CARD.get_or_init(|| {
        let (device, setup) =
            Device::wgpu_options().init_with_setup().map_err(|error| error.to_string())?;
        let info = setup.adapter.get_info();
        let software = if info.device_type == DeviceType::Cpu { ", software" } else { "" };
        Ok((device, format!("{}, {}{software}", info.name, info.backend)))
    });
    match card {
        Ok((device, _)) => Ok(device.clone()),
        Err(message) => Err(LoadError::NoAdapter { message: message.clone() }),
    }
}

/// Name of the graphics card, its interface, and whether it is none but software.
#[cfg(feature = "wgpu")]
pub(super) fn card_name() -> Option<&'static str> {
    CARD.get()?.as_ref().ok().map(|(_, name)| name.as_str())
}
