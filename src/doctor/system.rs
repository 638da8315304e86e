//! The kernel's files under a root folder.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use rustix::fs::{Access, access};

/// A kernel configuration has some 300 kB; whatever is longer is not one.
const LONGEST_CONFIG: u64 = 8 << 20;

/// A computer, as its files show it.
#[derive(Clone, Debug)]
pub(super) struct System {
    root: PathBuf,
}

impl System {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// A file's text without white space around it; `None` if it cannot be read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A file's number.
    pub(super) fn number(&self, path: &str) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    /// The text of a gzip file.
    pub(super) fn gzip_text(&self, path: &str) -> Option<String> {
        let file = fs::File::open(self.path(path)).ok()?;
        let mut text = String::new();
        GzDecoder::new(file).take(LONGEST_CONFIG).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Names in a folder that begin with `prefix`, in order of length and then of the alphabet, so
    /// that `cpu10` follows `cpu9`. Empty if there is no such folder.
    pub(super) fn names(&self, folder: &str, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        names
    }

    /// The last part of where a link points.
    pub(super) fn link_name(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        target.file_name()?.to_str().map(str::to_owned)
    }

    /// Whether this user may read and write a device node. It is not opened: opening a serial
    /// port moves its control lines, which resets some boards.
    pub(super) fn may_use(&self, path: &str) -> bool {
        access(self.path(path), Access::READ_OK | Access::WRITE_OK).is_ok()
    }

    /// Whether this user may write a device node.
    pub(super) fn may_write(&self, path: &str) -> bool {
        access(self.path(path), Access::WRITE_OK).is_ok()
    }
}

/// A folder that stands for a computer, for tests.
#[cfg(test)]
pub(super) mod fake {
    use std::os::unix::fs::symlink;

    use super::System;

    /// Keeps the folder as long as it lives.
    pub(crate) struct Fake {
        folder: tempfile::TempDir,
    }

    impl Fake {
        pub(crate) fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        pub(crate) fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            self
        }

        pub(crate) fn link(self, path: &str, target: &str) -> Self {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
            self
        }

        pub(crate) fn system(&self) -> System {
            System::new(self.folder.path())
        }
    }

    #[test]
    fn files_are_read_under_the_root_only() {
        let fake = Fake::new()
            .file("proc/a", " 17 \n")
            .file("sys/cpu10/x", "")
            .file("sys/cpu9/x", "")
            .file("sys/other", "")
            .link("sys/driver", "../../bus/drivers/virtio_net");
        let system = fake.system();
        assert_eq!(system.number("proc/a"), Some(17));
        assert_eq!(system.text("proc/cpuinfo"), None);
        assert_eq!(system.names("sys", "cpu"), ["cpu9", "cpu10"]);
        assert_eq!(system.link_name("sys/driver").as_deref(), Some("virtio_net"));
        assert!(system.names("nowhere", "").is_empty());
    }
}
