//! Writes the JSON Schemas of the run directory into `lab/record/schema`.

use std::fs;
use std::path::Path;

use wamr_record::schema::schemas;

fn main() -> std::io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    fs::create_dir_all(&dir)?;
    for (name, text) in schemas() {
        fs::write(dir.join(name), text)?;
    }
    Ok(())
}
