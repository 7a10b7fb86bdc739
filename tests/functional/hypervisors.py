"""
Stand-ins for govc, virsh, qm and ssh, as unkind as their documentation says: what they do not know is an error.

Run as a program: ``python hypervisors.py KIND ARGUMENT...``; the snapshots are in the JSON file that CLOUD names.

* govc: its USAGE.md and cli/snapshot/*.go (vmware/govmomi). ``tree`` has two blanks for each level and, unless told
  ``-c=false``, a line "." below the current one; exit 0 and no output without snapshots. A name need not be unique, and
  one that is not is refused. A snapshot without memory leaves the machine off when it is reverted to.
* virsh: virsh(1) and libvirt 9.0.0 with QEMU, whose answers were recorded with the same program and a real domain.
* qm: qm(1), src/PVE/CLI/qm.pm (proxmox/qemu-server), print_snapshot_tree and AbstractConfig.pm
  (proxmox/pve-guest-common). A name begins with a letter and has at most 40; ``rollback`` stops a running machine.
* ssh: ssh(1), sshd(8): arguments are joined by blanks; a forced command gets them in SSH_ORIGINAL_COMMAND.
"""

import json
import os
import re
import subprocess
import sys

# Options with a value that is the next argument; a boolean of govc takes one only behind "=".
VALUED = {"-vm", "-d", "--description", "--snapshot", "--vmstate"}


def parse(args, known, unknown):
    """Return the options and the other arguments; ``unknown`` says how the tool speaks of one that it does not know."""
    options: dict = {}
    words: list = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-") or (words and known & {"-vm", "-on"}):
            words.append(word)  # Go's flags end at the first word
        elif name not in known:
            sys.exit(unknown.format(name.lstrip("-"), name))
        elif equals or name not in VALUED:
            options[name] = value if equals else "true"
        elif rest:
            options[name] = rest.pop(0)
        else:
            sys.exit(f"flag needs an argument: {name}")
    return options, words


def names(state):
    """Return the names of the snapshots, each the child of the one before."""
    return [item["name"] for item in state["chain"]]


def drop(state, name):
    """Take a snapshot away."""
    del state["chain"][names(state).index(name)]


def one_of_govc(state, words):
    """Return the one snapshot of that name."""
    count = names(state).count(words[0])
    if count != 1:
        sys.exit(f'govc: snapshot "{words[0]}" ' + ("resolves to several" if count else "not found"))
    return state["chain"][names(state).index(words[0])]


def govc_tree(state, options, words):
    """List them."""
    for level, name in enumerate(names(state)):
        print("  " * level + name)
        if level == len(state["chain"]) - 1 and options.get("-c") != "false":
            print("  " * level + ".")


def govc_create(state, options, words):
    """Make one; the same name again is no error."""
    state["chain"].append({"name": words[0], "memory": options.get("-m") != "false", "quiet": options.get("-q")})


def govc_revert(state, options, words):
    """Go back at once."""
    state["power"] = "poweredOn" if one_of_govc(state, words)["memory"] else "poweredOff"
    state["reverted"] = words[0]


def govc_info(state, options, words):
    """Show the machine."""
    print(f"Name:           web1\n  Path:         /dc/vm/web1\n  Power state:  {state['power']}")


def govc_power(state, options, words):
    """Switch the machine on, or off."""
    if options.get("-on") and state["power"] == "poweredOn":
        sys.exit("govc: The attempted operation cannot be performed in the current state (Powered on).")
    state["power"] = "poweredOn" if options.get("-on") else "poweredOff"


GOVC = {
    "snapshot.tree": ({"-vm", "-c", "-C", "-D", "-d", "-f", "-i", "-s"}, govc_tree),
    "snapshot.create": ({"-vm", "-m", "-q", "-d"}, govc_create),
    "snapshot.remove": ({"-vm", "-c", "-r"}, lambda state, _, words: drop(state, one_of_govc(state, words)["name"])),
    "snapshot.revert": ({"-vm", "-s"}, govc_revert),
    "vm.info": ({"-e", "-g", "-r", "-t"}, govc_info),
    "vm.power": ({"-on", "-off", "-force", "-reset", "-r", "-s", "-suspend", "-M"}, govc_power),
}


def govc(state, command, *args):
    """Do what govc would."""
    if not all(os.environ.get(name) for name in ("GOVC_URL", "GOVC_USERNAME", "GOVC_PASSWORD")):
        sys.exit("govc: specify an ESX or vCenter URL")
    if command not in GOVC:
        sys.exit(f"Usage of govc: unknown command {command}")
    known, act = GOVC[command]
    options, words = parse(args, known, "flag provided but not defined: -{0}")
    machine = options.get("-vm") if "-vm" in known else words[0]
    if machine != "web1":
        sys.exit(f"govc: vm '{machine}' not found")
    act(state, options, words)


def virsh_list(state, options, words):
    """List them, with an empty line at the end."""
    print("\n".join([*names(state), ""]))


def virsh_create(state, options, words):
    """Make one, which holds the memory of a domain that runs."""
    if words[0] in names(state):
        sys.exit(f"error: operation failed: domain moment {words[0]} already exists")
    state["chain"].append({"name": words[0], "memory": state["power"] == "running"})
    print(f"Domain snapshot {words[0]} created")


def one_of_virsh(state, words):
    """Return the name of a snapshot that is there."""
    if words[0] not in names(state):
        sys.exit(f"error: Domain snapshot not found: no domain snapshot with matching name '{words[0]}'")
    return words[0]


def virsh_revert(state, options, words):
    """Go back at once; unless it is paused, the guest goes on in the midst of its maintenance."""
    state["reverted"] = one_of_virsh(state, words)
    state["power"] = "paused" if "--paused" in options else "running"
    state["resumed"] = state["power"] == "running"


def virsh_destroy(state, options, words):
    """Switch the domain off."""
    if state["power"] == "shut off":
        sys.exit("error: Requested operation is not valid: domain is not running")
    state["power"] = "shut off"


def virsh_start(state, options, words):
    """Switch the domain on."""
    if state["power"] != "shut off":
        sys.exit("error: Domain is already active")
    state["power"] = "running"


VIRSH = {
    "snapshot-list": ({"--name"}, virsh_list),
    "snapshot-create-as": ({"--description", "--atomic", "--disk-only", "--quiesce", "--halt"}, virsh_create),
    "snapshot-delete": ({"--children", "--metadata"}, lambda state, _, words: drop(state, one_of_virsh(state, words))),
    "snapshot-revert": ({"--running", "--paused", "--force"}, virsh_revert),
    "domstate": ({"--reason"}, lambda state, *_: print(state["power"] + "\n")),
    "destroy": ({"--graceful"}, virsh_destroy),
    "start": ({"--paused", "--autodestroy"}, virsh_start),
}


def virsh(state, *args):
    """Do what virsh would with a domain of qcow2 disks."""
    if args[:3] != ("--connect", "qemu:///system", "--quiet"):
        sys.exit("error: failed to connect to the hypervisor")
    command, domain = args[3:5]
    if command not in VIRSH:
        sys.exit(f"error: unknown command: '{command}'")
    known, act = VIRSH[command]
    options, words = parse(args[5:], known, f"error: command '{command}' doesn't support option {{1}}")
    if domain != "web1":
        sys.exit(f"error: failed to get domain '{domain}'")
    act(state, options, words)


def qm_list(state, options, words):
    """Show them as a tree."""
    for level, known in enumerate([*names(state), "current"]):
        print("    " * level + f"`-> {known:27} 2023-11-14 22:13:20     no-description")


def qm_snapshot(state, options, words):
    """Make one."""
    if not re.match(r"[a-z][a-z0-9_-]+\Z", words[0], re.IGNORECASE) or len(words[0]) > 40:
        sys.exit("400 Parameter verification failed.\nsnapname: invalid format")
    if words[0] in names(state):
        sys.exit(f"snapshot name '{words[0]}' already used")
    state["chain"].append({"name": words[0], "memory": options.get("--vmstate") == "1"})
    print("snapshotting 'drive-scsi0' (local-zfs:vm-101-disk-0)")


def one_of_qm(state, name):
    """Return the snapshot of that name."""
    if name not in names(state):
        sys.exit(f"snapshot '{name}' does not exist")
    return state["chain"][names(state).index(name)]


def qm_config(state, options, words):
    """Show one."""
    item = one_of_qm(state, options["--snapshot"])
    print("boot: order=scsi0\nsnaptime: 1700000000" + (f"\nsnapstate: {item['state']}" if item.get("state") else ""))


def qm_rollback(state, options, words):
    """Go back at once, to the newest only; what runs is killed."""
    if one_of_qm(state, words[0])["name"] != names(state)[-1]:
        sys.exit(f"can't rollback, '{words[0]}' is not most recent snapshot on 'vm-101-disk-0'")
    state.update(reverted=words[0], killed=state["power"] == "running", power="stopped")


QM = {
    "listsnapshot": (set(), qm_list),
    "snapshot": ({"--description", "--vmstate"}, qm_snapshot),
    "delsnapshot": ({"--force"}, lambda state, _, words: drop(state, one_of_qm(state, words[0])["name"])),
    "config": ({"--snapshot", "--current"}, qm_config),
    "rollback": ({"--start"}, qm_rollback),
    "status": ({"--verbose"}, lambda state, *_: print(f"status: {state['power']}")),
    "start": (set(), lambda state, *_: state.update(power="running")),
}


def qm(state, command, machine, *args):
    """Do what qm would, on a storage that goes back to the newest snapshot only (ZFS)."""
    if command not in QM:
        sys.exit(f"ERROR: unknown command 'qm {command}'")
    known, act = QM[command]
    options, words = parse(args, known, "Unknown option: {0}\n400 unable to parse option")
    if machine != "101":
        sys.exit(f"Configuration file 'nodes/pve1/qemu-server/{machine}.conf' does not exist")
    act(state, options, words)


def ssh(state, *words):
    """Log in where the key may do one thing only: the program itself, for one machine."""
    args, options = list(words), []
    while args and args[0].startswith("-"):
        options.append(args.pop(0))
        if options[-1] == "-o":
            options.append(args.pop(0))
        elif options[-1] != "-n":
            sys.exit(f"ssh: unknown option -- {options[-1]}")
    if "BatchMode=yes" not in options or args.pop(0) != "klp@hypervisor":
        sys.exit("Permission denied (publickey).")
    # Nothing of the host's environment gets there; the stand-ins have to be found.
    env = {name: os.environ[name] for name in ("PATH", "CLOUD")}
    env["SSH_ORIGINAL_COMMAND"] = " ".join(args)
    return subprocess.run(state["forced"], env=env, check=False, timeout=60).returncode


def main(kind, *args):
    """Keep the call, do what the tool would, keep the state."""
    path = os.environ["CLOUD"]
    with open(path, encoding="utf-8") as file:
        state = json.load(file)
    state["calls"].append([kind, *args])
    if kind == "ssh":
        return ssh(state, *args)
    if state.get("fail") and state["fail"] in " ".join(args):
        sys.exit("quota")
    try:
        return {"govc": govc, "virsh": virsh, "qm": qm}[kind](state, *args)
    finally:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(state, file)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
