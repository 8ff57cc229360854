//! A document of `docs/` as sections of a man page. Pure.
//!
//! Knows what those documents use: headings, paragraphs, tables, lists, code spans and links. A
//! table's rows become tagged paragraphs under their first column.

use std::fmt::Write as _;

use crate::page::text;

/// The document with its own title replaced by `section`.
pub fn to_roff(markdown: &str, section: &str) -> String {
    let mut page = format!(".SH {}\n", text(section));
    let mut table: Vec<Vec<String>> = Vec::new();
    let mut between = true;
    for line in markdown.lines() {
        let line = line.trim();
        if let Some(row) = line.strip_prefix('|') {
            let cells = row.trim_end_matches('|').split('|');
            table.push(cells.map(|cell| cell.trim().to_owned()).collect());
            continue;
        }
        push_table(&mut page, &std::mem::take(&mut table));
        if line.is_empty() {
            between = true;
        } else if let Some(heading) = line.strip_prefix("## ") {
            push(&mut page, &format!(".SS {}", inline(heading)));
            between = false;
        } else if !line.starts_with("# ") {
            let item = line.strip_prefix("- ");
            if item.is_some() {
                page.push_str(".IP \\(bu 2\n");
            } else if between && !after_heading(&page) {
                page.push_str(".PP\n");
            }
            push(&mut page, &inline(item.unwrap_or(line)));
            between = false;
        }
    }
    push_table(&mut page, &table);
    page
}

/// A paragraph macro right below a heading would be one too many.
fn after_heading(page: &str) -> bool {
    page.lines().last().is_some_and(|line| line.starts_with(".SH ") || line.starts_with(".SS "))
}

/// Rows below the line of dashes; an empty first cell continues the row above.
fn push_table(page: &mut String, table: &[Vec<String>]) {
    let Some((head, rows)) = table.split_first() else { return };
    for row in rows.iter().filter(|row| !row.iter().all(|cell| cell.starts_with("--"))) {
        let (tag, cells) = row.split_first().map_or(("", row.as_slice()), |(t, c)| (t, c));
        if tag.is_empty() {
            page.push_str(".IP\n");
        } else {
            page.push_str(".TP\n");
            push(page, &inline(tag));
        }
        let mut line = String::new();
        for (title, cell) in head.iter().skip(1).zip(cells) {
            // "value" and "effect" go without saying, "unless set" does not.
            let between = match (line.is_empty(), title.contains(' ')) {
                (true, _) => String::new(),
                (false, true) => format!("; {title}: "),
                (false, false) => ": ".to_owned(),
            };
            line.push_str(&between);
            line.push_str(cell);
        }
        push(page, &inline(&(line + ".")));
    }
}

fn push(page: &mut String, line: &str) {
    writeln!(page, "{line}").unwrap_or_default();
}

/// Code spans bold, links as their text.
fn inline(markdown: &str) -> String {
    let mut roff = String::new();
    for (index, part) in without_links(markdown).split('`').enumerate() {
        let part = part.replace('\\', "\\e").replace('-', "\\-");
        if index % 2 == 1 {
            write!(roff, "\\fB{part}\\fR").unwrap_or_default();
        } else {
            roff.push_str(&part);
        }
    }
    if roff.starts_with(['.', '\'']) { format!("\\&{roff}") } else { roff }
}

/// `[text](target)` as `text`.
fn without_links(markdown: &str) -> String {
    let mut rest = markdown;
    let mut plain = String::new();
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let parts =
            link.split_once("](").and_then(|(t, after)| Some((t, after.split_once(')')?.1)));
        if let Some((shown, after)) = parts {
            plain.push_str(shown);
            rest = after;
        } else {
            plain.push('[');
            rest = link;
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_documents_use_becomes_roff() {
        let table = [
            ("# Title\n\nOne `-x` [here](there.md).", ".SH T\nOne \\fB\\-x\\fR here.\n"),
            ("One.\n\nTwo\nlines.", ".SH T\nOne.\n.PP\nTwo\nlines.\n"),
            ("## Sub\n\n.dot", ".SH T\n.SS Sub\n\\&.dot\n"),
            ("- a\n  b\n- c", ".SH T\n.IP \\(bu 2\na\nb\n.IP \\(bu 2\nc\n"),
            (
                "| k | v | unless set |\n|---|---|---|\n| `a` | b | c |\n| | d | e |\n",
                ".SH T\n.TP\n\\fBa\\fR\nb; unless set: c.\n.IP\nd; unless set: e.\n",
            ),
            ("a [b] c", ".SH T\na [b] c\n"),
        ];
        for (markdown, want) in table {
            assert_eq!(to_roff(markdown, "T"), want, "{markdown:?}");
        }
    }
}
