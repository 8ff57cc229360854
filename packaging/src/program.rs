//! The programs that have a manual.

use clap::{Command, CommandFactory};

/// A program, its command line, and what a person wrote about it.
pub struct Program {
    /// The command's name.
    pub name: &'static str,
    /// Section of the manual.
    pub section: u8,
    /// The definition that the program itself parses with. `None` is a program that has none and
    /// that no person calls: its page is written by hand, and it has no completions.
    pub command: Option<Command>,
    /// Sections that a document of `docs/` is the text of.
    pub documents: Vec<(&'static str, &'static str)>,
    /// Sections in roff's man macros that follow the generated ones; all of them if there are none.
    pub prose: &'static str,
}

/// All of them.
pub fn programs() -> Vec<Program> {
    vec![
        Program {
            name: "wamr-crun",
            section: 8,
            command: Some(wamr_crun::cli::Cli::command()),
            documents: vec![("ANNOTATIONS", include_str!("../../docs/annotations.md"))],
            prose: include_str!("../man/wamr-crun.8"),
        },
        Program {
            name: "containerd-shim-wamr-crun-v1",
            section: 8,
            command: None,
            documents: Vec::new(),
            prose: include_str!("../man/containerd-shim-wamr-crun-v1.8"),
        },
        Program {
            name: "wamr-lab",
            section: 1,
            command: Some(wamr_lab::cli::Cli::command()),
            documents: Vec::new(),
            prose: include_str!("../man/wamr-lab.1"),
        },
        Program {
            name: "wamr-report",
            section: 1,
            command: Some(wamr_report::cli::Cli::command()),
            documents: Vec::new(),
            prose: include_str!("../man/wamr-report.1"),
        },
    ]
}
