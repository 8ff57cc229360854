//! The images of this machine are those of the lock.
//!
//! Tier: test

use wamr_image::NodeImage;
use wamr_image::lock::{Agreement, read};

#[test]
fn the_images_of_this_machine_are_those_of_the_lock() {
    let path = wamr_image::description_path(&wamr_image::default_cache());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return wamr_testing::lacking(format!("{}: {error}", path.display())),
    };
    let image: NodeImage = serde_json::from_str(&text).unwrap();
    match read().unwrap().agreement(&image) {
        Agreement::OtherCompilers => wamr_testing::skip("compilers"),
        Agreement::Differing(names) => {
            assert!(names.is_empty(), "other bytes, or an old node image: {names:?}");
        }
    }
}
