//! Damage of every file in every region: either nothing is missing, or it is told, with
//! the place, what is intact and what to do. Nothing acknowledged is lost silently.

use super::*;
use std::fs;
use std::path::PathBuf;
use std::process::Command as Process;
use tempfile::TempDir;

/// A copy of a data directory as a process leaves it that ends at once: nothing is
/// closed, taken in or tidied up.
fn crash(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["gale.db", "gale.db-wal", "gale.mark"] {
        if dir.join(file).exists() {
            fs::copy(dir.join(file), copy.path().join(file)).unwrap();
        }
    }
    if let Ok(snapshots) = fs::read_dir(dir.join("snapshots")) {
        fs::create_dir(copy.path().join("snapshots")).unwrap();
        for file in snapshots.map(|file| file.unwrap()) {
            fs::copy(file.path(), copy.path().join("snapshots").join(file.file_name())).unwrap();
        }
    }
    copy
}

/// A journal with all there is: trimmed and deleted markets, fields in parts, snapshots,
/// batches in the database and in its log.
struct Journaled {
    dir: TempDir,
    journal: Sqlite,
}

fn journaled() -> Journaled {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { part_bytes: 300, checkpoint_bytes: 15_000, ..Options::default() };
    let mut journal = sqlite::open(Directory::take(dir.path()).unwrap(), options).unwrap();
    let all = entries(11, 120);
    for (number, entry) in all.iter().enumerate() {
        let groups = [1, 2, 3].map(|m| group(m, std::slice::from_ref(entry)));
        let seq = journal.append(&groups).unwrap();
        if number == 20 || number == 40 {
            take_snapshot(journal.directory(), 1, &all[..=number], seq);
        }
        if number == 45 {
            let snapshots = Snapshots::of(journal.directory().snapshots());
            let to = snapshots.trim_to(incarnation(1)).unwrap().unwrap();
            journal.trim(incarnation(1), to).unwrap();
            journal.append(&[deletion(2)]).unwrap();
            journal.trim(incarnation(2), to).unwrap();
            break;
        }
    }
    for entry in &all[46..] {
        journal.append(&[group(1, std::slice::from_ref(entry))]).unwrap();
    }
    Journaled { dir, journal }
}

/// Opens a directory: its contents, or the damage, which must say what to do.
fn outcome(dir: &Path) -> Result<String, Box<Damage>> {
    let result = open(dir).and_then(|journal| contents(&*journal.reader()));
    result.map_err(|error| match error {
        Error::Damaged(damage) => {
            assert!(!damage.advice.is_empty() && !damage.found.is_empty(), "{damage}");
            damage
        }
        other => panic!("damage is told as damage, not as {other:?}"),
    })
}

/// Flips bits of one file, one at a time, and counts what comes of it.
fn flip(from: &Path, file: &str, places: impl Iterator<Item = usize>, truth: &str) -> (u64, u64) {
    let (mut told, mut harmless) = (0, 0);
    for at in places {
        let copy = crash(from);
        let path = copy.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        match outcome(copy.path()) {
            Ok(found) if found == truth => harmless += 1,
            Ok(_) => {
                panic!("byte {at} of {file}: something is lost or changed, and nobody says so")
            }
            Err(damage) => {
                told += 1;
                if let Some(intact) = damage.intact {
                    assert!(intact < Seq(1_000), "byte {at} of {file}: {damage}");
                }
            }
        }
    }
    (told, harmless)
}

/// Goal: a flipped bit anywhere is told or harmless. Method: bits in every region of the
/// database that was closed, of one that was not, of its log and of its mark.
#[test]
fn a_flipped_bit_is_told_or_harmless() {
    let Journaled { dir, journal } = journaled();
    let truth = contents(&*journal.reader()).unwrap();
    let crashed = crash(dir.path());
    drop(journal);
    let closed = crash(dir.path());
    let mut random = Random(7);
    let mut some = |path: PathBuf, count: usize, head: usize| {
        let len = fs::metadata(path).unwrap().len();
        let drawn: Vec<_> = (0..count).map(|_| random.below(len) as usize).collect();
        (0..head).chain(drawn)
    };
    let cases = [
        ("closed", closed.path(), "gale.db", 400, 100),
        ("crashed", crashed.path(), "gale.db", 100, 0),
        ("crashed", crashed.path(), "gale.db-wal", 400, 56),
        ("crashed", crashed.path(), "gale.mark", 0, 44),
        ("crashed", crashed.path(), "gale.mark", 30, 0),
    ];
    for (state, from, file, count, head) in cases {
        assert_eq!(outcome(crash(from).path()).unwrap(), truth, "{state}: undamaged");
        let places: Vec<_> = some(from.join(file), count, head).collect();
        let (told, harmless) = flip(from, file, places.into_iter(), &truth);
        println!("{file} of a journal that was {state}: {told} told, {harmless} harmless");
        assert!(file == "gale.mark" || told > 0);
        assert!(file != "gale.mark" || told == 0, "one slot of the mark leaves another");
    }
}

/// Goal: what cannot be told from a process that ended in the middle of a commit is taken
/// as that, and everything else is told: a log that is cut is damage where the mark knows
/// of what is gone, and otherwise ends with whole batches.
#[test]
fn a_torn_tail_is_harmless_and_a_cut_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(4, 40);
    let mut journal = open(dir.path()).unwrap();
    journal.append(&[group(1, &all[..10])]).unwrap();
    // The mark as it was synced here; later the power fails, and only this is left of it.
    journal.settle().unwrap();
    let mark = fs::read(dir.path().join("gale.mark")).unwrap();
    let mut truths = vec![contents(&*journal.reader()).unwrap()];
    for entry in &all[10..] {
        journal.append(&[group(1, std::slice::from_ref(entry))]).unwrap();
        truths.push(contents(&*journal.reader()).unwrap());
    }
    let log = fs::read(dir.path().join("gale.db-wal")).unwrap();
    let torn = crash(dir.path());
    fs::write(torn.path().join("gale.db-wal"), [&log[..], &log[32..2_000]].concat()).unwrap();
    assert_eq!(&outcome(torn.path()).unwrap(), truths.last().unwrap());
    let mut ends = std::collections::BTreeSet::new();
    let mut random = Random(3);
    for _ in 0..60 {
        let cut = random.below(log.len() as u64) as usize;
        let copy = crash(dir.path());
        fs::write(copy.path().join("gale.db-wal"), &log[..cut]).unwrap();
        let damage = outcome(copy.path()).expect_err("the mark knows of what is gone");
        assert!(damage.found.contains("was durable"), "{damage}");
        let copy = crash(dir.path());
        fs::write(copy.path().join("gale.db-wal"), &log[..cut]).unwrap();
        fs::write(copy.path().join("gale.mark"), &mark).unwrap();
        match outcome(copy.path()) {
            Ok(found) => {
                let end = truths.iter().position(|truth| *truth == found);
                ends.insert(end.expect("it ends with a whole batch"));
            }
            Err(damage) => assert!(damage.found.contains("was durable"), "{damage}"),
        }
    }
    assert!(ends.len() > 5, "{ends:?}");
}

/// Goal: a file that is missing is told, and nothing is made in its place.
#[test]
fn a_missing_file_is_told() {
    let Journaled { dir, journal } = journaled();
    let snapshots = Snapshots::of(journal.directory().snapshots());
    let snapshots = snapshots.list(incarnation(1)).unwrap();
    let missing = |files: &[&str]| {
        let copy = crash(dir.path());
        files.iter().for_each(|file| fs::remove_file(copy.path().join(file)).unwrap());
        let damage = outcome(copy.path()).unwrap_err();
        // Reading makes an empty log where there is none, and nothing else.
        let made = fs::metadata(copy.path().join(files[0])).map_or(0, |file| file.len());
        assert_eq!(made, 0, "{} was made", files[0]);
        damage.to_string()
    };
    let gone = missing(&["gale.db"]);
    assert!(gone.contains("gale.db is damaged: it is missing, but"), "{gone}");
    let gone = missing(&["gale.db", "gale.db-wal"]);
    assert!(gone.contains("gale.mark is there"), "{gone}");
    let gone = missing(&["gale.db", "gale.db-wal", "gale.mark"]);
    assert!(gone.contains("snapshots is there"), "{gone}");
    let gone = missing(&["gale.mark"]);
    assert!(gone.contains("gale.mark is damaged: it is missing"), "{gone}");
    let gone = missing(&["gale.db-wal"]);
    assert!(gone.contains("was durable"), "{gone}");
    let copy = crash(dir.path());
    for listed in &snapshots {
        let file = listed.path.strip_prefix(dir.path()).unwrap();
        fs::remove_file(copy.path().join(file)).unwrap();
    }
    let gone = outcome(copy.path()).unwrap_err().to_string();
    assert!(gone.contains("no snapshot from there on is whole"), "{gone}");
}

/// Goal: a process that ended while it made the journal leaves nothing in the way, at
/// each step of it; a mark that is gone is made again by a repair, and then all is there.
#[test]
fn what_was_half_made_is_made_again() {
    let Journaled { dir, journal } = journaled();
    let truth = contents(&*journal.reader()).unwrap();
    // The mark before the database was there: its first slot, the second of the file.
    let mark = |copy: &TempDir| {
        let path = copy.path().join("gale.mark");
        let mut bytes = fs::read(&path).unwrap();
        bytes[..4_096].fill(0);
        bytes.truncate(8_192);
        fs::write(path, bytes).unwrap();
    };
    let steps: [&dyn Fn(&TempDir); 3] =
        [&|copy| fs::write(copy.path().join("gale.mark"), "").unwrap(), &|_| {}, &|copy| {
            fs::write(copy.path().join("gale.db"), "").unwrap()
        }];
    let fresh = tempfile::tempdir().unwrap();
    drop(open(fresh.path()).unwrap());
    for (number, step) in steps.iter().enumerate() {
        let copy = crash(fresh.path());
        fs::remove_file(copy.path().join("gale.db")).unwrap();
        mark(&copy);
        step(&copy);
        assert_eq!(outcome(copy.path()).unwrap(), "", "step {number}");
        let mut journal = open(copy.path()).unwrap();
        journal.append(&[group(1, &entries(1, 5))]).unwrap();
    }
    let last = journal.reader().batches(Seq(0), u64::MAX).unwrap().last().unwrap().seq;
    for damage in [None, Some(vec![7; 12_000])] {
        let copy = crash(dir.path());
        let path = copy.path().join("gale.mark");
        match damage {
            None => fs::remove_file(&path).unwrap(),
            Some(bytes) => fs::write(&path, bytes).unwrap(),
        }
        let told = outcome(copy.path()).unwrap_err();
        assert_eq!(told.file, path, "{told}");
        sqlite::repair(&Directory::take(copy.path()).unwrap(), last).unwrap();
        assert_eq!(outcome(copy.path()).unwrap(), truth);
    }
}

/// Goal: files of two journals that were mixed up are told.
#[test]
fn a_mark_of_another_journal_is_told() {
    let (one, other) = (journaled(), journaled());
    let copy = crash(one.dir.path());
    fs::copy(other.dir.path().join("gale.mark"), copy.path().join("gale.mark")).unwrap();
    let told = outcome(copy.path()).unwrap_err().to_string();
    assert!(told.contains("it belongs to another journal"), "{told}");
}

fn gale(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Process::new(env!("CARGO_BIN_EXE_gale")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Goal: the journal of a server that runs is left alone; the message names directory
/// and process.
#[test]
fn a_second_process_is_refused() {
    let Journaled { dir, journal } = journaled();
    let path = dir.path().to_str().unwrap();
    for args in [&["check", path][..], &["repair", path, "--to", "3"]] {
        let (code, _, error) = gale(&[&["journal"], args].concat());
        let expected = format!(
            "gale: the data directory {path} is in use by process {}\n",
            std::process::id()
        );
        assert_eq!((code, error), (Some(1), expected));
    }
    let (code, out, error) = gale(&["journal", "stat", path, "--json"]);
    assert_eq!(code, Some(0), "{error}");
    let stat: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(stat["markets"][0]["market"], "m1");
    drop(journal);
    let (code, out, error) = gale(&["journal", "check", path]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("intact") && out.contains("snapshot"), "{out}");
}

/// Goal: a damaged batch is named with what is intact before it; a repair keeps exactly
/// that, says what is given up, keeps the old files, and the journal goes on.
#[test]
fn a_repair_keeps_what_is_intact() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(6, 60);
    let mut journal = open(dir.path()).unwrap();
    for (number, entry) in all.iter().enumerate() {
        let seq = journal.append(&[1, 2].map(|m| group(m, std::slice::from_ref(entry)))).unwrap();
        if number == 5 || number == 30 {
            take_snapshot(journal.directory(), 1, &all[..=number], seq);
        }
    }
    let reader = journal.reader();
    let kept = 40;
    let expected: Vec<_> = reader.batches(Seq(0), u64::MAX).unwrap().drain(..kept).collect();
    drop((journal, reader));
    let path = dir.path().to_str().unwrap();
    let (code, _, error) = gale(&["journal", "repair", path, "--to", "999"]);
    assert_eq!((code, error.contains("the journal ends with batch")), (Some(1), true), "{error}");
    // Batch 41 tells of a time that nobody wrote.
    let database = rusqlite::Connection::open(dir.path().join("gale.db")).unwrap();
    database.execute("UPDATE batches SET at = at + 1 WHERE seq = 41", ()).unwrap();
    drop(database);
    let damage = outcome(dir.path()).unwrap_err();
    assert_eq!((damage.seq, damage.intact), (Some(Seq(41)), Some(Seq(40))));
    let advice = format!("gale journal repair {path} --to 40");
    assert!(damage.advice.contains(&advice), "{damage}");
    let (code, out, _) = gale(&["journal", "check", path, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["batch"], &report["intact_to"]), (Some(1), &41.into(), &40.into()));
    let (code, _, error) = gale(&["journal", "repair", path, "--to", "41"]);
    assert!(code == Some(1) && error.contains("--to 40"), "{error}");
    let (code, out, error) = gale(&["journal", "repair", path, "--to", "40", "--json"]);
    assert_eq!(code, Some(0), "{error}");
    let lost: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(lost["batches"], 2 * all.len() as u64 - 40);
    assert_eq!(lost["snapshots"].as_array().unwrap().len(), 1, "that of a later state: {lost}");
    assert!(Path::new(lost["kept_in"].as_str().unwrap()).join("gale.db").exists());
    let mut journal = open(dir.path()).unwrap();
    let stored = journal.reader().batches(Seq(0), u64::MAX).unwrap();
    assert_eq!(format!("{stored:?}"), format!("{expected:?}"));
    let snapshots = Snapshots::of(journal.directory().snapshots());
    let recovered = recover(&*journal.reader(), Some(&snapshots), Capacity::default()).unwrap();
    assert_eq!(recovered[0].state.hash(), state_of(1, &all[..20]).hash());
    assert_eq!(journal.append(&[group(1, &all[20..21])]).unwrap(), Seq(41));
}

/// Goal: a full disk refuses whole commits with an error that says so, loses nothing,
/// and the same commit goes through once there is room. Method: a small file system of
/// its own, where one may be mounted; says so loudly where not.
#[test]
fn a_full_disk_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=3m", "tmpfs"];
    let mounted = Process::new("mount").args(mount).arg(dir.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no file system can be mounted here, so no disk was full");
        return;
    }
    let result = std::panic::catch_unwind(|| fill(dir.path()));
    assert!(Process::new("umount").arg("-l").arg(dir.path()).status().unwrap().success());
    result.unwrap();
}

fn fill(dir: &Path) {
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let mut journal = open(dir).unwrap();
    let mut market = 0;
    let all = entries(2, 60);
    let error = loop {
        market += 1;
        match journal.append(&[group(market, &all)]) {
            Ok(seq) => assert_eq!(seq, Seq(market as u64)),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::Full(at) if at == dir), "{error:?}");
    let again = journal.append(&[group(market, &all)]).unwrap_err();
    assert!(matches!(again, Error::Full(_)), "{again:?}");
    let kept = journal.reader().batches(Seq(0), u64::MAX).unwrap();
    assert_eq!(kept.len() as u128, market - 1, "nothing of it is there");
    let state = state_of(1, &all);
    let cover = Cover {
        incarnation: incarnation(1),
        name: name(1),
        revision: state.view().head.revision,
        seq: Seq(1),
        at: Millis(1),
    };
    let rest = fs::File::create(dir.join("rest")).unwrap();
    let _ = std::io::copy(&mut std::io::repeat(7), &mut &rest);
    let snapshots = Snapshots::of(journal.directory().snapshots());
    let error = snapshots.write(&cover, &state.dump()).unwrap_err();
    assert!(matches!(error, Error::Full(_)), "{error:?}");
    assert!(snapshots.list_all().unwrap().is_empty());
    fs::remove_file(&ballast).unwrap();
    assert_eq!(journal.append(&[group(market, &all)]).unwrap(), Seq(market as u64));
    let truth = contents(&*journal.reader()).unwrap();
    let crashed = crash(dir);
    assert_eq!(outcome(crashed.path()).unwrap(), truth);
}
