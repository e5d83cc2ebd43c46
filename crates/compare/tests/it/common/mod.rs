//! The capture folders beside the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use compare::capture::Capture;

/// `tests/captures` of the workspace.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures")
}

/// A capture folder, by kernel and case.
pub fn capture(kernel: &str, case: &str) -> Capture {
    let folder = root().join(kernel).join(case);
    Capture::read(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
}

/// The names of the capture folders of one kernel, sorted; those of drawn machines stand in `fuzz`.
pub fn cases(kernel: &str) -> Vec<String> {
    let mut names = folders(&root().join(kernel));
    if let Some(at) = names.iter().position(|name| name == "fuzz") {
        let drawn = folders(&root().join(kernel).join("fuzz"));
        names.splice(at..=at, drawn.into_iter().map(|name| format!("fuzz/{name}")));
    }
    names
}

fn folders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let folders = entries.map(|entry| entry.expect("an entry")).filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> =
        folders.map(|folder| folder.file_name().into_string().expect("a name in UTF-8")).collect();
    names.sort();
    names
}
