//! Where the memory of running Wasm containers is: starts some, waits until all are idle, and
//! prints an account of each as CSV. docs/memory.md explains the rows.
//!
//! `memory-account RUNTIME MODULE COUNT`, as root; MODULE is a Wasm file or a C source. All sizes
//! are in kB, which are KiB as in /proc.
//!
//! `memory-account engines RUNTIME MADE COUNT` prints what real programs hold by engine: MADE is
//! what `wamr-bench compute-build` has made.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The module in every container.
const GUEST: &str = "/guest.wasm";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One line of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    part: &'static str,
    private_kb: u64,
    pss_kb: u64,
    rss_kb: u64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = match words.as_slice() {
        ["engines", runtime, made, count] => engines(runtime, Path::new(made), count.parse()?)?,
        [runtime, module, count] => idle(runtime, Path::new(module), count.parse()?)?,
        _ => return Err("usage: memory-account [engines] RUNTIME MODULE|MADE COUNT".into()),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The account of one module's containers.
fn idle(runtime: &str, module: &Path, count: u32) -> Result<String> {
    let mut text = "container,part,private_kb,pss_kb,rss_kb\n".to_owned();
    let guest = Guest { runtime: Path::new(runtime), module, arguments: &[], engine: ENGINES[0] };
    for (number, rows) in guest.accounts(count)?.into_iter().enumerate() {
        for Row { part, private_kb, pss_kb, rss_kb } in rows {
            writeln!(text, "{number},{part},{private_kb},{pss_kb},{rss_kb}")?;
        }
    }
    Ok(text)
}

const ENGINES: [&str; 2] = ["interpreted", "compiled"];

/// Programs that do nothing, by their folder in MADE, and what they are told; the microservice is
/// compiled here.
const PROGRAMS: [(&str, &[&str]); 4] = [
    ("microservice", &[]),
    ("quickjs", &["--std", "-e", "os.sleep(100000000)"]),
    ("go", &["stay", "0"]),
    ("cpython", &["-c", "import time; time.sleep(100000)"]),
];

/// What each program's processes hold with each engine.
fn engines(runtime: &str, made: &Path, count: u32) -> Result<String> {
    let mut text = "program,engine,container,private_kb,pss_kb,rss_kb\n".to_owned();
    for (program, arguments) in PROGRAMS {
        for engine in ENGINES {
            let module = match program {
                "microservice" => PathBuf::from("vm-images/workloads/microservice.c"),
                other => made.join(other).join("wasm/program.wasm"),
            };
            let guest = Guest { runtime: Path::new(runtime), module: &module, arguments, engine };
            for (number, rows) in guest.accounts(count)?.iter().enumerate() {
                let whole = rows.iter().find(|row| row.part == WHOLE);
                let Row { private_kb, pss_kb, rss_kb, .. } = whole.ok_or("there is no sum")?;
                writeln!(text, "{program},{engine},{number},{private_kb},{pss_kb},{rss_kb}")?;
            }
        }
    }
    Ok(text)
}

/// What containers run.
struct Guest<'a> {
    runtime: &'a Path,
    module: &'a Path,
    arguments: &'a [&'a str],
    engine: &'a str,
}

impl Guest<'_> {
    /// The accounts of so many containers that run at once.
    fn accounts(&self, count: u32) -> Result<Vec<Vec<Row>>> {
        let directory = tempfile::tempdir()?;
        let root = directory.path().join("rootfs");
        fs::create_dir(&root)?;
        provide(self.module, &root.join("guest.wasm"))?;
        let mut containers = Vec::new();
        for number in 0..count {
            containers.push(Container::start(self, directory.path(), number)?);
        }
        // Only when all run is what they share shared by all.
        for one in &containers {
            one.wait_until_blocked()?;
        }
        containers.iter().map(Container::account).collect()
    }
}

/// The row with the sum of a process.
const WHOLE: &str = "process in all";

/// Copies the module, or compiles it as the workloads are.
fn provide(module: &Path, to: &Path) -> Result<()> {
    if module.extension().is_none_or(|extension| extension != "c") {
        fs::copy(module, to)?;
        return Ok(());
    }
    let flags = ["--target=wasm32-wasi", "-mcpu=mvp", "-Os", "-s", "-o"];
    let status = Command::new("clang").args(flags).args([to, module]).status()?;
    if status.success() { Ok(()) } else { Err(format!("clang: {status}").into()) }
}

/// A running container, deleted when it is dropped.
struct Container {
    runtime: PathBuf,
    state: PathBuf,
    id: String,
    pid: u32,
}

impl Container {
    fn start(guest: &Guest, directory: &Path, number: u32) -> Result<Self> {
        let id = format!("memory-account-{}-{number}", std::process::id());
        let bundle = directory.join(&id);
        fs::create_dir(&bundle)?;
        fs::write(bundle.join("config.json"), config(&id, guest))?;
        let pid_file = bundle.join("pid");
        let state = directory.join("state");
        let runtime = guest.runtime.to_owned();
        let mut container = Self { runtime, state, id, pid: 0 };
        let pid_flag = ["--pid-file".as_ref(), pid_file.as_os_str()];
        let bundle_flag = ["--bundle".as_ref(), bundle.as_os_str()];
        let mut create = container.verb("create");
        create.args(bundle_flag).args(pid_flag).arg(&container.id);
        succeed(create.stdin(Stdio::null()).stdout(Stdio::null()))?;
        container.pid = fs::read_to_string(&pid_file)?.trim().parse()?;
        succeed(container.verb("start").arg(&container.id))?;
        Ok(container)
    }

    fn verb(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.runtime);
        command.arg("--root").arg(&self.state).arg(verb);
        command
    }

    /// The guest waits in a call of its own: it is the runner already, and sleeps, whenever it is
    /// looked at for a while. A large guest reads files at its beginning.
    fn wait_until_blocked(&self) -> Result<()> {
        let begin = Instant::now();
        let mut asleep = 0;
        loop {
            let stat = self.read("stat")?;
            let (name, rest) = stat.rsplit_once(')').unwrap_or_default();
            let sleeps = name.ends_with("(guest.wasm") && rest.starts_with(" S");
            asleep = if sleeps { asleep + 1 } else { 0 };
            if asleep == 50 {
                return Ok(());
            }
            if begin.elapsed() > Duration::from_mins(5) {
                return Err(format!("{} does not come to rest: {stat}", self.id).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        fs::read_to_string(&path).map_err(|error| format!("{path}: {error}").into())
    }

    fn account(&self) -> Result<Vec<Row>> {
        let mut rows = by_mapping(&self.read("smaps")?);
        let total = |field: fn(&Row) -> u64| rows.iter().map(field).sum();
        let process = Row {
            part: WHOLE,
            private_kb: total(|row| row.private_kb),
            pss_kb: total(|row| row.pss_kb),
            rss_kb: total(|row| row.rss_kb),
        };
        rows.push(process);
        let of_kernel = |part, kb| Row { part, private_kb: kb, pss_kb: kb, rss_kb: kb };
        let tables_kb = field(&self.read("status")?, "VmPTE:").unwrap_or(0);
        rows.push(of_kernel("page tables", tables_kb));
        if let Some(kb) = self.kernel_kb() {
            rows.push(of_kernel("kernel memory of the cgroup", kb));
        }
        Ok(rows)
    }

    /// What the kernel holds for the container's cgroup, page tables and stacks among it.
    fn kernel_kb(&self) -> Option<u64> {
        let v1 = format!("/sys/fs/cgroup/memory/{}/memory.kmem.usage_in_bytes", self.id);
        let v2 = format!("/sys/fs/cgroup/{}/memory.stat", self.id);
        let bytes = match fs::read_to_string(v1) {
            Ok(text) => text.trim().parse::<u64>().ok()?,
            Err(_) => field(&fs::read_to_string(v2).ok()?, "kernel ")?,
        };
        Some(bytes / 1024)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) = succeed(self.verb("delete").arg("--force").arg(&self.id)) {
            eprintln!("memory-account: {error}");
        }
    }
}

/// Waits only for the program itself: a container keeps its standard streams open.
fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// The first number behind `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn config(id: &str, guest: &Guest) -> String {
    let words = [&[GUEST], guest.arguments].concat();
    let engine = guest.engine;
    format!(
        r#"{{"ociVersion": "1.2.0", "root": {{"path": "../rootfs", "readonly": true}},
        "process": {{"user": {{"uid": 0, "gid": 0}}, "args": {words:?}, "cwd": "/",
            "env": ["PATH=/usr/bin:/bin", "HOSTNAME={id}"], "noNewPrivileges": true}},
        "annotations": {{"org.wamr-crun.wasm.engine": {engine:?}}},
        "mounts": [
            {{"destination": "/proc", "type": "proc", "source": "proc"}},
            {{"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "mode=755", "size=65536k"]}}],
        "linux": {{"cgroupsPath": "/{id}", "namespaces": [{{"type": "pid"}}, {{"type": "ipc"}},
            {{"type": "uts"}}, {{"type": "mount"}}, {{"type": "network"}}]}}}}"#
    )
}

/// Sums up the text of smaps by what a mapping is for.
fn by_mapping(smaps: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let (mut previous, mut code_seen) = ("", false);
    let mut part = "other";
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first().is_some_and(|word| !word.ends_with(':')) {
            let name = words.get(5).copied().unwrap_or_default();
            part = part_of(words[1], name, code_seen, previous);
            code_seen |= part == "runner code";
            previous = part;
            continue;
        }
        let kb = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let known = rows.iter().position(|row| row.part == part);
        let index = known.unwrap_or_else(|| {
            rows.push(Row { part, private_kb: 0, pss_kb: 0, rss_kb: 0 });
            rows.len() - 1
        });
        let row = &mut rows[index];
        match words.first().copied().unwrap_or_default() {
            "Private_Clean:" | "Private_Dirty:" => row.private_kb += kb,
            "Pss:" => row.pss_kb += kb,
            "Rss:" => row.rss_kb += kb,
            _ => {}
        }
    }
    rows.retain(|row| row.rss_kb > 0);
    rows
}

/// What a mapping is for. The runner's file is mapped as constants, code, relocated constants and
/// data, in this order; its zeroed data follows without a name.
fn part_of(rights: &str, name: &str, code_seen: bool, previous: &str) -> &'static str {
    let runner = !name.is_empty() && !name.starts_with('[') && name != GUEST;
    match (rights, name) {
        (_, "[heap]") => "heap",
        (_, "[stack]") => "stack",
        (_, name) if name.starts_with('[') => "kernel's pages",
        (_, GUEST) => "module",
        ("r-xp", _) if runner => "runner code",
        ("r--p", _) if runner && !code_seen => "runner constants",
        ("r--p", _) if runner => "runner relocated constants",
        _ if runner => "runner data",
        _ if previous == "runner data" => "runner zeroed data",
        _ => "guest memory",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaps_are_summed_by_what_they_are_for() {
        let mapping = |head: &str, rss: u64, clean: u64, dirty: u64| {
            let own = format!("Private_Clean: {clean} kB\nPrivate_Dirty: {dirty} kB\n");
            format!("{head}\nRss: {rss} kB\nPss: {dirty} kB\n{own}")
        };
        let text = [
            mapping("5-6 rw-p 0 00:00 0 [heap]", 100, 0, 100),
            mapping("7-8 rw-p 0 00:00 0 ", 8, 0, 8),
            mapping("8-9 ---p 0 00:00 0 ", 0, 0, 0),
            mapping("9-a rw-p 0 00:01 5 /guest.wasm", 28, 4, 4),
            mapping("a-b r--p 0 00:01 6 /wamr-runner", 90, 0, 0),
            mapping("b-c r-xp 0 00:01 6 /wamr-runner", 700, 4, 0),
            mapping("c-d r--p 0 00:01 6 /wamr-runner", 24, 0, 24),
            mapping("d-e rw-p 0 00:01 6 /wamr-runner", 20, 0, 20),
            mapping("e-f rw-p 0 00:00 0 ", 12, 0, 12),
            mapping("f-g rw-p 0 00:00 0 [stack]", 12, 0, 12),
            mapping("g-h r-xp 0 00:00 0 [vdso]", 4, 0, 0),
        ];
        let rows = by_mapping(&text.concat());
        let got: Vec<_> = rows.iter().map(|row| (row.part, row.private_kb, row.rss_kb)).collect();
        let want = [
            ("heap", 100, 100),
            ("guest memory", 8, 8),
            ("module", 8, 28),
            ("runner constants", 0, 90),
            ("runner code", 4, 700),
            ("runner relocated constants", 24, 24),
            ("runner data", 20, 20),
            ("runner zeroed data", 12, 12),
            ("stack", 12, 12),
            ("kernel's pages", 0, 4),
        ];
        assert_eq!(got, want);
    }

    /// Rows `| program | private | private | PSS |` of the document against the file's medians.
    #[test]
    fn the_document_says_what_the_file_of_engines_says() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |path: &str| fs::read_to_string(repository.join(path)).unwrap();
        let (data, document) = (read("data/memory/engines.csv"), read("docs/memory.md"));
        let median = |program: &str, engine: &str, column: usize| {
            let lines = data.lines().map(|line| line.split(',').collect::<Vec<_>>());
            let of = lines.filter(|words| words[..2] == [program, engine]);
            let mut values: Vec<u64> = of.map(|words| words[column].parse().unwrap()).collect();
            values.sort_unstable();
            values[(values.len() - 1) / 2].to_string()
        };
        for (program, _) in PROGRAMS {
            let [interpreted, compiled] = ENGINES.map(|engine| median(program, engine, 3));
            let pss = median(program, "compiled", 4);
            let row = format!("| {program} | {interpreted} | {compiled} | {pss} |");
            assert!(document.contains(&row), "docs/memory.md should have: {row}");
        }
    }

    /// Rows `| part | private | PSS | … |` of the document against medians of the committed file.
    #[test]
    fn the_document_says_what_the_file_says() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |path: &str| fs::read_to_string(repository.join(path)).unwrap();
        let (data, document) = (read("data/memory/idle.csv"), read("docs/memory.md"));
        let median = |part: &str, column: usize| {
            let lines = data.lines().map(|line| line.split(',').collect::<Vec<_>>());
            let values = lines.filter(|words| words[1] == part).map(|words| words[column].parse());
            let mut values: Vec<u64> = values.map(std::result::Result::unwrap).collect();
            values.sort_unstable();
            values.get(values.len().saturating_sub(1) / 2).copied()
        };
        let mut compared = 0;
        for line in document.lines().filter_map(|line| line.strip_prefix("| ")) {
            let words: Vec<&str> = line.split(" | ").collect();
            let [part, private, pss, _] = words.as_slice() else { continue };
            let Ok(private) = private.parse() else { continue };
            // The table of engines has numbers alone.
            if words[3].trim_end_matches(" |").parse::<u64>().is_ok() {
                continue;
            }
            assert_eq!(median(part, 2), Some(private), "{part}: private");
            assert_eq!(median(part, 3), pss.parse().ok(), "{part}: PSS");
            compared += 1;
        }
        assert_eq!(compared, 12, "rows of the table");
    }
}
