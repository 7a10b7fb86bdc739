"""
The HTML of the report on a fleet, a template for Jinja.

It is Python because Salt sends nothing else from a file root to the master's own folder of runners.
"""

TEXT = r"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Live patching report, {{ made }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
{% macro badge(kind) %}<span class="badge {{ words[kind][2] }}">{{ words[kind][0] }}</span>{% endmacro %}
{% macro more(number, what) %}{% if number > 0 %}<p class="more">And {{ number|amount }} more {{ what }}.</p>{% endif %}{% endmacro %}
<a class="skip" href="#attention">Skip to what needs attention</a>
<header>
  <div class="wide">
    <p class="product">salt-klp <span>Patching without reboots</span></p>
    <h1>Live patching report</h1>
    <p class="facts">
      <span><b>{{ made }}</b></span>
      <span><b>{{ totals.answered|amount }} of {{ totals.hosts|amount }}</b> hosts answered</span>
      {% if totals.ages.oldest is not none %}
      <span title="{{ totals.ages.host }}">oldest answer: <b>{{ totals.ages.oldest|span }}</b></span>
      {% endif %}
    </p>
    <nav aria-label="Sections">
      <a href="#attention">Attention</a>
      <a href="#windows">Support windows</a>
      <a href="#restarts">Restarts</a>
      <a href="#cves">CVEs</a>
      <a href="#left-out">Left out</a>
      <a href="#hosts">Hosts</a>
      <a href="#silent">No answer</a>
    </nav>
  </div>
</header>
<main class="wide">

<section id="totals" aria-labelledby="totals-title">
  <h2 id="totals-title" class="hidden">The fleet in numbers</h2>
  <ul class="figures">
    <li><b>{{ totals.kinds.covered|amount }}<small> of {{ totals.hosts|amount }}</small></b><span>hosts are covered: neither a live patch nor a severe update is open</span></li>
    <li><b>{{ totals.updates.pending|amount }}</b><span>hosts have severe security updates pending, {{ totals.updates.left_out|amount }} have some that are left out</span></li>
    <li><b>{{ totals.reboot_debt|amount }}</b><span>hosts have reboot debt: something waits for a restart</span></li>
    <li><b>{{ totals.cves.fixed_live|amount }}</b><span>CVEs are fixed live somewhere, without a restart</span></li>
    <li><b>{{ totals.cves.pending|amount }}</b><span>CVEs would be fixed by live patches that are there already</span></li>
    <li><b>{{ totals.cves.reboot|amount }}</b><span>CVEs are fixed only in a newer kernel somewhere</span></li>
  </ul>
  {% if segments %}
  <svg class="share" role="img" aria-label="Share of each kind of host: {% for item in segments %}{{ words[item.kind][0] }} {{ item.hosts }}{{ ", " if not loop.last }}{% endfor %}">
    {% for item in segments %}
    <rect class="fill {{ words[item.kind][2] }}" x="{{ item.at }}" y="0" width="{{ item.width }}" height="100%"><title>{{ words[item.kind][0] }}: {{ item.hosts|amount }}</title></rect>
    {% endfor %}
  </svg>
  {% endif %}
  <ul class="cards">
    {% for kind, word in words.items()|reverse %}
    <li class="card {{ word[2] }}{{ " none" if not totals.kinds[kind] }}">
      <a href="#hosts" data-kind="{{ kind }}">
        <b>{{ totals.kinds[kind]|amount }}</b>
        <strong>{{ word[0] }}</strong>
        <span>{{ word[1] }}</span>
      </a>
    </li>
    {% endfor %}
  </ul>
</section>

<section id="attention" aria-labelledby="attention-title">
  <h2 id="attention-title">Needs attention first</h2>
  {% if attention %}
  <p class="lead">The worst first, each with the command to run next on the Salt master. None of them restarts a host.</p>
  <div class="box" tabindex="0" role="region" aria-labelledby="attention-title">
  <table class="stack">
    <caption class="hidden">Hosts that need attention, why, and the next command</caption>
    <thead><tr><th scope="col">Kind</th><th scope="col">Host</th><th scope="col">Why</th><th scope="col">Next command</th></tr></thead>
    <tbody>
    {% for row in attention %}
    <tr>
      <td>{{ badge(row.kind) }}</td>
      <th scope="row" class="name">{{ row.host }}{% if row.group %}<small>{{ row.group }}</small>{% endif %}</th>
      <td class="why">{% if row.why|length > 1 %}<ul>{% for line in row.why %}<li>{{ line }}</li>{% endfor %}</ul>{% else %}{{ row.why|join }}{% endif %}</td>
      <td class="run">{% if row.command %}<code>{{ row.command }}</code>{% else %}<em>This id fits into no command line: look at the key of this minion.</em>{% endif %}</td>
    </tr>
    {% endfor %}
    </tbody>
  </table>
  </div>
  {{ more(attention_more, "hosts need attention; the table of hosts has them all") }}
  {% else %}
  <p class="empty">No host needs attention.</p>
  {% endif %}
</section>

<section id="windows" aria-labelledby="windows-title">
  <h2 id="windows-title">Support windows</h2>
  <p class="lead">How long live patches are made for each running kernel. After its last day, fixes need a newer kernel and a restart.</p>
  {% if line.lanes %}
  <ul class="legend">
    <li><svg class="key" aria-hidden="true"><rect class="span open" width="100%" height="100%"/></svg>open</li>
    <li><svg class="key" aria-hidden="true"><rect class="span expired" width="100%" height="100%"/></svg>expired</li>
    <li><svg class="key" aria-hidden="true"><rect class="span estimate" x="1" y="1" width="24" height="10"/></svg>estimate only: the window is unknown</li>
    <li><svg class="key" aria-hidden="true"><line class="now" x1="50%" x2="50%" y1="0" y2="100%"/></svg>today</li>
  </ul>
  <ol class="line">
    <li class="lane axis" aria-hidden="true">
      <span></span>
      <svg class="bar">
        {% for tick in line.ticks %}<text class="tick{{ " minor" if tick.minor }}" x="{{ tick.at }}" y="32">{{ tick.label }}</text>{% endfor %}
        <text class="now" x="{{ line.today }}" y="13">today</text>
        <line class="now" x1="{{ line.today }}" x2="{{ line.today }}" y1="17" y2="40"/>
      </svg>
      <span></span>
    </li>
    {% for lane in line.lanes %}
    <li class="lane">
      <span class="label"><code>{{ lane.kernel }}</code><small>{{ lane.hosts|amount }} {{ "host" if lane.hosts == 1 else "hosts" }}, level {{ lane.told }}</small></span>
      <svg class="bar" aria-hidden="true">
        {% for tick in line.ticks %}<line class="grid{{ " minor" if tick.minor }}" x1="{{ tick.at }}" x2="{{ tick.at }}" y1="0" y2="100%"/>{% endfor %}
        {% if lane.bar %}<rect class="span {{ lane.bar.kind }}" x="{{ lane.bar.at }}" width="{{ lane.bar.width }}" y="25%" height="50%" rx="3"/>{% else %}<text class="tick nobody" x="0" y="50%">no dates known</text>{% endif %}
        <line class="now" x1="{{ line.today }}" x2="{{ line.today }}" y1="0" y2="100%"/>
      </svg>
      <span class="said {{ lane.window.state }}">{{ lane.text }}{% if not lane.agreed %}<small>hosts disagree, this is the worst</small>{% endif %}</span>
    </li>
    {% endfor %}
  </ol>
  {{ more(lanes_more, "kernels") }}
  {% else %}
  <p class="empty">No host has told its kernel.</p>
  {% endif %}
</section>

<section id="restarts" aria-labelledby="restarts-title">
  <h2 id="restarts-title">Reboot debt and restarts by week</h2>
  <p class="lead">A proposal: each host as late as its deadline lets, and at most {{ plan.share }}% of a group in one week (one host always may).
  A deadline is the last day of the window, or {{ settings.debt }} days from today where something waits for a restart.
  {{ plan.planned|amount }} {{ "restart" if plan.planned == 1 else "restarts" }} in the next {{ settings.weeks }} weeks{% if plan.late %}, <b class="late">{{ plan.late|amount }} too late</b>{% endif %};
  {{ plan.later|amount }} {{ "host has its" if plan.later == 1 else "hosts have their" }} deadline later, {{ plan.unknown|length|amount }} {{ "has" if plan.unknown|length == 1 else "have" }} none that is known.{% if plan.late %} Days late are counted to the end of the week.{% endif %}</p>
  {% if weeks %}
  <div class="box" tabindex="0" role="region" aria-labelledby="restarts-title">
  <table class="stack plan">
    <caption class="hidden">Proposed restarts by week</caption>
    <thead><tr><th scope="col">Week</th><th scope="col">Restarts</th><th scope="col">Of each group</th><th scope="col">Hosts</th></tr></thead>
    <tbody>
    {% for week in weeks %}
    <tr>
      <th scope="row" class="week">{{ week.iso }}<small>{{ week.first }} to {{ week.last }}</small></th>
      <td class="load"><b>{{ week.hosts|length|amount }}</b><svg aria-hidden="true"><rect class="fill debt" width="{{ week.width }}" height="100%" rx="2"/></svg></td>
      <td>{% for group, number in week.groups.items() %}<span class="tag">{{ group or "no group" }}&nbsp;<b>{{ number|amount }}</b></span> {% endfor %}</td>
      <td class="why">{% if week.fine %}<div>{{ week.fine|names }}</div>{% endif %}

        {% if week.late %}<div class="late">Late: {% for row in week.late[:named] %}{{ row.host }} ({{ row.late|amount }} days){{ ", " if not loop.last }}{% endfor %}{% if week.late|length > named %} and {{ (week.late|length - named)|amount }} more{% endif %}</div>{% endif %}
        {% if week.unsafe %}<div class="note">{{ week.unsafe|amount }} of them would not, or not for certain, come up live patched: run <code>klp_audit.reboot_safety</code> first.</div>{% endif %}
      </td>
    </tr>
    {% endfor %}
    </tbody>
  </table>
  </div>
  {{ more(weeks_more, "weeks") }}
  <p class="more">The first seven days begin today; the name is that of the calendar week in which they begin: <code>salt-run klp.plan kernel week={{ weeks[0].iso }}</code> plans the restarts of that line.</p>
  {% else %}
  <p class="empty">No restart is needed within {{ settings.weeks }} weeks.</p>
  {% endif %}
  {% if plan.unknown %}
  <h3>Not planned: no deadline is known</h3>
  <p class="names">{% for row in plan.unknown[:few] %}<span class="tag">{{ row.host }}{% if row.estimate %} <small>estimate {{ row.estimate }}</small>{% endif %}</span> {% endfor %}</p>
  {{ more(plan.unknown|length - few, "hosts") }}
  {% endif %}
  {% if changes %}
  <h3 id="changes-title">What became of the last restarts</h3>
  <p class="lead">{{ changes_told|capitalize }}. Those that are over are shown for eight weeks.</p>
  <div class="box" tabindex="0" role="region" aria-labelledby="changes-title">
  <table class="stack">
    <caption class="hidden">Changes of kernels, how far they have come, and why</caption>
    <thead><tr><th scope="col">Host</th><th scope="col">State</th><th scope="col">Kernel</th><th scope="col">Since</th><th scope="col">Why</th></tr></thead>
    <tbody>
    {% for row in changes %}
    <tr>
      <th scope="row" class="name">{{ row.host }}{% if row.group %}<small>{{ row.group }}</small>{% endif %}</th>
      <td>{% if row.bad %}<span class="late">{{ row.said }}</span>{% else %}{{ row.said }}{% endif %}</td>
      <td class="why"><code>{{ row.to }}</code>{% if row.from %}<small>from {{ row.from }}</small>{% endif %}</td>
      <td>{{ row.moment }}</td>
      <td class="why">{{ row.why|join("; ") }}</td>
    </tr>
    {% endfor %}
    </tbody>
  </table>
  </div>
  {{ more(changes_more, "hosts") }}
  {% endif %}
</section>

<section id="cves" aria-labelledby="cves-title">
  <h2 id="cves-title">CVEs</h2>
  <ul class="legend" id="marks">
    {% for state, mark in marks.items() %}<li><span class="mark {{ state }}">{{ mark[0] }}</span>{{ mark[1] }}</li>{% endfor %}
    <li><span class="mark absent">&middot;</span>not listed: fixed in its kernel, or not concerned</li>
    <li><span class="mark untold">&ndash;</span>this host's CVEs are unknown</li>
  </ul>
  {% if cves %}
  <form class="filters script" role="search" aria-label="Filter CVEs" hidden>
    <label>CVE<input type="search" id="cve-text" placeholder="2026-1234" autocomplete="off" spellcheck="false"></label>
    <label>Host<input type="search" id="cve-host" placeholder="web" autocomplete="off" spellcheck="false"></label>
    <label>State<select id="cve-state"><option value="">any</option>{% for state, mark in marks.items() %}<option value="{{ mark[0] }}">{{ mark[0] }}: {{ mark[1] }}</option>{% endfor %}</select></label>
    <label>Severity<select id="cve-severity"><option value="">any</option>{% for word in ("critical", "important", "moderate", "low", "unspecified") %}<option>{{ word }}</option>{% endfor %}</select></label>
    <output id="cve-count" aria-live="polite"></output>
  </form>
  <h3>Hosts in each state</h3>
  <div class="box" tabindex="0" role="region" aria-label="CVEs and how many hosts are in which state">
  <table class="numbers" id="cve-table">
    <caption class="hidden">CVEs by severity, and how many hosts are in which state</caption>
    <thead><tr><th scope="col">CVE</th><th scope="col">Severity</th>{% for state in ("reboot", "pending", "unknown", "fixed_live") %}<th scope="col"><span class="mark {{ state }}">{{ marks[state][0] }}</span> <span class="long">{{ {"reboot": "needs a reboot", "pending": "pending", "unknown": "unknown", "fixed_live": "fixed live"}[state] }}</span></th>{% endfor %}</tr></thead>
    <tbody>
    {% for row in cves %}
    <tr><th scope="row">{{ row.cve }}</th><td><span class="severity {{ row.severity }}">{{ row.severity }}</span></td>{% for state in ("reboot", "pending", "unknown", "fixed_live") %}<td{% if not row.counts[state] %} class="zero"{% endif %}>{{ row.counts[state]|amount }}</td>{% endfor %}</tr>
    {% endfor %}
    </tbody>
  </table>
  </div>
  {{ more(cves_more, "CVEs") }}
  <div class="script" hidden>
    <h3 id="matrix-title">Which host is in which state</h3>
    <p class="lead" id="matrix-lead"></p>
    <div class="box" tabindex="0" role="region" aria-labelledby="matrix-title">
      <table class="matrix" id="matrix"><caption class="hidden">State of each CVE on each host</caption><thead></thead><tbody></tbody></table>
    </div>
    <button type="button" id="matrix-more" hidden>Show more CVEs</button>
  </div>
  {% else %}
  <p class="empty">No host lists a CVE.</p>
  {% endif %}
</section>

<section id="left-out" aria-labelledby="left-out-title">
  <h2 id="left-out-title">Updates left out</h2>
  {% if left_out %}
  <p class="lead">Security advisories that hosts need and no run installs. Those of the kernel itself are not listed: their CVEs are above.</p>
  <div class="box" tabindex="0" role="region" aria-labelledby="left-out-title">
  <table class="stack">
    <caption class="hidden">Security advisories that are left out, why, and on which hosts</caption>
    <thead><tr><th scope="col">Severity</th><th scope="col">Advisory</th><th scope="col">Why</th><th scope="col">Hosts</th></tr></thead>
    <tbody>
    {% for row in left_out %}
    <tr>
      <td><span class="severity {{ row.severity }}">{{ row.severity }}</span></td>
      <th scope="row" class="name">{{ row.id }}{% if row.since %}<small>since {{ row.since }}</small>{% endif %}</th>
      <td class="why">{{ row.reason }}</td>
      <td class="why">{{ row.names|join(", ") }}{% if row.hosts > row.names|length %} and {{ (row.hosts - row.names|length)|amount }} more{% endif %}</td>
    </tr>
    {% endfor %}
    </tbody>
  </table>
  </div>
  {{ more(left_out_more, "advisories that are left out") }}
  {% else %}
  <p class="empty">No host that answered tells of an update that is left out.</p>
  {% endif %}
</section>

<section id="hosts" aria-labelledby="hosts-title">
  <h2 id="hosts-title">All hosts</h2>
  <form class="filters script" role="search" aria-label="Filter hosts" hidden>
    <label class="grow">Search<input type="search" id="host-text" placeholder="host, group, kernel, reason, edition" autocomplete="off" spellcheck="false"></label>
    <label>Kind<select id="host-kind"><option value="">any</option>{% for kind, word in words.items() %}<option value="{{ kind }}">{{ word[0] }} ({{ totals.kinds[kind]|amount }})</option>{% endfor %}</select></label>
    <label>Sort by<select id="host-sort"><option value="rank">attention</option><option value="host">host</option><option value="group">group</option><option value="kernel">kernel</option><option value="days">days left</option><option value="reboot">CVEs that need a reboot</option><option value="pending">pending CVEs</option><option value="updates">severe updates</option><option value="age">age of the answer</option><option value="week">week of restart</option></select></label>
    <output id="host-count" aria-live="polite"></output>
  </form>
  <p class="empty static">Searching and sorting all hosts needs JavaScript. What needs attention is listed above without it.</p>
  <div class="box script" id="host-box" tabindex="0" role="region" aria-labelledby="hosts-title" hidden>
    <table class="stack" id="host-table">
      <caption class="hidden">All hosts</caption>
      <thead><tr><th scope="col">Host</th><th scope="col">Why, and the next command</th><th scope="col">Kernel and live patch</th><th scope="col">Window</th><th scope="col">CVEs</th><th scope="col">Updates</th><th scope="col">Answer&rsquo;s age</th></tr></thead>
      <tbody></tbody>
    </table>
  </div>
  <button type="button" id="host-more" class="script" hidden>Show more hosts</button>
</section>

<section id="silent" aria-labelledby="silent-title">
  <h2 id="silent-title">Hosts that did not answer</h2>
  {% if silent %}
  <p class="lead">Nothing is known about them; they count as neither covered nor open.</p>
  <div class="box" tabindex="0" role="region" aria-labelledby="silent-title">
  <table class="stack">
    <caption class="hidden">Hosts that did not answer, and why</caption>
    <thead><tr><th scope="col">Host</th><th scope="col">Why</th></tr></thead>
    <tbody>{% for host, why in silent %}<tr><th scope="row" class="name">{{ host }}</th><td class="why">{{ why }}</td></tr>{% endfor %}</tbody>
  </table>
  </div>
  {{ more(silent_more, "hosts") }}
  {% else %}
  <p class="empty">All hosts answered.</p>
  {% endif %}
</section>
</main>
<footer class="wide"><p>Made {{ made }} by salt-klp from what each host said of itself. &ldquo;Unknown&rdquo; is never counted as good.
Answers older than {{ settings.old }} hours are not believed; a window is &ldquo;expiring&rdquo; {{ settings.warn }} days before its end.</p></footer>
<script type="application/json" id="data">{{ data|safe }}</script>
<script>{{ script|safe }}</script>
</body>
</html>
"""  # noqa: E501
