//! The cache against entries that are damaged or not its own, many that ask at once, and compilers
//! that fail. The compiler is a script: what it writes is never run.
//!
//! Tier: quick

use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;
use wamr_cache::{Cache, Compiler, Digest, Failure, Found, Urgency};

struct Fixture {
    directory: TempDir,
    cache: Cache,
}

/// Writes what it reads, and a line for each run.
const COPIES: &str = "cat <&$1 >&$2; echo run >>\"$0.runs\"";

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("compiled"));
        Self { directory, cache }
    }

    fn compiler(&self, script: &str) -> Compiler {
        let path = self.directory.path().join("compiler");
        // By a process of its own: a descriptor open for writing here could leak into another
        // test's child, and the exec fail with ETXTBSY.
        let text = format!("#!/bin/bash\n{script}\n");
        let mut command = Command::new("sh");
        command.args(["-c", "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"", "sh", &text]);
        assert!(command.arg(&path).status().unwrap().success());
        Compiler(path)
    }

    fn runs(&self) -> usize {
        let text = fs::read_to_string(self.directory.path().join("compiler.runs"));
        text.unwrap_or_default().lines().count()
    }

    fn module(&self, content: &str) -> (File, Digest) {
        let mut file = tempfile::tempfile_in(self.directory.path()).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let digest = Digest::of(&file).unwrap();
        (file, digest)
    }

    fn fill(&self, content: &str, script: &str) -> Result<Found, Failure> {
        let (module, digest) = self.module(content);
        let compiler = self.compiler(script);
        self.cache.fill(module, &digest, &compiler, Urgency::Waiting(Duration::from_mins(1)))
    }

    /// The artifact of a module that was compiled.
    fn filled(&self, content: &str) -> (Digest, PathBuf) {
        match self.fill(content, COPIES).unwrap() {
            Found::Compiled(path, record) => {
                assert_eq!(record.artifact_bytes, content.len() as u64);
                (self.module(content).1, path)
            }
            other => panic!("{other:?}"),
        }
    }

    fn is_compiled(&self, digest: &Digest) -> bool {
        matches!(self.cache.look_up(digest).unwrap(), Found::Compiled(..))
    }
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[test]
fn a_module_is_compiled_once() {
    let fixture = Fixture::new();
    let (_, digest) = fixture.module("a");
    assert!(matches!(fixture.cache.look_up(&digest).unwrap(), Found::Missing));
    let (digest, path) = fixture.filled("a");
    assert_eq!(fs::read(&path).unwrap(), b"a");
    fixture.filled("a");
    assert!(fixture.is_compiled(&digest));
    assert_eq!(fixture.runs(), 1);
    let top = fs::metadata(fixture.cache.top()).unwrap();
    assert_eq!(top.permissions().mode() & 0o777, 0o700);
}

#[test]
fn many_that_ask_at_once_compile_once() {
    let fixture = Fixture::new();
    let compiler = fixture.compiler(&format!("sleep 0.2; {COPIES}"));
    let urgencies = [Urgency::Waiting(Duration::from_mins(1)), Urgency::Background];
    std::thread::scope(|scope| {
        for number in 0..20 {
            let (fixture, compiler) = (&fixture, &compiler);
            scope.spawn(move || {
                let (module, digest) = fixture.module("a");
                let urgency = urgencies[number % 2];
                let found = fixture.cache.fill(module, &digest, compiler, urgency).unwrap();
                // Who does not wait may come while another compiles.
                let early = matches!(found, Found::Missing) && urgency == Urgency::Background;
                assert!(early || matches!(found, Found::Compiled(..)), "{urgency:?}: {found:?}");
            });
        }
    });
    assert_eq!(fixture.runs(), 1);
}

/// Each is tried on an entry whose digest was compared before.
#[test]
fn what_is_not_as_it_was_written_is_removed() {
    type Damage = fn(&Path);
    let table: [(&str, Damage); 9] = [
        ("cut", |path| File::options().write(true).open(path).unwrap().set_len(2).unwrap()),
        ("emptied", |path| File::create(path).map(drop).unwrap()),
        ("a bit", |path| fs::write(path, "bontent").unwrap()),
        ("longer", |path| fs::write(path, "contents").unwrap()),
        ("another file", |path| {
            fs::write(with(path, ".x"), "CONTENT").unwrap();
            fs::rename(with(path, ".x"), path).unwrap();
        }),
        ("a link", |path| {
            fs::rename(path, with(path, ".x")).unwrap();
            symlink(with(path, ".x"), path).unwrap();
        }),
        ("for others to write", |path| {
            fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        }),
        ("gone", |path| fs::remove_file(path).unwrap()),
        ("a record of something else", |path| {
            let record = with(path, ".json");
            let text = fs::read_to_string(&record).unwrap().replace("\":\"", "\":\"0");
            fs::write(record, text).unwrap();
        }),
    ];
    for (case, damage) in table {
        let fixture = Fixture::new();
        let (digest, path) = fixture.filled("content");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(fixture.is_compiled(&digest), "{case}");
        damage(&path);
        assert!(!fixture.is_compiled(&digest), "{case}");
        assert!(!path.exists() && !with(&path, ".json").exists(), "{case}");
        fixture.filled("content");
        assert_eq!(fs::read(&path).unwrap(), b"content", "{case}");
    }
}

#[test]
fn a_record_that_is_none_is_no_entry() {
    for text in ["", "{}", "[1]", "{\"artifact_sha256\": 1}"] {
        let fixture = Fixture::new();
        let (digest, path) = fixture.filled("content");
        fs::write(with(&path, ".json"), text).unwrap();
        assert!(!fixture.is_compiled(&digest), "{text}");
    }
}

#[test]
fn a_directory_of_others_is_not_used() {
    let fixture = Fixture::new();
    let (digest, path) = fixture.filled("content");
    for directory in [fixture.cache.top(), path.parent().unwrap()] {
        fs::set_permissions(directory, Permissions::from_mode(0o770)).unwrap();
        let error = fixture.cache.look_up(&digest).unwrap_err().to_string();
        assert!(error.contains("nobody else may write"), "{error}");
        fs::set_permissions(directory, Permissions::from_mode(0o700)).unwrap();
    }
    assert!(fixture.is_compiled(&digest));
}

#[test]
fn what_cannot_be_compiled_is_remembered() {
    let fixture = Fixture::new();
    for _ in 0..2 {
        let script = "echo run >>\"$0.runs\"; printf 'no\\tgood\\n' >&2; exit 3";
        match fixture.fill("a", script).unwrap() {
            Found::Refused(reason) => assert_eq!(reason, "no good"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fixture.runs(), 1);
}

/// The container's process, which reads the module at the same time, has the same one.
#[test]
fn the_cursor_of_a_module_stays_where_it_is() {
    let fixture = Fixture::new();
    let (mut module, digest) = fixture.module("content");
    module.seek(SeekFrom::Start(3)).unwrap();
    let (same, compiler) = (module.try_clone().unwrap(), fixture.compiler(COPIES));
    let found = fixture.cache.fill(same, &digest, &compiler, Urgency::Background).unwrap();
    assert!(matches!(found, Found::Compiled(..)), "{found:?}");
    assert_eq!(module.stream_position().unwrap(), 3);
}

/// Else one container could have another run what it likes.
#[test]
fn a_module_that_was_changed_after_it_was_hashed_is_not_compiled() {
    let fixture = Fixture::new();
    let (mut module, digest) = fixture.module("a");
    module.write_all(b"more").unwrap();
    let compiler = fixture.compiler(COPIES);
    let filled = fixture.cache.fill(module, &digest, &compiler, Urgency::Background);
    let Err(Failure::Os { source, .. }) = filled else { panic!("{filled:?}") };
    assert!(source.to_string().contains("changed"), "{source}");
    assert_eq!(fixture.runs(), 0);
}

#[test]
fn a_compiler_that_fails_leaves_nothing() {
    for (script, want) in [
        ("echo 'no memory' >&2; exit 4", "exit status: 4: no memory"),
        ("kill -KILL $$", "signal: 9"),
        ("exec sleep 60", "longer than a container may wait"),
    ] {
        let fixture = Fixture::new();
        let (module, digest) = fixture.module("a");
        let compiler = fixture.compiler(script);
        let patience = Duration::from_millis(if script.contains("sleep") { 50 } else { 60_000 });
        let filled = fixture.cache.fill(module, &digest, &compiler, Urgency::Waiting(patience));
        let error = filled.unwrap_err().to_string();
        assert!(error.contains(want), "{script}: {error}");
        assert!(matches!(fixture.cache.look_up(&digest).unwrap(), Found::Missing), "{script}");
        // The next one succeeds.
        fixture.filled("a");
    }
    let fixture = Fixture::new();
    let (module, digest) = fixture.module("a");
    let nowhere = Compiler("/nowhere/wamr-compile".into());
    let filled = fixture.cache.fill(module, &digest, &nowhere, Urgency::Background);
    assert!(filled.unwrap_err().to_string().contains("start /nowhere/wamr-compile"));
}

/// Whatever of it comes at once: a node that begins with many modules has one compiler at work.
#[test]
fn in_the_background_one_module_is_compiled_at_a_time() {
    let fixture = Fixture::new();
    let alone = "mkdir \"$0.busy\" || exit 4; sleep 0.1; rmdir \"$0.busy\"; cat <&$1 >&$2";
    let compiler = fixture.compiler(alone);
    std::thread::scope(|scope| {
        for content in ["a", "b", "c", "d"] {
            let (fixture, compiler) = (&fixture, &compiler);
            scope.spawn(move || {
                let (module, digest) = fixture.module(content);
                let found = fixture.cache.fill(module, &digest, compiler, Urgency::Background);
                assert!(matches!(found, Ok(Found::Compiled(..))), "{found:?}");
            });
        }
    });
}

/// It may be a container's, whose file system has to go when the container does.
#[test]
fn who_waits_for_a_turn_does_not_hold_the_module_open() {
    let fixture = Fixture::new();
    let (_, path) = fixture.filled("first");
    let turn = File::create(path.with_file_name("background.lock")).unwrap();
    let turn = Flock::lock(turn, FlockArg::LockExclusive).unwrap();
    let name = fixture.directory.path().join("module");
    fs::write(&name, "a").unwrap();
    let (module, compiler) = (File::open(&name).unwrap(), fixture.compiler(COPIES));
    let digest = Digest::of(&module).unwrap();
    let is_open = || {
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        open.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to == name))
    };
    assert!(is_open());
    std::thread::scope(|scope| {
        let cache = &fixture.cache;
        let filled = scope.spawn(|| cache.fill(module, &digest, &compiler, Urgency::Background));
        for _ in (0..1000).take_while(|_| is_open()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!is_open(), "it is held");
        assert!(!fixture.is_compiled(&digest) && cache.is_being_filled(&digest));
        drop(turn);
        assert!(matches!(filled.join().unwrap(), Ok(Found::Compiled(..))));
    });
}

#[test]
fn a_failure_is_remembered_for_an_hour_or_until_it_succeeds() {
    let fixture = Fixture::new();
    let (_, digest) = fixture.module("a");
    assert_eq!(fixture.cache.failed_lately(&digest), None);
    fixture.fill("a", "kill -KILL $$").unwrap_err();
    let reason = fixture.cache.failed_lately(&digest).unwrap();
    assert!(reason.contains("signal: 9") && reason.contains("more memory"), "{reason}");
    let (_, other) = fixture.filled("b");
    let note = other.with_file_name(format!("{digest}.failed"));
    let note = File::options().write(true).open(note).unwrap();
    note.set_modified(SystemTime::now() - Duration::from_mins(61)).unwrap();
    assert_eq!(fixture.cache.failed_lately(&digest), None);
    note.set_modified(SystemTime::now()).unwrap();
    assert!(fixture.cache.failed_lately(&digest).is_some());
    fixture.filled("a");
    assert_eq!(fixture.cache.failed_lately(&digest), None);
}

#[test]
fn the_least_recently_used_go_first() {
    let fixture = Fixture::new();
    let entries: Vec<_> = ["aaaa", "bbbb", "cccc"].map(|it| fixture.filled(it)).into();
    let used = |index: usize, hours: u64| {
        let record = File::options().write(true).open(with(&entries[index].1, ".json")).unwrap();
        record.set_modified(SystemTime::now() - Duration::from_hours(hours)).unwrap();
    };
    used(0, 6);
    used(1, 9);
    used(2, 3);
    assert!(fixture.is_compiled(&entries[1].0), "a use counts");
    let other = fixture.cache.top().join("x86-64-v2-ffff");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("x.json"), "{}").unwrap();
    let pruned = fixture.cache.prune(8).unwrap();
    assert_eq!((pruned.entries, pruned.bytes), (2, 6), "one of another version, one too many");
    assert!(!other.exists());
    let left: Vec<_> = entries.iter().map(|(digest, _)| fixture.is_compiled(digest)).collect();
    assert_eq!(left, [false, true, true]);
    assert_eq!(fixture.cache.list().unwrap().len(), 2);
}

#[test]
fn verify_compares_everything_again() {
    let fixture = Fixture::new();
    let (sound, _) = fixture.filled("sound");
    let (damaged, path) = fixture.filled("damaged");
    // Behind the kernel's back, as a disk would do it: the note is made to fit.
    let note = fs::read_to_string(with(&path, ".checked")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "DAMAGED").unwrap();
    assert!(!note.is_empty());
    assert_eq!(fixture.cache.verify().unwrap(), std::slice::from_ref(&damaged));
    assert!(fixture.is_compiled(&sound) && !fixture.is_compiled(&damaged));
}
