//! The files of a machine, from wherever they come: a running system, a folder, an archive, a state of a capture,
//! or a pasted /proc/interrupts.
//!
//! A [`Tree`] has the files that import reads and no others, under the paths that they had on the machine.
//! Nothing is unpacked, no link is followed, and every count has a limit, so that an archive can be anything.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sim::machine::Machine;

/// The largest file that is read. /proc/interrupts of 512 CPUs and 8000 interrupts has 45 MB.
const MAX_FILE: u64 = 128 << 20;
/// What is kept in all.
const MAX_KEPT: u64 = 512 << 20;
/// What an archive may have in all when it is unpacked: a sos report with logs has some hundred MB.
const MAX_UNPACKED: u64 = 4 << 30;
/// Entries of an archive or a folder.
const MAX_ENTRIES: u64 = 2_000_000;
/// Archives in archives: a must-gather has one.
const MAX_NESTED: u64 = 4;
/// How deep folders are.
const MAX_DEPTH: usize = 24;

/// Where the collector puts what `nvme get-feature -f 7` says, by controller.
pub(crate) const FEATURES: &str = "sos_commands/nvme/feature-7";
/// The files of a capture's folder.
const STATE: &str = "state-boot.txt";
const MACHINE: &str = "machine.toml";

/// Why nothing can be read from a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system said so.
    #[error("cannot read {path}")]
    Io {
        /// What was to be read.
        path: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// It goes on too long.
    #[error("{path} has more than {limit} {what}: this is not the archive of a machine")]
    TooLarge {
        /// The source.
        path: String,
        /// What there is too much of.
        what: &'static str,
        /// How much of it import takes.
        limit: u64,
    },
    /// It ends in the middle, or is no archive.
    #[error("{path} is cut short or damaged: {cause}")]
    Damaged {
        /// The source.
        path: String,
        /// What the reader of archives says.
        cause: String,
    },
    /// It is packed in a way that is not read here.
    #[error("{path} is {what}, which is not read here")]
    Packed {
        /// The source.
        path: String,
        /// What it is.
        what: &'static str,
        /// What to do about it.
        unpack: &'static str,
    },
    /// A must-gather of several nodes.
    #[error("{path} is a second machine in the archive")]
    Second {
        /// The archive of the second one.
        path: String,
    },
    /// There is nothing of a machine in it.
    #[error("{path} has no /proc/interrupts, and no files below /sys/devices/system/cpu either")]
    Empty {
        /// The source.
        path: String,
    },
}

impl diagnostic::Diagnostic for SourceError {
    fn help(&self) -> Option<String> {
        match self {
            Self::Empty { .. } => Some(
                "expected a running system (/), a folder or tar archive with its /proc and /sys, a sos report, a \
                 sysinfo.tgz of a must-gather, what hwloc-gather-topology writes, a state of a capture, or a text of \
                 /proc/interrupts; `irqlab import --collect` prints a script that gathers what is needed"
                    .to_owned(),
            ),
            Self::Packed { unpack, .. } => Some(format!("{unpack}, and import what comes out")),
            Self::Second { .. } => {
                Some("unpack the archive and import one sysinfo.tgz, or one folder".to_owned())
            }
            _ => None,
        }
    }
}

/// What archives begin with that are not read, what they are, and what to do about it.
const FOREIGN: [(&[u8], &str, &str); 7] = [
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it with `zstd -d`"),
    (b"PK\x03\x04", "a zip archive", "unpack it with `unzip`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it with `7z x`"),
    (b"\x04\x22\x4d\x18", "packed with lz4", "unpack it with `lz4 -d`"),
    (b"LZIP", "packed with lzip", "unpack it with `lzip -d`"),
    (b"070701", "a cpio archive", "unpack it with `cpio -id`"),
    (b"\x1f\x9d", "packed with compress", "unpack it with `gzip -d`"),
];

/// A file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Its bytes, and its mode where the source kept it.
    File(Vec<u8>, Option<u32>),
    /// Where a link leads, as it is written.
    Link(String),
}

/// The files of a machine, by path without a slash in front: `proc/interrupts`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
    kept: u64,
    nested: u64,
    /// What kind of source it was, in words.
    pub kind: String,
}

impl Tree {
    /// Reads a source: `/`, a folder, an archive or a text.
    ///
    /// # Errors
    /// A [`SourceError`].
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        let io = |cause| SourceError::Io { path: name.clone(), cause };
        let mut tree = Self::default();
        let meta = fs::metadata(path).map_err(io)?;
        if meta.is_dir() {
            tree.kind = if path == Path::new("/") { "this system" } else { "a folder" }.to_owned();
            if path.join(STATE).is_file() && path.join(MACHINE).is_file() {
                tree.capture(path)?;
                return tree.checked(&name);
            }
            let mut walk = Walk { tree: &mut tree, name: &name, seen: 0, live: path == Path::new("/") };
            walk.folder(path, "", 0)?;
        } else {
            let file = fs::File::open(path).map_err(io)?;
            tree.stream(&name, Box::new(file))?;
        }
        tree.checked(&name)
    }

    /// Reads an archive or a text that is not a file.
    ///
    /// # Errors
    /// A [`SourceError`].
    pub fn read_from(name: &str, from: impl Read + Send + 'static) -> Result<Self, SourceError> {
        let mut tree = Self::default();
        tree.stream(name, Box::new(from))?;
        tree.checked(name)
    }

    /// The folder of a capture: the state of a real kernel, and beside it what /sys and /proc/cmdline said, which
    /// its `machine.toml` has.
    fn capture(&mut self, folder: &Path) -> Result<(), SourceError> {
        let (state, machine) = (folder.join(STATE), folder.join(MACHINE));
        let named = |path: &Path| path.display().to_string();
        let read = |path: &Path| {
            let io = |cause| SourceError::Io { path: named(path), cause };
            let mut bytes = Vec::new();
            fs::File::open(path).map_err(io)?.take(MAX_FILE).read_to_end(&mut bytes).map_err(io)?;
            Ok(bytes)
        };
        self.pasted(&named(&state), &read(&state)?)?;
        let text = String::from_utf8_lossy(&read(&machine)?).into_owned();
        let machine = Machine::parse(&named(&machine), &text)
            .map_err(|e| SourceError::Damaged { path: named(&machine), cause: e.to_string() })?;
        for (path, entry) in crate::sysroot::hardware(machine) {
            if !self.entries.contains_key(&path) {
                self.insert(&path, path.clone(), entry)?;
            }
        }
        self.kind = "a capture".to_owned();
        Ok(())
    }

    fn checked(self, name: &str) -> Result<Self, SourceError> {
        let cpus = self.under("sys/devices/system/cpu/").next().is_some();
        if self.text("proc/interrupts").is_none() && !cpus {
            return Err(SourceError::Empty { path: name.to_owned() });
        }
        Ok(self)
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        match self.entries.get(path)? {
            Entry::File(bytes, _) => core::str::from_utf8(bytes).ok(),
            Entry::Link(_) => None,
        }
    }

    /// The bytes of a file.
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        match self.entries.get(path)? {
            Entry::File(bytes, _) => Some(bytes),
            Entry::Link(_) => None,
        }
    }

    /// The text of a file without the white space around it; `None` also for an empty one.
    pub fn word(&self, path: &str) -> Option<&str> {
        self.text(path).map(str::trim).filter(|word| !word.is_empty())
    }

    /// The mode of a file, where the source kept modes.
    pub fn mode(&self, path: &str) -> Option<u32> {
        match self.entries.get(path)? {
            Entry::File(_, mode) => *mode,
            Entry::Link(_) => None,
        }
    }

    /// Where a link leads, as it is written.
    pub fn link(&self, path: &str) -> Option<&str> {
        match self.entries.get(path)? {
            Entry::Link(to) => Some(to),
            Entry::File(..) => None,
        }
    }

    /// All paths that begin like this.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let from = self.entries.range(prefix.to_owned()..);
        from.map(|(path, _)| path.as_str()).take_while(move |path| path.starts_with(prefix))
    }

    /// The names of files and folders in a folder.
    pub fn names<'a>(&'a self, folder: &'a str) -> Vec<&'a str> {
        let mut names: Vec<&str> = self
            .under(folder)
            .filter_map(|path| path[folder.len()..].strip_prefix('/')?.split('/').next())
            .collect();
        names.dedup();
        names
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn insert(&mut self, name: &str, path: String, entry: Entry) -> Result<(), SourceError> {
        self.kept += match &entry {
            Entry::File(bytes, _) => bytes.len() as u64,
            Entry::Link(to) => to.len() as u64,
        };
        if self.kept > MAX_KEPT {
            return Err(SourceError::TooLarge {
                path: name.to_owned(),
                what: "bytes of a machine",
                limit: MAX_KEPT,
            });
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// An archive, packed or not, or a text.
    fn stream(&mut self, name: &str, from: Box<dyn Read + Send>) -> Result<(), SourceError> {
        let mut from = BufReader::with_capacity(1 << 16, from);
        let head =
            from.fill_buf().map_err(|cause| SourceError::Io { path: name.to_owned(), cause })?.to_vec();
        let unpacked: Box<dyn Read> = match head[..] {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(from)),
            [b'B', b'Z', b'h', ..] => Box::new(bzip2_rs::DecoderReader::new(from)),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Box::new(unxz(from)),
            _ => match FOREIGN.iter().find(|(magic, ..)| head.starts_with(magic)) {
                Some(&(_, what, unpack)) => {
                    return Err(SourceError::Packed { path: name.to_owned(), what, unpack });
                }
                None => Box::new(from),
            },
        };
        let mut unpacked = BufReader::with_capacity(1 << 16, Limited { from: unpacked, left: MAX_UNPACKED });
        let head = peek(&mut unpacked).map_err(|e| damaged(name, &e))?;
        if head.len() >= 262 && &head[257..262] == b"ustar" {
            self.kind = "a tar archive".to_owned();
            return self.archive(name, unpacked);
        }
        let mut text = Vec::new();
        let read = unpacked.take(MAX_FILE + 1).read_to_end(&mut text).map_err(|e| damaged(name, &e))?;
        if read as u64 > MAX_FILE {
            return Err(SourceError::TooLarge {
                path: name.to_owned(),
                what: "bytes of text",
                limit: MAX_FILE,
            });
        }
        self.pasted(name, &text)
    }

    fn archive(&mut self, name: &str, from: impl Read) -> Result<(), SourceError> {
        let mut archive = tar::Archive::new(from);
        let entries = archive.entries().map_err(|e| damaged(name, &e))?;
        for (seen, entry) in (1..).zip(entries) {
            if seen > MAX_ENTRIES {
                return Err(SourceError::TooLarge {
                    path: name.to_owned(),
                    what: "entries",
                    limit: MAX_ENTRIES,
                });
            }
            let mut entry = entry.map_err(|e| damaged(name, &e))?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some(path) = wanted(&path) else { continue };
            let kind = entry.header().entry_type();
            let made = if kind.is_symlink() {
                let to = entry.link_name_bytes().map(|to| String::from_utf8_lossy(&to).into_owned());
                Entry::Link(to.unwrap_or_default())
            } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
                let mut bytes = Vec::new();
                let size =
                    (&mut entry).take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| damaged(name, &e))?;
                if size as u64 > MAX_FILE {
                    return Err(SourceError::TooLarge {
                        path: format!("{path} in {name}"),
                        what: "bytes",
                        limit: MAX_FILE,
                    });
                }
                let mode = entry.header().mode().ok().map(|mode| mode & 0o777);
                if path.ends_with("sysinfo.tgz") {
                    self.nested(&format!("{path} in {name}"), bytes)?;
                    continue;
                }
                Entry::File(bytes, mode)
            } else {
                continue;
            };
            self.insert(name, path, made)?;
        }
        // What packed it has a checksum behind the archive's end.
        io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|e| damaged(name, &e))?;
        Ok(())
    }

    /// A must-gather has an archive for each node.
    fn nested(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), SourceError> {
        self.nested += 1;
        if self.nested > MAX_NESTED {
            return Err(SourceError::TooLarge {
                path: name.to_owned(),
                what: "archives in archives",
                limit: MAX_NESTED,
            });
        }
        if self.text("proc/interrupts").is_some() {
            return Err(SourceError::Second { path: name.to_owned() });
        }
        self.stream(name, Box::new(io::Cursor::new(bytes)))
    }

    /// A state of a capture, whose files are under lines with their paths, or a pasted /proc/interrupts.
    fn pasted(&mut self, name: &str, text: &[u8]) -> Result<(), SourceError> {
        let text = String::from_utf8_lossy(text).into_owned();
        if !text.starts_with("=== /") {
            if text.lines().next().is_some_and(|line| line.trim_start().starts_with("CPU")) {
                self.kind = "a text of /proc/interrupts".to_owned();
                self.insert(name, "proc/interrupts".to_owned(), Entry::File(text.into_bytes(), None))?;
            }
            return Ok(());
        }
        self.kind = "a state".to_owned();
        let mut path = None;
        let mut body = String::new();
        for line in text.split_inclusive('\n').chain(["=== /\n"]) {
            let Some(next) = line.strip_prefix("=== /") else {
                body.push_str(line);
                continue;
            };
            if let Some(path) = path.take() {
                self.insert(name, path, Entry::File(core::mem::take(&mut body).into_bytes(), None))?;
            }
            path = wanted(next.trim_end());
            body.clear();
        }
        Ok(())
    }
}

fn damaged(name: &str, e: &io::Error) -> SourceError {
    if e.kind() == io::ErrorKind::FileTooLarge {
        return SourceError::TooLarge {
            path: name.to_owned(),
            what: "bytes when unpacked",
            limit: MAX_UNPACKED,
        };
    }
    // The reader of archives cites what it found, whatever that is.
    let cause: String = e.to_string().lines().next().unwrap_or_default().chars().take(160).collect();
    SourceError::Damaged { path: name.to_owned(), cause: cause.trim().to_owned() }
}

/// What a reader begins with, at most 512 bytes.
fn peek(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    // One read fills the buffer as far as its source likes: a decoder may give little at first.
    let head = from.fill_buf()?;
    Ok(head[..head.len().min(512)].to_vec())
}

/// A reader that has an end.
struct Limited<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // The first block of an archive has to come in one piece.
        let mut read = 0;
        while read < buf.len().min(512) {
            match self.from.read(&mut buf[read..])? {
                0 => break,
                n => read += n,
            }
        }
        self.left = self.left.checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

/// Unpacks xz in a thread of its own: the decoder writes, and the reader of archives reads.
fn unxz(mut from: impl BufRead + Send + 'static) -> impl Read {
    let (sender, receiver) = sync_channel(16);
    std::thread::spawn(move || {
        let mut sink = Sink { to: sender };
        if let Err(e) = lzma_rs::xz_decompress(&mut from, &mut sink) {
            let why = match e {
                lzma_rs::error::Error::IoError(e) | lzma_rs::error::Error::HeaderTooShort(e) => e.to_string(),
                lzma_rs::error::Error::LzmaError(why) | lzma_rs::error::Error::XzError(why) => why,
            };
            let what = io::Error::new(io::ErrorKind::InvalidData, why);
            // Nobody listens any more where the reader has had enough.
            let _ = sink.to.send(Err(what));
        }
    });
    Source { from: receiver, chunk: Vec::new(), at: 0 }
}

struct Sink {
    to: SyncSender<io::Result<Vec<u8>>>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.send(Ok(bytes.to_vec())).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Source {
    from: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            match self.from.recv() {
                Ok(chunk) => (self.chunk, self.at) = (chunk?, 0),
                Err(_) => return Ok(0),
            }
        }
        let n = buf.len().min(self.chunk.len() - self.at);
        buf[..n].copy_from_slice(&self.chunk[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// The way through a folder.
struct Walk<'a> {
    tree: &'a mut Tree,
    name: &'a str,
    seen: u64,
    /// It is a running system: only what is wanted is entered.
    live: bool,
}

impl Walk<'_> {
    /// `path` is the folder, `below` its path from the source on.
    fn folder(&mut self, path: &Path, below: &str, depth: usize) -> Result<(), SourceError> {
        // Who may not look into a folder finds nothing there, as root would in /sys/kernel/debug.
        let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
        for entry in entries.flatten() {
            self.seen += 1;
            if self.seen > MAX_ENTRIES {
                return Err(SourceError::TooLarge {
                    path: self.name.to_owned(),
                    what: "files",
                    limit: MAX_ENTRIES,
                });
            }
            let Some(file) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let inner = if below.is_empty() { file } else { format!("{below}/{file}") };
            let Ok(meta) = fs::symlink_metadata(entry.path()) else { continue };
            if meta.is_dir() {
                if depth < MAX_DEPTH && (!self.live || entered(&inner)) {
                    self.folder(&entry.path(), &inner, depth + 1)?;
                }
                continue;
            }
            let Some(wanted) = wanted(&inner) else { continue };
            let made = if meta.is_symlink() {
                let Ok(to) = fs::read_link(entry.path()) else { continue };
                Entry::Link(to.display().to_string())
            } else if meta.is_file() {
                // Files of /sys have no length before they are read, and some cannot be read at all.
                let Ok(file) = fs::File::open(entry.path()) else { continue };
                let mut bytes = Vec::new();
                if file.take(MAX_FILE).read_to_end(&mut bytes).is_err() {
                    continue;
                }
                Entry::File(bytes, Some(mode(&meta)))
            } else {
                continue;
            };
            self.tree.insert(self.name, wanted, made)?;
        }
        Ok(())
    }
}

#[cfg(unix)]
fn mode(meta: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> u32 {
    0
}

/// Folders of a running system that are looked into.
fn entered(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["proc" | "sys"] | ["proc", "irq"] | ["sys", "devices" | "kernel" | "bus"] => true,
        ["proc", "irq", irq] | ["sys", "kernel", "irq", irq] => number(irq),
        ["sys", "kernel", "irq" | "debug"] | ["sys", "kernel", "debug", "irq", ..] => true,
        ["sys", "devices", "system"] | ["sys", "devices", "system", "cpu" | "node"] => true,
        ["sys", "devices", "system", "node", node] => node.starts_with("node"),
        ["sys", "devices", "system", "cpu", cpu, ref rest @ ..] => {
            cpu.strip_prefix("cpu").is_some_and(number)
                && matches!(rest, [] | ["topology"] | ["cache"] | ["cache", "index2"])
        }
        ["sys", "module"] | ["sys", "module", "nvme"] | ["sys", "module", "nvme", "parameters"] => true,
        ["sys", "devices", root, ref rest @ ..] if root.starts_with("pci") => {
            let is_bridge = |part: &&str| address(part) || part.starts_with("pci") && part.contains(':');
            let behind = rest.iter().take_while(|part| is_bridge(part)).count();
            match rest[behind..] {
                [] => true,
                _ if behind == 0 => false,
                ["msi_irqs" | "net" | "nvme"] | ["net" | "nvme", _] => true,
                [virtio, ref inner @ ..] if numbered(virtio, "virtio") => matches!(
                    inner,
                    [] | ["block" | "net"]
                        | ["block" | "net", _]
                        | ["block", _, "mq"]
                        | ["block", _, "mq", _]
                        | ["net", _, "queues"]
                        | ["net", _, "queues", _]
                ),
                _ => false,
            }
        }
        _ => false,
    }
}

fn number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A number behind a word, `virtio3`.
pub(crate) fn numbered(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(number)
}

/// `0000:00:03.0`.
fn address(text: &str) -> bool {
    sim::machine::parse_bdf(text).is_some()
}

/// The path of a file that import reads, from `proc`, `sys` or the name of a command on.
fn wanted(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return None;
    }
    let from = parts.iter().position(|part| ["proc", "sys", "sos_commands"].contains(part));
    let Some(from) = from else {
        // Files of their own: what people paste, the top of a sos report, and the archive of a node.
        let name = match *parts.last()? {
            "interrupts" => "proc/interrupts",
            "cmdline" => "proc/cmdline",
            "version" => "proc/version",
            "cpuinfo" => "proc/cpuinfo",
            "lscpu" => "lscpu",
            "lspci" => "lspci",
            "sysinfo.tgz" => "sysinfo.tgz",
            _ => return None,
        };
        return Some(name.to_owned());
    };
    let parts = &parts[from..];
    let keep = match *parts {
        ["proc", "interrupts" | "cmdline" | "version" | "cpuinfo"] => true,
        ["proc", "irq", "default_smp_affinity"] => true,
        ["proc", "irq", irq, file] => {
            let files = [
                "smp_affinity",
                "smp_affinity_list",
                "effective_affinity",
                "effective_affinity_list",
                "affinity_hint",
                "node",
            ];
            number(irq) && files.contains(&file)
        }
        ["sys", "kernel", "irq", irq, file] => {
            number(irq) && ["actions", "chip_name", "hwirq", "name", "type"].contains(&file)
        }
        ["sys", "kernel", "debug", "irq", "irqs", irq] => number(irq),
        ["sys", "kernel", "debug", "irq", "domains", "VECTOR"] => true,
        ["sys", "devices", "system", "cpu", file] => {
            ["possible", "present", "online", "offline"].contains(&file)
        }
        ["sys", "devices", "system", "cpu", cpu, "online"] => cpu.starts_with("cpu"),
        ["sys", "devices", "system", "cpu", _, "topology", file] => {
            let files = [
                "thread_siblings_list",
                "core_cpus_list",
                "physical_package_id",
                "die_id",
                "die_cpus_list",
                "package_cpus_list",
                "core_siblings_list",
                "thread_siblings",
                "core_siblings",
            ];
            files.contains(&file)
        }
        ["sys", "devices", "system", "cpu", _, "cache", "index2", "shared_cpu_list"] => true,
        ["sys", "devices", "system", "node", file] => ["possible", "online"].contains(&file),
        ["sys", "devices", "system", "node", node, file] => {
            node.starts_with("node") && (["cpulist", "cpumap"].contains(&file) || file.starts_with("cpu"))
        }
        ["sys", "devices", root, .., "msi_irqs", irq] if root.starts_with("pci") => number(irq),
        ["sys", "devices", root, .., "msi_irqs", irq, "mode"] if root.starts_with("pci") => number(irq),
        ["sys", "devices", root, .., "net", _, file] if root.starts_with("pci") => {
            file == "address_assign_type"
        }
        ["sys", "devices", root, .., bdf, file] if root.starts_with("pci") && address(bdf) => {
            ["class", "vendor", "device", "driver", "numa_node", "irq", "config"].contains(&file)
        }
        ["sys", "devices", root, .., "nvme", _, "queue_count"] if root.starts_with("pci") => true,
        ["sys", "devices", root, .., virtio, "driver"] if root.starts_with("pci") => {
            numbered(virtio, "virtio")
        }
        ["sys", "devices", root, .., "mq", queue, "cpu_list"] if root.starts_with("pci") => number(queue),
        ["sys", "devices", root, .., "queues", _, "rps_cpus"] if root.starts_with("pci") => true,
        ["sys", "block", disk, "mq", queue, "cpu_list"] => disk.starts_with("vd") && number(queue),
        ["sys", "module", "nvme", "parameters", file] => {
            ["write_queues", "poll_queues", "use_threaded_interrupts"].contains(&file)
        }
        ["sos_commands", "pci", file] => file.starts_with("lspci"),
        ["sos_commands", "nvme", "feature-7", ctrl] => numbered(ctrl, "nvme"),
        ["sos_commands", "processor", file] => file.starts_with("lscpu"),
        ["sos_commands", "devices", file] => file.starts_with("udevadm_info"),
        _ => false,
    };
    keep.then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_machine_are_wanted() {
        for (path, kept) in [
            ("./proc/interrupts", Some("proc/interrupts")),
            ("sosreport-a-1/proc/irq/24/smp_affinity_list", Some("proc/irq/24/smp_affinity_list")),
            ("x/../proc/interrupts", None),
            ("/proc/irq/24/../../interrupts", None),
            ("proc/irq/24/nvme0q0", None),
            ("proc/self/environ", None),
            ("a/b/lspci", Some("lspci")),
            (
                "h/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/msi_irqs/30",
                Some("sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/msi_irqs/30"),
            ),
            ("sys/devices/pci0000:00/0000:00:01.0/serial", None),
            ("sys/class/dmi/id/product_serial", None),
        ] {
            assert_eq!(wanted(path).as_deref(), kept, "{path}");
        }
    }

    #[test]
    fn a_running_system_is_entered_only_where_there_is_something() {
        for path in [
            "proc",
            "proc/irq",
            "proc/irq/9",
            "sys/devices/system/cpu/cpu3/topology",
            "sys/kernel/debug/irq/irqs",
        ] {
            assert!(entered(path), "{path}");
        }
        let device = "sys/devices/pci0000:00/0000:00:1d.0/0000:02:00.0";
        assert!(
            entered(device)
                && entered(&format!("{device}/msi_irqs"))
                && entered(&format!("{device}/net/eno1"))
        );
        for path in
            ["home", "proc/1", "sys/devices/system/cpu/cpufreq", "sys/kernel/debug/tracing", "sys/class"]
        {
            assert!(!entered(path), "{path}");
        }
        assert!(!entered(&format!("{device}/power")) && !entered(&format!("{device}/net/eno1/queues")));
    }
}
