//! The loop that drives everything: listeners, workers, the clock, signals.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use protocol::session::Session;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use crate::board::Board;
use crate::config::{Config, ConfigError, Source, Transport};
use crate::daemon::{self, PidFile};
use crate::explain::Explain;
use crate::json::Json;
use crate::knowledge::Knowledge;
use crate::listen::now_ms;
use crate::listen::queue::Queues;
use crate::listen::repeat::Repeater;
use crate::listen::stream::{self, Streams};
use crate::listen::tls::Gate;
use crate::listen::udp::UdpListener;
use crate::log::Verbosity;
use crate::metrics;
use crate::replay::Replay;
use crate::slot::files::{Files, FilesHandle, FilesOptions};
use crate::slot::finish;
use crate::slot::name::Calendar;
use crate::slot::shared::{SharedSlot, Watch};
use crate::slot::{SlotOptions, SlotWriter};
use crate::state::{self, Kept};
use crate::store::{Dynamic, OpenSource, Outputs, Store};
use crate::systemd::{Notifier, Sockets};
use crate::workers::{self, Done, Workers};

/// The workers are told the time this often.
const TICK: Duration = Duration::from_secs(1);
/// Templates are written to the state file this often.
const SAVE: Duration = Duration::from_secs(60);
/// How long what has been received already may take to be stored once the end was asked for.
const DRAIN: Duration = Duration::from_secs(5);
/// Descriptors that streams leave to everything else: sockets, pipes, files that are being closed.
const RESERVED: u64 = 32 + finish::MAX_WAITING as u64;

/// Reads the configuration again, and changes how much is said.
pub struct Control<'a> {
    /// As at the start.
    pub config: &'a dyn Fn() -> Result<Config, ConfigError>,
    /// Of the log.
    pub verbosity: &'a Verbosity,
}

/// Runs the collector until a signal ends it, or until the file that it reads has ended.
///
/// # Errors
/// When an address cannot be bound, a file not be created at the start, or the one to read not to its end.
pub fn run(config: &Config, control: &Control<'_>) -> anyhow::Result<()> {
    if let Some((file, ports)) = &config.file {
        return read(config, file, ports);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no event loop")?;
    let outcome = runtime.block_on(collect(config, control));
    // A peer that never ends its stream holds nothing up.
    runtime.shutdown_background();
    outcome
}

/// Reads a file to its end, in the exporter's time.
fn read(config: &Config, file: &Path, ports: &[u16]) -> anyhow::Result<()> {
    for notice in &config.notices {
        info!("{notice}");
    }
    let begins_ms = Replay::begins_ms(file, ports.to_vec())?;
    let replay = Replay::open(file, ports.to_vec())?;
    let files = start_files(config)?;
    let board = Arc::new(Board::new(1));
    let (mut stores, _) = open_stores(config, begins_ms, &board, &files.handle())?;
    let mut store = stores.pop().context("no store")?;
    store.set_patient();
    let outcome = replay.run(&mut store);
    save(config, &store.kept());
    store.finish();
    files.end();
    explain(config, &store)?;
    outcome
}

fn save(config: &Config, kept: &Kept) {
    if let Some(path) = &config.state {
        state::save(path, kept);
    }
}

/// Tells what was asked for.
fn explain(config: &Config, store: &Store) -> anyhow::Result<()> {
    let on_stdout = config
        .json
        .as_deref()
        .is_none_or(|path| path != Path::new("-"));
    let told = if on_stdout {
        store.explain(&mut std::io::stdout().lock())
    } else {
        store.explain(&mut std::io::stderr().lock())
    };
    match told {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        told => told.context("cannot write the account"),
    }
}

async fn collect(config: &Config, control: &Control<'_>) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    for notice in &config.notices {
        info!("{notice}");
    }
    let notifier = Notifier::from_env();
    let most_streams = descriptors(config);
    let gate = match &config.tls {
        Some(tls) => Some(Arc::new(Gate::new(&tls.files, tls.peers.clone())?)),
        None => None,
    };
    let sockets = open_sockets(config, gate.as_ref())?;
    let _pid_file = PidFile::write(config.pid_file.as_deref())?;
    daemon::give_up_rights(config)?;
    let board = Arc::new(Board::new(config.workers));
    let files = start_files(config)?;
    let (stores, slots) = open_stores(config, now_ms(), &board, &files.handle())?;
    let (queues, receivers) = Queues::new(config.workers);
    let depths = queues.depths();
    let workers = Workers::start(stores, receivers).context("cannot start a worker")?;
    let repeater = Repeater::open(&config.repeat).context("-R")?;
    let listeners = Listeners::start(sockets, queues, &repeater, &board, most_streams)?;
    let sources = metrics::Sources {
        board,
        depths,
        door: listeners.streams.door(),
        slots,
        files: files.handle(),
    };
    let endpoint = match config.metrics {
        Some(address) => {
            let endpoint = sources.serve(address)?;
            info!("metrics on {}", endpoint.address());
            Some(endpoint)
        }
        None => None,
    };
    notifier.ready();
    daemon::ready(config)?;

    let mut next_save = Instant::now() + SAVE;
    let mut next_pulse = Instant::now();
    loop {
        workers.check()?;
        listeners.queues.tick(now_ms());
        if config.state.is_some() && Instant::now() >= next_save {
            next_save = Instant::now() + SAVE;
            keep(config, &listeners.queues);
        }
        if let Some(pulse) = notifier.pulse()
            && Instant::now() >= next_pulse
        {
            // A collector that does not do its work is to be started again.
            if sources.is_working().is_ok() {
                notifier.alive();
            }
            next_pulse = Instant::now() + pulse;
        }
        let pause = notifier.pulse().unwrap_or(TICK).min(until_tick(config));
        tokio::select! {
            biased;
            asked = signals.next() => match asked {
                Asked::End(name) => {
                    info!("{name}: finishing the slot");
                    break;
                }
                Asked::Reload => {
                    notifier.reloading();
                    reload(control, gate.as_deref(), &sources.slots);
                    notifier.ready();
                }
            },
            () = sleep_until(Instant::now() + pause) => {}
        }
    }
    notifier.stopping();
    listeners.stop().await;
    let done = workers.end(DRAIN).await?;
    files.end();
    drop(endpoint);
    let mut kept = Kept::default();
    done.iter().for_each(|done| kept.add(done.kept.clone()));
    save(config, &kept);
    let mut stores = done.iter().map(|Done { store, .. }| store);
    stores.try_for_each(|store| explain(config, store))
}

/// Time to the end of the slot, but no more than a tick.
fn until_tick(config: &Config) -> Duration {
    let now = now_ms();
    let now_s = i64::try_from(now / 1000).unwrap_or(i64::MAX);
    let end_s = config.calendar.slot_end(config.calendar.slot_start(now_s));
    let end_ms = u64::try_from(end_s).unwrap_or(0).saturating_mul(1000);
    Duration::from_millis(end_ms.saturating_sub(now)).min(TICK)
}

/// Has the templates written to the state file while everything goes on.
fn keep(config: &Config, queues: &Queues) {
    let Some(path) = config.state.clone() else {
        return;
    };
    let answers = queues.keep();
    tokio::spawn(async move {
        let mut templates = Vec::new();
        for answer in answers {
            match answer.await {
                Ok(kept) => templates.extend(kept.templates),
                // A worker that ends leaves its templates to the last writing.
                Err(_) => return,
            }
        }
        // Sequence numbers go on meanwhile.
        let kept = Kept {
            templates,
            ..Kept::default()
        };
        tokio::task::spawn_blocking(move || state::save(&path, &kept));
    });
}

/// Reads the configuration again: names of sources, certificates, how much is said. Sockets and slots stay as they are.
fn reload(control: &Control<'_>, gate: Option<&Gate>, slots: &[(String, Watch)]) {
    let config = match (control.config)() {
        Ok(config) => config,
        Err(error) => {
            warn!("SIGUSR1: the configuration stays as it was: {error}");
            return;
        }
    };
    control.verbosity.set(config.verbose);
    // Sources are found again by their place: their directories cannot change.
    for ((_, slot), source) in slots.iter().zip(&config.sources) {
        slot.set_ident(&source.ident);
    }
    if let (Some(gate), Some(tls)) = (gate, &config.tls)
        && let Err(error) = gate.reload(&tls.files)
    {
        warn!("SIGUSR1: the certificates stay as they were: {error}");
    }
    info!("SIGUSR1: configuration read again");
}

/// Raises the limit on descriptors as far as is allowed, and gives how many streams may be open.
fn descriptors(config: &Config) -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return stream::MAX_STREAMS;
    };
    let dynamic = config.dynamic.as_ref().map_or(0, |(_, max)| *max);
    let sources = config.sources.len().max(dynamic);
    let wanted = (stream::MAX_STREAMS + sources) as u64 + RESERVED;
    let target = wanted.max(soft).min(hard);
    let granted = match setrlimit(Resource::RLIMIT_NOFILE, target, hard) {
        Ok(()) => target,
        Err(_) => soft,
    };
    if granted < wanted {
        warn!(
            "only {granted} descriptors (ulimit -n): too few for {} streams and {sources} sources",
            stream::MAX_STREAMS
        );
    }
    let streams = granted.saturating_sub(sources as u64 + RESERVED);
    // Sources that are found later may find none left.
    let streams = streams.max(granted / 4).max(1);
    usize::try_from(streams)
        .unwrap_or(usize::MAX)
        .min(stream::MAX_STREAMS)
}

/// Names of sources, and what looks at their slots.
type Watches = Vec<(String, Watch)>;

/// A store for each worker, and what looks at their slots.
fn open_stores(
    config: &Config,
    now: u64,
    board: &Arc<Board>,
    files: &FilesHandle,
) -> anyhow::Result<(Vec<Store>, Watches)> {
    let count = board.workers();
    let limits = workers::share(&config.limits, count);
    let mut sessions: Vec<_> = (0..count)
        .map(|_| Session::with_key(limits, config.session_key))
        .collect();
    if let Some(path) = &config.state {
        state::load(path, now, &mut sessions);
    }
    let mut watches = Vec::new();
    let mut sources: Vec<Vec<_>> = Vec::new();
    sources.resize_with(count, Vec::new);
    for source in &config.sources {
        let mut slots = Vec::new();
        if config.nfcapd {
            let slot = open_slot(&config.calendar, source, files.clone(), now)?;
            slots = SharedSlot::split(slot, count);
            let watch = slots
                .first()
                .map(|slot| (source.ident.clone(), slot.watch()));
            watches.extend(watch);
        }
        let mut slots = slots.into_iter();
        for worker in &mut sources {
            worker.push((source.clone(), slots.next()));
        }
    }
    let dynamic = Arc::<AtomicUsize>::default();
    let mut stores = Vec::new();
    for (worker, (session, sources)) in sessions.into_iter().zip(sources).enumerate() {
        let json = match &config.json {
            Some(path) => Some(
                Json::open(path, config.events)
                    .with_context(|| format!("cannot write {}", path.display()))?,
            ),
            None => None,
        };
        let outputs = Outputs {
            json,
            explain: config.explain.then(Explain::default),
        };
        let post = (Arc::clone(board), worker);
        let knowledge = Knowledge::new(config.sampling);
        let mut store = Store::new(session, knowledge, sources, outputs, post);
        if let Some((directory, max)) = &config.dynamic {
            let open = open_sources(config.calendar.clone(), directory.clone(), files.clone());
            store.set_dynamic(Dynamic::new(open, Arc::clone(&dynamic), *max));
        }
        stores.push(store);
    }
    Ok((stores, watches))
}

fn open_slot(
    calendar: &Calendar,
    source: &Source,
    files: FilesHandle,
    now: u64,
) -> anyhow::Result<SlotWriter> {
    let options = SlotOptions {
        ident: source.ident.clone(),
        directory: source.directory.clone(),
        calendar: calendar.clone(),
    };
    SlotWriter::open(options, files, now)
        .with_context(|| format!("cannot write to {}", source.directory.display()))
}

/// Makes the directory and the first file of each source that is found below a directory.
fn open_sources(calendar: Calendar, below: PathBuf, files: FilesHandle) -> Box<OpenSource> {
    Box::new(move |address, now| {
        // As nfcapd names them.
        let ident = address.to_string().replace(['.', ':'], "-");
        let directory = below.join(&ident);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => {
                made.with_context(|| directory.display().to_string())?;
                info!("new source {ident}");
            }
        }
        let source = Source {
            ident,
            address: Some(address),
            directory,
        };
        // A sender's packets all go to one worker.
        let slot = open_slot(&calendar, &source, files.clone(), now)?;
        SharedSlot::split(slot, 1).pop().context("no slot")
    })
}

fn start_files(config: &Config) -> anyhow::Result<Files> {
    let options = FilesOptions {
        compression: config.compression,
        level: config.level,
        compressors: config.compressors,
        expire: config.expire,
        launch: config.launch.clone(),
    };
    Files::start(options).context("cannot start the threads that write")
}

/// Everything that is listened on.
#[derive(Default)]
struct Open {
    udp: Vec<UdpListener>,
    tcp: Vec<(tokio::net::TcpListener, Option<Arc<Gate>>)>,
}

/// Takes over what systemd has opened, and opens the rest.
fn open_sockets(config: &Config, gate: Option<&Arc<Gate>>) -> anyhow::Result<Open> {
    let handed = Sockets::from_env()?;
    let mut open = Open::default();
    // Without an address on the command line the sockets of systemd are all there are.
    let endpoints = if config.default_endpoint && !handed.is_empty() {
        &[]
    } else {
        &*config.endpoints
    };
    for socket in handed.udp {
        open.udp.push(UdpListener::adopt(socket, config.buffer)?);
    }
    for (listener, is_tls) in handed.tcp {
        let gate = match (is_tls, gate) {
            (true, None) => anyhow::bail!("a socket named tls needs --tls-cert and --tls-key"),
            (true, Some(gate)) => Some(Arc::clone(gate)),
            (false, _) => None,
        };
        open.tcp.push((stream::adopt(listener)?, gate));
    }
    for endpoint in endpoints {
        match endpoint.transport {
            Transport::Udp => open.udp.push(UdpListener::bind(endpoint, config.buffer)?),
            Transport::Tcp => open.tcp.push((stream::bind(endpoint)?, None)),
            Transport::Tls => open.tcp.push((stream::bind(endpoint)?, gate.cloned())),
        }
    }
    Ok(open)
}

/// The running listeners.
struct Listeners {
    queues: Queues,
    streams: Streams,
    stop_threads: Arc<AtomicBool>,
    stop_tasks: watch::Sender<bool>,
}

impl Listeners {
    fn start(
        open: Open,
        queues: Queues,
        repeater: &Repeater,
        board: &Board,
        most: usize,
    ) -> anyhow::Result<Self> {
        let (stop_tasks, stopped) = watch::channel(false);
        let stop_threads = Arc::<AtomicBool>::default();
        for listener in open.udp {
            info!("listening on udp {}", listener.local());
            board.watch(format!("udp://{}", listener.local()), listener.received());
            listener
                .start(queues.clone(), repeater.clone(), Arc::clone(&stop_threads))
                .context("cannot start a receive thread")?;
        }
        let streams = Streams::new(queues.clone(), stopped, most);
        for (listener, gate) in open.tcp {
            let transport = if gate.is_some() { "tls" } else { "tcp" };
            let local = listener.local_addr().context(transport)?;
            info!("listening on {transport} {local}");
            tokio::spawn(streams.clone().accept(listener, gate));
        }
        Ok(Self {
            queues,
            streams,
            stop_threads,
            stop_tasks,
        })
    }

    /// Stops the listeners and queues what they have received and the kernel still holds, for a bounded time.
    async fn stop(self) {
        let Self {
            queues,
            streams,
            stop_threads,
            stop_tasks,
        } = self;
        stop_threads.store(true, Ordering::Relaxed);
        let _ = stop_tasks.send(true);
        drop(streams);
        let deadline = Instant::now() + DRAIN;
        while !queues.is_last_copy() {
            if Instant::now() > deadline {
                let seconds = DRAIN.as_secs();
                warn!("listeners still busy after {seconds} s: the rest is dropped");
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        queues.end();
    }
}

/// What a signal asks for.
enum Asked {
    End(&'static str),
    Reload,
}

/// The signals that are listened to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            user1: listen(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End("SIGTERM"),
            _ = self.interrupt.recv() => Asked::End("SIGINT"),
            _ = self.hangup.recv() => Asked::End("SIGHUP"),
            _ = self.user1.recv() => Asked::Reload,
        }
    }
}
