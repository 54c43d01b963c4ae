//! Containers on a private network, by the `docker` command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// A container may take this long to start what it is started for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The engine with a network of its own. What it started is removed when it is dropped.
#[derive(Debug)]
pub struct Engine {
    network: String,
    started: Mutex<Vec<String>>,
}

/// What is started in a container.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The image.
    pub image: &'a str,
    /// Program and words.
    pub words: Vec<String>,
    /// Folders of this machine and where they are in the container.
    pub folders: Vec<(&'a Path, &'a str)>,
}

/// What a program in a container said.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its exit code, `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Told {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Told {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The last line of what it said, for one who asks why.
    pub fn last_line(&self) -> &str {
        let said = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        said.trim().lines().last().unwrap_or("it said nothing")
    }
}

fn docker(words: &[&str]) -> anyhow::Result<Told> {
    let output = Command::new("docker").args(words).output();
    Ok(Told::of(&output.context("docker cannot be started")?))
}

fn docker_or_fail(words: &[&str]) -> anyhow::Result<String> {
    let told = docker(words)?;
    ensure!(
        told.code == Some(0),
        "docker {}: {}",
        words.join(" "),
        told.last_line()
    );
    Ok(told.stdout.trim().to_owned())
}

impl Engine {
    /// Makes the network. It has no way out.
    ///
    /// # Errors
    /// When no engine answers.
    pub fn new() -> anyhow::Result<Self> {
        docker_or_fail(&["info", "--format", "{{.ServerVersion}}"])
            .context("no Docker engine answers")?;
        let network = format!("t2-interop-{}", std::process::id());
        // With a subnet of its own, so that a container can come back to its address: 198.18.0.0/15 is for tests
        // (RFC 2544).
        let subnet = format!("198.18.{}.0/24", std::process::id() % 256);
        docker_or_fail(&[
            "network",
            "create",
            "--internal",
            "--subnet",
            &subnet,
            &network,
        ])?;
        Ok(Engine {
            network,
            started: Mutex::default(),
        })
    }

    /// Whether there is such an image.
    pub fn has_image(&self, image: &str) -> bool {
        docker(&["image", "inspect", image]).is_ok_and(|told| told.code == Some(0))
    }

    fn words<'a>(&'a self, job: &'a Job<'_>, first: &[&'a str]) -> Vec<String> {
        let mut words: Vec<String> = first.iter().map(|word| (*word).to_owned()).collect();
        let own = ["--network", &self.network, "--read-only", "--tmpfs", "/tmp"];
        words.extend(own.map(str::to_owned));
        for (here, there) in &job.folders {
            words.push("--volume".to_owned());
            words.push(format!("{}:{there}", here.display()));
        }
        words.push(job.image.to_owned());
        words.extend(job.words.iter().cloned());
        words
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// When the engine cannot run it; what the program answers is no error.
    pub fn run(&self, job: &Job<'_>) -> anyhow::Result<Told> {
        let words = self.words(job, &["run", "--rm"]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = docker(&words)?;
        // 125: the engine's own failure.
        ensure!(
            told.code != Some(125),
            "the container did not start: {}",
            told.last_line()
        );
        Ok(told)
    }

    /// Starts a program that goes on.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, name: &str, job: &Job<'_>) -> anyhow::Result<Container> {
        let name = format!("{}-{name}", self.network);
        let words = self.words(job, &["run", "--detach", "--name", &name]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        docker_or_fail(&words).context("the container did not start")?;
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.push(name.clone());
        Ok(Container {
            name,
            network: self.network.clone(),
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        for name in started.iter() {
            let _ = docker(&["rm", "--force", name]);
        }
        let _ = docker(&["network", "rm", &self.network]);
    }
}

/// A running container.
#[derive(Clone, Debug)]
pub struct Container {
    name: String,
    network: String,
}

impl Container {
    /// Its address on the network.
    ///
    /// # Errors
    /// When it has none: it has ended.
    pub fn address(&self) -> anyhow::Result<String> {
        let form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = docker_or_fail(&["inspect", "--format", form, &self.name])?;
        ensure!(
            !address.is_empty(),
            "the container has no address: {}",
            self.logs()
        );
        Ok(address)
    }

    /// Waits until it listens on this UDP port.
    ///
    /// # Errors
    /// When it ends before, or takes too long.
    pub fn wait_listening(&self, port: u16) -> anyhow::Result<()> {
        let wanted = format!(":{port:04X} ");
        let begin = Instant::now();
        loop {
            let sockets = docker(&["exec", &self.name, "cat", "/proc/net/udp", "/proc/net/udp6"])?;
            if sockets.stdout.contains(&wanted) {
                return Ok(());
            }
            if !self.is_running() {
                bail!("it ended at once: {}", self.logs());
            }
            if begin.elapsed() > PATIENCE {
                bail!(
                    "it does not listen on UDP port {port} after {} s",
                    PATIENCE.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until nothing more waits in its UDP socket, or it has ended.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn wait_drained(&self, port: u16) -> anyhow::Result<()> {
        let wanted = format!(":{port:04X} ");
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let sockets = docker(&["exec", &self.name, "cat", "/proc/net/udp", "/proc/net/udp6"])?;
            let waits = |line: &str| {
                let mut words = line.split_whitespace();
                let local = words.nth(1).unwrap_or_default();
                let queues = words.nth(2).unwrap_or_default();
                format!("{local} ").ends_with(&wanted) && !queues.ends_with(":00000000")
            };
            if !sockets.stdout.lines().any(waits) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("it does not read what it receives")
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        docker(&["inspect", "--format", "{{.State.Running}}", &self.name])
            .is_ok_and(|told| told.stdout.trim() == "true")
    }

    /// What it said, both ways.
    pub fn logs(&self) -> String {
        docker(&["logs", &self.name])
            .map(|told| format!("{}{}", told.stdout, told.stderr).trim().to_owned())
            .unwrap_or_default()
    }

    /// Ends it with SIGTERM, removes it and returns what it said.
    ///
    /// # Errors
    /// When it had to be killed, or its exit code was not 0.
    pub fn stop(self) -> anyhow::Result<String> {
        docker_or_fail(&["stop", "--time", "30", &self.name])?;
        let code = docker_or_fail(&["inspect", "--format", "{{.State.ExitCode}}", &self.name])?;
        let said = self.logs();
        docker_or_fail(&["rm", &self.name])?;
        ensure!(
            code == "0",
            "it ended with exit code {code}: {}",
            said.lines().last().unwrap_or("it said nothing")
        );
        Ok(said)
    }

    /// Ends and starts it again.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn restart(&self) -> anyhow::Result<()> {
        docker_or_fail(&["restart", "--time", "30", &self.name]).map(drop)
    }

    /// Stops its processes where they are.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn pause(&self) -> anyhow::Result<()> {
        docker_or_fail(&["pause", &self.name]).map(drop)
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn go_on(&self) -> anyhow::Result<()> {
        docker_or_fail(&["unpause", &self.name]).map(drop)
    }

    /// Cuts it off from the network.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn cut_off(&self) -> anyhow::Result<()> {
        docker_or_fail(&["network", "disconnect", &self.network, &self.name]).map(drop)
    }

    /// Puts it back, at the address it had.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn put_back(&self, address: &str) -> anyhow::Result<()> {
        docker_or_fail(&[
            "network",
            "connect",
            "--ip",
            address,
            &self.network,
            &self.name,
        ])
        .map(drop)
    }
}

/// A folder that every container may write to.
///
/// # Errors
/// When it cannot be made.
pub fn open_folder(parent: &Path, name: &str) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = parent.join(name);
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777))?;
    Ok(path)
}
