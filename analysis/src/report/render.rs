//! The files of a report as bytes.

use std::collections::BTreeMap;

use askama::Template;
use serde::Serialize;

use super::page::{Page, page};
use super::table::{Cell, Row, Table, markdown};
use crate::error::Error;
use crate::figure::Figure;
use crate::figure::ink::css_variables;
use crate::study::Study;

#[derive(Template)]
#[template(path = "report.html")]
struct Html<'a> {
    page: &'a Page,
    light: String,
    dark: String,
}

#[derive(Template)]
#[template(path = "report.md", escape = "none")]
struct Markdown<'a> {
    page: &'a Page,
}

impl Markdown<'_> {
    /// What the template calls `markdown`.
    #[expect(clippy::unused_self, reason = "templates call methods of their data")]
    fn markdown(&self, text: &str) -> String {
        markdown(text)
    }
}

/// Every file of the report by its path relative to the report's directory.
///
/// # Errors
/// A page or table not be written as text.
pub fn render(study: &Study) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    render_page(&page(study)?, study)
}

/// Every file of a report with this page; `numbers` is what the page was made from.
///
/// # Errors
/// As [`render`].
pub fn render_page(
    page: &Page,
    numbers: &impl Serialize,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut files = BTreeMap::new();
    let failed = |page| move |source| Error::Template { page, source };
    let (light, dark) = css_variables();
    let html = Html { page, light, dark }.render().map_err(failed("index.html"))?;
    files.insert("index.html".to_owned(), format!("{html}\n").into_bytes());
    let markdown = Markdown { page }.render().map_err(failed("report.md"))?;
    files.insert("report.md".to_owned(), format!("{markdown}\n").into_bytes());
    for figure in page.figures() {
        files.insert(format!("figures/{}.svg", figure.slug), figure.file.clone().into_bytes());
    }
    for table in page.tables() {
        let name = format!("tables/{}.csv", table.id);
        let csv = table
            .csv()
            .map_err(|source| Error::Encode { name: name.clone(), source: Box::new(source) })?;
        files.insert(name, csv);
    }
    files.insert("numbers.json".to_owned(), json("numbers.json", numbers)?);
    if let Some(verdicts) = &page.verdicts {
        files.insert("claims.json".to_owned(), json("claims.json", verdicts)?);
    }
    Ok(files)
}

fn json(name: &str, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut json = serde_json::to_vec_pretty(value)
        .map_err(|source| Error::Encode { name: name.to_owned(), source: Box::new(source) })?;
    json.push(b'\n');
    Ok(json)
}

impl Figure {
    /// Its caption with the unit explained, for the Markdown page.
    fn alt(&self) -> String {
        markdown(&format!("{}. {}", self.title, self.description))
    }
}

impl Table {
    /// The line under the head of a Markdown table.
    fn markdown_rule(&self) -> String {
        let rules = self.columns.iter().map(|column| if column.number { "---:" } else { ":---" });
        format!("| {} |", rules.collect::<Vec<_>>().join(" | "))
    }

    /// The head of a Markdown table.
    fn markdown_head(&self) -> String {
        let heads = self.columns.iter().map(|column| match column.unit {
            "" => markdown(&column.head),
            unit => format!("{}, {unit}", markdown(&column.head)),
        });
        format!("| {} |", heads.collect::<Vec<_>>().join(" | "))
    }
}

impl Row {
    /// The row of a Markdown table.
    fn markdown(&self) -> String {
        let cells: Vec<String> = self.cells.iter().map(Cell::markdown).collect();
        format!("| {} |", cells.join(" | "))
    }
}
