//! Indicators as tables: numbers rounded to what a reader can use, a dash where there is
//! none.

use crate::cli::output::{Column, Table, percent, thousands};
use crate::proto::v1::figure::Result as Content;
use crate::proto::v1::{
    CityIndicators, DisparityIndicators, Figure, GroupIndicators, MarketIndicators,
    MigrationIndicators, MismatchIndicators, MismatchSplit, PoolIndicators, RegionIndicators,
    Sample, SpecialisationIndicators,
};
use std::cmp::Ordering;

/// Longest name of a city in a table, in characters.
const NAME_CHARS_MAX: usize = 28;
/// Specialities of a city in a table.
const SPECIALITIES_SHOWN: usize = 3;

/// A column of the cities' table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    City,
    People,
    Seekers,
    Openings,
    Tightness,
    Matched,
    Filled,
    AtExpected,
    Fit,
    Pay,
    In,
    Out,
    Net,
    Potential,
    Cutoff,
    Degree,
    Krugman,
    Similarity,
    FirstChoice,
    Attracts,
    Gap,
    Subsidy,
}

/// Puts cities in order; those without the figure come last.
pub fn sort(cities: &mut [CityIndicators], by: Sort, ascending: bool) {
    if by == Sort::City {
        cities.sort_by_cached_key(name);
        if !ascending {
            cities.reverse();
        }
        return;
    }
    cities.sort_by(|a, b| match (key(a, by), key(b, by)) {
        (Some(a), Some(b)) if ascending => a.total_cmp(&b),
        (Some(a), Some(b)) => b.total_cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
}

fn key(city: &CityIndicators, by: Sort) -> Option<f64> {
    let pools = city.pools.as_ref()?;
    let (moves, jobs) = (city.migration.as_ref()?, city.specialisation.as_ref()?);
    let (cutoffs, coupling) = (city.cutoffs.as_ref()?, city.coupling.as_ref()?);
    let count = |number: u64| Some(number as f64);
    match by {
        Sort::City => None,
        Sort::People => Some(city.population as f64),
        Sort::Seekers => count(pools.searching + pools.matched),
        Sort::Openings => count(pools.openings),
        Sort::Tightness => value(&pools.tightness),
        Sort::Matched => value(&pools.match_rate),
        Sort::Filled => value(&pools.fill_rate),
        Sort::AtExpected => value(&pools.at_or_above_expected),
        Sort::Fit => value(&pools.mean_fit_bp),
        Sort::Pay => value(&pools.mean_real_pay),
        Sort::In => count(moves.planned_in + moves.moved_in),
        Sort::Out => count(moves.planned_out + moves.moved_out),
        Sort::Net => value(&moves.net_rate),
        Sort::Potential => value(&city.market_potential),
        Sort::Cutoff => value(&cutoffs.p50_bp),
        Sort::Degree => value(&coupling.degree),
        Sort::Krugman => value(&jobs.krugman),
        Sort::Similarity => value(&jobs.similarity),
        Sort::FirstChoice => value(&pools.first_choice),
        Sort::Attracts => value(&city.attractiveness),
        Sort::Gap => value(&city.differential.as_ref()?.pay_p75),
        Sort::Subsidy => value(&city.differential.as_ref()?.subsidy_p75),
    }
}

/// The market as a whole.
pub fn market(all: &MarketIndicators) -> Table {
    let mut table = Table::new(&[Column::Text("market"), Column::Number("")]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    let Some(pools) = &all.pools else { return table };
    row("cities", thousands(all.cities));
    row("people in them", thousands(all.population));
    row("seekers", thousands(pools.searching + pools.matched));
    row("openings", thousands(pools.openings));
    row("openings per seeker", decimal(&pools.tightness, 2));
    row("  without the matched", decimal(&pools.residual_tightness, 2));
    row("seekers matched", share(&pools.match_rate));
    row("openings held", share(&pools.fill_rate));
    row("jobs that stand empty", share(&pools.vacancy_rate));
    row("matched at or above expected pay", share(&pools.at_or_above_expected));
    row("  pay against what they ask", share(&pools.pay_to_asking));
    row("matched in their own group", share(&pools.same_group));
    if pools.first_choice.is_some() {
        row("matched with their first choice", share(&pools.first_choice));
    }
    if let Some(sample) = &all.first_choice_sample {
        row("  asked", drawn(sample));
    }
    row("mean fit", whole(&pools.mean_fit_bp));
    row("mean pay of the matched", whole(&pools.mean_pay));
    row("  at reference prices", whole(&pools.mean_real_pay));
    if let Some(cutoffs) = &all.cutoffs {
        row("vacancies full or capped", percent(cutoffs.full + cutoffs.capped, cutoffs.vacancies));
        row("  median score to get in", whole(&cutoffs.p50_bp));
    }
    mismatches(&mut row, all);
    if let Some(split) = &all.mismatch_split {
        self::split(&mut row, split);
    }
    disparity(&mut row, "real pay between cities", &all.pay_disparity);
    disparity(&mut row, "tightness between cities", &all.tightness_disparity);
    if let Some(sizes) = &all.sizes {
        let error = value(&sizes.zipf_standard_error).map(|error| format!(" ± {error:.2}"));
        row("rank-size exponent", decimal(&sizes.zipf, 2) + &error.unwrap_or_default());
        row("largest city's share of the people", share(&sizes.primacy));
    }
    if let Some(moves) = &all.migration {
        row(
            "moves planned, done",
            format!("{}, {}", thousands(moves.planned), thousands(moves.moved)),
        );
        row("  of the matched", share(&moves.moving));
        row("  effectiveness", decimal(&moves.effectiveness, 1) + "%");
        row("  cities that gain, lose", format!("{}, {}", moves.gaining, moves.losing));
    }
    table
}

fn mismatches(row: &mut impl FnMut(&str, String), all: &MarketIndicators) {
    let mut one = |name: &str, mismatch: &Option<MismatchIndicators>| {
        let Some(mismatch) = mismatch else { return };
        let cells = thousands(mismatch.cells);
        row(name, format!("{} ({cells} cells)", share(&mismatch.index)));
    };
    one("mismatch over cities", &all.mismatch_by_city);
    one("mismatch over groups", &all.mismatch_by_group);
    one("mismatch over groups in cities", &all.mismatch_by_city_and_group);
}

fn split(row: &mut impl FnMut(&str, String), split: &MismatchSplit) {
    let part = |figure: &Option<Figure>| match (value(figure), value(&split.gained)) {
        (Some(part), Some(all)) if all != 0.0 => {
            format!("{} ({:.0}%)", signed(part), 100.0 * part / all)
        }
        (Some(part), _) => signed(part),
        (None, _) => "-".to_owned(),
    };
    let matches = split.matches.first().map_or("-".to_owned(), |matches| thousands(*matches));
    row("matches of the pool when cleared", matches);
    row("  gained if nothing stood in the way", part(&split.gained));
    row("  of these by place", part(&split.place));
    row("  by skill", part(&split.skill));
    row("  by pay", part(&split.pay));
    if let Some(sample) = &split.sample {
        row("  cleared", drawn(sample));
    }
}

fn disparity(
    row: &mut impl FnMut(&str, String),
    name: &str,
    disparity: &Option<DisparityIndicators>,
) {
    let Some(found) = disparity else { return };
    row(&format!("{name}, Theil"), decimal(&found.theil, 4));
    row("  between regions, within", {
        let (between, within) = (&found.theil_between, &found.theil_within);
        format!("{}, {}", decimal(between, 4), decimal(within, 4))
    });
    row("  Gini, Williamson", {
        format!("{}, {}", decimal(&found.gini, 3), decimal(&found.williamson, 3))
    });
}

/// Cities, with the columns that were asked for.
pub fn cities(cities: &[CityIndicators], most: usize) -> Table {
    let choices = cities.iter().any(|city| city.attractiveness.is_some());
    let differentials = cities.iter().any(|city| city.differential.is_some());
    let mut columns = vec![Column::Text("city")];
    columns.extend(POOL_COLUMNS);
    columns.extend(MOVE_COLUMNS);
    columns.extend([Column::Number("cutoff"), Column::Number("degree")]);
    if choices {
        columns.extend([Column::Number("1st choice"), Column::Number("attracts")]);
    }
    if differentials {
        columns.extend([Column::Number("accept"), Column::Number("pay p75")]);
        columns.push(Column::Number("subsidy p75"));
    }
    let mut table = Table::new(&columns);
    for city in cities.iter().take(most) {
        let (Some(pools), Some(moves)) = (&city.pools, &city.migration) else { continue };
        let mut cells = vec![name(city)];
        cells.extend(pool_cells(pools));
        cells.extend(move_cells(moves));
        cells.extend([
            city.cutoffs.as_ref().map_or("-".into(), |cutoffs| whole(&cutoffs.p50_bp)),
            city.coupling.as_ref().map_or("-".into(), |coupling| decimal(&coupling.degree, 3)),
        ]);
        if choices {
            cells.extend([share(&pools.first_choice), share(&city.attractiveness)]);
        }
        if differentials {
            cells.extend(match &city.differential {
                Some(found) => [
                    percent(found.accepting, found.asked),
                    whole(&found.pay_p75),
                    whole(&found.subsidy_p75),
                ],
                None => ["-".into(), "-".into(), "-".into()],
            });
        }
        table.row(cells);
    }
    table
}

/// What the columns of the cities' table mean, those that do not say.
pub fn legend(cities: &[CityIndicators]) -> String {
    let mut legend =
        "at exp.: matched at or above expected pay; fit and cutoff: basis points; net ‰: \
                      per 1,000 people; degree: coupling of industry, employment and population."
            .to_owned();
    if cities.iter().any(|city| city.differential.is_some()) {
        legend.push_str(
            "\naccept: people elsewhere to whom the city is acceptable; pay, subsidy: what it \
             would take for three quarters of those who qualify.",
        );
    }
    legend
}

/// What the cities' jobs are.
pub fn jobs(cities: &[CityIndicators], most: usize) -> Table {
    let mut table = Table::new(&[
        Column::Text("city"),
        Column::Number("jobs"),
        Column::Number("Krugman"),
        Column::Text("strong in (location quotient)"),
        Column::Text("most like, within 300 km"),
        Column::Number("similarity"),
        Column::Text("does over again"),
    ]);
    let named =
        |id: &str| cities.iter().find(|city| city.city == id).map_or_else(|| id.to_owned(), name);
    for city in cities.iter().take(most) {
        let Some(found) = &city.specialisation else { continue };
        table.row([
            name(city),
            thousands(found.jobs),
            decimal(&found.krugman, 3),
            strengths(found),
            named(&found.twin),
            decimal(&found.similarity, 3),
            found.repeated_groups.iter().map(|group| label(group)).collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}

fn strengths(found: &SpecialisationIndicators) -> String {
    let shown = found.specialities.iter().take(SPECIALITIES_SHOWN);
    let shown = shown.map(|speciality| {
        format!("{} ({})", label(&speciality.group), decimal(&speciality.location_quotient, 1))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Regions.
pub fn regions(regions: &[RegionIndicators], most: usize) -> Table {
    let mut columns = vec![Column::Text("region"), Column::Number("cities")];
    columns.extend(POOL_COLUMNS);
    columns.extend(MOVE_COLUMNS);
    columns.extend([Column::Number("gain"), Column::Number("lose")]);
    let mut table = Table::new(&columns);
    for region in regions.iter().take(most) {
        let (Some(pools), Some(moves)) = (&region.pools, &region.migration) else { continue };
        let mut cells = vec![region.region.clone(), thousands(region.cities)];
        cells.extend(pool_cells(pools));
        cells.extend(move_cells(moves));
        cells.extend([thousands(region.gaining), thousands(region.losing)]);
        table.row(cells);
    }
    table
}

/// Groups.
pub fn groups(groups: &[GroupIndicators], most: usize) -> Table {
    let mut columns = vec![Column::Text("group")];
    columns.extend(POOL_COLUMNS);
    columns.extend([
        Column::Number("same group"),
        Column::Number("mismatch"),
        Column::Number("concentr."),
    ]);
    let mut table = Table::new(&columns);
    for group in groups.iter().take(most) {
        let Some(pools) = &group.pools else { continue };
        let mut cells = vec![label(&group.group)];
        cells.extend(pool_cells(pools));
        cells.extend([
            share(&pools.same_group),
            group.mismatch_by_city.as_ref().map_or("-".into(), |found| share(&found.index)),
            decimal(&group.concentration, 3),
        ]);
        table.row(cells);
    }
    table
}

/// The columns of [`pool_cells`].
const POOL_COLUMNS: [Column; 8] = [
    Column::Number("seekers"),
    Column::Number("openings"),
    Column::Number("tightness"),
    Column::Number("matched"),
    Column::Number("filled"),
    Column::Number("at exp."),
    Column::Number("fit"),
    Column::Number("real pay"),
];

fn pool_cells(pools: &PoolIndicators) -> [String; 8] {
    [
        thousands(pools.searching + pools.matched),
        thousands(pools.openings),
        decimal(&pools.tightness, 2),
        share(&pools.match_rate),
        share(&pools.fill_rate),
        share(&pools.at_or_above_expected),
        whole(&pools.mean_fit_bp),
        whole(&pools.mean_real_pay),
    ]
}

/// The columns of [`move_cells`].
const MOVE_COLUMNS: [Column; 4] =
    [Column::Number("in"), Column::Number("out"), Column::Number("net"), Column::Number("net ‰")];

fn move_cells(moves: &MigrationIndicators) -> [String; 4] {
    let (inward, outward) =
        (moves.planned_in + moves.moved_in, moves.planned_out + moves.moved_out);
    [
        thousands(inward),
        thousands(outward),
        signed(inward as f64 - outward as f64),
        decimal(&moves.net_rate, 3),
    ]
}

/// How many were drawn, of how many.
pub fn drawn(sample: &Sample) -> String {
    format!("{} of {} seekers", thousands(sample.workers), thousands(sample.workers_of))
}

fn name(city: &CityIndicators) -> String {
    let name = if city.display_name.is_empty() { &city.city } else { &city.display_name };
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", name[..end].trim_end_matches([' ', ',', '-'])),
        None => name.clone(),
    }
}

fn label(group: &str) -> String {
    if group.is_empty() { "(none)".to_owned() } else { group.to_owned() }
}

fn value(figure: &Option<Figure>) -> Option<f64> {
    match figure.as_ref()?.result {
        Some(Content::Value(value)) => Some(value),
        _ => None,
    }
}

fn shown(figure: &Option<Figure>, show: impl Fn(f64) -> String) -> String {
    value(figure).map_or_else(|| "-".to_owned(), show)
}

fn decimal(figure: &Option<Figure>, digits: usize) -> String {
    shown(figure, |value| format!("{value:.digits$}"))
}

fn share(figure: &Option<Figure>) -> String {
    shown(figure, |value| format!("{:.1}%", 100.0 * value))
}

/// A whole amount.
fn whole(figure: &Option<Figure>) -> String {
    shown(figure, |value| thousands(value.round() as i128))
}

fn signed(value: f64) -> String {
    let rounded = value.round() as i128;
    if rounded > 0 { format!("+{}", thousands(rounded)) } else { thousands(rounded) }
}
