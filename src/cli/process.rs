//! What a command tells about its own process, and about those that it has started.

use std::process::Child;
use std::time::Duration;

/// The most memory this process has held, in bytes; 0 where the system does not say.
pub fn peak_rss_bytes() -> u64 {
    peak_rss_bytes_of("self")
}

/// The same of the process with that id.
pub fn peak_rss_bytes_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Processor time this process has used so far, user and system, on all its threads; 0
/// where the system does not say.
pub fn cpu_time() -> Duration {
    #[cfg(unix)]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::try_from(now).unwrap_or_default()
    }
    #[cfg(not(unix))]
    Duration::ZERO
}

/// The same of the process with that id, in steps of some milliseconds.
pub fn cpu_time_of(process: &str) -> Duration {
    #[cfg(unix)]
    {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name, which may have blanks, stands in brackets; then come a letter and numbers.
        let numbers = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = numbers.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Duration::from_millis(1_000 * ticks / rustix::param::clock_ticks_per_second().max(1))
    }
    #[cfg(not(unix))]
    {
        let _ = process;
        Duration::ZERO
    }
}

/// Asks a process to end, with SIGTERM where there are signals. One that has ended already
/// has nothing left to be asked.
pub fn terminate(process: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process};
        let _ = kill_process(Pid::from_child(process), Signal::TERM);
    }
    #[cfg(not(unix))]
    let _ = process.kill();
}
