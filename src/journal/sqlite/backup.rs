//! A copy of a data directory, made beside a server that runs.
//!
//! The database is copied as it is between two commits, the snapshots before it, so that none
//! is ahead of it; then the copy is checked as a whole. If the server has trimmed meanwhile
//! what a copied snapshot would have needed, it is done again.

use super::super::mark::Mark;
use super::super::snapshot::Snapshots;
use super::super::{Directory, Error, directory};
use super::schema::{self, Meta};
use super::verify::{Report, check};
use super::{failed, stat};
use std::fs;
use std::path::Path;

/// How often the copy is begun again.
const ATTEMPTS: usize = 3;

/// Copies the journal and the snapshots of `data` into `to`, which is made and must be empty,
/// and checks the copy. A server can be started on it.
pub fn backup(data: &Path, to: &Path) -> Result<Report, Error> {
    let failed = Error::io(to, "making the backup");
    fs::create_dir_all(to).map_err(&failed)?;
    if fs::read_dir(to).map_err(&failed)?.next().is_some() {
        return Err(Error::Misuse(format!("the directory {} is not empty", to.display())));
    }
    let mut attempt = 1;
    loop {
        match copy(data, to) {
            Err(Error::Damaged(_)) if attempt < ATTEMPTS => attempt += 1,
            copied => return copied,
        }
        for entry in fs::read_dir(to).map_err(&failed)? {
            let path = entry.map_err(&failed)?.path();
            match path.is_dir() {
                true => fs::remove_dir_all(&path).map_err(&failed)?,
                false => fs::remove_file(&path).map_err(&failed)?,
            }
        }
    }
}

fn copy(data: &Path, to: &Path) -> Result<Report, Error> {
    copy_snapshots(data, to)?;
    let (database, copied) = (directory::database(data), directory::database(to));
    let connection = schema::open_to_read(&database)?;
    schema::check(&connection, &database)?;
    let Meta { server, .. } = Meta::read(&connection, &database)?;
    let name = copied.to_string_lossy();
    // The copy is written through the connection that reads.
    let copy = connection.execute_batch("PRAGMA query_only = OFF");
    let copy = copy.and_then(|()| connection.execute("VACUUM INTO ?1", [&*name]));
    copy.map_err(failed(&copied, "copying"))?;
    let file = fs::File::open(&copied).and_then(|file| file.sync_all());
    file.map_err(Error::io(&copied, "syncing the copy"))?;
    let directory = Directory::take_existing(to)?;
    Mark::make(&directory.mark(), server, stat(to)?.last)?;
    check(&directory)
}

fn copy_snapshots(data: &Path, to: &Path) -> Result<(), Error> {
    let (from, to) = (data.join("snapshots"), to.join("snapshots"));
    fs::create_dir_all(&to).map_err(Error::io(&to, "making the directory"))?;
    for listed in Snapshots::of(from).list_all()? {
        let name = listed.path.file_name().unwrap_or_default();
        match fs::copy(&listed.path, to.join(name)) {
            Ok(_) => {}
            // A newer one has taken its place: the check says whether it is missed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(&to, "copying a snapshot")(error)),
        }
    }
    directory::sync(&to)
}
