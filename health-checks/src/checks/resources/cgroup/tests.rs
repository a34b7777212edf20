use std::fs;

use tempfile::TempDir;

use super::*;

const V1: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:10 master:2 - cgroup cgroup rw,memory
";
const V2: &str = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

#[test]
fn version_2_gives_its_limits() {
    let tree = Tree::new("0::/app.slice/x.service\n", V2)
        .file("sys/fs/cgroup/app.slice/x.service/memory.max", "1048576\n")
        .file(
            "sys/fs/cgroup/app.slice/x.service/cpu.max",
            "150000 100000\n",
        );
    tree.check(Some(1_048_576.0), Some(1.5));
}

#[test]
fn version_1_gives_its_limits() {
    let tree = Tree::new("4:memory:/a\n2:cpu,cpuacct:/b\n1:name=systemd:/c\n", V1)
        .file("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576\n")
        .file("sys/fs/cgroup/cpu,cpuacct/b/cpu.cfs_quota_us", "25000\n")
        .file("sys/fs/cgroup/cpu,cpuacct/b/cpu.cfs_period_us", "50000\n");
    tree.check(Some(1_048_576.0), Some(0.5));
}

/// A controller is in one hierarchy only: where version 1 has it, version 2 says nothing of it.
#[test]
fn a_hybrid_is_asked_where_each_controller_is() {
    let unified = "40 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let tree = Tree::new("4:memory:/a\n0::/b\n", &format!("{V1}{unified}"))
        .file("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576\n")
        .file("sys/fs/cgroup/unified/b/memory.max", "4096\n")
        .file("sys/fs/cgroup/unified/b/cpu.max", "100000 100000\n");
    tree.check(Some(1_048_576.0), Some(1.0));

    // Containers of a hybrid host often do not see the unified hierarchy at all.
    let tree = Tree::new("4:memory:/a\n2:cpu:/a\n0::/b\n", V1)
        .file("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576\n")
        .file("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
    tree.check(Some(1_048_576.0), UNLIMITED);
}

#[test]
fn the_smallest_limit_up_to_the_root_counts() {
    for smallest in ["", "a/", "a/b/", "a/b/c/"] {
        let mut tree = Tree::new("0::/a/b/c\n", V2);
        for level in ["", "a/", "a/b/", "a/b/c/"] {
            let (memory, cpu) = if level == smallest {
                ("4096", "50000 100000")
            } else {
                ("8192", "max 100000")
            };
            tree = tree
                .file(&format!("sys/fs/cgroup/{level}memory.max"), memory)
                .file(&format!("sys/fs/cgroup/{level}cpu.max"), cpu);
        }
        tree.check(Some(4096.0), Some(0.5));
    }
}

#[test]
fn what_is_above_the_mount_is_none_of_the_hierarchy() {
    let tree = Tree::new("0::/a\n", V2)
        .folder("sys/fs/cgroup/a")
        .file("sys/fs/memory.max", "1\n")
        .file("memory.max", "1\n");
    tree.check(UNLIMITED, UNLIMITED);
}

/// Docker without a namespace for cgroups: the path is the host's, the mount begins at it.
#[test]
fn a_mount_of_a_part_of_the_hierarchy_is_followed() {
    let mounts = "35 31 0:32 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let tree = Tree::new("0::/docker/x\n", mounts).file("sys/fs/cgroup/memory.max", "4096\n");
    tree.check(Some(4096.0), UNLIMITED);
    let tree = Tree::new("0::/docker/x/child\n", mounts)
        .file("sys/fs/cgroup/memory.max", "4096\n")
        .file("sys/fs/cgroup/child/memory.max", "max\n");
    tree.check(Some(4096.0), UNLIMITED);
}

#[test]
fn of_two_mounts_the_one_that_shows_more_is_asked() {
    let mounts = "\
35 31 0:32 /a/b /narrow rw - cgroup2 cgroup2 rw
36 31 0:32 / /wide rw - cgroup2 cgroup2 rw
";
    let tree = Tree::new("0::/a/b\n", mounts)
        .file("narrow/memory.max", "8192\n")
        .file("wide/a/memory.max", "4096\n")
        .file("wide/a/b/memory.max", "8192\n");
    tree.check(Some(4096.0), UNLIMITED);
}

/// A limit that is guessed from the levels that happen to be seen may be far too generous.
#[test]
fn a_cgroup_that_cannot_be_seen_has_no_known_limit() {
    for (cgroups, mounts) in [
        // Not mounted at all.
        ("0::/\n", ""),
        // Mounted elsewhere in the hierarchy.
        (
            "0::/a\n",
            "35 31 0:32 /b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        ),
        // Outside the namespace; the path must not lead out of the mount.
        ("0::/../outside\n", V2),
        // Not there.
        ("0::/gone\n", V2),
    ] {
        let tree = Tree::new(cgroups, mounts)
            .file("sys/fs/cgroup/memory.max", "4096\n")
            .file("sys/fs/outside/memory.max", "4096\n");
        tree.check(None, None);
    }
}

#[test]
fn a_kernel_or_a_process_without_cgroups_has_no_limit() {
    let nothing = Tree(tempfile::tempdir().unwrap());
    nothing.check(UNLIMITED, UNLIMITED);
    Tree::new("1:name=systemd:/\n", V1).check(UNLIMITED, UNLIMITED);
}

#[test]
fn one_level_that_cannot_be_read_leaves_the_smallest_unknown() {
    let tree = Tree::new("0::/a/b\n", V2)
        .file("sys/fs/cgroup/a/memory.max", "garbage\n")
        .file("sys/fs/cgroup/a/b/memory.max", "4096\n")
        .folder("sys/fs/cgroup/a/b/cpu.max");
    tree.check(None, None);
}

#[test]
fn each_file_is_read_by_its_own_rules() {
    for (text, limit) in [
        ("max\n", UNLIMITED),
        ("536870912\n", Some(536_870_912.0)),
        ("0\n", None),
        ("-1\n", None),
        ("", None),
    ] {
        assert_eq!(memory_v2(text), limit, "memory.max {text:?}");
    }
    for (text, limit) in [
        ("9223372036854771712\n", UNLIMITED),
        ("9223372036854710272\n", UNLIMITED),
        ("18446744073709551615\n", UNLIMITED),
        ("536870912\n", Some(536_870_912.0)),
        ("max\n", None),
    ] {
        assert_eq!(memory_v1(text), limit, "memory.limit_in_bytes {text:?}");
    }
    for (text, limit) in [
        ("max 100000\n", UNLIMITED),
        ("50000 100000\n", Some(0.5)),
        ("50000\n", None),
        ("50000 0\n", None),
        ("\n", None),
    ] {
        assert_eq!(cpu_v2(text), limit, "cpu.max {text:?}");
    }
    for (text, limit) in [("-1\n", UNLIMITED), ("2500\n", Some(2500.0)), ("x", None)] {
        assert_eq!(quota_v1(text), limit, "cpu.cfs_quota_us {text:?}");
    }
}

#[test]
fn paths_keep_their_colons_and_spaces() {
    let mounts = "31 23 0:28 / /my\\040groups rw - cgroup2 cgroup2 rw\n";
    let tree = Tree::new("0::/a:b c\n", mounts).file("my groups/a:b c/memory.max", "4096\n");
    tree.check(Some(4096.0), UNLIMITED);
    for (field, text) in [
        ("/a\\040b\\134c", "/a b\\c"),
        ("/a\\04", "/a\\04"),
        ("\\", "\\"),
        ("/\\äöü", "/\\äöü"),
        ("/\\777", "/\\777"),
    ] {
        assert_eq!(unescape(field), text);
    }
}

/// Found by fuzzing: below a top that is empty every path stays absolute, and led out of the mount.
#[test]
fn a_mount_that_shows_no_path_leads_nowhere() {
    let mount = "31 23 0:28  /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let nowhere = Path::new("/nonexistent");
    let membership = Membership {
        version: Version::V2,
        path: PathBuf::from("/"),
    };
    let levels = levels(nowhere, &membership, Controller::Memory, mount);
    assert_eq!(levels, None);
}

#[test]
fn lines_that_make_no_sense_are_passed_over() {
    let cgroups = "\n:\nmemory\n0:\n::::\n0::/a\n";
    let mounts = format!("\n - \n1 2 - cgroup2\n - cgroup2 x y\n{V2}");
    let tree = Tree::new(cgroups, &mounts).file("sys/fs/cgroup/a/memory.max", "4096\n");
    tree.check(Some(4096.0), UNLIMITED);
}

const UNLIMITED: Option<f64> = Some(f64::INFINITY);

/// A machine's files.
struct Tree(TempDir);

impl Tree {
    fn new(cgroups: &str, mounts: &str) -> Self {
        Self(tempfile::tempdir().unwrap())
            .file("proc/self/cgroup", cgroups)
            .file("proc/self/mountinfo", mounts)
    }

    fn folder(self, path: &str) -> Self {
        fs::create_dir_all(self.0.path().join(path)).unwrap();
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    #[track_caller]
    fn check(&self, memory_bytes: Option<f64>, cpu_cores: Option<f64>) {
        let expected = Limits {
            memory_bytes,
            cpu_cores,
        };
        assert_eq!(Limits::read(self.0.path()), expected);
    }
}
