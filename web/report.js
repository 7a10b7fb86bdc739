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

  // A table has its keys once; each row becomes a mapping again.
  const mappings = ({ keys, rows }) => rows.map((row) => Object.fromEntries(keys.map((key, at) => [key, row[at]])));
  const reasons = (numbers) => numbers.map((number) => data.reasons[number]);

  const hosts = mappings(data.hosts).map((row, index) => {
    const found = {
      ...row, index, name: row.host.toLowerCase(), group: data.groups[row.group], kind: data.kinds[row.kind],
      why: reasons(row.why), follows: reasons(row.follows), next: reasons(row.next),
      command: typeof row.command === "number" ? `salt ${row.host} ${data.words[row.command]}` : row.command,
      kernel: row.kernel === null ? "" : data.kernels[row.kernel],
    };
    const words = [found.host, found.group, found.kernel, found.edition, found.kind.label, ...found.why, ...found.follows,
      ...found.next, found.week && `week ${found.week}`];
    found.text = words.filter(Boolean).join("\n").toLowerCase();
    return found;
  });
  const listedCves = mappings(data.cves);

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
    days: (row) => row.days, reboot: (row) => row.counts && -row.counts[2],
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
    const restart = row.week ? [part("small", "", `restart in ${row.week}`)] : [];
    if (row.window === "open") return [row.last, part("small", "", `${plural(row.days, "day")} left`), ...restart];
    const expired = [part("span", "late", "expired"), part("small", "", row.last || "")];
    return [...(row.window === "expired" ? expired : ["unknown"]), ...restart];
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
    if (row.follows.length) {
      cell.append(part("details", "", part("summary", "", `Consequences: ${row.follows.length}`),
        part("ul", "", ...row.follows.map((line) => part("li", "", line)))));
    }
    if (row.command) cell.append(part("div", "run", part("code", "", row.command), copier(row.command)));
    return cell;
  }

  function hostRow(row) {
    const name = part("th", "name", row.host, ...(row.group ? [part("small", "", row.group)] : []),
      part("div", "", part("span", `badge ${row.kind.tone}`, row.kind.label)));
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
    matching = sorted.filter((row) => (!kind || row.kind.kind === kind)
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

  function matrixRow({ cve, severity, marks }) {
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
      if (word && !row.cve.toLowerCase().includes(word)) return false;
      if (severity && row.severity !== severity) return false;
      if (!profiles) return !state || row.counts[MARKS.indexOf(state)] > 0;
      return profiles.some((profile) => hit(row.marks[profile]));
    };
    const flags = listedCves.map(fits);
    cves = listedCves.filter((_, index) => flags[index]);
    [...get("cve-table").tBodies[0].rows].forEach((row, index) => { row.hidden = !flags[index]; });
    const concerned = (profile) => !(word || state) || cves.some((row) => hit(row.marks[profile]));
    get("matrix-lead").textContent = lead(...findColumns(found, concerned));
    get("cve-count").textContent = `${amount(cves.length)} of ${plural(listedCves.length, "CVE")}`;
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
    if (!listedCves.length) return;
    ["cve-text", "cve-host", "cve-state", "cve-severity"].forEach((id) => get(id).addEventListener("input", findCves));
    get("matrix-more").addEventListener("click", showMatrix);
    findCves();
  }

  begin();
})();
