//! Deleting old files within limits of size and age: `-e`, `t2collect expire`, and being nfexpire. What is there is
//! always counted anew; the limits are kept in nfexpire's file `.nfstat`, which both programs read and write.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tracing::{error, info};

/// nfexpire's default: files are deleted down to 95 % of a limit.
const WATERMARK: u64 = 95;
/// Sub directories are looked into so deep: the deepest scheme of `-S` and a directory for each source.
const MAX_DEPTH: usize = 6;
/// The file that keeps limits and counts.
const STAT_FILE: &str = ".nfstat";

/// nfexpire's options.
#[derive(Args, Clone, Debug)]
pub struct ExpireOptions {
    /// Print what a directory holds
    #[arg(short = 'l', value_name = "DIR", group = "what")]
    list: Option<PathBuf>,

    /// Delete old files of a directory
    #[arg(short = 'e', value_name = "DIR", group = "what")]
    expire: Option<PathBuf>,

    /// Count anew what a directory holds
    #[arg(short = 'r', value_name = "DIR", group = "what")]
    rescan: Option<PathBuf>,

    /// Set the limits of a directory
    #[arg(short = 'u', value_name = "DIR", group = "what")]
    update: Option<PathBuf>,

    /// At most so many octets: a number with K, M, G or T; 0: no limit
    #[arg(short = 's', value_name = "SIZE", value_parser = size)]
    size: Option<u64>,

    /// At most so old: a number with w, d, H (the default) or M; 0: no limit
    #[arg(short = 't', value_name = "TIME", value_parser = life)]
    life: Option<u64>,

    /// Per cent of a limit to which files are deleted [default: 95]
    #[arg(short = 'w', value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(1..=100))]
    watermark: Option<u64>,

    /// Stop after so many seconds
    #[arg(short = 'T', value_name = "SECONDS")]
    runtime: Option<u64>,

    /// NfSen's profiles: refused
    #[arg(short = 'p', hide = true)]
    profile: bool,

    /// NfSen's print: refused
    #[arg(short = 'Y', hide = true)]
    nfsen: bool,
}

/// `100M`, `1.5G`, `10KB`: octets, in units of 1024.
fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit.to_ascii_uppercase().trim_end_matches('B') {
        "" => 1.0,
        "K" => 1024.0,
        "M" => 1024.0 * 1024.0,
        "G" => 1024.0 * 1024.0 * 1024.0,
        "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(format!("unknown unit '{unit}', expected K, M, G or T")),
    };
    amount(number, factor)
}

/// `31d`, `240H`, `1.5d`: seconds; hours if there is no unit.
fn life(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "w" => 604_800.0,
        "d" => 86_400.0,
        "" | "H" => 3600.0,
        "M" => 60.0,
        _ => return Err(format!("unknown unit '{unit}', expected w, d, H or M")),
    };
    amount(number, factor)
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

fn amount(number: &str, factor: f64) -> Result<u64, String> {
    let number: f64 = number
        .parse()
        .map_err(|_| "a number is missing".to_owned())?;
    // Too large a number becomes the largest.
    Ok((number * factor) as u64)
}

/// Limits, as `.nfstat` keeps them; 0: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Octets.
    pub size: u64,
    /// Seconds.
    pub life_s: u64,
    /// Per cent of them that files are deleted down to.
    pub watermark: u64,
}

impl Limits {
    /// Those of a directory; none if it has none.
    ///
    /// # Errors
    /// The file is there but cannot be read.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(directory.join(STAT_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            let (_, value) = lines.find(|(name, _)| name.trim() == key)?;
            value.trim().parse().ok()
        };
        Ok(Self {
            size: value("maxsize").unwrap_or(0),
            life_s: value("lifetime").unwrap_or(0),
            watermark: value("watermark")
                .filter(|w| (1..=100).contains(w))
                .unwrap_or(WATERMARK),
        })
    }
}

/// A file of flows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    /// Begin of its slot by its name, seconds since 1970.
    start_s: i64,
    path: PathBuf,
    /// What it takes on the disk.
    octets: u64,
}

/// What a directory holds, oldest first.
#[derive(Debug, Default)]
pub struct Inventory {
    entries: Vec<Entry>,
}

impl Inventory {
    /// Counts the files of a directory and its sub directories.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn take(directory: &Path, zone: &TimeZone) -> io::Result<Self> {
        let mut inventory = Self::default();
        inventory.look_into(directory, 0, zone)?;
        inventory.entries.sort();
        Ok(inventory)
    }

    fn look_into(&mut self, directory: &Path, depth: usize, zone: &TimeZone) -> io::Result<()> {
        for entry in fs::read_dir(directory)?.flatten() {
            // Links are not followed.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            if kind.is_dir() && depth < MAX_DEPTH {
                // One that vanishes, or is closed to us, has nothing to be deleted.
                let _ = self.look_into(&path, depth + 1, zone);
                continue;
            }
            let name = entry.file_name();
            let start_s = name.to_str().and_then(|name| slot_of(name, zone));
            if let Some(start_s) = start_s.filter(|_| kind.is_file())
                && let Ok(meta) = entry.metadata()
            {
                use std::os::unix::fs::MetadataExt as _;
                self.entries.push(Entry {
                    start_s,
                    path,
                    octets: meta.blocks() * 512,
                });
            }
        }
        Ok(())
    }

    /// Octets of all files on the disk.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.entries.iter().map(|entry| entry.octets).sum()
    }

    /// The oldest files that have to go for the limits, by number.
    fn surplus(&self, limits: &Limits, now_s: i64) -> usize {
        let part = |limit: u64| (u128::from(limit) * u128::from(limits.watermark) / 100) as u64;
        let mut count = 0;
        let mut octets = self.octets();
        if limits.size > 0 && octets > limits.size {
            for entry in &self.entries {
                if octets <= part(limits.size) {
                    break;
                }
                octets -= entry.octets;
                count += 1;
            }
        }
        let before = |life: u64| now_s.saturating_sub(i64::try_from(life).unwrap_or(i64::MAX));
        let oldest = self.entries.first();
        if limits.life_s > 0 && oldest.is_some_and(|e| e.start_s < before(limits.life_s)) {
            let border = before(part(limits.life_s));
            count = count.max(self.entries.partition_point(|e| e.start_s < border));
        }
        count
    }

    /// Deletes what the limits do not allow. Gives the number of files and their octets.
    fn expire(
        &mut self,
        directory: &Path,
        limits: &Limits,
        now_s: i64,
        until: Option<Instant>,
    ) -> (usize, u64) {
        let (mut files, mut octets) = (0, 0);
        let surplus: Vec<Entry> = self.entries.drain(..self.surplus(limits, now_s)).collect();
        let mut kept = Vec::new();
        for entry in surplus {
            if until.is_some_and(|until| Instant::now() >= until) {
                kept.push(entry);
                continue;
            }
            match fs::remove_file(&entry.path) {
                Ok(()) => {
                    files += 1;
                    octets += entry.octets;
                    remove_empty(entry.path.parent(), directory);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    error!("{}: cannot be deleted: {error}", entry.path.display());
                    kept.push(entry);
                }
            }
        }
        kept.append(&mut self.entries);
        self.entries = kept;
        (files, octets)
    }

    /// Writes limits and counts into `.nfstat`, complete or not at all.
    fn keep(&self, directory: &Path, limits: &Limits, now_s: i64) -> io::Result<()> {
        let time = |entry: Option<&Entry>| entry.map_or(now_s, |entry| entry.start_s);
        let text = format!(
            "first={}\nlast={}\nsize={}\nmaxsize={}\nnumfiles={}\nlifetime={}\nwatermark={}\nstatus=0\n",
            time(self.entries.first()),
            time(self.entries.last()),
            self.octets(),
            limits.size,
            self.entries.len(),
            limits.life_s,
            limits.watermark
        );
        let beside = directory.join(format!("{STAT_FILE}.{}", std::process::id()));
        fs::write(&beside, text)?;
        fs::rename(&beside, directory.join(STAT_FILE))
    }

    fn text(&self, limits: &Limits, now_s: i64) -> String {
        let start = |entry: Option<&Entry>| entry.map_or(now_s, |entry| entry.start_s);
        let (first, last) = (start(self.entries.first()), start(self.entries.last()));
        let limit = |limit: u64, text: String| {
            if limit == 0 {
                "<none>".to_owned()
            } else {
                text
            }
        };
        let mut text = String::new();
        let _ = writeln!(text, "First:     {}", local(first));
        let _ = writeln!(text, "Last:      {}", local(last));
        let _ = writeln!(text, "Lifetime:  {}", duration(last.abs_diff(first)));
        let _ = writeln!(text, "Numfiles:  {}", self.entries.len());
        let _ = writeln!(text, "Filesize:  {}", octets(self.octets()));
        let _ = writeln!(
            text,
            "Max Size:  {}",
            limit(limits.size, octets(limits.size))
        );
        let _ = writeln!(
            text,
            "Max Life:  {}",
            limit(limits.life_s, duration(limits.life_s))
        );
        let _ = writeln!(text, "Watermark: {}%", limits.watermark);
        let _ = writeln!(text, "Status:    OK");
        text
    }
}

/// The time in the name of a file of flows: `nfcapd.` and 12 or 14 digits, maybe with an offset from UTC.
fn slot_of(name: &str, zone: &TimeZone) -> Option<i64> {
    let stamp = name.strip_prefix("nfcapd.")?;
    let (digits, offset) = match stamp.find(['+', '-']) {
        Some(at) => stamp.split_at_checked(at)?,
        None => (stamp, ""),
    };
    if !matches!(digits.len(), 12 | 14) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to).unwrap_or("0").parse::<i16>().ok();
    let small = |from, to| i8::try_from(number(from, to)?).ok();
    let time = DateTime::new(
        number(0, 4)?,
        small(4, 6)?,
        small(6, 8)?,
        small(8, 10)?,
        small(10, 12)?,
        small(12, 14)?,
        0,
    )
    .ok()?;
    if offset.is_empty() {
        return Some(zone.to_timestamp(time).ok()?.as_second());
    }
    let (sign, hhmm) = offset.split_at_checked(1)?;
    let hhmm: i64 = hhmm.parse().ok().filter(|n| (0..=2400).contains(n))?;
    let seconds = (hhmm / 100 * 60 + hhmm % 100) * 60;
    let utc = TimeZone::UTC.to_timestamp(time).ok()?.as_second();
    Some(if sign == "-" {
        utc + seconds
    } else {
        utc - seconds
    })
}

/// Removes sub directories that have become empty, upwards.
fn remove_empty(mut directory: Option<&Path>, top: &Path) {
    while let Some(path) = directory.filter(|path| *path != top && path.starts_with(top)) {
        // It fails for one that is not empty.
        if fs::remove_dir(path).is_err() {
            return;
        }
        directory = path.parent();
    }
}

fn local(s: i64) -> String {
    let time = jiff::Timestamp::from_second(s).unwrap_or_default();
    let time = time.to_zoned_datetime(TimeZone::system());
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn octets(octets: u64) -> String {
    let mut value = octets as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if value < 1024.0 {
            return match unit {
                "B" => format!("{octets} B"),
                _ => format!("{octets} = {value:.1} {unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{octets} = {value:.1} TB")
}

fn duration(s: u64) -> String {
    let value = s as f64;
    match s {
        0..60 => format!("{s} sec"),
        60..3600 => format!("{s} = {:.1} min", value / 60.0),
        3600..86_400 => format!("{s} = {:.1} hours", value / 3600.0),
        86_400..604_800 => format!("{s} = {:.1} days", value / 86_400.0),
        _ => format!("{s} = {:.1} weeks", value / 604_800.0),
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// Does what the options say; gives what there is to print.
///
/// # Errors
/// Nothing was asked for, or a directory cannot be read or written.
pub fn run(options: &ExpireOptions) -> anyhow::Result<String> {
    if options.profile || options.nfsen {
        bail!("-p and -Y are for NfSen's profiles, which are not offered");
    }
    let (expires, updates) = (options.expire.is_some(), options.update.is_some());
    let asked = [
        &options.list,
        &options.expire,
        &options.rescan,
        &options.update,
    ];
    let Some(directory) = asked.into_iter().flatten().next() else {
        bail!("one of -l, -e, -r and -u with a directory is needed");
    };
    let shown = || format!("directory {}", directory.display());
    let mut limits = Limits::read(directory).with_context(shown)?;
    if expires || updates {
        limits.size = options.size.unwrap_or(limits.size);
        limits.life_s = options.life.unwrap_or(limits.life_s);
        limits.watermark = options.watermark.unwrap_or(limits.watermark);
    }
    let mut inventory = Inventory::take(directory, &TimeZone::system()).with_context(shown)?;
    let mut text = String::new();
    let now = now_s();
    if expires {
        let runtime = options.runtime.map(Duration::from_secs);
        let until = runtime.and_then(|runtime| Instant::now().checked_add(runtime));
        let (files, freed) = inventory.expire(directory, &limits, now, until);
        let _ = writeln!(text, "Expired files:      {files}");
        let _ = writeln!(text, "Expired file size:  {}\n", octets(freed));
    }
    if options.list.is_none() || directory.join(STAT_FILE).exists() {
        inventory
            .keep(directory, &limits, now)
            .with_context(shown)?;
    }
    text.push_str(&inventory.text(&limits, now));
    Ok(text)
}

/// A thread that deletes old files after slots.
#[derive(Debug)]
pub struct Expirer {
    directories: Sender<PathBuf>,
    thread: JoinHandle<()>,
}

impl Expirer {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start() -> io::Result<Self> {
        let (directories, received) = channel::<PathBuf>();
        let thread = Builder::new().name("expire".to_owned()).spawn(move || {
            while let Ok(directory) = received.recv() {
                after_slot(&directory);
            }
        })?;
        Ok(Self {
            directories,
            thread,
        })
    }

    /// A slot of this directory has ended.
    pub fn slot_ended(&self, directory: &Path) {
        let _ = self.directories.send(directory.to_owned());
    }

    /// Waits until all is done.
    pub fn end(self) {
        drop(self.directories);
        let _ = self.thread.join();
    }
}

fn after_slot(directory: &Path) {
    let outcome = Limits::read(directory).and_then(|limits| {
        if limits.size == 0 && limits.life_s == 0 {
            return Ok(());
        }
        let mut inventory = Inventory::take(directory, &TimeZone::system())?;
        let (files, freed) = inventory.expire(directory, &limits, now_s(), None);
        if files > 0 {
            info!(
                "{}: {files} old files deleted, {}",
                directory.display(),
                octets(freed)
            );
        }
        inventory.keep(directory, &limits, now_s())
    });
    if let Err(error) = outcome {
        error!(
            "{}: old files are not deleted: {error}",
            directory.display()
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_nfexpires_units() {
        assert_eq!(size("10M"), Ok(10_485_760));
        assert_eq!(size("1.5GB"), Ok(1_610_612_736));
        assert_eq!((size("500"), size("0")), (Ok(500), Ok(0)));
        assert_eq!((life("7d"), life("2")), (Ok(604_800), Ok(7200)));
        assert_eq!((life("1w"), life("90M")), (Ok(604_800), Ok(5400)));
        assert!(size("12x").is_err() && life("1x").is_err() && size("M").is_err());
    }

    #[test]
    fn names_tell_the_time_and_nothing_else_is_touched() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(slot_of("nfcapd.202601020400", &berlin), Some(1_767_322_800));
        assert_eq!(
            slot_of("nfcapd.20260102040005", &berlin),
            Some(1_767_322_805)
        );
        assert_eq!(
            slot_of("nfcapd.202601020300+0000", &berlin),
            Some(1_767_322_800)
        );
        assert_eq!(
            slot_of("nfcapd.202601012230-0430", &berlin),
            Some(1_767_322_800)
        );
        for name in [
            "nfcapd.current.123456",
            "nfcapd.20260102",
            "nfcapd.202613020400",
            "nfcapd.2026010204x0",
            "nfcapd.202601020400.1",
            "passwd",
        ] {
            assert_eq!(slot_of(name, &berlin), None, "{name}");
        }
    }

    /// Files of 100 octets, one an hour.
    fn inventory(count: i64) -> Inventory {
        let entry = |n: i64| Entry {
            start_s: 1_000_000 + n * 3600,
            path: PathBuf::from(format!("/x/{n}")),
            octets: 100,
        };
        Inventory {
            entries: (0..count).map(entry).collect(),
        }
    }

    #[test]
    fn the_oldest_go_down_to_the_watermark() {
        let ten = inventory(10);
        let now = 1_000_000 + 10 * 3600;
        let surplus = |size, life_s, watermark| {
            let limits = Limits {
                size,
                life_s,
                watermark,
            };
            ten.surplus(&limits, now)
        };
        assert_eq!(surplus(0, 0, 95), 0);
        // 1000 octets are not above 1000; 999 are passed: down to half of that.
        assert_eq!(surplus(1000, 0, 50), 0);
        assert_eq!(surplus(999, 0, 50), 6);
        assert_eq!(surplus(500, 0, 100), 5);
        assert_eq!(surplus(1, 0, 100), 10);
        // The oldest is ten hours old.
        assert_eq!(surplus(0, 10 * 3600, 50), 0);
        assert_eq!(surplus(0, 9 * 3600, 100), 1);
        assert_eq!(surplus(0, 8 * 3600, 50), 6);
        assert_eq!(surplus(500, 8 * 3600, 100), 5);
    }
}
