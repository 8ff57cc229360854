//! One program after the other, while containers come and go: no call fails, no end and no event is
//! lost, and none comes twice. `WAMR_TEST_UPGRADES` says how many; `make stress` has 1,000.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use super::memory::{remove_groups, shipped};
use super::output::bundle;
use super::upgrade::{Events, another, upgraded};
use super::*;

/// Lives of containers at once.
const THREADS: usize = 3;

fn upgrades() -> usize {
    let named = std::env::var("WAMR_TEST_UPGRADES").ok();
    named.map_or(20, |text| text.parse().expect("WAMR_TEST_UPGRADES is a number"))
}

/// From `start` to `delete`, as containerd has it, with a further process.
fn live(containerd: &Containerd, id: &str, code: u32) {
    bundle(containerd, id, &format!("read line; exit {code}"), false);
    let mut client = Client::connect(&containerd.start(id));
    let stdin = containerd.dir.path().join(id).join("in");
    nix::unistd::mkfifo(&stdin, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let request = CreateTask { stdin: stdin.display().to_string(), ..create(containerd, id) };
    client.call::<Pid>("Create", &request).unwrap();
    let sent = client.send("Wait", &of(id));
    let mut own = Client::connect(&containerd.home().join("test/0/socket"));
    own.call::<Pid>("Start", &of(id)).unwrap();
    own.call::<State>("State", &of(id)).unwrap();
    own.call::<Pids>("Pids", &of(id)).unwrap();
    fs::OpenOptions::new().write(true).open(&stdin).unwrap().write_all(b"go\n").unwrap();
    let (stream, answer) = client.receive();
    let exited = Exited::decode(&*answer.payload).unwrap();
    assert_eq!((stream, exited.exit_status), (sent, code), "{id}");
    assert_eq!(client.call::<Deleted>("Delete", &of(id)).unwrap().exit_status, code);
    assert!(containerd.delete(id).status.success());
    fs::remove_dir_all(containerd.dir.path().join(id)).unwrap();
}

#[test]
fn nothing_is_lost() {
    if shipped().is_none() {
        return wamr_testing::lacking("WAMR_TEST_SHIM, with the shipped runtime beside it");
    }
    let Some(containerd) = Containerd::new("load") else { return };
    let events = Events::take(&containerd);
    fs::copy("/bin/busybox", containerd.dir.path().join("busybox")).expect("busybox-static");
    let programs = ["one", "two"].map(|name| another(&containerd, name));
    let socket = containerd.start("stays");
    let mut stays = Client::connect(&socket);
    let made: Pid = stays.call("Create", &create(&containerd, "stays")).unwrap();
    stays.call::<Pid>("Start", &of("stays")).unwrap();
    let waits = stays.send("Wait", &of("stays"));
    let (is_over, lives) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let load = |thread: usize| {
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                live(&containerd, &format!("t{thread}-{number}"), (number % 100) as u32);
                lives.fetch_add(1, Ordering::Relaxed);
            }
        };
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || load(thread))).collect();
        for number in 0..upgrades() {
            upgraded(&programs[number % 2], &socket, made.pid);
            // Not more often than containers come and go.
            let before = lives.load(Ordering::Relaxed);
            eventually("a container has lived", || {
                lives.load(Ordering::Relaxed) > before
                    || threads.iter().any(ScopedJoinHandle::is_finished)
            });
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let mut client = Client::connect(&socket);
    client.call::<()>("Kill", &kill("stays", 9)).unwrap();
    let (stream, answer) = stays.receive();
    let exited = Exited::decode(&*answer.payload).unwrap();
    assert_eq!((stream, exited.exit_status), (waits, KILLED), "asked before all of them");
    client.call::<Deleted>("Delete", &of("stays")).unwrap();
    eventually("the last event has come", || events.of("stays").len() == 4);
    for thread in 0..THREADS {
        for number in 0.. {
            let id = format!("t{thread}-{number}");
            let told = events.of(&id);
            if told.is_empty() {
                break;
            }
            let exit = format!("exit {id} {}", number % 100);
            assert_eq!(told, ["create", "start", &exit, "delete"], "{id}");
        }
    }
    println!("{} upgrades, {} containers", upgrades(), lives.into_inner());
    remove_groups();
}
