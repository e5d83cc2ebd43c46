//! A lesson in the page stands at the records at which the lesson itself stands.

use lessons::{LESSONS, Walk};
use page::{Lesson, Page};
use serde_json::Value;

#[test]
fn stations_are_the_records_of_the_walk() {
    for lesson in LESSONS.iter() {
        for &kernel in &lesson.kernels {
            let (run, told) = Lesson::of(lesson, kernel).unwrap();
            let page = Page::new("test", vec![run]).with_lesson(told);
            let page: Value = serde_json::from_slice(&page.json()).unwrap();
            let walk = Walk::new(lesson, kernel).unwrap();
            let run = &page["runs"][0];
            for (stand, station) in walk.stands.iter().zip(page["lesson"]["stations"].as_array().unwrap()) {
                let record = station["record"].as_u64().unwrap() as usize;
                let of = run["records"]["of"][record].as_u64().unwrap() as usize;
                let name = run["of"][of]["name"].as_str().unwrap();
                // A station at the end of a command has no record of its own.
                let here = stand.record.split(['(', ':']).next().unwrap_or_default();
                assert!(here.is_empty() || here == name, "lesson {}: {here} is {name}", lesson.number);
            }
            for (question, answer) in
                page["lesson"]["questions"].as_array().unwrap().iter().zip(&walk.answers)
            {
                let right = match answer {
                    lessons::Answer::Choice(choice) => Value::from(*choice),
                    lessons::Answer::Text(text) => Value::from(text.as_str()),
                };
                assert_eq!(question["answer"], right);
            }
        }
    }
}
