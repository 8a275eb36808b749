//! One checker per promise of `Watch`, over recorded histories. The error of a checker
//! is the promise that was broken, followed by the evidence.

use crate::support::{Place, place};
use gale::proto::v1 as pb;
use gale::proto::v1::event::Detail;
use prost::Message;
use std::collections::HashSet;

/// Largest message of a stream (`docs/GUARANTEES.md`).
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Where a session began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Began {
    /// At this place, inclusive.
    At(Place),
    /// After the newest event, which lay somewhere between these two.
    Between(Place, Place),
}

impl Began {
    /// Nothing before this may come.
    fn earliest(self) -> Place {
        match self {
            Self::At(at) | Self::Between(at, _) => at,
        }
    }

    /// Everything from here on must come.
    fn complete_from(self) -> Place {
        match self {
            Self::At(at) | Self::Between(_, at) => at,
        }
    }
}

/// What one call to `Watch` delivered, as far as its client took it.
#[derive(Clone, Debug)]
pub struct Session {
    pub began: Began,
    pub messages: Vec<pb::WatchResponse>,
}

impl Session {
    fn events(&self) -> impl Iterator<Item = &pb::Event> {
        self.messages.iter().flat_map(|message| &message.events)
    }

    /// Where the client would resume.
    pub fn next(&self) -> Option<Place> {
        self.messages.last().map(|message| place(message.next.as_ref()))
    }
}

/// The life of one subscriber: sessions, each of which resumes where the one before ended.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub filter: pb::EventFilter,
    pub sessions: Vec<Session>,
}

/// All that happened, in order, as `ListEvents` tells it.
pub struct Reference {
    pub events: Vec<pb::Event>,
    /// The place after the newest event.
    pub end: Place,
}

pub fn place_of(event: &pb::Event) -> Place {
    place(event.position.as_ref())
}

impl Reference {
    /// The events from `from` to before `to` that the filter lets through.
    fn passing<'a>(
        &'a self,
        filter: &'a pb::EventFilter,
        from: Place,
        to: Place,
    ) -> impl Iterator<Item = &'a pb::Event> {
        let first = self.events.partition_point(|event| place_of(event) < from);
        let rest = self.events[first..].iter().take_while(move |event| place_of(event) < to);
        rest.filter(|event| passes(filter, event))
    }
}

/// Whether a filter lets an event through, by the words of the API alone.
pub fn passes(filter: &pb::EventFilter, event: &pb::Event) -> bool {
    let (cities, worker, vacancy): (Vec<&str>, Option<&str>, Option<&str>) =
        match event.detail.as_ref().expect("every event has its detail") {
            Detail::Market(_) | Detail::Region(_) | Detail::Round(_) => (vec![], None, None),
            Detail::City(city) => (vec![&city.id], None, None),
            Detail::MoveCost(cost) => (vec![&cost.origin, &cost.destination], None, None),
            Detail::Worker(w) => (vec![&w.home_city], Some(&w.worker_id), None),
            Detail::Vacancy(v) => (vec![&v.city], None, Some(&v.vacancy_id)),
            Detail::Match(m) => {
                (vec![&m.origin, &m.destination], Some(&m.worker_id), Some(&m.vacancy_id))
            }
            Detail::Migration(m) => {
                (vec![&m.origin, &m.destination], Some(&m.worker_id), Some(&m.vacancy_id))
            }
        };
    let named = |list: &[String], id: Option<&str>| {
        list.is_empty() || id.is_some_and(|id| list.iter().any(|listed| listed == id))
    };
    (filter.kinds.is_empty() || filter.kinds.contains(&event.kind))
        && (filter.cities.is_empty()
            || cities.iter().any(|city| filter.cities.iter().any(|listed| listed == city)))
        && named(&filter.worker_ids, worker)
        && named(&filter.vacancy_ids, vacancy)
}

pub type Checked = Result<(), String>;

/// A broken promise, with the evidence.
fn broken<T>(promise: &str, evidence: impl std::fmt::Display) -> Result<T, String> {
    Err(format!("{promise}\n  {evidence}"))
}

pub const ORDERED: &str = "Ordered: the events of a stream come in the order of their positions.";
pub const UNIQUE: &str = "Unique: no event comes twice, however often the subscriber resumes.";
pub const RELIABLE: &str = "Reliable: no event that the filter lets through is left out, none that it does not let through comes, and each comes as it was.";
pub const ATOMIC: &str = "Atomic: the events of a revision come together, in messages of at most 1 MiB with nothing between them, the last of which says so.";
pub const RESUMABLE: &str =
    "Resumable: a stream goes on exactly where it is told to, which is where the one before says.";
pub const BOOKMARKABLE: &str =
    "Bookmarkable: a checkpoint never passes an event that is yet to be delivered.";

pub fn ordered(subscription: &Subscription) -> Checked {
    for session in &subscription.sessions {
        let mut before = None;
        for event in session.events() {
            let here = place_of(event);
            if before.is_some_and(|before| here < before) {
                return broken(ORDERED, format_args!("{here:?} comes after {before:?}"));
            }
            before = Some(here);
        }
    }
    Ok(())
}

pub fn unique(subscription: &Subscription) -> Checked {
    let mut seen = HashSet::new();
    for event in subscription.sessions.iter().flat_map(Session::events) {
        if !seen.insert(place_of(event)) {
            return broken(UNIQUE, format_args!("{:?} comes twice", place_of(event)));
        }
    }
    Ok(())
}

pub fn reliable(subscription: &Subscription, reference: &Reference) -> Checked {
    for session in &subscription.sessions {
        let Some(to) = session.next() else { continue };
        let from = session.began.complete_from();
        let mut expected = reference.passing(&subscription.filter, from, to);
        // A session that began at a time, not a place, may have some events more.
        let early = |event: &&pb::Event| {
            (session.began.earliest()..from).contains(&place_of(event))
                && passes(&subscription.filter, event)
        };
        for event in session.events().filter(|event| !early(event)) {
            match expected.next() {
                Some(expected) if expected == event => {}
                expected => {
                    let evidence = format!("{expected:?} is due, {event:?} comes");
                    return broken(RELIABLE, evidence);
                }
            }
        }
        if let Some(missing) = expected.next() {
            let evidence = format!("{:?} never comes, though all to {to:?} has", place_of(missing));
            return broken(RELIABLE, evidence);
        }
    }
    Ok(())
}

pub fn atomic(subscription: &Subscription, reference: &Reference) -> Checked {
    for session in &subscription.sessions {
        let mut unfinished: Option<u64> = None;
        for message in &session.messages {
            if message.encoded_len() > MESSAGE_BYTES_MAX {
                return broken(ATOMIC, format_args!("{} bytes", message.encoded_len()));
            }
            let revisions: HashSet<u64> =
                message.events.iter().map(|event| place_of(event).0).collect();
            let revision = match revisions.len() {
                0 => None,
                1 => revisions.into_iter().next(),
                _ => return broken(ATOMIC, format_args!("one message has {revisions:?}")),
            };
            if unfinished.is_some() && unfinished != revision {
                return broken(ATOMIC, format_args!("{revision:?} comes inside {unfinished:?}"));
            }
            let (Some(revision), Some(last)) = (revision, message.events.last()) else { continue };
            let mut rest = reference.passing(
                &subscription.filter,
                (revision, place_of(last).1 + 1),
                (revision + 1, 0),
            );
            let is_last = rest.next().is_none();
            if is_last != message.last_in_revision {
                let evidence = format!(
                    "after {:?} last_in_revision is {}",
                    place_of(last),
                    message.last_in_revision
                );
                return broken(ATOMIC, evidence);
            }
            unfinished = (!is_last).then_some(revision);
        }
    }
    Ok(())
}

pub fn resumable(subscription: &Subscription, reference: &Reference) -> Checked {
    let filter = &subscription.filter;
    let mut ended: Option<Place> = None;
    for session in &subscription.sessions {
        if let (Some(ended), Began::At(began)) = (ended, session.began)
            && ended != began
        {
            return broken(RESUMABLE, format_args!("{began:?} does not resume {ended:?}"));
        }
        let began = session.began.earliest();
        if let Some(first) = session.events().next() {
            let first = place_of(first);
            let due = reference.passing(filter, session.began.complete_from(), first).next();
            if first < began || due.is_some() {
                let due = due.map(place_of);
                let evidence = format!("from {began:?} on {due:?} is due, {first:?} comes");
                return broken(RESUMABLE, evidence);
            }
        }
        for message in &session.messages {
            let Some(last) = message.events.last().map(place_of) else { continue };
            let next = place(message.next.as_ref());
            let lost = reference.passing(filter, (last.0, last.1 + 1), next).next();
            if next <= last || lost.is_some() {
                let evidence = format!("after {last:?} it says {next:?}");
                return broken(RESUMABLE, evidence);
            }
        }
        ended = session.next().or(ended);
    }
    Ok(())
}

pub fn bookmarkable(subscription: &Subscription, reference: &Reference) -> Checked {
    for session in &subscription.sessions {
        let mut delivered = session.began.complete_from();
        let mut bookmark = session.began.earliest();
        for message in &session.messages {
            let next = place(message.next.as_ref());
            if let Some(first) = message.events.first().map(place_of)
                && first < bookmark
            {
                let evidence = format!("{first:?} comes after all to {bookmark:?} has come");
                return broken(BOOKMARKABLE, evidence);
            }
            if let Some(last) = message.events.last().map(place_of) {
                delivered = delivered.max((last.0, last.1 + 1));
            }
            if message.checkpoint != message.events.is_empty() {
                return broken(BOOKMARKABLE, format_args!("a checkpoint with events: {next:?}"));
            }
            if !message.checkpoint {
                continue;
            }
            let passed = reference.passing(&subscription.filter, delivered, next).next();
            if next < bookmark || next > reference.end || passed.is_some() {
                let passed = passed.map(place_of);
                let evidence = format!(
                    "checkpoint {next:?} after {bookmark:?} passes {passed:?}; the end is {:?}",
                    reference.end
                );
                return broken(BOOKMARKABLE, evidence);
            }
            bookmark = next;
        }
    }
    Ok(())
}

/// All six promises.
pub fn all(subscription: &Subscription, reference: &Reference) -> Checked {
    ordered(subscription)?;
    unique(subscription)?;
    atomic(subscription, reference)?;
    resumable(subscription, reference)?;
    bookmarkable(subscription, reference)?;
    reliable(subscription, reference)
}

/// That the reference itself has no gaps: revisions from 1, events from 0.
pub fn dense(reference: &Reference) -> Checked {
    const DENSE: &str =
        "The history has no gaps: each revision follows its predecessor, each event in it too.";
    let mut due = (1, 0);
    for event in &reference.events {
        let here = place_of(event);
        if here != due && (due.1 == 0 || here != (due.0 + 1, 0)) {
            return broken(DENSE, format_args!("{here:?} follows, {due:?} is due"));
        }
        due = (here.0, here.1 + 1);
    }
    if reference.end != (due.0 + 1, 0) {
        return broken(DENSE, format_args!("it ends at {:?}, {due:?} is due", reference.end));
    }
    Ok(())
}

/// Goal: each checker notices its own broken promise. Method: a small good history,
/// which all checkers accept, and one change to it that breaks one promise.
mod tests {
    use super::*;

    fn event(revision: u64, index: u32, home: &str) -> pb::Event {
        let position = pb::Position { incarnation: String::new(), revision, index };
        let worker = pb::WorkerChange {
            worker_id: format!("{revision}.{index}"),
            home_city: home.into(),
            ..Default::default()
        };
        pb::Event {
            position: Some(position),
            kind: pb::EventKind::WorkerChanged as i32,
            time: None,
            detail: Some(Detail::Worker(worker)),
        }
    }

    fn message(events: &[pb::Event], last_in_revision: bool, next: Place) -> pb::WatchResponse {
        let position = pb::Position { incarnation: "i".into(), revision: next.0, index: next.1 };
        pb::WatchResponse {
            events: events.to_vec(),
            last_in_revision,
            next: Some(position),
            checkpoint: events.is_empty(),
        }
    }

    fn reference() -> Reference {
        let events = vec![
            event(1, 0, "a"),
            event(2, 0, "a"),
            event(2, 1, "b"),
            event(2, 2, "a"),
            event(2, 3, "a"),
            event(3, 0, "b"),
            event(4, 0, "a"),
        ];
        Reference { events, end: (5, 0) }
    }

    /// Who wants city a: two sessions, a large revision in two messages, a checkpoint.
    fn subscription() -> Subscription {
        let e = reference().events;
        let first = Session {
            began: Began::At((1, 0)),
            messages: vec![
                message(&e[0..1], true, (2, 0)),
                message(&[e[1].clone(), e[3].clone()], false, (2, 4 - 1)),
            ],
        };
        let second = Session {
            began: Began::At((2, 3)),
            messages: vec![
                message(&e[4..5], true, (3, 0)),
                message(&[], false, (4, 0)),
                message(&e[6..7], true, (5, 0)),
            ],
        };
        let filter = pb::EventFilter { cities: vec!["a".into()], ..Default::default() };
        Subscription { filter, sessions: vec![first, second] }
    }

    fn said(checked: Checked) -> String {
        let error = checked.expect_err("a broken promise is noticed");
        error.split('\n').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_good_history_keeps_all_promises() {
        all(&subscription(), &reference()).unwrap();
        dense(&reference()).unwrap();
    }

    #[test]
    fn ordered_is_checked() {
        let mut bad = subscription();
        bad.sessions[0].messages.swap(0, 1);
        assert_eq!(said(ordered(&bad)), ORDERED);
    }

    #[test]
    fn unique_is_checked() {
        let mut bad = subscription();
        let again = bad.sessions[0].messages[1].events[1].clone();
        bad.sessions[1].messages[0].events.insert(0, again);
        assert_eq!(said(unique(&bad)), UNIQUE);
    }

    #[test]
    fn reliable_is_checked() {
        let mut bad = subscription();
        bad.sessions[0].messages[1].events.remove(0);
        assert_eq!(said(reliable(&bad, &reference())), RELIABLE, "an event is left out");
        let mut bad = subscription();
        bad.sessions[1].messages.remove(2);
        bad.sessions[1].messages.push(message(&[], false, (5, 0)));
        assert_eq!(said(reliable(&bad, &reference())), RELIABLE, "the last is left out");
        let mut bad = subscription();
        bad.sessions[0].messages[1].events.insert(1, event(2, 1, "b"));
        assert_eq!(said(reliable(&bad, &reference())), RELIABLE, "one too many");
        let mut bad = subscription();
        bad.sessions[0].messages[0].events[0].kind = pb::EventKind::Matched as i32;
        assert_eq!(said(reliable(&bad, &reference())), RELIABLE, "another event");
    }

    #[test]
    fn atomic_is_checked() {
        let mut bad = subscription();
        bad.sessions[0].messages[1].last_in_revision = true;
        assert_eq!(said(atomic(&bad, &reference())), ATOMIC, "too early");
        let mut bad = subscription();
        bad.sessions[1].messages[0].last_in_revision = false;
        assert_eq!(said(atomic(&bad, &reference())), ATOMIC, "too late");
        let mut bad = subscription();
        bad.sessions[0].messages.push(message(&[], false, (2, 3)));
        assert_eq!(said(atomic(&bad, &reference())), ATOMIC, "something between");
        let mut bad = subscription();
        let other = bad.sessions[1].messages[2].events[0].clone();
        bad.sessions[1].messages[0].events.push(other);
        assert_eq!(said(atomic(&bad, &reference())), ATOMIC, "two revisions in one message");
        let mut bad = subscription();
        let Some(Detail::Worker(worker)) = &mut bad.sessions[0].messages[0].events[0].detail else {
            unreachable!("made above")
        };
        worker.worker_id = "x".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(said(atomic(&bad, &reference())), ATOMIC, "too large");
    }

    #[test]
    fn resumable_is_checked() {
        let mut bad = subscription();
        bad.sessions[1].messages.remove(0);
        assert_eq!(said(resumable(&bad, &reference())), RESUMABLE, "begins too late");
        let mut bad = subscription();
        let before = bad.sessions[0].messages[1].events[1].clone();
        bad.sessions[1].messages[0].events.insert(0, before);
        assert_eq!(said(resumable(&bad, &reference())), RESUMABLE, "begins too early");
        let mut bad = subscription();
        bad.sessions[1].messages[0].next = message(&[], false, (4, 1)).next;
        assert_eq!(said(resumable(&bad, &reference())), RESUMABLE, "would resume too late");
        let mut bad = subscription();
        bad.sessions[1].messages[0].next = message(&[], false, (2, 3)).next;
        assert_eq!(said(resumable(&bad, &reference())), RESUMABLE, "would resume too early");
    }

    #[test]
    fn bookmarkable_is_checked() {
        let mut bad = subscription();
        bad.sessions[1].messages[1].next = message(&[], false, (4, 1)).next;
        assert_eq!(said(bookmarkable(&bad, &reference())), BOOKMARKABLE, "passes an event");
        let mut bad = subscription();
        bad.sessions[1].messages.push(message(&[], false, (6, 0)));
        assert_eq!(said(bookmarkable(&bad, &reference())), BOOKMARKABLE, "passes the end");
        let mut bad = subscription();
        bad.sessions[1].messages.push(message(&[], false, (3, 0)));
        assert_eq!(said(bookmarkable(&bad, &reference())), BOOKMARKABLE, "goes back");
    }

    #[test]
    fn gaps_in_the_reference_are_noticed() {
        for missing in [0, 2, 5] {
            let mut bad = reference();
            bad.events.remove(missing);
            dense(&bad).expect_err("a gap is noticed");
        }
        dense(&Reference { end: (6, 0), ..reference() }).expect_err("an end too late");
    }
}
