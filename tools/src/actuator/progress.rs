//! What a person sees while a network learns: a bar on a terminal, a line per epoch elsewhere.

use super::checkpoint::Epoch;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Reports one training after the other.
pub struct Reporter {
    bar: Option<ProgressBar>,
    label: String,
    begun: Instant,
    first_epoch: Option<usize>,
    epochs: usize,
}

impl Reporter {
    /// `label` names the fold, or is empty.
    pub fn new(label: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg} eta {eta}");
            style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
        });
        let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
        Self { bar, label, begun: Instant::now(), first_epoch: None, epochs: 0 }
    }

    pub fn begin_epoch(&mut self, epoch: usize, epochs: usize, batches: usize) {
        self.first_epoch.get_or_insert(epoch);
        self.epochs = epochs;
        if let Some(bar) = &self.bar {
            bar.set_length(batches as u64);
            bar.reset();
            bar.set_prefix(format!("{}epoch {}/{epochs}", self.label, epoch + 1));
        }
    }

    pub fn batch(&mut self, batch: usize, loss_sum: f64) {
        if let Some(bar) = &self.bar {
            bar.set_position(batch as u64);
            bar.set_message(format!("loss {:.5}", loss_sum / batch.max(1) as f64));
        }
    }

    pub fn end_epoch(&mut self, record: &Epoch, better: bool) {
        let done = record.epoch + 1 - self.first_epoch.unwrap_or(record.epoch);
        let left = self.epochs.saturating_sub(record.epoch + 1);
        let eta = self.begun.elapsed().mul_f64(left as f64 / done.max(1) as f64);
        let line = format!(
            "{}epoch {}/{}  loss {:.6}  val_rmse {:.5} N·m  r2 {:.4}  {:.1} s  at most {} more{}",
            self.label,
            record.epoch + 1,
            self.epochs,
            record.train_loss,
            record.val_rmse,
            record.val_r2,
            record.seconds,
            duration(eta),
            if better { "  best" } else { "" }
        );
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// In the largest two units.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
