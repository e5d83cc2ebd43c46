//! `irqlab lesson`: the list, a lesson, answers right and wrong, and the mistakes.

use std::process::{Command, Output};

use lessons::{Answer, LESSONS, Walk, letter};

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_irqlab")).args(words).env("NO_COLOR", "1").output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_lesson_shows_text_stations_and_questions() {
    insta::assert_snapshot!("lessons", stdout(&run(&["lesson"])));
    insta::assert_snapshot!("lesson_5", stdout(&run(&["lesson", "5"])));
    let v5_4 = stdout(&run(&["lesson", "5", "--kernel", "v5.4", "--solution"]));
    insta::assert_snapshot!("lesson_5_solution", v5_4);
}

#[test]
fn right_answers_pass_and_each_wrong_one_fails() {
    for lesson in LESSONS.iter() {
        let number = lesson.number.to_string();
        for kernel in &lesson.kernels {
            let walk = Walk::new(lesson, *kernel).unwrap();
            let right: Vec<String> = walk.answers.iter().map(ToString::to_string).collect();
            let check = |answers: &[String]| {
                let mut words = vec!["lesson", &number, "--kernel", kernel.name(), "--check"];
                words.extend(answers.iter().map(String::as_str));
                run(&words)
            };
            let output = check(&right);
            assert_eq!(output.status.code(), Some(0), "lesson {number}: {}", stdout(&output));
            for i in 0..right.len() {
                let mut answers = right.clone();
                answers[i] = match &walk.answers[i] {
                    Answer::Choice(0) => letter(1).to_string(),
                    Answer::Choice(_) => letter(0).to_string(),
                    Answer::Text(_) => "nothing".to_owned(),
                };
                let output = check(&answers);
                assert_eq!(output.status.code(), Some(1), "lesson {number}");
                assert_eq!(stdout(&output).matches("is not right").count(), 1);
            }
        }
    }
}

#[test]
fn mistakes_name_what_was_expected() {
    for (words, expected) in [
        (&["lesson", "9"][..], &["there is no lesson 9", "1 to 8"][..]),
        (&["lesson", "0"], &["there is no lesson 0"]),
        (&["lesson", "one"], &["invalid value 'one'"]),
        (&["lesson", "1", "--check", "a"], &["1 answers for 3 questions"]),
        (&["lesson", "--check", "a"], &["<N>"]),
        (&["lesson", "1", "--kernel", "v4.9"], &["v5.4"]),
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        for expected in expected {
            assert!(said.contains(expected), "{words:?}: {said}");
        }
    }
}
