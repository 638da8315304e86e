//! What a model lacks, by least squares: the difference between measured and predicted torques is put
//! down to a payload, friction, offsets, inertia of the drives and a delay.
//!
//! All of it is linear in a few numbers: ten of a payload (see [`PAYLOAD`]), viscous and Coulomb
//! friction, an offset and an inertia for each joint, and one delay, by which the derivative of the
//! measured torque is multiplied. Causes look alike: weight and Coulomb friction in a slow motion, weight
//! that changes with the position and viscous friction. So they are not judged one by one: the one that
//! explains most comes first, then the one that explains most of what is left.

use nalgebra::{DMatrix, DVector};
use serde::Serialize;

use super::model::{Model, PAYLOAD};
use super::signals::Signals;

/// Coulomb friction rises over this much, rad/s.
const TRANSITION: f64 = 0.02;
/// A cause is likely when it explains at least this much of what the likelier ones leave, and that is
/// outside the tolerances…
const LIKELY: f64 = 0.2;
/// … a delay when it is at least this long, s, …
const LEAST_DELAY_S: f64 = 1e-3;
/// … and as much of what all causes leave comes on top without it.
const NEEDED: f64 = 0.01;
/// Longest delay that is looked for, s, …
const LONGEST_DELAY_S: f64 = 0.05;
/// … and the distance of those that are tried first, in samples.
const COARSE: isize = 5;
/// Combinations of numbers that the motion shows less than the others by this factor are left at 0.
const RANK: f64 = 1e-9;
/// A payload lighter than this, kg, has no centre that could be told.
const LEAST_MASS: f64 = 0.02;

/// What a model may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Payload,
    Friction,
    Offset,
    Inertia,
    Delay,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Payload, Self::Friction, Self::Offset, Self::Inertia, Self::Delay];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Friction => "friction",
            Self::Offset => "offset",
            Self::Inertia => "inertia",
            Self::Delay => "delay",
        }
    }
}

/// A cause, and how much it explains.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cause {
    pub cause: Kind,
    /// Of the squared difference that the causes before it left, relative to the whole.
    pub share: f64,
    pub likely: bool,
}

/// A body at the tool that the model lacks; below 0, has too much of.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Payload {
    pub mass_kg: f64,
    /// In the frame of the tool; none where there is next to no mass.
    pub centre_m: Option<[f64; 3]>,
}

/// What one joint lacks.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Lacking {
    pub viscous_nm_s_rad: f64,
    pub coulomb_nm: f64,
    pub offset_nm: f64,
    pub inertia_kg_m2: f64,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Causes {
    /// From the one that explains most on.
    pub causes: Vec<Cause>,
    /// What no cause explains, relative to the whole.
    pub unexplained: f64,
    pub payload: Payload,
    /// What each joint lacks.
    pub lacking: Vec<Lacking>,
    /// How much later torques were measured than the model has them, s.
    pub delay_s: f64,
    /// Per joint: RMS of the difference that the likely causes leave.
    pub left_nm: Vec<f64>,
    #[serde(skip)]
    pub fit: Fit,
}

/// Numbers of all causes; 0 where a cause is not likely.
#[derive(Clone, Debug, Default)]
pub struct Fit {
    numbers: Vec<f64>,
}

/// Where the numbers of a cause stand.
fn columns(kind: Kind, joints: usize) -> Vec<usize> {
    let range = match kind {
        Kind::Payload => 0..PAYLOAD,
        Kind::Friction => PAYLOAD..PAYLOAD + 2 * joints,
        Kind::Offset => PAYLOAD + 2 * joints..PAYLOAD + 3 * joints,
        Kind::Inertia => PAYLOAD + 3 * joints..PAYLOAD + 4 * joints,
        Kind::Delay => PAYLOAD + 4 * joints..PAYLOAD + 4 * joints + 1,
    };
    range.collect()
}

/// 0 at standstill, ±1 in motion.
pub fn direction(velocity: f64) -> f64 {
    (velocity / TRANSITION).tanh()
}

/// What one unit of each number does to each joint's torque.
pub struct Effects<'a> {
    signals: &'a Signals,
    /// Per sample, per joint.
    payload: Vec<Vec<[f64; PAYLOAD]>>,
}

impl<'a> Effects<'a> {
    pub fn new(signals: &'a Signals, model: &dyn Model) -> Self {
        let states = (0..signals.len()).map(|sample| signals.state(sample));
        let payload = states.map(|[q, v, a]| model.payload(&q, &v, &a)).collect();
        Self { signals, payload }
    }

    /// The numbers that move `joint`'s torque, and by how much a unit of each does.
    fn row(&self, joint: usize, sample: usize) -> [(usize, f64); PAYLOAD + 5] {
        let joints = self.signals.joints();
        let velocity = self.signals.velocity[joint][sample];
        let own = PAYLOAD + 2 * joint;
        std::array::from_fn(|index| match index.checked_sub(PAYLOAD) {
            None => (index, self.payload[sample][joint][index]),
            Some(0) => (own, velocity),
            Some(1) => (own + 1, direction(velocity)),
            Some(2) => (PAYLOAD + 2 * joints + joint, 1.0),
            Some(3) => (PAYLOAD + 3 * joints + joint, self.signals.acceleration[joint][sample]),
            Some(_) => (PAYLOAD + 4 * joints, -self.signals.effort_rate[joint][sample]),
        })
    }

    /// What `kind` adds to `joint`'s torque over time.
    pub fn part(&self, fit: &Fit, kind: Kind, joint: usize) -> Vec<f64> {
        let columns = columns(kind, self.signals.joints());
        let of = |sample| {
            let row = self.row(joint, sample);
            let own = row.iter().filter(|(column, _)| columns.contains(column));
            own.map(|(column, per)| per * fit.numbers[*column]).sum()
        };
        (0..self.signals.len()).map(of).collect()
    }

    /// What all likely causes but a delay add to `joint`'s torque over time.
    pub fn explained(&self, fit: &Fit, joint: usize) -> Vec<f64> {
        let mut sum = vec![0.0; self.signals.len()];
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Delay) {
            let part = self.part(fit, kind, joint);
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        sum
    }

    /// Puts the difference down to causes. `tolerances` in N·m say how much a joint's counts.
    pub fn causes(&self, tolerances: &[f64]) -> Causes {
        let joints = self.signals.joints();
        let mut equations = self.equations(tolerances);
        let all: Vec<usize> = Kind::ALL.iter().flat_map(|kind| columns(*kind, joints)).collect();
        let whole = equations.solve(&all);
        let left = equations.left(&all, &whole);
        let mut causes: Vec<Cause> = Vec::new();
        let (mut taken, mut before) = (Vec::new(), equations.square);
        while causes.len() < Kind::ALL.len() {
            let with = |kind: Kind| {
                let columns: Vec<usize> =
                    taken.iter().copied().chain(columns(kind, joints)).collect();
                equations.left(&columns, &equations.solve(&columns))
            };
            let open =
                Kind::ALL.into_iter().filter(|kind| causes.iter().all(|it| it.cause != *kind));
            let Some((kind, after)) =
                open.map(|kind| (kind, with(kind))).min_by(|one, other| one.1.total_cmp(&other.1))
            else {
                break;
            };
            let share = (before - after) / equations.square.max(f64::MIN_POSITIVE);
            let count = (self.signals.len() * joints) as f64;
            let worth = causes.is_empty() || (before > count && causes.iter().all(|it| it.likely));
            let likely = worth && before - after >= LIKELY * before;
            causes.push(Cause { cause: kind, share, likely });
            taken.extend(columns(kind, joints));
            before = after;
        }
        // In slow motions a delay changes little, and is one all the same.
        let others: Vec<usize> = all[..all.len() - 1].to_vec();
        let (delay_s, more) = self.delay(&equations, &others, tolerances);
        for cause in causes.iter_mut().filter(|cause| cause.cause == Kind::Delay) {
            cause.likely = delay_s.abs() >= LEAST_DELAY_S && more >= NEEDED;
        }
        let likely: Vec<usize> = Kind::ALL
            .into_iter()
            .filter(|kind| causes.iter().any(|cause| cause.cause == *kind && cause.likely))
            .filter(|kind| *kind != Kind::Delay)
            .flat_map(|kind| columns(kind, joints))
            .collect();
        let late = causes.iter().any(|cause| cause.cause == Kind::Delay && cause.likely);
        let mut numbers = vec![0.0; all.len()];
        if !likely.is_empty() || late {
            let last = all.len() - 1;
            if late {
                numbers[last] = delay_s;
                equations.right -= equations.matrix.column(last) * delay_s;
            }
            let solved = equations.solve(&likely);
            likely.iter().zip(&solved).for_each(|(column, value)| numbers[*column] = *value);
        } else {
            numbers.copy_from_slice(&whole);
        }
        let unexplained = left / equations.square.max(f64::MIN_POSITIVE);
        self.found(causes, unexplained, Fit { numbers }, delay_s)
    }

    /// By how many seconds torques were measured later than motions, whatever else the model lacks: the
    /// shift of the measured torques with which all other causes leave least. And how much more they
    /// leave without it, relative to that.
    ///
    /// The derivative of what was measured has more noise than it, and as a regressor makes delays too
    /// short: shifted, the noise stays what it is.
    fn delay(&self, equations: &Equations, others: &[usize], tolerances: &[f64]) -> (f64, f64) {
        let most = (LONGEST_DELAY_S * self.signals.rate_hz).round().max(2.0) as isize;
        let ends = most.unsigned_abs() + 1;
        let stretches = self.signals.stretches();
        let core = || {
            let inner = stretches.iter().filter(|stretch| stretch.len() > 2 * ends);
            inner.flat_map(|stretch| stretch.start + ends..stretch.end - ends)
        };
        let inverse = equations.inverse(others);
        let left = |shift: isize| -> f64 {
            let mut right = DVector::zeros(equations.right.len());
            let mut square = 0.0;
            for (joint, tolerance) in tolerances.iter().enumerate().take(self.signals.joints()) {
                let weight = tolerance.powi(-2);
                let (measured, model) = (&self.signals.effort[joint], &self.signals.model[joint]);
                for sample in core() {
                    let later = measured[sample.wrapping_add_signed(shift)];
                    let difference = later - model[sample];
                    square += weight * difference * difference;
                    for (column, value) in self.row(joint, sample) {
                        right[column] += weight * value * difference;
                    }
                }
            }
            let right = DVector::from_fn(others.len(), |i, _| right[others[i]]);
            square - right.dot(&(&inverse * &right))
        };
        let best = |shifts: &mut dyn Iterator<Item = isize>| {
            let tried = shifts.map(|shift| (shift, left(shift)));
            tried.min_by(|one, other| one.1.total_cmp(&other.1)).map_or(0, |(shift, _)| shift)
        };
        let near = best(&mut (-most..=most).step_by(COARSE.unsigned_abs()));
        let fine = best(&mut (near - COARSE..=near + COARSE).filter(|shift| shift.abs() < most));
        let [before, at, after] = [fine - 1, fine, fine + 1].map(left);
        let bend = before - 2.0 * at + after;
        let between = if bend > 0.0 { 0.5 * (before - after) / bend } else { 0.0 };
        let more = (left(0) - at) / at.max(f64::MIN_POSITIVE);
        ((fine as f64 + between) / self.signals.rate_hz, more)
    }

    fn found(&self, causes: Vec<Cause>, unexplained: f64, fit: Fit, delay_s: f64) -> Causes {
        let joints = self.signals.joints();
        let [mass_kg, moment @ ..] = std::array::from_fn::<f64, 4, _>(|index| fit.numbers[index]);
        let centre_m = (mass_kg.abs() >= LEAST_MASS).then(|| moment.map(|it| it / mass_kg));
        let lacking = |joint: usize| Lacking {
            viscous_nm_s_rad: fit.numbers[PAYLOAD + 2 * joint],
            coulomb_nm: fit.numbers[PAYLOAD + 2 * joint + 1],
            offset_nm: fit.numbers[PAYLOAD + 2 * joints + joint],
            inertia_kg_m2: fit.numbers[PAYLOAD + 3 * joints + joint],
        };
        let left = |joint: usize| {
            let explained = self.explained(&fit, joint);
            let late = self.part(&fit, Kind::Delay, joint);
            let residual = self.signals.residual(joint);
            let differences = residual.iter().zip(explained.iter().zip(&late));
            let squares: f64 = differences.map(|(all, (one, two))| (all - one - two).powi(2)).sum();
            (squares / self.signals.len() as f64).sqrt()
        };
        Causes {
            causes,
            unexplained,
            payload: Payload { mass_kg, centre_m },
            lacking: (0..joints).map(lacking).collect(),
            delay_s,
            left_nm: (0..joints).map(left).collect(),
            fit,
        }
    }

    fn equations(&self, tolerances: &[f64]) -> Equations {
        let joints = self.signals.joints();
        let count = PAYLOAD + 4 * joints + 1;
        let mut equations = Equations {
            matrix: DMatrix::zeros(count, count),
            right: DVector::zeros(count),
            square: 0.0,
        };
        for (joint, tolerance) in tolerances.iter().enumerate().take(joints) {
            let weight = tolerance.powi(-2);
            for (sample, difference) in self.signals.residual(joint).iter().enumerate() {
                let row = self.row(joint, sample);
                equations.square += weight * difference * difference;
                for (column, value) in row {
                    equations.right[column] += weight * value * difference;
                    for (other, second) in row {
                        equations.matrix[(column, other)] += weight * value * second;
                    }
                }
            }
        }
        equations
    }
}

/// Normal equations of the weighted least squares.
struct Equations {
    matrix: DMatrix<f64>,
    right: DVector<f64>,
    /// Sum of the squared differences.
    square: f64,
}

impl Equations {
    /// The inverse of the matrix for `columns`, without what the motion does not show.
    fn inverse(&self, columns: &[usize]) -> DMatrix<f64> {
        // Units differ: each number counts by how much it does.
        let scale: Vec<f64> = columns
            .iter()
            .map(|column| self.matrix[(*column, *column)].sqrt().max(f64::MIN_POSITIVE))
            .collect();
        let matrix = DMatrix::from_fn(columns.len(), columns.len(), |i, j| {
            self.matrix[(columns[i], columns[j])] / scale[i] / scale[j]
        });
        let eigen = matrix.symmetric_eigen();
        let most = eigen.eigenvalues.amax();
        let mut inverse = DMatrix::zeros(columns.len(), columns.len());
        for (index, value) in eigen.eigenvalues.iter().enumerate() {
            if *value > RANK * most {
                let vector = eigen.eigenvectors.column(index);
                inverse += vector * vector.transpose() / *value;
            }
        }
        DMatrix::from_fn(columns.len(), columns.len(), |i, j| inverse[(i, j)] / scale[i] / scale[j])
    }

    /// The least numbers for `columns` that explain most.
    fn solve(&self, columns: &[usize]) -> Vec<f64> {
        if columns.is_empty() {
            return Vec::new();
        }
        let right = DVector::from_fn(columns.len(), |i, _| self.right[columns[i]]);
        (self.inverse(columns) * right).as_slice().to_vec()
    }

    /// Squared differences that these numbers leave.
    fn left(&self, columns: &[usize], numbers: &[f64]) -> f64 {
        let mut left = self.square;
        for (column, number) in columns.iter().zip(numbers) {
            let pulled: f64 = columns
                .iter()
                .zip(numbers)
                .map(|(other, second)| self.matrix[(*column, *other)] * second)
                .sum();
            left += number * (pulled - 2.0 * self.right[*column]);
        }
        left.max(0.0)
    }
}
