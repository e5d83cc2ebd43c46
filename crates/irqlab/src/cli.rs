//! Options, and what every mistake of a user ends in.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::exit::MISTAKE;
use crate::input::complain;
#[cfg(feature = "serve")]
use crate::serve;
use crate::{
    bench, diff, enter, explain, explore, generate, import, lesson, matrix, mount, museum, page, replay, run,
    semantics, sh, spread, stacks, state, story, test, tui, verify, whatif,
};

/// What does this interrupt do, and why?
///
/// Without a command: boots a small PC under Linux, binds an NVMe controller with 9 MSI-X vectors and
/// tells how its interrupts come to their CPUs.
#[derive(Parser)]
#[command(name = "irqlab", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    story: story::Args,
}

#[derive(Subcommand)]
enum Command {
    /// Run a script on a machine and write its recordings in the format of a capture folder
    ///
    /// Without a folder to write, what the script printed and recorded is printed.
    ///
    /// Lines `#: assert PATH OP VALUE` of the script say what is to be true there (docs/scripts.md).
    /// Where one does not hold, the run goes on, and ends with exit status 1.
    Run(run::Args),
    /// Run a capture folder's machine and script and compare with what the real kernel did
    Verify(verify::Args),
    /// Run the tests of a folder: scripts on machines, compared with the files beside them
    ///
    /// A test is a folder with machine.toml, script.sh and the files that the script is expected to make (docs/test.md).
    /// Lines are compared by the rules for captures of real kernels, and assertions of the script have to hold. The
    /// exit status is 1 if a test fails, and 2 if one cannot be run.
    Test(test::Args),
    /// Run a script on two kernels, or under two semantics, and show what differs
    Diff(diff::Args),
    /// Make a machine file of the files of a real machine
    ///
    /// What was found, inferred, assumed and missing is said. With --check the machine boots and is compared with
    /// the source: managed interrupts have to agree, others are taken over as found.
    Import(import::Args),
    /// Ask what happens to each interrupt if CPUs go, SMT is off, a device comes or the kernel changes
    ///
    /// The machine boots twice, as it is and changed, and what is asked for is done to it. A verdict comes first:
    /// what the kernel refuses, queues that die, interrupts that move, and how much is left until ENOSPC. The exit
    /// status is 1 if something is refused, lost or degraded, or an affinity changes (docs/whatif.md).
    Whatif(whatif::Args),
    /// Boot a machine and show its /proc and /sys, or write them as files
    State(state::Args),
    /// Try every interleaving of a script, or many of them
    ///
    /// Jobs of the script, CPUs, interrupts and devices take turns. If something goes wrong, irqlab prints it with
    /// the shortest schedule known to lead there, as a command line of `irqlab replay`. The exit status is 1 if
    /// something was found.
    Explore(explore::Args),
    /// Show a run of a script step by step, as `irqlab explore` found it
    Replay(replay::Args),
    /// Explain a function, a file, an error, a line of the log, a parameter or a notion
    ///
    /// Without a name: lists what there is. A line of the kernel log may be pasted with its time stamp, and `-` reads a whole
    /// log. Each answer says which function decides and where it is in each kernel, and how to see it. What nobody knows
    /// is answered with the nearest names and exit status 2.
    Explain(explain::Args),
    /// Open a shell on the machine that can stop, look and go back in time
    Sh(sh::Args),
    /// The same on a whole screen: calls, CPUs, vectors, an interrupt, and time to drag
    Tui(tui::Args),
    /// Open a shell of this system in which /proc, /sys and the disks are the machine's
    ///
    /// Every program of this system then works on the machine. `lab` has the words of the session, `sleep` lets time pass in
    /// the machine at once, and `taskset` chooses its CPU. No root is needed where user namespaces are allowed (docs/shell.md).
    Enter(enter::Args),
    /// Leave the namespace of processes
    #[command(hide = true)]
    EnterProcesses(enter::Inner),
    /// Be the first process of a namespace
    #[command(hide = true)]
    EnterShell(enter::Inner),
    /// Mount the machine's /proc and /sys, for programs of this system
    ///
    /// A write does what it does on the machine's kernel and fails with its error. Time passes in the machine with what is
    /// done, and while nothing is. Ctrl-C, `umount` or the end of the program take the mount away.
    Mount(mount::Args),
    /// Unmount when the program that mounted is gone
    #[command(hide = true)]
    MountWatcher(mount::Watcher),
    /// Serve the page of a run with a prompt to a browser on this computer
    ///
    /// Prints an address that only this computer reaches and that only who knows its token may use. Ctrl-C ends the server
    /// (docs/serve.md).
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    /// Show the kernel stacks that reached a function or tracepoint
    Stacks(stacks::Args),
    /// List the behaviours in which the kernels differ, to be changed with --set
    Semantics(semantics::Args),
    /// Learn the path of an interrupt, with questions that check themselves
    Lesson(lesson::Args),
    /// Write a run as a page for a browser: lanes, calls, and the state of the machine at each record
    ///
    /// The page is one file that needs nothing else. Without a script the run is the boot (docs/page.md).
    Page(page::Args),
    /// Look at bugs of real kernels, with the bug and without
    Museum(museum::Args),
    /// Spread CPUs over vectors as the kernel does
    Spread(spread::Args),
    /// Replay operations on the vector matrix
    Matrix(matrix::Args),
    /// Measure how time and memory grow with the machine
    Bench(bench::Args),
    /// Print what a shell completes: commands, options, kernels, behaviours and exhibits
    Completions(generate::Completions),
    /// Write the manual pages, a page for each command
    Man(generate::Man),
}

/// Runs the command line and returns the exit status.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(in_order(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(e) => {
            say(&e);
            return if e.use_stderr() { ExitCode::from(MISTAKE) } else { ExitCode::SUCCESS };
        }
    };
    let result = match cli.command {
        None => story::run(&cli.story),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Verify(args)) => verify::run(&args),
        Some(Command::Test(args)) => test::run(&args),
        Some(Command::Diff(args)) => diff::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Whatif(args)) => whatif::run(&args),
        Some(Command::State(args)) => state::run(&args),
        Some(Command::Explore(args)) => explore::run(&args),
        Some(Command::Replay(args)) => replay::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Sh(args)) => sh::run(&args),
        Some(Command::Tui(args)) => tui::run(&args),
        Some(Command::Enter(args)) => enter::run(&args),
        Some(Command::EnterProcesses(args)) => enter::processes(&args),
        Some(Command::EnterShell(args)) => enter::shell(&args),
        Some(Command::Mount(args)) => mount::run(&args),
        Some(Command::MountWatcher(args)) => mount::watch(&args),
        #[cfg(feature = "serve")]
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Stacks(args)) => stacks::run(&args),
        Some(Command::Semantics(args)) => semantics::run(&args),
        Some(Command::Lesson(args)) => lesson::run(&args),
        Some(Command::Page(args)) => page::run(&args),
        Some(Command::Museum(args)) => museum::run(&args),
        Some(Command::Spread(args)) => spread::run(args),
        Some(Command::Matrix(args)) => matrix::run(args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Completions(args)) => generate::completions(&args, Cli::command()),
        Some(Command::Man(args)) => generate::man(&args, Cli::command()),
    };
    match result {
        Ok(code) => code,
        Err(report) => {
            complain(report.styled());
            ExitCode::from(MISTAKE)
        }
    }
}

/// What is wrong with the command line. Numbers are told in words, where the reader of numbers says
/// `invalid digit found in string` or `5 is not in 1..=4`.
fn say(error: &clap::Error) {
    if error.kind() != clap::error::ErrorKind::ValueValidation {
        let _ = error.print();
        return;
    }
    let text = error.render().ansi().to_string();
    let Some((first, rest)) = text.split_once('\n') else { return complain(text) };
    let why = first.rsplit_once(": ").map_or(first, |(_, why)| why);
    complain(format_args!(
        "{}{}\n{}",
        &first[..first.len() - why.len()],
        number_in_words(why),
        rest.trim_end()
    ));
}

/// What a reader of numbers says, in words.
fn number_in_words(why: &str) -> String {
    let expected = |what: &str| format!("expected {what}");
    match why {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            expected("a whole number")
        }
        "number too large to fit in target type" => expected("a smaller number"),
        "number too small to fit in target type" => expected("a larger number"),
        "invalid float literal" => expected("a number"),
        _ => {
            let range = why.split_once(" is not in ").and_then(|(_, range)| range.split_once(".."));
            match range {
                Some((least, most)) => match most.strip_prefix('=') {
                    Some(most) => expected(&format!("a whole number from {least} to {most}")),
                    None if most.is_empty() => expected(&format!("a whole number from {least} on")),
                    None => expected(&format!("a whole number from {least} to below {most}")),
                },
                None => why.to_owned(),
            }
        }
    }
}

/// Arguments as the command line wants them: `irqlab --kernel v6.12 run` is `irqlab run --kernel v6.12`.
fn in_order(mut arguments: Vec<OsString>) -> Vec<OsString> {
    const OF_A_KERNEL: [&str; 2] = ["--kernel", "--set"];
    let mut at = 1;
    while let Some(word) = arguments.get(at).and_then(|word| word.to_str()) {
        match word.split_once('=') {
            Some((option, _)) if OF_A_KERNEL.contains(&option) => at += 1,
            None if OF_A_KERNEL.contains(&word) => at += 2,
            _ => break,
        }
    }
    let named = arguments.get(at).and_then(|word| word.to_str());
    if at > 1 && named.is_some_and(|name| Cli::command().find_subcommand(name).is_some()) {
        arguments[1..=at].rotate_right(1);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_may_stand_before_the_command() {
        let check = |line: &str, expect: &str| {
            let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(in_order(words(line)), words(expect), "{line}");
        };
        check("irqlab --kernel v6.12 --set=a=b run x.sh", "irqlab run --kernel v6.12 --set=a=b x.sh");
        check("irqlab --kernel v6.12", "irqlab --kernel v6.12");
        check("irqlab --kernel run", "irqlab --kernel run");
        check("irqlab --kernel v6.12 x.sh", "irqlab --kernel v6.12 x.sh");
        check("irqlab run --kernel v6.12", "irqlab run --kernel v6.12");
    }

    #[test]
    fn the_options_of_every_command_agree_with_each_other() {
        Cli::command().debug_assert();
    }
}
