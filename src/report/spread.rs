//! How a duration is spread, in bounded memory and with one relative resolution.

/// Bins per factor of ten; quantiles are right to within 1.2 %.
const PER_DECADE: usize = 200;

/// From 1 ns to 1000 s.
const DECADES: usize = 12;

/// A distribution of durations in ns.
#[derive(Clone, Debug)]
pub struct Spread {
    bins: Vec<u64>,
    count: u64,
    least: u64,
    greatest: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { bins: vec![0; PER_DECADE * DECADES], count: 0, least: u64::MAX, greatest: 0 }
    }
}

fn bin(nanos: u64) -> usize {
    let position = (nanos.max(1) as f64).log10() * PER_DECADE as f64;
    (position as usize).min(PER_DECADE * DECADES - 1)
}

/// Lower edge of a bin, in ns.
fn edge(bin: usize) -> f64 {
    10_f64.powf(bin as f64 / PER_DECADE as f64)
}

/// One bar of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Lower edge in ns.
    pub from_ns: f64,
    /// Upper edge in ns.
    pub to_ns: f64,
    /// Samples.
    pub count: u64,
}

impl Spread {
    /// Adds a duration in ns.
    pub fn add(&mut self, nanos: u64) {
        self.bins[bin(nanos)] += 1;
        self.count += 1;
        self.least = self.least.min(nanos);
        self.greatest = self.greatest.max(nanos);
    }

    /// Samples.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The largest, in ns; `None` without samples.
    pub fn greatest(&self) -> Option<u64> {
        (self.count > 0).then_some(self.greatest)
    }

    /// The value below which `share` (0 to 1) of the samples lie, in ns; `None` without samples.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (index, count) in self.bins.iter().enumerate() {
            seen += count;
            if seen >= rank {
                let middle = f64::midpoint(edge(index), edge(index + 1));
                return Some(middle.clamp(self.least as f64, self.greatest as f64));
            }
        }
        None
    }

    /// Bars of equal width on a logarithmic axis, from the first sample to the last; at least
    /// `wanted` of them if the resolution allows. Empty without samples.
    pub fn bars(&self, wanted: usize) -> Vec<Bar> {
        if self.count == 0 {
            return Vec::new();
        }
        let (first, last) = (bin(self.least), bin(self.greatest));
        let span = last - first + 1;
        let width = [20, 10, 5, 4, 2].into_iter().find(|w| span / w >= wanted).unwrap_or(1);
        (first / width..=last / width)
            .map(|bar| Bar {
                from_ns: edge(bar * width),
                to_ns: edge((bar + 1) * width),
                count: self.bins.iter().skip(bar * width).take(width).sum(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_within_the_resolution() {
        let mut spread = Spread::default();
        assert_eq!((spread.quantile(0.5), spread.greatest()), (None, None));
        (1..=10_000).for_each(|value| spread.add(value * 1_000));
        for (share, value) in [(0.5, 5e6), (0.99, 9.9e6), (0.999, 9.99e6)] {
            let found = spread.quantile(share).unwrap();
            assert!((found / value - 1.0).abs() < 0.012, "{share}: {found}");
        }
        assert_eq!(spread.greatest(), Some(10_000_000));
        let mut single = Spread::default();
        single.add(4321);
        assert_eq!(single.quantile(0.999), Some(4321.0));
    }

    #[test]
    fn bars_hold_every_sample_once() {
        let mut spread = Spread::default();
        assert!(spread.bars(20).is_empty());
        for value in [0, 1, 50_000, 52_000, 400_000, u64::MAX] {
            spread.add(value);
        }
        let bars = spread.bars(20);
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), 6);
        assert!(bars.windows(2).all(|pair| pair[0].to_ns == pair[1].from_ns));
    }
}
