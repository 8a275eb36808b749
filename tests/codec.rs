//! The codec: values of every kind come back as they were, and bytes that nobody wrote
//! are refused without a panic and without taking memory for what they claim to be.

mod support;

use gale::events::{self, Batch};
use gale::heap::{Heap, Watch};
use gale::journal::codec::{self, Malformed};
use gale::state::{Effect, State};
use std::collections::BTreeSet;
use support::commands::{Case, KINDS};
use support::draws::Random;
use support::world::market_name;

#[global_allocator]
static HEAP: Heap = Heap;

/// Most bytes of memory that decoding takes for one byte of input, and beside that: what
/// a sequence reserves before its elements are read, at a few depths.
const PER_BYTE: u64 = 512;
const AT_MOST_BESIDE: u64 = 8 << 20;

/// What a random market does, and what clients are told of it.
fn written(seed: u64) -> (Vec<Effect>, Vec<Batch>) {
    let mut case = Case::new(seed);
    let mut random = Random(seed);
    for _ in 0..60 {
        case.operate(random.below(u64::from(KINDS)) as u8, random.next());
    }
    let mut state = State::new(market_name(), case.world.capacity);
    let mut batches: Vec<Batch> = Vec::new();
    for (revision, effect) in &case.world.journal {
        let mut told = Vec::new();
        events::derive(state.view(), *revision, effect, &mut told);
        state.evolve(*revision, effect);
        let at = state.view().head.created;
        batches.push(Batch { revision: *revision, at, events: told.into() });
    }
    (case.world.journal.into_iter().map(|(_, effect)| effect).collect(), batches)
}

/// Decodes bytes that may be anything; says whether they meant something.
fn try_decode(bytes: &[u8]) -> bool {
    let watch = Watch::start();
    let effects = codec::decode::<Vec<Effect>>(bytes);
    let batches = codec::decode::<Vec<Batch>>(bytes);
    let (peak, most) = (watch.peak_bytes(), PER_BYTE * bytes.len() as u64 + AT_MOST_BESIDE);
    assert!(peak <= most, "{peak} bytes of memory for {} bytes", bytes.len());
    effects.is_ok() || batches.is_ok()
}

/// Goal: see the head of this file. Method: what random commands do is written and read
/// again; then the bytes are changed at random, cut, and replaced by noise.
#[test]
fn what_was_written_is_read_and_nothing_else_does_harm() {
    let mut kinds = BTreeSet::new();
    let (mut meant, mut refused) = (0, 0);
    for seed in 0..150 {
        let (effects, batches) = written(seed);
        for effect in &effects {
            let word = format!("{effect:?}");
            kinds.insert(word.split([' ', '(', '{']).next().unwrap().to_owned());
        }
        let bytes = [codec::encode(&effects), codec::encode(&batches)];
        let read: Vec<Effect> = codec::decode(&bytes[0]).unwrap();
        assert_eq!(format!("{read:?}"), format!("{effects:?}"), "seed {seed}");
        assert_eq!(codec::encode(&read), bytes[0], "seed {seed}");
        let read: Vec<Batch> = codec::decode(&bytes[1]).unwrap();
        assert_eq!(format!("{read:?}"), format!("{batches:?}"), "seed {seed}");
        let mut random = Random(seed);
        for _ in 0..200 {
            let mut bytes = bytes[random.below(2) as usize].clone();
            match random.below(4) {
                0 => bytes.truncate(random.below(bytes.len() as u64) as usize),
                1 => bytes[1..].fill_with(|| random.next() as u8),
                2 => {
                    // A length that claims the world.
                    let at = 1 + random.below(bytes.len() as u64 - 10) as usize;
                    bytes[at..at + 5].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]);
                }
                _ => {
                    for _ in 0..=random.below(3) {
                        let at = 1 + random.below(bytes.len() as u64 - 1) as usize;
                        bytes[at] ^= 1 << random.below(8);
                    }
                }
            }
            if try_decode(&bytes) { meant += 1 } else { refused += 1 }
        }
        let other = [&[codec::FORMAT + 1], &bytes[0][1..]].concat();
        let result = codec::decode::<Vec<Effect>>(&other).map(drop);
        assert_eq!(result, Err(Malformed::Format(codec::FORMAT + 1)));
    }
    println!("{kinds:?}; changed bytes: {meant} meant something, {refused} refused");
    assert!(kinds.len() >= 15 && meant > 0 && refused > 0, "{kinds:?}");
}
