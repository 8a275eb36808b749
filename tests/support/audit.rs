//! What must hold of every state, recounted from its rows.

use gale::domain::*;
use gale::matching::{self, Control, Matching, certify};
use gale::state::*;
use std::collections::HashMap;

/// Goal: counts and totals are what the rows say, both sides of a match agree, and no
/// capacity is exceeded by placements.
pub fn counts(view: &View) {
    let cities = view.head.geography.cities.len();
    assert_eq!(view.counts.len(), cities);
    let mut counts = vec![CityCounts::default(); cities];
    let mut totals = Totals::default();
    let mut held: HashMap<VacancySlot, Vec<WorkerSlot>> = HashMap::new();
    for (at, row) in view.workers.iter().enumerate() {
        let count = &mut counts[row.worker.home.at()];
        match row.status {
            WorkerStatus::Searching => count.searching += 1,
            WorkerStatus::Matched => count.matched += 1,
            WorkerStatus::Placed => count.placed += 1,
            WorkerStatus::Withdrawn | WorkerStatus::Expired => {}
        }
        totals.workers += u64::from(row.status.in_pool());
        totals.matched += u64::from(row.status == WorkerStatus::Matched);
        totals.placed += u64::from(row.status == WorkerStatus::Placed);
        let has = matches!(row.status, WorkerStatus::Matched | WorkerStatus::Placed);
        assert_eq!(row.held.is_some(), has, "MATCHED and PLACED workers have a vacancy: {row:?}");
        if row.status == WorkerStatus::Matched {
            let vacancy = row.held.unwrap().vacancy;
            held.entry(vacancy).or_default().push(WorkerSlot::from_offset(at));
        }
        assert!(row.changed <= row.revision && row.revision <= view.head.revision);
    }
    for (at, row) in view.vacancies.iter().enumerate() {
        let slot = VacancySlot::from_offset(at);
        let mut holds = row.held.clone();
        holds.sort_unstable();
        assert_eq!(holds, held.remove(&slot).unwrap_or_default(), "both sides agree: {row:?}");
        assert!(row.placed <= row.vacancy.openings, "placed within openings: {row:?}");
        let placed = view.workers.iter().filter(|worker| {
            worker.status == WorkerStatus::Placed && worker.held.is_some_and(|h| h.vacancy == slot)
        });
        assert!(placed.count() <= row.placed as usize, "placements stay counted: {row:?}");
        let count = &mut counts[row.vacancy.city.at()];
        count.held += row.held.len() as u64;
        if row.status == VacancyStatus::Open {
            let free = u64::from(row.vacancy.openings - row.placed);
            count.vacancies += 1;
            count.openings += free;
            totals.vacancies += 1;
            totals.openings += free;
        } else {
            assert!(row.held.is_empty(), "only an open vacancy holds anybody: {row:?}");
        }
        if row.status == VacancyStatus::Filled {
            assert_eq!(row.free(), 0, "FILLED means that all openings are placed: {row:?}");
        }
        assert!(row.changed <= row.revision && row.revision <= view.head.revision);
    }
    assert_eq!(totals, view.head.totals);
    let geography = &*view.head.geography;
    for (at, count) in counts.iter_mut().enumerate() {
        let kept = *view.counts.get(at);
        count.intake = kept.intake;
        assert_eq!(*count, kept, "counts of city {at}");
        let cap = geography.city(CityIx::from_offset(at)).intake_cap;
        assert!(kept.intake <= cap.unwrap_or(u64::MAX), "placed within the cap of city {at}");
    }
    for (at, region) in geography.regions.iter().enumerate() {
        let intake = view.head.region_intake[at];
        assert!(intake <= region.intake_cap.unwrap_or(u64::MAX), "within the cap of region {at}");
    }
}

/// The matching that the rows show, by the numbers of the problem.
pub fn matching_of(view: &View, problem: &matching::Problem) -> Matching {
    let numbers: HashMap<VacancySlot, u32> =
        (0..).zip(&problem.vacancies).map(|(n, post)| (post.slot, n)).collect();
    let held = |slot: WorkerSlot| view.worker(slot).held.map(|held| numbers[&held.vacancy]);
    Matching { vacancy_of: problem.workers.iter().map(|seeker| held(seeker.slot)).collect() }
}

/// Goal: what the market claims is true. STABLE and WORKER_OPTIMAL have no blocking pair
/// and break no capacity; WORKER_OPTIMAL is what a clearing would find now.
pub fn standing(view: &View) {
    let standing = view.head.standing();
    if let Standing::Pending(_) = standing {
        return;
    }
    let problem = view.problem();
    let matching = matching_of(view, &problem);
    let certificate = certify(&problem, &matching, &Control::default()).unwrap();
    assert!(
        certificate.is_stable(),
        "a market that says {standing:?} has blocking pairs {:?} and breaks {:?}",
        certificate.blocking,
        certificate.infeasible,
    );
    if standing == Standing::WorkerOptimal {
        let optimal = matching::clear(&problem, Side::Worker, &Control::default()).unwrap();
        assert_eq!(matching, optimal.matching, "WORKER_OPTIMAL is what a clearing would find");
    }
}

/// The whole of what anybody may see, without the order of hash maps.
pub fn rendering(view: &View) -> String {
    let mut head = view.head.clone();
    let geography = std::mem::take(&mut head.geography);
    let mut text = format!("{head:#?}\n{:?}\n{:?}\n", geography.cities, geography.regions);
    text += &format!("{:?}\n", geography.move_costs_sorted());
    for a in 0..geography.cities.len() {
        let km = (0..a).map(|b| geography.km(CityIx::from_offset(a), CityIx::from_offset(b)));
        text += &format!("{:?}\n", km.collect::<Vec<_>>());
    }
    view.workers.iter().for_each(|row| text += &format!("{row:?}\n"));
    view.vacancies.iter().for_each(|row| text += &format!("{row:?}\n"));
    view.counts.iter().for_each(|row| text += &format!("{row:?}\n"));
    text
}
