//! `irqlab lesson`: a lesson's text, its stations on a kernel, and its questions.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::Style;
use diagnostic::file::{self, Existing};
use kstate::semantics::KernelVersion;
use lessons::{LESSONS, Lesson, Walk, letter};

use crate::exit::DIFFERS;
use crate::input::{OptionError, Output, kernel, print};

/// Learn the path of an interrupt, with questions that check themselves.
///
/// Without a number: lists the lessons. With one: shows the text, the places of the run that it speaks of, and the
/// questions. The exit status of --check is 1 if an answer is wrong.
#[derive(clap::Args)]
pub struct Args {
    /// The lesson, from 1
    #[arg(value_name = "N")]
    number: Option<u32>,
    /// Kernel to learn it on [default: the lesson's]
    #[arg(long, value_name = KernelVersion::CHOICE, value_parser = kernel, requires = "number")]
    kernel: Option<KernelVersion>,
    /// Check answers, one for each question: the letter of a choice, or what a file says
    #[arg(long, value_name = "ANSWER", num_args = 1.., requires = "number", conflicts_with = "solution")]
    check: Vec<String>,
    /// Show the answers
    #[arg(long, requires = "number")]
    solution: bool,
    /// Write machine, script and text to a folder, and show nothing
    #[arg(long, value_name = "DIR", requires = "number", conflicts_with_all = ["check", "solution"])]
    export: Option<PathBuf>,
    /// Replace a lesson that was written to DIR before
    #[arg(long, requires = "export")]
    force: bool,
}

const HEAD: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let Some(number) = args.number else {
        print(&list())?;
        return Ok(ExitCode::SUCCESS);
    };
    let (lesson, kernel) = find(number, args.kernel)?;
    if let Some(folder) = &args.export {
        let files =
            [("machine.toml", lesson.machine), ("script.sh", lesson.script), ("lesson.md", lesson.text)];
        let ours = |name: &str| files.iter().any(|(known, _)| *known == name);
        file::write_folder(folder, &files, Existing::forced(args.force), ours)?;
        let mut out = Output::new();
        for (name, _) in files {
            out.line(folder.join(name).display())?;
        }
        out.finish()?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.check.is_empty() && args.check.len() != lesson.questions.len() {
        let found = format!("{} answers for {} questions", args.check.len(), lesson.questions.len());
        return Err(OptionError::new("--check", found, "one answer for each question").into());
    }
    let walk = Walk::new(lesson, kernel).unwrap_or_else(|wrong| panic!("lesson {number}: {wrong}"));
    if args.solution {
        print(&solution(lesson, &walk))?;
    } else if args.check.is_empty() {
        print(&show(lesson, kernel, &walk))?;
    } else {
        let (text, right) = check(lesson, &walk, &args.check);
        print(&text)?;
        return Ok(if right { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) });
    }
    Ok(ExitCode::SUCCESS)
}

/// The lesson of this number, and the kernel to learn it on.
///
/// # Errors
/// Where there is no such lesson, or it does not hold for the kernel.
pub fn find(
    number: u32,
    kernel: Option<KernelVersion>,
) -> Result<(&'static Lesson, KernelVersion), OptionError> {
    let lesson = Lesson::find(number).ok_or_else(|| {
        OptionError::new("N", format!("there is no lesson {number}"), format!("1 to {}", LESSONS.len()))
    })?;
    let kernel = kernel.unwrap_or_else(|| lesson.kernel());
    if !lesson.kernels.contains(&kernel) {
        let known: Vec<&str> = lesson.kernels.iter().map(|kernel| kernel.name()).collect();
        let found = format!("lesson {number} does not hold for {}", kernel.name());
        return Err(OptionError::new("--kernel", found, known.join(" or ")));
    }
    Ok((lesson, kernel))
}

/// All lessons, a line each.
fn list() -> String {
    let mut text = String::new();
    for lesson in LESSONS.iter() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}  {}", lesson.number, lesson.title);
    }
    text
}

/// The text, the stations as they are on this kernel, and the questions.
fn show(lesson: &Lesson, kernel: KernelVersion, walk: &Walk) -> String {
    let number = lesson.number;
    let mut text = format!("{HEAD}Lesson {number}: {}{HEAD:#}\n\n{}\n", lesson.title, lesson.text);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{HEAD}Stations on {}{HEAD:#}", kernel.name());
    let width = lesson.stations.iter().map(|station| station.name.len()).max().unwrap_or(0);
    for (station, stand) in lesson.stations.iter().zip(&walk.stands) {
        let _ = writeln!(text, "  {:<width$}  {}", station.name, walk.name(&station.place()));
        if !stand.record.is_empty() {
            let _ = writeln!(text, "  {:<width$}  {NOTE}{}{NOTE:#}", "", stand.record);
        }
    }
    let _ = writeln!(text, "\n{HEAD}Questions{HEAD:#}");
    for (i, question) in lesson.questions.iter().enumerate() {
        let _ = writeln!(text, "{}. {}", i + 1, walk.name(&question.ask));
        for (choice, it) in question.choices.iter().enumerate() {
            let _ = writeln!(text, "   {}  {}", letter(choice), it.text);
        }
    }
    let _ = writeln!(text, "\n{NOTE}To go there, and to answer:{NOTE:#}");
    let folder = format!("lesson{number}");
    let _ = writeln!(text, "  irqlab lesson {number} --export {folder}");
    let _ = writeln!(text, "  irqlab sh --machine {folder}/machine.toml --kernel {}", kernel.name());
    let answers = " ANSWER".repeat(lesson.questions.len());
    let _ = writeln!(text, "  irqlab lesson {number} --kernel {} --check{answers}", kernel.name());
    text
}

/// What is right and what is wrong, with a hint for what is wrong; and whether all is right.
fn check(lesson: &Lesson, walk: &Walk, answers: &[String]) -> (String, bool) {
    let mut text = String::new();
    let mut all = true;
    for (i, (question, answer)) in lesson.questions.iter().zip(answers).enumerate() {
        let right = walk.is_right(i, answer);
        all &= right;
        // Writing to a string cannot fail.
        let _ = match right {
            true => writeln!(text, "{}. right", i + 1),
            false => writeln!(
                text,
                "{}. {answer} is not right. {} See station {}.",
                i + 1,
                walk.name(&question.hint),
                question.at
            ),
        };
    }
    (text, all)
}

/// The answers.
fn solution(lesson: &Lesson, walk: &Walk) -> String {
    let mut text = String::new();
    for (i, (question, answer)) in lesson.questions.iter().zip(&walk.answers).enumerate() {
        let is = match answer {
            lessons::Answer::Choice(choice) => format!("{answer}  {}", question.choices[*choice].text),
            lessons::Answer::Text(text) => text.clone(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}. {}\n   {is}", i + 1, walk.name(&question.ask));
    }
    text
}
