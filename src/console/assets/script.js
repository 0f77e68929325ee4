// What moves: live changes, keys, times in the reader's zone, the preview beside an editor. Every page works without it.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const announce = (words) => { const region = one("#announce"); if (region) region.textContent = words; };

  // Times
  const forms = {
    day: { day: "numeric", month: "short", year: "numeric" },
    minute: { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" },
    second: { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" },
  };
  const localise = (root) => all("time[datetime]", root).forEach((time) => {
    const at = new Date(time.dateTime);
    const form = forms[time.dataset.form];
    if (!form || isNaN(at)) return;
    const isMidnight = time.dataset.form === "minute" && at.getHours() === 0 && at.getMinutes() === 0;
    time.textContent = new Intl.DateTimeFormat("en-GB", isMidnight ? { ...forms.day, timeZoneName: "short" } : form).format(at);
  });

  // Ids are copied by a click
  const makeCopyable = (root) => all("code.id[data-copy]", root).forEach((code) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "is-copy id";
    button.textContent = code.textContent;
    button.title = "Copy";
    button.setAttribute("aria-label", `Copy ${code.textContent}`);
    code.replaceWith(button);
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.is-copy");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.textContent);
      announce(`${button.textContent} copied`);
      button.title = "Copied";
    } catch { announce("The browser does not let this page copy"); }
  });

  // A double click sends once; the server sees to it too
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("data-preview")) return;
    if (form.dataset.isSent) { event.preventDefault(); return; }
    form.dataset.isSent = "yes";
    all("button", form).forEach((button) => button.setAttribute("aria-disabled", "true"));
  });
  addEventListener("pageshow", () => all("form[data-is-sent]").forEach((form) => {
    delete form.dataset.isSent;
    all("button", form).forEach((button) => button.removeAttribute("aria-disabled"));
  }));

  // Live changes
  const dot = one(".live");
  let epoch = document.documentElement.dataset.epoch;
  let isLoading = false, isWanted = false, fetched = null;
  const isBusy = (element) => element.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")
    || one("form[data-keep]", element) !== null;
  const prepare = (root) => { localise(root); makeCopyable(root); };
  const same = (a, b) => a.innerHTML === b.innerHTML && a.className === b.className;

  function settle(next) {
    let waiting = 0;
    all("[data-live]").forEach((element) => {
      const fresh = next.getElementById(element.id);
      if (!fresh || isBusy(element)) return;
      if (!element.hasAttribute("data-rows")) {
        if (!same(element, fresh)) replace(element, fresh);
        return;
      }
      const rows = new Map(all("[data-row]", element).map((row) => [row.dataset.row, row]));
      const news = new Map(all("[data-row]", fresh).map((row) => [row.dataset.row, row]));
      for (const [id, row] of rows) {
        const to = news.get(id);
        if (!to) { waiting += 1; continue; }
        if (!same(row, to) && !isBusy(row)) replace(row, to);
      }
      for (const id of news.keys()) if (!rows.has(id)) waiting += 1;
    });
    const button = one("#waiting");
    if (button) {
      button.hidden = waiting === 0;
      const words = waiting === 1 ? "1 change" : `${waiting} changes`;
      if (waiting && button.textContent !== words) { button.textContent = words; announce(`${words} to show`); }
    }
  }
  function replace(old, fresh) {
    const focus = old.contains(document.activeElement) ? all("a, button", old).indexOf(document.activeElement) : -1;
    const copy = document.importNode(fresh, true);
    old.replaceWith(copy);
    if (focus >= 0) all("a, button", copy)[focus]?.focus();
    if (copy.dataset.said) announce(copy.dataset.said);
  }
  async function refresh() {
    if (isLoading) { isWanted = true; return; }
    isLoading = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { accept: "text/html" } });
      if (answer.ok) {
        const next = new DOMParser().parseFromString(await answer.text(), "text/html");
        prepare(next.body);
        fetched = next;
        settle(next);
      }
    } catch { /* the next event asks again */ }
    isLoading = false;
    if (isWanted) { isWanted = false; refresh(); }
  }
  one("#waiting")?.addEventListener("click", () => {
    if (!fetched) return;
    all("[data-live][data-rows]").forEach((element) => {
      const fresh = fetched.getElementById(element.id);
      if (fresh) element.replaceWith(document.importNode(fresh, true));
    });
    one("#waiting").hidden = true;
    announce("The list is up to date");
    one("main").focus();
  });
  if (dot && "EventSource" in window) {
    const source = new EventSource("/live?after=" + encodeURIComponent(epoch || ""));
    let soon;
    const isLive = () => {
      dot.classList.remove("is-late");
      dot.classList.add("is-live");
      one(".word", dot).textContent = "live";
      dot.title = "Changes show as they happen";
    };
    source.addEventListener("open", isLive);
    source.addEventListener("change", (event) => {
      epoch = event.lastEventId;
      if (!one("[data-live]")) return;
      clearTimeout(soon);
      soon = setTimeout(refresh, 60);
    });
    source.addEventListener("error", () => {
      if (dot.classList.contains("is-late")) return;
      dot.classList.remove("is-live");
      dot.classList.add("is-late");
      const words = `as of ${new Date().toLocaleTimeString("en-GB")}, reconnecting`;
      one(".word", dot).textContent = words;
      dot.title = words;
    });
    addEventListener("pagehide", () => source.close());
  }

  // A preview beside what is typed
  all("form[data-preview]").forEach((form) => {
    const into = document.getElementById(form.dataset.into);
    let soon, asked = 0;
    const ask = async () => {
      const mine = ++asked;
      try {
        const answer = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin" });
        const text = await answer.text();
        if (mine !== asked) return;
        const next = new DOMParser().parseFromString(text, "text/html");
        prepare(next.body);
        into.replaceChildren(...[...next.body.childNodes].map((node) => document.importNode(node, true)));
      } catch { announce("The preview could not be made: no answer"); }
    };
    form.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(ask, 200); });
  });

  // What is ticked in a list, and a search in it
  all("[data-ticks]").forEach((list) => {
    const search = document.getElementById(list.dataset.ticks);
    search?.addEventListener("input", () => all("label", list).forEach((label) => {
      label.hidden = !label.textContent.toLowerCase().includes(search.value.toLowerCase());
    }));
    search?.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  });
  all("[data-toggles]").forEach((box) => {
    const target = document.getElementById(box.dataset.toggles);
    const show = () => { target.hidden = !box.checked; };
    all(`[name="${CSS.escape(box.name)}"]`).forEach((other) => other.addEventListener("change", show));
    show();
  });

  // Keys
  const keys = one("#keys");
  const rowsOf = () => all("tbody [data-row], ul [data-row]").filter((row) => row.offsetParent !== null);
  const step = (by) => {
    const rows = rowsOf();
    if (!rows.length) return false;
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const row = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
    one("a, button", row)?.focus();
    return true;
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = event.target.matches("input, textarea, select");
    if (event.key === "Escape") {
      const open = one("details[open].menu-holder");
      if (open) { open.open = false; one("summary", open).focus(); return; }
      if (keys?.open) return;
      if (isTyping) { event.target.blur(); return; }
      one("a[data-close]")?.click();
      return;
    }
    if (isTyping) return;
    const inTable = event.target.closest("[data-row]");
    let done = true;
    switch (event.key) {
      case "/": one("#search")?.focus(); one("#search")?.select(); break;
      case "?": keys?.showModal(); break;
      case "j": done = step(1); break;
      case "k": done = step(-1); break;
      case "ArrowDown": done = inTable !== null && step(1); break;
      case "ArrowUp": done = inTable !== null && step(-1); break;
      default: done = false;
    }
    if (done) event.preventDefault();
  });
  one("#show-keys")?.addEventListener("click", () => keys?.showModal());
  document.addEventListener("click", (event) => all("details[open].menu-holder").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  }));

  prepare(document.body);
  document.documentElement.dataset.isReady = "yes";
})();
