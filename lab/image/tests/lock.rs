//! The images of this machine are those of the lock.
//!
//! Tier: test

use wamr_image::NodeImage;
use wamr_image::lock::{Agreement, read};

#[test]
fn the_images_of_this_machine_are_those_of_the_lock() {
    let path = wamr_image::description_path(&wamr_image::default_cache());
    let Some(text) = wamr_testing::text(&path, "build it with wamr-lab image build") else {
        return;
    };
    let image: NodeImage = serde_json::from_str(&text).unwrap();
    match read().unwrap().agreement(&image) {
        Agreement::OtherCompilers => wamr_testing::skip("compilers"),
        Agreement::Differing(names) => {
            assert!(names.is_empty(), "other bytes, or an old node image: {names:?}");
        }
    }
}
