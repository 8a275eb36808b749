//! Snapshots and recoveries: a state that was written and read goes on as if nothing had
//! been, and a recovery ends where the journal does.

use super::*;
use gale::journal::snapshot::Listed;

fn operate(case: &mut Case, random: &mut Random, operations: u64) {
    for _ in 0..operations {
        case.operate(random.below(u64::from(KINDS)) as u8, random.next());
    }
}

fn cover(state: &State) -> Cover {
    let head = &state.view().head;
    let (incarnation, name) = (head.incarnation, head.name.clone());
    Cover { incarnation, name, revision: head.revision, seq: Seq(1), at: Millis(START) }
}

/// Goal: a state that comes back from a snapshot decides as the one that stayed, to the
/// end of its life; a snapshot that is written later is still of its moment.
#[test]
fn a_restored_state_goes_on_as_the_one_that_stayed() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..300 {
        let snapshots = Snapshots::of(dir.path().join(seed.to_string()));
        let (mut case, mut random) = (Case::new(seed), Random(seed));
        let before = random.below(60);
        operate(&mut case, &mut random, before);
        let (dump, hash) = (case.world.state.dump(), case.world.state.hash());
        let cover = cover(&case.world.state);
        let (envelopes, effects) = (case.world.envelopes.len(), case.world.journal.len());
        operate(&mut case, &mut random, 30);
        snapshots.write(&cover, &dump).unwrap();
        let listed = snapshots.list(cover.incarnation).unwrap();
        let (read, mut restored) = snapshots.read(&listed[0], Capacity::default()).unwrap();
        assert_eq!((read, restored.hash()), (cover, hash), "seed {seed}");
        let mut again = Vec::new();
        for envelope in &case.world.envelopes[envelopes..] {
            let Ok(mut decision) = restored.decide(envelope) else { continue };
            decision.effects.extend(decision.remembrance());
            for effect in decision.effects {
                restored.evolve(decision.revision, &effect);
                again.push((decision.revision, effect));
            }
        }
        let stayed = &case.world.journal[effects..];
        assert_eq!(format!("{again:?}"), format!("{stayed:?}"), "seed {seed}");
        assert_eq!(restored.hash(), case.world.state.hash(), "seed {seed}");
        case.probe(&restored);
    }
}

/// Goal: the hash tells states apart by everything that decides, also by what no view
/// shows: a deadline, a remembered outcome.
#[test]
fn the_hash_tells_states_apart() {
    let world = |deadline: Option<i64>, request: Option<u128>| {
        let mut world = World::matched();
        let request = request
            .map(|fingerprint| RequestKey { id: RequestId(Uuid::from_u128(1)), fingerprint });
        let spec = WorkerSpec { deadline: deadline.map(Millis), ..worker(2) };
        world.apply_as(request, upsert([spec])).unwrap();
        world.state.hash()
    };
    let cases = [
        (None, None),
        (Some(START + 9), None),
        (Some(START + 8), None),
        (None, Some(1)),
        (None, Some(2)),
    ];
    let hashes: Vec<u64> = cases.iter().map(|(d, r)| world(*d, *r)).collect();
    for (at, hash) in hashes.iter().enumerate() {
        assert_eq!(*hash, world(cases[at].0, cases[at].1), "the same commands, the same hash");
        assert!(!hashes[..at].contains(hash), "{:?} has the hash of another", cases[at]);
    }
}

/// Goal: the newest two snapshots are kept; every flipped bit of one is noticed, and the
/// one before it serves in its place.
#[test]
fn a_damaged_snapshot_leaves_the_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(3, 60);
    let mut journal = open(dir.path()).unwrap();
    let snapshots = Snapshots::of(journal.directory().snapshots());
    for (number, entry) in (1..).zip(&all) {
        let seq = journal.append(&[group(1, std::slice::from_ref(entry))]).unwrap();
        assert_eq!(seq, Seq(number));
        if [10, 20, 30].contains(&number) {
            take_snapshot(journal.directory(), 1, &all[..number as usize], seq);
        }
    }
    let listed = snapshots.list(incarnation(1)).unwrap();
    assert_eq!(listed.len(), 2, "the oldest of three is gone: {listed:?}");
    let expected = state_of(1, &all).hash();
    let reader = journal.reader();
    let recovered = || {
        let recovered = recover(&*reader, Some(&snapshots), Capacity::default()).unwrap();
        (recovered[0].snapshot, recovered[0].state.hash())
    };
    assert_eq!(recovered(), (Some(listed[0].revision), expected));
    let Listed { path, .. } = &listed[0];
    let whole = std::fs::read(path).unwrap();
    let mut random = Random(1);
    let regions = (0..60).chain((0..300).map(|_| random.below(whole.len() as u64) as usize));
    for at in regions.chain(whole.len() - 20..whole.len()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(path, bytes).unwrap();
        let result = snapshots.read(&listed[0], Capacity::default());
        assert!(matches!(&result, Err(Error::Damaged(_))), "byte {at}: {:?}", result.map(|_| ()));
    }
    for cut in [0, 7, 20, whole.len() / 2, whole.len() - 1] {
        std::fs::write(path, &whole[..cut]).unwrap();
        let result = snapshots.read(&listed[0], Capacity::default());
        assert!(matches!(&result, Err(Error::Damaged(_))), "cut at {cut}");
    }
    let longer = [&whole[..], b"x"].concat();
    std::fs::write(path, longer).unwrap();
    assert!(snapshots.read(&listed[0], Capacity::default()).is_err());
    assert_eq!(recovered(), (Some(listed[1].revision), expected));
    let aside = path.with_extension("snapshot-damaged");
    assert!(aside.exists() && !path.exists(), "what is damaged is kept, out of the way");
}

/// Goal: whatever was snapshotted, trimmed and deleted, a recovery leads to the states
/// that the entries lead to, on the durable engine and in memory; what was appended
/// between a snapshot's moment and its revision is not applied twice.
#[test]
fn a_recovery_ends_where_the_journal_does() {
    for seed in 0..40 {
        let dir = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let markets: Vec<_> = (1..=3).map(|m| (m, entries(seed * 7 + m as u64, 50))).collect();
        let mut journal = open(dir.path()).unwrap();
        let mut memory = Memory::open(&Disk::default()).unwrap();
        let mut done = [0; 3];
        while markets.iter().zip(&done).any(|((_, entries), done)| *done < entries.len()) {
            let mut groups = Vec::new();
            for ((market, entries), done) in markets.iter().zip(&mut done) {
                let end = entries.len().min(*done + random.below(4) as usize);
                if end > *done {
                    groups.push(group(*market, &entries[*done..end]));
                    *done = end;
                }
            }
            if groups.is_empty() {
                continue;
            }
            let seq = journal.append(&groups).unwrap();
            memory.append(&groups).unwrap();
            if random.one_in(6) {
                // The state may be ahead of the batch that it is said to cover.
                let seq = Seq(seq.0 - random.below(seq.0.min(3)));
                let at = random.below(3) as usize;
                if done[at] > 0 {
                    let (market, entries) = &markets[at];
                    take_snapshot(journal.directory(), *market, &entries[..done[at]], seq);
                }
            }
        }
        let deleted = random.one_in(2);
        if deleted {
            journal.append(&[deletion(3)]).unwrap();
            memory.append(&[deletion(3)]).unwrap();
            journal.trim(incarnation(3), Revision(0)).unwrap();
        }
        let snapshots = Snapshots::of(journal.directory().snapshots());
        for market in [1, 2] {
            if let Some(to) = snapshots.trim_to(incarnation(market)).unwrap() {
                assert!(!journal.trim(incarnation(market), to).unwrap());
            }
        }
        if random.one_in(2) {
            drop(journal);
            journal = open(dir.path()).unwrap();
        }
        let capacity = Capacity::default();
        let durable = recover(&*journal.reader(), Some(&snapshots), capacity).unwrap();
        let volatile = recover(&*memory.reader(), None, capacity).unwrap();
        for recovered in [durable, volatile] {
            let found: Vec<_> = recovered.iter().map(|r| (r.incarnation, r.state.hash())).collect();
            let expected = markets.iter().filter(|(market, _)| *market != 3 || !deleted);
            let expected =
                expected.map(|(m, entries)| (incarnation(*m), state_of(*m, entries).hash()));
            assert_eq!(found, expected.collect::<Vec<_>>(), "seed {seed}");
        }
    }
}

/// Goal: the engine in memory fails as it is told to, keeps what it has acknowledged, and
/// finds after a crash what a disk would have.
#[test]
fn faults_lose_nothing_that_was_acknowledged() {
    for seed in 0..200 {
        let disk = Disk::default();
        let all = entries(seed % 10, 30);
        let (mut acknowledged, mut crashes) = (0, 0);
        let mut lives = 0;
        while acknowledged < all.len() {
            lives += 1;
            let mut random = Random(seed * 1_000 + lives);
            let mut journal = Memory::with_faults(&disk, move |_| match random.below(12) {
                0 => Fault::Full,
                1 => Fault::Failed,
                2 => Fault::Torn,
                3 => Fault::Unsure,
                4 => Fault::Stall(std::sync::mpsc::channel().1),
                5 => Fault::Crash,
                6 => Fault::CrashAfter,
                _ => Fault::None,
            })
            .unwrap();
            // What the last life has left, acknowledged or not.
            let markets = recover(&*journal.reader(), None, Capacity::default()).unwrap();
            let kept = markets.first().map_or(0, |market| market.replayed as usize);
            assert!(
                kept >= acknowledged,
                "seed {seed}: {acknowledged} were acknowledged, {kept} kept"
            );
            acknowledged = kept;
            while acknowledged < all.len() {
                match journal.append(&[group(1, &all[acknowledged..=acknowledged])]) {
                    Ok(seq) => {
                        acknowledged += 1;
                        assert_eq!(seq, Seq(acknowledged as u64));
                    }
                    Err(error) => {
                        assert!(error.may_pass(), "{error}");
                        if error.to_string().contains("the process is gone") {
                            crashes += 1;
                            assert!(journal.settle().is_err(), "a dead process does nothing");
                            break;
                        }
                    }
                }
            }
        }
        assert!(lives == crashes + 1 || acknowledged == all.len());
        let markets = recover(&disk, None, Capacity::default()).unwrap();
        assert_eq!(markets[0].state.hash(), state_of(1, &all).hash(), "seed {seed}");
    }
}
