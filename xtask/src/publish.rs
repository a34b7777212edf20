//! Subcommand: cargo xtask publish

use anyhow::Context;
use anyhow::ensure;
use serde_json::Value;
use xshell::Shell;
use xshell::cmd;

/// Where packages are packed and unpacked again.
const PACKED: &str = "target/publish";

/// What each package carries beside its sources.
const CARRIED: [&str; 3] = ["Cargo.toml", "LICENSE", "README.md"];

/// The only folders of a package: what stands elsewhere may read files of its neighbours.
const FOLDERS: [&str; 3] = ["src/", "examples/", "schemas/"];

/// A crate that can be published.
struct Package {
    name: String,
    version: String,
}

/// Packs each crate as for the registry, and checks all that can be built from what was packed.
/// Nothing is uploaded.
pub(crate) fn run(sh: &Shell) -> anyhow::Result<()> {
    let packages = published(sh)?;
    let mut wrong = Vec::new();
    for Package { name, .. } in &packages {
        let listed = cmd!(sh, "cargo package --list --allow-dirty -p {name}")
            .quiet()
            .read()?;
        wrong.extend(check(name, &listed));
    }
    ensure!(wrong.is_empty(), "publish:\n  {}", wrong.join("\n  "));
    let only = packages.iter().flat_map(|package| ["-p", &package.name]);
    cmd!(sh, "cargo package --no-verify --locked --allow-dirty")
        .args(["--target-dir", PACKED])
        .args(only)
        .run()?;
    build(sh, &packages)?;
    println!("publish: {} crates can be published", packages.len());
    Ok(())
}

/// The crates that are not kept from being published.
fn published(sh: &Shell) -> anyhow::Result<Vec<Package>> {
    let json = cmd!(sh, "cargo metadata --format-version 1 --locked --no-deps")
        .quiet()
        .read()?;
    let metadata: Value = serde_json::from_str(&json)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists packages")?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("it is a text");
    packages
        .iter()
        .filter(|package| package["publish"].is_null())
        .map(|package| {
            Ok(Package {
                name: text(&package["name"])?,
                version: text(&package["version"])?,
            })
        })
        .collect()
}

/// Checks what was packed, with tests and examples, in a workspace that knows nothing else of ours.
///
/// Cargo's own verification builds every dependency anew for each package, which takes minutes. In
/// this one they are those of the tree, and only our own files are looked at.
fn build(sh: &Shell, packages: &[Package]) -> anyhow::Result<()> {
    let tree = sh.current_dir();
    let apart = tree.join(PACKED).join("apart");
    sh.remove_path(&apart)?;
    sh.create_dir(&apart)?;
    for Package { name, version } in packages {
        let packed = tree.join(format!("{PACKED}/package/{name}-{version}.crate"));
        // With the times of now: what is packed has one time for ever, and cargo would take what it
        // has built of an older package for this one's.
        cmd!(sh, "tar -xzmf {packed} -C {apart}").quiet().run()?;
    }
    sh.write_file(apart.join("Cargo.toml"), workspace(packages))?;
    sh.copy_file(tree.join("Cargo.lock"), apart.join("Cargo.lock"))?;
    let _apart = sh.push_dir(&apart);
    let target = tree.join("target");
    cmd!(sh, "cargo check --offline --workspace --all-targets")
        .args(["--all-features", "--target-dir"])
        .arg(target)
        .run()?;
    Ok(())
}

/// A manifest of a workspace with these packages, in which each finds the others.
fn workspace(packages: &[Package]) -> String {
    let mut members = String::new();
    let mut patches = String::new();
    for Package { name, version } in packages {
        members.push_str(&format!("    \"{name}-{version}\",\n"));
        patches.push_str(&format!("{name} = {{ path = \"{name}-{version}\" }}\n"));
    }
    // The profile is the tree's, or nothing of what was built there could be used.
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\n{members}]\n\n\
         [patch.crates-io]\n{patches}\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n"
    )
}

/// What is wrong with the files of a package, a line each.
fn check(package: &str, listed: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in CARRIED {
        if !listed.lines().any(|line| line == file) {
            wrong.push(format!("{package}: {file} is not in the package"));
        }
    }
    for file in listed.lines().filter(|file| file.contains('/')) {
        if !FOLDERS.iter().any(|folder| file.starts_with(folder)) {
            wrong.push(format!("{package}: {file} does not belong in the package"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_package_has_its_licence_and_its_readme() {
        let listed = "Cargo.toml\nLICENSE\nREADME.md\nsrc/lib.rs\nexamples/a.rs";
        assert!(check("a", listed).is_empty());
        let wrong = check("a", "Cargo.toml\nREADME.md\nsrc/LICENSE");
        assert_eq!(wrong, ["a: LICENSE is not in the package"]);
    }

    #[test]
    fn tests_and_benches_stay_out_of_a_package() {
        let listed = "Cargo.toml\nLICENSE\nREADME.md\nsrc/lib.rs\nbenches/round.rs";
        let wrong = check("a", listed);
        assert_eq!(
            wrong,
            ["a: benches/round.rs does not belong in the package"]
        );
    }
}
