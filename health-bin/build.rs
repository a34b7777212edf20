//! Packs the program's relative relocations, where the loader of this machine can unpack them: they take
//! 5 KiB then and not 420, on disk and in memory.
//!
//! glibc reads them since 2.36, and an older one does not start the program that has them: what is
//! built here wants a glibc as new where it runs. Whoever builds for another target, or without a
//! loader, gets them as they always were.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if is_for_this_glibc() && glibc().is_some_and(|version| version >= (2, 36)) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether what is built runs with the C library of this machine.
fn is_for_this_glibc() -> bool {
    let variable = |name| env::var(name).unwrap_or_default();
    let has_loader = !variable("CARGO_CFG_TARGET_FEATURE")
        .split(',')
        .any(|feature| feature == "crt-static");
    variable("HOST") == variable("TARGET")
        && variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_ENV") == "gnu"
        && has_loader
}

/// The version of this machine's glibc: it prints `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
