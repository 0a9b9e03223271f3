//! Texts kept in files, to compare with.

use std::{fs, path::Path};

use crate::environment;

/// Asserts that a text is the one in a file. With `AGENT_RUNTIME_UPDATE_GOLDEN=1` the file is written instead.
///
/// A relative path is relative to the directory of the package, where `cargo test` runs the tests. Line ends of the file may be those
/// of Windows.
///
/// # Panics
///
/// If the text is another one or there is no such file; the message shows both texts and says how to update the file.
#[track_caller]
pub fn assert_golden(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    match environment::updates_golden_files() {
        Ok(false) => compare(path, text),
        Ok(true) => update(path, text),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn compare(path: &Path, text: &str) {
    let variable = environment::UPDATE_GOLDEN;
    let expected = match fs::read_to_string(path) {
        Ok(expected) => expected.replace("\r\n", "\n"),
        Err(error) => panic!("{}: {error}; {variable}=1 writes it, with\n{text}", path.display()),
    };
    if expected != text {
        let same = expected.lines().zip(text.lines()).take_while(|(expected, found)| expected == found).count();
        panic!(
            "{} differs from line {} on; {variable}=1 updates it\n--- expected\n{expected}\n--- found\n{text}",
            path.display(),
            same + 1,
        );
    }
}

#[track_caller]
fn update(path: &Path, text: &str) {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    if let Err(error) = folder.and_then(|()| fs::write(path, text)) {
        panic!("{}: {error}", path.display());
    }
}
