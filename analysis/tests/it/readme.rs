//! The figures on README's first screen are those of the committed report, which `make reference`
//! makes again from the raw data.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

type Row = BTreeMap<String, String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rows(table: &str) -> Vec<Row> {
    let path = root().join("data/reference/report/tables").join(table);
    let mut reader = csv::Reader::from_path(&path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?}"))
}

/// Rounded, with a comma between thousands.
fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn the_table_of_the_readme_is_the_reports() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let private: BTreeMap<String, f64> = rows("private.csv")
        .iter()
        .map(|row| (row["runtime"].clone(), number(row, "private_median_bytes")))
        .collect();
    let mut missing = Vec::new();
    for row in rows("summary.csv").iter().filter(|row| row["pods"] == "50") {
        let mb = |column: &str| match row[column].as_str() {
            "" => "–".to_owned(),
            _ => format!("{:.2}", number(row, column) / 1e6),
        };
        let line = format!(
            "| {} | {} | {} | {} | {} | {} |",
            row["runtime"],
            mb("free_paper_bytes_per_pod"),
            mb("available_bracket_bytes_per_pod"),
            mb("metrics_server_node_bytes_per_pod"),
            whole(number(row, "start_last_ns") / 1e6),
            whole(private[&row["runtime"]] / 1e3),
        );
        if !readme.contains(&line) {
            missing.push(line);
        }
    }
    assert!(missing.is_empty(), "README.md lacks:\n{}", missing.join("\n"));
}

#[test]
fn thousands_have_commas() {
    for (value, want) in [(0.4, "0"), (999.6, "1,000"), (12_345.0, "12,345"), (1e6, "1,000,000")] {
        assert_eq!(whole(value), want);
    }
}
