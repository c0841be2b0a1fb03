"use strict";
// A copy of what is being written, in this browser tab only: it survives a session that ended, a
// failed upload or a page left, and is forgotten as soon as the server has the same text.

const QuizUnsaved = (() => {
  const PREFIX = "accrue.quiz:";
  const slot = () => PREFIX + location.pathname;

  /** Equal for documents that differ in the order of their fields only. */
  function canonical(text) {
    const sorted = (value) => {
      if (Array.isArray(value)) return value.map(sorted);
      if (value === null || typeof value !== "object") return value;
      return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
    };
    return JSON.stringify(sorted(JSON.parse(text)));
  }

  function isSame(text, other) {
    try {
      return text === other || canonical(text) === canonical(other);
    } catch {
      return false;
    }
  }

  /** What was never saved on this page, unless `saved` is the same. */
  function find(saved) {
    for (const name of Object.keys(sessionStorage))
      if (name.startsWith(PREFIX) && isSame(read(name).text, saved)) sessionStorage.removeItem(name);
    const found = read(slot());
    return found.text ? found : null;
  }

  function read(name) {
    try {
      return JSON.parse(sessionStorage.getItem(name)) || {};
    } catch {
      return {};
    }
  }

  /** `began` names the version that the text was begun from: what came later is not overwritten. */
  function keep(text, began) {
    const when = new Date().toLocaleTimeString();
    try {
      sessionStorage.setItem(slot(), JSON.stringify({ text, began, when }));
    } catch {
      // A full or forbidden storage must not get in the way of writing.
    }
  }

  const forget = () => sessionStorage.removeItem(slot());

  return { find, keep, forget, isSame };
})();
