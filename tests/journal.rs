//! The journal: what is durable is found again, and what is not found is told.
//!
//! Methods: the state machine under random commands gives entries of every kind; a crash
//! is a copy of the files of a journal that is open; damage is one flipped bit. The seed
//! of a failing case is in its message.

#[path = "journal/damage.rs"]
mod damage;
#[path = "journal/snapshots.rs"]
mod snapshots;
mod support;

use gale::domain::*;
use gale::events::{self, Batch};
use gale::journal::snapshot::{Cover, Snapshots};
use gale::journal::sqlite::{self, Options, Sqlite};
use gale::journal::*;
use gale::state::*;
use std::path::Path;
use std::sync::Arc;
use support::commands::{Case, KINDS};
use support::draws::Random;
use support::world::*;
use uuid::Uuid;

/// The entries of a random market: what its journal is to keep.
fn entries(seed: u64, operations: u64) -> Vec<Entry> {
    let mut case = Case::new(seed);
    let mut random = Random(seed);
    for _ in 0..operations {
        case.operate(random.below(u64::from(KINDS)) as u8, random.next());
    }
    entries_of(&case.world)
}

/// What a world did, command by command.
fn entries_of(world: &World) -> Vec<Entry> {
    let mut state = State::new(market_name(), world.capacity);
    let mut entries = Vec::new();
    for envelope in &world.envelopes {
        let Ok(mut decision) = state.decide(envelope) else { continue };
        decision.effects.extend(decision.remembrance());
        if decision.effects.is_empty() {
            continue;
        }
        let mut told = Vec::new();
        for effect in &decision.effects {
            events::derive(state.view(), decision.revision, effect, &mut told);
            state.evolve(decision.revision, effect);
        }
        let (revision, at) = (decision.revision, envelope.at);
        let batch = Batch { revision, at, events: told.into() };
        let events = (!batch.events.is_empty()).then(|| Arc::new(batch));
        entries.push(Entry { revision, at, effects: decision.effects.into(), events });
    }
    entries
}

/// The same entries as those of a market of this number.
fn of_market(market: u128, mut entries: Vec<Entry>) -> Vec<Entry> {
    for entry in &mut entries {
        for effect in Arc::make_mut(&mut entry.effects) {
            if let Effect::Created { creation, .. } = effect {
                let creation = Arc::make_mut(creation);
                creation.incarnation = incarnation(market);
                creation.name = name(market);
            }
        }
    }
    entries
}

/// The state that entries lead to.
fn state_of(market: u128, entries: &[Entry]) -> State {
    let mut state = State::new(name(market), Capacity::default());
    for entry in of_market(market, entries.to_vec()) {
        assert_eq!(replay(&mut state, entry), Ok(true));
    }
    state
}

/// Writes a snapshot of a market after these entries, all of which are kept up to `seq`.
fn take_snapshot(directory: &Directory, market: u128, entries: &[Entry], seq: Seq) {
    let state = state_of(market, entries);
    let cover = Cover {
        incarnation: incarnation(market),
        name: name(market),
        revision: state.view().head.revision,
        seq,
        at: entries.last().unwrap().at,
    };
    Snapshots::of(directory.snapshots()).write(&cover, &state.dump()).unwrap();
}

fn name(market: u128) -> MarketName {
    MarketName::parse("market", &format!("m{market}")).unwrap()
}

fn incarnation(number: u128) -> Incarnation {
    Incarnation(Uuid::from_u128(number))
}

fn group(market: u128, entries: &[Entry]) -> Group {
    let record = Record::Entries(of_market(market, entries.to_vec()));
    Group { incarnation: incarnation(market), name: name(market), record }
}

fn deletion(market: u128) -> Group {
    Group { record: Record::Deleted(Millis(9)), ..group(market, &[]) }
}

fn open(dir: &Path) -> Result<Sqlite, Error> {
    sqlite::open(Directory::take(dir)?, Options::default())
}

/// All that a journal has, in words that are equal if it is.
fn contents(reader: &dyn Read) -> Result<String, Error> {
    let mut text = String::new();
    let mut after = Seq(0);
    loop {
        let stored = reader.batches(after, 1)?;
        let Some(last) = stored.last() else { break };
        after = last.seq;
        stored.iter().for_each(|stored| text += &format!("{stored:?}\n"));
    }
    for known in reader.markets()? {
        text += &format!("{known:?}\n");
        let mut next = known.trimmed.next();
        while next <= known.newest {
            let history = reader.history(known.incarnation, next, 1)?;
            assert!(!history.batches.is_empty(), "history stops at {next}");
            for batch in history.batches {
                assert_eq!(batch.revision, next);
                next = next.next();
                text += &format!("{batch:?}\n");
            }
        }
    }
    Ok(text)
}

/// Goal: what was appended is read back, in order and whole, by readers beside the writer
/// and by the next process; several markets interleave, and fields in parts are whole.
#[test]
fn what_was_appended_is_read_back() {
    for seed in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (entries(seed, 40), entries(seed + 1_000, 40));
        let options = Options { part_bytes: 100, checkpoint_bytes: 10_000, ..Options::default() };
        let mut journal = sqlite::open(Directory::take(dir.path()).unwrap(), options).unwrap();
        let mut memory = Memory::open(&Disk::default()).unwrap();
        let (mut at_a, mut at_b) = (0, 0);
        let mut random = Random(seed);
        let mut appended = Vec::new();
        while at_a < a.len() || at_b < b.len() {
            let mut groups = Vec::new();
            for (market, entries, at) in [(1, &a, &mut at_a), (2, &b, &mut at_b)] {
                let end = entries.len().min(*at + random.below(4) as usize);
                if end > *at {
                    groups.push(group(market, &entries[*at..end]));
                    *at = end;
                }
            }
            if !groups.is_empty() {
                let seq = journal.append(&groups).unwrap();
                assert_eq!(memory.append(&groups).unwrap(), seq);
                appended.extend(groups);
            }
        }
        let reader = journal.reader();
        let stored = reader.batches(Seq(0), u64::MAX).unwrap();
        assert_eq!(stored.len(), appended.len());
        for (number, (stored, group)) in (1..).zip(stored.iter().zip(&appended)) {
            assert_eq!(stored.seq, Seq(number));
            let (Record::Entries(read), Record::Entries(written)) =
                (&stored.group.record, &group.record)
            else {
                panic!("both have entries")
            };
            let effects = |entries: &[Entry]| {
                let effects = entries.iter().map(|e| (e.revision, e.at, e.effects.clone()));
                format!("{:?}", effects.collect::<Vec<_>>())
            };
            assert_eq!(effects(read), effects(written));
        }
        for (market, entries) in [(1, &a), (2, &b)] {
            let told: Vec<_> = entries.iter().filter_map(|e| e.events.clone()).collect();
            let half = told[told.len() / 2].revision;
            let history = reader.history(incarnation(market), half, u64::MAX).unwrap();
            assert_eq!(history.oldest, Revision(1));
            let rest = format!("{:?}", &told[told.len() / 2..]);
            assert_eq!(format!("{:?}", history.batches), rest);
        }
        let before = contents(&*reader).unwrap();
        assert_eq!(before, contents(&*memory.reader()).unwrap());
        drop((journal, reader));
        let journal = open(dir.path()).unwrap();
        assert_eq!(before, contents(&*journal.reader()).unwrap());
    }
}

/// Goal: deletion is durable, trimming keeps order and place, and both leave everything
/// else as it was, also for the next process.
#[test]
fn trimming_and_deleting_leave_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(5, 400);
    let mut journal = open(dir.path()).unwrap();
    for entry in &all {
        journal.append(&[1, 2, 3].map(|m| group(m, std::slice::from_ref(entry)))).unwrap();
    }
    journal.append(&[deletion(2)]).unwrap();
    assert!(matches!(journal.append(&[deletion(2)]), Err(Error::Misuse(_))));
    let reader = journal.reader();
    let newest = all.last().unwrap().revision;
    let weights = reader.weights(incarnation(1), 10).unwrap();
    assert_eq!(weights.len(), 10);
    let to = Revision(newest.0 / 2);
    let untrimmed = journal.trim(incarnation(1), to);
    assert!(matches!(untrimmed, Err(Error::Misuse(_))), "there is no snapshot: {untrimmed:?}");
    let seq = reader.batches(Seq(0), u64::MAX).unwrap().last().unwrap().seq;
    take_snapshot(journal.directory(), 1, &all, seq);
    take_snapshot(journal.directory(), 3, &all, seq);
    let mut pieces = 0;
    for (market, to) in [(2, Revision(0)), (1, to)] {
        while journal.trim(incarnation(market), to).unwrap() {
            pieces += 1;
        }
    }
    assert!(pieces > 0, "there is more than one piece of {} batches", all.len());
    let history = reader.history(incarnation(1), Revision(1), u64::MAX).unwrap();
    assert_eq!(history.oldest, to.next());
    assert_eq!(history.batches.first().unwrap().revision, to.next());
    assert_eq!(history.batches.last().unwrap().revision, newest);
    let history = reader.history(incarnation(3), Revision(1), u64::MAX).unwrap();
    assert_eq!(history.batches.len() as u64, newest.0);
    assert!(reader.weights(incarnation(1), 1).unwrap()[0].last >= to);
    let stored = reader.batches(Seq(0), u64::MAX).unwrap();
    assert!(stored.iter().all(|stored| stored.group.incarnation != incarnation(2)));
    let before = contents(&*reader).unwrap();
    drop((journal, reader));
    let mut journal = open(dir.path()).unwrap();
    assert_eq!(before, contents(&*journal.reader()).unwrap());
    // Once nothing stands before them, the places go too, and with them the deleted market.
    while journal.trim(incarnation(3), newest).unwrap() {}
    while journal.trim(incarnation(1), newest).unwrap() {}
    for _ in 0..9 {
        journal.trim(incarnation(1), newest).unwrap();
    }
    let known = journal.reader().markets().unwrap();
    let known: Vec<_> = known.iter().map(|known| known.incarnation).collect();
    assert_eq!(known, [incarnation(1), incarnation(3)]);
    let last = journal.append(&[deletion(1)]).unwrap();
    drop(journal);
    let journal = open(dir.path()).unwrap();
    assert_eq!(journal.reader().batches(Seq(0), 9).unwrap().last().unwrap().seq, last);
    // When nothing at all is left, numbers still go on.
    let mut journal = journal;
    let last = journal.append(&[deletion(3)]).unwrap();
    for market in [1, 3] {
        while journal.trim(incarnation(market), Revision(0)).unwrap() {}
    }
    assert_eq!(contents(&*journal.reader()).unwrap(), "");
    drop(journal);
    let mut journal = open(dir.path()).unwrap();
    assert_eq!(journal.append(&[group(4, &all)]).unwrap(), Seq(last.0 + 1));
}

/// Goal: who reads does not hold up who writes, and sees whole commits only, in order,
/// while the log is taken into the database under them.
#[test]
fn readers_see_whole_commits_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_bytes: 5_000, ..Options::default() };
    let mut journal = sqlite::open(Directory::take(dir.path()).unwrap(), options).unwrap();
    let all = entries(9, 200);
    journal.append(&[1, 2].map(|m| group(m, &all[..1]))).unwrap();
    let reader = journal.reader();
    let newest = all.last().unwrap().revision;
    std::thread::scope(|scope| {
        for market in [1, 2] {
            let reader = reader.clone();
            scope.spawn(move || {
                let mut next = Revision(1);
                while next <= newest {
                    let history = reader.history(incarnation(market), next, 2_000).unwrap();
                    for batch in history.batches {
                        assert_eq!(batch.revision, next, "revisions have no gaps");
                        next = next.next();
                    }
                    let stored = reader.batches(Seq(0), u64::MAX).unwrap();
                    assert!(stored.len().is_multiple_of(2), "a commit is seen whole");
                }
            });
        }
        for entry in &all[1..] {
            let groups = [1, 2].map(|m| group(m, std::slice::from_ref(entry)));
            journal.append(&groups).unwrap();
        }
    });
}

/// Goal: what no journal may hold is refused, and leaves nothing behind.
#[test]
fn misuse_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(1, 30);
    let mut journal = open(dir.path()).unwrap();
    journal.append(&[group(1, &all[..5])]).unwrap();
    let mut without_events = all[5].clone();
    without_events.events = None;
    let other_name = Group { name: MarketName::parse("", "x").unwrap(), ..group(1, &all[5..6]) };
    let wrong = [
        vec![group(1, &all[6..])],
        vec![group(1, &all[4..])],
        vec![group(1, &all[5..7]), group(1, &all[5..7])],
        vec![group(1, &all[5..6]), group(2, &all[1..])],
        vec![group(1, &[])],
        vec![group(1, &[without_events])],
        vec![other_name],
        vec![deletion(2)],
        vec![deletion(1), group(1, &all[5..])],
    ];
    for groups in wrong {
        let result = journal.append(&groups);
        assert!(matches!(result, Err(Error::Misuse(_))), "{result:?}");
    }
    assert_eq!(journal.append(&[group(1, &all[5..])]).unwrap(), Seq(2));
    let history = journal.reader().history(incarnation(1), Revision(1), u64::MAX).unwrap();
    assert_eq!(history.batches.last().unwrap().revision, all.last().unwrap().revision);
}

/// Goal: a change of the format does not go unnoticed: what is written today are these
/// bytes. Whoever changes them on purpose raises `codec::FORMAT` and still reads the old.
#[test]
fn the_format_stays_as_it_is() {
    let mut world = World::matched();
    let skilled = WorkerSpec {
        skills: vec![(skill("a"), 70)],
        deadline: Some(Millis(START + 5)),
        labels: Box::new([("k".into(), "v".into())]),
        ranking: Some(vec![vacancy_id(1)]),
        mobility: MobilitySpec::Listed(vec![city_name(AWAY)]),
        ..worker(2)
    };
    let key = RequestKey { id: RequestId(Uuid::from_u128(3)), fingerprint: 4 };
    let unknown = WorkerSpec { home_city: city_name("nowhere"), ..worker(3) };
    world.apply_as(Some(key), upsert([skilled, unknown])).unwrap();
    world.ok(confirm(MatchSide::Employer, [(1, 1)]));
    world.ok(confirm(MatchSide::Worker, [(1, 1)]));
    world.tick(10);
    let mut digest = 0;
    for entry in entries_of(&world) {
        let bytes = [codec::encode(&entry.effects), codec::encode(&entry.events)].concat();
        digest = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, digest);
    }
    assert_eq!(digest, 0x9c2d_a864_385c_fc65, "{digest:#x}");
}
