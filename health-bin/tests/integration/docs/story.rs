//! A page, from its first step to its last.

use super::commands::Manner;
use super::commands::manner;
use super::page::What;
use super::page::lasting;
use super::page::steps;
use super::world::World;
use crate::support::eventually;
use crate::support::secs;

/// What goes on while the page is read.
struct Running {
    command: String,
    process: i32,
    log: String,
}

/// What a shell says of whom `kill -KILL` ended.
const KILLED: i32 = 128 + 9;

/// What each command that lasts shows goes to a file of this name and its place.
const LOG: &str = "log-";

/// What is known before the first step of a page.
pub(super) struct Story {
    pub(super) page: &'static str,
    /// What is said to run already.
    pub(super) running: &'static [&'static str],
    /// Which of its commands are typed.
    pub(super) typed: fn(&str) -> bool,
}

/// Does what a page says, in its order: each command succeeds, and shows what the page shows.
pub(super) async fn tell(story: &Story, world: &World) {
    let Story { page, typed, .. } = story;
    let mut running: Vec<Running> = Vec::new();
    for command in story.running {
        running.push(begin(command, world, world.here(command)).await);
    }
    let mut count = 0;
    for step in steps(page) {
        let at = &step.at;
        match step.what {
            What::File { name, text } => world.shell.write(&name, &world.here(&text)),
            What::Shown { command, .. } | What::Command(command) if !typed(&command) => {}
            What::Shown { command, output } => {
                count += 1;
                shows(at, world, &command, &output).await;
            }
            What::Command(command) => {
                count += 1;
                let here = world.here(&command);
                match manner(&command) {
                    Manner::Elsewhere(_) => {}
                    Manner::Once => succeeds(at, world, &here).await,
                    Manner::Asking => {
                        // What it asks for may be on its way.
                        asks(at, world, &here, |code, _| code == 0).await;
                    }
                    Manner::Lasting => {
                        let same = running.iter().position(|it| it.command == here);
                        if let Some(same) = same {
                            end(world, running.remove(same)).await;
                        }
                        running.push(begin(at, world, here).await);
                    }
                }
            }
        }
    }
    assert!(count > 0, "{page} has no command");
    for one in running.into_iter().rev() {
        end(world, one).await;
    }
}

async fn succeeds(at: &str, world: &World, command: &str) {
    let done = world.shell.run(command).await;
    assert_eq!(done.code, 0, "{at}: {command}\n{}", done.shown);
}

async fn shows(at: &str, world: &World, command: &str, output: &str) {
    let here = world.here(command);
    let expected = lasting(output);
    let place = world.place();
    let same = |_, shown: &str| lasting(&place.there(shown)) == expected;
    asks(&format!("{at}: shows\n{output}"), world, &here, same).await;
}

/// Types a command until what it does is as it should be.
async fn asks(at: &str, world: &World, command: &str, is_so: impl Fn(i32, &str) -> bool) {
    let began = std::time::Instant::now();
    loop {
        let done = world.shell.run(command).await;
        if is_so(done.code, &done.shown) {
            return;
        }
        let late = began.elapsed() > secs(30);
        assert!(
            !late,
            "{at}: {command}\nexits {}:\n{}\n{}",
            done.code,
            done.shown,
            world.shell.texts(LOG)
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn begin(at: &str, world: &World, command: String) -> Running {
    let log = format!("{LOG}{}", at.replace(['/', ':', ' '], "-"));
    let process = world.shell.start(&command, &log).await;
    // What it shows goes there, unless the page has it go elsewhere.
    if command.contains("2>") {
        return Running {
            command,
            process,
            log,
        };
    }
    let path = world.shell.path(&log);
    let what = format!("{at}: {command} shows something");
    eventually(&what, secs(20), || async {
        std::fs::metadata(&path).ok().filter(|file| file.len() > 0)
    })
    .await;
    Running {
        command,
        process,
        log,
    }
}

/// Ends what a person would end with Ctrl-C, unless the page has ended it; the program takes that
/// for a wish.
async fn end(world: &World, one: Running) {
    let killed = world
        .shell
        .run(&format!("kill -TERM {}", one.process))
        .await;
    let code = world.shell.wait_for(one.process).await;
    let shown = std::fs::read_to_string(world.shell.path(&one.log)).unwrap_or_default();
    let command = &one.command;
    let is_ours = command.contains("syncer-health run") || command.contains("syncer-health hub");
    let killed_by_the_page = killed.code != 0 && code == KILLED;
    let ended_well = if is_ours { code == 0 } else { killed.code == 0 };
    assert!(
        ended_well || killed_by_the_page,
        "{command}: {code}\n{shown}"
    );
    assert!(!shown.contains("panicked"), "{command}:\n{shown}");
}
