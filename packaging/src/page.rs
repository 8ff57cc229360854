//! A man page: what the command line's definition says, then what a person wrote. Pure.
//!
//! One page per program, with a subsection per command: a runtime's verbs belong side by side, and
//! nobody looks for `wamr-crun-create(8)`. Source: man(7).

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::markdown;
use crate::program::Program;

/// The page in roff.
pub fn render(program: &Program) -> String {
    let mut page = generated(program).expect("a Vec takes every write");
    for (section, document) in &program.documents {
        page.push_str(&markdown::to_roff(document, section).render());
    }
    page.push_str(program.prose);
    // What each part brings along to have its apostrophes right is needed once.
    let preamble = Roff::new().render();
    preamble.clone() + &page.replace(&preamble, "")
}

/// What the definition of the command line says.
fn generated(program: &Program) -> io::Result<String> {
    let mut page = Vec::new();
    let mut command = program.command.clone().unwrap_or_else(|| Command::new(program.name));
    command.build();
    let man = Man::new(command.clone())
        .title(program.name.to_uppercase())
        .section(program.section.to_string())
        // None: a page that is made anew by every build has no day of its own.
        .date("\"\"")
        .source(format!("{} {}", program.name, env!("CARGO_PKG_VERSION")));
    man.render_title(&mut page)?;
    if program.command.is_some() {
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        page.extend(b".SH COMMANDS\n");
        for (path, each) in commands(&command) {
            push_command(&mut page, &path, each)?;
        }
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
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

fn push_command(page: &mut Vec<u8>, path: &str, command: &Command) -> io::Result<()> {
    let hidden = |name: &str| ["help", "version"].contains(&name);
    // What stands among the options of all commands is not repeated.
    let own = command.clone().disable_help_flag(true).mut_args(|arg| {
        let hide = arg.is_hide_set() || arg.is_global_set() || hidden(arg.get_id().as_str());
        arg.hide(hide)
    });
    let mut head = Roff::new();
    let operands = own.get_positionals().map(|operand| format!(" {operand}"));
    let options = own.get_opts().any(|option| !option.is_hide_set());
    let heading: String = std::iter::once(path.to_owned())
        .chain(options.then(|| " [OPTIONS]".to_owned()))
        .chain(operands)
        .collect();
    head.control("SS", [heading.as_str()]);
    if let Some(about) = own.get_long_about().or(own.get_about()) {
        head.text([roman(about.to_string())]);
    }
    page.extend(head.render().into_bytes());
    let mut options = Vec::new();
    Man::new(own).render_options_section(&mut options)?;
    // Without the section's own heading and what stands before it.
    let options = String::from_utf8_lossy(&options);
    page.extend(options.split_once(".SH OPTIONS\n").map_or("", |parts| parts.1).bytes());
    Ok(())
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
        let mut names: Vec<String> = words.map(|word| word.replace('"', "")).collect();
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
            // A page that is made anew by every build has no day of its own, and clap_mangen puts
            // a break on both sides of an empty line.
            let known = ["missing date", "br before sp", "br after sp"];
            let new = |line: &&str| !known.iter().any(|known| line.contains(known));
            let complaints: Vec<_> = said.lines().filter(new).collect();
            assert!(complaints.is_empty(), "{}: {complaints:#?}\n{page}", program.name);
        }
    }
}
