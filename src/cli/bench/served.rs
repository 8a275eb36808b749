//! A server to be measured: `gale serve` in a process of its own, on free ports and in a
//! data directory of its own, so that what it takes is not mixed up with its clients.

use crate::cli::client::Client;
use crate::cli::error::Error;
use crate::cli::process;
use crate::generate::Generator;
use crate::journal::sqlite;
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use uuid::Uuid;

/// How the server keeps its markets.
#[derive(Clone, Debug, clap::Args)]
pub struct Keeping {
    /// Measure a server that keeps nothing.
    #[arg(long, conflicts_with = "scratch_dir")]
    ephemeral: bool,
    /// Where the server's data directory is made for as long as it runs; default: where the
    /// system keeps temporary files.
    #[arg(long, value_name = "DIR")]
    scratch_dir: Option<PathBuf>,
}

impl Keeping {
    /// Whether what it acknowledges is durable.
    pub fn is_durable(&self) -> bool {
        !self.ephemeral
    }

    /// A data directory that is not there yet, if there is to be one.
    fn directory(&self) -> Option<PathBuf> {
        let scratch = self.scratch_dir.clone().unwrap_or_else(std::env::temp_dir);
        (!self.ephemeral).then(|| scratch.join(format!("gale-bench-{}", Uuid::new_v4())))
    }
}

/// A server that runs until this is dropped.
pub struct Served {
    process: Child,
    address: String,
    data: Option<PathBuf>,
}

/// The line by which a server says that it serves.
#[derive(Deserialize)]
struct Ready {
    grpc: String,
}

impl Served {
    /// Starts a server with these options more, and waits until it serves.
    pub fn start(keeping: &Keeping, more: &[&str]) -> Result<Self, Error> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::Failed(format!("the server to be measured does not start: {why}"))
        };
        let gale = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut command = Command::new(gale);
        // The caller's settings are for other servers.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GALE_") {
                command.env_remove(name);
            }
        }
        command.env("GALE_LOG", "warn").args(["--json", "serve"]);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let data = keeping.directory();
        match &data {
            Some(data) => command.arg("--data-dir").arg(data),
            None => command.arg("--ephemeral"),
        };
        command.args(more).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| failed(&error))?;
        let stdout = process.stdout.take();
        // From here on dropping it ends the process.
        let mut served = Self { process, address: String::new(), data };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| failed(&error))?;
        }
        let ready: Ready =
            serde_json::from_str(&line).map_err(|_| failed(&"it ended before it was ready"))?;
        served.address = ready.grpc;
        Ok(served)
    }

    /// A new connection.
    pub async fn connect(&self) -> Result<Client, Error> {
        Client::connect(&self.address).await
    }

    /// The most memory that the server has held so far, in bytes.
    pub fn peak_rss_bytes(&self) -> u64 {
        process::peak_rss_bytes_of(&self.process.id().to_string())
    }

    /// Processor time that the server has used so far, on all cores.
    pub fn cpu_time(&self) -> Duration {
        process::cpu_time_of(&self.process.id().to_string())
    }

    /// Commits of its journal so far. Each is one transaction and one sync of the log; with
    /// one market a commit is one batch, and batches are numbered from 1.
    pub fn commits(&self) -> Result<u64, Error> {
        let Some(data) = &self.data else { return Ok(0) };
        let stat = sqlite::stat(data);
        Ok(stat.map_err(|error| Error::Failed(error.to_string()))?.last.0)
    }

    /// Stops it in good order.
    pub fn stop(mut self) -> Result<(), Error> {
        process::terminate(&mut self.process);
        let status = self.process.wait();
        let status = status.map_err(|error| Error::Failed(error.to_string()))?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::Failed(format!("the server that was measured failed: {status}"))),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has stopped already is neither there to kill nor to wait for.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(data) = &self.data {
            let _ = std::fs::remove_dir_all(data);
        }
    }
}

/// Makes the generator's market, with its places and nobody in it; tells its id.
pub async fn make_market(client: &Client, generator: &Generator) -> Result<String, Error> {
    use crate::cli::files::Records;
    use crate::cli::loader::{Loader, Source};
    let frame = generator.frame();
    let regions = frame.regions.iter().map(Into::into);
    let cities = frame.cities.iter().map(Into::into);
    let source = Source {
        market: crate::cli::generate::market(&frame),
        regions: (1..).zip(regions).collect(),
        cities: (1..).zip(cities).collect(),
        move_costs: Vec::new(),
        workers: Records::of(std::iter::empty()),
        vacancies: Records::of(std::iter::empty()),
    };
    let id = frame.id.to_string();
    Loader::new(client.clone(), &id).load(source).await?;
    Ok(id)
}
