//! Statistics per feature, as LeRobot keeps them: per episode, and over the dataset.
//!
//! Standard deviations are those of the population. Quantiles of an episode are exact, with linear
//! interpolation between neighbours; those of the dataset are the count-weighted means of the
//! episodes', which is LeRobot's rule too. Values that are not finite are left out.

use serde_json::{Map, Value, json};

use crate::image::Image;

/// Names and fractions of the quantiles.
pub(super) const QUANTILES: [(&str, f64); 5] =
    [("q01", 0.01), ("q10", 0.10), ("q50", 0.50), ("q90", 0.90), ("q99", 0.99)];

/// Names of the statistics that have one value per element.
pub(super) const NAMES: [&str; 9] =
    ["min", "max", "mean", "std", "q01", "q10", "q50", "q90", "q99"];

/// Statistics of one feature: one entry per value of a vector, or per channel of an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statistics {
    /// In the order of [`NAMES`].
    pub values: [Vec<f64>; 9],
    /// Frames they were taken over.
    pub count: u64,
}

impl Statistics {
    /// Of `width` values per row.
    pub fn of_rows(rows: &[Vec<f64>], width: usize) -> Self {
        let mut statistics = Self { values: Default::default(), count: rows.len() as u64 };
        let mut column = Vec::with_capacity(rows.len());
        for element in 0..width {
            column.clear();
            column.extend(
                rows.iter().filter_map(|row| row.get(element)).filter(|value| value.is_finite()),
            );
            column.sort_by(f64::total_cmp);
            statistics.push(&Sorted::Values(&column));
        }
        statistics
    }

    fn push(&mut self, sorted: &Sorted<'_>) {
        let [min, max, mean, std, quantiles @ ..] = &mut self.values;
        let last = sorted.len().saturating_sub(1);
        min.push(sorted.at(0));
        max.push(sorted.at(last));
        let average = sorted.mean(|value| value);
        mean.push(average);
        std.push(sorted.mean(|value| (value - average).powi(2)).sqrt());
        for (quantile, (_, fraction)) in quantiles.iter_mut().zip(QUANTILES) {
            let place = fraction * last as f64;
            let below = place.floor();
            let (low, high) = (sorted.at(below as u64), sorted.at((below as u64 + 1).min(last)));
            quantile.push(low + (high - low) * (place - below));
        }
    }

    /// Adds the frames of another part of the dataset.
    pub fn merge(&mut self, other: &Self) {
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let total = ours + theirs;
        if other.count == 0 || total == 0.0 {
            return;
        }
        let weighted = |a: f64, b: f64| (a * ours + b * theirs) / total;
        let [min, max, mean, std, quantiles @ ..] = &mut self.values;
        let [other_min, other_max, other_mean, other_std, other_quantiles @ ..] = &other.values;
        for (a, b) in min.iter_mut().zip(other_min) {
            *a = a.min(*b);
        }
        for (a, b) in max.iter_mut().zip(other_max) {
            *a = a.max(*b);
        }
        let pairs = mean.iter_mut().zip(other_mean).zip(std.iter_mut().zip(other_std));
        for ((mean, other_mean), (std, other_std)) in pairs {
            let merged = weighted(*mean, *other_mean);
            let variance = weighted(
                std.powi(2) + (*mean - merged).powi(2),
                other_std.powi(2) + (other_mean - merged).powi(2),
            );
            *mean = merged;
            *std = variance.sqrt();
        }
        for (quantile, other) in quantiles.iter_mut().zip(other_quantiles) {
            for (a, b) in quantile.iter_mut().zip(other) {
                *a = weighted(*a, *b);
            }
        }
        self.count += other.count;
    }

    /// As `stats.json` has it; images are shaped (3, 1, 1).
    pub fn to_json(&self, image: bool) -> Value {
        let mut map = Map::new();
        for (name, values) in NAMES.iter().zip(&self.values) {
            let list: Value = if image {
                values.iter().map(|value| json!([[value]])).collect()
            } else {
                json!(values)
            };
            map.insert((*name).to_owned(), list);
            if *name == "std" {
                map.insert("count".to_owned(), json!([self.count]));
            }
        }
        Value::Object(map)
    }

    /// Takes an entry of `stats.json` apart; `None` if it is not one of `width` values.
    pub fn from_json(value: &Value, width: usize) -> Option<Self> {
        let mut values: [Vec<f64>; 9] = Default::default();
        for (name, list) in NAMES.iter().zip(&mut values) {
            flatten(value.get(name)?, list)?;
            if list.len() != width {
                return None;
            }
        }
        let count = value.get("count")?.get(0)?.as_u64()?;
        Some(Self { values, count })
    }
}

/// Collects the three channels of images, one image at a time.
#[derive(Clone, Debug)]
pub(super) struct Histograms {
    channels: [[u64; 256]; 3],
    count: u64,
}

impl Histograms {
    pub fn new() -> Self {
        Self { channels: [[0; 256]; 3], count: 0 }
    }

    pub fn add(&mut self, image: &Image) {
        self.count += 1;
        for pixel in image.rgb.chunks_exact(3) {
            for (histogram, &value) in self.channels.iter_mut().zip(pixel) {
                if let Some(bin) = histogram.get_mut(usize::from(value)) {
                    *bin += 1;
                }
            }
        }
    }

    /// Statistics in parts of full scale.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = Statistics { values: Default::default(), count: self.count };
        for histogram in &self.channels {
            statistics.push(&Sorted::Levels(histogram));
        }
        statistics
    }
}

fn flatten(value: &Value, into: &mut Vec<f64>) -> Option<()> {
    match value {
        Value::Array(list) => list.iter().try_for_each(|value| flatten(value, into)),
        number => {
            into.push(number.as_f64()?);
            Some(())
        }
    }
}

/// Values in ascending order, or how often each of 256 levels occurs.
enum Sorted<'a> {
    Values(&'a [f64]),
    Levels(&'a [u64; 256]),
}

impl Sorted<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Values(values) => values.len() as u64,
            Self::Levels(levels) => levels.iter().sum(),
        }
    }

    /// The value of that rank; 0 where there is none.
    fn at(&self, rank: u64) -> f64 {
        match self {
            Self::Values(values) => values.get(rank as usize).copied().unwrap_or(0.0),
            Self::Levels(levels) => {
                let mut seen = 0;
                let reached = |&count: &u64| {
                    seen += count;
                    seen > rank
                };
                levels.iter().position(reached).map_or(0.0, |level| level as f64 / 255.0)
            }
        }
    }

    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        let sum: f64 = match self {
            Self::Values(values) => values.iter().map(|&value| of(value)).sum(),
            Self::Levels(levels) => {
                let term = |(level, &count): (usize, &u64)| count as f64 * of(level as f64 / 255.0);
                levels.iter().enumerate().map(term).sum()
            }
        };
        if self.len() == 0 { 0.0 } else { sum / self.len() as f64 }
    }
}

/// Frames whose images are looked at: all up to 100, then ever fewer, evenly spread.
pub(super) fn sampled(frames: usize) -> Vec<usize> {
    let wanted = ((frames as f64).powf(0.75) as usize).max(frames.min(100));
    if wanted <= 1 {
        return (0..wanted).collect();
    }
    let step = (frames - 1) as f64 / (wanted - 1) as f64;
    (0..wanted).map(|index| (index as f64 * step).round() as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn vectors_match_numpy() {
        // numpy: x = [[1, 10], [4, 10], [2, 10], [8, 10]]; x.std(0); np.quantile(x, q, axis=0)
        let rows = [1.0, 4.0, 2.0, 8.0].map(|value| vec![value, 10.0]);
        let found = Statistics::of_rows(&rows, 2);
        let expected: [&[f64]; 9] = [
            &[1.0, 10.0],
            &[8.0, 10.0],
            &[3.75, 10.0],
            &[2.680_951_323_690_902, 0.0],
            &[1.03, 10.0],
            &[1.3, 10.0],
            &[3.0, 10.0],
            &[6.8, 10.0],
            &[7.88, 10.0],
        ];
        for ((name, found), expected) in NAMES.iter().zip(&found.values).zip(expected) {
            assert!(close(found, expected), "{name}: {found:?}");
        }
        assert_eq!(found.count, 4);
    }

    #[test]
    fn values_that_are_not_finite_are_left_out() {
        let found =
            Statistics::of_rows(&[1.0, f64::NAN, 3.0, f64::INFINITY].map(|value| vec![value]), 1);
        assert_eq!((found.values[0][0], found.values[1][0], found.values[2][0]), (1.0, 3.0, 2.0));
        let none = Statistics::of_rows(&[vec![f64::NAN]], 1);
        assert!(none.values.iter().all(|list| list == &[0.0]));
    }

    #[test]
    fn merging_equals_taking_all_at_once() {
        let rows: Vec<Vec<f64>> = (0..50).map(|i| vec![f64::from(i * i % 17)]).collect();
        let mut merged = Statistics::of_rows(&rows[..20], 1);
        merged.merge(&Statistics::of_rows(&rows[20..], 1));
        let whole = Statistics::of_rows(&rows, 1);
        let pairs = merged.values.iter().zip(&whole.values).zip(NAMES).take(4);
        for ((merged, whole), name) in pairs {
            assert!(close(merged, whole), "{name}");
        }
        assert_eq!(merged.count, 50);
    }

    #[test]
    fn images_are_parts_of_full_scale_per_channel() {
        let image = Image { width: 2, height: 1, rgb: vec![0, 51, 255, 255, 51, 0] };
        let mut histograms = Histograms::new();
        histograms.add(&image);
        let found = histograms.statistics();
        assert!(close(&found.values[2], &[0.5, 0.2, 0.5]));
        assert!(close(&found.values[3], &[0.5, 0.0, 0.5]));
        assert!(close(&found.values[6], &[0.5, 0.2, 0.5]));
        let json = found.to_json(true);
        assert_eq!(json["max"], json!([[[1.0]], [[0.2]], [[1.0]]]));
        assert_eq!(Statistics::from_json(&json, 3), Some(found));
        assert_eq!(Statistics::from_json(&json, 4), None);
    }

    #[test]
    fn long_episodes_are_sampled() {
        assert_eq!(sampled(0), [0_usize; 0]);
        assert_eq!(sampled(1), [0]);
        assert_eq!(sampled(60), (0..60).collect::<Vec<_>>());
        let long = sampled(1800);
        assert_eq!((long.len(), long[0], long[275]), (276, 0, 1799));
    }
}
