//! A man page: what the command line's definition says, then what a person wrote. Pure.
//!
//! One page per program, with a subsection per command: a runtime's verbs belong side by side, and
//! nobody looks for `wamr-crun-create(8)`. Source: man(7).

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::markdown;
use crate::program::Program;

/// The page in roff.
pub fn render(program: &Program) -> String {
    let mut page = title(program);
    if let Some(command) = &program.command {
        let mut command = command.clone();
        command.build();
        push_head(&mut page, program.name, &command);
        page.push_str(".SH COMMANDS\n");
        for (path, each) in commands(&command) {
            push_command(&mut page, &path, each);
        }
    }
    for (section, document) in &program.documents {
        page.push_str(&markdown::to_roff(document, section));
    }
    page.push_str(program.prose);
    page
}

fn title(program: &Program) -> String {
    let Program { name, section, .. } = program;
    let version = env!("CARGO_PKG_VERSION");
    let title = text(&name.to_uppercase());
    format!(".TH {title} {section} \"\" \"{name} {version}\" \"\"\n")
}

/// Name, synopsis, description and the options of all commands.
fn push_head(page: &mut String, name: &str, command: &Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let long = command.get_long_about().map_or_else(|| about.clone(), ToString::to_string);
    push(page, &format!(".SH NAME\n{} \\- {}", text(name), text(&about)));
    push(page, &format!(".SH SYNOPSIS\n.B {} [OPTIONS] COMMAND", text(name)));
    push(page, &format!(".SH DESCRIPTION\n{}.", text(long.trim_end_matches('.'))));
    page.push_str(".SH OPTIONS\nBefore the command:\n");
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        push_argument(page, arg);
    }
}

/// Every command that can be called, with the words that call it, in the order of `--help`.
pub fn commands(command: &Command) -> Vec<(String, &Command)> {
    let mut found = Vec::new();
    for each in command.get_subcommands().filter(|each| !each.is_hide_set()) {
        let name = each.get_name();
        if name == "help" {
            continue;
        }
        if each.has_subcommands() {
            let below = commands(each).into_iter();
            found.extend(below.map(|(path, each)| (format!("{name} {path}"), each)));
        } else {
            found.push((name.to_owned(), each));
        }
    }
    found
}

fn push_command(page: &mut String, path: &str, command: &Command) {
    let (options, operands): (Vec<_>, Vec<_>) =
        own_arguments(command).partition(|arg| !arg.is_positional());
    let mut call = path.to_owned();
    if !options.is_empty() {
        call.push_str(" [OPTIONS]");
    }
    for operand in &operands {
        call.push(' ');
        call.push_str(&operand.to_string());
    }
    push(page, &format!(".SS {}", text(&call)));
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        push(page, &text(&about.to_string()));
    }
    for arg in operands.into_iter().chain(options) {
        push_argument(page, arg);
    }
}

/// What a command has beyond `--help` and the options of all commands.
fn own_arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        !arg.is_hide_set()
            && !arg.is_global_set()
            && !["help", "version"].contains(&arg.get_id().as_str())
    })
}

fn push_argument(page: &mut String, arg: &Arg) {
    push(page, ".TP");
    push(page, &format!("\\fB{}\\fR", text(&spelling(arg))));
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string);
    let mut sentences = vec![help.unwrap_or_default()];
    if arg.get_action().takes_values() {
        let values = arg.get_possible_values();
        let names: Vec<_> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
        if !names.is_empty() {
            sentences.push(format!("one of {}", names.join(", ")));
        }
        let defaults: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty() {
            sentences.push(format!("unless given, {}", defaults.join(" ")));
        }
    }
    push(page, &text(&sentences.join("; ")));
}

/// `-b, --bundle DIR`, or `ID`.
fn spelling(arg: &Arg) -> String {
    if arg.is_positional() {
        return arg.to_string();
    }
    let mut all = String::new();
    if let Some(short) = arg.get_short() {
        write!(all, "-{short}").unwrap_or_default();
    }
    if let Some(long) = arg.get_long() {
        let between = if all.is_empty() { "" } else { ", " };
        write!(all, "{between}--{long}").unwrap_or_default();
    }
    if arg.get_action().takes_values() {
        for value in arg.get_value_names().unwrap_or_default() {
            write!(all, " {value}").unwrap_or_default();
        }
    }
    all
}

fn push(page: &mut String, line: &str) {
    if !line.is_empty() {
        page.push_str(line);
        page.push('\n');
    }
}

/// Plain text as roff: a hyphen stays one, and no line is taken for a request.
pub fn text(plain: &str) -> String {
    let escaped = plain.replace('\\', "\\e").replace('-', "\\-");
    let line = |line: &str| {
        let line = line.trim();
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
    };
    escaped.lines().map(line).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command as Process, Stdio};

    use super::*;
    use crate::program::programs;

    /// The commands that a help text lists.
    fn listed(help: &str) -> Vec<String> {
        let after = help.split("Commands:\n").nth(1).unwrap_or_default();
        let lines = after.lines().take_while(|line| !line.is_empty());
        // A command stands two columns in; deeper lines continue its text.
        let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// The commands that a page has a subsection for; one per first word.
    fn described(page: &str) -> Vec<String> {
        let commands = page.split(".SH COMMANDS\n").nth(1).unwrap_or_default();
        let commands = commands.split("\n.SH ").next().unwrap_or_default();
        let heads = commands.lines().filter_map(|line| line.strip_prefix(".SS "));
        let words = heads.filter_map(|head| head.split_whitespace().next());
        let mut names: Vec<String> = words.map(|word| word.replace("\\-", "-")).collect();
        names.dedup();
        names
    }

    #[test]
    fn help_and_page_list_the_same_commands() {
        for program in programs() {
            let Some(command) = &program.command else { continue };
            let help = command.clone().term_width(80).render_help().to_string();
            let mut wanted = listed(&help);
            wanted.retain(|name| name != "help");
            assert!(wanted.len() > 2, "{help}");
            let found = described(&render(&program));
            let found: Vec<_> = found.into_iter().filter(|name| !name.is_empty()).collect();
            assert_eq!(found, wanted, "{}", program.name);
        }
    }

    #[test]
    fn pages_are_sound_roff() {
        for program in programs() {
            let page = render(&program);
            let begun = Process::new("mandoc")
                .args(["-T", "lint", "-W", "warning"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            let Ok(mut mandoc) = begun else {
                return wamr_testing::lacking("there is no mandoc (apt-get install mandoc)");
            };
            mandoc.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
            let said = mandoc.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            // A page that is made anew by every build has no day of its own.
            let complaints: Vec<_> =
                said.lines().filter(|line| !line.contains("missing date")).collect();
            assert!(complaints.is_empty(), "{}: {complaints:#?}\n{page}", program.name);
        }
    }

    #[test]
    fn text_cannot_become_a_request() {
        let table = [
            (".SH x", "\\&.SH x"),
            ("'quoted", "\\&'quoted"),
            ("a-b", "a\\-b"),
            ("C:\\x", "C:\\ex"),
            ("one\n\n  .two", "one\n\\&.two"),
        ];
        for (plain, want) in table {
            assert_eq!(text(plain), want);
        }
    }
}
