//! Numbers as unsigned integers over a range, as most of these protocols pack them.

/// A value that its range has no code for. Nothing wraps and nothing is silently clamped.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{quantity} {value} is outside {low} to {high}")]
pub struct OutOfSpan {
    /// What it is, with its unit.
    pub quantity: &'static str,
    /// The value.
    pub value: f64,
    /// Lower end of the range.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A range of real numbers that is sent as an unsigned integer of so many bits: 0 is the lower end,
/// all ones the upper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// What it is, with its unit, for messages.
    pub quantity: &'static str,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Bits, at most 16.
    pub bits: u32,
}

impl Span {
    /// A range around 0.
    pub const fn symmetric(quantity: &'static str, most: f64, bits: u32) -> Self {
        Self { quantity, low: -most, high: most, bits }
    }

    /// A range from 0.
    pub const fn positive(quantity: &'static str, most: f64, bits: u32) -> Self {
        Self { quantity, low: 0.0, high: most, bits }
    }

    /// The largest code.
    pub const fn most(&self) -> u16 {
        if self.bits >= 16 { u16::MAX } else { (1 << self.bits) - 1 }
    }

    /// The distance of two neighbouring values.
    pub fn step(&self) -> f64 {
        (self.high - self.low) / f64::from(self.most())
    }

    /// True for a finite number inside the range.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The code next to `value`.
    ///
    /// # Errors
    /// [`OutOfSpan`] for a value outside the range, or one that is no number.
    pub fn encode(&self, value: f64) -> Result<u16, OutOfSpan> {
        if !self.contains(value) {
            let Self { quantity, low, high, .. } = *self;
            return Err(OutOfSpan { quantity, value, low, high });
        }
        // Inside the range the quotient lies in 0..=most.
        Ok(((value - self.low) / self.step()).round() as u16)
    }

    /// The code next to `value` brought into the range: for what a device measures, which saturates.
    /// True where it had to be brought there. What is no number becomes the middle.
    pub fn saturate(&self, value: f64) -> (u16, bool) {
        let value = if value.is_nan() { f64::midpoint(self.low, self.high) } else { value };
        let inside = value.clamp(self.low, self.high);
        (((inside - self.low) / self.step()).round() as u16, inside != value)
    }

    /// The value of a code; bits beyond the range's are ignored.
    pub fn decode(&self, code: u16) -> f64 {
        (self.low + f64::from(code & self.most()) * self.step()).min(self.high)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPANS: [Span; 5] = [
        Span::symmetric("position", 12.5, 16),
        Span::symmetric("velocity", 30.0, 12),
        Span::positive("stiffness", 500.0, 12),
        Span::positive("damping", 5.0, 12),
        Span::symmetric("torque", 17.0, 16),
    ];

    proptest! {
        #[test]
        fn a_value_comes_back_within_half_a_step(which in 0..SPANS.len(), fraction in 0.0..=1.0f64) {
            let span = SPANS[which];
            let value = span.low + fraction * (span.high - span.low);
            let value = value.clamp(span.low, span.high);
            let back = span.decode(span.encode(value).unwrap());
            prop_assert!((back - value).abs() <= span.step() * 0.5 + 1e-12, "{value} {back}");
        }

        #[test]
        fn every_code_comes_back_as_itself(which in 0..SPANS.len(), code in any::<u16>()) {
            let span = SPANS[which];
            let code = code & span.most();
            prop_assert_eq!(span.encode(span.decode(code)), Ok(code));
        }

        #[test]
        fn values_outside_are_refused_and_never_wrap(which in 0..SPANS.len(), beyond in 1e-9..1e9f64) {
            let span = SPANS[which];
            for value in [span.high + beyond, span.low - beyond, f64::NAN, f64::INFINITY] {
                prop_assert!(span.encode(value).is_err());
            }
            prop_assert_eq!(span.saturate(span.high + beyond), (span.most(), true));
            prop_assert_eq!(span.saturate(span.low - beyond), (0, true));
        }
    }
}
