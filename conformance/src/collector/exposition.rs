//! What a device counts: its metrics in the text format of Prometheus, read over HTTP.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// So much of an answer is read.
const MOST_OCTETS: u64 = 16 << 20;

/// `http://HOST:PORT/PATH`, with placeholders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url(String);

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, _) = split(text).ok_or("http://HOST:PORT/metrics wanted")?;
        match host.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !port.is_empty() => Ok(Self(text.to_owned())),
            _ => Err(format!("{text:?} names no port")),
        }
    }
}

fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    Some(match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/metrics"),
    })
}

impl Url {
    /// The same with placeholders filled in.
    pub fn at(&self, fill: impl Fn(&str) -> String) -> Self {
        Self(fill(&self.0))
    }

    /// What it counts now.
    ///
    /// # Errors
    /// When it does not answer, or with something else.
    pub fn count(&self, meaning: &Meaning) -> anyhow::Result<Counts> {
        let text = self
            .fetch()
            .with_context(|| format!("no metrics from {}", self.0))?;
        Ok(Counts {
            records: meaning.records.value(&text),
            lost: meaning.lost.value(&text),
        })
    }

    fn fetch(&self) -> anyhow::Result<String> {
        let (host, path) = split(&self.0).context("no http:// in front")?;
        let address = host.to_socket_addrs()?.next().context("no such host")?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.take(MOST_OCTETS).read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        if head.split(' ').nth(1) != Some("200") {
            bail!(
                "it answers {:?}",
                head.lines().next().unwrap_or_default().trim()
            );
        }
        Ok(body.to_owned())
    }
}

/// What a device has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Flow records, if it counts them.
    pub records: Option<u64>,
    /// Records or packets missed by their sequence numbers, if it counts them.
    pub lost: Option<u64>,
}

impl Counts {
    /// What was counted since `before`.
    pub fn since(self, before: Counts) -> Self {
        let less = |now: Option<u64>, before: Option<u64>| {
            now.map(|now| now.saturating_sub(before.unwrap_or(0)))
        };
        Self {
            records: less(self.records, before.records),
            lost: less(self.lost, before.lost),
        }
    }
}

/// Which metrics count what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meaning {
    records: Sum,
    lost: Sum,
}

/// Those of `t2collect`.
impl Default for Meaning {
    fn default() -> Self {
        let metric = |name: &str, minus| Term {
            name: name.to_owned(),
            labels: Vec::new(),
            minus,
        };
        Self {
            records: Sum(vec![
                metric("t2collect_records_total", false),
                metric("t2collect_options_records_total", true),
            ]),
            lost: Sum(vec![
                metric("t2collect_exporter_missing_total", false),
                metric("t2collect_exporter_recovered_total", true),
            ]),
        }
    }
}

impl Meaning {
    /// Reads a map: `METRIC records` and `METRIC lost`, one a line; several are added up, a minus in front takes away.
    /// A metric may have labels, as in `metric{unit="records"}`; others it has do not matter.
    ///
    /// # Errors
    /// When it cannot be read, or names none.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the map {}", path.display()))?;
        let mut meaning = Self {
            records: Sum::default(),
            lost: Sum::default(),
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || {
                format!(
                    "{}, line {}: METRIC records or METRIC lost wanted",
                    path.display(),
                    index + 1
                )
            };
            let (metric, what) = line.rsplit_once(char::is_whitespace).with_context(wrong)?;
            let sum = match what {
                "records" => &mut meaning.records,
                "lost" => &mut meaning.lost,
                _ => bail!(wrong()),
            };
            sum.0.push(Term::read(metric).with_context(wrong)?);
        }
        if meaning.records.0.is_empty() {
            bail!("{}: no metric counts records", path.display());
        }
        Ok(meaning)
    }
}

/// Metrics added up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Sum(Vec<Term>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Term {
    name: String,
    /// As `label="value"`.
    labels: Vec<String>,
    minus: bool,
}

impl Term {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (minus, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (name, labels) = name_and_labels(text)?;
        Some(Self {
            name: name.to_owned(),
            labels: labels.into_iter().map(str::to_owned).collect(),
            minus,
        })
    }

    /// The value of a sample, if it is one of this metric.
    fn of(&self, line: &str) -> Option<f64> {
        let end = line
            .rfind('}')
            .map_or_else(|| line.find(' '), |end| Some(end + 1))?;
        let (series, value) = line.split_at(end);
        let (name, labels) = name_and_labels(series)?;
        let wanted = self
            .labels
            .iter()
            .all(|label| labels.contains(&label.as_str()));
        // A time may follow the value.
        (name == self.name && wanted)
            .then(|| value.split_whitespace().next()?.parse().ok())
            .flatten()
    }
}

fn name_and_labels(series: &str) -> Option<(&str, Vec<&str>)> {
    let Some((name, rest)) = series.split_once('{') else {
        return Some((series, Vec::new()));
    };
    let labels = rest.strip_suffix('}')?;
    // Commas inside quotes do not part labels.
    let mut quoted = false;
    let parts = labels.split(|letter: char| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    });
    Some((name, parts.map(str::trim).collect()))
}

impl Sum {
    /// `None` where no metric has any sample.
    fn value(&self, text: &str) -> Option<u64> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let values = samples.flat_map(|line| {
            self.0.iter().filter_map(move |term| {
                let value = term.of(line)?;
                Some(if term.minus { -value } else { value })
            })
        });
        let sum = values.reduce(|one, other| one + other)?;
        // A counter is no more than 2^53, or nothing is said of its units.
        Some(sum.max(0.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TEXT: &str = "# HELP x y\n# TYPE x counter\nx_total{a=\"1\",b=\"p, q\"} 5\nx_total{a=\"2\"} 7 1700000000\nx_total_more 100\n\
                        t2collect_records_total 12\nt2collect_options_records_total 2\nodd 1e3\n";

    #[test]
    fn samples_are_added_up_by_name_and_labels() {
        let value = |terms: &[&str]| {
            let terms = terms.iter().map(|term| Term::read(term).unwrap());
            Sum(terms.collect()).value(TEXT)
        };
        assert_eq!(value(&["x_total"]), Some(12));
        assert_eq!(value(&["x_total{a=\"2\"}"]), Some(7));
        assert_eq!(value(&["x_total{b=\"p, q\"}"]), Some(5));
        assert_eq!(value(&["odd", "-x_total"]), Some(988));
        assert_eq!(value(&["y_total"]), None);
        assert_eq!(Meaning::default().records.value(TEXT), Some(10));
        assert_eq!(Meaning::default().lost.value(TEXT), None);
    }

    #[test]
    fn maps_say_what_is_wrong_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map");
        fs::write(
            &path,
            "# ours\nx_total{b=\"p, q\"} records\n-odd records\nx_total lost\n",
        )
        .unwrap();
        let meaning = Meaning::read(&path).unwrap();
        assert_eq!((meaning.records.0.len(), meaning.lost.0.len()), (2, 1));
        for (text, said) in [
            ("x_total", "line 1"),
            ("x_total seen", "line 1"),
            ("x_total lost", "no metric counts records"),
        ] {
            fs::write(&path, text).unwrap();
            let error = Meaning::read(&path).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn addresses() {
        for good in ["http://127.0.0.1:9/metrics", "http://[::1]:9"] {
            assert!(good.parse::<Url>().is_ok(), "{good}");
        }
        for bad in [
            "https://h:1/",
            "127.0.0.1:9",
            "http://h/metrics",
            "http://:9",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
