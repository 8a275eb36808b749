//! How far the journal was durable, kept apart from the journal.
//!
//! A database that recovers from its log stops silently at the first damaged piece, so
//! it cannot itself tell a lost end from none. The mark can: a journal that ends before
//! it is damaged. It is synced now and then, in two slots by turns, so that a torn write
//! leaves the other; a third is written after every commit without waiting for the disk,
//! which makes it exact unless the power fails.

use super::{Damage, Error, Seq, directory};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

const MAGIC: &[u8; 8] = b"GALEMARK";
/// Bytes of a slot: a page of its own, so that no write touches two.
const SLOT_BYTES: usize = 4_096;
/// Bytes of a slot that mean something: magic, server, count, number, checksum.
const USED_BYTES: usize = 8 + 16 + 8 + 8 + 4;
/// The slots that are synced by turns; the one after them is not.
const SYNCED: usize = 2;

/// What a mark says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marked {
    /// The server whose journal it is.
    pub server: Uuid,
    /// The last durable batch.
    pub seq: Seq,
    /// Whether a slot is unreadable, so that a newer number may have been lost.
    pub partly: bool,
    count: u64,
}

/// The mark of a journal, to be moved on.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    file: File,
    server: Uuid,
    /// How often it has been synced: the turn of the slots.
    count: u64,
    synced: Seq,
}

/// Reads a mark; `None` if there is none, or nothing was written to it yet.
pub(super) fn read(path: &Path) -> Result<Option<Marked>, Error> {
    let mut bytes = Vec::new();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(Error::io(path, "opening the mark"))?,
    };
    let most = (SYNCED + 1) * SLOT_BYTES;
    file.take(most as u64).read_to_end(&mut bytes).map_err(Error::io(path, "reading the mark"))?;
    let slots: Vec<_> =
        bytes.chunks(SLOT_BYTES).filter(|slot| slot.iter().any(|b| *b != 0)).collect();
    if slots.is_empty() {
        return Ok(None);
    }
    let read: Vec<_> = slots.iter().filter_map(|slot| parse(slot)).collect();
    let Some(newest) = read.iter().copied().max_by_key(|marked| marked.seq) else {
        return Err(Damage::of(path, "no slot of it is readable").into());
    };
    if read.iter().any(|marked| marked.server != newest.server) {
        return Err(Damage::of(path, "its slots are of different servers").into());
    }
    let count = read.iter().map(|marked| marked.count).max().unwrap_or(0);
    Ok(Some(Marked { partly: read.len() < slots.len(), count, ..newest }))
}

fn parse(slot: &[u8]) -> Option<Marked> {
    let used = slot.get(..USED_BYTES)?;
    let (body, crc) = used.split_at(USED_BYTES - 4);
    if &body[..8] != MAGIC || crc32fast::hash(body).to_le_bytes() != crc {
        return None;
    }
    let number = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().unwrap_or_default());
    let server = Uuid::from_slice(&body[8..24]).ok()?;
    Some(Marked { server, count: number(24), seq: Seq(number(32)), partly: false })
}

impl Marked {
    /// Whether its journal had been made completely: the mark is synced once before it is
    /// made and once after.
    pub(super) fn made(&self) -> bool {
        self.count >= 2
    }
}

impl Mark {
    /// The mark of a new journal, or of one that was repaired: durable when this returns.
    pub(super) fn make(path: &Path, server: Uuid, seq: Seq) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(Error::io(path, "making the mark"))?;
        let mut mark = Self { path: path.into(), file, server, count: 0, synced: Seq(0) };
        mark.sync(seq)?;
        directory::sync(path.parent().unwrap_or(Path::new(".")))?;
        Ok(mark)
    }

    /// Goes on from a mark that was read.
    pub(super) fn go_on(path: &Path, marked: Marked) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(Error::io(path, "opening the mark"))?;
        let Marked { server, seq, count, .. } = marked;
        Ok(Self { path: path.into(), file, server, count, synced: seq })
    }

    /// The number that has been synced.
    pub(super) fn synced(&self) -> Seq {
        self.synced
    }

    /// Moves the mark on; durable when this returns.
    pub(super) fn sync(&mut self, seq: Seq) -> Result<(), Error> {
        let slot = (self.count as usize + 1) % SYNCED;
        let written = self.write(slot, self.count + 1, seq).and_then(|()| self.file.sync_data());
        written.map_err(Error::io(&self.path, "syncing the mark"))?;
        self.count += 1;
        self.synced = seq;
        Ok(())
    }

    /// Moves the mark on as far as this process goes.
    pub(super) fn note(&mut self, seq: Seq) -> io::Result<()> {
        self.write(SYNCED, self.count, seq)
    }

    fn write(&mut self, slot: usize, count: u64, seq: Seq) -> io::Result<()> {
        let mut bytes = [0; USED_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(self.server.as_bytes());
        bytes[24..32].copy_from_slice(&count.to_le_bytes());
        bytes[32..40].copy_from_slice(&seq.0.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_le_bytes());
        self.file.seek(SeekFrom::Start((slot * SLOT_BYTES) as u64))?;
        self.file.write_all(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the newest number is read back whatever happens to one slot, and damage of
    /// all is told.
    #[test]
    fn one_damaged_slot_leaves_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        assert_eq!(read(&path).unwrap(), None);
        let server = Uuid::from_u128(5);
        let mut mark = Mark::make(&path, server, Seq(0)).unwrap();
        for seq in [3, 8, 11] {
            mark.sync(Seq(seq)).unwrap();
        }
        mark.note(Seq(14)).unwrap();
        let marked = read(&path).unwrap().unwrap();
        assert_eq!((marked.seq, marked.server, marked.partly), (Seq(14), server, false));
        let whole = std::fs::read(&path).unwrap();
        let damage = |slots: &[usize]| {
            let mut bytes = whole.clone();
            slots.iter().for_each(|slot| bytes[slot * SLOT_BYTES + 33] ^= 4);
            std::fs::write(&path, bytes).unwrap();
            read(&path).map(|marked| marked.map(|marked| (marked.seq.0, marked.partly)))
        };
        assert_eq!(damage(&[2]).unwrap(), Some((11, true)));
        // Synced were 0, 3, 8, 11 into slots 1, 0, 1, 0.
        assert_eq!(damage(&[0, 2]).unwrap(), Some((8, true)));
        assert_eq!(damage(&[1, 2]).unwrap(), Some((11, true)));
        assert!(damage(&[0, 1, 2]).is_err());
        // It goes on by turns.
        std::fs::write(&path, &whole).unwrap();
        let mut mark = Mark::go_on(&path, read(&path).unwrap().unwrap()).unwrap();
        mark.sync(Seq(15)).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().seq, Seq(15));
    }
}
