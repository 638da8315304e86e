//! An inference allocates nothing, on any of its threads.

#![allow(clippy::unwrap_used)]
#![allow(unsafe_code, reason = "an allocator that counts")]

mod support;

use serde_json::json;
use sinew_models::{LoadOptions, Observation};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use support::Checkpoint;

/// Counts what every thread asks for.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The only test of this program: another one beside it would be counted as well.
#[test]
fn no_thread_allocates_while_a_policy_infers() {
    let plain = Checkpoint::copy("act_tiny");
    let prepared = Checkpoint::copy("act_tiny");
    prepared.edit_json("config.json", |config| {
        config["sinew"] = json!({
            "colors": "bgr",
            "keep": [[1, 2, 60, 40]],
            "image_weights": { "inside": 2, "outside": 1, "rectangle": [9, 9, 20, 20] },
            "crop": { "center": [40, 40] },
            "resize": [64, 48],
        });
    });
    let image = vec![77; 48 * 64 * 3];
    let observation = Observation { vectors: &[&[0.1; 6]], images: &[&image, &image] };
    let mut actions = [0.0; 48];
    for (threads, folder) in [(1, plain.path()), (3, plain.path()), (3, prepared.path())] {
        let options = LoadOptions { threads, ..LoadOptions::default() };
        let mut policy = sinew_models::load(folder, &options).unwrap();
        policy.predict(&observation, &mut actions).unwrap();
        let before = COUNT.load(Ordering::Relaxed);
        for _ in 0..20 {
            policy.predict(&observation, &mut actions).unwrap();
        }
        assert_eq!(COUNT.load(Ordering::Relaxed) - before, 0, "{threads} threads");
    }
    let before = COUNT.load(Ordering::Relaxed);
    drop(std::hint::black_box(vec![1_u8; 100]));
    assert!(COUNT.load(Ordering::Relaxed) > before, "the allocator counts");
}
