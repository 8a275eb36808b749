//! The vacancies of one metro: the openings its jobs give rise to, grouped as
//! employers post them.

use super::apportion::systematic;
use super::noise::{Key, Kind, Noise};
use super::profiles::{Ask, Grade};
use super::tables::{Cell, Metro, Occupation};
use super::{Generator, labels};
use crate::domain::{RequirementSpec, VacancyId, VacancySpec};

/// Openings are counted in millionths until they are shared out.
const MILLION: u128 = 1_000_000;
/// Most openings that one vacancy is drawn with.
const OPENINGS_DRAWN_MAX: u32 = 25;
/// Of how many vacancies one is varied by its employer.
const VARIED_ONE_IN: u64 = 3;
/// Vacancies an employer posts on average.
const VACANCIES_PER_EMPLOYER: u64 = 3;

/// What each draw of a vacancy is for. Part of the generated data.
mod purpose {
    pub(super) const GRADE: u32 = 0;
    pub(super) const VARIED: u32 = 1;
    pub(super) const PAY: u32 = 2;
    pub(super) const EMPLOYER: u32 = 3;
    pub(super) const ADJUST: u32 = 4;
    pub(super) const OPENINGS: u32 = 100;
    pub(super) const REQUIREMENTS: u32 = 200;
}

/// Openings of a cell in a year at scale 1, in millionths: employment times the
/// national openings rate.
fn annual_openings(cell: &Cell, occupation: &Occupation) -> u128 {
    u128::from(cell.employment) * u128::from(occupation.annual_openings) * MILLION
        / u128::from(occupation.national_employment)
}

/// Openings of a metro in the plan's window at scale 1, in quarter-millionths.
pub(super) fn openings_of_metro(generator: &Generator, metro: &Metro) -> u128 {
    let openings = metro.cells.iter().map(|cell| annual_openings(cell, generator.occupation(cell)));
    openings.sum::<u128>() * u128::from(generator.plan.quarters)
}

/// Denominator of [`openings_of_metro`].
pub(super) const OPENINGS_UNIT: u128 = 4 * MILLION;

/// How an occupation's openings in a metro are grouped: the more there are, the
/// larger the groups. Sizes are geometric: one more with probability `more / 12`.
#[derive(Clone, Copy)]
struct Grouping {
    more: u64,
}

impl Grouping {
    /// By the openings of the cell in a quarter at scale 1.
    fn of(annual: u128) -> Self {
        let more = match annual / OPENINGS_UNIT {
            0..5 => 0,
            5..50 => 3,
            50..500 => 6,
            _ => 8,
        };
        Self { more }
    }

    /// Vacancies per 12 openings: 12 / mean size.
    fn vacancies_per_dozen(self) -> u128 {
        u128::from(12 - self.more)
    }

    fn draw(self, noise: Noise) -> u32 {
        let grows = |size: &u32| noise.below(purpose::OPENINGS + size, 12) < self.more;
        1 + (0..OPENINGS_DRAWN_MAX - 1).take_while(grows).count() as u32
    }
}

/// One vacancy before its details.
struct Draft<'a> {
    cell: &'a Cell,
    noise: Noise,
    key: Key,
    openings: u32,
    /// Whether its occupation's openings are grouped at all.
    grows: bool,
}

/// The vacancies of metro number `at`, with `total` openings in all, made as they are
/// asked for.
pub(super) fn of_metro(
    generator: &Generator,
    at: usize,
    total: u64,
) -> impl Iterator<Item = VacancySpec> + '_ {
    let metro = &generator.tables.metros[at];
    let mut drafts = drafts(generator, metro, total);
    adjust(&mut drafts, total);
    let employers = (drafts.len() as u64).div_ceil(VACANCIES_PER_EMPLOYER).max(1);
    drafts.into_iter().map(move |draft| vacancy(generator, metro, &draft, employers))
}

/// Shares the vacancies out among the occupations, and draws their sizes.
fn drafts<'a>(generator: &Generator, metro: &'a Metro, total: u64) -> Vec<Draft<'a>> {
    let openings: Vec<u128> =
        metro.cells.iter().map(|cell| annual_openings(cell, generator.occupation(cell))).collect();
    let groupings: Vec<Grouping> = openings.iter().map(|annual| Grouping::of(*annual)).collect();
    // Expected vacancies of each cell, in units that cancel.
    let weights: Vec<u128> =
        openings.iter().zip(&groupings).map(|(o, g)| o * g.vacancies_per_dozen()).collect();
    let (vacancies, dozens) = (weights.iter().sum::<u128>(), 12 * openings.iter().sum::<u128>());
    let count = (u128::from(total) * vacancies).div_ceil(dozens.max(1)) as u64;
    let key = |kind, occupation, number| Key { kind, metro: metro.cbsa, occupation, number };
    let start = Noise::new(generator.plan.seed, key(Kind::VacancyStart, 0, 0)).bits(0);
    let counts = systematic(&weights, count, start);
    let mut drafts = Vec::with_capacity(count as usize);
    for ((cell, grouping), count) in metro.cells.iter().zip(groupings).zip(counts) {
        for number in 0..count as u32 {
            let key = key(Kind::Vacancy, generator.occupation(cell).number, number);
            let noise = Noise::new(generator.plan.seed, key);
            let (openings, grows) = (grouping.draw(noise), grouping.more > 0);
            drafts.push(Draft { cell, noise, key, openings, grows });
        }
    }
    drafts
}

/// Adds or takes openings one at a time until they sum to `total`. Only vacancies
/// that may have several change, in an order of their own draws, so that no
/// occupation is favoured; every vacancy keeps at least one.
fn adjust(drafts: &mut [Draft<'_>], total: u64) {
    let mut sum: u64 = drafts.iter().map(|draft| u64::from(draft.openings)).sum();
    let mut order: Vec<usize> = (0..drafts.len()).filter(|i| drafts[*i].grows).collect();
    if order.is_empty() {
        order = (0..drafts.len()).collect();
    }
    order.sort_by_key(|i| drafts[*i].noise.bits(purpose::ADJUST));
    // There are at least as many openings as vacancies, so each pass comes closer.
    for i in order.into_iter().cycle() {
        let openings = &mut drafts[i].openings;
        match sum.cmp(&total) {
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Less => (*openings, sum) = (*openings + 1, sum + 1),
            std::cmp::Ordering::Greater if *openings > 1 => {
                (*openings, sum) = (*openings - 1, sum - 1);
            }
            std::cmp::Ordering::Greater => {}
        }
    }
}

fn vacancy(generator: &Generator, metro: &Metro, draft: &Draft<'_>, employers: u64) -> VacancySpec {
    let noise = draft.noise;
    let occupation = generator.occupation(draft.cell);
    let profile = &generator.profiles[usize::from(draft.cell.occupation)];
    let grade = Grade::draw(noise, purpose::GRADE);
    let asks = if noise.below(purpose::VARIED, VARIED_ONE_IN) == 0 {
        profile.varied(grade, noise, purpose::REQUIREMENTS)
    } else {
        profile.template(grade)
    };
    let (low, width) = grade.pay_range_bp();
    let quantile_bp = low + noise.below(purpose::PAY, u64::from(width) + 1) as u32;
    let employer = noise.below(purpose::EMPLOYER, employers) + 1;
    let requirement = |ask: Ask| RequirementSpec {
        skill: generator.tables.elements[usize::from(ask.element)].clone(),
        desired_level: ask.desired,
        weight: ask.weight,
        minimum_level: ask.minimum,
    };
    VacancySpec {
        id: VacancyId(draft.key.id(generator.plan.seed)),
        city: metro.id.clone(),
        employer: format!("Generated employer {employer}, {}", metro.principal_city).into(),
        title: occupation.title.clone(),
        openings: draft.openings,
        salary: draft.cell.pay.at(quantile_bp),
        requirements: asks.into_iter().map(requirement).collect(),
        min_fit_bp: None,
        ranking: None,
        target: 0,
        deadline: None,
        labels: labels(generator.plan.country, occupation),
    }
}
