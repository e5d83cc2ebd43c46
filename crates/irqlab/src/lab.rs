//! The small commands of a shell in `irqlab enter`, which reach the machine: `lab`, `sleep`, `taskset`, `nproc`.
//!
//! They are links to this program, in a folder that stands first in PATH.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use ::mount::control::{self, Request};
use diagnostic::Context as _;
use diagnostic::file::{self, Existing};
use kstate::cpumask::MAX_CPUS;
use kstate::{CpuId, CpuMask};

use crate::exit::MISTAKE;
use crate::input::{Output, complain};

/// Where the commands are.
pub const FOLDER: &str = ::mount::fuse::COMMANDS;
/// The variable of the environment that is set in the shell.
pub const INSIDE: &str = "IRQLAB_INSIDE";

/// The command that this program was called as, if it is one.
pub fn called() -> Option<fn(&[String]) -> diagnostic::Result<ExitCode>> {
    std::env::var_os(INSIDE)?;
    let name = PathBuf::from(std::env::args_os().next()?);
    Some(match name.file_name()?.to_str()? {
        "lab" => lab,
        "sleep" => sleep,
        "taskset" => taskset,
        "nproc" => nproc,
        _ => return None,
    })
}

/// Runs it with the arguments of this process.
pub fn run(command: fn(&[String]) -> diagnostic::Result<ExitCode>) -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    command(&arguments).unwrap_or_else(|report| {
        complain(report.styled());
        ExitCode::from(MISTAKE)
    })
}

/// Asks the machine something: a status and a text.
fn ask(request: &Request) -> io::Result<(u8, String)> {
    let mut file = OpenOptions::new().read(true).write(true).open(control::PATH)?;
    file.write_all(request.text().as_bytes())?;
    let mut answer = String::new();
    file.read_to_string(&mut answer)?;
    let (status, text) = answer.split_once('\n').unwrap_or(("1", &answer));
    Ok((status.parse().unwrap_or(1), text.to_owned()))
}

fn asked(request: &Request) -> diagnostic::Result<(u8, String)> {
    ask(request).context(|| "the machine does not answer".to_owned())
}

/// Prints what the machine answers.
fn answered(request: &Request) -> diagnostic::Result<ExitCode> {
    let (status, text) = asked(request)?;
    let mut out = Output::new();
    out.text(&text)?;
    out.finish()?;
    Ok(ExitCode::from(status))
}

/// Words of `lab` that the session has not, or has differently.
const HELP: &str = "In this shell the words of the lab stand behind `lab`. Besides there are:
lab save [--force] [FILE]  write a script that does again what was done, or print it
lab state [--full] [NAME]  write what a state of a capture says to state-NAME.txt, or print it
lab refused                print why the machine did not understand what a program wrote (EINVAL)
lab run SCRIPT [WORD ...]  run a script in bash whose lines `#: assert` and `#: state` are done as well; those of
                           recordings go into what `lab save` writes, for `irqlab run`
";

fn lab(arguments: &[String]) -> diagnostic::Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            let mut out = Output::new();
            out.text(HELP)?;
            out.finish()?;
            answered(&Request::Word("help".to_owned()))
        }
        ["save"] => answered(&Request::Script),
        ["refused"] => answered(&Request::Refused),
        ["save", ref rest @ ..] => {
            let (forced, path) = match *rest {
                ["--force", path] => (true, path),
                [path] if !path.starts_with('-') => (false, path),
                _ => {
                    return Err(diagnostic::report!(
                        help = "expected `lab save [--force] [FILE]`",
                        "`lab {}` is not understood",
                        words.join(" ")
                    ));
                }
            };
            let (_, script) = asked(&Request::Script)?;
            file::write(Path::new(path), script.as_bytes(), Existing::forced(forced))?;
            Ok(ExitCode::SUCCESS)
        }
        ["state", ref rest @ ..] => {
            let (full, names): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| **word == "--full");
            let request = Request::State { full: !full.is_empty() };
            match *names {
                [] => answered(&request),
                [name] if !name.starts_with('-') => {
                    let (status, text) = asked(&request)?;
                    if status != 0 {
                        complain(format_args!("lab state: {}", text.trim_end()));
                        return Ok(ExitCode::from(status));
                    }
                    file::write(Path::new(&format!("state-{name}.txt")), text.as_bytes(), Existing::Replace)?;
                    Ok(ExitCode::SUCCESS)
                }
                _ => Err(diagnostic::report!(
                    help = "expected `lab state [--full] [NAME]`",
                    "`lab {}` is not understood",
                    words.join(" ")
                )),
            }
        }
        ["run", script, ref rest @ ..] => {
            let text = file::read(Path::new(script))?;
            let error = Command::new("bash").arg("-c").arg(obeyed(&text)).arg(script).args(rest).exec();
            Err(error).context(|| "cannot run bash".to_owned())
        }
        _ => answered(&Request::Word(words.join(" "))),
    }
}

/// A script whose lines for the recorder, which a shell reads as comments, are commands. Lines keep their numbers.
fn obeyed(script: &str) -> String {
    let line = |line: &str| {
        let words = line.trim_start();
        let indent = &line[..line.len() - words.len()];
        let Some(directive) = words.strip_prefix("#:") else { return format!("{line}\n") };
        match directive.trim().split_once(char::is_whitespace) {
            Some(("state", name)) => format!("{indent}lab state {}\n", name.trim()),
            _ => {
                // As in double quotes of the shell, where variables are replaced.
                let quoted: String = words
                    .trim_end()
                    .chars()
                    .flat_map(|c| [(c == '"' || c == '`' || c == '\\').then_some('\\'), Some(c)])
                    .flatten()
                    .collect();
                format!("{indent}lab \"{quoted}\"\n")
            }
        }
    };
    script.lines().map(line).collect()
}

/// Runs the program of this name that stands further behind in PATH.
fn real(name: &str, arguments: &[String]) -> diagnostic::Result<ExitCode> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).filter(|folder| folder != Path::new(FOLDER));
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    let Some(program) = found else {
        return Err(diagnostic::report!("there is no other `{name}` in PATH"));
    };
    let error = Command::new(&program).args(arguments).exec();
    Err(error).context(|| format!("cannot run {}", program.display()))
}

/// `sleep`: the time passes in the machine, and nobody waits for it.
fn sleep(arguments: &[String]) -> diagnostic::Result<ExitCode> {
    let mut total = 0.0;
    for word in arguments {
        let number = word.trim_end_matches(['s', 'm', 'h', 'd']);
        let unit = match &word[number.len()..] {
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return real("sleep", arguments),
        };
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match number.parse::<f64>() {
            Ok(number) if plain => total += number * unit,
            _ => return real("sleep", arguments),
        }
    }
    if arguments.is_empty() {
        return real("sleep", arguments);
    }
    let text = format!("{total:.9}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (status, said) = asked(&Request::Line(format!("sleep {text}")))?;
    if status != 0 {
        complain(format_args!("sleep: {}", said.trim_end()));
    }
    Ok(ExitCode::from(status))
}

/// The CPUs of a list such as `0-3,8`.
fn cpus(list: &str) -> Option<CpuMask> {
    CpuMask::parse_list(list.trim(), MAX_CPUS).ok()
}

/// The CPUs that a file of /sys/devices/system/cpu lists.
fn listed(file: &str) -> diagnostic::Result<CpuMask> {
    let path = format!("/sys/devices/system/cpu/{file}");
    let text = fs::read_to_string(&path).context(|| format!("cannot read {path}"))?;
    cpus(&text).ok_or_else(|| diagnostic::report!("{path} has no list of CPUs: {}", text.trim_end()))
}

/// The CPUs of a mask in hexadecimal digits.
fn masked(mask: &str) -> Option<CpuMask> {
    let digits: String = mask.trim_start_matches("0x").chars().filter(|&c| c != ',').collect();
    if digits.len() > MAX_CPUS as usize / 4 {
        return None;
    }
    let mut all = CpuMask::new();
    for (place, digit) in digits.chars().rev().enumerate() {
        let bits = digit.to_digit(16)?;
        (0..4).filter(|bit| bits >> bit & 1 == 1).for_each(|bit| all.set(CpuId(place as u32 * 4 + bit)));
    }
    (!digits.is_empty()).then_some(all)
}

/// `taskset`: what the command does to the machine comes from this CPU.
// DEVIATION: a process is on one CPU, the first of those that are given and online. The scheduler would choose among them.
fn taskset(arguments: &[String]) -> diagnostic::Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (given, command) = match *words.as_slice() {
        ["--help" | "-h" | "--version" | "-V"] => return real("taskset", arguments),
        ["-c" | "--cpu-list", list, ref command @ ..] if !list.starts_with('-') => (cpus(list), command),
        [option, ref command @ ..] if option.starts_with("--cpu-list=") => {
            (cpus(option.trim_start_matches("--cpu-list=")), command)
        }
        [mask, ref command @ ..] if !mask.starts_with('-') => (masked(mask), command),
        [option, ..] if option == "--pid" || !option.starts_with("--") && option.contains('p') => {
            return Err(diagnostic::report!(
                help = "start the program with `taskset -c CPU COMMAND`",
                "a program that runs already stays on its CPU here"
            ));
        }
        _ => (None, &[][..]),
    };
    let (Some(given), Some((program, rest))) = (given, command.split_first()) else {
        return Err(diagnostic::report!(
            help = "expected `taskset -c LIST COMMAND` or `taskset MASK COMMAND`",
            "`taskset {}` is not understood here",
            words.join(" ")
        ));
    };
    let Some(cpu) = given.first_and(&listed("online")?) else {
        complain(format_args!(
            "taskset: failed to set pid {}'s affinity: Invalid argument",
            std::process::id()
        ));
        return Ok(ExitCode::FAILURE);
    };
    let mut command = Command::new(OsString::from(program));
    let error = command.args(rest).env(::mount::CPU, cpu.to_string()).exec();
    let why = diagnostic::words(&error);
    complain(format_args!("taskset: failed to execute {program}: {why}"));
    Ok(ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }))
}

/// `nproc`: how many CPUs of the machine are online.
fn nproc(arguments: &[String]) -> diagnostic::Result<ExitCode> {
    let count = match arguments.first().map(String::as_str) {
        None => listed("online")?.weight(),
        Some("--all") => listed("present")?.weight(),
        Some(_) => return real("nproc", arguments),
    };
    let mut out = Output::new();
    out.line(count)?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_the_recorder_become_commands_where_they_stand() {
        let script = "#: flow a\nfor c in 1 2; do\n    #: assert /x/cpu$c == \"0-5\"\ndone\n#: end\n  #: state b\n# c\n";
        let expected = "lab \"#: flow a\"\nfor c in 1 2; do\n    lab \"#: assert /x/cpu$c == \\\"0-5\\\"\"\ndone\nlab \"#: end\"\n  \
                        lab state b\n# c\n";
        assert_eq!(obeyed(script), expected);
    }

    #[test]
    fn lists_and_masks_are_read() {
        let list = |cpus: Option<CpuMask>| cpus.map(|cpus| cpus.list());
        assert_eq!(list(cpus("0-2,5\n")).as_deref(), Some("0-2,5"));
        assert_eq!(cpus("x"), None);
        assert_eq!(list(masked("0x22")).as_deref(), Some("1,5"));
        assert_eq!(list(masked("00000001,00000000")).as_deref(), Some("32"));
        assert_eq!(masked("g"), None);
    }
}
