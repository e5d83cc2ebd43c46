//! A lesson as a page of docs/lessons.

use core::fmt::Write as _;

use crate::{Answer, LESSONS, Lesson, Walk};

/// The letter of a choice.
pub fn letter(choice: usize) -> char {
    char::from(b'a' + u8::try_from(choice).unwrap_or(0))
}

impl Lesson {
    /// The page: text, machine, script, stations, questions, and the solutions for each kernel.
    ///
    /// # Errors
    /// What [`Walk::new`] finds.
    pub fn page(&self) -> Result<String, String> {
        let mut walks = Vec::new();
        for &kernel in &self.kernels {
            walks.push((kernel, Walk::new(self, kernel)?));
        }
        let first = &walks[0].1;
        let number = self.number;
        let mut text = format!("# Lesson {number}: {}\n\n{}\n## The run\n\n", self.title, self.text);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "`irqlab lesson {number} --export DIR` writes both files; `irqlab sh --machine DIR/machine.toml` takes the lines."
        );
        let _ = write!(text, "\n```toml\n{}```\n\n```sh\n{}```\n\n", self.machine, self.script);
        text.push_str("| station | how to get there |\n|---|---|\n");
        for station in &self.stations {
            let place = station.place();
            let place = if place.starts_with(':') { format!("`{place}`") } else { place };
            let _ = writeln!(text, "| {} | {} |", station.name, place);
        }
        text.push_str("\n## Questions\n\n");
        let _ = writeln!(text, "`irqlab lesson {number} --check ANSWER ..` checks an answer for each.");
        for (i, question) in self.questions.iter().enumerate() {
            let _ = writeln!(text, "\n{}. {}", i + 1, first.general(&question.ask));
            for (choice, it) in question.choices.iter().enumerate() {
                let _ = writeln!(text, "   - {}: {}", letter(choice), it.text);
            }
        }
        text.push_str("\n<details><summary>Solutions</summary>\n\n| |");
        for (kernel, _) in &walks {
            let _ = write!(text, " {} |", kernel.name());
        }
        text.push_str("\n|---|");
        text.push_str(&"---|".repeat(walks.len()));
        for i in 0..self.questions.len() {
            let _ = write!(text, "\n| {} |", i + 1);
            for (_, walk) in &walks {
                let _ = write!(text, " {} |", walk.answers[i]);
            }
        }
        text.push_str("\n\n</details>\n");
        Ok(text)
    }
}

/// The page that lists all lessons.
pub fn index() -> String {
    let mut text = String::from(
        "# Lessons\n\nEight lessons lead from the spread of the vectors to what CPU hotplug does with them. They are for\nsomebody who knows what an interrupt is, and does not know this code. Each has a machine, a script, places to\nlook at, and questions that check themselves: `irqlab lesson 1`.\n\n",
    );
    for lesson in LESSONS.iter() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}. [{}]({}.md)", lesson.number, lesson.title, lesson.number);
    }
    text.push_str(
        "\nThe lessons are in crates/lessons/data. No file says which answer is right: the machine is asked. After a change,\n`UPDATE_DOCS=1 cargo test -p irqlab-lessons` writes these pages anew.\n",
    );
    text
}

impl core::fmt::Display for Answer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Choice(choice) => write!(f, "{}", letter(*choice)),
        }
    }
}
