//! Which windows a network learns from, which choose the checkpoint, and which test it.

use super::dataset::{Dataset, window_steps};
use super::random::Random;
use super::series::Series;
use super::settings::{Settings, Split, SplitMethod};
use std::ops::Range;

/// What a window is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Train,
    Validation,
    Test,
}

/// A window: its file, and its first sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub series: usize,
    pub begin: usize,
}

/// Windows of one training.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    pub steps: usize,
    pub train: Vec<Window>,
    pub validation: Vec<Window>,
    pub test: Vec<Window>,
    /// What makes its figures better than they are, where something does.
    pub leak: Option<String>,
    pub method: String,
}

const RANDOM: &str =
    "LEAKY: windows were split at random, so test windows overlap training windows";
const TESTED: &str = "LEAKY: the group left out also chose the checkpoint";

/// The windows of a training; `left_out` is the group that a fold is tested with.
pub fn split(settings: &Settings, dataset: &Dataset, left_out: Option<usize>) -> Windows {
    let steps = window_steps(settings.windows.duration_s, dataset.rate_hz);
    let method = match settings.split.method {
        SplitMethod::Auto if files_suffice(dataset, left_out) => SplitMethod::Files,
        SplitMethod::Auto => SplitMethod::Blocks,
        method => method,
    };
    let mut windows = Windows {
        steps,
        leak: (method == SplitMethod::RandomWindows).then(|| RANDOM.to_owned()),
        method: match method {
            SplitMethod::Files => "files",
            SplitMethod::RandomWindows => "random_windows",
            _ => "blocks",
        }
        .to_owned(),
        ..Windows::default()
    };
    let cutter = Cutter { settings, dataset, steps };
    // Without the last part there is nothing to test within the groups that are learnt from.
    let parts = match left_out {
        None => [settings.split.train, settings.split.validation],
        Some(_) if settings.split.lomo_validates_on_test => [1.0, 0.0],
        Some(_) => {
            let Split { train, validation, .. } = settings.split;
            [train / (train + validation), validation / (train + validation)]
        }
    };
    for group in 0..dataset.groups.len() {
        if Some(group) == left_out {
            for (index, series) in dataset.series.iter().enumerate() {
                if series.group == group {
                    windows.test.extend(cutter.windows(index, 0..series.len()));
                }
            }
            continue;
        }
        match method {
            SplitMethod::Files => cutter.by_files(group, parts, &mut windows),
            SplitMethod::RandomWindows => cutter.by_windows(group, parts, &mut windows),
            _ => cutter.by_blocks(group, parts, &mut windows),
        }
    }
    if left_out.is_some() && settings.split.lomo_validates_on_test {
        windows.validation.clone_from(&windows.test);
        windows.leak = Some(TESTED.to_owned());
    }
    windows
}

/// All windows of one file.
pub fn of_file(settings: &Settings, dataset: &Dataset, steps: usize, series: usize) -> Vec<Window> {
    let cutter = Cutter { settings, dataset, steps };
    cutter.windows(series, 0..dataset.series[series].len())
}

fn files_suffice(dataset: &Dataset, left_out: Option<usize>) -> bool {
    (0..dataset.groups.len())
        .filter(|group| Some(*group) != left_out)
        .all(|group| dataset.series.iter().filter(|series| series.group == group).count() >= 3)
}

struct Cutter<'a> {
    settings: &'a Settings,
    dataset: &'a Dataset,
    steps: usize,
}

impl Cutter<'_> {
    /// Windows that lie within a range of a file, without gaps and without a target that is too fast.
    fn windows(&self, index: usize, range: Range<usize>) -> Vec<Window> {
        let series = &self.dataset.series[index];
        let fast = self.too_fast(series);
        let Some(last) = (range.end + 1).checked_sub(self.steps) else { return Vec::new() };
        let begins = (range.start..last).step_by(self.settings.windows.stride);
        begins
            .filter(|begin| fast[begin + self.steps] == fast[*begin])
            .filter(|begin| !series.has_gap(&(*begin..begin + self.steps)))
            .map(|begin| Window { series: index, begin })
            .collect()
    }

    /// How many samples before each one have a target that moves too fast.
    fn too_fast(&self, series: &Series) -> Vec<u32> {
        let mut counts = vec![0; series.len() + 1];
        let limit = self.settings.data.max_target_speed_rad_s;
        for sample in 0..series.len() {
            let moved = match sample {
                0 => 0.0,
                _ => (series.target[sample] - series.target[sample - 1]).abs() * series.rate_hz,
            };
            let fast = limit.is_some_and(|limit| moved > limit);
            counts[sample + 1] = counts[sample] + u32::from(fast);
        }
        counts
    }

    fn series_of(&self, group: usize) -> Vec<usize> {
        let series = self.dataset.series.iter().enumerate();
        series.filter(|(_, series)| series.group == group).map(|(index, _)| index).collect()
    }

    fn random(&self, purpose: u64) -> Random {
        Random::new(self.settings.seed, 0x5011 + purpose)
    }

    fn by_files(&self, group: usize, parts: [f64; 2], windows: &mut Windows) {
        let mut files = self.series_of(group);
        self.random(group as u64).shuffle(&mut files);
        for (file, role) in files.iter().zip(roles(files.len(), parts)) {
            let length = self.dataset.series[*file].len();
            windows.of(role).extend(self.windows(*file, 0..length));
        }
        windows.sort();
    }

    fn by_blocks(&self, group: usize, parts: [f64; 2], windows: &mut Windows) {
        for file in self.series_of(group) {
            let length = self.dataset.series[file].len();
            // A piece without a window is of no use.
            let pieces = self.settings.split.blocks_per_file.min(length / self.steps).max(1);
            let mut order: Vec<usize> = (0..pieces).collect();
            self.random(1000 + file as u64).shuffle(&mut order);
            let roles = roles(pieces, parts);
            let mut role_of = vec![Role::Train; pieces];
            for (piece, role) in order.into_iter().zip(roles) {
                role_of[piece] = role;
            }
            let mut piece = 0;
            while piece < pieces {
                // Neighbours with one purpose are one piece.
                let mut end = piece + 1;
                while end < pieces && role_of[end] == role_of[piece] {
                    end += 1;
                }
                let range = piece * length / pieces..end * length / pieces;
                windows.of(role_of[piece]).extend(self.windows(file, range));
                piece = end;
            }
        }
    }

    fn by_windows(&self, group: usize, parts: [f64; 2], windows: &mut Windows) {
        let mut all = Vec::new();
        for file in self.series_of(group) {
            all.extend(self.windows(file, 0..self.dataset.series[file].len()));
        }
        self.random(2000 + group as u64).shuffle(&mut all);
        let roles = roles(all.len(), parts);
        for (window, role) in all.into_iter().zip(roles) {
            windows.of(role).push(window);
        }
        windows.sort();
    }
}

/// As many of each as their parts say, and at least one of each that has a part.
fn roles(count: usize, [train, validation]: [f64; 2]) -> Vec<Role> {
    let test = (1.0 - train - validation).max(0.0);
    let share = |part: f64| match part {
        part if part < 1e-9 => 0,
        part => ((count as f64 * part).round() as usize).max(1),
    };
    let (validation, test) = (share(validation), share(test));
    let train = count.saturating_sub(validation + test).max(1);
    let mut roles = vec![Role::Train; train.min(count)];
    roles.resize((train + validation).min(count), Role::Validation);
    roles.resize(count, Role::Test);
    roles
}

impl Windows {
    pub fn of(&mut self, role: Role) -> &mut Vec<Window> {
        match role {
            Role::Train => &mut self.train,
            Role::Validation => &mut self.validation,
            Role::Test => &mut self.test,
        }
    }

    /// Samples of a file that lie in test windows.
    pub fn test_parts(&self, series: usize) -> Vec<Range<usize>> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        for window in self.test.iter().filter(|window| window.series == series) {
            let (begin, end) = (window.begin, window.begin + self.steps);
            match parts.last_mut() {
                Some(part) if begin <= part.end => part.end = part.end.max(end),
                _ => parts.push(begin..end),
            }
        }
        parts
    }

    /// By file and time.
    pub fn sort(&mut self) {
        for role in [Role::Train, Role::Validation, Role::Test] {
            self.of(role).sort_by_key(|window| (window.series, window.begin));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::settings::Group;
    use std::path::PathBuf;

    fn dataset(files: usize, length: usize) -> Dataset {
        let group =
            |id: &str| Group { id: id.to_owned(), folder: PathBuf::new(), inertia_kg_m2: 0.01 };
        let series = |group| Series {
            group,
            rate_hz: 100.0,
            position: vec![0.0; length],
            target: vec![0.0; length],
            velocity: vec![0.0; length],
            torque: vec![0.0; length],
            ..Series::default()
        };
        Dataset {
            groups: vec![group("a"), group("b")],
            series: (0..2 * files).map(|index| series(index % 2)).collect(),
            rate_hz: 100.0,
            ..Dataset::default()
        }
    }

    fn settings(text: &str) -> Settings {
        let base = "[data]\ndirectory='d'\nradius_m=0.2\n[[data.groups]]\nid='a'\nfolder='a'\n\
            inertia_kg_m2=0.01\n[model]\ntarget='full'\n[windows]\nduration_s=0.2\nstride=1\n";
        toml::from_str(&format!("{text}\n{base}")).unwrap()
    }

    fn shared_samples(windows: &Windows) -> usize {
        let mut used = std::collections::HashMap::new();
        let mut shared = 0;
        for (role, windows_of) in
            [&windows.train, &windows.validation, &windows.test].iter().enumerate()
        {
            for window in windows_of.iter() {
                for sample in window.begin..window.begin + windows.steps {
                    let first = *used.entry((window.series, sample)).or_insert(role);
                    shared += usize::from(first != role);
                }
            }
        }
        shared
    }

    #[test]
    fn blocks_share_no_sample_and_every_part_has_windows() {
        let windows = split(&settings(""), &dataset(1, 1000), None);
        assert_eq!((windows.steps, windows.method.as_str(), &windows.leak), (20, "blocks", &None));
        assert!(!windows.train.is_empty() && !windows.validation.is_empty());
        assert!(!windows.test.is_empty());
        assert_eq!(shared_samples(&windows), 0);
        // What is measured while a network is stepped through lies outside all other windows.
        for (series, parts) in [windows.test_parts(0), windows.test_parts(1)].iter().enumerate() {
            assert!(!parts.is_empty());
            let learned = windows.train.iter().chain(&windows.validation);
            for window in learned.filter(|window| window.series == series) {
                let apart = |part: &Range<usize>| {
                    window.begin >= part.end || window.begin + windows.steps <= part.start
                };
                assert!(parts.iter().all(apart), "{window:?} {parts:?}");
            }
        }
    }

    #[test]
    fn whole_files_are_split_where_there_are_enough() {
        let windows = split(&settings(""), &dataset(4, 100), None);
        assert_eq!(windows.method, "files");
        assert_eq!(shared_samples(&windows), 0);
        assert_eq!(windows.train.len() + windows.validation.len() + windows.test.len(), 8 * 81);
    }

    #[test]
    fn random_windows_leak_and_say_so() {
        let settings = settings("split.method = 'random_windows'");
        let windows = split(&settings, &dataset(1, 1000), None);
        assert!(windows.leak.as_ref().unwrap().contains("LEAKY"));
        assert!(shared_samples(&windows) > 0);
    }

    #[test]
    fn a_group_left_out_is_for_testing_alone_unless_the_leak_is_asked_for() {
        let windows = split(&settings(""), &dataset(1, 1000), Some(1));
        assert!(windows.train.iter().chain(&windows.validation).all(|it| it.series == 0));
        assert!(windows.test.iter().all(|it| it.series == 1));
        assert_eq!(windows.test.len(), 981);
        assert_eq!(shared_samples(&windows), 0);
        let leaky = settings("split.lomo_validates_on_test = true");
        let windows = split(&leaky, &dataset(1, 1000), Some(1));
        assert!(windows.leak.is_some());
        assert_eq!(windows.validation, windows.test);
    }

    #[test]
    fn windows_over_a_gap_are_left_out() {
        let mut dataset = dataset(1, 100);
        dataset.series[0].gaps = vec![50];
        let windows = split(&settings(""), &dataset, Some(0));
        assert_eq!(windows.test.len(), 81 - 19);
        assert!(!windows.test.iter().any(|it| it.begin < 50 && 50 < it.begin + 20));
    }

    #[test]
    fn windows_with_a_jump_of_the_target_are_left_out() {
        let mut dataset = dataset(1, 100);
        dataset.series[0].target[50..].fill(3.0);
        let mut settings = settings("");
        settings.data.max_target_speed_rad_s = Some(36.0);
        let windows = split(&settings, &dataset, Some(0));
        let inside = |window: &Window| window.begin <= 50 && 50 < window.begin + 20;
        assert_eq!(windows.test.len(), 81 - 20);
        assert!(!windows.test.iter().any(inside));
    }
}
