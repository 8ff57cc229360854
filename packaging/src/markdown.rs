//! A document of `docs/` as sections of a man page. Pure.
//!
//! Knows what those documents use: headings, paragraphs, tables, lists, code and links. A table's
//! rows become tagged paragraphs under their first column.

use clap_mangen::roff::{Inline, Roff, bold, roman};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The document with its own title replaced by `section`.
pub fn to_roff(markdown: &str, section: &str) -> Roff {
    let mut page = Page::default();
    page.roff.control("SH", [section]);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        page.take(event);
    }
    page.roff
}

/// A page that is being written.
#[derive(Default)]
struct Page {
    roff: Roff,
    /// The words of the paragraph, heading or cell that has not ended yet.
    words: Vec<Inline>,
    /// The cells of the table's head, then those of the row that has not ended yet.
    head: Vec<Vec<Inline>>,
    row: Vec<Vec<Inline>>,
    /// True where a paragraph's own macro would be one too many: below a heading, in a list.
    begun: bool,
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) => self.words.push(roman(text.into_string())),
            Event::Code(text) => self.words.push(bold(text.into_string())),
            // Each line for itself, so that a dot at its start is no request.
            Event::SoftBreak => self.end_line(),
            Event::Start(Tag::Item) => {
                self.roff.control("IP", ["\\(bu", "2"]);
                self.begun = true;
            }
            Event::Start(Tag::Paragraph) if !self.begun => {
                self.roff.control("PP", []);
            }
            Event::Start(Tag::CodeBlock(_)) => {
                self.roff.control("PP", []).control("nf", []);
            }
            Event::End(TagEnd::CodeBlock) => {
                self.end_line();
                self.roff.control("fi", []);
            }
            Event::End(TagEnd::Heading(level)) => {
                let words: String = self.words.drain(..).filter_map(plain).collect();
                if level > pulldown_cmark::HeadingLevel::H1 {
                    self.roff.control("SS", [words.as_str()]);
                }
                self.begun = true;
            }
            Event::End(TagEnd::Paragraph | TagEnd::Item) => {
                self.end_line();
                self.begun = false;
            }
            Event::End(TagEnd::TableCell) => self.row.push(std::mem::take(&mut self.words)),
            Event::End(TagEnd::TableHead) => self.head = std::mem::take(&mut self.row),
            Event::End(TagEnd::TableRow) => self.end_row(),
            _ => {}
        }
    }

    fn end_line(&mut self) {
        if let Some(Inline::Roman(last)) = self.words.last_mut() {
            last.truncate(last.trim_end_matches('\n').len());
        }
        if !self.words.is_empty() {
            self.roff.text(std::mem::take(&mut self.words));
        }
    }

    /// An empty first cell continues the row above.
    fn end_row(&mut self) {
        let mut cells = std::mem::take(&mut self.row).into_iter();
        match cells.next() {
            Some(tag) if !tag.is_empty() => self.roff.control("TP", []).text(tag),
            _ => self.roff.control("IP", []),
        };
        for (title, cell) in self.head.iter().skip(1).zip(cells) {
            // "value" and "effect" go without saying, "unless set" does not.
            let title: String = title.iter().cloned().filter_map(plain).collect();
            if !self.words.is_empty() {
                let said = title.contains(' ');
                self.words.push(roman(if said { format!("; {title}: ") } else { ": ".into() }));
            }
            self.words.extend(cell);
        }
        self.words.push(roman("."));
        self.end_line();
        self.begun = false;
    }
}

fn plain(inline: Inline) -> Option<String> {
    match inline {
        Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => Some(text),
        Inline::LineBreak => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_documents_use_becomes_roff() {
        let table = [
            ("# Title\n\nOne `-x` [here](there.md).", ".SH T\nOne \\fB\\-x\\fR here.\n"),
            ("One.\n\nTwo\nlines.", ".SH T\n.PP\nOne.\n.PP\nTwo\nlines.\n"),
            ("## Sub\n\n.dot", ".SH T\n.SS Sub\n\\&.dot\n"),
            ("# T\n\na\n.b", ".SH T\na\n\\&.b\n"),
            ("- a\n  b\n- c\n", ".SH T\n.IP \\(bu 2\na\nb\n.IP \\(bu 2\nc\n"),
            (
                "| k | v | unless set |\n|---|---|---|\n| `a` | b | c |\n| | d | e |\n",
                ".SH T\n.TP\n\\fBa\\fR\nb; unless set: c.\n.IP\nd; unless set: e.\n",
            ),
            ("## S\n\n| k | v |\n|---|---|\n| a | b |\n\nc", ".SH T\n.SS S\n.TP\na\nb.\n.PP\nc\n"),
            ("a [b] c", ".SH T\n.PP\na [b] c\n"),
            ("# T\n\na:\n\n```yaml\nb:\n  c\n```\n", ".SH T\na:\n.PP\n.nf\nb:\n  c\n.fi\n"),
        ];
        for (markdown, want) in table {
            assert_eq!(to_roff(markdown, "T").to_roff(), want, "{markdown:?}");
        }
    }
}
