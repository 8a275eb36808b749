//! Panels of points on logarithmic axes, as an SVG that stands alone.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

/// Width of one panel with its axis, of its plot, and the plot's height.
const PANEL_WIDTH: f64 = 330.0;
const PLOT_WIDTH: f64 = 250.0;
const PLOT_HEIGHT: f64 = 250.0;
/// Space left of a plot, and above it.
const LEFT: f64 = 62.0;
const TOP: f64 = 118.0;
const BOTTOM: f64 = 62.0;

/// Panels side by side.
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// Under which conditions.
    pub subtitle: String,
    /// Where the fitted lines begin.
    pub fitted_from: f64,
    /// From left to right.
    pub panels: Vec<Panel>,
}

/// Points by numbers of workers.
pub struct Panel {
    /// What is measured, with its unit.
    pub title: String,
    /// What else is to be known about it.
    pub note: String,
    /// Of its points and lines.
    pub colour: &'static str,
    /// (workers, cost), by ascending workers; all positive.
    pub points: Vec<(f64, f64)>,
    /// The slope that was fitted to the points.
    pub exponent: Option<f64>,
}

/// A logarithmic axis: whole decades of values along some pixels.
struct Axis {
    decades: RangeInclusive<i32>,
    pixels: f64,
}

impl Axis {
    /// The decades that hold all values, at least one.
    fn of(values: impl Iterator<Item = f64> + Clone, pixels: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if !low.is_finite() {
            return Self { decades: 0..=1, pixels };
        }
        let first = low.log10().floor() as i32;
        // Values that are computed may stick out of their decade by a rounding error.
        let last = (high.log10() - 1e-9).ceil() as i32;
        Self { decades: first..=last.max(first + 1), pixels }
    }

    fn at(&self, value: f64) -> f64 {
        let (first, last) = (f64::from(*self.decades.start()), f64::from(*self.decades.end()));
        (value.log10() - first) / (last - first) * self.pixels
    }
}

impl Display for Plot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width = PANEL_WIDTH * self.panels.len() as f64 + 24.0;
        let height = TOP + PLOT_HEIGHT + BOTTOM;
        writeln!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" \
             font-family=\"'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif\" \
             font-size=\"12\" fill=\"#24292f\">"
        )?;
        writeln!(f, "<title>{}</title>", escaped(&self.title))?;
        writeln!(f, "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>")?;
        text(f, (20.0, 30.0), "font-size=\"18\" font-weight=\"600\"", &self.title)?;
        text(f, (20.0, 51.0), "fill=\"#57606a\"", &self.subtitle)?;
        for (at, panel) in self.panels.iter().enumerate() {
            let left = LEFT + at as f64 * PANEL_WIDTH;
            writeln!(f, "<g transform=\"translate({left:.0} {TOP:.0})\">")?;
            panel.draw(f, self.fitted_from)?;
            writeln!(f, "</g>")?;
        }
        writeln!(f, "</svg>")
    }
}

impl Panel {
    fn draw(&self, f: &mut Formatter<'_>, fitted_from: f64) -> fmt::Result {
        let x = Axis::of(self.points.iter().map(|(workers, _)| *workers), PLOT_WIDTH);
        let y = Axis::of(self.points.iter().map(|(_, cost)| *cost), PLOT_HEIGHT);
        text(f, (0.0, -30.0), "font-weight=\"600\"", &self.title)?;
        text(f, (0.0, -12.0), "font-size=\"11\" fill=\"#57606a\"", &self.note)?;
        grid(f, &x, &y)?;
        let place = |(workers, cost): (f64, f64)| (x.at(workers), PLOT_HEIGHT - y.at(cost));
        self.proportional(f, &x, &y)?;
        self.fitted(f, fitted_from, &place)?;
        for point in &self.points {
            let (cx, cy) = place(*point);
            writeln!(
                f,
                "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"4.5\" fill=\"{}\" stroke=\"#ffffff\" \
                 stroke-width=\"1.5\"/>",
                self.colour
            )?;
        }
        if let Some(last) = self.points.last() {
            let (cx, cy) = place(*last);
            let style = format!(
                "text-anchor=\"end\" font-weight=\"600\" fill=\"{}\" stroke=\"#ffffff\" \
                 stroke-width=\"4\" paint-order=\"stroke\"",
                self.colour
            );
            // Above the point, unless that is outside the plot.
            let up = if cy < 24.0 { -4.0 } else { 5.0 };
            text(f, (cx - 9.0, cy - up), &style, &short(last.1))?;
        }
        Ok(())
    }

    /// The line that a cost in proportion to the workers would follow from the first point.
    fn proportional(&self, f: &mut Formatter<'_>, x: &Axis, y: &Axis) -> fmt::Result {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return Ok(());
        };
        let top = 10_f64.powi(*y.decades.end());
        let end = last.0.min(first.0 * top / first.1);
        let cost = first.1 * end / first.0;
        line(
            f,
            (x.at(first.0), PLOT_HEIGHT - y.at(first.1)),
            (x.at(end), PLOT_HEIGHT - y.at(cost)),
            "stroke=\"#8c959f\" stroke-width=\"1.2\" stroke-dasharray=\"2 4\"",
        )?;
        let label = "fill=\"#6e7781\" font-size=\"11\" text-anchor=\"end\"";
        text(f, (PLOT_WIDTH - 6.0, PLOT_HEIGHT - 10.0), label, "dotted: in proportion to workers")
    }

    /// The fitted line, through the middle of the points it was fitted to, and its slope.
    fn fitted(
        &self,
        f: &mut Formatter<'_>,
        from: f64,
        place: &impl Fn((f64, f64)) -> (f64, f64),
    ) -> fmt::Result {
        let Some(exponent) = self.exponent else { return Ok(()) };
        let fitted = || self.points.iter().filter(|(workers, _)| *workers >= from);
        let count = fitted().count() as f64;
        let mean_x = fitted().map(|(workers, _)| workers.ln()).sum::<f64>() / count;
        let mean_y = fitted().map(|(_, cost)| cost.ln()).sum::<f64>() / count;
        let on_line = |workers: f64| (workers, (mean_y + exponent * (workers.ln() - mean_x)).exp());
        let (first, last) = (fitted().next(), fitted().next_back());
        let (Some((first, _)), Some((last, _))) = (first, last) else { return Ok(()) };
        let style =
            format!("stroke=\"{}\" stroke-width=\"2\" stroke-opacity=\"0.55\"", self.colour);
        line(f, place(on_line(*first)), place(on_line(*last)), &style)?;
        let style = format!("font-size=\"15\" font-weight=\"600\" fill=\"{}\"", self.colour);
        writeln!(
            f,
            "<text x=\"12\" y=\"28\" {style}>~ workers<tspan dy=\"-6\" font-size=\"11\">\
             {exponent:.2}</tspan></text>"
        )
    }
}

/// Decades in both directions, with their labels.
fn grid(f: &mut Formatter<'_>, x: &Axis, y: &Axis) -> fmt::Result {
    writeln!(
        f,
        "<rect width=\"{PLOT_WIDTH}\" height=\"{PLOT_HEIGHT}\" fill=\"#f6f8fa\" rx=\"3\"/>"
    )?;
    let (fine, coarse) = ("stroke=\"#eaeef2\"", "stroke=\"#d0d7de\"");
    for decade in x.decades.clone() {
        let value = 10_f64.powi(decade);
        for step in 1..10 {
            let at = x.at(value * f64::from(step));
            if at <= PLOT_WIDTH + 0.5 {
                let style = if step == 1 { coarse } else { fine };
                line(f, (at, 0.0), (at, PLOT_HEIGHT), style)?;
            }
        }
        let label = "text-anchor=\"middle\" font-size=\"11\"";
        text(f, (x.at(value), PLOT_HEIGHT + 18.0), label, &short(value))?;
    }
    for decade in y.decades.clone() {
        let value = 10_f64.powi(decade);
        let at = PLOT_HEIGHT - y.at(value);
        line(f, (0.0, at), (PLOT_WIDTH, at), coarse)?;
        text(f, (-8.0, at + 4.0), "text-anchor=\"end\" font-size=\"11\"", &short(value))?;
    }
    let label = "text-anchor=\"middle\" font-size=\"11\" fill=\"#57606a\"";
    text(f, (PLOT_WIDTH / 2.0, PLOT_HEIGHT + 38.0), label, "workers")
}

fn line(f: &mut Formatter<'_>, from: (f64, f64), to: (f64, f64), style: &str) -> fmt::Result {
    let ((x1, y1), (x2, y2)) = (from, to);
    writeln!(f, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>")
}

fn text(f: &mut Formatter<'_>, at: (f64, f64), style: &str, text: &str) -> fmt::Result {
    writeln!(f, "<text x=\"{:.1}\" y=\"{:.1}\" {style}>{}</text>", at.0, at.1, escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A value in three digits or so: `0.01`, `12.3`, `250k`, `6.05M`.
fn short(value: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let unit = units.into_iter().find(|(unit, _)| value >= *unit);
    let (value, suffix) = unit.map_or((value, ""), |(unit, suffix)| (value / unit, suffix));
    let decimals = match value {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let digits = format!("{value:.decimals$}");
    if !digits.contains('.') {
        return digits + suffix;
    }
    digits.trim_end_matches('0').trim_end_matches('.').to_owned() + suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: labels are short, and an axis holds all its values in whole decades.
    #[test]
    fn labels_and_axes() {
        let cases = [(0.01, "0.01"), (1.0, "1"), (12.34, "12.3"), (1e4, "10k"), (6.05e6, "6.05M")];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(100.0), "100");
        let axis = Axis::of([1e4, 6e6].into_iter(), 300.0);
        assert_eq!(axis.decades, 4..=7);
        assert!(axis.at(1e4).abs() < 1e-9 && (axis.at(1e7) - 300.0).abs() < 1e-9);
        assert_eq!(Axis::of([1e4, 1e5].into_iter(), 1.0).decades, 4..=5);
        assert_eq!(Axis::of([5.0].into_iter(), 1.0).decades, 0..=1);
        assert_eq!(Axis::of(std::iter::empty(), 1.0).decades, 0..=1);
    }
}
