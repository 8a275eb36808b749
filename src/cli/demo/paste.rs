//! How to call this process again.

use std::env;
use std::path::Path;

/// How to call this binary from the directory it was started in, ready to paste.
pub fn command() -> String {
    let Ok(binary) = env::current_exe() else { return "gale".to_owned() };
    let binary = binary.canonicalize().unwrap_or(binary);
    if on_path(&binary) {
        return "gale".to_owned();
    }
    let below = env::current_dir().ok().and_then(|here| {
        let here = here.canonicalize().unwrap_or(here);
        binary.strip_prefix(here).ok().map(|path| Path::new(".").join(path))
    });
    quoted(&below.unwrap_or(binary).display().to_string())
}

/// Whether `gale` alone means this binary.
fn on_path(binary: &Path) -> bool {
    let Some(path) = env::var_os("PATH") else { return false };
    let first =
        env::split_paths(&path).map(|folder| folder.join("gale")).find(|gale| gale.is_file());
    first.and_then(|gale| gale.canonicalize().ok()).is_some_and(|gale| gale == binary)
}

/// Quoted for a POSIX shell where that is needed.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
