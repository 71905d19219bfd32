// Reloads the page when another server has taken over, that is: when the code was changed.
(() => {
  "use strict";
  const { run, reload } = document.documentElement.dataset;
  if (reload === "off") return;
  const INTERVAL_MS = 1000;
  const TIMEOUT_MS = 5000;
  const watch = document.getElementById("watch");
  let timer;
  let asking = false;

  watch.textContent = watch.dataset.text;
  watch.classList.add("live");

  function heal() {
    if (reload === "auto") {
      location.reload();
      return;
    }
    // the request had a body: to repeat it is for a person to decide
    watch.hidden = true;
    document.getElementById("changed").hidden = false;
  }

  async function ask() {
    clearTimeout(timer);
    if (asking || document.visibilityState !== "visible") return;
    asking = true;
    let changed = false;
    try {
      const answer = await fetch("/__devserver__/state", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
      changed = answer.ok && (await answer.json()).run !== run;
    } catch {
      // restarting, or gone: ask again
    }
    asking = false;
    if (changed) heal();
    else timer = setTimeout(ask, INTERVAL_MS);
  }

  document.addEventListener("visibilitychange", ask);
  ask();
})();
