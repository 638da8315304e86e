//! Series of any length in bounded memory, without losing a spike.

/// Buckets for `columns` series, so that a page stays below 5 MB: two points of at most 2.7 bytes
/// for each bucket and series.
pub const fn capacity(columns: usize) -> usize {
    let share = 600_000 / if columns == 0 { 1 } else { columns };
    if share < 2048 {
        2048
    } else if share > 16_384 {
        16_384
    } else {
        share
    }
}

/// Several series over the same samples, kept as the least and the greatest value of buckets of
/// equally many samples.
///
/// Each sample is its own bucket at first. At `capacity` buckets neighbours are
/// merged, and buckets take twice as many samples from then on.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Time of each bucket's first sample, in ns.
    pub starts: Vec<u64>,
    /// Time of each bucket's last sample, in ns.
    pub ends: Vec<u64>,
    /// Per series and bucket: least and greatest value, the earlier one first. Both are NaN
    /// where no sample had a value.
    pub columns: Vec<Vec<[f32; 2]>>,
    /// Per flag set and bucket: the flags of any of its samples.
    pub flags: Vec<Vec<u16>>,
    /// Samples per bucket; the last bucket may have fewer.
    pub per_bucket: u32,
    in_last: u32,
    capacity: usize,
}

impl Envelope {
    /// No samples yet, of `columns` series and `flags` flag sets.
    pub fn new(columns: usize, flags: usize, capacity: usize) -> Self {
        Self {
            starts: Vec::new(),
            ends: Vec::new(),
            columns: vec![Vec::new(); columns],
            flags: vec![Vec::new(); flags],
            per_bucket: 1,
            in_last: 0,
            // An odd number of buckets would leave one without a neighbour.
            capacity: capacity.max(2) & !1,
        }
    }

    /// Adds a sample. Values that are not finite count as absent; a series or flag set without
    /// a value in the slices gets none.
    pub fn push(&mut self, time_ns: u64, values: &[f32], flags: &[u16]) {
        if (self.starts.is_empty() || self.in_last == self.per_bucket) && self.is_full() {
            self.halve();
        }
        let new = self.starts.is_empty() || self.in_last == self.per_bucket;
        if new {
            self.starts.push(time_ns);
            self.ends.push(time_ns);
            self.in_last = 0;
        } else if let Some(end) = self.ends.last_mut() {
            *end = time_ns;
        }
        self.in_last += 1;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value = values.get(index).copied().filter(|v| v.is_finite()).unwrap_or(f32::NAN);
            match column.last_mut() {
                Some(last) if !new => *last = merge(*last, [value; 2]),
                _ => column.push([value; 2]),
            }
        }
        for (index, column) in self.flags.iter_mut().enumerate() {
            let set = flags.get(index).copied().unwrap_or(0);
            match column.last_mut() {
                Some(last) if !new => *last |= set,
                _ => column.push(set),
            }
        }
    }

    fn is_full(&self) -> bool {
        self.starts.len() >= self.capacity
    }

    fn halve(&mut self) {
        let pairs = |index: usize| (2 * index, 2 * index + 1);
        let half = self.starts.len() / 2;
        for index in 0..half {
            let (first, second) = pairs(index);
            self.starts[index] = self.starts[first];
            self.ends[index] = self.ends[second];
            for column in &mut self.columns {
                column[index] = merge(column[first], column[second]);
            }
            for column in &mut self.flags {
                column[index] = column[first] | column[second];
            }
        }
        self.starts.truncate(half);
        self.ends.truncate(half);
        self.columns.iter_mut().for_each(|column| column.truncate(half));
        self.flags.iter_mut().for_each(|column| column.truncate(half));
        self.per_bucket *= 2;
        self.in_last = self.per_bucket;
    }
}

/// Least and greatest of two pairs in their order of time.
fn merge(earlier: [f32; 2], later: [f32; 2]) -> [f32; 2] {
    let [mut least, mut greatest] = [(f32::NAN, 0); 2];
    for (order, value) in earlier.into_iter().chain(later).enumerate() {
        if value.is_nan() {
            continue;
        }
        if least.0.is_nan() || value < least.0 {
            least = (value, order);
        }
        if greatest.0.is_nan() || value > greatest.0 {
            greatest = (value, order);
        }
    }
    if least.1 <= greatest.1 { [least.0, greatest.0] } else { [greatest.0, least.0] }
}

/// Values as 16-bit steps between their least and greatest; 65535 stands for an absent one.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    /// Value of step 0.
    pub least: f64,
    /// Value of step 65534.
    pub greatest: f64,
    /// Steps, little endian; one per bucket where every bucket is one sample, else two.
    pub steps: Vec<u8>,
}

/// Quantises a column of an [`Envelope`].
pub fn quantise(column: &[[f32; 2]], per_bucket: u32) -> Quantised {
    const STEPS: f64 = 65534.0;
    let finite = || column.iter().flatten().filter(|value| value.is_finite());
    let least = f64::from(finite().copied().fold(f32::INFINITY, f32::min));
    let greatest = f64::from(finite().copied().fold(f32::NEG_INFINITY, f32::max));
    let (least, greatest) = if least > greatest { (0.0, 0.0) } else { (least, greatest) };
    let scale = if greatest > least { STEPS / (greatest - least) } else { 0.0 };
    let kept = if per_bucket == 1 { 1 } else { 2 };
    let mut steps = Vec::with_capacity(column.len() * kept * 2);
    for value in column.iter().flat_map(|pair| &pair[..kept]) {
        let step = if value.is_finite() {
            ((f64::from(*value) - least) * scale).round() as u16
        } else {
            u16::MAX
        };
        steps.extend_from_slice(&step.to_le_bytes());
    }
    Quantised { least, greatest, steps }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_series_stays_as_it_is() {
        let mut envelope = Envelope::new(1, 0, 8);
        for time in 0..8_u8 {
            envelope.push(u64::from(time), &[f32::from(time)], &[]);
        }
        assert_eq!(envelope.per_bucket, 1);
        assert_eq!(envelope.starts, (0..8).collect::<Vec<_>>());
        assert_eq!(envelope.columns[0][3], [3.0, 3.0]);
    }

    #[test]
    fn every_spike_of_a_long_series_survives_in_its_bucket() {
        let spikes = [(17, 900.0_f32), (18, -900.0), (5_003, 1200.0), (9_998, -1500.0)];
        let mut envelope = Envelope::new(2, 1, 64);
        for time in 0..10_000_u64 {
            let spike = spikes.iter().find(|(at, _)| *at == time);
            let value = spike.map_or((time as f32 * 0.01).sin(), |(_, value)| *value);
            let second = if time % 2 == 0 { f32::NAN } else { 1.0 };
            envelope.push(time, &[value, second], &[u16::from(time == 7_777)]);
        }
        assert!(envelope.starts.len() <= 64 && envelope.starts.len() > 32);
        assert_eq!(envelope.per_bucket, 256);
        for (at, value) in spikes {
            let bucket = (at / u64::from(envelope.per_bucket)) as usize;
            assert!(envelope.starts[bucket] <= at && at <= envelope.ends[bucket]);
            assert!(envelope.columns[0][bucket].contains(&value), "{at}");
        }
        // 900 came before -900, and the order is kept.
        assert_eq!(envelope.columns[0][0], [900.0, -900.0]);
        assert!(envelope.columns[1].iter().all(|pair| *pair == [1.0, 1.0]));
        let flagged: Vec<usize> =
            (0..envelope.starts.len()).filter(|&b| envelope.flags[0][b] != 0).collect();
        assert_eq!(flagged, [7_777 / 256]);
        assert_eq!(*envelope.ends.last().unwrap(), 9_999);
    }

    #[test]
    fn buckets_cover_every_sample_once() {
        for samples in [1_u64, 2, 63, 64, 65, 127, 128, 129, 1000] {
            let mut envelope = Envelope::new(1, 0, 64);
            (0..samples).for_each(|time| envelope.push(time, &[time as f32], &[]));
            let mut next = 0;
            for (bucket, (&start, &end)) in envelope.starts.iter().zip(&envelope.ends).enumerate() {
                assert_eq!(start, next, "{samples}");
                assert_eq!(envelope.columns[0][bucket], [start as f32, end as f32]);
                next = end + 1;
            }
            assert_eq!(next, samples);
        }
    }

    #[test]
    fn quantised_extremes_are_exact_and_absent_values_stay_absent() {
        let column = [[-1.5, 2.5], [f32::NAN, f32::NAN], [0.5, 0.5]];
        let quantised = quantise(&column, 2);
        assert_eq!((quantised.least, quantised.greatest), (-1.5, 2.5));
        let steps: Vec<u16> =
            quantised.steps.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        assert_eq!(steps, [0, 65534, 65535, 65535, 32767, 32767]);
        assert_eq!(quantise(&[[4.0, 4.0]], 1).steps, [0, 0]);
        assert_eq!(quantise(&[[f32::NAN; 2]], 1).steps, [255, 255]);
    }
}
