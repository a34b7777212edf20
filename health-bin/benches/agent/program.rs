//! The program as a process.

use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use tempfile::TempDir;

/// A running `syncer-health` that ends with this.
pub(crate) struct Program {
    child: Child,
    /// Of two that it was given the first one: an agent answers there, a hub takes tunnels.
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

/// Whatever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often an answer is asked for that nobody gives yet.
const EVERY: Duration = Duration::from_micros(500);

/// What is measured, unless this variable names another one: as `cargo build --release` makes it, with
/// what the tests of its libraries switch on besides.
const PATH: &str = env!("CARGO_BIN_EXE_syncer-health");
const VARIABLE: &str = "SYNCER_HEALTH_PROGRAM";

/// The program that is measured.
pub(crate) fn path() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(|| PATH.into(), PathBuf::from)
}

// === impl Program ===

impl Program {
    /// Starts a command with the configuration that belongs to two free addresses.
    pub(crate) fn start(
        command: &str,
        config: impl FnOnce([SocketAddr; 2]) -> String,
    ) -> anyhow::Result<Self> {
        let addresses = [free_address()?, free_address()?];
        let folder = TempDir::new()?;
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, config(addresses))?;
        let child = Command::new(path())
            .arg(command)
            .arg("--config")
            .arg(&file)
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            child,
            address: addresses[0],
            _folder: folder,
        })
    }

    /// Waits for an answer of `/readyz`, whatever it is.
    pub(crate) fn first_answer(&self) -> anyhow::Result<String> {
        let began = Instant::now();
        loop {
            match self.readyz() {
                Ok(answer) if answer.starts_with("HTTP/1.1 ") => return Ok(answer),
                Ok(_) | Err(_) => {}
            }
            ensure!(began.elapsed() < PATIENCE, "nobody answers /readyz");
            std::thread::sleep(EVERY);
        }
    }

    /// Waits until it is ready, and fails with what it says if it never is.
    pub(crate) fn ready(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.readyz()?;
            if answer.starts_with("HTTP/1.1 200 ") {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "it is not ready:\n{answer}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn resident_kib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("the system tells no VmRSS")?.parse()?)
    }

    fn readyz(&self) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let host = self.address;
        write!(
            stream,
            "GET /readyz?verbose HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
