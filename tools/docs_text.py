"""What the pages say that tools/docs.py makes, around the tables."""

HEAD = """# Pillar

All settings stand below the pillar key `klp`. The schema is closed: an unknown key, a wrong type or an impossible
combination is refused with its name before anything is changed on the host. `salt '*' klp.settings` shows what a host
makes of its pillar. Every key may be left out, except that nothing is installed before `klp:backup:backend` is chosen.

This page is made from the schema by `python tools/docs.py`; the same as JSON Schema is in `pillar/schema.yaml`, and
tested examples are in `pillar/examples`.
"""
HOSTS_HEAD = """# Hosts

What salt-klp knows of each family of hosts, and which it refuses. `salt '*' klp.preflight` says why a host is not live
patched. A system that is not in this table is `unknown` and refused with its id; nothing is guessed. The word `auto` of
the [pillar](pillar.md) keys `klp:product:name`, `klp:tools:packages` and `klp:tools:pattern` means what stands here;
`salt '*' klp.settings` shows what that is on a host.

Each fact has a mark: **recorded** (seen in the output of such a host), **documented** (by SUSE, or in its public
sources and advisories), **inferred** (likely, said by nobody: look before you rely on it). None of it was run on a host
of SUSE by this project.

This page is made from `_utils/klp_family.py` by `python tools/docs.py`; the unit tests run over the same table.
"""
HOSTS_KERNELS = """## Kernels

Names of packages and modules, flavours and architectures go by the running kernel: a host that was migrated has kernels
of two families. Any other flavour and architecture is refused, such as `azure`, `64kb` and `coco`, and aarch64.
"""
REPORT_HEAD = """# Pillar of the report

`salt-run klp.report` tells how the whole fleet stands. All its settings stand below the pillar key `klp_report` of the
master, as `klp_campaign` does ([campaign.md](campaign.md)). The schema is closed: an unknown key or a wrong value is
refused with its name before any host is asked. Every key may be left out. How to use it: [report](../how-to/report.md).

This page is made from the schema by `python tools/docs.py`; the same as JSON Schema is in `pillar/report-schema.yaml`.

"""
CAMPAIGN_HEAD = """# Pillar of a campaign

A campaign brings `klp.patch`, or `klp.rollback`, to a fleet: a plan that is shown first, then wave by wave, each wave
watched and judged before the next one begins. All its settings stand below the pillar key `klp_campaign`. The schema is
closed: an unknown key or a wrong value is refused with its name before any host is asked. Every key may be left out;
then one host goes first, then 10 percent, then the rest.

It is the pillar of the master itself, of no minion. In the top file it is given to the minion id of the master, which
is `<hostname>_master` as long as the configuration of the master sets no `id`; `salt-run config.get id` shows it:

```yaml
# /srv/pillar/top.sls
base:
  'salt.example.com_master':
    - klp_campaign
```

What is given on the command line goes over it, key by key; a list replaces the list:

    salt-run klp.plan pillar='{"klp_campaign": {"target": "web*", "target_type": "glob"}}'

How a host is patched is said by its own pillar, `klp` ([pillar.md](pillar.md)).

This page is made from the schema by `python tools/docs.py`; the same as JSON Schema is in
`pillar/campaign-schema.yaml`, and tested examples are in `pillar/campaigns`.

## Keys
"""
CAMPAIGN_TAIL = """
## Waves

A host is in the first wave that takes it. There is no plan as long as a host is in no wave: let the last one take the
rest. A wave that finds no host is passed over. The keys of a wave:

| key | type | default | meaning |
|---|---|---|---|
| `name` | word | has to be given | Name of the wave, another one for each; letters, digits, dots and dashes. |
| `take` | number, percentage or `rest` | `rest` | How many hosts; a percentage is one of all hosts of the plan. |
| `hosts` | list of minion ids | all that are left | The hosts it may take. |
| `target` | target expression | all that are left | The same as a target, as `target_type` says; not beside `hosts`. |
| `batch` | number or percentage | `klp_campaign:batch` | How many hosts of the wave are patched at once. |
| `soak` | list of minutes | `klp_campaign:soak:minutes` | When its hosts are looked at afterwards. |
| `failed` | number | `klp_campaign:limits:failed` | Hosts that may fail; the common percentage counts if it is more. |
| `unreachable` | number | `klp_campaign:limits:unreachable` | Hosts that may be unreachable, in the same way. |

## Maintenance windows

A maintenance window has `from` and `to`, times of day such as `'22:00'` (quoted: YAML reads 22:00 as a number). With
a `to` before `from` it closes on the next day; `'24:00'` is the end of the day. Those that touch or overlap are one.
It opens on the days of one of these keys, without any on every day:

* `days`: days of the week, `mon` to `sun`.
* `rrule`: a rule as RFC 5545 has it, such as `FREQ=MONTHLY;BYDAY=3SU`, each third Sunday. FREQ is DAILY, WEEKLY,
  MONTHLY or YEARLY; INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYYEARDAY, BYWEEKNO, BYSETPOS and WKST may
  follow. `since` is the day from which on it is counted, such as `'2027-01-03'`; a rule with INTERVAL or COUNT needs
  it, and one that names no day.

`calendar` is an iCalendar file (RFC 5545) on the master: hosts may be started during its events, or during those that
`event` names. It is read when a plan is made, and the plan has the times that follow from it for at least 400 days; a
later change of the file needs a new plan. Series with exceptions, moved and cancelled events, whole days and time
zones are understood, also those that have their names from Windows. If anything of an event is not understood, the
plan is refused, and nothing is guessed. This needs the Python library `icalendar` on the master.

On days in `freeze` nothing is started, whatever is open. A plan shows the next three maintenance windows. A plan for
which no maintenance window opens within 400 days is refused.

They are given in the local time of `klp_campaign:windows:zone`. Where a clock change makes a time of day ambiguous or
impossible, a maintenance window opens at the later and closes at the earlier of the possible moments: it is never
open when the wall clock is outside of it. A freeze begins at the earlier and ends at the later one. A window from
02:00 to 03:00 is open for an hour in the night that has this hour twice, and not at all in the night that lacks it.

Outside of the maintenance windows no host is started; what runs is finished. A host refuses a run that reaches it after
the maintenance window has closed. The *support window* of a kernel is something else: the time in which live patches
are made for it ([live patching](../explanation/live-patching.md)).

## Verdicts

Those of `klp.verify`, of `klp_audit.host` and of `salt-run klp.audit`. A host has the worst verdict of all its checks.

| verdict | meaning |
|---|---|
{verdicts}

## Exit codes

Those of `salt-run klp.run` and of the other functions of the runner; `--out=json` gives the whole document.

| code | meaning |
|---|---|
{codes}
"""


VERDICTS = {
    "ok": "The host is live patched as declared.",
    "blocked": "A transition has not ended; the tasks that hold it up are named.",
    "reboot_needed": "All is as declared, and something that was installed asks for a reboot.",
    "unsupported": "No live patches are made for this system or this kernel.",
    "failed": "A check failed: something is not as declared.",
    "unknown": "A check could not be answered.",
}
