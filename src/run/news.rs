//! What happened since somebody last asked, for a console that prints a line a second.

use std::sync::{Arc, Mutex, PoisonError};

use sinew_episodes::journal::EventRecord;

use crate::recording::{CycleSample, Observer};

/// Kinds of events that the console hears of by itself.
const SAID_ALREADY: [&str; 3] = ["realtime", "watchdog", "supervision"];
/// Most kinds of events that are kept apart.
const MOST_KINDS: usize = 32;

/// Collects on the recorder's thread; told from another.
#[derive(Clone, Default)]
pub(super) struct News {
    items: Arc<Mutex<Vec<Item>>>,
}

/// The newest event of a kind, and how many there were.
struct Item {
    kind: String,
    message: String,
    count: usize,
}

impl News {
    /// A line for each kind of event since the last call, in the order in which they first came:
    /// the newest of its kind, and how many more there were.
    pub fn take(&self) -> Vec<String> {
        let items = std::mem::take(&mut *self.items.lock().unwrap_or_else(PoisonError::into_inner));
        let line = |Item { kind, message, count }: Item| match count {
            1 => format!("{kind}: {message}"),
            _ => format!("{kind}: {message} (and {} more)", count - 1),
        };
        items.into_iter().map(line).collect()
    }
}

impl Observer for News {
    fn sample(&mut self, _sample: &CycleSample) {}

    fn event(&mut self, event: &EventRecord) {
        if SAID_ALREADY.contains(&event.kind.as_str()) {
            return;
        }
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        // States follow each other: each is news.
        let same = |item: &&mut Item| item.kind == event.kind && event.kind != "state";
        if let Some(item) = items.iter_mut().find(same) {
            item.message.clone_from(&event.message);
            item.count += 1;
        } else if items.len() < MOST_KINDS {
            let (kind, message) = (event.kind.clone(), event.message.clone());
            items.push(Item { kind, message, count: 1 });
        }
    }

    fn recording(&mut self, _fault: Option<&str>, _unwritten: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, message: &str) -> EventRecord {
        EventRecord { at_ns: 0, kind: kind.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn each_kind_is_told_once_with_its_number_and_every_state() {
        let news = News::default();
        let mut observer = news.clone();
        for (kind, message) in [
            ("state", "disarmed → holding"),
            ("overrun", "cycle 1"),
            ("realtime", "said already"),
            ("overrun", "cycle 2"),
            ("state", "holding → running"),
            ("overrun", "cycle 3"),
        ] {
            observer.event(&event(kind, message));
        }
        let lines = [
            "state: disarmed → holding",
            "overrun: cycle 3 (and 2 more)",
            "state: holding → running",
        ];
        assert_eq!(news.take(), lines);
        assert!(news.take().is_empty());
    }
}
