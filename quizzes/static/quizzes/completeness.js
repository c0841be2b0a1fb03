"use strict";
// What keeps a language from being offered, while an author types: the rules of document.py.
// A test compares both on the same documents.

const QuizCompleteness = (() => {
  const LANGUAGES = ["en", "es", "pt", "de", "tr"];
  const MARKER = /\{\{([^{}]*)\}\}/g;
  const INVISIBLE = /[\u00ad\u061c\u180e\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u206f]/g;
  const WHITE_SPACE = /[\s\x1c-\x1f\x85]/g;

  const isFilled = (words) =>
    typeof words === "string" && words.replace(INVISIBLE, "").replace(WHITE_SPACE, "") !== "";
  const isInAnyLanguage = (text) => Object.values(text || {}).some(isFilled);
  const markers = (text) => [...(text || "").matchAll(MARKER)].map((found) => found[1]);

  /** Every text that learners need, with its place: all of them make a language complete. */
  function* texts(document) {
    yield ["/title", document.title];
    if (isInAnyLanguage(document.description)) yield ["/description", document.description];
    for (const [number, question] of (document.questions || []).entries()) {
      const place = `/questions/${number}`;
      if (question.type === "fill_gap") yield [`${place}/text`, question.text];
      else yield [`${place}/prompt`, question.prompt];
      yield* options(place, question);
      for (const [index, gap] of (question.gaps || []).entries())
        yield* options(`${place}/gaps/${index}`, gap);
      for (const [index, pair] of (question.pairs || []).entries()) {
        yield [`${place}/pairs/${index}/left`, pair.left];
        yield [`${place}/pairs/${index}/right`, pair.right];
      }
      for (const [index, distractor] of (question.distractors || []).entries())
        yield [`${place}/distractors/${index}/text`, distractor.text];
      if (isInAnyLanguage(question.explanation))
        yield [`${place}/explanation`, question.explanation];
    }
  }

  function* options(place, owner) {
    for (const [index, option] of (owner.options || []).entries())
      yield [`${place}/options/${index}/text`, option.text];
  }

  /** `[{pointer, detail}]`; empty when the language is complete. */
  function problems(document, language) {
    const found = [];
    for (const [pointer, text] of texts(document))
      if (!isFilled((text || {})[language])) found.push({ pointer, detail: "missing" });
    for (const [number, question] of (document.questions || []).entries())
      if (question.type === "fill_gap") found.push(...gapProblems(question, number, language));
    return found.sort((a, b) => questionOf(a) - questionOf(b));
  }

  function* gapProblems(question, number, language) {
    const place = `/questions/${number}`;
    const text = (question.text || {})[language];
    const marked = markers(text);
    const gaps = (question.gaps || []).map((gap) => gap.key);
    if (marked.length && [...marked].sort().join("\n") !== [...gaps].sort().join("\n"))
      yield { pointer: `${place}/text`, detail: "markers do not fit the gaps" };
    else if (!marked.length && isFilled(text))
      yield { pointer: `${place}/text`, detail: "no marker for any gap" };
    for (const [index, gap] of (question.gaps || []).entries())
      if (!(gap.options || []).length && !((gap.accepted || {})[language] || []).length)
        yield { pointer: `${place}/gaps/${index}/accepted`, detail: "no accepted answer" };
  }

  const questionOf = ({ pointer }) => Number((pointer.match(/^\/questions\/(\d+)/) || [0, -1])[1]);

  const isBegun = (document, language) =>
    [...texts(document)].some(([, text]) => isFilled((text || {})[language]));

  return { LANGUAGES, isFilled, isInAnyLanguage, markers, problems, isBegun };
})();
