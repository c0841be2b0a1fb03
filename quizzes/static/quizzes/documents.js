"use strict";
// Quiz documents as plain JSON: new nodes, other types, places. What is not known here is kept.

const QuizDocuments = (() => {
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const isList = (value) => value === undefined || (Array.isArray(value) && value.every(isObject));
  const isText = (value) =>
    value === undefined ||
    (isObject(value) && Object.values(value).every((words) => typeof words === "string"));
  const isAccepted = (value) =>
    value === undefined ||
    (isObject(value) &&
      Object.values(value).every(
        (lines) => Array.isArray(lines) && lines.every((line) => typeof line === "string"),
      ));

  const TEXTS = ["title", "description", "prompt", "text", "explanation", "left", "right"];
  const LISTS = ["questions", "options", "gaps", "pairs", "distractors"];

  /** Whether the editor can show all of it; anything else is edited as JSON. */
  const isEditable = (node) =>
    isObject(node) &&
    TEXTS.every((name) => isText(node[name])) &&
    LISTS.every((name) => isList(node[name]) && (node[name] || []).every(isEditable)) &&
    isAccepted(node.accepted);

  // A key that was used before would bring back the statistics and rewards of what it named.
  function newKey(prefix) {
    const [number] = crypto.getRandomValues(new Uint32Array(1));
    return prefix + number.toString(36).padStart(7, "0");
  }

  function newGapKey(gaps) {
    const taken = new Set(gaps.map((gap) => gap.key));
    let number = 1;
    while (taken.has(String(number))) number += 1;
    return String(number);
  }

  const newOption = (isRight = false) => ({
    key: newKey("o-"),
    text: {},
    ...(isRight ? { correct: true } : {}),
  });
  const newPair = () => ({ key: newKey("p-"), left: {}, right: {} });
  const newDistractor = () => ({ key: newKey("d-"), text: {} });
  // An empty list for one language says that the gap is typed, before any answer is.
  const newGap = (key, language) => ({ key, accepted: { [language]: [] } });

  const PARTS = {
    single_choice: { statement: "prompt", options: () => [newOption(true), newOption(), newOption()] },
    multiple_choice: { statement: "prompt", options: () => [newOption(true), newOption(), newOption()] },
    fill_gap: { statement: "text", gaps: (language) => [newGap("1", language)] },
    matching: { statement: "prompt", pairs: () => [newPair(), newPair(), newPair()], distractors: () => [] },
  };
  const NAMES = ["options", "gaps", "pairs", "distractors"];

  const statement = (question) => (PARTS[question.type] || {}).statement || "prompt";

  function newQuestion(type, language) {
    const question = { key: newKey("q-"), type, [PARTS[type].statement]: {} };
    fill(question, {}, language);
    return question;
  }

  /** What the old type had goes on the shelf, and comes back with its type. */
  function retype(question, type, shelf, language) {
    const said = question[statement(question)] || {};
    delete question[statement(question)];
    for (const name of NAMES) {
      if (name in question && !(name in PARTS[type])) {
        shelf[name] = question[name];
        delete question[name];
      }
    }
    question.type = type;
    question[PARTS[type].statement] = said;
    fill(question, shelf, language);
    if (type === "single_choice") keepOneRight(question.options);
  }

  function fill(question, shelf, language) {
    for (const name of NAMES)
      if (name in PARTS[question.type] && !(name in question))
        question[name] = shelf[name] || PARTS[question.type][name](language);
  }

  function keepOneRight(options) {
    const right = options.filter((option) => option.correct);
    for (const option of right.slice(1)) delete option.correct;
  }

  /** Which node and which of its fields a JSON pointer leads to, and in which language. */
  function locate(document, pointer, languages) {
    let node = document;
    const found = { owner: document, field: "", language: null };
    for (const step of steps(pointer)) {
      if (Array.isArray(node) && isObject(node[step])) {
        Object.assign(found, { owner: node[step], field: "" });
      } else if (!found.field) {
        found.field = step;
      } else if (languages.includes(step)) {
        found.language = step;
      }
      node = node === null || node === undefined ? undefined : node[step];
    }
    return found;
  }

  const steps = (pointer) =>
    pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));

  /** `/questions/2/options/0/text` is "Question 3, option 1". */
  function placeName(pointer) {
    const words = [];
    for (const step of steps(pointer)) {
      if (/^\d+$/.test(step) && words.length)
        words.push(`${words.pop().replace(/s$/, "")} ${Number(step) + 1}`);
      else words.push(step === "accepted" ? "accepted answers" : step);
    }
    if (words.length > 2 && words.at(-1) === "text") words.pop();
    const name = words.join(", ") || "the whole document";
    return name[0].toUpperCase() + name.slice(1);
  }

  function slugOf(title) {
    const plain = title.toLowerCase().replaceAll("ı", "i").replaceAll("ß", "ss");
    const ascii = plain.normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
    return ascii.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 100);
  }

  return {
    isObject, isEditable, newKey, newGapKey, newGap, newOption, newPair, newDistractor,
    newQuestion, retype, statement, locate, placeName, slugOf, types: Object.keys(PARTS),
  };
})();
