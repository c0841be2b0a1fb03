"use strict";
// The quiz editor: an Alpine component over the document itself. Whatever the author does not
// touch goes back to the server as it came.

document.addEventListener("alpine:init", () => {
  const { LANGUAGES, isFilled, isInAnyLanguage, markers } = QuizCompleteness;
  const SHOWN = ["title", "description", "slug", "feedback", "prompt", "text", "explanation", "left", "right", "accepted", "key"];
  const MILLISECONDS_AT_REST = 400;

  const ids = new WeakMap();
  const shelves = new WeakMap();
  const once = (map, node, make) => {
    const raw = Alpine.raw(node);
    if (!map.has(raw)) map.set(raw, make());
    return map.get(raw);
  };
  let lastId = 0;
  const uid = (node) => once(ids, node, () => `n${(lastId += 1)}`);
  const shelf = (node) => once(shelves, node, () => ({}));

  Alpine.data("quizEditor", () => ({
    language: Alpine.$persist("en").as("quizLanguage"),
    reference: Alpine.$persist("en").as("quizReference"),
    document: {},
    text: "",
    savedText: null,
    raw: false,
    problems: Object.fromEntries(LANGUAGES.map((language) => [language, []])),
    begun: {},
    faults: [],
    folded: {},
    removed: null,
    offer: null,
    hasOwnSlug: true,
    isLeaving: false,
    uid,
    isInAnyLanguage: (node, field) => isInAnyLanguage(node[field]),
    placeName: QuizDocuments.placeName,
    statement: QuizDocuments.statement,

    init() {
      if (!LANGUAGES.includes(this.language)) this.language = "en";
      if (this.reference && !LANGUAGES.includes(this.reference)) this.reference = "en";
      const { refused, readOnly, new: isNew } = this.$root.dataset;
      this.isReadOnly = readOnly !== undefined;
      this.isNew = isNew !== undefined;
      this.form = document.getElementById("quiz_form");
      const sent = this.form.elements.document.value;
      this.take(sent);
      this.hasOwnSlug = !this.isNew || Boolean(this.document.slug);
      if (refused === undefined) {
        this.savedText = this.currentText();
        if (!this.isReadOnly) this.offer = QuizUnsaved.find(sent);
      }
      this.faults = JSON.parse(document.getElementById("quiz-faults").textContent).map((fault) => {
        const { owner, field, language } = QuizDocuments.locate(this.document, fault.pointer, LANGUAGES);
        return { ...fault, owner: uid(owner), field, language };
      });
      Alpine.effect(() => this.judge());
      this.form.addEventListener("submit", (event) => this.submit(event));
      window.addEventListener("pageshow", () => (this.isLeaving = false));
    },

    take(text) {
      let found;
      try {
        found = JSON.parse(text);
      } catch {
        found = null;
      }
      this.raw = !QuizDocuments.isEditable(found);
      if (this.raw) {
        this.text = text;
      } else {
        found.questions ||= [];
        this.document = found;
      }
    },

    judge() {
      if (this.raw) return;
      this.text = JSON.stringify(this.document);
      const plain = JSON.parse(this.text);
      for (const language of LANGUAGES) {
        this.problems[language] = QuizCompleteness.problems(plain, language);
        this.begun[language] = QuizCompleteness.isBegun(plain, language);
      }
      clearTimeout(this.resting);
      this.resting = setTimeout(() => this.keepCopy(), MILLISECONDS_AT_REST);
    },

    // Leaving, saving, and what was never saved

    currentText() {
      return this.raw ? this.text : JSON.stringify(this.document);
    },
    isChanged() {
      return !this.isReadOnly && this.text !== this.savedText;
    },
    savedState() {
      if (this.isChanged()) return "Not saved yet";
      return this.isNew ? "Nothing written yet" : "Saved";
    },
    keepCopy() {
      if (this.offer || this.isReadOnly) return;
      if (this.isChanged()) QuizUnsaved.keep(this.text, this.form.elements.began.value);
      else QuizUnsaved.forget();
    },
    submit(event) {
      if (this.isLeaving) {
        event.preventDefault();
        return;
      }
      this.form.elements.document.value = this.currentText();
      if (this.isChanged()) QuizUnsaved.keep(this.currentText(), this.form.elements.began.value);
      this.isLeaving = true;
    },
    warn(event) {
      if (this.isChanged() && !this.isLeaving) event.preventDefault();
    },
    shortcut(event) {
      if ((event.ctrlKey || event.metaKey) && event.key === "s" && !this.isReadOnly) {
        event.preventDefault();
        this.form.requestSubmit();
      }
    },
    restore() {
      this.take(this.offer.text);
      this.form.elements.began.value = this.offer.began;
      this.offer = null;
    },
    discard() {
      this.offer = null;
      QuizUnsaved.forget();
    },

    // Texts

    read(node, field, language) {
      return (node[field] || {})[language] || "";
    },
    write(node, field, words) {
      if (!node[field]) node[field] = {};
      if (words) node[field][this.language] = words;
      else delete node[field][this.language];
      const isOptional = field === "description" || field === "explanation";
      if (isOptional && !Object.keys(node[field]).length) delete node[field];
      if (!this.hasOwnSlug && field === "title")
        this.document.slug = QuizDocuments.slugOf(Object.values(this.document.title)[0] || "");
      this.forgive(node, field);
    },
    isBlank(node, field) {
      return !isFilled(this.read(node, field, this.language));
    },
    // A language that nobody has begun is not painted all over.
    isMissing(node, field) {
      return this.begun[this.language] && this.isBlank(node, field);
    },
    isReferenceShown(node, field) {
      const { reference, language } = this;
      return reference && reference !== language && this.read(node, field, reference) !== "";
    },

    // Questions

    isKnown: (question) => QuizDocuments.types.includes(question.type),
    addQuestion(type) {
      const question = QuizDocuments.newQuestion(type, this.language);
      this.document.questions.push(question);
      this.jump(`/questions/${this.document.questions.length - 1}`);
    },
    duplicate(number) {
      const copy = JSON.parse(JSON.stringify(this.document.questions[number]));
      copy.key = QuizDocuments.newKey("q-");
      this.document.questions.splice(number + 1, 0, copy);
      this.jump(`/questions/${number + 1}`);
    },
    retype(question, type) {
      QuizDocuments.retype(question, type, shelf(question), this.language);
    },
    isCollapsed(question) {
      return Boolean(this.folded[uid(question)]);
    },
    toggle(question) {
      this.folded[uid(question)] = !this.isCollapsed(question);
    },
    areAllCollapsed() {
      return this.document.questions.every((question) => this.isCollapsed(question));
    },
    toggleAll() {
      const isFolded = !this.areAllCollapsed();
      for (const question of this.document.questions) this.folded[uid(question)] = isFolded;
    },

    // Parts of a question

    move(list, index, step) {
      list.splice(index + step, 0, list.splice(index, 1)[0]);
    },
    remove(list, index, name) {
      this.removed = { list, index, name, node: list.splice(index, 1)[0] };
    },
    undo() {
      const { list, index, node } = this.removed;
      list.splice(index, 0, node);
      this.removed = null;
    },
    addOption: (owner) => (owner.options ||= []).push(QuizDocuments.newOption()),
    addPair: (question) => (question.pairs ||= []).push(QuizDocuments.newPair()),
    addDistractor: (question) => (question.distractors ||= []).push(QuizDocuments.newDistractor()),
    mark(owner, option, isRight) {
      if (owner.type !== "multiple_choice")
        for (const other of owner.options) if (other !== option) delete other.correct;
      if (isRight) option.correct = true;
      else delete option.correct;
    },

    // Gaps

    marker: (key) => `{{${key}}}`,
    unmarked(question) {
      const marked = markers(this.read(question, "text", this.language));
      return (question.gaps || []).map((gap) => gap.key).filter((key) => !marked.includes(key));
    },
    unknownMarkers(question) {
      const keys = (question.gaps || []).map((gap) => gap.key);
      const marked = new Set(markers(this.read(question, "text", this.language)));
      return [...marked].filter((key) => !keys.includes(key));
    },
    insertMarker(question, key) {
      const field = this.$root.querySelector(`[data-place="${uid(question)}:text"] textarea`);
      field.setRangeText(this.marker(key), field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    },
    addGap(question, key) {
      const gaps = (question.gaps ||= []);
      gaps.push(QuizDocuments.newGap(key || QuizDocuments.newGapKey(gaps), this.language));
      if (!key) this.insertMarker(question, gaps.at(-1).key);
    },
    isPicked: (gap) => (gap.options || []).length > 0,
    letPick(gap) {
      if (this.isPicked(gap)) return;
      shelf(gap).accepted = gap.accepted;
      delete gap.accepted;
      gap.options = shelf(gap).options || [QuizDocuments.newOption(true), QuizDocuments.newOption()];
    },
    letType(gap) {
      if (!this.isPicked(gap)) return;
      shelf(gap).options = gap.options;
      delete gap.options;
      gap.accepted = shelf(gap).accepted || { [this.language]: [] };
    },
    accepted: (gap, language) => (gap.accepted || {})[language] || [],
    writeAccepted(gap, value) {
      if (!gap.accepted) gap.accepted = {};
      gap.accepted[this.language] = this.lines(value);
      this.forgive(gap, "accepted");
    },
    lines: (value) => value.split("\n").map((line) => line.trim()).filter(isFilled),
    showLines(field, lines) {
      // Not while somebody types the line break that begins the next answer.
      if (this.lines(field.value).join("\n") !== lines.join("\n")) field.value = lines.join("\n");
    },

    // Keys

    keyed(question) {
      const options = (owner, name) =>
        (owner.options || []).map((node, index) => ({ node, name: `${name} ${index + 1}` }));
      const gaps = (question.gaps || []).flatMap((node, index) => [
        { node, name: `Gap ${index + 1}` },
        ...options(node, `Gap ${index + 1}, option`),
      ]);
      const sides = (list, name) =>
        (list || []).map((node, index) => ({ node, name: `${name} ${index + 1}` }));
      return [
        { node: question, name: "Question" },
        ...options(question, "Option"),
        ...gaps,
        ...sides(question.pairs, "Pair"),
        ...sides(question.distractors, "Distractor"),
      ];
    },
    rename(question, node, key) {
      const isGap = (question.gaps || []).includes(node);
      for (const language of Object.keys((isGap && question.text) || {}))
        question.text[language] = question.text[language].replaceAll(this.marker(node.key), this.marker(key));
      node.key = key;
      this.forgive(node, "key");
    },

    // What is missing and what was refused

    languageName: (language) => document.getElementById(`language-${language}`).firstChild.data.trim(),
    state(language) {
      if (!this.problems[language].length) return "is-complete";
      return this.begun[language] ? "is-begun" : "";
    },
    count(language) {
      if (!this.problems[language].length) return "✓";
      return this.begun[language] ? String(this.problems[language].length) : "–";
    },
    stateName(language) {
      const missing = this.problems[language].length;
      if (!missing) return "complete";
      return this.begun[language] ? `${missing} missing` : "not begun";
    },
    missingIn(number) {
      const place = `/questions/${number}/`;
      return this.problems[this.language].filter(({ pointer }) => pointer.startsWith(place)).length;
    },
    faultsAt(node, field) {
      return this.faults.filter((fault) => fault.owner === uid(node) && fault.field === field);
    },
    otherFaults(node) {
      return this.faults.filter((fault) => fault.owner === uid(node) && !SHOWN.includes(fault.field));
    },
    forgive(node, field) {
      this.faults = this.faults.filter((fault) => fault.owner !== uid(node) || fault.field !== field);
    },
    jump(pointer) {
      const { owner, field, language } = QuizDocuments.locate(this.document, pointer, LANGUAGES);
      if (language) this.language = language;
      const number = /^\/questions\/(\d+)/.exec(pointer);
      if (number) this.folded[uid(this.document.questions[number[1]])] = false;
      this.$nextTick(() => {
        const place = this.$root.querySelector(`[data-place="${uid(owner)}:${field}"]`);
        const target = place || this.$root.querySelector(`[data-node="${uid(owner)}"]`);
        if (!target) return;
        const keys = target.closest("details");
        if (keys) keys.open = true;
        target.scrollIntoView({ block: place ? "center" : "start" });
        const input = target.querySelector("textarea, input[type=text], select.quiz-input:not(.quiz-type)");
        if (input) input.focus({ preventScroll: true });
      });
    },
  }));
});
