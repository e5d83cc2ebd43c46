//! Files of the user: text that is read up to a bound, and output that is there whole or not at all.
//!
//! What is written appears under its name when all of it is written: it is written beside, and renamed. So
//! a full disk or an end in the middle leaves what was there before. What was there is replaced only where
//! the user said so.

use core::fmt;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process;

use crate::Diagnostic;

/// Bytes of a text at most. The largest files that anybody has for this are far below it; what is above it
/// is a mistake, and often has no end.
pub const LIMIT: u64 = 64 << 20;

/// A file that cannot be read or written: what was to be done with it, why that is not possible, and what
/// would be.
#[derive(Debug)]
pub struct Error {
    message: String,
    expected: String,
    cause: Option<io::Error>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as &(dyn core::error::Error + 'static))
    }
}

impl Diagnostic for Error {
    fn help(&self) -> Option<String> {
        Some(format!("expected {}", self.expected))
    }
}

impl Error {
    fn read(path: &Path, cause: io::Error) -> Self {
        let message = format!("cannot read {}", path.display());
        Self { message, expected: "a file that can be read".to_owned(), cause: Some(cause) }
    }

    fn write(path: &Path, expected: &str, cause: io::Error) -> Self {
        Self {
            message: format!("cannot write {}", path.display()),
            expected: expected.to_owned(),
            cause: Some(cause),
        }
    }

    fn exists(path: &Path, expected: &str) -> Self {
        let message = format!("cannot write {}: it is there already", path.display());
        Self { message, expected: expected.to_owned(), cause: None }
    }

    /// The file is not there.
    pub fn is_missing(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
    }
}

/// What may happen to what has the name already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// It is replaced.
    Replace,
}

impl Existing {
    /// The option `--force`.
    pub const fn forced(force: bool) -> Self {
        if force { Self::Replace } else { Self::Keep }
    }
}

/// Reads a text.
///
/// # Errors
/// For a file that cannot be read, is longer than [`LIMIT`], or is not UTF-8.
pub fn read(path: &Path) -> Result<String, Error> {
    let file = fs::File::open(path).map_err(|cause| Error::read(path, cause))?;
    read_from(path, file)
}

/// Reads a text from something open, which messages call `path`.
///
/// # Errors
/// As for [`read`].
pub fn read_from(path: &Path, open: impl io::Read) -> Result<String, Error> {
    let mut bytes = Vec::new();
    open.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|cause| Error::read(path, cause))?;
    if bytes.len() as u64 > LIMIT {
        let message = format!("cannot read {}: it is longer than {} MiB", path.display(), LIMIT >> 20);
        return Err(Error { message, expected: "a text that has an end".to_owned(), cause: None });
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let (line, column) = position(good);
        let message = format!("{}:{line}:{column}: this is no text", path.display());
        Error { message, expected: "UTF-8".to_owned(), cause: None }
    })
}

/// Line and column behind some text, in characters from 1.
fn position(text: &[u8]) -> (usize, usize) {
    let start = text.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
    let line = text.iter().filter(|&&b| b == b'\n').count() + 1;
    // Bytes that go on with a character begin with the bits 10.
    (line, text[start..].iter().filter(|&&b| b & 0xc0 != 0x80).count() + 1)
}

/// A name beside `path` that no other process uses.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{what}", process::id()));
    path.with_file_name(name)
}

/// What a name stands for in the end, if it is a link.
fn behind_links(path: &Path) -> PathBuf {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
        _ => path.to_owned(),
    }
}

const FILE: &str = "a file in a folder that can be written to";
const NEW_FILE: &str = "a new name, or --force to replace the file";

/// Finds out whether [`write()`] has a chance, before hours are spent on what is to be written.
///
/// # Errors
/// When it has none.
pub fn check(path: &Path, existing: Existing) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            return Err(Error::write(
                path,
                FILE,
                io::Error::new(io::ErrorKind::IsADirectory, "this is a folder"),
            ));
        }
        Ok(found) if found.is_file() && existing == Existing::Keep => {
            return Err(Error::exists(path, NEW_FILE));
        }
        Ok(found) if !found.is_file() => return Ok(()),
        _ => {}
    }
    let part = beside(&behind_links(path), "part");
    fs::write(&part, "")
        .and_then(|()| fs::remove_file(&part))
        .map_err(|cause| Error::write(path, FILE, cause))
}

/// Writes a file, all of it or nothing. What is no regular file, such as a terminal or a pipe, is written to
/// as it is.
///
/// # Errors
/// When it cannot be written, or is there and is to stay.
pub fn write(path: &Path, bytes: &[u8], existing: Existing) -> Result<(), Error> {
    check(path, existing)?;
    let failed = |cause| Error::write(path, FILE, cause);
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let mut file = fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
        return file.write_all(bytes).and_then(|()| file.flush()).map_err(failed);
    }
    let target = behind_links(path);
    let part = beside(&target, "part");
    let written = fs::write(&part, bytes).and_then(|()| match existing {
        Existing::Replace => fs::rename(&part, &target),
        // A link cannot take a name that somebody has taken meanwhile, as a rename can.
        Existing::Keep => match fs::hard_link(&part, &target) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists && !target.exists() => {
                fs::rename(&part, &target)
            }
            other => other,
        },
    });
    // It is gone where it was renamed, and of no use to anybody elsewhere.
    let _ = fs::remove_file(&part);
    match written {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(Error::exists(path, NEW_FILE)),
        other => other.map_err(failed),
    }
}

const FOLDER: &str = "a folder that can be made";

/// Writes a folder with these files in it, all of them or nothing. A folder without anything in it may be
/// there already. With [`Existing::Replace`] one with files in it may be, if `ours` knows each of their
/// names: they go, also those that are not written anew.
///
/// # Errors
/// When it cannot be written, or holds what is to stay.
pub fn write_folder(
    folder: &Path,
    files: &[(&str, &str)],
    existing: Existing,
    ours: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let fill = |part: &Path| files.iter().try_for_each(|(name, text)| fs::write(part.join(name), text));
    write_tree(folder, existing, ours, fill)
}

/// [`write_folder`] for files in folders of their own: `fill` makes all of it in the folder that it is given.
///
/// # Errors
/// As [`write_folder`], and what `fill` fails with.
pub fn write_tree(
    folder: &Path,
    existing: Existing,
    ours: impl Fn(&str) -> bool,
    fill: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), Error> {
    let failed = |cause| Error::write(folder, FOLDER, cause);
    let target = behind_links(folder);
    match fs::metadata(&target) {
        Ok(found) if !found.is_dir() => {
            return Err(Error::exists(folder, "a folder, or a name that is free"));
        }
        Ok(_) => may_go(folder, existing, ours)?,
        Err(_) => {}
    }
    if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let (part, old) = (beside(&target, "part"), beside(&target, "old"));
    let fill = || -> io::Result<()> {
        fs::create_dir(&part)?;
        fill(&part)?;
        if existing == Existing::Keep {
            // A folder takes the name of an empty one, and of no other.
            return fs::rename(&part, &target);
        }
        // Somebody else may do the same at the same time; then the last one stays, whole.
        for _ in 0..100 {
            match fs::rename(&part, &target) {
                Err(_) if target.is_dir() => match fs::rename(&target, &old) {
                    Ok(()) => {
                        let renamed = fs::rename(&part, &target);
                        if renamed.is_err() && !target.exists() {
                            fs::rename(&old, &target)?;
                            return renamed;
                        }
                        fs::remove_dir_all(&old)?;
                        if renamed.is_ok() {
                            return Ok(());
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                },
                other => return other,
            }
        }
        Err(io::Error::other("somebody else goes on writing it"))
    };
    let written = fill();
    if written.is_err() {
        // Nothing of it is of use to anybody.
        let _ = fs::remove_dir_all(&part);
    }
    written.map_err(|cause| {
        let taken = matches!(cause.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists);
        if taken { Error::exists(folder, NEW_FOLDER) } else { failed(cause) }
    })
}

const NEW_FOLDER: &str = "a folder that is empty or not there, or --force to replace what was recorded there";

/// Whether what is in a folder may be replaced.
fn may_go(folder: &Path, existing: Existing, ours: impl Fn(&str) -> bool) -> Result<(), Error> {
    let failed = |cause| Error::write(folder, FOLDER, cause);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if existing == Existing::Keep {
            return Err(Error::exists(folder, NEW_FOLDER));
        }
        let name = entry.file_name();
        let is_file = entry.file_type().map_err(failed)?.is_file();
        if !(is_file && name.to_str().is_some_and(&ours)) {
            let message = format!(
                "cannot write {}: it holds `{}`, which would be lost",
                folder.display(),
                name.to_string_lossy()
            );
            let expected = "a folder with nothing in it but what is replaced".to_owned();
            return Err(Error { message, expected, cause: None });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for a test, without anything in it.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("diagnostic-{}-{name}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn said<T: fmt::Debug>(result: Result<T, Error>) -> String {
        crate::Report::from(result.unwrap_err()).to_string()
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        assert!(said(read(Path::new("/dev/zero"))).ends_with("it is longer than 64 MiB"));
        assert!(said(read(Path::new("/dev/full"))).ends_with("it is longer than 64 MiB"));
    }

    #[test]
    fn what_is_no_text_has_its_place() {
        let folder = folder("text");
        let path = folder.join("a");
        fs::write(&path, b"\xc3\xa4\nx\xc3\xa4\xff").unwrap();
        assert!(said(read(&path)).ends_with("a:2:3: this is no text"));
        assert!(said(read(&folder)).starts_with("cannot read "));
        assert!(read(&folder.join("b")).unwrap_err().is_missing());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_is_replaced_only_when_that_was_said() {
        let folder = folder("file");
        let path = folder.join("a");
        write(&path, b"1", Existing::Keep).unwrap();
        assert!(said(write(&path, b"2", Existing::Keep)).ends_with("a: it is there already"));
        assert_eq!(fs::read(&path).unwrap(), b"1");
        write(&path, b"2", Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(names(&folder), ["a"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_disk_leaves_what_was_there() {
        let full = Path::new("/dev/full");
        if full.exists() {
            assert!(said(write(full, b"1", Existing::Keep)).contains("cannot write /dev/full: "));
        }
        let folder = folder("full");
        // A name that is too long for what is written beside is as good as a full disk.
        let name = "x".repeat(250);
        fs::write(folder.join(&name), "1").unwrap();
        assert!(write(&folder.join(&name), b"2", Existing::Replace).is_err());
        assert_eq!(fs::read(folder.join(&name)).unwrap(), b"1");
        assert_eq!(names(&folder), [name]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_is_there_whole_or_not_at_all() {
        let top = folder("folder");
        let out = top.join("deep/out");
        let ours = |name: &str| name.ends_with(".flow");
        write_folder(&out, &[("a.flow", "1"), ("b.flow", "2")], Existing::Keep, ours).unwrap();
        assert!(
            said(write_folder(&out, &[("a.flow", "3")], Existing::Keep, ours))
                .ends_with("it is there already")
        );
        assert_eq!(names(&out), ["a.flow", "b.flow"]);
        // What is not written anew does not stay behind as if it belonged to the rest.
        write_folder(&out, &[("a.flow", "3")], Existing::Replace, ours).unwrap();
        assert_eq!(names(&out), ["a.flow"]);
        fs::write(out.join("letter"), "dear").unwrap();
        let wrong = write_folder(&out, &[("a.flow", "4")], Existing::Replace, ours);
        assert!(said(wrong).ends_with("it holds `letter`, which would be lost"));
        assert_eq!(
            (names(&out), fs::read(out.join("a.flow")).unwrap()),
            (vec!["a.flow".into(), "letter".into()], b"3".to_vec())
        );
        // A file that cannot be written in the middle.
        let broken = top.join("broken");
        assert!(write_folder(&broken, &[("a.flow", "1"), ("no/b.flow", "2")], Existing::Keep, ours).is_err());
        assert_eq!(names(&top), ["deep"]);
        fs::create_dir(&broken).unwrap();
        write_folder(&broken, &[("a.flow", "1")], Existing::Keep, ours).unwrap();
        assert_eq!(
            (names(&broken), names(&top)),
            (vec!["a.flow".into()], vec!["broken".into(), "deep".into()])
        );
        fs::remove_dir_all(top).unwrap();
    }
}
