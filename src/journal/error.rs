//! What can go wrong with a journal, in kinds that a caller acts on differently.

use super::Seq;
use crate::domain::Incarnation;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk is full. Nothing was kept; the same may be tried again once there is room.
    #[error("no room is left on the disk of the data directory {}", .0.display())]
    Full(PathBuf),
    /// The files cannot be written.
    #[error("the data directory {} cannot be written: it is read-only", .0.display())]
    ReadOnly(PathBuf),
    /// Another process has the directory.
    #[error("the data directory {} is in use by {}", dir.display(), holder(*pid))]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process, if it has said its number.
        pid: Option<u32>,
    },
    /// What was kept is not what is there.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// The caller asked for what no journal may hold, such as a gap in revisions.
    #[error("the journal was misused: {0}")]
    Misuse(String),
    /// Anything else that the system said. The same may be tried again.
    #[error("{}: {doing}: {source}", path.display())]
    Other {
        /// The file or directory.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or("another process".into(), |pid| format!("process {pid}"))
}

impl Error {
    /// For `map_err` on file operations.
    pub(super) fn io<'a>(
        path: &'a Path,
        doing: &'static str,
    ) -> impl Fn(io::Error) -> Self + use<'a> {
        move |error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path.into()),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path.into()),
            _ => Self::Other { path: path.into(), doing, source: error.into() },
        }
    }

    /// Whether the same may succeed later, without anybody repairing anything here.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Full(_) | Self::ReadOnly(_) | Self::Other { .. })
    }

    /// The damage, if that is what is wrong.
    pub fn damage(&self) -> Option<&Damage> {
        match self {
            Self::Damaged(damage) => Some(damage),
            _ => None,
        }
    }
}

impl Error {
    /// The same, with advice if it is damage that has none yet.
    pub(super) fn advise(self, advice: impl FnOnce() -> String) -> Self {
        match self {
            Self::Damaged(damage) if damage.advice.is_empty() => damage.advice(advice()).into(),
            other => other,
        }
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

/// What is damaged, where, and what is intact before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The batch, if it is known.
    pub seq: Option<Seq>,
    /// Its market, if it is known: name and incarnation.
    pub market: Option<(String, Incarnation)>,
    /// The revisions that the batch makes, if they are known: first and last.
    pub revisions: Option<(u64, u64)>,
    /// What was found there.
    pub found: String,
    /// The last batch up to which everything is intact, if the batches can be read at all.
    pub intact: Option<Seq>,
    /// What to do.
    pub advice: String,
}

impl Damage {
    /// Damage of a whole file.
    pub(super) fn of(file: impl Into<PathBuf>, found: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            seq: None,
            market: None,
            revisions: None,
            found: found.into(),
            intact: None,
            advice: String::new(),
        }
    }

    /// The same with what is intact, and what can be done with that.
    pub(super) fn intact(mut self, dir: &Path, intact: Seq) -> Self {
        let dir = dir.display();
        self.advice = format!(
            "`gale journal check {dir}` lists what is intact, \
             `gale journal repair {dir} --to {intact}` gives up everything after batch {intact}"
        );
        self.intact = Some(intact);
        self
    }

    /// The same with advice of its own.
    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged", self.file.display())?;
        if let Some(seq) = self.seq {
            write!(f, " at batch {seq}")?;
        }
        if let Some((name, incarnation)) = &self.market {
            write!(f, ", market {name} ({incarnation})")?;
        }
        match self.revisions {
            Some((first, last)) if first < last => write!(f, ", revisions {first}..{last}")?,
            Some((_, last)) => write!(f, ", revision {last}")?,
            None => {}
        }
        write!(f, ": {}", self.found)?;
        if let Some(intact) = self.intact {
            write!(f, "; everything up to batch {intact} is intact")?;
        }
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Damage {}
