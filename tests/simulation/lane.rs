//! A market's clients: what they ask for, in which order, and what they were told.

use crate::promises::{Checked, DURABLE, ONCE, broken};
use crate::support::commands::{Case, KINDS};
use crate::support::draws::Random;
use crate::twin::Twin;
use gale::domain::{Clearing, Incarnation, MarketName, Promise, RequestId, Settings};
use gale::state::{Command, Creation, Outcome, RequestKey};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// Operations of which a lane's commands are made.
const OPERATIONS: usize = 25;

/// What becomes of a lane's market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Being {
    /// Nobody has asked for it, or nobody knows whether it was made.
    Unmade,
    /// It was made.
    Made,
    /// It was deleted, or nobody knows whether it was.
    Leaving,
    /// It was deleted.
    Gone,
}

pub struct Lane {
    pub creation: Creation,
    pub being: Being,
    /// Its market is deleted in the end.
    pub is_brief: bool,
    commands: Vec<(RequestKey, Command)>,
    next: usize,
    /// Asked before, and not answered.
    again: VecDeque<usize>,
    answers: HashMap<usize, Arc<Outcome>>,
    refused: HashSet<RequestId>,
}

impl Lane {
    /// A lane with random commands, which were sensible in a market like this one.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9) ^ number << 40);
        let mut case = Case::new(random.next());
        for _ in 0..OPERATIONS {
            case.operate(random.below(u64::from(KINDS)) as u8, random.next());
        }
        let mut envelopes = case.world.envelopes.into_iter();
        let Some(Command::Create(mut creation)) = envelopes.next().map(|first| first.command)
        else {
            panic!("a world begins with its creation")
        };
        creation.name = MarketName::parse("market", &format!("market-{number}")).unwrap();
        creation.incarnation = Incarnation(Uuid::from_u64_pair(seed, number));
        let continuous = number == 1;
        if continuous {
            let clearing = Clearing::Continuous(Promise::Stable);
            creation.settings = Settings { clearing, ..Settings::default() };
        }
        // A round commits itself, and a market that is cleared continuously stays so.
        let asked = envelopes.map(|envelope| envelope.command).filter(|command| match command {
            Command::Commit(_) => false,
            Command::Update { .. } => !continuous,
            _ => true,
        });
        let key = |at: usize| RequestKey {
            id: RequestId(Uuid::from_u64_pair(number + 1, at as u64)),
            fingerprint: at as u128,
        };
        Self {
            creation,
            being: Being::Unmade,
            is_brief: number == 2,
            commands: asked.enumerate().map(|(at, command)| (key(at), command)).collect(),
            next: 0,
            again: VecDeque::new(),
            answers: HashMap::new(),
            refused: HashSet::new(),
        }
    }

    pub fn incarnation(&self) -> Incarnation {
        self.creation.incarnation
    }

    /// The command of that name.
    pub fn command(&self, key: RequestKey) -> Option<Command> {
        let (known, command) = self.commands.get(key.id.0.as_u64_pair().1 as usize)?;
        (*known == key).then(|| command.clone())
    }

    pub fn get(&self, at: usize) -> (RequestKey, Command) {
        self.commands[at].clone()
    }

    /// What to ask for next: what was not answered, first.
    pub fn take(&mut self) -> Option<usize> {
        self.again.pop_front().or_else(|| {
            (self.next < self.commands.len()).then(|| {
                self.next += 1;
                self.next - 1
            })
        })
    }

    /// One that was answered, to be asked for again.
    pub fn answered(&self, random: &mut Random) -> Option<usize> {
        let at = random.below(self.next.max(1) as u64) as usize;
        self.answers.contains_key(&at).then_some(at)
    }

    /// How much of its life is over, in quarters.
    pub fn quarter(&self) -> usize {
        4 * self.next / self.commands.len().max(1)
    }

    /// Asks for it again later, if it was not answered.
    pub fn unanswered(&mut self, at: usize) {
        if !self.answers.contains_key(&at) {
            self.again.push_back(at);
        }
    }

    pub fn refuse(&mut self, at: usize) -> Checked {
        if self.answers.contains_key(&at) {
            return broken(ONCE, format_args!("{:?} was answered, and is refused", self.get(at)));
        }
        self.refused.insert(self.commands[at].0.id);
        Ok(())
    }

    /// A command was answered: it must be durable, and it must not have been answered
    /// otherwise before.
    pub fn acknowledge(&mut self, at: usize, outcome: Arc<Outcome>, twin: &Twin) -> Checked {
        let (key, command) = &self.commands[at];
        match twin.answers.get(&key.id) {
            Some(kept) if *kept == outcome => {}
            kept => {
                let evidence = format!("{command:?} is answered {outcome:?}, {kept:?} is durable");
                return broken(DURABLE, evidence);
            }
        }
        match self.answers.insert(at, outcome.clone()) {
            Some(before) if before != outcome => {
                let evidence = format!("{command:?} is answered {before:?}, then {outcome:?}");
                broken(ONCE, evidence)
            }
            _ => Ok(()),
        }
    }

    /// At the end: everything that was acknowledged is kept, and nothing that was refused.
    pub fn check(&self, twin: &Twin) -> Checked {
        for (at, outcome) in &self.answers {
            let (key, command) = &self.commands[*at];
            if twin.answers.get(&key.id) != Some(outcome) {
                return broken(DURABLE, format_args!("{command:?} was answered {outcome:?}"));
            }
        }
        match self.refused.iter().find(|id| twin.answers.contains_key(id)) {
            Some(id) => broken(ONCE, format_args!("{} was refused, and is kept", id.0)),
            None => Ok(()),
        }
    }
}
