//! Moments as RFC 3339 writes them, in UTC.

use crate::domain::Millis;

const DAY: i64 = 86_400_000;

/// `2026-11-25T08:30:00.000Z`.
pub fn rfc3339(at: Millis) -> String {
    let (year, month, day) = civil(at.0.div_euclid(DAY));
    let rest = at.0.rem_euclid(DAY);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Reads a moment: a date, or a date and a time with `Z` or an offset. What is finer than a
/// millisecond is cut off.
pub fn parse(text: &str) -> Option<Millis> {
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00Z"),
    };
    let days = days_of(date)?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers::<3>(whole, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 60 || !digits(fraction) {
        return None;
    }
    let milli: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign, zone) => {
            let [hours, minutes] = numbers::<2>(zone, ':', [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            match sign {
                "+" => 60 * hours + minutes,
                "-" => -(60 * hours + minutes),
                _ => return None,
            }
        }
    };
    let seconds = 3_600 * hour + 60 * (minute - offset) + second;
    Some(Millis(DAY * days + 1_000 * seconds + milli))
}

fn days_of(date: &str) -> Option<i64> {
    let [year, month, day] = numbers::<3>(date, '-', [4, 2, 2])?;
    let days = days(year, month, day);
    // The 30th of February is a day of March, and so not what was written.
    ((1..=12).contains(&month) && civil(days) == (year, month, day)).then_some(days)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Numbers of so many digits with `separator` between them.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && digits(part))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: years
/// begin in March, so that the leap day comes last (Hinnant, *chrono-compatible low-level
/// date algorithms*).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year_of_era + 400 * era + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: moments are written as everybody else writes them, and read back. Method: some
    /// whose seconds are well known, leap days and years before 1970 among them.
    #[test]
    fn moments_are_written_and_read() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_234_567_890_123, "2009-02-13T23:31:30.123Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Millis(at)), text);
            assert_eq!(parse(text), Some(Millis(at)), "{text}");
        }
        for day in (-800_000..800_000).step_by(37) {
            let at = Millis(day * DAY + 1);
            assert_eq!(parse(&rfc3339(at)).filter(|_| day > -719_000).unwrap_or(at), at);
        }
    }

    /// Goal: what others write is read, and what is no moment is not.
    #[test]
    fn other_spellings() {
        let noon = Some(Millis(1_234_526_400_000));
        for text in [
            "2009-02-13T12:00:00Z",
            "2009-02-13t12:00:00.0z",
            "2009-02-13T13:00:00+01:00",
            "2009-02-13T06:30:00.0000001-05:30",
        ] {
            assert_eq!(parse(text), noon, "{text}");
        }
        assert_eq!(parse("2009-02-13"), Some(Millis(1_234_483_200_000)));
        for text in [
            "",
            "..",
            "2009",
            "2009-02-30",
            "2009-13-01",
            "2009-00-01",
            "2009-02-13T12:00:00",
            "2009-02-13T24:00:00Z",
            "2009-02-13T12:60:00Z",
            "2009-02-13T12:00Z",
            "2009-02-13T12:00:00Zx",
            "2009-02-13T12:00:00Z05:00",
            "2009-02-13T12:00:00+1:00",
            "2009-02-13T12:00:00.Z",
            "+009-02-13",
            "2009-02-13T12:00:00é",
            "２００９-02-13",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
