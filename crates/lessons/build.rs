//! Lists the folders of `data` for the program, which has their files in itself.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let data = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("data");
    println!("cargo::rerun-if-changed={}", data.display());
    let mut numbers = Vec::new();
    for entry in fs::read_dir(&data)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<u32>().ok());
        numbers.push(number.ok_or_else(|| format!("{}: a lesson is named by a number", name.display()))?);
    }
    numbers.sort_unstable();
    let mut text = String::from("const FOLDERS: &[Folder] = &[\n");
    for number in numbers {
        writeln!(text, "Folder {{ number: {number},")?;
        for (field, file) in [
            ("lesson", "lesson.toml"),
            ("machine", "machine.toml"),
            ("script", "script.sh"),
            ("text", "lesson.md"),
        ] {
            let path = data.join(number.to_string()).join(file);
            writeln!(text, "{field}: include_str!({:?}),", path.to_str().ok_or("a path that is not UTF-8")?)?;
        }
        text.push_str("},\n");
    }
    text.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("lessons.rs"), text)?;
    Ok(())
}
