//! `gale bench` as its users meet it: the keys of its JSON, the matchings behind them.
//! How long anything takes is not tested: these markets are too small to say.

use serde_json::Value;

#[path = "common/binary.rs"]
mod binary;

use binary::{fails, json, ok, path};

/// The keys that are promised, and those that came on top.
const PROMISED: [&str; 18] = [
    "workers",
    "vacancies",
    "openings",
    "matched",
    "moved",
    "acceptable_mean",
    "build_ms",
    "clear_ms",
    "clear_cpu_ms",
    "verify_ms",
    "proposals",
    "queries",
    "evaluations",
    "engine_bytes",
    "peak_rss_bytes",
    "matching_hash",
    "blocking_pairs",
    "threads",
];
const BESIDE: [&str; 4] = ["sampled", "evaluations_per_query", "pairs_examined", "violations"];

/// A small market, cleared; stable, or the command had failed.
fn clear(more: &[&str]) -> Value {
    let arguments = ["bench", "clear", "--workers", "5000", "--seed", "7", "--json"];
    let figures = json(&ok(&[&arguments[..], more].concat()));
    assert_eq!(figures["workers"], 5_000);
    assert_eq!(figures["blocking_pairs"], 0);
    assert_eq!(figures["violations"], 0);
    figures
}

fn number(figures: &Value, key: &str) -> f64 {
    figures[key].as_f64().unwrap_or_else(|| panic!("{key} is a number in {figures}"))
}

/// Goal: the documented keys are there, no others, and mean what they say.
#[test]
fn figures_have_the_documented_keys() {
    let figures = clear(&["--openings-per-worker", "0.75"]);
    let keys: Vec<&String> = figures.as_object().unwrap().keys().collect();
    let mut documented = [&PROMISED[..], &BESIDE[..]].concat();
    documented.sort_unstable();
    assert_eq!(keys, documented);
    assert_eq!(figures["openings"], 3_750);
    assert_eq!(figures["sampled"], 200);
    assert!(number(&figures, "matched") > 1_000.0, "{figures}");
    assert!(number(&figures, "moved") < number(&figures, "matched"), "{figures}");
    assert!(number(&figures, "acceptable_mean") > 1.0, "{figures}");
    assert!(number(&figures, "proposals") >= number(&figures, "matched"), "{figures}");
    assert!(number(&figures, "pairs_examined") > 10_000.0, "{figures}");
    let engine = number(&figures, "engine_bytes");
    assert!(engine > 5_000.0 * 8.0, "an index takes more than {engine} bytes");
    assert!(engine < number(&figures, "peak_rss_bytes"), "{figures}");
    let hash = figures["matching_hash"].as_str().unwrap();
    assert!(hash.len() == 16 && u64::from_str_radix(hash, 16).is_ok(), "{hash}");
}

/// Goal: the matching depends on the market alone, not on threads, and on what the options say.
#[test]
fn options_do_what_they_say() {
    let one = clear(&["--threads", "1"]);
    let two = clear(&["--threads", "2"]);
    let same = ["matching_hash", "matched", "proposals", "evaluations", "acceptable_mean"];
    for key in same {
        assert_eq!(one[key], two[key], "{key}");
    }
    assert_eq!((&one["threads"], &two["threads"]), (&Value::from(1), &Value::from(2)));
    // The rural hospitals theorem: both ends of the stable matchings match as many.
    let vacancies = clear(&["--side", "vacancy"]);
    assert_eq!(vacancies["matched"], one["matched"]);
    for caps in ["score", "targets"] {
        let capped = clear(&["--caps", caps]);
        assert!(number(&capped, "matched") < number(&one, "matched"), "{caps}: {capped}");
        assert_ne!(capped["matching_hash"], one["matching_hash"], "{caps}");
    }
    let few = clear(&["--metros", "3"]);
    assert_ne!(few["matching_hash"], one["matching_hash"]);
}

/// Goal: what cannot be measured is wrong usage, and says why.
#[test]
fn wrong_usage_is_code_2() {
    let clear = ["bench", "clear", "--workers", "100"];
    let refused = |more: &[&str]| fails(&[&clear[..], more].concat(), 2);
    assert!(refused(&["--side", "vacancy", "--caps", "targets"]).contains("--caps targets"));
    assert!(refused(&["--openings-per-worker", "0"]).contains("0.001..100"));
    assert!(refused(&["--metros", "394"]).contains("1..393"));
    assert!(refused(&["--threads", "0"]).contains("1..=1024"));
    fails(&["bench", "clear", "--workers", "0"], 2);
    fails(&["bench", "clear"], 2);
    assert!(fails(&["bench", "lists", "--instance", "e"], 2).contains("a, b, c, d"));
    fails(&["bench", "growth", "--redraw", "--sizes", "10"], 2);
    let crowd = ["bench", "waiting", "--workers-per-day", "1000000"];
    assert!(fails(&crowd, 2).contains("--workers-per-day"));
    fails(&["bench", "waiting", "--stay", "0"], 2);
}

/// Goal: every subcommand has an example, and says what it prints.
#[test]
fn help_has_examples() {
    for command in ["clear", "national", "lists", "growth", "updates", "waiting"] {
        let help = ok(&["bench", command, "--help"]);
        assert!(help.contains(&format!("Example:\n  gale bench {command}")), "{help}");
    }
    let help = ok(&["bench", "clear", "--help"]);
    for key in PROMISED {
        assert!(help.contains(key), "{key} is not in {help}");
    }
}

/// Goal: a published instance has its known matching, by any number of threads.
#[test]
fn published_lists_are_solved() {
    for threads in ["1", "2"] {
        let figures =
            json(&ok(&["bench", "lists", "--instance", "a", "--threads", threads, "--json"]));
        assert_eq!(figures["instance"], "a");
        assert_eq!(figures["fnv1a64"], "47f67b2aea0d42b3");
        assert_eq!(figures["known"], true);
        assert_eq!((&figures["workers"], &figures["vacancies"]), (&1_000.into(), &100.into()));
        assert_eq!(figures["proposals"], 1_757);
        assert!(figures["rank_build_ms"].is_number() && figures["solve_ms"].is_number());
    }
    assert!(ok(&["bench", "lists", "--instance", "a"]).contains("the known one"));
}

/// Goal: growth measures each size, and its drawing can be made again from its figures.
#[test]
fn growth_is_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, svg) = (folder.path().join("growth.csv"), folder.path().join("growth.svg"));
    let files = ["--csv", path(&csv), "--svg", path(&svg)];
    let growth = |more: &[&str]| ok(&[&["bench", "growth"][..], &files[..], more].concat());
    let measured = json(&growth(&["--sizes", "2000,1000", "--threads", "1", "--json"]));
    let sizes = measured["sizes"].as_array().unwrap();
    let workers: Vec<_> = sizes.iter().map(|figures| &figures["workers"]).collect();
    assert_eq!(workers, [1_000, 2_000]);
    let drawing = std::fs::read_to_string(&svg).unwrap();
    assert!(drawing.starts_with("<svg ") && drawing.trim_end().ends_with("</svg>"), "{drawing}");
    assert_eq!(drawing.matches("<circle ").count(), 6, "two points in each of three panels");
    std::fs::remove_file(&svg).unwrap();
    let text = growth(&["--redraw"]);
    assert!(text.contains("1,000") && text.contains("2,000"), "{text}");
    assert_eq!(std::fs::read_to_string(&svg).unwrap(), drawing);
}

/// A small market in simulated time.
fn waiting(more: &[&str]) -> Value {
    let small = ["--stay", "5", "--days", "20", "--seeds", "2", "--json"];
    let figures = json(&ok(&[&["bench", "waiting"][..], &small, more].concat()));
    for market in figures["markets"].as_array().unwrap() {
        for policy in market["policies"].as_array().unwrap() {
            assert_eq!(policy["violations"], 0, "{policy}");
        }
    }
    figures
}

/// Goal: in a market in simulated time everybody who came is placed or lost, every policy
/// meets the same ones, and a seed gives the same figures on any number of threads. That
/// every placement was possible and acceptable to both is what `violations` counts.
#[test]
fn waiting_adds_up() {
    let options = ["--metros", "2", "--workers-per-day", "8,20", "--intervals", "1,5"];
    let figures = waiting(&options);
    assert_eq!(figures, waiting(&[&options[..], &["--threads", "1"]].concat()));
    assert_ne!(figures, waiting(&[&options[..], &["--seed", "9"]].concat()));
    let markets = figures["markets"].as_array().unwrap();
    for (market, workers) in markets.iter().zip([800, 2_000]) {
        let policies = market["policies"].as_array().unwrap();
        let names: Vec<_> = policies.iter().map(|policy| policy["policy"].clone()).collect();
        let known = ["continuous", "interval 1", "interval 5", "held 1", "held 7", "patient"];
        assert_eq!(names[..6], known);
        assert_eq!(names[6], "last minute");
        for policy in policies {
            let (seekers, openings) = (&policy["workers"], &policy["openings"]);
            assert_eq!(seekers["arrived"], workers, "two seeds of 50 days");
            assert_eq!(number(openings, "arrived"), 0.75 * f64::from(workers));
            assert_eq!(seekers["placed"], openings["placed"]);
            for side in [seekers, openings] {
                assert_eq!(number(side, "placed") + number(side, "lost"), number(side, "arrived"));
            }
            assert!(number(&policy["placed_of_placeable_percent"], "mean") <= 100.0);
        }
    }
}

/// Goal: where partners are equal, waiting is worth what Akbarpour, Li and Gharan (2020)
/// say: of d = 4, at least 1/9 are lost by greed and at most e^-2 / 2 = 6.8% at the last
/// minute. Their pools are large and their stays not cut off, hence the margins.
#[test]
fn equal_partners_gain_by_waiting() {
    let chance = ["--partners", "4", "--openings-per-worker", "1", "--workers-per-day", "30"];
    let figures = waiting(&chance);
    let market = &figures["markets"][0];
    let d = number(&market["partners"], "mean");
    assert!((3.6..4.4).contains(&d), "{d}");
    let policies = market["policies"].as_array().unwrap();
    let lost = |name: &str| {
        let policy = policies.iter().find(|policy| policy["policy"] == name).unwrap();
        number(&policy["workers_lost_percent"], "mean")
    };
    let (continuous, last_minute) = (lost("continuous"), lost("last minute"));
    assert!((9.0..20.0).contains(&continuous), "{continuous}% are lost by greed");
    assert!(last_minute < 0.75 * continuous, "{last_minute}% at the last minute");
    assert_eq!(policies[0]["value"], Value::Null);
}

/// Goal: a server takes workers in, every one of them, and says what it took; the journal's
/// commits are counted, and there are none without a journal.
#[test]
fn ingest_measures_a_server() {
    let small = ["bench", "ingest", "--workers", "3000", "--seconds", "1", "--json"];
    let durable = json(&ok(&[&small[..], &["--in-flight", "8"]].concat()));
    let ephemeral = json(&ok(&[&small[..], &["--ephemeral"]].concat()));
    let help = ok(&["bench", "ingest", "--help"]);
    for key in durable.as_object().unwrap().keys() {
        assert!(help.contains(key.as_str()), "{key} is not in {help}");
    }
    for figures in [&durable, &ephemeral] {
        assert_eq!(figures["workers"], 3_000);
        for key in ["import_workers_per_s", "upserts", "upserts_per_s", "peak_rss_bytes"] {
            assert!(number(figures, key) > 0.0, "{key} in {figures}");
        }
        let (p50, p99) = (number(figures, "upsert_p50_us"), number(figures, "upsert_p99_us"));
        assert!(0.0 < p50 && p50 <= p99 && p99 <= number(figures, "upsert_max_us"), "{figures}");
        let commits = number(figures, "import_fsyncs") + number(figures, "upsert_fsyncs");
        assert_eq!(number(figures, "fsyncs"), commits);
    }
    assert_eq!((&durable["durable"], &durable["in_flight"]), (&true.into(), &8.into()));
    // Two batches of the import, which may share a commit; then many calls share each.
    assert!((1.0..=2.0).contains(&number(&durable, "import_fsyncs")), "{durable}");
    let commits = number(&durable, "upsert_fsyncs");
    assert!(commits >= 1.0 && commits <= number(&durable, "upserts"), "{durable}");
    assert_eq!((&ephemeral["durable"], &ephemeral["fsyncs"]), (&false.into(), &0.into()));
}

/// Goal: events reach all subscribers, none is missing or comes twice (or the command had
/// failed), and who does not read is cut with its position. Method: in the smallest form,
/// with messages of several chunks too.
#[test]
fn fanout_measures_a_server() {
    let small = ["bench", "fanout", "--seconds", "1", "--connections", "2", "--json"];
    let fanout = |more: &[&str]| json(&ok(&[&small[..], more].concat()));
    let stalled = fanout(&["--subscribers", "12", "--stalled", "1", "--stall-seconds", "1"]);
    assert_eq!((&stalled["stalled"], &stalled["cut"]), (&1.into(), &1.into()));
    let chunks = fanout(&["--subscribers", "3", "--batch", "4000", "--ephemeral"]);
    assert_eq!((&chunks["stalled"], &chunks["cut"]), (&0.into(), &0.into()));
    let help = ok(&["bench", "fanout", "--help"]);
    for (figures, subscribers, batch) in [(&stalled, 12, 100), (&chunks, 3, 4_000)] {
        assert_eq!(figures["subscribers"], subscribers);
        assert_eq!(figures["batch"], batch);
        for key in ["deliveries", "deliveries_per_s", "events", "peak_rss_bytes"] {
            assert!(number(figures, key) > 0.0, "{key} in {figures}");
        }
        for key in figures.as_object().unwrap().keys() {
            assert!(help.contains(key.as_str()), "{key} is not in {help}");
        }
    }
    let many = ["bench", "fanout", "--subscribers", "300", "--connections", "1"];
    assert!(fails(&many, 2).contains("--connections 1"));
}
