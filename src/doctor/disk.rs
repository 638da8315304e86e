//! The recording directory: room, and how long it takes until data is on the disk.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{statfs, statvfs};

use super::check::{Area, Check, Verdict};

const AREA: Area = Area::Disk;

/// Writes that are measured, and the time after which no more are begun.
const WRITES: usize = 20;
const LONGEST: Duration = Duration::from_secs(2);

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

pub(super) fn checks(directory: &Path) -> Vec<Check> {
    if !directory.is_dir() {
        let found = format!("{}: no such folder", directory.display());
        let remedy = "name an existing folder with --directory";
        return vec![Check::other(AREA, "directory", Verdict::Bad, found, remedy)];
    }
    vec![free_space(directory), write_latency(directory)]
}

fn free_space(directory: &Path) -> Check {
    const NAME: &str = "free space";
    let shown = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let shown = shown.display();
    let free = match statvfs(directory) {
        Ok(status) => status.f_bavail.saturating_mul(status.f_frsize),
        Err(error) => {
            let found = format!("{shown}: {error}");
            return Check::other(AREA, NAME, Verdict::Unknown, found, "see df");
        }
    };
    let verdict = room(free);
    let found = format!("{:.1} GB in {shown}", free as f64 / 1e9);
    if verdict != Verdict::Ok {
        let remedy = "make room, or record elsewhere (recording.directory)";
        return Check::other(AREA, NAME, verdict, found, remedy);
    }
    if statfs(directory).is_ok_and(|status| status.f_type == TMPFS) {
        let found = format!("{found}, which is memory (tmpfs)");
        return Check::other(
            AREA,
            NAME,
            Verdict::Warn,
            found,
            "record on a disk: it is lost at power-off",
        );
    }
    Check::ok(AREA, NAME, found)
}

/// A run writes some MB a minute and camera.
const fn room(bytes: u64) -> Verdict {
    match bytes {
        0..200_000_000 => Verdict::Bad,
        200_000_000..5_000_000_000 => Verdict::Warn,
        _ => Verdict::Ok,
    }
}

fn write_latency(directory: &Path) -> Check {
    const NAME: &str = "fsync";
    match measure(directory) {
        Ok(mut times) => {
            times.sort_unstable();
            let millis =
                |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
            let (median, longest) = (millis(times.get(times.len() / 2)), millis(times.last()));
            let found = format!(
                "{median:.1} ms median, {longest:.1} ms longest of {} writes of 4 KiB",
                times.len()
            );
            match longest {
                ..=200.0 => Check::ok(AREA, NAME, found),
                _ => Check::other(
                    AREA,
                    NAME,
                    Verdict::Warn,
                    found,
                    "record on a faster disk: samples wait in the ring meanwhile, and drop when \
                     it is full",
                ),
            }
        }
        Err(error) => {
            let found = format!("{}: {error}", directory.display());
            Check::other(AREA, NAME, Verdict::Bad, found, remedy(error.kind()))
        }
    }
}

/// What helps against a write that failed.
const fn remedy(error: io::ErrorKind) -> &'static str {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error {
        StorageFull => "the disk is full: make room, or name a folder elsewhere with --directory",
        QuotaExceeded => "the quota is used up: make room, or name another folder with --directory",
        ReadOnlyFilesystem => {
            "the file system is mounted read-only: mount it for writing, or name another folder \
             with --directory"
        }
        PermissionDenied => {
            "make the folder writable for this user, or name another with --directory"
        }
        _ => "see dmesg for what the disk says, or name another folder with --directory",
    }
}

/// How long each of some small writes takes until it is on the disk.
fn measure(directory: &Path) -> io::Result<Vec<Duration>> {
    let path = directory.join(format!(".sinew-doctor-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let result = (|| {
        let began = Instant::now();
        let mut times = Vec::with_capacity(WRITES);
        while times.len() < WRITES && began.elapsed() < LONGEST {
            let start = Instant::now();
            file.write_all(&[0x5a; 4096])?;
            file.sync_data()?;
            times.push(start.elapsed());
        }
        Ok(times)
    })();
    drop(file);
    // Why a write failed says more than why nothing could be tidied up after it.
    let removed = fs::remove_file(&path);
    result.and_then(|times| removed.map(|()| times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_measured_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let times = measure(folder.path()).unwrap();
        assert!(!times.is_empty() && times.iter().all(|time| !time.is_zero()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(checks(folder.path()).len(), 2);
    }

    #[test]
    fn a_missing_folder_is_bad() {
        let folder = tempfile::tempdir().unwrap();
        let checks = checks(&folder.path().join("nowhere"));
        assert_eq!(checks[0].verdict, Verdict::Bad);
        assert!(checks[0].found.contains("nowhere"));
    }

    #[test]
    fn each_failure_has_its_own_remedy() {
        assert!(remedy(io::ErrorKind::StorageFull).contains("make room"));
        assert!(remedy(io::ErrorKind::PermissionDenied).contains("writable for this user"));
        assert!(remedy(io::ErrorKind::ReadOnlyFilesystem).contains("read-only"));
        // A device on which every write fails for want of room.
        if let Ok(mut full) = OpenOptions::new().write(true).open("/dev/full") {
            let error = full.write_all(&[0]).unwrap_err();
            assert!(remedy(error.kind()).contains("full"));
        }
    }

    #[test]
    fn room_is_judged_in_steps() {
        assert_eq!(room(100_000_000), Verdict::Bad);
        assert_eq!(room(1_000_000_000), Verdict::Warn);
        assert_eq!(room(50_000_000_000), Verdict::Ok);
    }
}
