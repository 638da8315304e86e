//! What this computer does to a loop that does nothing: interrupts and the host of a virtual
//! machine stretch a cycle as they stretch this. No program here has a shorter tail.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::BenchError;
use crate::config::RealtimeConfig;
use crate::pacing::{Distribution, DistributionSummary};
use crate::realtime::{self, Role};

/// About as long as a cycle with straight lines, one with the generator, and one at 1 kHz.
const LENGTHS: [Duration; 3] =
    [Duration::from_micros(2), Duration::from_micros(4), Duration::from_micros(12)];
/// Loops of a turn.
const TURN: u32 = 10_000;

/// A loop that looks at the clock until its length is over, one after the other.
#[derive(Clone, Debug, Serialize)]
pub struct FloorRow {
    /// How long it was to take, in µs.
    pub length_us: f64,
    /// How long it took.
    pub took: DistributionSummary,
}

/// Measures for about `seconds`, on a thread prepared as the control thread is.
pub(super) fn measure(
    seconds: f64,
    realtime: &RealtimeConfig,
) -> Result<Vec<FloorRow>, BenchError> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let measured = thread::scope(|scope| {
        let control = thread::Builder::new().name("control".to_owned());
        let control = control.spawn_scoped(scope, || {
            realtime::prepare_thread(realtime, Role::Control);
            let mut took = LENGTHS.map(|_| Distribution::new());
            loop {
                for (length, took) in LENGTHS.iter().zip(&mut took) {
                    (0..TURN).for_each(|_| took.record(spin(*length)));
                }
                if Instant::now() >= until {
                    return took;
                }
            }
        });
        // A panic over there is one over here.
        control.map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let measured = measured.map_err(BenchError::Thread)?;
    let row = |(length, took): (&Duration, &Distribution)| FloorRow {
        length_us: length.as_secs_f64() * 1e6,
        took: took.summary(),
    };
    Ok(LENGTHS.iter().zip(&measured).map(row).collect())
}

fn spin(length: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let took = began.elapsed();
        if took >= length {
            return took;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RealtimeMode;

    #[test]
    fn an_empty_loop_takes_at_least_its_length() {
        let ordinary = RealtimeConfig { mode: RealtimeMode::Off, ..RealtimeConfig::default() };
        let rows = measure(0.001, &ordinary).unwrap();
        assert_eq!(rows.len(), LENGTHS.len());
        for FloorRow { length_us, took } in rows {
            assert_eq!(took.n, u64::from(TURN));
            assert!(took.p50_us >= length_us * 0.999 && took.max_us >= took.p999_us, "{took:?}");
        }
    }
}
