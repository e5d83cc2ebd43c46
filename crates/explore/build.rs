//! Lists the folders of `data/museum` for the program, which has their files in itself.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let museum = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("data/museum");
    println!("cargo::rerun-if-changed={}", museum.display());
    let mut ids = Vec::new();
    for entry in fs::read_dir(&museum)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            ids.push(
                entry.file_name().into_string().map_err(|name| format!("{}: not UTF-8", name.display()))?,
            );
        }
    }
    ids.sort();
    let mut text = String::from("const FOLDERS: &[Folder] = &[\n");
    for id in ids {
        writeln!(text, "Folder {{ id: {id:?},")?;
        for (field, file) in [
            ("exhibit", "exhibit.toml"),
            ("machine", "machine.toml"),
            ("script", "script.sh"),
            ("story", "story.md"),
        ] {
            let path = museum.join(&id).join(file);
            writeln!(text, "{field}: include_str!({:?}),", path.to_str().ok_or("a path that is not UTF-8")?)?;
        }
        text.push_str("},\n");
    }
    text.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("museum.rs"), text)?;
    Ok(())
}
