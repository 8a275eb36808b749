//! The query of a request: parameters by name, each at most once, none that means nothing.

use super::problem::Problem;
use crate::domain::limits::EXPORT_QUERY_BYTES_MAX;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// The parameters of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// Reads a query; a parameter that is not `allowed` is refused: whoever misspells
    /// `min_count` must not be answered as if he had not asked.
    pub fn read(query: Option<&str>, allowed: &[&[&'static str]]) -> Result<Self, Problem> {
        let query = query.unwrap_or_default();
        if query.len() > EXPORT_QUERY_BYTES_MAX {
            let detail = format!("the query has more than {EXPORT_QUERY_BYTES_MAX} bytes");
            return Err(Problem::new(http::StatusCode::URI_TOO_LONG, detail));
        }
        let mut parameters = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).unwrap_or_default();
            let Some(known) = allowed.iter().copied().flatten().find(|known| **known == name)
            else {
                let allowed: Vec<_> = allowed.iter().copied().flatten().copied().collect();
                let detail = match allowed.is_empty() {
                    true => "is unknown here: there are no parameters".to_owned(),
                    false => format!("is unknown here; there are: {}", allowed.join(", ")),
                };
                return Err(Problem::parameter(&name, detail));
            };
            let value = decoded(value)
                .ok_or_else(|| Problem::parameter(known, "is not percent-encoded UTF-8"))?;
            if parameters.insert(*known, value).is_some() {
                return Err(Problem::parameter(known, "stands twice"));
            }
        }
        Ok(Self(parameters))
    }

    /// The parameter, if it is there; an empty one is not.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `1` or `true` is yes, `0` or `false` no, nothing no.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(_) => Err(Problem::parameter(name, "must be 0 or 1")),
        }
    }

    /// A whole number.
    pub fn number<T: FromStr + Display>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        // `parse` takes a sign too.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Ok(Some(number)),
            _ => Err(Problem::parameter(name, "must be a whole number, not negative")),
        }
    }

    /// The same parameters with these in place of those of their names, as a query.
    pub fn with(&self, others: &[(&str, String)]) -> String {
        let kept = self.0.iter().filter(|(name, _)| others.iter().all(|(other, _)| other != *name));
        let kept = kept.map(|(name, value)| (*name, value.as_str()));
        let others = others.iter().map(|(name, value)| (*name, value.as_str()));
        let pairs = kept.chain(others).filter(|(_, value)| !value.is_empty());
        pairs
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect::<Vec<_>>()
            .join("&")
    }
}

/// Text for a query or a path: everything but letters, digits and `-._~` in `%XX`.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The text that stands in a query, `+` as a space; `None` if it is none.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = rest.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = &rest[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&[&str]] = &[&["a", "group"], &["n"]];

    /// Goal: a query is read as browsers write it, and written so that it is read the same.
    #[test]
    fn queries_are_read_and_written() {
        let read = Parameters::read(Some("a=%E5%8C%97%E4%BA%AC+1&n=7&group="), KNOWN).unwrap();
        assert_eq!(read.text("a"), Some("北京 1"));
        assert_eq!(read.number::<u64>("n").unwrap(), Some(7));
        assert_eq!((read.text("group"), read.text("b")), (None, None));
        let written = read.with(&[("n", "8".into())]);
        assert_eq!(written, "a=%E5%8C%97%E4%BA%AC%201&n=8");
        let again = Parameters::read(Some(&written), KNOWN).unwrap();
        assert_eq!((again.text("a"), again.text("n")), (Some("北京 1"), Some("8")));
        assert_eq!(Parameters::read(None, &[]).unwrap(), Parameters::default());
    }

    /// Goal: what means nothing is refused, and the parameter named.
    #[test]
    fn what_means_nothing_is_refused() {
        for (query, named) in
            [("b=1", "b"), ("a=1&a=2", "a"), ("a=%F", "a"), ("a=%+1", "a"), ("a=%FF", "a")]
        {
            let problem = Parameters::read(Some(query), KNOWN).unwrap_err();
            assert_eq!(problem.parameter.as_deref(), Some(named), "{query}");
        }
        for query in ["n=-1", "n=%2B1", "n=1.0", "n=x", "n=18446744073709551616"] {
            let read = Parameters::read(Some(query), KNOWN).unwrap();
            let problem = read.number::<u64>("n").unwrap_err();
            assert_eq!(problem.parameter.as_deref(), Some("n"), "{query}");
        }
        let read = Parameters::read(Some("a=yes&n=true&group=0"), KNOWN).unwrap();
        assert!(read.flag("a").is_err());
        assert_eq!((read.flag("n"), read.flag("group")), (Ok(true), Ok(false)));
    }

    /// Goal: the limit of a query's length, at the limit and one past it.
    #[test]
    fn long_queries_are_refused() {
        let query = |bytes: usize| format!("a={}", "x".repeat(bytes - 2));
        assert!(Parameters::read(Some(&query(EXPORT_QUERY_BYTES_MAX)), KNOWN).is_ok());
        let problem = Parameters::read(Some(&query(EXPORT_QUERY_BYTES_MAX + 1)), KNOWN);
        assert_eq!(problem.unwrap_err().status, http::StatusCode::URI_TOO_LONG);
    }
}
