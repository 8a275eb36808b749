//! Whole states in files, so that a recovery need not read everything, and a journal can
//! be trimmed.
//!
//! A file per market and revision: a magic, then frames. Each frame has a length and a
//! checksum over its number and bytes; the first says what it is of, the last that it is
//! complete. A file gets its name only when it is durable. The newest two of a market are
//! kept, so that a damaged one leaves another: a journal is trimmed to the older of them.

use super::{Damage, Error, Seq, codec, directory};
use crate::domain::{Incarnation, MarketName, Millis, Revision};
use crate::state::{Capacity, Dump, Part, Restoring, State};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

const MAGIC: &[u8; 8] = b"GALESNAP";
/// Snapshots of a market that are kept.
const KEPT: usize = 2;
/// What comes before a frame's bytes: their length and checksum.
const FRAME_HEAD_BYTES: usize = 8;

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The creation of the market.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: MarketName,
    /// Its revision.
    pub revision: Revision,
    /// A batch up to which everything of the market is in the state. Some of what follows
    /// it may be in it too.
    pub seq: Seq,
    /// The market's clock then.
    pub at: Millis,
}

#[derive(Serialize, Deserialize)]
enum Frame {
    Cover(Cover),
    Part(Part),
    /// So many frames came before.
    End(u64),
}

/// A file that has a snapshot's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The creation of the market.
    pub incarnation: Incarnation,
    /// Its revision.
    pub revision: Revision,
    /// The file.
    pub path: PathBuf,
}

/// The snapshots of a data directory.
#[derive(Clone, Debug)]
pub struct Snapshots {
    path: PathBuf,
}

impl Snapshots {
    /// Those in this directory, which may be missing.
    pub fn of(path: PathBuf) -> Self {
        Self { path }
    }

    /// Writes a snapshot, durable when this returns, and removes all but the newest two of
    /// its market. Takes little memory. Tells how many bytes it has.
    pub fn write(&self, cover: &Cover, dump: &Dump) -> Result<u64, Error> {
        assert!(cover.revision == dump.revision(), "a snapshot is of its state's revision");
        fs::create_dir_all(&self.path).map_err(Error::io(&self.path, "making the directory"))?;
        let name = format!("{}-{:020}", cover.incarnation, cover.revision.0);
        let partial = self.path.join(format!("{name}.partial"));
        let written = write_file(&partial, cover, dump);
        let bytes =
            written.map_err(Error::io(&partial, "writing a snapshot")).inspect_err(|_| {
                // It takes room, and nobody will read it.
                let _ = fs::remove_file(&partial);
            })?;
        let path = self.path.join(format!("{name}.snapshot"));
        fs::rename(&partial, &path).map_err(Error::io(&path, "naming a snapshot"))?;
        directory::sync(&self.path)?;
        for old in self.list(cover.incarnation)?.iter().skip(KEPT) {
            fs::remove_file(&old.path).map_err(Error::io(&old.path, "removing a snapshot"))?;
        }
        Ok(bytes)
    }

    /// The snapshots of a market, newest first.
    pub fn list(&self, market: Incarnation) -> Result<Vec<Listed>, Error> {
        let mut all = self.list_all()?;
        all.retain(|listed| listed.incarnation == market);
        Ok(all)
    }

    /// All snapshots, by market, newest first.
    pub fn list_all(&self) -> Result<Vec<Listed>, Error> {
        let failed = Error::io(&self.path, "listing snapshots");
        let mut all = Vec::new();
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            entries => entries.map_err(&failed)?,
        };
        for entry in entries {
            all.extend(parse_name(entry.map_err(&failed)?.path()));
        }
        all.sort_by_key(|listed| (listed.incarnation, std::cmp::Reverse(listed.revision)));
        Ok(all)
    }

    /// The revision up to which a market may be trimmed, so that each of its two snapshots
    /// leads to the present; `None` while it has fewer.
    pub fn trim_to(&self, market: Incarnation) -> Result<Option<Revision>, Error> {
        Ok(self.list(market)?.get(KEPT - 1).map(|listed| listed.revision))
    }

    /// Removes the snapshots of a market that was deleted.
    pub fn forget(&self, market: Incarnation) -> Result<(), Error> {
        for listed in self.list(market)? {
            fs::remove_file(&listed.path)
                .map_err(Error::io(&listed.path, "removing a snapshot"))?;
        }
        Ok(())
    }

    /// Removes what was half written when a process ended.
    pub fn sweep(&self) -> Result<(), Error> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(Error::io(&self.path, "listing snapshots"))?,
        };
        for entry in entries {
            let path = entry.map_err(Error::io(&self.path, "listing snapshots"))?.path();
            if path.extension() == Some(OsStr::new("partial")) {
                fs::remove_file(&path).map_err(Error::io(&path, "removing half a snapshot"))?;
            }
        }
        Ok(())
    }

    /// Takes a snapshot out of the list, and leaves its bytes.
    pub fn set_aside(&self, listed: &Listed) -> Result<PathBuf, Error> {
        let aside = listed.path.with_extension("snapshot-damaged");
        fs::rename(&listed.path, &aside).map_err(Error::io(&aside, "setting a snapshot aside"))?;
        directory::sync(&self.path)?;
        Ok(aside)
    }

    /// Reads a state; everything of it is checked.
    pub fn read(&self, listed: &Listed, capacity: Capacity) -> Result<(Cover, State), Error> {
        let path = &listed.path;
        let mut frames = Frames::open(path)?;
        let cover = cover_of(&mut frames, listed)?;
        let mut restoring = Restoring::new(capacity);
        loop {
            match frames.next()? {
                Frame::Part(part) => {
                    restoring.take(part).map_err(|unfit| frames.damage(unfit.to_string()))?;
                }
                Frame::End(count) if count + 1 == frames.read => break,
                Frame::Cover(_) | Frame::End(_) => return Err(frames.damage("frames are missing")),
            }
        }
        if frames.left > 0 {
            return Err(frames.damage(format!("{} bytes follow its end", frames.left)));
        }
        let state = restoring.finish().map_err(|unfit| frames.damage(unfit.to_string()))?;
        let head = &state.view().head;
        let is_of = (head.incarnation, &head.name, head.revision);
        if is_of != (cover.incarnation, &cover.name, cover.revision) {
            return Err(frames.damage("its state is of another market or revision"));
        }
        Ok((cover, state))
    }

    /// What a snapshot is of, without reading the rest.
    pub fn cover(&self, listed: &Listed) -> Result<Cover, Error> {
        cover_of(&mut Frames::open(&listed.path)?, listed)
    }
}

fn cover_of(frames: &mut Frames<'_>, listed: &Listed) -> Result<Cover, Error> {
    match frames.next()? {
        Frame::Cover(cover) => {
            if (cover.incarnation, cover.revision) == (listed.incarnation, listed.revision) {
                return Ok(cover);
            }
            Err(frames.damage("it is of another market or revision than its name says"))
        }
        _ => Err(frames.damage("it does not say what it is of")),
    }
}

/// A snapshot by the name of its file.
fn parse_name(path: PathBuf) -> Option<Listed> {
    if path.extension() != Some(OsStr::new("snapshot")) {
        return None;
    }
    let (incarnation, revision) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    let incarnation = Incarnation(Uuid::try_parse(incarnation).ok()?);
    Some(Listed { incarnation, revision: Revision(revision.parse().ok()?), path })
}

fn write_file(path: &Path, cover: &Cover, dump: &Dump) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(MAGIC)?;
    let (mut count, mut bytes) = (0_u64, MAGIC.len() as u64);
    let mut write = |frame: Frame| -> io::Result<u64> {
        let content = codec::encode(&frame);
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(&crc(count, &content).to_le_bytes())?;
        file.write_all(&content)?;
        count += 1;
        bytes += (FRAME_HEAD_BYTES + content.len()) as u64;
        Ok(count)
    };
    let mut frames = write(Frame::Cover(cover.clone()))?;
    for part in dump.parts() {
        frames = write(Frame::Part(part))?;
    }
    write(Frame::End(frames))?;
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(bytes)
}

fn crc(number: u64, content: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&number.to_le_bytes());
    crc.update(content);
    crc.finalize()
}

/// The frames of a file, one by one.
struct Frames<'a> {
    path: &'a Path,
    file: BufReader<File>,
    /// Bytes that have not been read.
    left: u64,
    /// Frames that have been read.
    read: u64,
    content: Vec<u8>,
}

impl<'a> Frames<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let failed = Error::io(path, "opening a snapshot");
        let file = File::open(path).map_err(&failed)?;
        let left = file.metadata().map_err(&failed)?.len();
        let file = BufReader::with_capacity(1 << 20, file);
        let mut frames = Self { path, file, left, read: 0, content: Vec::new() };
        let mut magic = [0; MAGIC.len()];
        frames.fill(&mut magic)?;
        if &magic != MAGIC {
            return Err(frames.damage("it does not begin as a snapshot does"));
        }
        Ok(frames)
    }

    fn next(&mut self) -> Result<Frame, Error> {
        let mut head = [0; FRAME_HEAD_BYTES];
        self.fill(&mut head)?;
        let [length, sum] = [&head[..4], &head[4..]]
            .map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap_or_default()));
        if u64::from(length) > self.left {
            return Err(self.damage("it ends inside a frame"));
        }
        let mut content = std::mem::take(&mut self.content);
        content.resize(length as usize, 0);
        self.fill(&mut content)?;
        if crc(self.read, &content) != sum {
            return Err(self.damage(format!("frame {} fails its checksum", self.read)));
        }
        let frame = codec::decode(&content);
        self.content = content;
        let frame = frame.map_err(|error| self.damage(format!("frame {}: {error}", self.read)))?;
        self.read += 1;
        Ok(frame)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        if bytes.len() as u64 > self.left {
            return Err(self.damage("it ends early"));
        }
        self.left -= bytes.len() as u64;
        self.file.read_exact(bytes).map_err(Error::io(self.path, "reading a snapshot"))
    }

    fn damage(&self, found: impl Into<String>) -> Error {
        let advice = "the snapshot before it leads to the same state";
        Damage::of(self.path, found).advice(advice).into()
    }
}
