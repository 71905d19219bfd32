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
      port.onmessage = ({ data }) => (data ? report(data) : ports.delete(port));
      if (latest) port.postMessage(latest);
    };
    follow((said) => {
      latest = { ...latest, ...said };
      for (const port of ports) port.postMessage(said);
    });
    return;
  }

  // --- the page ---

  if (self.devserverFollows) return;
  // A page in a frame of one that follows is loaded again with that one.
  let inner;
  try {
    if (parent !== self) inner = parent.devserverFollows;
  } catch {
    // of another origin
  }
  const { src, dataset } = document.currentScript;
  // Only our own pages, which take the place of a page of the app, name the worker.
  const { run, worker } = dataset;
  let { seen } = dataset;
  let port;
  let quit;
  let left = 0;
  const follows = (self.devserverFollows = {});

  function alone() {
    port = null;
    const look = () => {
      if (document.visibilityState === "visible") quit ??= follow(hear);
      else quit = quit?.();
    };
    addEventListener("visibilitychange", look);
    look();
  }

  function connect() {
    try {
      const shared = new SharedWorker(worker || src, KEPT);
      // a policy of the page is in the way
      shared.onerror = () => port && alone();
      port = shared.port;
      port.onmessage = ({ data }) => hear(data);
    } catch {
      alone();
    }
  }

  addEventListener("pagehide", () => {
    port?.postMessage(null);
    // Not before: a person types on until the new page comes.
    if ((follows.reloads ||= inner?.reloads) && !worker) keep(state());
  });
  // back from the browser's cache of pages
  addEventListener("pageshow", ({ persisted }) => persisted && port && connect());
  addEventListener("beforeunload", () => (left = Date.now()));
  connect();

  function hear({ run: newest, seen: count, page, urls }) {
    // How many refreshes this page has not seen: one is what is said now.
    const news = count > seen && count - seen;
    if (news) seen = count;
    if (newest > run || (news && (page || !urls || news > 1))) {
      if (!inner) again(newest);
    } else if (news) exchange(urls);
  }

  function again(newest = run) {
    const mark = `${newest} ${seen}`;
    // A page from a cache has the old numbers again: once is enough.
    if (keep().loaded === mark) return;
    // Somebody has followed a link or sent a form, whose answer is on its way: it is not to be thrown away.
    if (Date.now() - left < 3e3) setTimeout(again, 1e3, newest);
    else if ("ask" in dataset) ask();
    else {
      keep({ loaded: mark });
      follows.reloads = true;
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

  // What is kept of the page at this address, before the change.
  function keep(change) {
    const key = KEPT + location.href;
    try {
      const kept = JSON.parse(sessionStorage[key] ?? "{}");
      sessionStorage[key] = JSON.stringify({ ...kept, ...change });
      return kept;
    } catch {
      // not allowed here
      return {};
    }
  }

  const valueOf = (one) =>
    one.matches("input:not([type=password],[type=file],[type=hidden]),textarea,select,details") &&
    JSON.stringify([[...(one.selectedOptions ?? [])].map(({ value }) => value), one.value, one.checked, one.open]);
  // Places, elements and what the server has sent. What scripts add later has no place that could be found again.
  let known;

  // A place is by what an element is found again in the next page. In one that is still coming only text shows whether it was typed.
  function places(value = (one) => one.value === one.defaultValue && valueOf(one)) {
    const counts = {};
    return [...document.querySelectorAll("*")].map((one) => {
      const name = [one.localName, one.name || one.id || one.placeholder, one.defaultValue, one.form?.action].join();
      counts[name] = (counts[name] ?? 0) + 1;
      return [name + counts[name], one, value(one)];
    });
  }

  function state() {
    // What an earlier page could not put in its place waits on.
    const { wishes = {} } = keep();
    for (const [place, one, was] of known ?? places()) {
      const now = valueOf(one);
      const at = [one.scrollLeft, one.scrollTop, one === document.activeElement];
      if ((now && now !== was) || at.some(Boolean)) wishes[place] = [was, now, ...at, one.selectionStart, one.selectionEnd];
    }
    return { wishes };
  }

  function restore() {
    const { wishes = {} } = keep();
    for (const [place, one, value] of (known = places(valueOf))) {
      if (!wishes[place]) continue;
      const [was, now, x, y, focused, start, end] = wishes[place];
      delete wishes[place];
      // What the server sends otherwise now is its word against the person's: the new one counts.
      if (now && now !== value && (was || value) === value) {
        let options;
        [options, one.value, one.checked, one.open] = JSON.parse(now);
        for (const option of one.options ?? []) option.selected = options.includes(option.value);
        one.dispatchEvent(new Event("input", { bubbles: true }));
      }
      one.scrollTo(x, y);
      if (focused) one.focus({ preventScroll: true });
      if (focused && start != null) one.setSelectionRange(start, end);
    }
    keep({ wishes });
  }

  // After what scripts make of the page then, and after the browser has scrolled it as it thinks best.
  if (!worker) addEventListener("DOMContentLoaded", () => setTimeout(restore));

  // --- style sheets and images ---

  // By the element of a style sheet: those that it takes the place of. Empty for one that is replaced itself.
  const older = new WeakMap();

  async function exchange(urls) {
    const done = [];
    // The address by which the browser asks anew, of what has changed.
    const newer = (url, base, any) => {
      try {
        const address = new URL(url, base || document.baseURI);
        const path = decodeURIComponent(address.pathname);
        if (address.origin !== location.origin || !(any || urls.includes(path))) return;
        done.push(path);
        address.searchParams.set(KEPT, Date.now());
        return address.href;
      } catch {
        // no address
      }
    };
    const inside = (text, pattern, base) => text.replace(pattern, (all, url) => all.replace(url, newer(url, base) ?? url));
    const rules = (sheet) => {
      try {
        return [...sheet.cssRules];
      } catch {
        // of another origin, or it has none
        return [];
      }
    };
    const imports = (sheet) => rules(sheet).filter(({ styleSheet, href }) => styleSheet && (newer(href, sheet.href) || imports(styleSheet)))[0];
    const renew = (rule, base) => {
      const sheet = rule.styleSheet ?? rule;
      for (const nested of rules(sheet)) renew(nested, sheet.href ?? base);
      for (const name of rule.style ?? []) {
        const value = rule.style.getPropertyValue(name);
        const next = inside(value, /url\(["']?(.+?)["']?\)/g, base);
        if (next !== value) rule.style.setProperty(name, next, rule.style.getPropertyPriority(name));
      }
    };
    const roots = [document];
    for (const root of roots) {
      for (const one of root.querySelectorAll("*")) {
        if (one.shadowRoot) roots.push(one.shadowRoot);
        // One that waits for its turn, or was given it by a script, is left to the page.
        const href = one.matches("link[rel=stylesheet]:not([disabled])") && newer(one.href);
        if (href || (one.sheet && imports(one.sheet))) {
          const olds = older.get(one) ?? [one];
          if (!olds[0]) continue;
          older.set(one, []);
          // An imported sheet is asked for by the same address: the browser's copy has to be a new one.
          if (!href) await Promise.all(urls.map((url) => fetch(encodeURI(url).replace(/[?#]/g, encodeURIComponent), { cache: "reload" })));
          const next = one.cloneNode(true);
          if (one.href) next.href = newer(one.href, "", true);
          // until then the old one is shown: no flash
          next.onload = next.onerror = () => olds.forEach((old) => old.remove());
          older.set(next, [...olds, next]);
          one.after(next);
        } else if (one.matches("img,source:not([src]),video,image,use,input,embed,object,link[rel~=icon]")) {
          for (const name of ["src", "srcset", "href", "poster", "data"]) {
            const value = one.getAttribute(name) ?? "";
            const next = inside(value, /([^\s,]\S*[^\s,])/g);
            if (next !== value) one.setAttribute(name, next);
          }
        }
        renew(one);
      }
      for (const sheet of root.styleSheets) renew(sheet);
    }
    // What is left: a script, a font, the page itself.
    urls = urls.filter((url) => !done.includes(url));
    const uses = [{ name: location.href }, ...performance.getEntries()];
    if (urls[0] && (uses.length > 250 || uses.some(({ name }) => newer(name)))) again();
  }

  // --- errors, for the terminal ---

  function say(said) {
    said.page = location.pathname + location.search;
    if (port) port.postMessage(said);
    else report(said);
  }

  addEventListener(
    "error",
    ({ target: { localName, src, href }, message, filename: file, lineno: line, colno: column }) => {
      const url = src || href;
      if (localName) {
        if (url) say({ message: `<${localName}> could not be loaded`, file: "" + url });
      } else if (message) say({ message, file, line, column });
    },
    true,
  );
  addEventListener("unhandledrejection", ({ reason }) => {
    const [, file, line, column] = /(https?:\/\/[^\s()]+):(\d+):(\d+)/.exec(reason?.stack) ?? [];
    say({ message: `Unhandled rejection: ${reason}`, file, line: +line, column: +column });
  });
})();
