// A lesson beside the run: its text, its stations, and questions that are checked here.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Markdown } from "./markdown";
import type { LessonData, QuestionData } from "./schema";
import { Store, useStore } from "./store";

/** Blanks and case do not count. */
function plain(text: string): string {
  return text.trim().split(/\s+/).join(" ").toLowerCase();
}

export function isRight(question: QuestionData, answer: number | string): boolean {
  return typeof question.answer === "number" ? answer === question.answer : plain(String(answer)) === plain(question.answer);
}

export function Lesson({ store, lesson }: { store: Store; lesson: LessonData }): JSX.Element {
  useStore(store);
  const station = (name: string) => {
    const found = lesson.stations.find((it) => it.name === name);
    if (!found) return <>[{name}]</>;
    const here = found.record === store.record;
    return (
      <button class={`station${here ? " here" : ""}`} title={found.place} aria-current={here ? "step" : undefined} onClick={() => store.go(found.record)}>
        {name}
      </button>
    );
  };
  return (
    <aside class="lesson" aria-label={`Lesson ${lesson.number}`} tabIndex={0}>
      <h2>Lesson {lesson.number}: {lesson.title}</h2>
      <Markdown text={lesson.text} link={station} />
      <h3>Stations</h3>
      <ol class="stations">
        {lesson.stations.map((it) => <li key={it.name}>{station(it.name)} <span class="muted">{it.place}</span></li>)}
      </ol>
      <h3>Questions</h3>
      {lesson.questions.map((question, i) => <Question key={i} store={store} lesson={lesson} question={question} n={i} />)}
    </aside>
  );
}

function Question({ store, lesson, question, n }: { store: Store; lesson: LessonData; question: QuestionData; n: number }): JSX.Element {
  const [answer, setAnswer] = useState<number | string | null>(null);
  const [typed, setTyped] = useState("");
  const right = answer !== null && isRight(question, answer);
  const station = lesson.stations.find((it) => it.name === question.at);
  const give = (value: number | string) => {
    setAnswer(value);
    // A wrong answer leads to where the right one can be seen.
    if (!isRight(question, value) && station) store.go(station.record);
  };
  const link = (name: string) => {
    const found = lesson.stations.find((it) => it.name === name);
    return found ? <button class="station" onClick={() => store.go(found.record)}>{name}</button> : <>[{name}]</>;
  };
  return (
    <fieldset class="question">
      <legend><span class="number">{n + 1}</span> <Markdown text={question.ask} link={link} /></legend>
      {question.choices.map((choice, i) => (
        <label key={i} class={answer === i ? (right ? "right" : "wrong") : ""}>
          <input type="radio" name={`question-${n}`} checked={answer === i} onChange={() => give(i)} /> {choice}
        </label>
      ))}
      {question.choices.length === 0 && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            give(typed);
          }}
        >
          <input type="text" aria-label={`answer to question ${n + 1}`} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
          <button type="submit">check</button>
        </form>
      )}
      <p class={`verdict ${answer === null ? "" : right ? "right" : "wrong"}`} role="status">
        {answer !== null && (right ? "✓ Right." : <>✗ Not so. {question.hint} The cursor is at <b>{question.at}</b> now.</>)}
      </p>
      <details>
        <summary>Solution</summary>
        {typeof question.answer === "number" ? question.choices[question.answer] : question.answer}
      </details>
    </fieldset>
  );
}
