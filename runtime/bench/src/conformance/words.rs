//! The section of docs/conformance.md about words that callers read: `words.toml`. Pure.

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::Deserialize;

/// What a page needs of the rows; a test of the runtime reads the rest.
#[derive(Deserialize)]
struct Table {
    program: Vec<Program>,
    verb: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Program {
    what: String,
    words: String,
    callers: Option<String>,
    create: i32,
    run: i32,
    start: Option<i32>,
    exec: Option<i32>,
}

#[derive(Deserialize)]
struct Refusal {
    what: String,
    verb: Vec<String>,
    words: String,
    callers: Option<String>,
    status: i32,
}

/// The section.
///
/// # Errors
/// `text` is not such a table.
pub fn section(text: &str) -> Result<String> {
    let table: Table = toml::from_str(text).into_diagnostic().wrap_err("read the words")?;
    let mut page = vec![
        "\n## Words and exit statuses\n\n\
         Container engines search the messages of a runtime for words, and choose their own exit \
         status by them.\nwamr-crun's messages have the same words as runc's where one is searched \
         for, and the same exit statuses.\nEach row of \
         [words.toml](../runtime/conformance/words.toml) is checked with wamr-crun and with runc.\
         \n\n| what happens | words | exit status | what callers do |\n|---|---|---|---|\n"
            .to_owned(),
    ];
    let line = |what: &str, words: &str, status: &str, callers: Option<&str>| {
        format!("| {what} | `{words}` | {status} | {} |\n", callers.unwrap_or_default())
    };
    page.extend(table.program.iter().map(|row| {
        let verbs = [
            ("create", Some(row.create)),
            ("start", row.start),
            ("run", Some(row.run)),
            ("exec", row.exec),
        ];
        let status = verbs.iter().filter_map(|(verb, code)| Some(format!("`{verb}` {}", (*code)?)));
        let status = status.collect::<Vec<_>>().join(", ");
        line(&row.what, &row.words, &status, row.callers.as_deref())
    }));
    page.extend(table.verb.iter().map(|row| {
        let verbs: Vec<_> = row.verb.iter().map(|verb| format!("`{verb}`")).collect();
        let status = format!("{} {}", verbs.join(", "), row.status);
        line(&row.what, &row.words, &status, row.callers.as_deref())
    }));
    Ok(page.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_page_has_the_committed_table() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let page = top.join("docs/conformance.md");
        let Some(page) = wamr_testing::text(&page, "it is committed") else { return };
        let table = include_str!("../../../conformance/words.toml");
        assert!(page.contains(&section(table).unwrap()), "make conformance-page");
    }

    #[test]
    fn a_row_has_its_statuses() {
        let table = "[[program]]\nwhat = 'w'\nwords = 'x'\ncreate = 0\nrun = 2\nexec = 3\n\
                     [[verb]]\nwhat = 'v'\nverb = ['kill', 'run']\nwords = 'y'\nstatus = 4\n\
                     callers = 'c'\n";
        let page = section(table).unwrap();
        assert!(page.contains("| w | `x` | `create` 0, `run` 2, `exec` 3 |  |\n"), "{page}");
        assert!(page.contains("| v | `y` | `kill`, `run` 4 | c |\n"), "{page}");
        assert!(section("[[verb]]\n").is_err());
    }
}
