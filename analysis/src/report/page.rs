//! A report before it becomes HTML or Markdown: sections of tables and figures.

use crate::claims::Catalogue;
use crate::claims::table::{self, Verdicts};
use crate::error::Error;
use crate::figure::{Figure, figures};
use crate::study::Study;
use crate::verdict::{Verdict, verdict};

use super::table::Table;
use super::{memory_tables, proof_tables, prose, run_tables};

/// A report.
#[derive(Debug)]
pub struct Page {
    /// The experiment's title.
    pub title: String,
    /// Program and version.
    pub generator: String,
    /// What the run shows.
    pub verdict: Verdict,
    /// What a reader must know first.
    pub notices: Vec<String>,
    /// Run, time, counts.
    pub provenance: String,
    /// Facts of the machine.
    pub machine: Vec<(&'static str, String)>,
    /// Tables and figures under headings.
    pub sections: Vec<Section>,
    /// The method, paragraph by paragraph.
    pub method: Vec<String>,
    /// Words and what they mean.
    pub glossary: Vec<(&'static str, &'static str)>,
    /// Verdicts on the claims, if any was judged.
    pub verdicts: Option<Verdicts>,
    /// The table whose CSV file has every number.
    pub every_number: &'static str,
    /// Tables that exist only as CSV.
    pub data_tables: Vec<Table>,
}

/// A heading with what belongs below it.
#[derive(Debug)]
pub struct Section {
    /// Anchor.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// Figures, before the tables.
    pub figures: Vec<Figure>,
    /// Tables.
    pub tables: Vec<Table>,
}

/// Puts the report together.
///
/// # Errors
/// The built-in catalogue of claims cannot be read.
pub fn page(study: &Study) -> Result<Page, Error> {
    let drawn = figures(study)?;
    let verdicts = Verdicts::on(study, &Catalogue::built_in()?);
    let title = match study.run.title.trim() {
        "" => "Untitled experiment".to_owned(),
        title => crate::format::shorten(title, 200),
    };
    Ok(Page {
        title,
        generator: study.generator.clone(),
        verdict: verdict(study),
        notices: prose::notices(study),
        provenance: prose::provenance(study),
        machine: proof_tables::machine(&study.environment),
        sections: sections(study, drawn, &verdicts),
        method: prose::method(study),
        glossary: prose::GLOSSARY.to_vec(),
        verdicts: Some(verdicts),
        every_number: "cell-values",
        data_tables: vec![
            run_tables::cell_values(study),
            proof_tables::machine_table(&study.environment),
        ],
    })
}

fn sections(study: &Study, drawn: Vec<Figure>, verdicts: &Verdicts) -> Vec<Section> {
    let (parts, drawn): (Vec<Figure>, Vec<Figure>) =
        drawn.into_iter().partition(|figure| figure.slug == crate::figure::PARTS);
    let (paper, drawn): (Vec<Figure>, Vec<Figure>) =
        drawn.into_iter().partition(|figure| figure.slug.starts_with("paper-"));
    let (starting, figures): (Vec<Figure>, Vec<Figure>) =
        drawn.into_iter().partition(|figure| figure.slug.starts_with("start-"));
    let result = vec![run_tables::summary(study)];
    let mut figure_tables = vec![memory_tables::memory(study), memory_tables::sources(study)];
    figure_tables.extend(memory_tables::ratios(study));
    figure_tables.extend(memory_tables::slopes(study));
    let mut container = vec![memory_tables::private(study)];
    container.extend(memory_tables::mappings(study));
    let mut starts = vec![run_tables::start(study)];
    starts.extend(run_tables::conditions(study));
    starts.extend(run_tables::work(study));
    let mut environment: Vec<Table> = proof_tables::nodes(study).into_iter().collect();
    environment.extend([
        proof_tables::versions(&study.environment),
        proof_tables::stack(&study.environment),
    ]);
    let mut validity = vec![run_tables::cells(study)];
    validity.extend(run_tables::defects(study));
    let section = |id, title, figures, tables| Section { id, title, figures, tables };
    vec![
        section("result", "Result", Vec::new(), result),
        section("claims", "Claims", Vec::new(), claim_tables(verdicts)),
        section("figures", "Figures", figures, figure_tables),
        section(
            "parts",
            "Where the memory goes",
            parts,
            vec![memory_tables::parts(study), memory_tables::growth(study)],
        ),
        section("container", "The idle container", Vec::new(), container),
        section("start-up", "Start-up", starting, starts),
        section("paper-figures", "The paper's figures with these numbers", paper, Vec::new()),
        section("validity", "Validity", Vec::new(), validity),
        section(
            "proof",
            "Evidence",
            Vec::new(),
            vec![proof_tables::evidence(study), proof_tables::digests(study)],
        ),
        section("environment", "Environment", Vec::new(), environment),
    ]
}

fn claim_tables(verdicts: &Verdicts) -> Vec<Table> {
    vec![
        table::claims("claims-paper", "What the paper claims", &verdicts.paper, verdicts),
        table::claims("claims-own", "What this project claims", &verdicts.own, verdicts),
        table::inconsistencies(verdicts),
    ]
}

impl Page {
    /// All tables, those of the page first.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.sections.iter().flat_map(|section| &section.tables).chain(&self.data_tables)
    }

    /// All figures.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(|section| &section.figures)
    }
}
