//! Every lesson, on every kernel that it holds for.

use std::path::Path;

use lessons::{Answer, LESSONS, Walk};

#[test]
fn every_station_is_reached_and_every_question_has_one_answer() {
    let mut wrong = Vec::new();
    for lesson in LESSONS.iter() {
        for &kernel in &lesson.kernels {
            let walk = match Walk::new(lesson, kernel) {
                Ok(walk) => walk,
                Err(e) => {
                    wrong.push(format!("lesson {} on {}: {e}", lesson.number, kernel.name()));
                    continue;
                }
            };
            assert_eq!(walk.stands.len(), lesson.stations.len());
            for (question, answer) in lesson.questions.iter().zip(&walk.answers) {
                if let Answer::Text(text) = answer {
                    assert!(!text.is_empty(), "lesson {}: {}", lesson.number, question.ask);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_station_and_every_question_is_in_the_text() {
    for lesson in LESSONS.iter() {
        for station in &lesson.stations {
            let link = format!("[{}]", station.name);
            assert!(lesson.text.contains(&link), "lesson {} does not lead to {link}", lesson.number);
        }
        let links = lesson.text.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
        for (name, _) in links {
            assert!(
                lesson.stations.iter().any(|s| s.name == name),
                "lesson {} has no station {name}",
                lesson.number
            );
        }
    }
}

#[test]
fn only_the_right_answers_pass() {
    for lesson in LESSONS.iter() {
        for &kernel in &lesson.kernels {
            let walk = Walk::new(lesson, kernel).unwrap();
            for (i, question) in lesson.questions.iter().enumerate() {
                assert!(walk.is_right(i, &format!(" {} ", walk.answers[i])));
                let wrong = match &walk.answers[i] {
                    Answer::Text(text) => vec![format!("{text}0"), String::new()],
                    Answer::Choice(right) => (0..question.choices.len())
                        .filter(|choice| choice != right)
                        .map(|choice| lessons::letter(choice).to_string())
                        .collect(),
                };
                assert!(wrong.iter().all(|wrong| !walk.is_right(i, wrong)), "lesson {}", lesson.number);
            }
        }
    }
}

#[test]
fn the_pages_are_those_of_the_lessons() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lessons");
    let pages = LESSONS.iter().map(|lesson| (format!("{}.md", lesson.number), lesson.page().unwrap()));
    for (name, page) in pages.chain([("README.md".to_owned(), lessons::index())]) {
        let path = folder.join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, page).unwrap();
        } else {
            let there = std::fs::read_to_string(&path).unwrap();
            assert!(there == page, "{} is not what UPDATE_DOCS=1 writes", path.display());
        }
    }
}
