//! Group normalisation.
#![allow(unsafe_code, reason = "tasks write different channels of one map")]

use super::activation::Activation;
use crate::engine::Engine;
use crate::engine::isa::{Kernel, multiply_add};
use crate::engine::map::Layout;
use crate::engine::product::{load, store};
use crate::engine::workers::Parts;

/// PyTorch's default.
const EPSILON: f64 = 1e-5;

/// What follows a normalisation, in this order. Maps have the layout of the normalised one.
#[derive(Clone, Copy)]
pub(crate) struct Then<'a> {
    /// A map that is added.
    pub add: Option<&'a [f32]>,
    /// What is done to each value.
    pub activation: Activation,
    /// A factor for each channel.
    pub scale: Option<&'a [f32]>,
    /// A value added to each channel.
    pub shift: Option<&'a [f32]>,
    /// A map that is added at the end.
    pub residual: Option<&'a [f32]>,
}

impl Then<'_> {
    /// Only the activation.
    pub(crate) fn activate(activation: Activation) -> Self {
        Self { add: None, activation, scale: None, shift: None, residual: None }
    }
}

/// Normalises each group of channels to mean 0 and variance 1 over the whole map, then scales and
/// shifts each channel.
pub(crate) struct GroupNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    groups: usize,
}

impl GroupNorm {
    /// Takes one scale and one shift per channel; `groups` divides their number.
    pub(crate) fn new(weight: Vec<f32>, bias: Vec<f32>, groups: usize) -> Self {
        debug_assert!(weight.len() == bias.len() && weight.len().is_multiple_of(groups));
        Self { weight, bias, groups }
    }

    /// Normalises the inside of a map, adds `addend` (of the same layout), then activates.
    pub(crate) fn apply(
        &self,
        engine: &Engine,
        (map, layout): (&mut [f32], Layout),
        addend: Option<&[f32]>,
        activation: Activation,
    ) {
        let then = Then { add: addend, ..Then::activate(activation) };
        self.apply_then(engine, (map, layout), then);
    }

    /// Normalises the inside of a map and does what follows in the same pass.
    pub(crate) fn apply_then(
        &self,
        engine: &Engine,
        (map, layout): (&mut [f32], Layout),
        then: Then<'_>,
    ) {
        let (isa, map) = (engine.isa(), Parts::new(map));
        let width = layout.channels / self.groups;
        engine.workers().run(self.groups, |_, group| {
            let channels = group * width..(group + 1) * width;
            isa.run(Group { norm: self, map: &map, layout, channels, then });
        });
    }
}

/// One group.
struct Group<'a> {
    norm: &'a GroupNorm,
    map: &'a Parts<'a, f32>,
    layout: Layout,
    channels: std::ops::Range<usize>,
    then: Then<'a>,
}

impl Group<'_> {
    /// Calls `visit` with each run of up to `WIDTH` values of the group and its first channel.
    #[inline(always)]
    fn each<const WIDTH: usize>(&self, mut visit: impl FnMut(&mut [f32], usize, usize)) {
        let rows = self.layout.pixels();
        for pixel in 0..self.layout.size.pixels() {
            let pixel = rows.offset(pixel);
            for channel in self.channels.clone().step_by(WIDTH) {
                let end = self.channels.end.min(channel + WIDTH);
                // SAFETY: tasks have different channels, and a run is gone before the next.
                visit(unsafe { self.map.get(pixel + channel..pixel + end) }, pixel, channel);
            }
        }
    }
}

impl Kernel for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const ROWS: usize, const WIDTH: usize, const FUSED: bool>(self) {
        let then = self.then;
        let count = (self.layout.size.pixels() * self.channels.len()) as f64;
        let total = |sums: [f32; WIDTH]| sums.iter().map(|sum| f64::from(*sum)).sum::<f64>();
        let mut sums = [0.0_f32; WIDTH];
        self.each::<WIDTH>(|run, _, _| {
            let mut values = [0.0; WIDTH];
            load(&mut values, run);
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        });
        let mean = (total(sums) / count) as f32;
        let mut sums = [0.0_f32; WIDTH];
        self.each::<WIDTH>(|run, _, _| {
            let mut values = [mean; WIDTH];
            load(&mut values, run);
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = multiply_add::<FUSED>(value - mean, value - mean, *sum);
            }
        });
        let scale = (total(sums) / count + EPSILON).sqrt().recip() as f32;
        self.each::<WIDTH>(|run, pixel, channel| {
            let mut values = [0.0; WIDTH];
            let (mut weight, mut bias) = ([0.0; WIDTH], [0.0; WIDTH]);
            load(&mut values, run);
            load(&mut weight, &self.norm.weight[channel..][..run.len()]);
            load(&mut bias, &self.norm.bias[channel..][..run.len()]);
            for ((value, weight), bias) in values.iter_mut().zip(weight).zip(bias) {
                *value = multiply_add::<FUSED>((*value - mean) * scale, weight, bias);
            }
            let mut other = [0.0; WIDTH];
            if let Some(add) = then.add {
                load(&mut other, &add[pixel + channel..][..run.len()]);
                values.iter_mut().zip(other).for_each(|(value, other)| *value += other);
            }
            then.activation.apply_array::<WIDTH, FUSED>(&mut values);
            if let Some(scale) = then.scale {
                load(&mut other, &scale[channel..][..run.len()]);
                values.iter_mut().zip(other).for_each(|(value, scale)| *value *= scale);
            }
            if let Some(shift) = then.shift {
                load(&mut other, &shift[channel..][..run.len()]);
                values.iter_mut().zip(other).for_each(|(value, shift)| *value += shift);
            }
            if let Some(residual) = then.residual {
                load(&mut other, &residual[pixel + channel..][..run.len()]);
                values.iter_mut().zip(other).for_each(|(value, other)| *value += other);
            }
            store(run, &values);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::map::MapSize;
    use crate::engine::numbers;

    #[test]
    fn every_group_is_normalised_over_the_map() {
        let layout = Layout { size: MapSize { height: 2, width: 3 }, channels: 40, border: 1 };
        let mut map: Vec<f32> = (0..layout.len()).map(|i| ((i * 7) % 23) as f32 + 100.0).collect();
        layout.clear_border(&mut map);
        let weight: Vec<f32> = (0..40).map(|c| 1.0 + c as f32 / 10.0).collect();
        let bias: Vec<f32> = (0..40).map(|c| c as f32 - 20.0).collect();
        let addend: Vec<f32> = (0..layout.len()).map(|i| (i % 5) as f32).collect();
        let (values, others) = (layout.channels_first(&map), layout.channels_first(&addend));
        let mut expected = Vec::new();
        for group in values.chunks_exact(20 * 6) {
            let count = group.len() as f64;
            let mean = group.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
            let variance =
                group.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
            expected
                .extend(group.iter().map(|v| (f64::from(*v) - mean) / (variance + 1e-5).sqrt()));
        }
        let norm = GroupNorm::new(weight.clone(), bias.clone(), 2);
        for engine in Engine::all() {
            let mut got = map.clone();
            norm.apply(&engine, (&mut got, layout), Some(&addend), Activation::Relu);
            for (index, got) in layout.channels_first(&got).into_iter().enumerate() {
                let channel = index / 6;
                let expected = expected[index] * f64::from(weight[channel])
                    + f64::from(bias[channel])
                    + f64::from(others[index]);
                assert!((f64::from(got) - expected.max(0.0)).abs() < 1e-4, "{got} {expected}");
            }
        }
    }

    #[test]
    fn what_follows_is_done_in_its_order() {
        let layout = Layout { size: MapSize { height: 4, width: 1 }, channels: 24, border: 0 };
        let map = numbers(layout.len(), 1);
        let [scale, shift] = [2, 3].map(|seed| numbers(24, seed));
        let residual = numbers(layout.len(), 4);
        let norm = GroupNorm::new(numbers(24, 5), numbers(24, 6), 3);
        for engine in Engine::all() {
            let mut plain = map.clone();
            norm.apply(&engine, (&mut plain, layout), None, Activation::Mish);
            let mut got = map.clone();
            let then = Then {
                scale: Some(&scale),
                shift: Some(&shift),
                residual: Some(&residual),
                ..Then::activate(Activation::Mish)
            };
            norm.apply_then(&engine, (&mut got, layout), then);
            for (index, got) in got.iter().enumerate() {
                let expected =
                    plain[index] * scale[index % 24] + shift[index % 24] + residual[index];
                assert!((got - expected).abs() < 1e-6, "{got} {expected}");
            }
        }
    }
}
