
"use strict";
(() => {
  // Everything that agents say is put on the page as text, never as HTML.

  /** The silent first. */
  const VERDICTS = ["Lost", "Suspect", "Pending", "Left", "Alive"];
  const STATUSES = ["Unhealthy", "Degraded", "Unknown", "Healthy"];
  /** Rows at once: a screenful or two. The hub pages the rest. */
  const PAGE = 100;
  /** Transitions of the fleet that are kept and shown. */
  const RECENT = 50;
  /** Components that are shown of one report. */
  const COMPONENTS = 500;
  /** Statuses change without a transition, so the page also asks. In milliseconds. */
  const ASK_EVERY = 5000;
  /** What changes is asked for again at most this often. */
  const ASK_GAP = 1000;
  /** A hub that does not answer within this time is not live. */
  const ANSWER_MAX = 8000;
  /** A page that is not live after this time says so. */
  const SOON_MAX = 3000;
  /** A stream that ended for good is tried again after this time. */
  const STREAM_AGAIN = 2000;
  /** Somebody who listens is told of changes at most this often. */
  const ANNOUNCE_GAP = 5000;

  const $ = (id) => document.getElementById(id);

  const view = { verdicts: new Set(), status: "", search: "", sort: "verdict", agent: null };
  /** The cursors of the pages before this one; the last is this one's, "" the first page's. */
  let cursors = [""];
  let next = null;
  /** The hub's clock minus ours. */
  let ahead = 0;
  let counts = {};
  let recent = [];

  // --- elements ---

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function icon(verdict) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    use.setAttribute("href", "#i-" + verdict.toLowerCase());
    svg.append(use);
    return svg;
  }

  function verdictElement(verdict) {
    const known = VERDICTS.includes(verdict) ? verdict : "Pending";
    const made = element("span", "v " + known);
    made.append(icon(known), element("span", "", text(verdict)));
    return made;
  }

  function statusElement(status) {
    const known = STATUSES.includes(status);
    return element("span", "s " + (known ? status : "none"), known ? status : "no report");
  }

  /** Whatever it is, as a text of a sensible length. */
  function text(value) {
    const plain = value === null || value === undefined ? "" : String(value);
    return plain.length > 2000 ? plain.slice(0, 2000) + "…" : plain;
  }

  // --- time ---

  const now = () => Date.now() + ahead;

  function duration(milliseconds) {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    const pair = (big, bigUnit, small, smallUnit) => big + bigUnit + " " + String(small).padStart(2, "0") + smallUnit;
    if (seconds < 60) return seconds + "s";
    if (seconds < 3600) return pair(Math.floor(seconds / 60), "m", seconds % 60, "s");
    if (seconds < 86400) return pair(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "m");
    return pair(Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h");
  }

  const absolute = (at) => new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const clock = (at) => new Date(at).toLocaleTimeString(undefined, { hour12: false });

  /** A time that ticks; `after` is written behind it. */
  function timeElement(at, after) {
    const made = element("time", "", "");
    setTime(made, at, after);
    return made;
  }

  function setTime(made, at, after) {
    const time = Date.parse(at);
    if (Number.isNaN(time)) {
      made.removeAttribute("data-at");
      made.textContent = "–";
      return;
    }
    if (made.dateTime !== at) {
      made.dateTime = at;
      made.dataset.at = String(time);
      made.title = absolute(time);
    }
    made.dataset.after = after || "";
    tick(made);
  }

  function tick(made) {
    const shown = duration(now() - Number(made.dataset.at)) + made.dataset.after;
    if (made.textContent !== shown) made.textContent = shown;
  }

  setInterval(() => {
    for (const made of document.querySelectorAll("time[data-at]")) tick(made);
    showLive();
  }, 1000);

  // --- the URL says what is shown ---

  function readUrl() {
    const url = new URLSearchParams(location.search);
    const sorts = [...$("sort").options].map((option) => option.value);
    view.verdicts = new Set(url.getAll("verdict").filter((verdict) => VERDICTS.includes(verdict)));
    view.status = [...STATUSES, "none"].includes(url.get("status")) ? url.get("status") : "";
    view.search = (url.get("search") || "").slice(0, 200);
    view.sort = sorts.includes(url.get("sort")) ? url.get("sort") : "verdict";
    view.agent = url.has("name") ? { workspace: url.get("workspace") || "-", name: url.get("name") } : null;
  }

  function writeUrl(push) {
    const url = new URLSearchParams();
    for (const verdict of view.verdicts) url.append("verdict", verdict);
    if (view.status) url.set("status", view.status);
    if (view.search) url.set("search", view.search);
    if (view.sort !== "verdict") url.set("sort", view.sort);
    if (view.agent) {
      url.set("workspace", view.agent.workspace);
      url.set("name", view.agent.name);
    }
    const query = url.toString();
    const target = location.pathname + (query ? "?" + query : "");
    if (push) history.pushState({ ours: true }, "", target);
    else history.replaceState(history.state, "", target);
  }

  // --- asking the hub ---

  /** When the hub was last heard of; nothing while it was not yet. */
  let heardAt = null;
  let streamOpen = false;
  let answered = false;

  class HubError extends Error {
    constructor(status, message) {
      super(message);
      this.status = status;
    }
  }

  async function ask(path, signal) {
    const timeout = AbortSignal.timeout(ANSWER_MAX);
    const answer = await fetch(path, {
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      headers: { Accept: "application/json" },
    });
    // The session is over: the hub shows its login here.
    if (answer.status === 401) location.reload();
    if (!answer.ok) throw new HubError(answer.status, (await answer.text()).slice(0, 300));
    return answer.json();
  }

  function heard() {
    heardAt = Date.now();
  }

  const openedAt = Date.now();
  let wasLive = false;

  function showLive() {
    const live = streamOpen && answered;
    wasLive ||= live;
    const soon = !wasLive && Date.now() - openedAt < SOON_MAX;
    const shown = $("live");
    const was = shown.dataset.live;
    shown.dataset.live = live ? "yes" : soon ? "soon" : "no";
    const since = heardAt === null ? openedAt : heardAt;
    const said = live ? "live" : soon ? "connecting …" : "not live since " + clock(since) + " (" + duration(Date.now() - since) + ")";
    if ($("live-text").textContent !== said) $("live-text").textContent = said;
    if (was === shown.dataset.live || was === "soon") return;
    announce(live ? "live again" : "not live: the hub does not answer");
  }

  let asking = null;
  let askAgain = null;

  /** Asks for what is shown: at once for somebody who waits, else soon. */
  function refresh(atOnce) {
    if (!atOnce) {
      if (askAgain === null) askAgain = setTimeout(load, ASK_GAP);
      return;
    }
    load();
  }

  async function load() {
    clearTimeout(askAgain);
    askAgain = null;
    if (asking) asking.abort();
    const mine = new AbortController();
    asking = mine;
    const query = new URLSearchParams({ sort: view.sort, limit: String(PAGE) });
    for (const verdict of view.verdicts) query.append("verdict", verdict);
    if (view.status) query.set("status", view.status);
    if (view.search) query.set("search", view.search);
    const cursor = cursors[cursors.length - 1];
    if (cursor) query.set("cursor", cursor);
    try {
      const fleet = await ask("fleet?" + query, mine.signal);
      if (asking !== mine) return;
      // A page that is empty now has moved to the front.
      if (fleet.agents.length === 0 && cursors.length > 1) {
        cursors = [""];
        asking = null;
        return load();
      }
      ahead = Date.parse(fleet.now) - Date.now();
      answered = true;
      heard();
      next = fleet.next;
      showCounts(fleet.counts);
      $("doubt").hidden = !fleet.doubt;
      showRows(fleet.agents, fleet.matching);
    } catch (error) {
      if (asking !== mine || mine.signal.aborted) return;
      if (error instanceof HubError && error.status === 400 && cursors.length > 1) {
        // The hub has started anew, and its cursors with it.
        cursors = [""];
        refresh(false);
      } else {
        answered = false;
        $("agents").setAttribute("aria-busy", "true");
      }
    } finally {
      if (asking === mine) asking = null;
    }
    showLive();
  }

  setInterval(() => {
    if (document.hidden) return;
    if (!asking) load();
    if (view.agent) loadDetail();
  }, ASK_EVERY);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh(true);
  });

  // --- the stream ---

  let lastEventId = "";

  function listen() {
    const query = lastEventId ? "lastEventId=" + encodeURIComponent(lastEventId) : "recent=" + RECENT;
    const source = new EventSource("events?" + query);
    source.addEventListener("open", () => {
      const again = lastEventId !== "" || heardAt !== null;
      streamOpen = true;
      heard();
      showLive();
      if (again) refresh(true);
    });
    source.addEventListener("counts", (event) => {
      heard();
      showCounts(JSON.parse(event.data));
    });
    source.addEventListener("reset", (event) => {
      lastEventId = event.lastEventId;
      recent = [];
      showRecent();
      refresh(true);
    });
    source.addEventListener("transition", (event) => {
      heard();
      lastEventId = event.lastEventId;
      transition(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      if (streamOpen) heard();
      streamOpen = false;
      showLive();
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, STREAM_AGAIN * (1 + Math.random()));
    });
  }

  const changed = new Map();
  let recentWaits = false;

  function transition(change) {
    recent.unshift(change);
    recent.length = Math.min(recent.length, RECENT);
    if (!recentWaits) {
      recentWaits = true;
      requestAnimationFrame(() => {
        recentWaits = false;
        showRecent();
      });
    }
    // What is old was told when it happened, to whoever looked then.
    if (now() - Date.parse(change.at) > 10000) return;
    changed.set(key(change), Date.now());
    announceChange(change);
    refresh(false);
    if (view.agent && key(view.agent) === key(change)) loadDetail();
  }

  // --- what is said aloud, politely and not often ---

  let waiting = [];
  let announceAt = 0;
  let announcing = null;

  function announceChange(change) {
    waiting.push(change);
    if (announcing === null) announcing = setTimeout(announceChanges, Math.max(0, announceAt - Date.now()) + 300);
  }

  function announceChanges() {
    announcing = null;
    announceAt = Date.now() + ANNOUNCE_GAP;
    if (waiting.length === 1) announce(text(waiting[0].name) + " is " + waiting[0].verdict);
    else {
      const parts = VERDICTS.map((verdict) => [waiting.filter((change) => change.verdict === verdict).length, verdict]);
      announce(parts.filter(([n]) => n > 0).map(([n, verdict]) => n + " became " + verdict).join(", "));
    }
    waiting = [];
  }

  function announce(said) {
    $("announce").textContent = said;
  }

  // --- counts ---

  const countButtons = new Map();
  const shares = new Map();

  function makeCounts() {
    for (const verdict of VERDICTS) {
      const button = element("button", verdict);
      button.type = "button";
      button.append(icon(verdict), element("span", "", verdict), element("span", "n", "–"));
      button.addEventListener("click", () => {
        if (!view.verdicts.delete(verdict)) view.verdicts.add(verdict);
        filterChanged();
      });
      countButtons.set(verdict, button);
      $("counts").append(button);
      const share = element("i", verdict);
      shares.set(verdict, share);
      $("share").append(share);
    }
  }

  function showCounts(now) {
    counts = now;
    for (const verdict of VERDICTS) {
      const n = Number(counts[verdict]) || 0;
      const button = countButtons.get(verdict);
      button.lastChild.textContent = n.toLocaleString();
      button.toggleAttribute("data-zero", n === 0);
      shares.get(verdict).style.flexGrow = String(n);
      shares.get(verdict).style.display = n ? "" : "none";
    }
    const silent = (Number(counts.Lost) || 0) + (Number(counts.Suspect) || 0);
    document.title = (silent ? "(" + silent + ") " : "") + "Fleet · syncer-health";
  }

  function showControls() {
    for (const [verdict, button] of countButtons) button.setAttribute("aria-pressed", String(view.verdicts.has(verdict)));
    if ($("search").value !== view.search) $("search").value = view.search;
    $("status").value = view.status;
    $("sort").value = view.sort;
    $("clear").hidden = !isFiltered();
    for (const header of document.querySelectorAll("#agents th[data-sort]")) {
      const sorted = view.sort.replace("-", "") === header.dataset.sort;
      if (sorted) header.setAttribute("aria-sort", view.sort.startsWith("-") ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    }
  }

  const isFiltered = () => view.verdicts.size > 0 || view.status !== "" || view.search !== "";

  function filterChanged() {
    cursors = [""];
    showControls();
    writeUrl(false);
    refresh(true);
  }

  // --- rows ---

  const rows = new Map();

  const key = (agent) => agent.workspace + "/" + agent.name;

  function makeRow(agent) {
    const row = element("tr");
    row.setAttribute("role", "row");
    const cells = [0, 1, 2, 3, 4, 5, 6].map((column) => {
      const cell = element(column === 1 ? "th" : "td");
      cell.setAttribute("role", column === 1 ? "rowheader" : "cell");
      if (column === 1) cell.scope = "row";
      return cell;
    });
    row.append(...cells);
    const name = element("button", "name", text(agent.name));
    name.type = "button";
    name.setAttribute("aria-haspopup", "dialog");
    cells[1].append(name, " ", element("span", "ws", text(agent.workspace)));
    const since = element("time");
    cells[2].append(since);
    const last = element("time");
    cells[6].append(last);
    row.agent = { workspace: agent.workspace, name: agent.name };
    return { row, cells, name, since, last, shown: {} };
  }

  function fillRow(made, agent) {
    const { row, cells, shown } = made;
    if (shown.verdict !== agent.verdict) {
      cells[0].replaceChildren(verdictElement(agent.verdict));
      row.className = "is-" + (VERDICTS.includes(agent.verdict) ? agent.verdict : "Pending");
    }
    setTime(made.since, agent.since);
    const reason = text(agent.reason) + (agent.held ? ", held" : "");
    if (shown.reason !== reason) cells[3].textContent = reason;
    if (shown.status !== agent.status || shown.verdict !== agent.verdict) {
      const status = statusElement(agent.status);
      // Of one who is silent it is what it said last.
      if (agent.verdict !== "Alive" && agent.status) {
        status.classList.add("was");
        status.title = "as it said last";
      }
      cells[4].replaceChildren(status);
    }
    const deciding = JSON.stringify(agent.deciding);
    if (shown.deciding !== deciding) cells[5].replaceChildren(decidingLine(agent));
    setTime(made.last, latest(agent.lastEvidence), " ago");
    made.shown = { verdict: agent.verdict, reason, status: agent.status, deciding };
    const at = changed.get(key(agent));
    if (at !== undefined) {
      changed.delete(key(agent));
      if (Date.now() - at < 10000) {
        row.classList.remove("changed");
        void row.offsetWidth;
        row.classList.add("changed");
      }
    }
  }

  function latest(evidence) {
    const times = Object.values(evidence || {}).map((channel) => channel.at);
    return times.length ? times.reduce((a, b) => (Date.parse(a) > Date.parse(b) ? a : b)) : "";
  }

  /** The deciding components in one line: of a healthy agent their names only. */
  function decidingLine(agent) {
    const deciding = Array.isArray(agent.deciding) ? agent.deciding : [];
    const healthy = agent.status === "Healthy";
    const parts = deciding.map((one) => text(one.component) + (healthy ? "" : ": " + text(one.message || one.reason)));
    const line = element("span", healthy ? "by dim" : "by", parts.join(", "));
    line.title = deciding.map((one) => text(one.component) + " " + text(one.reason) + ": " + text(one.message)).join("\n");
    return line;
  }

  function showRows(agents, matching) {
    const body = $("rows");
    const wanted = agents.map((agent) => {
      const made = rows.get(key(agent)) || makeRow(agent);
      rows.set(key(agent), made);
      fillRow(made, agent);
      return made.row;
    });
    const keep = new Set(agents.map(key));
    for (const known of [...rows.keys()]) if (!keep.has(known)) rows.delete(known);
    const same = wanted.length === body.children.length && wanted.every((row, i) => body.children[i] === row);
    if (!same) {
      // A row that moves must not lose the focus that is in it.
      const focused = body.contains(document.activeElement) ? document.activeElement : null;
      body.replaceChildren(...wanted);
      if (focused && focused.isConnected) focused.focus({ preventScroll: true });
      else if (focused) $("agents").focus({ preventScroll: true });
    }
    const empty = agents.length === 0;
    $("empty").hidden = !empty;
    if (empty) $("empty").textContent = isFiltered() ? "No agent is like that." : "No agents yet: none has dialled in, and no token names one.";
    const first = (cursors.length - 1) * PAGE + 1;
    $("range").textContent = empty ? "no agents" : first.toLocaleString() + "–" + (first + agents.length - 1).toLocaleString() + " of " + Number(matching).toLocaleString();
    $("previous").disabled = cursors.length === 1;
    $("next").disabled = !next;
    $("agents").removeAttribute("aria-busy");
    if (changed.size > 1000) changed.clear();
  }

  // --- recent transitions of the fleet ---

  function transitionElement(change, who) {
    const item = element("li");
    const time = element("time", "dim", clock(Date.parse(change.at)));
    time.dateTime = change.at;
    time.title = absolute(Date.parse(change.at));
    const to = element("span");
    if (change.from) to.append(element("span", "from", change.from + " → "));
    to.append(verdictElement(change.verdict));
    const why = element("span");
    if (who) {
      const button = element("button", "who", text(change.name));
      button.type = "button";
      button.setAttribute("aria-haspopup", "dialog");
      button.addEventListener("click", () => openDetail(change, button));
      why.append(button, element("span", "dim", " " + text(change.workspace) + " · " + text(change.reason)));
    } else why.append(element("span", "dim", text(change.reason)));
    if (change.lasted !== undefined) why.append(element("span", "dim", " · for " + duration(change.lasted)));
    item.append(time, to, why);
    return item;
  }

  function showRecent() {
    const list = $("recent");
    const focusedAt = [...list.querySelectorAll("button")].indexOf(document.activeElement);
    list.replaceChildren(...recent.map((change) => transitionElement(change, true)));
    if (focusedAt >= 0) list.querySelectorAll("button")[Math.min(focusedAt, recent.length - 1)]?.focus({ preventScroll: true });
    $("recent-empty").hidden = recent.length > 0;
  }

  // --- one agent ---

  const dialog = $("detail");
  let opener = null;
  let detailShown = "";

  function openDetail(agent, from) {
    opener = from;
    view.agent = { workspace: agent.workspace, name: agent.name };
    writeUrl(true);
    showDetail();
  }

  function showDetail() {
    detailShown = "";
    $("detail-name").textContent = text(view.agent.name);
    $("detail-workspace").textContent = text(view.agent.workspace);
    $("detail-body").hidden = true;
    $("detail-problem").hidden = true;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    loadDetail();
  }

  function closeDetail() {
    if (!view.agent) return;
    view.agent = null;
    // Back to where the detail was opened from, so that "back" does not open it again.
    if (history.state && history.state.ours) history.back();
    else writeUrl(false);
    if (dialog.open) dialog.close();
    const target = opener && opener.isConnected ? opener : $("agents");
    target.focus({ preventScroll: true });
  }

  async function loadDetail() {
    const asked = view.agent;
    if (!asked) return;
    try {
      const path = "fleet/" + encodeURIComponent(asked.workspace) + "/" + encodeURIComponent(asked.name);
      const agent = await ask(path);
      if (view.agent === asked) fillDetail(agent);
    } catch (error) {
      if (view.agent !== asked) return;
      const gone = error instanceof HubError && error.status === 404;
      $("detail-problem").textContent = gone ? "The hub does not know this agent." : "The hub does not answer; this may be old.";
      $("detail-problem").hidden = false;
    }
  }

  function fillDetail(agent) {
    $("detail-problem").hidden = true;
    $("detail-body").hidden = false;
    const lastHeard = Object.entries(agent.lastEvidence || {});
    $("detail-verdict").replaceChildren(verdictElement(agent.verdict), element("span", "", text(agent.reason)), labelled("for ", timeElement(agent.since)), element("span", "dim", "since " + absolute(Date.parse(agent.since))));
    const facts = [["Status", statusElement(agent.status)]];
    if (lastHeard.length === 0) facts.push(["Last heard", element("span", "dim", "never")]);
    for (const [channel, seen] of lastHeard) facts.push(["Last heard", labelled(channel + " ", timeElement(seen.at, " ago"))]);
    if (typeof agent.reportAgeSeconds === "number") {
      const at = new Date(now() - agent.reportAgeSeconds * 1000).toISOString();
      facts.push(["Last report", timeElement(at, " ago")]);
    }
    facts.push(["Heartbeats", element("span", "", Number(agent.heartbeats || 0).toLocaleString())]);
    facts.push(["Timeout", element("span", "", text(agent.timeoutSeconds) + " s")]);
    if (typeof agent.skewSeconds === "number") facts.push(["Its clock", element("span", "", skew(agent.skewSeconds))]);
    for (const one of Array.isArray(agent.instances) ? agent.instances : []) {
      const instance = labelled(text(one.slot) + " ", element("span", "dim", text(one.incarnation)));
      instance.append(" ", one.left ? element("span", "dim", "left") : statusElement(one.status));
      facts.push(["Instance", instance]);
    }
    $("detail-facts").replaceChildren(...facts.flatMap(([name, value]) => {
      const definition = element("dd");
      definition.append(value);
      return [element("dt", "", name), definition];
    }));
    showDeciding(agent);
    showTransitions(agent);
    const raw = JSON.stringify(agent, null, 2);
    // Only what is new is drawn: somebody may be reading.
    if (raw === detailShown) return;
    detailShown = raw;
    showReport(agent.report);
    $("detail-json").textContent = raw.length > 200000 ? raw.slice(0, 200000) + "\n…" : raw;
  }

  function skew(seconds) {
    const size = Math.abs(seconds);
    if (size < 0.5) return "as the hub's";
    return (size < 10 ? size.toFixed(1) : Math.round(size)) + " s " + (seconds > 0 ? "ahead" : "behind");
  }

  function labelled(label, value) {
    const made = element("span");
    made.append(label, value);
    return made;
  }

  function showDeciding(agent) {
    const items = (Array.isArray(agent.deciding) ? agent.deciding : []).map((one) => {
      const item = element("li");
      const why = [one.reason, one.message].filter(Boolean).map(text).join(": ");
      const named = element("span");
      named.append(element("strong", "", text(one.component)), element("span", "dim", why ? " " + why : ""));
      item.append(statusElement(one.status), named);
      return item;
    });
    $("detail-deciding").replaceChildren(...(items.length ? items : [element("li", "dim", agent.status === "Healthy" ? "Nothing is wrong." : "Nothing was said yet.")]));
  }

  function showTransitions(agent) {
    const all = Array.isArray(agent.transitions) ? agent.transitions : [];
    const ends = all.map((change, i) => (i + 1 < all.length ? Date.parse(all[i + 1].at) : now()));
    const items = all.map((change, i) => {
      const from = i > 0 ? all[i - 1].verdict : null;
      const lasted = i + 1 < all.length ? ends[i] - Date.parse(change.at) : undefined;
      return transitionElement({ ...change, from, lasted }, false);
    });
    $("detail-transitions").replaceChildren(...(items.length ? items.reverse() : [element("li", "dim", "none yet")]));
    $("detail-strip").replaceChildren(...all.map((change, i) => {
      const part = element("i", VERDICTS.includes(change.verdict) ? change.verdict : "Pending");
      // The square root: what was short is seen beside what was long.
      part.style.flexGrow = String(Math.sqrt(Math.max(1, ends[i] - Date.parse(change.at))));
      return part;
    }));
  }

  function showReport(report) {
    const components = report && typeof report === "object" ? report.components : null;
    const all = components && typeof components === "object" ? Object.entries(components) : [];
    const rank = ([, one]) => STATUSES.indexOf(one && one.status);
    all.sort((a, b) => rank(a) - rank(b));
    $("detail-components").replaceChildren(...all.slice(0, COMPONENTS).map(([name, one]) => {
      const row = element("tr");
      const header = element("th", "", text(name));
      header.scope = "row";
      const status = element("td");
      status.append(statusElement(one && one.status));
      row.append(header, status, element("td", "", componentWhy(one || {})));
      return row;
    }));
    const none = all.length === 0;
    $("detail-components").closest(".scroll").hidden = none;
    $("detail-no-report").hidden = !none;
  }

  /** Reason and message, and the error where it says more. */
  function componentWhy(one) {
    const said = [one.reason, one.message].filter((part) => typeof part === "string" && part);
    const more = typeof one.error === "string" && !said.some((part) => one.error.includes(part) || part.includes(one.error));
    return (more ? [...said, one.error] : said).map(text).join(": ");
  }

  // --- what people do ---

  let searchSoon = null;
  $("search").addEventListener("input", () => {
    clearTimeout(searchSoon);
    searchSoon = setTimeout(() => {
      view.search = $("search").value.trim();
      cursors = [""];
      $("clear").hidden = !isFiltered();
      writeUrl(false);
      refresh(true);
    }, 150);
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("status").addEventListener("change", () => {
    view.status = $("status").value;
    filterChanged();
  });
  $("sort").addEventListener("change", () => {
    view.sort = $("sort").value;
    filterChanged();
  });
  $("clear").addEventListener("click", () => {
    view.verdicts.clear();
    view.status = view.search = "";
    filterChanged();
    $("search").focus();
  });
  for (const header of document.querySelectorAll("#agents th[data-sort]")) {
    header.firstChild.addEventListener("click", () => {
      view.sort = view.sort === header.dataset.sort ? "-" + header.dataset.sort : header.dataset.sort;
      filterChanged();
    });
  }
  $("previous").addEventListener("click", () => turn(() => cursors.pop()));
  $("next").addEventListener("click", () => turn(() => cursors.push(next)));

  async function turn(change) {
    change();
    await load();
    $("agents").focus({ preventScroll: true });
    $("agents").scrollIntoView({ block: "start" });
  }

  $("rows").addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    // Who marks a text wants to copy it.
    if (!row || String(getSelection())) return;
    openDetail(row.agent, row.querySelector(".name"));
  });
  $("close").addEventListener("click", closeDetail);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    closeDetail();
  });
  // A browser may close it without asking first.
  dialog.addEventListener("close", closeDetail);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) closeDetail();
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    // The address is ours: it says what is shown.
    event.preventDefault();
    $("agents").focus();
  });
  addEventListener("popstate", () => {
    const had = view.agent;
    readUrl();
    showControls();
    if (view.agent) showDetail();
    else if (dialog.open) {
      view.agent = had;
      dialog.close();
      view.agent = null;
    }
    cursors = [""];
    refresh(true);
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      $("search").focus();
      $("search").select();
    } else if (event.key === "Escape" && event.target === $("search") && $("search").value) {
      event.preventDefault();
      $("search").value = "";
      $("search").dispatchEvent(new Event("input"));
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !typing) {
      const names = [...document.querySelectorAll("#rows .name")];
      const at = names.indexOf(document.activeElement);
      const inList = at >= 0 || document.activeElement === $("agents");
      if (!inList || names.length === 0) return;
      event.preventDefault();
      const to = at < 0 ? 0 : at + (event.key === "ArrowDown" ? 1 : -1);
      names[Math.max(0, Math.min(names.length - 1, to))].focus();
    }
  });

  makeCounts();
  readUrl();
  showControls();
  load();
  listen();
  if (view.agent) showDetail();
})();
