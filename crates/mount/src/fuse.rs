//! Inodes and open files, as FUSE asks for them.
//!
//! An inode stands for a path, and stays what it is as long as the file system is mounted. What a path leads to is asked
//! anew each time, since interrupts, CPUs and devices come and go.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use debugger::Outcome;
use fuser::{
    AccessFlags, BsdFileFlags, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use kstate::{Errno, Kernel};
use nix::fcntl::OFlag;
use sim::script::Program;
use sim::state::Sections;
use sim::vfs::{self, attributes};

use crate::{Machine, control, process};

/// The folder of the commands of the lab, in a /dev for a shell.
pub const COMMANDS: &str = "/dev/irqlab";
/// Those commands.
const NAMES: [&str; 4] = ["lab", "nproc", "sleep", "taskset"];
/// Devices of the real system for which a /dev for a shell has a place, beside that of the machine's /dev/null.
const DEVICES: [&str; 5] = ["full", "random", "tty", "urandom", "zero"];
const FOLDERS: [&str; 3] = ["irqlab", "pts", "shm"];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];

/// What was looked up never changes, or has to be asked again at once.
const ALWAYS: Duration = Duration::from_secs(86_400);
const NEVER: Duration = Duration::ZERO;
/// A file of sysfs has a page.
const PAGE: usize = 4096;
/// Bytes of a sector.
const SECTOR: u64 = 512;

/// Paths by inode number, and the other way round.
struct Inodes {
    numbers: HashMap<Arc<str>, u64>,
    /// By number, the root's being 1.
    paths: Vec<Arc<str>>,
    /// Those that were looked up for one opening alone, by number.
    once: HashMap<u64, Arc<str>>,
    next_once: u64,
}

/// From here on an inode is for one opening.
const ONCE: u64 = 1 << 32;

/// FUSE lets one program at a time write an inode at places behind its end, and files without a size have no other ones.
/// So that two programs can write such a file as on a real machine, each finds it under an inode of its own.
fn is_for_once(path: &str, found: &FileAttr) -> bool {
    let plain = found.kind == FileType::RegularFile && found.size == 0 && found.perm & 0o222 != 0;
    plain && (path.starts_with("/proc/") || path.starts_with("/sys/"))
}

impl Inodes {
    fn number(&mut self, path: &str) -> u64 {
        if let Some(&number) = self.numbers.get(path) {
            return number;
        }
        let path: Arc<str> = path.into();
        self.paths.push(Arc::clone(&path));
        let number = self.paths.len() as u64;
        self.numbers.insert(path, number);
        number
    }

    fn number_for_once(&mut self, path: &str) -> u64 {
        self.next_once += 1;
        self.once.insert(self.next_once, path.into());
        self.next_once
    }
}

/// An open file or folder.
enum Open {
    File(File),
    /// Names with their numbers and kinds.
    Folder(Arc<[(String, u64, FileType)]>),
    /// The file of the lab.
    Control(Answer),
    /// The kernel log, with the number of the next line.
    Log {
        next: usize,
        waits: bool,
    },
}

/// What is read from the file of the lab.
enum Answer {
    /// What is left of it.
    Text(Vec<u8>),
    /// The state of the machine, as it is when it is read.
    State { full: bool },
}

struct File {
    path: Arc<str>,
    /// The text, from the read of its beginning on.
    text: Option<Arc<[u8]>>,
    /// It was opened with `O_TRUNC`, and nothing was written yet.
    truncated: bool,
    direct: bool,
}

struct Opened {
    files: HashMap<u64, Open>,
    next: u64,
}

/// The file system.
pub struct Files {
    machine: Machine,
    /// The program behind the commands of the lab, where /dev is for a shell.
    program: Option<PathBuf>,
    inodes: Mutex<Inodes>,
    opened: Arc<Mutex<Opened>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number that a system call gives.
// DEVIATION: FUSE takes no numbers from 512 on, which are the kernel's own. A program is told the nearest one.
fn number(e: Errno) -> fuser::Errno {
    let e = match e {
        Errno::ENOTSUPP => Errno::EOPNOTSUPP,
        Errno::EPROBE_DEFER => Errno::EAGAIN,
        e => e,
    };
    fuser::Errno::from_i32(e as i32)
}

/// The file is in sysfs, where the mode also counts for root.
fn is_sysfs(path: &str) -> bool {
    path.starts_with("/sys/") && !path.starts_with("/sys/kernel/debug") && !is_tracefs(path)
}

fn is_tracefs(path: &str) -> bool {
    path.starts_with("/sys/kernel/tracing") || path.starts_with("/sys/kernel/debug/tracing")
}

/// What has no number in its path is there from the boot on.
fn is_fixed(path: &str) -> bool {
    !path.bytes().any(|b| b.is_ascii_digit()) && !path.starts_with("/sys/kernel/debug/irq/domains/")
}

/// The disk behind a path.
fn disk_size(k: &Kernel, path: &str) -> Option<u64> {
    let disk = vfs::disk(k, path).ok()?;
    Some(k.blk.disks.get(disk.index())?.as_ref()?.capacity * SECTOR)
}

impl Files {
    /// The files of a machine. Where a `program` is given /dev has what a shell needs besides.
    pub fn new(machine: Machine, program: Option<&Path>) -> Self {
        let root: Arc<str> = "/".into();
        let numbers = HashMap::from([(Arc::clone(&root), 1)]);
        let inodes = Inodes { numbers, paths: vec![root], once: HashMap::new(), next_once: ONCE };
        let opened = Arc::new(Mutex::new(Opened { files: HashMap::new(), next: 1 }));
        Self { machine, program: program.map(Path::to_owned), inodes: Mutex::new(inodes), opened }
    }

    fn path(&self, ino: INodeNo) -> Result<Arc<str>, Errno> {
        let inodes = lock(&self.inodes);
        if ino.0 > ONCE {
            return inodes.once.get(&ino.0).cloned().ok_or(Errno::ENOENT);
        }
        let at = usize::try_from(ino.0).unwrap_or(0).wrapping_sub(1);
        inodes.paths.get(at).cloned().ok_or(Errno::ENOENT)
    }

    fn below(&self, parent: INodeNo, name: &OsStr) -> Result<String, Errno> {
        let (folder, name) = (self.path(parent)?, name.to_str().ok_or(Errno::ENOENT)?);
        Ok(format!("{}/{name}", folder.trim_end_matches('/')))
    }

    fn keep(&self, open: Open) -> FileHandle {
        let mut opened = lock(&self.opened);
        let handle = opened.next;
        opened.next += 1;
        opened.files.insert(handle, open);
        FileHandle(handle)
    }

    /// What is at a path in a /dev for a shell: a kind, and where a link leads.
    fn of_shell(&self, path: &str) -> Option<(FileType, Option<String>)> {
        let program = self.program.as_ref()?;
        if let Some(name) = path.strip_prefix("/dev/irqlab/") {
            let there = NAMES.contains(&name);
            return there.then(|| (FileType::Symlink, Some(program.to_string_lossy().into_owned())));
        }
        let name = path.strip_prefix("/dev/")?;
        if let Some((_, to)) = LINKS.iter().find(|(link, _)| *link == name) {
            return Some((FileType::Symlink, Some((*to).to_owned())));
        }
        match name {
            _ if DEVICES.contains(&name) => Some((FileType::RegularFile, None)),
            _ if FOLDERS.contains(&name) => Some((FileType::Directory, None)),
            _ => None,
        }
    }

    /// The names in a folder that are there for a shell.
    fn names_of_shell(&self, path: &str) -> Vec<(FileType, String)> {
        let all = match path {
            "/dev" => LINKS.iter().map(|(name, _)| name).chain(&DEVICES).chain(&FOLDERS).copied().collect(),
            COMMANDS => NAMES.to_vec(),
            _ => Vec::new(),
        };
        let kind = |name: &str| Some((self.of_shell(&format!("{path}/{name}"))?.0, name.to_owned()));
        all.into_iter().filter_map(kind).collect()
    }

    fn attributes(&self, path: &str) -> Result<FileAttr, Errno> {
        let ino = INodeNo(lock(&self.inodes).number(path));
        let file = |kind, perm, size, nlink| FileAttr {
            ino,
            size,
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: PAGE as u32,
            flags: 0,
        };
        if path == control::PATH {
            return Ok(file(FileType::RegularFile, 0o600, 0, 1));
        }
        if let Some((kind, _)) = self.of_shell(path) {
            return Ok(file(kind, if kind == FileType::RegularFile { 0o666 } else { 0o755 }, 0, 1));
        }
        self.machine.look(|session| {
            let k = session.kernel();
            // DEVIATION: a disk is a regular file with the disk's size. A node of a device would lead to a device of
            // the real system.
            if path.starts_with("/dev/")
                && let Some(size) = disk_size(k, path)
            {
                return Ok(file(FileType::RegularFile, 0o600, size, 1));
            }
            let found = attributes::attributes(k, path)?;
            let kind = match found.kind {
                attributes::Kind::Directory => FileType::Directory,
                attributes::Kind::Link => FileType::Symlink,
                _ => FileType::RegularFile,
            };
            Ok(file(kind, found.mode, u64::from(found.size), found.links))
        })
    }

    /// The names in a folder, with their numbers and kinds.
    fn entries(&self, path: &str) -> Result<Arc<[(String, u64, FileType)]>, Errno> {
        let mut found = self.names_of_shell(path);
        let is_own = self.of_shell(path).is_some();
        let names = self.machine.look(|session| {
            let k = session.kernel();
            let below = |name: &str| format!("{}/{name}", path.trim_end_matches('/'));
            let kind = |name: &str| {
                let path = below(name);
                if vfs::is_link(k, &path) {
                    FileType::Symlink
                } else if vfs::list(k, &path).is_ok() {
                    FileType::Directory
                } else {
                    FileType::RegularFile
                }
            };
            let names = if is_own { Vec::new() } else { vfs::list(k, path)? }.into_iter();
            Ok(names.map(|name| (kind(&name), name)).collect::<Vec<_>>())
        })?;
        found.extend(names);
        if path == control::FOLDER {
            found.push((FileType::RegularFile, control::NAME.to_owned()));
        }
        let above =
            path.rsplit_once('/').map_or("/", |(above, _)| if above.is_empty() { "/" } else { above });
        let mut inodes = lock(&self.inodes);
        let own = [(".".to_owned(), inodes.number(path)), ("..".to_owned(), inodes.number(above))];
        let own = own.map(|(name, number)| (name, number, FileType::Directory)).into_iter();
        let found = found.into_iter().map(|(kind, name)| {
            let number = inodes.number(&format!("{}/{name}", path.trim_end_matches('/')));
            (name, number, kind)
        });
        Ok(own.chain(found).collect())
    }

    fn open_file(&self, path: Arc<str>, flags: OpenFlags) -> Result<Open, Errno> {
        if &*path == control::PATH {
            return Ok(Open::Control(Answer::Text(Vec::new())));
        }
        let has = |flag: OFlag| flags.0 & flag.bits() != 0;
        let found = self.attributes(&path)?;
        let (reads, writes) = match flags.acc_mode() {
            OpenAccMode::O_RDONLY => (true, false),
            OpenAccMode::O_WRONLY => (false, true),
            OpenAccMode::O_RDWR => (true, true),
        };
        // kernfs_fop_open(): a file that has no operation for it cannot be opened for it, by root neither.
        let refused = reads && found.perm & 0o444 == 0 || writes && found.perm & 0o222 == 0;
        if is_sysfs(&path) && refused {
            return Err(Errno::EACCES);
        }
        if &*path == "/dev/kmsg" && reads {
            return Ok(Open::Log { next: 0, waits: !has(OFlag::O_NONBLOCK) });
        }
        let truncated = writes && has(OFlag::O_TRUNC);
        Ok(Open::File(File { path, text: None, truncated, direct: has(OFlag::O_DIRECT) }))
    }

    /// The text of a file from `offset` on. The beginning is read from the machine, what follows belongs to it.
    fn read_file(&self, handle: FileHandle, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        let (path, text) = match lock(&self.opened).files.get(&handle.0) {
            Some(Open::File(file)) => (Arc::clone(&file.path), file.text.clone()),
            _ => return Err(Errno::EINVAL),
        };
        let text = match text.filter(|_| offset > 0) {
            Some(text) => text,
            None => {
                let text: Arc<[u8]> = self.machine.read(|session| session.read(&path))?.into();
                if let Some(Open::File(file)) = lock(&self.opened).files.get_mut(&handle.0) {
                    file.text = Some(Arc::clone(&text));
                }
                text
            }
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
        Ok(text[from..text.len().min(from.saturating_add(size))].to_vec())
    }

    /// The next record of the kernel log (devkmsg_read()).
    // DEVIATION: who has read all of it and would wait for more is at its end.
    fn read_log(&self, handle: FileHandle) -> Result<Vec<u8>, Errno> {
        let text = self.machine.look(|session| session.read("/dev/kmsg"))?;
        let mut opened = lock(&self.opened);
        let Some(Open::Log { next, waits }) = opened.files.get_mut(&handle.0) else {
            return Err(Errno::EINVAL);
        };
        match text.split_inclusive(|&b| b == b'\n').nth(*next) {
            Some(record) => {
                *next += 1;
                Ok(record.to_vec())
            }
            None if *waits => Ok(Vec::new()),
            None => Err(Errno::EAGAIN),
        }
    }

    /// The next part of an answer of the lab.
    fn read_control(&self, handle: FileHandle, size: usize) -> Vec<u8> {
        let wanted = match lock(&self.opened).files.get(&handle.0) {
            Some(Open::Control(Answer::State { full })) => Some(*full),
            _ => None,
        };
        let state = wanted.map(|full| {
            let sections = Sections { topology: full, queues: full };
            self.machine.look(|session| session.look(|k| sim::state::text(k, sections)))
        });
        let mut opened = lock(&self.opened);
        let Some(Open::Control(answer)) = opened.files.get_mut(&handle.0) else { return Vec::new() };
        if let Some(state) = state {
            *answer = Answer::Text(control::answer(0, &state));
        }
        match answer {
            Answer::Text(text) => text.drain(..text.len().min(size)).collect(),
            Answer::State { .. } => Vec::new(),
        }
    }

    /// Reads a disk: the machine does it, and there is nothing on the disk.
    fn read_disk(&self, pid: u32, file: (&str, bool), offset: u64, size: u64, reply: ReplyData) {
        let (path, direct) = file;
        let Some(capacity) = self.machine.look(|session| disk_size(session.kernel(), path)) else {
            return reply.error(number(Errno::ENXIO));
        };
        let left = capacity.saturating_sub(offset).min(size);
        // blkdev_direct_IO(): whole sectors. Around them the page cache reads whole pages.
        if direct && (!offset.is_multiple_of(SECTOR) || !size.is_multiple_of(SECTOR)) {
            return reply.error(number(Errno::EINVAL));
        }
        if left == 0 {
            return reply.data(&[]);
        }
        let unit = if direct { SECTOR } else { PAGE as u64 };
        let first = offset / unit * unit;
        let len = (offset + left).div_ceil(unit) * unit - first;
        // One read where its place is a multiple of its size, and else as large ones as have such places.
        let block = if first.is_multiple_of(len) {
            len
        } else {
            1 << first.trailing_zeros().min(len.trailing_zeros())
        };
        let line = format!(
            "dd if={path} of=/dev/null bs={block} count={} skip={} iflag=direct",
            len / block,
            first / block
        );
        let done = move |outcome: Outcome| match outcome.errno {
            None => reply.data(&vec![0; usize::try_from(left).unwrap_or(0)]),
            Some(e) => reply.error(number(e)),
        };
        self.machine.perform(pid, self.on_cpu(pid, line), Box::new(done));
    }

    /// The line, on the CPU of the process that asks.
    fn on_cpu(&self, pid: u32, line: String) -> String {
        let Some(cpu) = process::cpu(pid) else { return line };
        // A process is moved when its CPU goes offline.
        let online = self.machine.look(|session| session.kernel().topo.online.contains(kstate::CpuId(cpu)));
        if online { format!("taskset -c {cpu} {line}") } else { line }
    }

    fn control(&self, pid: u32, handle: FileHandle, data: &[u8], reply: ReplyWrite) {
        let opened = Arc::clone(&self.opened);
        let len = data.len() as u32;
        let answer = move |text: Answer| {
            if let Some(Open::Control(answer)) = lock(&opened).files.get_mut(&handle.0) {
                *answer = text;
            }
            reply.written(len);
        };
        let say = |status, text: &str| Answer::Text(control::answer(status, text));
        let text = String::from_utf8_lossy(data);
        match control::Request::parse(&text) {
            None => answer(say(2, "this is no request\n")),
            // What a script says to the recorder has its place among the other lines.
            Some(control::Request::Word(line)) if line.starts_with("#:") => {
                let done = move |outcome: Outcome| {
                    let status = u8::from(outcome.errno.is_some() || !outcome.failed.is_empty());
                    answer(say(status, &outcome.failed));
                };
                self.machine.perform(pid, line, Box::new(done));
            }
            Some(control::Request::Word(line)) => answer(Answer::Text(self.machine.say_word(&line))),
            Some(control::Request::Refused) => {
                let refused = self.machine.refused();
                answer(say(0, &refused));
            }
            Some(control::Request::Script) => {
                let script = self.machine.look(|session| session.script());
                answer(say(0, &script));
            }
            Some(control::Request::Line(line)) => {
                let done = move |outcome: Outcome| {
                    answer(match outcome.errno {
                        None => say(0, ""),
                        Some(_) if !outcome.failed.is_empty() => say(1, &outcome.failed),
                        Some(e) => say(1, &format!("{e}\n")),
                    });
                };
                self.machine.perform(pid, self.on_cpu(pid, line), Box::new(done));
            }
            Some(control::Request::State { full }) => {
                let done = move |outcome: Outcome| match outcome.errno {
                    None => answer(Answer::State { full }),
                    Some(e) => answer(say(1, &format!("{e}\n"))),
                };
                self.machine.perform(pid, control::BEFORE_STATE.to_owned(), Box::new(done));
            }
        }
    }
}

impl Filesystem for Files {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Without it the kernel truncates before it opens, and nobody learns that `>` was meant and not `>>`.
        let _ = config.add_capabilities(InitFlags::FUSE_ATOMIC_O_TRUNC);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.below(parent, name).and_then(|path| Ok((self.attributes(&path)?, path)));
        match found {
            Ok((mut found, path)) => {
                let mut ttl = if is_fixed(&path) { ALWAYS } else { NEVER };
                if is_for_once(&path, &found) {
                    found.ino = INodeNo(lock(&self.inodes).number_for_once(&path));
                    ttl = NEVER;
                }
                reply.entry_with_ttls(&NEVER, &ttl, &found, Generation(0));
            }
            Err(e) => reply.error(number(e)),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, _: u64) {
        if ino.0 > ONCE {
            lock(&self.inodes).once.remove(&ino.0);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.path(ino).and_then(|path| self.attributes(&path)) {
            Ok(found) => reply.attr(&NEVER, &FileAttr { ino, ..found }),
            Err(e) => reply.error(number(e)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        _: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        // DEVIATION: modes and owners cannot be changed.
        if mode.is_some() || uid.is_some() || gid.is_some() {
            return reply.error(number(Errno::EPERM));
        }
        match self.path(ino).and_then(|path| self.attributes(&path)) {
            Ok(found) => reply.attr(&NEVER, &FileAttr { ino, ..found }),
            Err(e) => reply.error(number(e)),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let to = self.path(ino).and_then(|path| match self.of_shell(&path) {
            Some((_, Some(to))) => Ok(to),
            _ => self.machine.look(|session| vfs::read_link(session.kernel(), &path)),
        });
        match to {
            Ok(to) => reply.data(to.as_bytes()),
            Err(e) => reply.error(number(e)),
        }
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.path(ino).and_then(|path| self.open_file(path, flags)) {
            Ok(open) => {
                // Reads and writes come as programs make them, whatever size the file says it has.
                let mut how = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES;
                if matches!(open, Open::Control(_)) {
                    how |= FopenFlags::FOPEN_STREAM;
                }
                reply.opened(self.keep(open), how);
            }
            Err(e) => reply.error(number(e)),
        }
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let path = match self.below(parent, name) {
            Ok(path) => path,
            Err(e) => return reply.error(number(e)),
        };
        // Nothing is there, so that the write is refused before it does anything.
        let refused = self.machine.look(|session| {
            session.look(|k| match vfs::write(k, &path, "") {
                vfs::Written::Now(Err(e)) => e,
                _ => Errno::EEXIST,
            })
        });
        reply.error(number(refused));
    }

    fn read(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        enum What {
            Control,
            Log,
            File,
            Disk(Arc<str>, bool),
        }
        let what = match lock(&self.opened).files.get(&fh.0) {
            Some(Open::Control(_)) => What::Control,
            Some(Open::Log { .. }) => What::Log,
            Some(Open::File(file)) if file.path.starts_with("/dev/") && &*file.path != "/dev/null" => {
                What::Disk(Arc::clone(&file.path), file.direct)
            }
            Some(Open::File(_)) => What::File,
            Some(Open::Folder(_)) | None => return reply.error(number(Errno::EINVAL)),
        };
        let text = match what {
            What::Control => Ok(self.read_control(fh, size as usize)),
            What::Log => self.read_log(fh),
            What::File => self.read_file(fh, offset, size as usize),
            What::Disk(path, direct) => {
                return self.read_disk(req.pid(), (&path, direct), offset, u64::from(size), reply);
            }
        };
        match text {
            Ok(text) => reply.data(&text),
            Err(e) => reply.error(number(e)),
        }
    }

    fn write(
        &self,
        req: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let (path, truncated) = match lock(&self.opened).files.get_mut(&fh.0) {
            Some(Open::Control(_)) => (Arc::from(control::PATH), false),
            Some(Open::Log { .. }) => (Arc::from("/dev/kmsg"), false),
            Some(Open::File(file)) => (Arc::clone(&file.path), core::mem::take(&mut file.truncated)),
            _ => return reply.error(number(Errno::EINVAL)),
        };
        if &*path == control::PATH {
            return self.control(req.pid(), fh, data, reply);
        }
        // kernfs_fop_write_iter() takes a page of what it gets.
        let data = if is_sysfs(&path) { &data[..data.len().min(PAGE)] } else { data };
        // What is no text becomes what no file takes for one; for a string of C a zero is the end.
        let text = String::from_utf8_lossy(data.split(|&b| b == 0).next().unwrap_or_default()).into_owned();
        let line = Program::write_line(&text, &path, is_tracefs(&path) && !truncated);
        let len = data.len() as u32;
        let done = move |outcome: Outcome| match outcome.errno {
            None => reply.written(len),
            Some(e) => reply.error(number(e)),
        };
        self.machine.perform(req.pid(), self.on_cpu(req.pid(), line), Box::new(done));
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let open = lock(&self.opened).files.remove(&fh.0);
        // `> FILE` empties the tracer's buffer or a filter, though nothing is written.
        if let Some(Open::File(file)) = open
            && file.truncated
            && is_tracefs(&file.path)
        {
            let line = Program::write_line("", &file.path, false);
            return self.machine.perform(0, line, Box::new(move |_| reply.ok()));
        }
        reply.ok();
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.path(ino).and_then(|path| self.entries(&path)) {
            Ok(entries) => reply.opened(self.keep(Open::Folder(entries)), FopenFlags::empty()),
            Err(e) => reply.error(number(e)),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let entries = match lock(&self.opened).files.get(&fh.0) {
            Some(Open::Folder(entries)) => Arc::clone(entries),
            _ => return reply.error(number(Errno::EINVAL)),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, (name, ino, kind)) in entries.iter().enumerate().skip(from) {
            if reply.add(INodeNo(*ino), at as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        lock(&self.opened).files.remove(&fh.0);
        reply.ok();
    }

    fn access(&self, _: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        let found = self.path(ino).and_then(|path| self.attributes(&path));
        match found {
            // Root may read and write everything, and executes what somebody may execute.
            Ok(found) if mask.contains(AccessFlags::X_OK) && found.perm & 0o111 == 0 => {
                reply.error(number(Errno::EACCES));
            }
            Ok(_) => reply.ok(),
            Err(e) => reply.error(number(e)),
        }
    }

    fn lseek(&self, _: &Request, _: INodeNo, fh: FileHandle, _: i64, _: i32, reply: ReplyLseek) {
        // devkmsg_llseek(): the first record, which is where data begins.
        if let Some(Open::Log { next, .. }) = lock(&self.opened).files.get_mut(&fh.0) {
            *next = 0;
            return reply.offset(0);
        }
        // Only SEEK_DATA and SEEK_HOLE come here, which no file of a kernel and no node of a disk knows.
        reply.error(number(Errno::EINVAL));
    }
}
