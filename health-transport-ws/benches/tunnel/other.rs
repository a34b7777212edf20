//! The other process: this program again, in another role.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use crate::Outcome;

/// With one of them this program is that.
pub(crate) const HUB: &str = "--hub";
pub(crate) const ECHO: &str = "--echo";
pub(crate) const EXCHANGE: &str = "--exchange";

/// A process that ends with this.
pub(crate) struct Other {
    child: Child,
    pub(crate) address: SocketAddr,
}

const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What this process was started as, and where; nothing for the one that measures.
pub(crate) fn role() -> Option<(&'static str, SocketAddr)> {
    let arguments: Vec<_> = std::env::args().collect();
    [HUB, ECHO, EXCHANGE].into_iter().find_map(|role| {
        let place = arguments.iter().position(|argument| argument == role)?;
        let address = arguments.get(place + 1)?.parse().ok()?;
        Some((role, address))
    })
}

/// What of a process is in memory.
pub(crate) fn resident_kib(process: &str) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next());
    Ok(kib.ok_or("no VmRSS")?.parse()?)
}

// === impl Other ===

impl Other {
    pub(crate) fn start(role: &str) -> Outcome<Self> {
        Self::start_at(ANYWHERE, role)
    }

    /// As `role`, at an address that may have been another's before.
    pub(crate) fn start_at(address: SocketAddr, role: &str) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([role, &address.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse()?;
        Ok(Self { child, address })
    }

    pub(crate) fn resident_kib(&self) -> Outcome<f64> {
        resident_kib(&self.child.id().to_string())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
