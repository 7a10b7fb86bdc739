"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const MARKS = "FPR?";
  const STATES = { F: "fixed_live", P: "pending", R: "reboot", "?": "unknown", ".": "absent", "-": "untold" };
  const SAID = {
    F: "fixed live", P: "fixed by a newer live patch", R: "needs a reboot", "?": "unknown",
    ".": "not listed", "-": "the CVEs of this host are unknown",
  };
  const COLUMNS = 40;
  const STEP = 50;
  const LINES = 30;
  const get = (id) => document.getElementById(id);
  const amount = (number) => number.toLocaleString("en");
  const plural = (number, word) => `${amount(number)} ${word}${number === 1 ? "" : "s"}`;

  // A part of the page; whatever a host wrote goes in as text, never as HTML.
  function part(tag, kind, ...inside) {
    const found = document.createElement(tag);
    if (kind) found.className = kind;
    found.append(...inside);
    return found;
  }

  const hosts = data.hosts.map((row, index) => {
    const [host, group, kind, why, command, age, kernel, level, edition, window, counts, updates, profile, week, next] = row;
    const found = { index, host, kind, age, level, edition, window, counts, updates, profile, week };
    found.group = data.groups[group];
    found.why = why.map((number) => data.reasons[number]);
    found.next = next.map((number) => data.reasons[number]);
    found.command = typeof command === "number" ? `salt ${host} ${data.words[command]}` : command;
    found.kernel = kernel === null ? "" : data.kernels[kernel];
    found.name = host.toLowerCase();
    const words = [host, found.group, found.kernel, edition, data.kinds[kind][1], ...found.why, ...found.next, week && `week ${week}`];
    found.text = words.filter(Boolean).join("\n").toLowerCase();
    return found;
  });

  // Copying: the clipboard of the browser, or what older ones and plain files let.
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = part("textarea", "hidden");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  function copier(text) {
    const button = part("button", "copy", "Copy");
    button.type = "button";
    button.setAttribute("aria-label", `Copy: ${text}`);
    button.addEventListener("click", async () => {
      await copy(text);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    return button;
  }

  // All hosts: found by words, shown in pieces.
  const KEYS = {
    rank: (row) => row.index, host: (row) => row.name, group: (row) => row.group, kernel: (row) => row.kernel,
    days: (row) => row.window[2], reboot: (row) => row.counts && -row.counts[2],
    pending: (row) => row.counts && -row.counts[1], age: (row) => row.age === null ? null : -row.age, week: (row) => row.week,
    updates: (row) => row.updates && -row.updates[0] - row.updates[2],
  };
  let sorted = hosts;
  let sortedBy = "rank";
  let matching = [];
  let shown = 0;

  function order(by) {
    if (by === sortedBy) return;
    const key = KEYS[by];
    const last = (value) => value === null || value === undefined || value === "";
    sorted = hosts.map((row) => [key(row), row]).sort(([a, first], [b, second]) => {
      if (last(a) || last(b)) return last(a) - last(b) || first.index - second.index;
      return a < b ? -1 : a > b ? 1 : first.index - second.index;
    }).map(([, row]) => row);
    sortedBy = by;
  }

  function window_(row) {
    const [state, last, days] = row.window;
    const restart = row.week ? [part("small", "", `restart in ${row.week}`)] : [];
    if (state === "open") return [last, part("small", "", `${plural(days, "day")} left`), ...restart];
    const expired = [part("span", "late", "expired"), part("small", "", last || "")];
    return [...(state === "expired" ? expired : ["unknown"]), ...restart];
  }

  function counts(row) {
    const inside = [];
    MARKS.split("").forEach((mark, index) => {
      if (!row.counts || !row.counts[index]) return;
      const found = part("span", `mark ${STATES[mark]}`, mark);
      found.title = SAID[mark];
      inside.push(found, ` ${row.counts[index]} `);
      if (inside.length === 4) inside.push(document.createElement("br"));
    });
    return inside;
  }

  function updates(row) {
    const [severe, others, apart, minor] = row.updates || [0, 0, 0, 0];
    const line = (first, second, word) => first + second ? [part("div", "",
      `${amount(first + second)} ${word}`, ...(first ? [part("small", "", `${amount(first)} severe`)] : []))] : [];
    return [...line(severe, others, "pending"), ...line(apart, minor, "left out")];
  }

  function age(seconds) {
    if (seconds === null) return [];
    for (const [size, word] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
      if (seconds >= 2 * size) return [plural(Math.floor(seconds / size), word)];
    }
    return ["just now"];
  }

  function why(row) {
    const cell = part("td", "why");
    if (row.why.length > 1) cell.append(part("ul", "", ...row.why.map((line) => part("li", "", line))));
    else cell.append(...row.why);
    if (row.command) cell.append(part("div", "run", part("code", "", row.command), copier(row.command)));
    return cell;
  }

  function hostRow(row) {
    const [, label, , tone] = data.kinds[row.kind];
    const name = part("th", "name", row.host, ...(row.group ? [part("small", "", row.group)] : []),
      part("div", "", part("span", `badge ${tone}`, label)));
    name.scope = "row";
    const patch = row.edition ? `live patch ${row.edition}` : row.kernel ? "no live patch" : "";
    const kernel = row.kernel ? [part("code", "", row.kernel), part("small", "", patch),
      ...row.next.map((line) => part("small", "", line))] : [];
    const told = (label, kind, inside) => {
      const cell = part("td", kind, ...inside);
      if (inside.length) cell.dataset.label = label;
      return cell;
    };
    return part("tr", "", name, why(row),
      told("Kernel", "", kernel), told("Window", "short", row.kernel ? window_(row) : []),
      told("CVEs", "counts short", counts(row)),
      told("Updates", "short", updates(row)), told("Age", "short", age(row.age)));
  }

  function showHosts() {
    get("host-table").tBodies[0].append(...matching.slice(shown, shown + STEP).map(hostRow));
    shown = Math.min(shown + STEP, matching.length);
    get("host-more").hidden = shown >= matching.length;
    get("host-count").textContent = `${amount(matching.length)} of ${plural(hosts.length, "host")}`;
  }

  function findHosts() {
    const words = get("host-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = get("host-kind").value;
    order(get("host-sort").value);
    matching = sorted.filter((row) => (!kind || data.kinds[row.kind][0] === kind)
      && words.every((word) => row.text.includes(word)));
    get("host-table").tBodies[0].replaceChildren();
    get("host-box").scrollTop = 0;
    shown = 0;
    showHosts();
  }

  // CVEs: the table of numbers, and the matrix of hosts.
  const listed = hosts.filter((row) => row.profile !== null).sort((a, b) => (a.name < b.name ? -1 : 1));
  let columns = [];
  let cves = [];
  let rows = 0;

  function column(row, more) {
    return { profile: row.profile, label: more ? `${row.host} +${amount(more)}` : row.host };
  }

  // Hosts while they are few; else one column for all that are the same: first where what is searched for is found,
  // then the largest. Returns how many hosts there are, and how many sets of them.
  function findColumns(found, concerned) {
    if (found.length <= COLUMNS) {
      columns = found.map((row) => column(row, 0));
      return [found.length, 0];
    }
    const sets = new Map();
    for (const row of found) {
      const set = sets.get(row.profile);
      if (set) set.number += 1;
      else sets.set(row.profile, { row, number: 1, first: concerned(row.profile) ? 0 : 1 });
    }
    const all = [...sets.values()].sort((a, b) => a.first - b.first || b.number - a.number);
    columns = all.slice(0, COLUMNS).map((set) => column(set.row, set.number - 1));
    return [found.length, all.length];
  }

  function head() {
    const cells = columns.map((item) => {
      const cell = part("th", "", part("span", "", item.label));
      cell.scope = "col";
      cell.title = item.label;
      return cell;
    });
    const first = part("th", "", "CVE");
    first.scope = "col";
    get("matrix").tHead.replaceChildren(part("tr", "", first, ...cells));
  }

  function matrixRow([cve, severity, , marks]) {
    const name = part("th", "", cve, " ", part("small", `severity ${severity}`, severity));
    name.scope = "row";
    return part("tr", "", name, ...columns.map((item) => {
      const mark = marks[item.profile];
      const cell = part("td", STATES[mark], mark === "." ? "\u00b7" : mark === "-" ? "\u2013" : mark);
      cell.title = `${cve} on ${item.label}: ${SAID[mark]}`;
      return cell;
    }));
  }

  function showMatrix() {
    get("matrix").tBodies[0].append(...cves.slice(rows, rows + LINES).map(matrixRow));
    rows = Math.min(rows + LINES, cves.length);
    get("matrix-more").hidden = rows >= cves.length;
  }

  function lead(number, sets) {
    if (!sets) return `${plural(number, "host")}, one column each.`;
    const text = `${plural(number, "host")} in ${plural(sets, "set")} of hosts that are the same, one column each`;
    return sets > columns.length ? `${text}; ${columns.length} are shown, search a host to see others.` : `${text}.`;
  }

  function findCves() {
    const word = get("cve-text").value.trim().toLowerCase();
    const state = get("cve-state").value;
    const severity = get("cve-severity").value;
    const host = get("cve-host").value.trim().toLowerCase();
    const found = host ? listed.filter((row) => row.name.includes(host)) : listed;
    const profiles = host ? [...new Set(found.map((row) => row.profile))] : null;
    const hit = (mark) => (state ? mark === state : MARKS.includes(mark));
    const fits = (row) => {
      if (word && !row[0].toLowerCase().includes(word)) return false;
      if (severity && row[1] !== severity) return false;
      if (!profiles) return !state || row[2][MARKS.indexOf(state)] > 0;
      return profiles.some((profile) => hit(row[3][profile]));
    };
    const flags = data.cves.map(fits);
    cves = data.cves.filter((_, index) => flags[index]);
    [...get("cve-table").tBodies[0].rows].forEach((row, index) => { row.hidden = !flags[index]; });
    const concerned = (profile) => !(word || state) || cves.some((row) => hit(row[3][profile]));
    get("matrix-lead").textContent = lead(...findColumns(found, concerned));
    get("cve-count").textContent = `${amount(cves.length)} of ${plural(data.cves.length, "CVE")}`;
    head();
    get("matrix").tBodies[0].replaceChildren();
    rows = 0;
    showMatrix();
  }

  function begin() {
    document.querySelectorAll(".script").forEach((item) => { item.hidden = false; });
    document.querySelectorAll(".static").forEach((item) => { item.hidden = true; });
    document.querySelectorAll("#attention .run code").forEach((item) => item.after(copier(item.textContent)));
    document.querySelectorAll("form").forEach((form) => form.addEventListener("submit", (event) => event.preventDefault()));
    ["host-text", "host-kind", "host-sort"].forEach((id) => get(id).addEventListener("input", findHosts));
    get("host-more").addEventListener("click", showHosts);
    get("host-box").addEventListener("scroll", () => {
      const box = get("host-box");
      if (shown < matching.length && box.scrollTop + box.clientHeight > box.scrollHeight - 400) showHosts();
    });
    document.querySelectorAll("[data-kind]").forEach((link) => link.addEventListener("click", () => {
      get("host-kind").value = link.dataset.kind;
      get("host-text").value = "";
      findHosts();
    }));
    findHosts();
    if (!data.cves.length) return;
    ["cve-text", "cve-host", "cve-state", "cve-severity"].forEach((id) => get(id).addEventListener("input", findCves));
    get("matrix-more").addEventListener("click", showMatrix);
    findCves();
  }

  begin();
})();
