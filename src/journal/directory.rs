//! A data directory: its files, and the one process that has it.

use super::Error;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A data directory, which belongs to this process while this value lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Locked; the lock goes with the file.
    _lock: File,
}

impl Directory {
    /// Takes the directory, which is made if it is missing.
    pub fn take(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::io(path, "making the directory"))?;
        Self::take_existing(path)
    }

    /// Takes a directory that exists.
    pub fn take_existing(path: &Path) -> Result<Self, Error> {
        let file = path.join("gale.lock");
        let failed = Error::io(&file, "locking the directory");
        let mut options = OpenOptions::new();
        let mut lock = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(&failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = lock.read_to_string(&mut pid);
                return Err(Error::Locked { dir: path.into(), pid: pid.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let pid = std::process::id();
        // On a full disk the number is missing, and the lock holds all the same.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{pid}"));
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's database.
    pub fn database(&self) -> PathBuf {
        database(&self.path)
    }

    /// How far the journal was durable.
    pub(super) fn mark(&self) -> PathBuf {
        self.path.join("gale.mark")
    }

    /// The snapshots of states.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }
}

/// The journal's database in a data directory.
pub(super) fn database(directory: &Path) -> PathBuf {
    directory.join("gale.db")
}

/// Makes names that were given or taken in a directory durable.
pub(super) fn sync(directory: &Path) -> Result<(), Error> {
    // Elsewhere a directory is no file, and renames are the system's business.
    #[cfg(unix)]
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(Error::io(directory, "syncing the directory"))?;
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: one holder at a time, whom the second learns of; free again afterwards.
    #[test]
    fn a_directory_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let held = Directory::take(dir.path()).unwrap();
        let second = Directory::take(dir.path()).unwrap_err();
        let expected = format!(
            "the data directory {} is in use by process {}",
            dir.path().display(),
            std::process::id()
        );
        assert_eq!(second.to_string(), expected);
        drop(held);
        Directory::take(dir.path()).unwrap();
    }
}
