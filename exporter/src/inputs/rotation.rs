//! Numbered captures that follow one another, as a capture program that rotates its files leaves them.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

/// What stands before the number unless told otherwise: the end of `.pcap`.
const BEFORE_NUMBER: &str = "p";

/// Which files belong to it: `EXPR[:SCHR][,STOP]`, as Tranalyzer's `-D` has it. EXPR is the first file; a star in its
/// name stands for anything. Its number begins behind the last SCHR; the first file may have none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotation {
    folder: PathBuf,
    /// What stands before the number, with stars.
    before: String,
    /// What stands behind it.
    after: String,
    /// The first number; `None`: the first file has no number, the next has 1.
    first: Option<u64>,
    /// Digits of a number that begins with zeros.
    width: Option<usize>,
    /// The last number.
    stop: Option<u64>,
}

impl Rotation {
    /// Reads `EXPR[:SCHR][,STOP]`.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (rest, stop) = match text.rsplit_once(',') {
            None => (text, None),
            Some((rest, stop)) => {
                let number = stop.parse();
                let number = number
                    .map_err(|_| format!("a number expected behind the comma, not {stop}"))?;
                (rest, Some(number))
            }
        };
        let (path, mark) = match rest.rsplit_once(':') {
            Some((_, "")) => return Err("what stands before the number expected behind :".into()),
            Some((path, mark)) => (path, mark),
            None => (rest, BEFORE_NUMBER),
        };
        let path = Path::new(path);
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((start, end)) = name.and_then(|name| name.rsplit_once(mark)) else {
            return Err(format!(
                "a file whose number follows {mark:?} expected, such as dump.pcap0"
            ));
        };
        let after = end.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let digits = end.strip_suffix(after).unwrap_or_default();
        if digits.is_empty() && !after.is_empty() {
            return Err(format!(
                "a number expected behind {mark:?}, not {after}; EXPR:SCHR names another mark"
            ));
        }
        let first = match digits {
            "" => None,
            digits => match digits.parse() {
                Ok(number) => Some(number),
                Err(_) => return Err(format!("{digits} is too large a number")),
            },
        };
        let width = Some(digits.len()).filter(|length| *length > 1 && digits.starts_with('0'));
        let most = width.and_then(|digits| 10_u64.checked_pow(u32::try_from(digits).ok()?));
        let stop = stop.or(most.map(|most| most - 1));
        if stop.is_some_and(|stop| stop < first.unwrap_or(0)) {
            return Err("the last number is smaller than the first one".to_owned());
        }
        Ok(Rotation {
            folder: match path.parent() {
                Some(folder) if folder != Path::new("") => folder.to_owned(),
                _ => PathBuf::from("."),
            },
            before: format!("{start}{mark}"),
            after: after.to_owned(),
            first,
            width,
            stop,
        })
    }

    /// The number of the first file.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first.unwrap_or(0)
    }

    /// Whether there may be a file of this number.
    #[must_use]
    pub fn goes_on_to(&self, number: u64) -> bool {
        self.stop.is_none_or(|stop| number <= stop)
    }

    /// The file that has the smallest number of those from `number` on.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn find(&self, number: u64) -> std::io::Result<Option<(u64, PathBuf)>> {
        let mut found: Option<(u64, PathBuf)> = None;
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(at) = name.to_str().and_then(|name| self.number_of(name)) else {
                continue;
            };
            let path = self.path(Path::new(&name));
            let better = found
                .as_ref()
                .is_none_or(|best| (at, &path) < (best.0, &best.1));
            if at >= number && self.goes_on_to(at) && better {
                found = Some((at, path));
            }
        }
        Ok(found)
    }

    /// As messages name the file of a number.
    #[must_use]
    pub fn name_of(&self, number: u64) -> String {
        let digits = match (number, self.first, self.width) {
            (0, None, _) => String::new(),
            (number, _, Some(width)) => format!("{number:0width$}"),
            (number, ..) => number.to_string(),
        };
        let name = format!("{}{digits}{}", self.before, self.after);
        self.path(Path::new(&name)).display().to_string()
    }

    fn path(&self, name: &Path) -> PathBuf {
        match self.folder.as_path() {
            folder if folder == Path::new(".") => name.to_owned(),
            folder => folder.join(name),
        }
    }

    /// The number in a file's name, if it is one of these files.
    fn number_of(&self, name: &str) -> Option<u64> {
        let rest = name.strip_suffix(self.after.as_str())?;
        let start = rest.trim_end_matches(|letter: char| letter.is_ascii_digit());
        // What stands before the number may end with digits, too.
        (start.len()..=rest.len()).find_map(|at| {
            let (start, digits) = rest.split_at_checked(at)?;
            let number = match digits {
                "" => self.first.is_none().then_some(0)?,
                digits if self.width.is_some_and(|width| width != digits.len()) => return None,
                // Without a width, 07 is no number of these.
                digits if self.width.is_none() && digits.len() > 1 && digits.starts_with('0') => {
                    return None;
                }
                digits => digits.parse().ok()?,
            };
            matches(&self.before, start).then_some(number)
        })
    }
}

impl Display for Rotation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name_of(self.first()))
    }
}

/// Whether `text` is what `pattern` says, in which a star stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What tcpdump -C writes, what tcpdump -W writes, and what dumpcap writes.
    #[test]
    fn names_have_numbers() {
        let cases = [
            ("x.pcap", "x.pcap", Some(0)),
            ("x.pcap", "x.pcap12", Some(12)),
            ("x.pcap", "x.pcap012", None),
            ("x.pcap0", "x.pcap", None),
            ("x.pcap0", "x.pcap12", Some(12)),
            ("x.pcap0", "y.pcap1", None),
            ("x.pcap00", "x.pcap07", Some(7)),
            ("x.pcap00", "x.pcap7", None),
            ("x.pcap00", "x.pcap100", None),
            ("d*.pcap0", "d2026.pcap3", Some(3)),
            ("d*.pcap0", "e2026.pcap3", None),
            ("x_00001.pcap.gz:_", "x_00012.pcap.gz", Some(12)),
            ("x_00001.pcap:_", "x_00012.pcapng", None),
            ("x_1_*.pcap:_", "x_1_5.pcap", None),
            ("1x5:x", "1x77", Some(77)),
            ("day3file1:file", "day3file22", Some(22)),
        ];
        for (expression, name, number) in cases {
            match Rotation::parse(expression) {
                Ok(rotation) => assert_eq!(rotation.number_of(name), number, "{expression} {name}"),
                Err(error) => assert_eq!(number, None, "{expression}: {error}"),
            }
        }
    }

    #[test]
    fn first_and_last() {
        let range = |text: &str| {
            let rotation = Rotation::parse(text).unwrap();
            (rotation.first(), rotation.stop)
        };
        assert_eq!(range("dir/x.pcap"), (0, None));
        assert_eq!(range("dir/x.pcap5"), (5, None));
        assert_eq!(range("x.pcap5,7"), (5, Some(7)));
        assert_eq!(range("x.pcap00"), (0, Some(99)));
        assert_eq!(range("x.pcap007,8"), (7, Some(8)));
        assert_eq!(range("a_b_3.cap:_,4"), (3, Some(4)));
        for bad in [
            "",
            "x.cat",
            "x.pcapng",
            "x.pcap0,",
            "x.pcap0,y",
            "x.pcap5,4",
            "x.pcap0:",
            "a:b",
            "x.pcap99999999999999999999",
            "dir/",
            "..",
        ] {
            assert!(Rotation::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stars() {
        assert!(matches("a*b*c", "aXbYc") && matches("a*b*c", "abc") && matches("*", ""));
        assert!(!matches("a*b*c", "ac") && !matches("a*bc", "abcb") && !matches("a", "ab"));
        assert!(!matches("ab*bc", "abc"));
    }

    #[test]
    fn the_next_one_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.pcap", "x.pcap2", "x.pcap10", "y.pcap3"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let expression = folder.path().join("x.pcap").display().to_string();
        let rotation = Rotation::parse(&format!("{expression},9")).unwrap();
        let find = |number| rotation.find(number).unwrap().map(|(number, _)| number);
        assert_eq!((find(0), find(1), find(3)), (Some(0), Some(2), None));
        assert_eq!(rotation.name_of(3), format!("{expression}3"));
        assert_eq!(rotation.to_string(), expression);
        let nowhere = Rotation::parse("/nonexistent/x.pcap").unwrap();
        assert!(nowhere.find(0).is_err());
    }
}
