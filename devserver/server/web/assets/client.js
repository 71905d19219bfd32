// The browser follows: it loads a page again when a newer server answers, exchanges style sheets and images that were saved, and
// tells the terminal of errors. One file for two places: a page, and the worker that all tabs of a browser share, which holds the
// one event stream. A browser without such a worker holds a stream in each visible tab.
(() => {
  const HERE = "/__devserver__/";
  const KEPT = "devserver";

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
        if (data !== "null") tell(JSON.parse(data));
      };
    };
    open();
    // Some browsers give up at the first refusal. And the server says something every 15 s: who hears nothing for longer has slept.
    const timer = setInterval(() => (source.readyState === 2 || Date.now() - heard > 4e4) && open(), 1e3);
    return () => {
      clearInterval(timer);
      source.close();
    };
  }

  const report = (said) => fetch(HERE + "browser", { method: "POST", body: JSON.stringify(said) }).catch(() => {});

  if (!self.document) {
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
      latest = { run: said.run ?? latest.run, seen: said.seen };
      for (const port of ports) port.postMessage(said);
    });
    return;
  }

  // --- the page ---

  if (self.devserverFollows) return;
  self.devserverFollows = true;
  // A page in a frame of one that follows is loaded again with that one.
  let inner = false;
  try {
    inner = parent !== self && parent.devserverFollows;
  } catch {
    // of another origin
  }
  const me = document.currentScript;
  const { run, worker } = me.dataset;
  let { seen } = me.dataset;
  let port;
  let quit;
  let left = 0;

  function alone() {
    port = null;
    const look = () => {
      if (document.visibilityState === "visible") quit ??= follow(hear);
      else quit = quit?.();
    };
    document.addEventListener("visibilitychange", look);
    look();
  }

  function connect() {
    try {
      const shared = new SharedWorker(worker || me.src, KEPT);
      // a policy of the page is in the way
      shared.onerror = () => port && alone();
      port = shared.port;
      port.onmessage = ({ data }) => hear(data);
    } catch {
      alone();
    }
  }

  addEventListener("pagehide", () => port?.postMessage(null));
  // back from the browser's cache of pages
  addEventListener("pageshow", ({ persisted }) => persisted && port && connect());
  addEventListener("beforeunload", () => (left = Date.now()));
  connect();

  function hear({ run: newest, seen: count, page, urls }) {
    // How many refreshes this page has not seen: one is what is said now.
    const news = count - seen;
    if (news > 0) seen = count;
    if (newest > run || (news > 0 && (page || !urls || news > 1))) {
      if (!inner) again(newest);
    } else if (news > 0) exchange(urls);
  }

  function again(newest = run) {
    const { loaded, href } = keep();
    const mark = `${newest} ${seen}`;
    // A page from a cache has the old numbers again: once is enough.
    if (loaded === mark && href === location.href) return;
    // Somebody has followed a link or sent a form, whose answer is on its way: it is not to be thrown away.
    if (Date.now() - left < 3e3) setTimeout(again, 1e3, newest);
    else if ("ask" in me.dataset) ask();
    else {
      keep({ loaded: mark, href: location.href, ...state() });
      location.reload();
      left = 0;
    }
  }

  function ask() {
    // The request had a body: to repeat it is for a person to decide.
    if (!document.dispatchEvent(new Event("devserver:changed", { cancelable: true })) || document.getElementById(KEPT)) return;
    const link = document.createElement("a");
    link.id = KEPT;
    link.href = location.href.split("#")[0];
    link.textContent = "The code has changed: load again";
    link.style = "all:initial;position:fixed;z-index:99999999;right:1em;bottom:1em;padding:1em;background:#1d2433;color:#fff;font:1em system-ui";
    document.documentElement.append(link);
  }

  // --- what a person has done in the page survives ---

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
  const valueOf = ({ name, type, value, checked }) => JSON.stringify([name, type, value, checked]);
  // As the server has sent them; what scripts add later has no place that could be found again.
  let fields = [];
  let before = [];

  function state() {
    const focused = document.activeElement;
    const all = elements();
    return {
      before,
      now: fields.map(valueOf),
      focused: [all.indexOf(focused), focused.localName, focused.selectionStart, focused.selectionEnd],
      scrolled: all.map((one) => one.scrollTop),
    };
  }

  function restore() {
    fields = [...document.querySelectorAll("input:not([type=password],[type=file],[type=hidden]),textarea,select")];
    before = fields.map(valueOf);
    const then = keep();
    keep({ loaded: then.loaded, href: then.href });
    if (!then.now || then.href !== location.href) return;
    fields.forEach((field, at) => {
      // What the server sends otherwise now is its word against the person's: the new one counts.
      if (before[at] !== then.before[at] || then.now[at] === before[at]) return;
      [, , field.value, field.checked] = JSON.parse(then.now[at]);
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
    const all = elements();
    then.scrolled.forEach((top, index) => top && all[index] && (all[index].scrollTop = top));
    const [index, tag, start, end] = then.focused;
    if (all[index]?.localName !== tag) return;
    all[index].focus({ preventScroll: true });
    if (start != null) all[index].setSelectionRange(start, end);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", restore);
  else restore();

  // --- style sheets and images ---

  const replaced = new WeakSet();

  async function exchange(urls) {
    const address = (url, base) => new URL(url, base || document.baseURI);
    const is = (url, base) => {
      try {
        const { origin, pathname } = address(url, base);
        return origin === location.origin && urls.includes(decodeURIComponent(pathname));
      } catch {
        return false;
      }
    };
    const done = [];
    const renewed = (url, base) => {
      const newer = address(url, base);
      newer.searchParams.set(KEPT, Date.now());
      done.push(decodeURIComponent(newer.pathname));
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
    const inside = (text, pattern, base) => text?.replace(pattern, (all, url) => (is(url, base) ? all.replace(url, renewed(url, base)) : all));
    const renew = (rule, base) => {
      rules(rule).forEach((nested) => renew(nested, base));
      for (const name of rule.style ?? []) {
        const value = rule.style.getPropertyValue(name);
        const newer = inside(value, /url\("(.+?)"\)/g, base);
        if (newer !== value) rule.style.setProperty(name, newer, rule.style.getPropertyPriority(name));
      }
    };
    const roots = [document];
    for (const root of roots) {
      for (const one of root.querySelectorAll("*")) {
        if (one.shadowRoot) roots.push(one.shadowRoot);
        const own = one.matches("link[rel~=stylesheet]") && is(one.href);
        if (own || (one.sheet && imports(one.sheet))) {
          if (replaced.has(one)) continue;
          replaced.add(one);
          // An imported sheet is asked for by the same address: the browser's copy has to be a new one.
          if (!own) await Promise.all(urls.map((url) => fetch(url.split("/").map(encodeURIComponent).join("/"), { cache: "reload" })));
          const next = one.cloneNode(true);
          if (one.href) next.href = renewed(one.href);
          // until then the old one is shown: no flash
          next.onload = next.onerror = () => one.remove();
          one.after(next);
          if (!own) done.push(...urls.filter((url) => url.endsWith(".css")));
        } else if (one.matches("img,source,video,image,use,link[rel~=icon]")) {
          for (const name of ["src", "srcset", "href", "poster"]) {
            const value = one.getAttribute(name);
            const newer = inside(value, /([^\s,]\S*[^\s,])/g);
            if (value && newer !== value && (name !== "src" || one.localName !== "source")) one.setAttribute(name, newer);
          }
        }
        renew(one);
      }
      for (const sheet of root.styleSheets) renew(sheet, sheet.href);
    }
    // What is left: a script, a font, the page itself.
    urls = urls.filter((url) => !done.includes(url));
    const uses = [location.href, ...performance.getEntriesByType("resource").map(({ name }) => name)];
    if (urls[0] && (uses.length > 250 || uses.some((url) => is(url)))) again();
  }

  // --- errors, for the terminal ---

  function say(said) {
    said.page = location.pathname + location.search;
    if (port) port.postMessage(said);
    else report(said);
  }

  addEventListener(
    "error",
    ({ target, message, filename, lineno, colno }) => {
      const url = target?.src || target?.href;
      if (target instanceof Element) {
        if (url) say({ message: `<${target.localName}> could not be loaded`, file: `${url}` });
      } else if (message) say({ message, file: filename, line: lineno, column: colno });
    },
    true,
  );
  addEventListener("unhandledrejection", ({ reason }) => {
    const at = /(https?:\/\/[^\s()]+):(\d+):(\d+)/.exec(reason?.stack);
    say({ message: `Unhandled rejection: ${reason}`, file: at?.[1], line: +at?.[2], column: +at?.[3] });
  });
})();
