//! OCI image archives, the same bytes for the same content: an OCI image layout in a tar.
//!
//! Source: OCI image-spec 1.1, `image-layout.md`, `manifest.md`, `config.md`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::path::Path;

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde_json::json;

use crate::digest;

/// What a container of the image runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// The name it is imported under.
    pub reference: String,
    /// Program and arguments.
    pub entrypoint: Vec<String>,
    /// Time stamp of the image, seconds since the epoch.
    pub created_s: u64,
}

/// A layer: an uncompressed tar of its own, with its digest.
pub struct Layer {
    content: File,
    sha256: String,
    bytes: u64,
}

impl Layer {
    /// Collects what `fill` writes as a layer in a temporary file.
    ///
    /// # Errors
    /// `fill` fails, or the temporary file cannot be written.
    pub fn build(fill: impl FnOnce(&mut LayerWriter) -> io::Result<()>) -> io::Result<Self> {
        let mut builder = tar::Builder::new(digest::Hashing::new(tempfile::tempfile()?));
        fill(&mut builder)?;
        let (sha256, bytes, content) = builder.into_inner()?.finish();
        Ok(Self { content, sha256, bytes })
    }

    /// Writes the layer to the file `to`.
    ///
    /// # Errors
    /// Reading or writing fails.
    pub fn save(&mut self, to: &Path) -> io::Result<()> {
        self.content.rewind()?;
        io::copy(&mut self.content, &mut File::create(to)?).map(drop)
    }

    /// The layer that [`Layer::save`] wrote to `path`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut content = File::open(path)?;
        let mut hashing = digest::Hashing::new(io::sink());
        io::copy(&mut content, &mut hashing)?;
        let (sha256, bytes, _) = hashing.finish();
        Ok(Self { content, sha256, bytes })
    }
}

/// Takes the entries of a layer; [`crate::layer`] has functions for them.
pub type LayerWriter = tar::Builder<digest::Hashing<File>>;

/// Writes an image to `to`, of `layers` from the lowest to the highest; returns the digest of its
/// manifest, `sha256:…`.
///
/// # Errors
/// Reading a layer or writing the archive fails.
pub fn write(to: &mut impl Write, config: &ImageConfig, layers: &mut [Layer]) -> Result<String> {
    let config_text = config_json(config, layers);
    let config_sha256 = digest::of_bytes(config_text.as_bytes());
    let manifest_text = manifest_json(&config_sha256, config_text.len(), layers);
    let manifest_sha256 = digest::of_bytes(manifest_text.as_bytes());
    let index_text = index_json(config, &manifest_sha256, manifest_text.len());
    // Sorted by digest: a map does it.
    let texts = [(&config_sha256, &config_text), (&manifest_sha256, &manifest_text)];
    let texts = texts.map(|(sha256, text)| (sha256.clone(), Blob::Text(text)));
    let layers = layers.iter_mut().map(|layer| (layer.sha256.clone(), Blob::Layer(layer)));
    let blobs: BTreeMap<String, Blob<'_>> = texts.into_iter().chain(layers).collect();
    let write_all = || -> io::Result<()> {
        let mut archive = tar::Builder::new(to);
        let layout = r#"{"imageLayoutVersion":"1.0.0"}"#;
        append(&mut archive, "oci-layout", layout.len() as u64, layout.as_bytes(), config)?;
        append(&mut archive, "index.json", index_text.len() as u64, index_text.as_bytes(), config)?;
        for (sha256, blob) in blobs {
            let path = format!("blobs/sha256/{sha256}");
            match blob {
                Blob::Text(text) => {
                    append(&mut archive, &path, text.len() as u64, text.as_bytes(), config)?;
                }
                Blob::Layer(layer) => {
                    layer.content.rewind()?;
                    append(&mut archive, &path, layer.bytes, &layer.content, config)?;
                }
            }
        }
        archive.into_inner()?.flush()
    };
    write_all()
        .into_diagnostic()
        .with_context(|| format!("cannot write the archive of {}", config.reference))?;
    Ok(format!("sha256:{manifest_sha256}"))
}

/// What lies in an archive under its digest.
enum Blob<'a> {
    Text(&'a String),
    Layer(&'a mut Layer),
}

fn append(
    archive: &mut tar::Builder<&mut impl Write>,
    path: &str,
    bytes: u64,
    content: impl Read,
    config: &ImageConfig,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_mtime(config.created_s);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, path, content)
}

fn config_json(config: &ImageConfig, layers: &[Layer]) -> String {
    let diff_ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", layer.sha256)).collect();
    let history: Vec<_> = layers.iter().map(|_| json!({ "created_by": "wamr-lab" })).collect();
    // The kind of the machine, also for Wasm: containerd picks images by the node's platform.
    json!({
        "architecture": "amd64",
        "config": { "Entrypoint": config.entrypoint, "Env": [PATH], "WorkingDir": "/" },
        "history": history,
        "os": "linux",
        "rootfs": { "diff_ids": diff_ids, "type": "layers" },
    })
    .to_string()
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn manifest_json(config_sha256: &str, config_bytes: usize, layers: &[Layer]) -> String {
    let descriptor = |layer: &Layer| {
        json!({
            "digest": format!("sha256:{}", layer.sha256),
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "size": layer.bytes,
        })
    };
    json!({
        "config": {
            "digest": format!("sha256:{config_sha256}"),
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "size": config_bytes,
        },
        "layers": layers.iter().map(descriptor).collect::<Vec<_>>(),
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "schemaVersion": 2,
    })
    .to_string()
}

fn index_json(config: &ImageConfig, manifest_sha256: &str, manifest_bytes: usize) -> String {
    let tag = config.reference.rsplit(':').next().unwrap_or_default();
    json!({
        "manifests": [{
            "annotations": {
                "io.containerd.image.name": config.reference,
                "org.opencontainers.image.ref.name": tag,
            },
            "digest": format!("sha256:{manifest_sha256}"),
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "platform": { "architecture": "amd64", "os": "linux" },
            "size": manifest_bytes,
        }],
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "schemaVersion": 2,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{self, Rules};

    const MTIME_S: u64 = 1_234_567_890;
    const RULES: Rules<'_> = Rules { mtime_s: MTIME_S, excluded: &["left/out", "out"] };

    fn config() -> ImageConfig {
        ImageConfig {
            reference: "localhost/wamr-lab/thing:1".to_owned(),
            entrypoint: vec!["/thing".to_owned(), "-v".to_owned()],
            created_s: MTIME_S,
        }
    }

    /// A small tree; `names` decides the order in which its files are made.
    fn tree(root: &Path, names: &[&str]) {
        for folder in ["left/out", "out", "right"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for name in names {
            std::fs::write(root.join(name), name.as_bytes()).unwrap();
        }
        std::os::unix::fs::symlink("../thing", root.join("right/link")).unwrap();
    }

    fn archive_of(root: &Path) -> (Vec<u8>, String) {
        let mut bytes = Vec::new();
        let layer = Layer::build(|to| layer::add_tree(to, RULES, root)).unwrap();
        let digest = write(&mut bytes, &config(), &mut [layer]).unwrap();
        (bytes, digest)
    }

    /// Path and content of every entry, in the order of the tar.
    fn listing(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(tar);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), MTIME_S);
            assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0));
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), content)
        };
        archive.entries().unwrap().map(read).collect()
    }

    fn blob<'a>(
        entries: &'a BTreeMap<String, Vec<u8>>,
        descriptor: &serde_json::Value,
    ) -> &'a [u8] {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let content = &entries[&format!("blobs/sha256/{digest}")];
        assert_eq!(digest, digest::of_bytes(content));
        assert_eq!(descriptor["size"].as_u64().unwrap(), content.len() as u64);
        content
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tree(one.path(), &["thing", "a", "right/b", "out/c"]);
        tree(two.path(), &["right/b", "a", "thing", "left/out/d"]);
        let first = archive_of(one.path());
        assert_eq!(first, archive_of(two.path()));
        std::fs::write(two.path().join("a"), "changed").unwrap();
        assert_ne!(first.1, archive_of(two.path()).1);
    }

    #[test]
    fn a_saved_layer_is_the_same_layer_below_another() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        tree(&root, &["thing", "a"]);
        let mut lower = Layer::build(|to| layer::add_tree(to, RULES, &root)).unwrap();
        let saved = folder.path().join("layer.tar");
        lower.save(&saved).unwrap();
        let image = |lower: Layer| {
            let file = root.join("thing");
            let upper =
                Layer::build(|to| layer::add_file(to, RULES, &file, Path::new("upper"), 0o644));
            let mut layers = [lower, upper.unwrap()];
            let digests = layers.each_ref().map(|layer| json!(format!("sha256:{}", layer.sha256)));
            let mut bytes = Vec::new();
            write(&mut bytes, &config(), &mut layers).unwrap();
            (bytes, digests)
        };
        let (bytes, digests) = image(lower);
        assert_eq!(bytes, image(Layer::open(&saved).unwrap()).0);
        let entries: BTreeMap<_, _> = listing(&bytes).into_iter().collect();
        let index: serde_json::Value = serde_json::from_slice(&entries["index.json"]).unwrap();
        let manifest = blob(&entries, &index["manifests"][0]);
        let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        let config = blob(&entries, &manifest["config"]);
        let config: serde_json::Value = serde_json::from_slice(config).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!(digests), "the lowest first");
        assert_eq!(config["history"].as_array().unwrap().len(), 2);
        let in_manifest: Vec<_> =
            manifest["layers"].as_array().unwrap().iter().map(|one| &one["digest"]).collect();
        assert_eq!(in_manifest, digests.iter().collect::<Vec<_>>());
    }

    #[test]
    fn an_archive_reads_back_as_the_image_that_was_put_in() {
        let root = tempfile::tempdir().unwrap();
        tree(root.path(), &["thing", "z", "c", "right/b", "a", "b", "out/c"]);
        let (bytes, manifest_digest) = archive_of(root.path());
        let entries: BTreeMap<_, _> = listing(&bytes).into_iter().collect();
        assert_eq!(entries["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
        let index: serde_json::Value = serde_json::from_slice(&entries["index.json"]).unwrap();
        let in_index = &index["manifests"][0];
        assert_eq!(in_index["digest"], manifest_digest);
        let annotations = &in_index["annotations"];
        assert_eq!(annotations["io.containerd.image.name"], "localhost/wamr-lab/thing:1");
        assert_eq!(annotations["org.opencontainers.image.ref.name"], "1");
        let manifest: serde_json::Value = serde_json::from_slice(blob(&entries, in_index)).unwrap();
        let config: serde_json::Value =
            serde_json::from_slice(blob(&entries, &manifest["config"])).unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/thing", "-v"]));
        let in_manifest = &manifest["layers"][0];
        assert_eq!(config["rootfs"]["diff_ids"][0], in_manifest["digest"]);
        let in_layer = listing(blob(&entries, in_manifest));
        let names: Vec<_> = in_layer.iter().map(|(name, _)| name.as_str()).collect();
        // Sorted, whatever order the file system lists them in.
        assert_eq!(names, ["a", "b", "c", "left", "right", "right/b", "right/link", "thing", "z"]);
        assert_eq!(in_layer[7].1, b"thing");
        assert_eq!(entries.len(), 5, "no blob that nothing names: {:?}", entries.keys());
    }
}
