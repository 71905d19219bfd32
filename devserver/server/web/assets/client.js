// The browser follows: it loads a page again when a newer server answers, exchanges style sheets and images that were saved, and
// tells the terminal of errors. One file for two places: a page, and the worker that all tabs of a browser share, which holds the
// one event stream. A browser without such a worker holds a stream in each visible tab.
(() => {
  "use strict";
  const HERE = "/__devserver__/";
  // The server says something every 15 s: who hears nothing for so long has slept.
  const SILENCE_MS = 40000;

  // --- the event stream ---

  function follow(tell) {
    let source;
    let heard;
    const open = () => {
      source?.close();
      heard = Date.now();
      source = new EventSource(HERE + "events");
      source.onmessage = ({ data }) => {
        heard = Date.now();
        const said = JSON.parse(data);
        if (said) tell(said);
      };
      source.onerror = () => {
        // some browsers give up at the first refusal
        if (source.readyState === 2) setTimeout(open, 1000);
      };
    };
    open();
    const timer = setInterval(() => {
      if (Date.now() - heard > SILENCE_MS) open();
    }, 5000);
    return () => {
      clearInterval(timer);
      source.onerror = null;
      source.close();
    };
  }

  const report = (said) => fetch(HERE + "browser", { method: "POST", body: JSON.stringify(said) }).catch(() => {});

  if (typeof document === "undefined") {
    const ports = new Set();
    let latest;
    self.onconnect = ({ ports: [port] }) => {
      ports.add(port);
      port.onmessage = ({ data }) => {
        if (data) report(data);
        else ports.delete(port);
      };
      if (latest) port.postMessage(latest);
    };
    follow((said) => {
      if (said.run) latest = said;
      for (const port of ports) port.postMessage(said);
    });
    return;
  }

  // --- the page ---

  const me = document.currentScript;
  const run = Number(me.dataset.run);
  const KEPT = "devserver";
  let port;
  let quit;
  try {
    // what loads the outer page loads this one
    if (parent !== self && parent.devserverFollows) return;
  } catch {
    // of another origin
  }
  self.devserverFollows = true;

  function connect() {
    const alone = () => {
      port = null;
      const seen = () => {
        if (document.visibilityState === "visible") quit ??= follow(hear);
        else quit = quit?.();
      };
      document.addEventListener("visibilitychange", seen);
      seen();
    };
    try {
      const worker = new SharedWorker(me.dataset.worker || me.src, "devserver");
      // a policy of the page is in the way
      worker.onerror = () => port && alone();
      port = worker.port;
      port.onmessage = ({ data }) => hear(data);
    } catch {
      alone();
    }
  }

  addEventListener("pagehide", () => port?.postMessage(null));
  addEventListener("pageshow", ({ persisted }) => {
    // back from the browser's cache of pages
    if (persisted && port) connect();
  });
  connect();

  function hear({ run: newest, page, urls }) {
    if (newest > run) again(newest);
    else if (page) again();
    else if (urls) exchange(urls);
  }

  function again(newest) {
    const { loaded, href } = keep();
    // A page from a cache has the old number again: once is enough.
    if (newest && loaded === newest && href === location.href) return;
    if ("ask" in me.dataset) ask();
    else {
      keep({ loaded: newest, href: location.href, ...state() });
      location.reload();
    }
  }

  function ask() {
    // The request had a body: to repeat it is for a person to decide.
    if (!document.dispatchEvent(new Event("devserver:changed", { cancelable: true })) || document.getElementById(KEPT)) return;
    const host = document.createElement("div");
    const link = document.createElement("a");
    host.id = KEPT;
    link.href = location.href;
    link.textContent = "The code has changed. Open this address again";
    link.style.cssText =
      "position:fixed;z-index:2147483647;right:1em;bottom:1em;padding:1em;background:#1d2433;color:#fff;font:16px system-ui";
    host.attachShadow({ mode: "open" }).append(link);
    document.body.append(host);
  }

  // --- what a person has done in the page survives; where it is scrolled to the browser keeps itself ---

  function keep(value) {
    try {
      if (value) sessionStorage[KEPT] = JSON.stringify(value);
      return JSON.parse(sessionStorage[KEPT]);
    } catch {
      // not allowed here, or nothing yet
      return {};
    }
  }

  const elements = () => [...document.querySelectorAll("*")];
  const fields = () => [...document.querySelectorAll("input:not([type=password],[type=file],[type=hidden]),textarea,select")];
  const values = () =>
    fields().map(({ name, type, value, checked, options }) => JSON.stringify([name, type, value, checked, Array.from(options ?? [], (one) => one.selected)]));
  // as the server has sent them
  let before = [];

  function state() {
    const focused = document.activeElement;
    const all = elements();
    return {
      before,
      now: values(),
      focused: [all.indexOf(focused), focused?.localName, focused?.selectionStart, focused?.selectionEnd],
      scrolled: all.flatMap((one, index) => (one.scrollTop && one !== document.scrollingElement ? [[index, one.scrollTop]] : [])),
    };
  }

  function restore() {
    before = values();
    const then = keep();
    keep({ loaded: then.loaded, href: then.href });
    if (!then.now || then.href !== location.href) return;
    fields().forEach((field, at) => {
      // What the server sends otherwise now is its word against the person's: the new one counts.
      if (before[at] !== then.before[at] || then.now[at] === before[at]) return;
      const [, , value, checked, chosen] = JSON.parse(then.now[at]);
      field.value = value;
      field.checked = checked;
      chosen.forEach((selected, index) => (field.options[index].selected = selected));
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
    const all = elements();
    for (const [index, top] of then.scrolled) if (all[index]) all[index].scrollTop = top;
    const [index, tag, start, end] = then.focused;
    if (all[index]?.localName !== tag) return;
    all[index].focus({ preventScroll: true });
    if (start != null) all[index].setSelectionRange(start, end);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", restore);
  else restore();

  // --- style sheets and images ---

  async function exchange(urls) {
    const address = (url, base) => new URL(url, base || document.baseURI);
    const is = (url, base) => {
      try {
        const { origin, pathname } = address(url, base);
        return origin === location.origin && urls.includes(decodeURI(pathname));
      } catch {
        return false;
      }
    };
    let done = false;
    const renewed = (url, base) => {
      const newer = address(url, base);
      newer.searchParams.set(KEPT, Date.now());
      done = true;
      return newer.href;
    };
    const rules = (sheet) => {
      try {
        return [...sheet.cssRules];
      } catch {
        // of another origin
        return [];
      }
    };
    const imports = (sheet) => rules(sheet).some(({ styleSheet, href }) => styleSheet && (is(href, sheet.href) || imports(styleSheet)));
    const inside = (text, pattern, base) => text?.replace(pattern, (url) => (is(url, base) ? renewed(url, base) : url));
    const renew = (rule, base) => {
      rules(rule).forEach((inner) => renew(inner, base));
      for (const name of rule.style ?? []) {
        const value = rule.style.getPropertyValue(name);
        const newer = inside(value, /(?<=url\(").+?(?="\))/g, base);
        if (newer !== value) rule.style.setProperty(name, newer, rule.style.getPropertyPriority(name));
      }
    };
    const roots = [document];
    for (const root of roots) {
      for (const one of root.querySelectorAll("*")) {
        if (one.shadowRoot) roots.push(one.shadowRoot);
        const { localName, href, sheet } = one;
        if (sheet && (is(href) || imports(sheet))) {
          // An imported sheet is asked for by the same address: the browser's copy has to be a new one.
          if (!is(href)) await Promise.all(urls.map((url) => fetch(url, { cache: "reload" })));
          const next = one.cloneNode(true);
          if (href) next.href = renewed(href);
          // until then the old one is shown: no flash
          next.onload = next.onerror = () => one.remove();
          one.after(next);
          done = true;
        } else if (!/^(a|script|iframe)$/.test(localName)) {
          for (const name of ["src", "srcset", "href", "poster", "data"]) {
            const value = one.getAttribute(name);
            const newer = inside(value, /[^\s,]\S*[^\s,]/g);
            if (newer !== value && value) one.setAttribute(name, newer);
          }
          renew(one);
        }
      }
      for (const sheet of [...root.styleSheets, ...(root.adoptedStyleSheets ?? [])]) renew(sheet, sheet.href);
    }
    // a script, a font, the page itself
    const uses = [location.href, ...performance.getEntriesByType("resource").map(({ name }) => name)];
    if (!done && (uses.length > 250 || uses.some((url) => is(url)))) again();
  }

  // --- errors, for the terminal ---

  const told = new Set();

  function say(said) {
    const key = JSON.stringify(said);
    if ("quiet" in me.dataset || told.has(key) || told.size >= 20) return;
    told.add(key);
    said.page = location.pathname + location.search;
    if (port) port.postMessage(said);
    else report(said);
  }

  addEventListener(
    "error",
    ({ target, message, filename, lineno, colno }) => {
      const url = target?.src || target?.href;
      if (target instanceof Element) {
        if (url) say({ message: `<${target.localName}> could not be loaded`, file: String(url.animVal ?? url) });
      } else if (message) say({ message, file: filename, line: lineno, column: colno });
    },
    true,
  );
  addEventListener("unhandledrejection", ({ reason }) => {
    const at = /(https?:\/\/[^\s()]+):(\d+):(\d+)/.exec(reason?.stack);
    say({ message: `Unhandled rejection: ${reason}`, file: at?.[1], line: Number(at?.[2]), column: Number(at?.[3]) });
  });
})();
