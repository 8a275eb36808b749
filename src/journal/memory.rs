//! Engines in memory: one that keeps nothing, for servers that are to forget, and one
//! that keeps everything as bytes and fails on request, for tests.

use super::chain::Chain;
use super::row::{self, Kind, Row};
use super::{Error, Group, History, Journal, Known, Read, Record, Seq, Stored, Weight};
use crate::domain::{Incarnation, Millis, Revision};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps effects for as long as they are in memory anyway: in the state that they made.
/// Markets with this journal end with their process, and have no history here.
#[derive(Debug, Default)]
pub struct Volatile {
    last: Seq,
}

impl Journal for Volatile {
    fn append(&mut self, groups: &[Group]) -> Result<Seq, Error> {
        self.last.0 += groups.len() as u64;
        Ok(self.last)
    }

    fn settle(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn trim(&mut self, _: Incarnation, _: Revision) -> Result<bool, Error> {
        Ok(false)
    }

    fn reader(&self) -> Arc<dyn Read> {
        Arc::new(Disk::default())
    }
}

/// What goes wrong with an append.
#[derive(Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// There is no room; nothing is kept.
    Full,
    /// The system reports an error; nothing is kept.
    Failed,
    /// Some of it reaches the disk before an error: a restart finds nothing of it.
    Torn,
    /// All of it reaches the disk before an error: a restart finds it.
    Unsure,
    /// It waits until the other end of the channel says something or is dropped.
    Stall(Receiver<()>),
    /// The process is gone before anything is kept: every call fails from now on.
    Crash,
    /// The process is gone after everything was kept, and before anybody learns of it.
    CrashAfter,
}

/// What a [`Memory`] writes to; it outlives the journal as a disk outlives its process.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    rows: Vec<Row>,
    chain: Chain,
    /// Written, but reported as failed: a retry writes over it, a restart finds it.
    unsure: Vec<Group>,
}

impl Disk {
    /// Held for one operation.
    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platter {
    fn append(&mut self, groups: &[Group]) -> Result<Seq, Error> {
        self.unsure.clear();
        let saved = self.chain.save(groups);
        let before = self.rows.len();
        for group in groups {
            let seq = Seq(self.rows.len() as u64 + 1);
            match self.chain.admit(seq, group) {
                Ok(revision) => self.rows.push(Row::of(seq, group, revision)),
                Err(error) => {
                    self.rows.truncate(before);
                    self.chain.restore(saved);
                    return Err(error);
                }
            }
        }
        Ok(Seq(self.rows.len() as u64))
    }
}

type Faults = Box<dyn FnMut(Seq) -> Fault + Send>;

/// A journal in memory that keeps everything, as bytes, and fails when it is told to.
pub struct Memory {
    disk: Disk,
    faults: Faults,
    crashed: bool,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("disk", &self.disk).finish_non_exhaustive()
    }
}

impl Memory {
    /// Opens the journal of a disk, on which nothing goes wrong.
    pub fn open(disk: &Disk) -> Result<Self, Error> {
        Self::with_faults(disk, |_| Fault::None)
    }

    /// Opens the journal of a disk; before each append `faults` is asked what goes wrong,
    /// with the number of its first batch.
    pub fn with_faults(
        disk: &Disk,
        faults: impl FnMut(Seq) -> Fault + Send + 'static,
    ) -> Result<Self, Error> {
        let mut platter = disk.platter();
        let unsure = std::mem::take(&mut platter.unsure);
        platter.append(&unsure)?;
        drop(platter);
        Ok(Self { disk: disk.clone(), faults: Box::new(faults), crashed: false })
    }

    fn failure(&self, what: &'static str) -> Error {
        Error::Other { path: PathBuf::from("memory"), doing: "appending", source: what.into() }
    }

    fn crash(&mut self) -> Result<Seq, Error> {
        self.crashed = true;
        Err(self.failure("the process is gone"))
    }
}

impl Journal for Memory {
    fn append(&mut self, groups: &[Group]) -> Result<Seq, Error> {
        if self.crashed {
            return self.crash();
        }
        let next = Seq(self.disk.platter().rows.len() as u64 + 1);
        match (self.faults)(next) {
            Fault::None => {}
            Fault::Full => return Err(Error::Full(PathBuf::from("memory"))),
            Fault::Failed | Fault::Torn => return Err(self.failure("input/output error")),
            Fault::Unsure => {
                // What could not have been kept is refused as ever.
                let mut platter = self.disk.platter();
                let saved = platter.chain.save(groups);
                let seq = platter.append(groups)?;
                let kept = seq.0 as usize - groups.len();
                platter.rows.truncate(kept);
                platter.chain.restore(saved);
                platter.unsure = groups.to_vec();
                drop(platter);
                return Err(self.failure("input/output error"));
            }
            Fault::Stall(until) => drop(until.recv()),
            Fault::Crash => return self.crash(),
            Fault::CrashAfter => {
                self.disk.platter().append(groups)?;
                return self.crash();
            }
        }
        self.disk.platter().append(groups)
    }

    fn settle(&mut self) -> Result<(), Error> {
        if self.crashed { self.crash().map(drop) } else { Ok(()) }
    }

    fn trim(&mut self, market: Incarnation, to: Revision) -> Result<bool, Error> {
        if self.crashed {
            return self.crash().map(|_| false);
        }
        let platter = &mut *self.disk.platter();
        let Some(link) = platter.chain.get(market) else { return Ok(false) };
        let to = if link.deleted.is_some() { u64::MAX } else { to.0 };
        let goes =
            |keys: &row::Keys| keys.incarnation == market && keys.first <= to && keys.last <= to;
        for row in &mut platter.rows {
            if row.keys.kind != Kind::Trimmed && goes(&row.keys) {
                platter.chain.trimmed(market, row.keys.last);
                *row = Row::husk(row.keys.clone());
            }
        }
        Ok(false)
    }

    fn reader(&self) -> Arc<dyn Read> {
        Arc::new(self.disk.clone())
    }
}

impl Read for Disk {
    fn markets(&self) -> Result<Vec<Known>, Error> {
        Ok(self.platter().chain.known())
    }

    fn history(&self, market: Incarnation, from: Revision, bytes: u64) -> Result<History, Error> {
        let platter = self.platter();
        let Some(link) = platter.chain.get(market) else {
            return Err(Error::Misuse(format!("there is no market of incarnation {market}")));
        };
        let oldest = Revision(link.trimmed + 1);
        let next = from.max(oldest);
        let (mut batches, mut read) = (Vec::new(), 0);
        for row in &platter.rows {
            let keys = &row.keys;
            let wanted = keys.incarnation == market && keys.kind == Kind::Entries;
            if wanted && keys.makes_revisions() && keys.last >= next.0 && read < bytes {
                read += row.events.len() as u64;
                let told =
                    row::told(&row.events).map_err(|error| Error::Misuse(error.to_string()))?;
                batches.extend(told.into_iter().filter(|batch| batch.revision >= next));
            }
        }
        Ok(History { oldest, batches })
    }

    fn batches(&self, after: Seq, bytes: u64) -> Result<Vec<Stored>, Error> {
        let platter = self.platter();
        let (mut stored, mut read) = (Vec::new(), 0);
        for row in platter.rows.iter().filter(|row| row.keys.seq > after) {
            if read >= bytes {
                break;
            }
            read += row.effects.len() as u64;
            let failed = |error: String| Error::Misuse(error);
            let record = row::record(&row.keys, &row.effects).map_err(|e| failed(e.to_string()))?;
            let name = row.keys.market_name().map_err(failed)?;
            stored.extend(record.map(|record: Record| Stored {
                seq: row.keys.seq,
                group: Group { incarnation: row.keys.incarnation, name, record },
            }));
        }
        Ok(stored)
    }

    fn weights(&self, market: Incarnation, count: usize) -> Result<Vec<Weight>, Error> {
        let platter = self.platter();
        let rows = platter
            .rows
            .iter()
            .filter(|row| row.keys.incarnation == market && row.keys.kind == Kind::Entries);
        let weight = |row: &Row| Weight {
            last: Revision(row.keys.last),
            at: Millis(row.keys.at),
            bytes: row.bytes(),
        };
        Ok(rows.take(count).map(weight).collect())
    }
}
