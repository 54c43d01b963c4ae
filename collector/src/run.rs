//! The loop that drives everything: batches from the listeners, the clock, signals.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use protocol::session::Session;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{info, warn};

use crate::config::{Config, Transport};
use crate::explain::Explain;
use crate::json::Json;
use crate::listen::udp::UdpListener;
use crate::listen::{Batch, Input, QUEUE, now_ms, stream};
use crate::replay::Replay;
use crate::slot::{SlotOptions, SlotWriter};
use crate::state;
use crate::store::{Outputs, Store};

/// The store's clock ticks at least this often.
const TICK: Duration = Duration::from_secs(1);
/// Templates are written to the state file this often.
const SAVE: Duration = Duration::from_secs(60);
/// How long what has been received already may take to be stored once the end was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs the collector until a signal ends it, or until the file that it reads has ended.
///
/// # Errors
/// When an address cannot be bound, a file not be created at the start, or the one to read not to its end.
pub fn run(config: &Config) -> anyhow::Result<()> {
    if let Some((file, ports)) = &config.file {
        return read(config, file, ports);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no event loop")?;
    runtime.block_on(collect(config))
}

/// Reads a file to its end, in the exporter's time.
fn read(config: &Config, file: &Path, ports: &[u16]) -> anyhow::Result<()> {
    for notice in &config.notices {
        info!("{notice}");
    }
    let begins_ms = Replay::begins_ms(file, ports.to_vec())?;
    let replay = Replay::open(file, ports.to_vec())?;
    let mut store = open_store(config, begins_ms)?;
    let outcome = replay.run(&mut store);
    finish(config, &mut store)?;
    outcome
}

/// Finishes everything, and tells what was asked for.
fn finish(config: &Config, store: &mut Store) -> anyhow::Result<()> {
    if let Some(path) = &config.state {
        store.save(path);
    }
    store.finish();
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

async fn collect(config: &Config) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    for notice in &config.notices {
        info!("{notice}");
    }
    let (mut udp, mut tcp) = (Vec::new(), Vec::new());
    for endpoint in &config.endpoints {
        match endpoint.transport {
            Transport::Udp => udp.push(UdpListener::bind(endpoint, config.buffer)?),
            Transport::Tcp => tcp.push(stream::bind(endpoint)?),
        }
    }
    let mut store = open_store(config, now_ms())?;
    let mut next_save = Instant::now() + SAVE;
    let mut listeners = Listeners::start(udp, tcp)?;

    let mut next_tick = Instant::now();
    loop {
        // Under load the inputs never pause, so the clock is looked at after each of them.
        if Instant::now() >= next_tick {
            store.tick(now_ms());
            store.flush();
            if let Some(path) = config
                .state
                .as_deref()
                .filter(|_| Instant::now() >= next_save)
            {
                store.save(path);
                next_save = Instant::now() + SAVE;
            }
            next_tick = Instant::now() + until_tick(&store);
        }
        tokio::select! {
            biased;
            name = signals.next() => {
                info!("{name}: finishing the slot");
                break;
            }
            input = listeners.inputs.recv() => match input {
                Some(input) => {
                    listeners.store(&mut store, input);
                    if listeners.inputs.is_empty() {
                        store.flush();
                    }
                }
                None => anyhow::bail!("all listeners have ended"),
            },
            () = sleep_until(next_tick) => {}
        }
    }
    listeners.drain(&mut store).await;
    finish(config, &mut store)
}

/// Time to the end of the slot, but no more than a tick.
fn until_tick(store: &Store) -> Duration {
    Duration::from_millis(store.next_rotation_ms().saturating_sub(now_ms())).min(TICK)
}

fn open_store(config: &Config, now: u64) -> anyhow::Result<Store> {
    let mut sources = Vec::new();
    for source in &config.sources {
        if !config.nfcapd {
            sources.push((source.clone(), None));
            continue;
        }
        let options = SlotOptions {
            ident: source.ident.clone(),
            directory: source.directory.clone(),
            interval_s: config.interval_s,
            sub_directory: config.sub_directory,
            compression: config.compression,
        };
        let slot = SlotWriter::open(options, now)
            .with_context(|| format!("cannot write to {}", source.directory.display()))?;
        sources.push((source.clone(), Some(slot)));
    }
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
    let mut session = Session::with_key(config.limits, config.session_key);
    if let Some(path) = &config.state {
        state::load(path, now, &mut session);
    }
    Ok(Store::new(session, sources, outputs))
}

/// The running listeners and the channel they share.
struct Listeners {
    inputs: mpsc::Receiver<Input>,
    /// Empty batches on their way back to the receive threads.
    used: Vec<SyncSender<Batch>>,
    next_used: usize,
    stop_threads: Arc<AtomicBool>,
    stop_tasks: watch::Sender<bool>,
}

impl Listeners {
    fn start(udp: Vec<UdpListener>, tcp: Vec<TcpListener>) -> anyhow::Result<Self> {
        let (sender, inputs) = mpsc::channel(QUEUE);
        let (stop_tasks, stopped) = watch::channel(false);
        let mut listeners = Self {
            inputs,
            used: Vec::new(),
            next_used: 0,
            stop_threads: Arc::default(),
            stop_tasks,
        };
        for listener in udp {
            info!("listening on udp {}", listener.local());
            let (give_back, used): (_, Receiver<Batch>) = sync_channel(QUEUE);
            listener
                .start(sender.clone(), used, Arc::clone(&listeners.stop_threads))
                .context("cannot start a receive thread")?;
            listeners.used.push(give_back);
        }
        let slots = Arc::new(Semaphore::new(stream::MAX_STREAMS));
        for listener in tcp {
            info!("listening on tcp {}", listener.local_addr().context("tcp")?);
            tokio::spawn(stream::accept(
                listener,
                sender.clone(),
                Arc::clone(&slots),
                stopped.clone(),
            ));
        }
        Ok(listeners)
    }

    /// Stores one input. Time moves with the inputs, so that a record never falls into a slot that is over.
    fn store(&mut self, store: &mut Store, input: Input) {
        match input {
            Input::Datagrams(batch) => {
                store.time(batch.received_ms);
                for (from, bytes) in batch.iter() {
                    store.datagram(batch.received_ms, from, bytes);
                }
                self.give_back(batch);
            }
            Input::Messages(batch) => {
                store.time(batch.received_ms);
                for (from, bytes) in batch.iter() {
                    store.message(batch.received_ms, from, bytes);
                }
            }
            Input::Closed(from) => store.closed(from),
            Input::KernelDrops(datagrams) => store.kernel_dropped(datagrams),
        }
    }

    /// Hands a batch back to one of the receive threads; it is simply freed when nobody needs it.
    fn give_back(&mut self, batch: Batch) {
        if self.used.is_empty() {
            return;
        }
        self.next_used = (self.next_used + 1) % self.used.len();
        if let Some(channel) = self.used.get(self.next_used) {
            let _ = channel.try_send(batch);
        }
    }

    /// Stops the listeners and stores what they have received and the kernel still holds, for a bounded time.
    async fn drain(&mut self, store: &mut Store) {
        self.stop_threads.store(true, Ordering::Relaxed);
        let _ = self.stop_tasks.send(true);
        let deadline = Instant::now() + DRAIN;
        loop {
            match timeout_at(deadline, self.inputs.recv()).await {
                Ok(Some(input)) => self.store(store, input),
                Ok(None) => return,
                Err(_) => {
                    warn!(
                        "listeners still busy after {} s: the rest is dropped",
                        DRAIN.as_secs()
                    );
                    return;
                }
            }
        }
    }
}

/// The signals that end the program.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
