//! A whole market through the real binary: a server in one process, the commands in
//! others, and the demo.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[path = "common/binary.rs"]
mod binary;

use binary::{fails, gale, json, ok, path, run, stderr};

/// The keys of `gale demo --once --json`: programs read them.
const FIGURES: [&str; 16] = [
    "workers",
    "vacancies",
    "openings",
    "matched",
    "moved",
    "blocking_pairs",
    "pairs_examined",
    "revision",
    "events_received",
    "matching_hash",
    "clear_ms",
    "import_ms",
    "peak_rss_bytes",
    "seed",
    "scale",
    "metros",
];

/// A server on ports of its own, killed with its handle.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let arguments =
            ["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json"];
        let mut process =
            gale(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).expect("the server says where it is");
        let url = format!("http://{}", ready["grpc"].as_str().unwrap());
        Self { process, url }
    }

    /// Asks it to stop; how long that took, and whether it ended well.
    #[cfg(unix)]
    fn terminate(mut self) -> (Duration, bool) {
        let start = Instant::now();
        let id = self.process.id().to_string();
        std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
        let status = self.process.wait().unwrap();
        (start.elapsed(), status.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A small generated market; its directory lives as long as the handle.
fn market() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("market");
    ok(&["generate", "--out", path(&out), "--metros", "4", "--scale", "0.001"]);
    (folder, out)
}

/// Goal: the main path works from files to proof, by commands alone, and the offline
/// solver agrees with the server worker by worker.
#[test]
fn a_market_from_files_to_certificate() {
    let (_folder, directory) = market();
    let server = Server::start();
    let at = ["--server", server.url.as_str()];
    let with = |arguments: &[&str]| ok(&[arguments, &at].concat());

    let imported = json(&with(&["import", path(&directory), "--market", "m", "--json"]));
    assert_eq!(imported["rejected"], 0);
    let error = fails(&[&["import", path(&directory), "--market", "m"][..], &at].concat(), 3);
    assert!(error.contains("MARKET_EXISTS") && error.contains("ALREADY_EXISTS"), "{error}");

    let round = json(&with(&["clear", "--json"]));
    assert_eq!(round["state"], "ROUND_STATE_CLEARED");
    let certificate = json(&with(&["verify", "--json"]));
    assert_eq!(certificate["matchingHash"], round["summary"]["matchingHash"]);
    assert!(with(&["verify"]).contains("Stable: no blocking pair"));

    let events =
        with(&["watch", "--from", "earliest", "--kinds", "matched", "--limit", "5", "--json"]);
    let matched: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    assert_eq!(events.lines().count(), 5);
    assert_eq!(matched["kind"], "EVENT_KIND_MATCHED");
    let (worker, vacancy) = (&matched["match"]["workerId"], &matched["match"]["vacancyId"]);
    let answer = json(&with(&["explain", worker.as_str().unwrap(), "--json"]));
    assert_eq!(answer["outcome"], "EXPLAIN_OUTCOME_MATCHED");
    assert_eq!(&answer["pair"]["vacancyId"], vacancy);

    let offline = ok(&["solve", path(&directory)]);
    let row = offline.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let row = row.into_iter().find(|row| row["worker_id"] == *worker).unwrap();
    assert_eq!(&row["vacancy_id"], vacancy);
    let unmatched = offline.lines().filter(|line| line.contains(r#""vacancy_id":null"#)).count();
    let matched = (offline.lines().count() - unmatched).to_string();
    assert_eq!(round["summary"]["matched"], matched.as_str(), "int64 is text in proto3 JSON");
}

/// Goal: bad records are refused with file and line, the rest goes in, the exit code
/// is 1.
#[test]
fn rejected_records_are_reported_with_their_lines() {
    let (_folder, directory) = market();
    let server = Server::start();
    let workers = directory.join("workers.jsonl");
    let mut text = fs::read_to_string(&workers).unwrap();
    let good = text.lines().count();
    text.push_str("{\"id\":\"not-a-uuid\",\"homeCity\":\"us-35620\",\"expectedSalary\":1}\n");
    text.push_str("this is not JSON\n");
    fs::write(&workers, text).unwrap();

    let arguments = ["import", path(&directory), "--server", &server.url, "--json"];
    let output = run(&arguments);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("workers.jsonl:{}: not-a-uuid: id", good + 1)), "{error}");
    assert!(error.contains(&format!("workers.jsonl:{}: ", good + 2)), "{error}");
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(report["workers"], good);
    assert_eq!(report["rejected"], 2);
}

/// Goal: what the server refuses is exit code 3, with the stable reason.
#[test]
fn refusals_are_code_3() {
    let server = Server::start();
    let at = ["--server", server.url.as_str(), "--market", "nowhere"];
    for command in [&["clear"][..], &["verify"], &["watch"], &["explain", "w"]] {
        let error = fails(&[command, &at].concat(), 3);
        assert!(error.contains("[NOT_FOUND, MARKET_NOT_FOUND]"), "{command:?}: {error}");
    }
    let error = fails(&["clear", "--server", &server.url], 1);
    assert!(error.contains("no market yet"), "{error}");
}

/// Goal: a reader that leaves (`| head -1`) ends `watch` quietly.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let (_folder, directory) = market();
    let server = Server::start();
    ok(&["import", path(&directory), "--server", &server.url]);
    let mut watch = gale(&["watch", "--from", "earliest", "--server", &server.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    watch.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let mut error = String::new();
    watch.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!((watch.wait().unwrap().code(), error.as_str()), (Some(0), ""));
}

/// A connection to the server that can be cut, as networks do.
struct Proxy {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn start(server: &str) -> Self {
        let server: SocketAddr = server.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(Mutex::new(Vec::new()));
        let connections = open.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                }
                connections.lock().unwrap().extend([client, server]);
            }
        });
        Self { address, open }
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Goal: `watch` loses and repeats nothing when its connection is cut. Method: it
/// follows through a proxy, which cuts the connection between an import and a round;
/// afterwards the same history is read directly.
#[test]
fn watch_resumes_where_it_was_cut() {
    let (_folder, directory) = market();
    let server = Server::start();
    let proxy = Proxy::start(&server.url);
    let report = json(&ok(&["import", path(&directory), "--server", &server.url, "--json"]));
    let watch = ["watch", "--from", "earliest", "--json", "--server"];
    let mut process = gale(&[&watch[..], &[&proxy.address.to_string()]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let kinds = ["regions", "cities", "workers", "vacancies"];
    let imported: u64 = 1 + kinds.iter().map(|kind| report[kind].as_u64().unwrap()).sum::<u64>();
    let mut resumed: Vec<String> = lines.by_ref().take(imported as usize).collect();

    proxy.cut();
    ok(&["clear", "--server", &server.url]);
    for line in lines {
        resumed.push(line);
        if resumed.last().unwrap().contains("EVENT_KIND_ROUND_CLEARED") {
            break;
        }
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let mut notes = String::new();
    process.stderr.take().unwrap().read_to_string(&mut notes).unwrap();
    assert!(notes.contains("connecting again"), "it was cut, and said so: {notes:?}");
    let limit = resumed.len().to_string();
    let whole = ok(&[&watch[..], &[&server.url, "--limit", &limit]].concat());
    assert_eq!(resumed, whole.lines().collect::<Vec<_>>());
}

/// Goal: SIGTERM ends a server that has an open stream, within its limit and well.
#[cfg(unix)]
#[test]
fn sigterm_is_a_graceful_stop() {
    let (_folder, directory) = market();
    let server = Server::start();
    ok(&["import", path(&directory), "--server", &server.url]);
    let mut watch = gale(&["watch", "--from", "earliest", "--server", &server.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(watch.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let (elapsed, well) = server.terminate();
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert!(well, "the exit code is 0");
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
}

/// Goal: the demo proves itself, has the keys that programs read, and one seed has
/// one outcome.
#[test]
fn the_demo_is_reproducible() {
    let demo = || {
        let plan = ["--metros", "5", "--scale", "0.001", "--seed", "3"];
        json(&ok(&[&["demo", "--once", "--json"][..], &plan].concat()))
    };
    let (first, second) = (demo(), demo());
    let keys: BTreeSet<_> = first.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(FIGURES));
    assert_eq!(first["blocking_pairs"], 0);
    assert!(first["matched"].as_u64() > Some(0));
    assert!(first["events_received"].as_u64() > first["workers"].as_u64());
    for key in ["workers", "openings", "matched", "moved", "matching_hash", "events_received"] {
        assert_eq!(first[key], second[key], "{key}");
    }
    assert_eq!((&first["seed"], &first["metros"]), (&Value::from(3), &Value::from(5)));
    assert_eq!(first["scale"], 0.001);
}
