//! `irqlab enter`: a shell of this system in which /proc, /sys and the disks are the machine's.
//!
//! # Architecture
//! Three processes stand between the terminal and the shell. The first one leaves its namespaces of users and mounts,
//! boots the machine and answers FUSE. It cannot leave the namespace of processes, since who has threads cannot. So the
//! second one does, and starts the third as the first process of the new one: it arranges what is mounted where, starts the
//! shell, and collects who is left behind. Each of them is killed when the one before it is gone, and with the third one
//! everything in its namespace. So nothing is left, whoever is killed: no process, and no mount, since nobody else sees them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use diagnostic::Context as _;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid, getppid};
use signal_hook::consts::{SIGINT, SIGQUIT};

use crate::lab;
use crate::mount::{self, Work};

/// Options of `irqlab enter`.
#[derive(clap::Args)]
pub struct Args {
    /// Machine file (TOML) [default: the embedded machine]
    #[arg(value_name = "MACHINE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    work: Work,
    /// Program to run in place of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Options of the processes that are started in between.
#[derive(clap::Args)]
pub struct Inner {
    /// The process that started this one.
    parent: i32,
    /// Where the machine's files are mounted.
    place: PathBuf,
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Folders that every system has and that no program needs here, to mount on: nothing is left in them.
const PLACES: [&str; 5] = ["/mnt", "/media", "/srv", "/opt", "/home"];
/// Devices of the real system that programs need.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Signals of the terminal are for the shell: who waits for it goes on.
fn leave_signals_to_the_shell() -> diagnostic::Result<()> {
    for signal in [SIGINT, SIGQUIT] {
        // A handler, other than a signal that is ignored, is not handed on to the shell.
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .context(|| "cannot listen for signals".to_owned())?;
    }
    Ok(())
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    leave_signals_to_the_shell()?;
    // While there is one thread only.
    leave_namespaces()?;
    let place = PLACES.iter().map(Path::new).find(|place| place.is_dir());
    let place = place.ok_or_else(|| {
        diagnostic::report!(
            help = "expected one of /mnt, /media, /srv, /opt and /home",
            "there is no folder to mount on"
        )
    })?;
    let program = std::env::current_exe().context(|| "cannot find the program itself".to_owned())?;
    let machine = args.work.boot(args.file.as_deref())?;
    let session = mount::mount(&machine, place, Some(&program))?;
    let mut command = Command::new(&program);
    command
        .arg("enter-processes")
        .arg(std::process::id().to_string())
        .arg(place)
        .arg("--")
        .args(&args.command);
    if args.command.is_empty() {
        let (kernel, cpus) = machine.look(|session| {
            let k = session.kernel();
            (k.sem.version.name(), k.topo.possible.weight())
        });
        eprintln!("Linux {kernel} on {cpus} CPUs; `lab help` lists the words of the lab, `exit` leaves");
    }
    let status = command.spawn().and_then(|mut child| {
        machine.programs_of(child.id());
        child.wait()
    });
    machine.close();
    mount::unmount(session, place);
    args.work.save(&machine)?;
    Ok(exit_code(status.context(|| format!("cannot run {}", program.display()))?))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let number = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    ExitCode::from(u8::try_from(number).unwrap_or(1))
}

/// Leaves the namespaces of users and mounts. In the new ones this is root, and may mount.
fn leave_namespaces() -> diagnostic::Result<()> {
    let (user, group) = (geteuid(), getegid());
    match unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS) {
        Ok(()) => {
            let write = |file: &str, text: String| {
                fs::write(format!("/proc/self/{file}"), text)
                    .context(|| format!("cannot write /proc/self/{file}"))
            };
            // Older kernels have no such file, and ask nothing.
            let _ = fs::write("/proc/self/setgroups", "deny");
            write("uid_map", format!("0 {user} 1\n"))?;
            write("gid_map", format!("0 {group} 1\n"))?;
        }
        // Root needs no namespace of users.
        Err(_) if user.is_root() => {
            unshare(CloneFlags::CLONE_NEWNS).context(|| "cannot get a namespace of mounts".to_owned())?;
        }
        Err(e) => {
            return Err(diagnostic::report!(
                help = "expected a system on which unprivileged user namespaces are allowed (sysctl user.max_user_namespaces, \
                        kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or root",
                "cannot get a user namespace: {}",
                e.desc()
            ));
        }
    }
    // What is mounted from here on nobody else sees.
    mount_of(None, "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE)
        .context(|| "cannot make the mounts private".to_owned())
}

fn mount_of(
    from: Option<&Path>,
    to: impl AsRef<Path>,
    kind: Option<&str>,
    flags: MsFlags,
) -> Result<(), Errno> {
    mount(from, to.as_ref(), kind, flags, None::<&str>)
}

/// Dies with the process that started this one.
fn follow(parent: i32) -> diagnostic::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context(|| "cannot follow the emulator".to_owned())?;
    // It may have gone before; from a namespace of processes the parent has no number.
    let above = getppid();
    if above != Pid::from_raw(parent) && above != Pid::from_raw(0) {
        return Err(diagnostic::report!("the emulator is gone"));
    }
    Ok(())
}

/// The second process: gives the shell processes of its own.
pub fn processes(args: &Inner) -> diagnostic::Result<ExitCode> {
    follow(args.parent)?;
    leave_signals_to_the_shell()?;
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS)
        .context(|| "cannot get a namespace of processes".to_owned())?;
    let program = std::env::current_exe().context(|| "cannot find the program itself".to_owned())?;
    let mut command = Command::new(&program);
    command.arg("enter-shell").arg("0").arg(&args.place).arg("--").args(&args.command);
    Ok(exit_code(command.status().context(|| format!("cannot run {}", program.display()))?))
}

/// The third process, the first one of its namespace.
pub fn shell(args: &Inner) -> diagnostic::Result<ExitCode> {
    follow(args.parent)?;
    leave_signals_to_the_shell()?;
    arrange(&args.place)?;
    let (program, arguments) = match args.command.split_first() {
        Some((program, arguments)) => (program.clone(), arguments),
        None => (std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into()), &[][..]),
    };
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    let mut first = OsString::from(lab::FOLDER);
    first.push(":");
    first.push(&path);
    // Where somebody stands is asked anew, since other files may be there now.
    if let Ok(folder) = std::env::current_dir() {
        let _ = std::env::set_current_dir(folder);
    }
    let mut command = Command::new(&program);
    command.args(arguments).env("PATH", first).env(lab::INSIDE, "1");
    // hwloc would ask the real CPUs as well, by their CPUID.
    command.env("HWLOC_COMPONENTS", "-x86");
    let child = match command.spawn() {
        Ok(child) => Pid::from_raw(child.id().cast_signed()),
        Err(e) => {
            // As a shell tells it.
            let missing = e.kind() == std::io::ErrorKind::NotFound;
            let why = diagnostic::words(&e);
            crate::input::complain(format_args!("{}: {why}", program.to_string_lossy()));
            return Ok(ExitCode::from(if missing { 127 } else { 126 }));
        }
    };
    // Whoever lost its parent is a child of this process.
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => {
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Ok(ExitCode::from(u8::try_from(128 + signal as i32).unwrap_or(1)));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Ok(ExitCode::FAILURE),
        }
    }
}

/// Puts the machine's files where they are on a real machine.
fn arrange(place: &Path) -> diagnostic::Result<()> {
    let cannot = |what: &str| format!("cannot put {what} in its place");
    let bind = |from: &Path, to: &Path| mount_of(Some(from), to, None, MsFlags::MS_BIND | MsFlags::MS_REC);
    // In a container whose /proc is partly covered nobody may mount a new one. The old one shows more processes.
    let _ = mount_of(
        Some(Path::new("proc")),
        "/proc",
        Some("proc"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
    );
    let names = fs::read_dir(place.join("proc")).context(|| cannot("/proc"))?;
    for name in names.flatten().map(|entry| entry.file_name()) {
        let target = Path::new("/proc").join(&name);
        // What the real kernel has not has no place.
        if target.exists() {
            bind(&place.join("proc").join(&name), &target).context(|| cannot(&target.to_string_lossy()))?;
        }
    }
    let dev = place.join("dev");
    for name in DEVICES.iter().chain(&["pts"]) {
        let real = Path::new("/dev").join(name);
        if real.exists() {
            bind(&real, &dev.join(name)).context(|| cannot(&real.to_string_lossy()))?;
        }
    }
    let tmpfs = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_of(Some(Path::new("tmpfs")), dev.join("shm"), Some("tmpfs"), tmpfs)
        .context(|| cannot("/dev/shm"))?;
    // The disks of the real system are out of reach.
    bind(&dev, Path::new("/dev")).context(|| cannot("/dev"))?;
    bind(&place.join("sys"), Path::new("/sys")).context(|| cannot("/sys"))?;
    umount2(place, MntFlags::MNT_DETACH).context(|| format!("cannot unmount {}", place.display()))
}
