//! Builds the node image: `build-image [CACHE]`.

use miette::Result;

fn main() -> Result<()> {
    let cache = std::env::args_os().nth(1).map_or_else(wamr_image::default_cache, Into::into);
    for finding in wamr_image::requirements::check() {
        if let Err(reason) = finding.result {
            eprintln!(
                "missing: {} ({}): {reason}",
                finding.requirement.name, finding.requirement.purpose
            );
        }
    }
    let begun = std::time::Instant::now();
    let image = wamr_image::ensure(&cache, &wamr_progress::Progress::new())?;
    println!("{}", wamr_image::description_path(&cache).display());
    for (component, version) in &image.versions {
        println!("{component} {version}");
    }
    eprintln!("ready after {:.2} s", begun.elapsed().as_secs_f64());
    Ok(())
}
