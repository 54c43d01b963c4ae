//! `t2gen`: writes synthetic captures and flow files.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use golden::{
    flows,
    frames::{self, FramesError, Size},
    replica,
};
use nfdump_compat::file::Compression;
use sha2::{Digest as _, Sha256};

/// Writes synthetic captures and flow files for golden tests, demonstrations and measurements.
#[derive(Parser)]
#[command(name = "t2gen", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The replica of faf-exercise.pcap (synthetic; not the original trace)
    Replica {
        /// Where to write; - is standard output
        #[arg(long, value_name = "FILE|-", default_value = replica::FILE_NAME)]
        out: PathBuf,
    },
    /// TCP and UDP connections of any number, half of the packets in 1 % of them
    Frames(FramesArgs),
    /// Flow records of any number in a file of nfcapd
    Flows(FlowsArgs),
}

#[derive(Args)]
struct FlowsArgs {
    /// Records to write
    #[arg(long, value_name = "N")]
    flows: u64,
    /// Seed: the same parameters give the same records
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Share of the records with IPv6 addresses, 0 to 1
    #[arg(long = "ipv6", value_name = "SHARE", default_value_t = 0.0)]
    ipv6_share: f64,
    /// Compress the blocks: lzo, bz2, lz4, zstd
    #[arg(long, value_name = "METHOD", value_parser = compression)]
    compression: Option<Compression>,
    /// Where to write
    #[arg(long, value_name = "FILE", default_value = "flows.nfcapd")]
    out: PathBuf,
}

#[derive(Args)]
struct FramesArgs {
    /// Frames to write
    #[arg(long, value_name = "N")]
    packets: u64,
    /// Connections they belong to
    #[arg(long, value_name = "N")]
    flows: u32,
    /// Frame size in bytes without the frame check sequence (60 to 9018), or mix (7:4:1 of short, 590 and 1514 bytes)
    #[arg(long, value_name = "BYTES|mix", default_value = "64", value_parser = size)]
    size: Size,
    /// Seed: the same parameters give the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Share of the connections that use IPv6, 0 to 1
    #[arg(long = "ipv6", value_name = "SHARE", default_value_t = 0.0)]
    ipv6_share: f64,
    /// Packets per second of capture time
    #[arg(long = "rate", value_name = "PPS", default_value_t = 100_000)]
    rate_pps: u64,
    /// Where to write; - is standard output
    #[arg(long, value_name = "FILE|-", default_value = "frames.pcap")]
    out: PathBuf,
    /// Print the SHA-256 of the file
    #[arg(long)]
    sha256: bool,
}

fn size(text: &str) -> Result<Size, String> {
    match text {
        "mix" => Ok(Size::Mix),
        bytes => bytes
            .parse()
            .map(Size::Fixed)
            .map_err(|_| "expected a number of bytes or 'mix'".to_owned()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    Compression::parse_method(text)
        .map(|(method, _)| method)
        .map_err(str::to_owned)
}

fn main() -> ExitCode {
    match run(&Cli::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("t2gen: {error:#}");
            let wrong_usage = matches!(error.downcast_ref(), Some(FramesError::Spec(_)));
            ExitCode::from(if wrong_usage { 2 } else { 1 })
        }
    }
}

/// A reader that has seen enough (`t2gen … --out - | head`) is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    match error.downcast_ref() {
        Some(FramesError::Write(error)) => broken(error),
        _ => error
            .chain()
            .any(|cause| cause.downcast_ref().is_some_and(broken)),
    }
}

fn run(what: &What) -> anyhow::Result<()> {
    match what {
        What::Replica { out } => write_replica(out),
        What::Frames(args) => write_frames(args),
        What::Flows(args) => write_flows(args),
    }
}

fn write_replica(path: &Path) -> anyhow::Result<()> {
    let capture = replica::capture()?;
    let mut out = open(path)?;
    out.write_all(&capture)
        .and_then(|()| out.flush())
        .with_context(|| format!("cannot write {}", path.display()))?;
    let connections = replica::connections()?;
    let packets: u64 = connections
        .iter()
        .map(|connection| connection.a.packets + connection.b.packets)
        .sum();
    eprintln!(
        "{}: synthetic replica of faf-exercise.pcap, {packets} packets, {} connections, {} bytes, sha256 {}",
        path.display(),
        connections.len(),
        capture.len(),
        hex(&Sha256::digest(&capture))
    );
    Ok(())
}

fn write_frames(args: &FramesArgs) -> anyhow::Result<()> {
    let spec = frames::Spec {
        packets: args.packets,
        flows: args.flows,
        size: args.size,
        seed: args.seed,
        ipv6_share: args.ipv6_share,
        rate_pps: args.rate_pps,
    };
    spec.check()?;
    let mut out = Hashing {
        out: open(&args.out)?,
        hash: args.sha256.then(Sha256::new),
    };
    let written = frames::write(&spec, &mut out)?;
    let hash = out
        .hash
        .map(|hash| format!(", sha256 {}", hex(&hash.finalize())))
        .unwrap_or_default();
    eprintln!(
        "{}: synthetic, {} packets, {} connections ({} directions), {} bytes{hash}",
        args.out.display(),
        written.packets,
        written.flows,
        written.directions,
        written.file_bytes,
    );
    Ok(())
}

fn write_flows(args: &FlowsArgs) -> anyhow::Result<()> {
    let spec = flows::Spec {
        flows: args.flows,
        seed: args.seed,
        ipv6_share: args.ipv6_share,
        compression: args.compression.unwrap_or(Compression::None),
    };
    flows::write(&spec, &args.out)?;
    eprintln!("{}: synthetic, {} flows", args.out.display(), args.flows);
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    if path == Path::new("-") {
        if io::stdout().is_terminal() {
            bail!("a capture is not for the terminal: name a file or redirect standard output");
        }
        return Ok(Box::new(io::stdout().lock()));
    }
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}

/// Passes bytes on and takes their hash if asked to.
struct Hashing<W> {
    out: W,
    hash: Option<Sha256>,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes.get(..written).unwrap_or(bytes));
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
