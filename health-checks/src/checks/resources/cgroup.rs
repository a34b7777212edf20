//! What the cgroups allow this process.

use std::io;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use super::usage::positive;
use super::usage::read;

/// The smallest limits of this process's cgroup and of those above it, as far up as can be seen.
///
/// Infinite where there is none, absent where one could not be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    pub(super) memory_bytes: Option<f64>,
    pub(super) cpu_cores: Option<f64>,
}

/// Where a cgroup is in which hierarchy: a line of /proc/self/cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) version: Version,
    pub(super) path: PathBuf,
}

/// The two kinds of hierarchies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// One hierarchy for some controllers, next to others.
    V1,
    /// The one for all controllers that no hierarchy of version 1 has.
    V2,
}

/// The controllers that are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Cpu,
}

/// Version 1 has no word for "no limit" but the largest number of whole pages, whose size differs.
const UNLIMITED_MIN: f64 = (1_u64 << 62) as f64;

/// Finds a cgroup among the lines, and where it is mounted: both files in one text.
#[cfg(fuzzing)]
pub(super) fn fuzz(text: &str) {
    for controller in [Controller::Memory, Controller::Cpu] {
        if let Some(membership) = Membership::find(text, controller) {
            let nowhere = Path::new("/nonexistent");
            let levels = levels(nowhere, &membership, controller, text);
            assert_eq!(levels, None, "nothing is mounted there");
        }
    }
}

// === impl Limits ===

impl Limits {
    /// Reads the files below `root`, which is `/` but in tests.
    pub(super) fn read(root: &Path) -> Self {
        let proc = root.join("proc/self");
        let limit = |controller: Controller| {
            let cgroups = match read(&proc.join("cgroup")) {
                Ok(cgroups) => cgroups,
                // A kernel without cgroups.
                Err(error) if is_absent(&error) => return Some(f64::INFINITY),
                Err(_) => return None,
            };
            let Some(membership) = Membership::find(&cgroups, controller) else {
                return Some(f64::INFINITY);
            };
            let mounts = read(&proc.join("mountinfo")).ok()?;
            let levels = levels(root, &membership, controller, &mounts)?;
            levels
                .iter()
                .map(|level| controller.limit(level, membership.version))
                .try_fold(f64::INFINITY, |least, limit| Some(least.min(limit?)))
        };
        Self {
            memory_bytes: limit(Controller::Memory),
            cpu_cores: limit(Controller::Cpu),
        }
    }
}

// === impl Membership ===

impl Membership {
    /// The cgroup that `controller` counts this process in. A controller is in one hierarchy only.
    pub(super) fn find(cgroups: &str, controller: Controller) -> Option<Self> {
        let mut unified = None;
        for line in cgroups.lines() {
            // The path may hold colons.
            let mut fields = line.splitn(3, ':');
            let (Some(id), Some(controllers), Some(path)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let path = PathBuf::from(path);
            if has(controllers, controller) {
                let version = Version::V1;
                return Some(Self { version, path });
            }
            if id == "0" && controllers.is_empty() {
                let version = Version::V2;
                unified = Some(Self { version, path });
            }
        }
        unified
    }
}

// === impl Controller ===

impl Controller {
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
        }
    }

    /// The limit of the one cgroup whose directory `level` is.
    fn limit(self, level: &Path, version: Version) -> Option<f64> {
        // The root of version 2 has none of these files, and no cgroup those of a controller that
        // is not switched on for it.
        let file = |name: &str, parse: fn(&str) -> Option<f64>| match read(&level.join(name)) {
            Ok(text) => parse(&text),
            Err(error) if is_absent(&error) => Some(f64::INFINITY),
            Err(_) => None,
        };
        match (self, version) {
            (Self::Memory, Version::V2) => file("memory.max", memory_v2),
            (Self::Memory, Version::V1) => file("memory.limit_in_bytes", memory_v1),
            (Self::Cpu, Version::V2) => file("cpu.max", cpu_v2),
            (Self::Cpu, Version::V1) => {
                let quota = file("cpu.cfs_quota_us", quota_v1)?;
                if quota.is_infinite() {
                    return Some(quota);
                }
                let period = read(&level.join("cpu.cfs_period_us")).ok()?;
                Some(quota / positive(period.trim())?)
            }
        }
    }
}

/// The directories of the cgroup and of those above it, up to where its hierarchy is mounted.
/// Absent where the cgroup's own cannot be seen: its limit may be the smallest.
fn levels(
    root: &Path,
    membership: &Membership,
    controller: Controller,
    mountinfo: &str,
) -> Option<Vec<PathBuf>> {
    let mut mounts: Vec<_> = mountinfo
        .lines()
        .filter_map(|line| mount(line, membership.version, controller))
        .collect();
    // Of several mounts, the one that shows the most of what is above.
    mounts.sort_by_key(|(top, _)| top.components().count());
    mounts.into_iter().find_map(|(top, point)| {
        let below = membership.path.strip_prefix(&top).ok()?;
        // Outside the namespace that this process sees, or of the mount.
        let leads_out = |part| matches!(part, Component::ParentDir | Component::RootDir);
        if below.components().any(leads_out) {
            return None;
        }
        let point = root.join(point.strip_prefix("/").ok()?);
        let own = point.join(below);
        let levels = own.ancestors().take(below.components().count() + 1);
        own.is_dir()
            .then(|| levels.map(Path::to_path_buf).collect())
    })
}

/// The cgroup that a mount of the hierarchy shows at its top, and where; from a line of
/// /proc/self/mountinfo.
fn mount(line: &str, version: Version, controller: Controller) -> Option<(PathBuf, PathBuf)> {
    // A space within a field is escaped, and the number of fields before the dash differs.
    let (place, what) = line.split_once(" - ")?;
    let mut what = what.split(' ');
    let (kind, options) = (what.next()?, what.nth(1)?);
    let is_it = match version {
        Version::V1 => kind == "cgroup" && has(options, controller),
        Version::V2 => kind == "cgroup2",
    };
    let mut place = place.split(' ').skip(3);
    let (top, point) = (unescape(place.next()?), unescape(place.next()?));
    is_it.then(|| (PathBuf::from(top), PathBuf::from(point)))
}

/// Whether the controller is in a list of names.
fn has(list: &str, controller: Controller) -> bool {
    list.split(',').any(|name| name == controller.name())
}

/// Resolves the `\040` that a space is written as, and its like.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                text.push(char::from(code));
                text.push_str(&part[3..]);
            }
            _ => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

/// `memory.max`: `max` or a number of bytes.
pub(super) fn memory_v2(text: &str) -> Option<f64> {
    match text.trim() {
        "max" => Some(f64::INFINITY),
        bytes => positive(bytes),
    }
}

/// `memory.limit_in_bytes`: a number of bytes, a huge one for no limit.
pub(super) fn memory_v1(text: &str) -> Option<f64> {
    let bytes = positive(text.trim())?;
    Some(if bytes < UNLIMITED_MIN {
        bytes
    } else {
        f64::INFINITY
    })
}

/// `cpu.max`: how much of which period, both in µs; `max` for no limit.
pub(super) fn cpu_v2(text: &str) -> Option<f64> {
    let mut fields = text.split_ascii_whitespace();
    match (fields.next()?, fields.next()) {
        ("max", _) => Some(f64::INFINITY),
        (quota, period) => Some(positive(quota)? / positive(period?)?),
    }
}

/// `cpu.cfs_quota_us`: in µs; -1 for no limit.
pub(super) fn quota_v1(text: &str) -> Option<f64> {
    match text.trim() {
        "-1" => Some(f64::INFINITY),
        quota => positive(quota),
    }
}

/// Whether the file is not there, which is something else than that it cannot be read.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests;
