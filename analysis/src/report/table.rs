//! Tables as data: the page, its Markdown twin and the CSV files are three views of one table.

use crate::format::{NONE, clean};
use crate::group::{Ratio, Summary};
use crate::stats::Spread;

/// A table with its title.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Name of the CSV file and anchor in the page.
    pub id: &'static str,
    /// What it shows.
    pub title: String,
    /// What a reader must know to read it.
    pub note: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A column; in a CSV file it may become several.
#[derive(Debug, Clone)]
pub struct Column {
    /// Head.
    pub head: String,
    /// Unit, empty where there is none.
    pub unit: &'static str,
    /// Heads in the CSV file.
    pub keys: Vec<String>,
    /// True if its values are set right.
    pub number: bool,
}

/// A row.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// One cell per column.
    pub cells: Vec<Cell>,
    /// `ours`, `invalid`, `failed` or nothing: how the page marks it.
    pub class: &'static str,
}

/// A cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// What people read.
    pub text: String,
    /// Set small below it: an interval.
    pub detail: String,
    /// True if it is a path or digest.
    pub code: bool,
    /// What programs read, one per key of the column.
    pub raw: Vec<String>,
}

impl Table {
    /// An empty table.
    pub fn new(id: &'static str, title: impl Into<String>, note: impl Into<String>) -> Self {
        let (title, note) = (title.into(), note.into());
        Self { id, title, note, ..Self::default() }
    }

    /// Adds a column of words.
    #[must_use]
    pub fn words(mut self, head: &str, key: &str) -> Self {
        let (head, keys) = (head.to_owned(), vec![key.to_owned()]);
        self.columns.push(Column { head, unit: "", keys, number: false });
        self
    }

    /// Adds a column of single numbers.
    #[must_use]
    pub fn number(mut self, head: &str, unit: &'static str, key: &str) -> Self {
        let (head, keys) = (head.to_owned(), vec![key.to_owned()]);
        self.columns.push(Column { head, unit, keys, number: true });
        self
    }

    /// Adds a column of numbers with their spread.
    #[must_use]
    pub fn spread(mut self, head: &str, unit: &'static str, key: &str) -> Self {
        let keys = vec![key.to_owned(), format!("{key}_low"), format!("{key}_high")];
        self.columns.push(Column { head: head.to_owned(), unit, keys, number: true });
        self
    }

    /// Adds a column of a value with its ends, its interval, its unit and chances of error.
    #[must_use]
    pub fn range(mut self, head: &str, key: &str) -> Self {
        let ends = ["low", "high", "interval_low", "interval_high", "unit"];
        let chances = ["p_bound", "p_direction", "p_against"];
        let keys = ends.iter().map(|end| format!("{key}_{end}"));
        let keys = keys.chain(chances.iter().map(|&chance| chance.to_owned())).collect();
        self.columns.push(Column { head: head.to_owned(), unit: "", keys, number: false });
        self
    }

    /// Adds a row.
    pub fn row(&mut self, class: &'static str, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "{}", self.id);
        self.rows.push(Row { cells, class });
    }

    /// The rows as CSV, head first.
    ///
    /// # Errors
    /// As the csv crate: a row with another number of fields than the head.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().flat_map(|column| &column.keys))?;
        for row in &self.rows {
            writer.write_record(row.cells.iter().flat_map(|cell| &cell.raw))?;
        }
        writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
    }
}

impl Cell {
    /// Words.
    pub fn words(text: &str) -> Self {
        let text = clean(text);
        Self { raw: vec![text.clone()], text, ..Self::default() }
    }

    /// A path or digest.
    pub fn code(text: &str) -> Self {
        Self { code: true, ..Self::words(text) }
    }

    /// A whole number.
    pub fn whole(number: u64) -> Self {
        let text = crate::format::fixed(number as f64, 0);
        Self { text, raw: vec![number.to_string()], ..Self::default() }
    }

    /// A number that may be missing, in the units of `show`.
    pub fn number(value: Option<f64>, show: fn(f64) -> String) -> Self {
        Self {
            text: value.map_or_else(|| NONE.to_owned(), show),
            raw: vec![value.map_or_else(String::new, |value| value.to_string())],
            ..Self::default()
        }
    }

    /// A number with its spread.
    pub fn with_spread(value: Option<(f64, Spread)>, show: fn(f64) -> String) -> Self {
        let mut cell = Self::number(value.map(|value| value.0), show);
        let ends = value.and_then(|value| value.1.ends());
        cell.detail = ends.map_or_else(String::new, |(low, high)| {
            format!("{} to {}", show(low).trim_end_matches(" ×"), show(high))
        });
        cell.raw.push(ends.map_or_else(String::new, |ends| ends.0.to_string()));
        cell.raw.push(ends.map_or_else(String::new, |ends| ends.1.to_string()));
        cell
    }

    /// A measure over its repetitions.
    pub fn summary(summary: Option<&Summary>, show: fn(f64) -> String) -> Self {
        Self::with_spread(summary.map(|summary| (summary.median, summary.spread)), show)
    }

    /// A ratio to ours.
    pub fn ratio(ratio: Option<&Ratio>) -> Self {
        Self::with_spread(ratio.map(|ratio| (ratio.ratio, ratio.spread)), crate::format::times)
    }

    /// As a cell of a Markdown table.
    pub fn markdown(&self) -> String {
        let text = markdown(&self.text);
        let text = match (self.code, self.text.contains('`') || self.text.is_empty()) {
            (true, false) => format!("`{}`", self.text.replace('|', "\\|")),
            _ => text,
        };
        if self.detail.is_empty() { text } else { format!("{text} ({})", markdown(&self.detail)) }
    }
}

/// Text without a meaning in Markdown or HTML.
pub fn markdown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in clean(text).chars() {
        match character {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' => plain.extend(['\\', character]),
            _ => plain.push(character),
        }
    }
    plain
}

#[test]
fn a_table_keeps_its_columns_in_every_view() {
    let mut table = Table::new("t", "T", "").words("Name", "name").spread("X", "MB", "x_bytes");
    let spread = Spread::Range { low: 1e6, high: 3e6 };
    table.row(
        "",
        vec![Cell::words("a|<b>"), Cell::with_spread(Some((2e6, spread)), crate::format::mb)],
    );
    table.row("", vec![Cell::words("c,d"), Cell::with_spread(None, crate::format::mb)]);
    let csv = String::from_utf8(table.csv().unwrap()).unwrap();
    assert_eq!(
        csv,
        "name,x_bytes,x_bytes_low,x_bytes_high\na|<b>,2000000,1000000,3000000\n\"c,d\",,,\n"
    );
    assert_eq!(table.rows[0].cells[0].markdown(), "a\\|&lt;b&gt;");
    assert_eq!(table.rows[0].cells[1].markdown(), "2.00 (1.00 to 3.00)");
    assert_eq!(table.rows[1].cells[1].markdown(), NONE);
}
