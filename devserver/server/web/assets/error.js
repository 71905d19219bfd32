// What an error page can do beside showing: copy, open an editor, read more variables, a prompt in a frame.
(() => {
  "use strict";
  const root = document.documentElement;
  const { report, token } = root.dataset;
  const said = document.getElementById("said");
  const GRANT = "devserver-grant";
  const HISTORY = [];

  if ("live" in root.dataset) {
    const watch = document.getElementById("watch");
    watch.textContent = watch.dataset.text;
    watch.classList.add("live");
    document.addEventListener("devserver:changed", (event) => {
      event.preventDefault();
      watch.hidden = true;
      document.getElementById("changed").hidden = false;
    });
  }

  function make(tag, attributes, ...children) {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  }

  function say(text) {
    said.textContent = "";
    requestAnimationFrame(() => { said.textContent = text; }); // the same words again are heard again
  }

  async function ask(path, body, grant) {
    const headers = { "Content-Type": "application/json", "X-Devserver-Token": token };
    if (grant) headers["X-Devserver-Grant"] = grant;
    let answer;
    try {
      answer = await fetch(`/__devserver__/${path}`, { method: "POST", headers, body: JSON.stringify(body), cache: "no-store" });
    } catch {
      return { status: 0, error: "The server does not answer." };
    }
    const said = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
    return { status: answer.status, ...said };
  }

  // What the frames hold on to, a transaction perhaps, must not be in the way of the next try.
  addEventListener("beforeunload", () => navigator.sendBeacon(`/__devserver__/errors/${report}/left`));

  // --- copy ---

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // plain http on an address of the network: the old way still works
      const area = make("textarea", { value: text, className: "beyond", readOnly: true });
      const focused = document.activeElement;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      focused?.focus();
      return done;
    }
  }

  function textOf(id) {
    const element = document.getElementById(id);
    return element.content ? element.content.textContent : element.textContent;
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      say(await copy(textOf(button.dataset.copy)) ? "Copied." : "The browser did not allow it: select the text under “As text”.");
    });
  }

  // --- frames ---

  for (const frame of document.querySelectorAll(".frame")) {
    const place = { error: Number(frame.dataset.error), frame: Number(frame.dataset.frame) };
    const actions = frame.querySelector(":scope > .actions");
    if ("editor" in root.dataset) {
      const button = make("button", { type: "button" }, "Open in editor");
      button.addEventListener("click", async () => {
        const answer = await ask(`errors/${report}/edit`, place);
        say(answer.error ?? "Asked the editor; the terminal tells if it does not open.");
      });
      actions.append(button);
    }
    if ("console" in root.dataset && "alive" in frame.dataset) { // a place in a template never was a call
      const button = make("button", { type: "button" }, "Prompt");
      button.addEventListener("click", () => {
        const prompt = frame.querySelector(":scope > .prompt") ?? openPrompt(frame, place);
        prompt.querySelector("input").focus();
      });
      actions.append(button);
    }
    actions.hidden = !actions.firstChild;
    const locals = frame.querySelector(":scope > .locals[data-unmade]");
    locals?.addEventListener("toggle", () => readVariables(locals, place), { once: true });
  }

  async function readVariables(locals, place) {
    const note = locals.querySelector(".unmade");
    note.textContent = "…";
    let answer;
    try {
      answer = await (await fetch(`/__devserver__/errors/${report}/variables?${new URLSearchParams(place)}`)).json();
    } catch {
      answer = { error: "The server does not answer." };
    }
    if (answer.error) {
      note.textContent = answer.error;
      return;
    }
    const rows = answer.variables.map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)));
    locals.querySelector("tbody").replaceChildren(...rows);
    note.textContent = answer.left ? `${answer.left} more` : "";
  }

  // --- the prompt ---

  function openPrompt(frame, place) {
    const output = make("pre", { className: "output", tabIndex: 0 });
    output.setAttribute("aria-live", "polite");
    output.hidden = true;
    const input = make("input", { type: "text", autocomplete: "off", spellcheck: false });
    input.setAttribute("autocapitalize", "off");
    const label = make("label", {}, make("span", {}, ""), input);
    const form = make("form", { className: "ask" }, label);
    const prompt = make("section", { className: "prompt" }, output, form);
    prompt.setAttribute("aria-label", "Prompt in this frame");
    let at = HISTORY.length;

    function show(...nodes) {
      output.hidden = false;
      output.append(...nodes);
      output.scrollTop = output.scrollHeight;
    }

    function wantCode() {
      label.firstChild.textContent = ">>>";
      input.inputMode = "text";
      input.setAttribute("aria-label", "Python code");
      form.dataset.wants = "code";
    }

    function wantPin() {
      label.firstChild.textContent = "PIN from the terminal:";
      input.inputMode = "numeric";
      input.setAttribute("aria-label", "PIN from the terminal");
      form.dataset.wants = "pin";
      ask("pin/show", {}).then((answer) => { if (answer.error) show(`${answer.error}\n`); });
    }

    async function tryPin(pin) {
      const answer = await ask("pin/try", { pin });
      if (answer.grant) {
        sessionStorage.setItem(GRANT, answer.grant);
        output.replaceChildren();
        output.hidden = true;
        wantCode();
      } else if (answer.left === 0) {
        show("No PIN is right any more: too many were wrong. Restart devserver for a new one.\n");
      } else {
        show(answer.error ? `${answer.error}\n` : `Not the PIN. ${answer.left} more may be tried.\n`);
      }
    }

    async function run(code) {
      const answer = await ask(`errors/${report}/console`, { ...place, code }, sessionStorage.getItem(GRANT));
      if (answer.status === 401) {
        sessionStorage.removeItem(GRANT);
        wantPin();
        input.value = "";
        return;
      }
      show(...(answer.error ? [`${answer.error}\n`] : harmless(answer.output)));
      label.firstChild.textContent = /^\.\.\. |^>>> .*:\s*$/.test(answer.output ?? "") ? "..." : ">>>";
    }

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const text = input.value;
      input.value = "";
      if (form.dataset.wants === "pin") {
        await tryPin(text);
      } else {
        if (text.trim()) HISTORY.push(text);
        at = HISTORY.length;
        await run(text);
      }
      input.focus();
    });
    input.addEventListener("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step || form.dataset.wants === "pin") return;
      event.preventDefault();
      at = Math.min(Math.max(at + step, 0), HISTORY.length);
      input.value = HISTORY[at] ?? "";
    });
    frame.querySelector(":scope > .actions").after(prompt);
    if (sessionStorage.getItem(GRANT)) wantCode();
    else wantPin();
    return prompt;
  }

  // The output comes as markup with values of the app in it: text and colours are taken over, and nothing that could act.
  function harmless(markup) {
    const BLOCKS = new Set(["P", "LI", "TR", "H2", "H3", "H4", "BLOCKQUOTE", "BR"]);
    function* pieces(node) {
      for (const child of node.childNodes) {
        if (child.nodeType === Node.TEXT_NODE) {
          const isLoose = node.tagName === "BODY" || node.tagName === "SPAN"; // what was printed
          if (isLoose) yield child.data;
          else if (child.data.trim()) yield child.data.replace(/\s+/g, " ");
        } else if (child.nodeType === Node.ELEMENT_NODE && !["SCRIPT", "STYLE", "TEMPLATE"].includes(child.tagName)) {
          if (child.tagName === "SPAN") yield make("span", { className: `py-${child.className.split(" ")[0]}` }, ...pieces(child));
          else yield* pieces(child);
          if (child.tagName === "TH") yield ": ";
          if (BLOCKS.has(child.tagName)) yield "\n";
        }
      }
    }
    const found = [...pieces(new DOMParser().parseFromString(markup, "text/html").body)];
    const last = found.at(-1);
    if (typeof last !== "string" || !last.endsWith("\n")) found.push("\n");
    return found;
  }
})();
