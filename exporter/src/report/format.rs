//! Numbers and times as the report prints them.

use std::fmt::{self, Display, Formatter};

/// A number, from 1000 on also with a unit.
pub(crate) struct Human(pub(crate) u64);

impl Display for Human {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut value = self.0 as f64;
        let mut unit = None;
        for next in ['K', 'M', 'G', 'T', 'P', 'E'] {
            if value < 1000.0 {
                break;
            }
            value /= 1000.0;
            unit = Some(next);
        }
        unit.map_or(Ok(()), |unit| write!(f, " ({value:.2} {unit})"))
    }
}

/// Nanoseconds since 1970, as seconds and as a date.
pub(crate) struct Time(pub(crate) i64);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (seconds, fraction) = (
            self.0.div_euclid(1_000_000_000),
            self.0.rem_euclid(1_000_000_000),
        );
        write!(f, "{seconds}.{fraction:09} s")?;
        match jiff::Timestamp::from_second(seconds) {
            Ok(date) => write!(f, " ({} UTC)", date.strftime("%a %d %b %Y %H:%M:%S")),
            Err(_) => Ok(()),
        }
    }
}

/// A duration in nanoseconds, from a minute on also in larger units.
pub(super) struct Span(pub(super) u64);

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (seconds, fraction) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        write!(f, "{seconds}.{fraction:09} s")?;
        if seconds < 60 {
            return Ok(());
        }
        write!(f, " (")?;
        let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
        if days > 0 {
            write!(f, "{days}d ")?;
        }
        if days > 0 || hours > 0 {
            write!(f, "{hours}h ")?;
        }
        write!(f, "{}m {}s)", seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_spans() {
        let texts = [0, 999, 1000, 1556, 1_465_547].map(|number| Human(number).to_string());
        assert_eq!(
            texts,
            [
                "0",
                "999",
                "1000 (1.00 K)",
                "1556 (1.56 K)",
                "1465547 (1.47 M)"
            ]
        );
        let time = Time(1_294_816_093_386_451_000).to_string();
        assert_eq!(
            time,
            "1294816093.386451000 s (Wed 12 Jan 2011 07:08:13 UTC)"
        );
        assert_eq!(Span(3_005_271_000).to_string(), "3.005271000 s");
        assert_eq!(
            Span(1_532_629_459_000).to_string(),
            "1532.629459000 s (25m 32s)"
        );
        assert_eq!(
            Span(50_276_646_078_000).to_string(),
            "50276.646078000 s (13h 57m 56s)"
        );
        assert_eq!(
            Span(90_061_000_000_000).to_string(),
            "90061.000000000 s (1d 1h 1m 1s)"
        );
    }
}
