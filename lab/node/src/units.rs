//! Daemons as units of systemd, for a node that is a whole machine. Pure.
//! Source: systemd.unit(5), systemd.service(5), systemd.exec(5).

use crate::daemon::Daemon;
use crate::layout::{LOG_DIR, PATH};

/// The unit that sets the network up and starts the daemons in their order.
pub const NODE_UNIT: &str = "wamr-node.service";
/// The unit that runs the lab's commands.
pub const AGENT_UNIT: &str = "wamr-agent.service";
/// What a started machine runs.
pub const ENABLED: [&str; 2] = [NODE_UNIT, AGENT_UNIT];

/// The unit's name of a daemon.
pub fn name(daemon: &str) -> String {
    format!("{daemon}.service")
}

/// The unit of a daemon. Nothing restarts it: a lab whose API server was restarted behind its back
/// would measure something else than it says.
pub fn daemon(daemon: &Daemon) -> String {
    let words: Vec<String> = daemon.argv.iter().map(|word| quoted(word)).collect();
    let mut lines = vec![
        "[Unit]".to_owned(),
        format!("Description={} of a wamr-lab node", daemon.name),
        String::new(),
        "[Service]".to_owned(),
        "Type=exec".to_owned(),
        format!("ExecStart={}", words.join(" ")),
    ];
    let fixed = [("PATH".to_owned(), PATH.to_owned()), ("HOME".to_owned(), "/root".to_owned())];
    for (key, value) in fixed.iter().map(|(key, value)| (key, value)).chain(&daemon.env) {
        // Only command lines have variables.
        let pair = quoted(&format!("{key}={value}")).replace("$$", "$");
        lines.push(format!("Environment={pair}"));
    }
    for stream in ["StandardOutput", "StandardError"] {
        lines.push(format!("{stream}=append:{LOG_DIR}/{}.log", daemon.name));
    }
    // Groups of containers and pods are made below or beside the unit's own.
    lines.extend(["Delegate=yes", "KillMode=process"].map(str::to_owned));
    let limits = ["LimitNOFILE=1048576", "LimitNPROC=infinity", "TasksMax=infinity", ""];
    lines.extend(limits.map(str::to_owned));
    lines.join("\n")
}

/// The unit that assembles the node, with `program` (wamr-lab).
pub fn node(program: &str) -> String {
    format!(
        "[Unit]\nDescription=Kubernetes node of wamr-lab\nAfter=basic.target dbus.socket\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nTimeoutStartSec=infinity\n\
         ExecStart={program} node assemble\n\
         Environment=PATH={PATH}\nEnvironment=HOME=/root\n\
         StandardOutput=append:{LOG_DIR}/assemble.log\n\
         StandardError=append:{LOG_DIR}/assemble.log\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

/// The unit of the agent. It comes early, so that a machine that hangs can be looked into.
pub fn agent(program: &str) -> String {
    format!(
        "[Unit]\nDescription=Runs commands of wamr-lab\n\n\
         [Service]\nType=exec\nExecStart={program} node agent\nRestart=always\n\
         Environment=PATH={PATH}\nEnvironment=HOME=/root\nKillMode=process\n\
         TasksMax=infinity\nLimitNOFILE=1048576\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

/// A word of a command line, with specifiers and variables turned off.
fn quoted(word: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '%' | '$' => quoted.extend([letter, letter]),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[test]
fn words_stay_words() {
    for (word, want) in [
        ("--a=b c", r#""--a=b c""#),
        (r#"a"b\c"#, r#""a\"b\\c""#),
        ("100%$HOME\n", "\"100%%$$HOME\\n\""),
    ] {
        assert_eq!(quoted(word), want);
    }
}

#[test]
fn the_units() {
    let mut containerd = crate::containerd::daemon();
    containerd.env.insert("GOGC".to_owned(), "50".to_owned());
    let units = [daemon(&containerd), node("/p/wamr-lab"), agent("/p/wamr-lab")];
    insta::assert_snapshot!(units.join("--\n"));
}
