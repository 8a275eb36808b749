//! The server: this program again, as `gale serve`, on one data directory. It ends by
//! SIGKILL alone.

use crate::Result;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Effects after which a snapshot is written: often.
const SNAPSHOT_EFFECTS: u64 = 400;

pub struct Server {
    process: Child,
    dir: PathBuf,
    /// Where it serves.
    pub address: String,
}

/// What the server was at when it was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Starting,
    Draining,
    WritingSnapshot,
    UnderLoad,
}

impl Phase {
    pub fn words(self) -> &'static str {
        match self {
            Self::Starting => "while it started",
            Self::Draining => "while clients retried",
            Self::WritingSnapshot => "while it wrote a snapshot",
            Self::UnderLoad => "under load",
        }
    }
}

fn spawn(dir: &Path, kept_history_mib: u64) -> Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(dir.join("server.log"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--json", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--history-mib-max", "1"])
        .arg("--snapshot-effects")
        .arg(SNAPSHOT_EFFECTS.to_string())
        .arg("--kept-history-mib-max")
        .arg(kept_history_mib.to_string())
        .arg("--data-dir")
        .arg(data(dir))
        .env("GALE_LOG", "warn")
        .stdout(Stdio::piped())
        .stderr(log);
    Ok(command.spawn()?)
}

/// The data directory.
pub fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

impl Server {
    /// Starts it, and waits until it serves.
    pub async fn start(dir: &Path, kept_history_mib: u64) -> Result<Self> {
        let mut process = spawn(dir, kept_history_mib)?;
        let stdout = process.stdout.take().ok_or("the server has no output")?;
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        });
        let line = read.await??;
        let mut server = Self { process, dir: dir.into(), address: String::new() };
        let Ok(ready) = serde_json::from_str::<serde_json::Value>(&line) else {
            let status = server.process.wait()?;
            let log = dir.join("server.log");
            return Err(
                format!("the server does not start ({status}): see {}", log.display()).into()
            );
        };
        let address = ready["grpc"].as_str().ok_or("the server did not say where it is")?;
        server.address = format!("http://{address}");
        Ok(server)
    }

    /// Starts one, and kills it before it can serve, or just after.
    pub async fn start_in_vain(dir: &Path, kept_history_mib: u64, after: Duration) -> Result<()> {
        let process = spawn(dir, kept_history_mib)?;
        let mut server = Self { process, dir: dir.into(), address: String::new() };
        tokio::time::sleep(after).await;
        server.has_run()?;
        drop(server);
        Ok(())
    }

    /// An error if it has ended by itself.
    pub fn has_run(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = self.dir.join("server.log");
                Err(format!("the server ended by itself ({status}): see {}", log.display()).into())
            }
        }
    }

    /// Kills it; tells whether a snapshot was half written.
    pub fn kill(self) -> Result<bool> {
        let dir = self.dir.clone();
        drop(self);
        let snapshots = std::fs::read_dir(data(&dir).join("snapshots"));
        let partial = |path: PathBuf| path.extension().is_some_and(|name| name == "partial");
        Ok(snapshots.is_ok_and(|mut all| all.any(|entry| entry.is_ok_and(|e| partial(e.path())))))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL; who has ended already is only waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Copies a data directory, as it lies after a kill.
pub fn copy(dir: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            let mut from = File::open(entry.path())?;
            std::io::copy(&mut from, &mut File::create(target)?)?;
        }
    }
    Ok(())
}
