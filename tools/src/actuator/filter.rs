//! The zero-phase Butterworth low-pass, as scipy's `butter` and `filtfilt` compute it.

use sci_rs::signal::filter::design::{DigitalFilter, FilterBandType, FilterOutputType, butter_dyn};
use sci_rs::signal::filter::sosfiltfilt_dyn;

/// Why values are left unfiltered.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum FilterError {
    #[error("a cut-off of {cutoff_hz} Hz is not below half the rate, {nyquist_hz} Hz")]
    Nyquist { cutoff_hz: f64, nyquist_hz: f64 },
    #[error(
        "{samples} samples are too few for a filter of order {order}: more than {needed} are needed"
    )]
    Short { samples: usize, order: usize, needed: usize },
    #[error("no filter of order {order} could be made")]
    Design { order: usize },
}

/// Values without what is faster than `cutoff_hz`, where the gain is a half (the filter runs in both
/// directions).
pub fn low_pass(
    values: &[f64],
    rate_hz: f64,
    cutoff_hz: f64,
    order: usize,
) -> Result<Vec<f64>, FilterError> {
    let nyquist_hz = 0.5 * rate_hz;
    if cutoff_hz >= nyquist_hz {
        return Err(FilterError::Nyquist { cutoff_hz, nyquist_hz });
    }
    // Both ends are padded with 3 (order + 1) samples of the odd extension.
    let needed = 3 * (order + 1);
    if values.len() <= needed {
        return Err(FilterError::Short { samples: values.len(), order, needed });
    }
    let filter = butter_dyn::<f64>(
        order,
        vec![cutoff_hz],
        Some(FilterBandType::Lowpass),
        Some(false),
        Some(FilterOutputType::Sos),
        Some(rate_hz),
    );
    let DigitalFilter::Sos(sections) = filter else {
        return Err(FilterError::Design { order });
    };
    Ok(sosfiltfilt_dyn(values.iter(), &sections.sos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_scipys() {
        let text = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/fixtures/butterworth/butter_filtfilt_oracle.json"
        ))
        .unwrap();
        let oracle: serde_json::Value = serde_json::from_str(&text).unwrap();
        let numbers = |value: &serde_json::Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
        };
        let cases = oracle["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let order = case["order"].as_u64().unwrap() as usize;
            let (fc, fs) = (case["fc"].as_f64().unwrap(), case["fs"].as_f64().unwrap());
            let filtered = low_pass(&numbers(&oracle["x"]), fs, fc, order).unwrap();
            // Higher orders with low cut-offs are ill-conditioned as one polynomial, as the oracle has
            // them.
            let allowed = if order >= 6 { 1e-6 } else { 1e-9 };
            for (got, expected) in filtered.iter().zip(numbers(&case["filtfilt"])) {
                assert!((got - expected).abs() < allowed, "{order} {fc}: {got} {expected}");
            }
        }
    }

    #[test]
    fn too_few_samples_and_too_fast_cut_offs_are_named() {
        assert!(low_pass(&[0.0; 16], 100.0, 10.0, 4).is_ok());
        let short = low_pass(&[0.0; 15], 100.0, 10.0, 4).unwrap_err();
        assert_eq!(short, FilterError::Short { samples: 15, order: 4, needed: 15 });
        let fast = low_pass(&[0.0; 99], 100.0, 50.0, 4).unwrap_err();
        assert_eq!(fast, FilterError::Nyquist { cutoff_hz: 50.0, nyquist_hz: 50.0 });
    }
}
