//! `irqlab mount`: the machine's /proc and /sys for programs of this system.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::mount::Machine;
use ::mount::fuse::Files;
use debugger::Session;
use diagnostic::Context as _;
use diagnostic::file::{self, Existing};
use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use nix::mount::{MntFlags, umount2};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::hardware;
use crate::input::{Output, complain};
use crate::opening::Opening;
use crate::sh::{self, Start};

/// Options of `irqlab mount`.
#[derive(clap::Args)]
#[command(override_usage = "irqlab mount [OPTIONS] [MACHINE] <DIR>")]
pub struct Args {
    /// Machine file (TOML) [default: the embedded machine], and behind it the folder to mount on
    #[arg(value_name = "MACHINE|DIR")]
    first: PathBuf,
    /// Folder to mount on
    #[arg(value_name = "DIR")]
    second: Option<PathBuf>,
    #[command(flatten)]
    work: Work,
}

/// What `irqlab mount` and `irqlab enter` have in common.
#[derive(clap::Args)]
pub struct Work {
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    hardware: hardware::Args,
    /// How many seconds pass in the machine for each second in which nothing is done; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// File to write at the end: a script that does again what was done
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| (0.0..=1e6).contains(speed));
    speed.ok_or_else(|| "expected a number from 0 to 1000000".to_owned())
}

/// What the mounted file system is called in lists of mounts.
const NAME: &str = "irqlab";
/// How soon after a signal, or after the end of the file system, the program is over.
const SOON: Duration = Duration::from_millis(20);

impl Work {
    /// The machine, booted; `path` is its file where that is an argument of its own.
    ///
    /// # Errors
    /// For files that cannot be read or are not what they should be.
    pub fn boot(&self, path: Option<&Path>) -> diagnostic::Result<Machine> {
        let mut opening = self.opening.clone();
        match (path, &opening.machine, &opening.exhibit) {
            (Some(path), None, None) => opening.machine = Some(path.to_owned()),
            (Some(path), ..) => {
                return Err(diagnostic::report!(
                    help = "expected one machine: a file, --machine or --exhibit",
                    "{} is a second machine",
                    path.display()
                ));
            }
            (None, ..) => {}
        }
        let begun = sh::session(&Start::on(opening, self.hardware))?;
        if let Some(note) = &begun.note {
            complain(format_args!("# {note}"));
        }
        let mut session: Session = begun.session;
        for line in &begun.lines {
            session.line(line);
        }
        let machine = Machine::new(session, self.speed, |text| {
            complain(text.trim_end());
        });
        let watched = machine.clone();
        std::thread::spawn(move || watched.watch());
        Ok(machine)
    }

    /// Writes the script that was asked for.
    ///
    /// # Errors
    /// For a file that cannot be written.
    pub fn save(&self, machine: &Machine) -> diagnostic::Result<()> {
        if let Some(path) = &self.save {
            let script = machine.look(|session| session.script());
            file::write(path, script.as_bytes(), Existing::Replace)?;
        }
        Ok(())
    }
}

/// Mounts the machine's files. Where `commands` is a program, /dev has what a shell needs besides: places for devices of
/// the real system, and commands that are links to the program.
///
/// # Errors
/// What the system says against it.
pub fn mount(
    machine: &Machine,
    dir: &Path,
    commands: Option<&Path>,
) -> diagnostic::Result<BackgroundSession> {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(NAME.to_owned()),
        MountOption::Subtype(NAME.to_owned()),
        MountOption::NoSuid,
    ];
    config.acl = SessionACL::Owner;
    let files = Files::new(machine.clone(), commands);
    may_open_fuse()?;
    let session = fuser::Session::new(files, dir, &config).and_then(fuser::Session::spawn);
    session.context(|| {
        format!(
            "cannot mount on {}; whoever is not root needs the program fusermount3 for it, and a container a permission",
            dir.display()
        )
    })
}

/// Says what is wrong with the device that file systems of programs need.
fn may_open_fuse() -> diagnostic::Result<()> {
    const DEVICE: &str = "/dev/fuse";
    let opened = std::fs::OpenOptions::new().read(true).write(true).open(DEVICE);
    let Err(e) = opened else { return Ok(()) };
    let help = match e.kind() {
        std::io::ErrorKind::NotFound => {
            "expected a kernel with FUSE (`modprobe fuse`); a container gets the device with `--device /dev/fuse`"
        }
        std::io::ErrorKind::PermissionDenied => {
            "expected a device that everybody may open, as distributions have it (`chmod 666 /dev/fuse`), or root"
        }
        _ => "expected a device of a kernel with FUSE",
    };
    let why = diagnostic::words(&e);
    Err(diagnostic::report!(help = help, "cannot mount: {DEVICE} cannot be opened: {why}"))
}

/// Unmounts, even where somebody still uses a file.
pub fn unmount(session: BackgroundSession, dir: &Path) {
    // A process that stands in the folder keeps it busy; it is taken out of everybody's sight then.
    if session.umount_and_join().is_err() {
        let _ = umount2(dir, MntFlags::MNT_DETACH);
    }
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let (machine, dir) = match &args.second {
        Some(dir) => (Some(args.first.as_path()), dir),
        None => (None, &args.first),
    };
    if !dir.is_dir() {
        return Err(diagnostic::report!(
            help = "expected a folder that is there, such as a new and empty one",
            "{} is no folder",
            dir.display()
        ));
    }
    let dir = &dir.canonicalize().context(|| format!("cannot find {}", dir.display()))?;
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended))
            .context(|| "cannot listen for signals".to_owned())?;
    }
    let machine = args.work.boot(machine)?;
    // It is there before the mount is, so that no moment is without it.
    let watcher = watcher(dir)?;
    let session = mount(&machine, dir, None)?;
    let mut out = Output::new();
    out.line(format_args!("{}: /proc and /sys of the machine; Ctrl-C or `umount` ends it", dir.display()))?;
    out.finish()?;
    while !ended.load(Ordering::Relaxed) && !session.guard.is_finished() {
        std::thread::sleep(SOON);
    }
    machine.close();
    unmount(session, dir);
    over(watcher);
    args.work.save(&machine)?;
    Ok(ExitCode::SUCCESS)
}

/// A process that unmounts when this one is gone, whatever has ended it.
fn watcher(dir: &Path) -> diagnostic::Result<Child> {
    let program = std::env::current_exe().context(|| "cannot find the program itself".to_owned())?;
    let mut command = Command::new(program);
    command.arg("mount-watcher").arg(dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context(|| "cannot start the process that unmounts if this one is killed".to_owned())
}

fn over(mut watcher: Child) {
    // The end of its input tells it.
    drop(watcher.stdin.take());
    let _ = watcher.wait();
}

/// Options of the process that unmounts.
#[derive(clap::Args)]
pub struct Watcher {
    dir: PathBuf,
}

/// How often a mount without a program behind it is looked for, and how long altogether.
const LOOKS: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(50);

/// Waits for the end of the program that started it, and takes away the mount that it has left behind.
pub fn watch(args: &Watcher) -> diagnostic::Result<ExitCode> {
    // What ends the whole group of the program does not end this.
    let _ = nix::unistd::setsid();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    for _ in 0..LOOKS {
        // A mount without a program behind it answers ENOTCONN, and nothing else does.
        let dead = std::fs::metadata(&args.dir)
            .is_err_and(|e| e.raw_os_error() == Some(nix::errno::Errno::ENOTCONN as i32));
        if dead {
            if umount2(&args.dir, MntFlags::MNT_DETACH).is_err() {
                // Only its own program may unmount for who is not root.
                let _ = Command::new("fusermount3").args(["-u", "-q", "-z", "--"]).arg(&args.dir).status();
            }
            break;
        }
        if !mounted(&args.dir) {
            break;
        }
        std::thread::sleep(BETWEEN);
    }
    Ok(ExitCode::SUCCESS)
}

/// A file system of this program is mounted there.
fn mounted(dir: &Path) -> bool {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else { return false };
    mounts.lines().any(|line| {
        let mut words = line.split(' ');
        let ours = [" - fuse irqlab ", " - fuse.irqlab irqlab "].iter().any(|kind| line.contains(kind));
        words.nth(4).is_some_and(|at| Path::new(at) == dir) && ours
    })
}
