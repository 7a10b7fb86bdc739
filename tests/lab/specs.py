"""Turn the packages of the lab into spec files and RPMs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .packages import Package, Spec

HEADER = """\
Name: lab-{name}
Version: 1
Release: 1
Summary: Packages of the test lab
License: GPL-2.0-only
Vendor: SUSE LLC <https://www.suse.com/>
Distribution: SUSE Linux Enterprise 15
AutoReqProv: no
%description
Packages of the test lab.
"""

DEFINES = {
    "_build_name_fmt": "%%{ARCH}/%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    "_build_id_links": "none",
    "debug_package": "%{nil}",
    "__os_install_post": "%{nil}",
    "_binary_payload": "w1.gzdio",
    "source_date_epoch_from_changelog": "0",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "_buildhost": "lab",
    "_wrong_version_format_terminate_build": "0",
}


def section(package: Package) -> str:
    """Return the spec sections of one package."""
    name = package.name
    lines = [
        f"%package -n {name}",
        f"Version: {package.version}",
        f"Release: {package.release}",
        f"Summary: {name} of the test lab",
        "AutoReqProv: no",
        *(["BuildArch: noarch"] if package.noarch else []),
        *package.tags,
        f"%description -n {name}",
        f"{name} of the test lab.",
    ]
    for kind, text in package.scripts.items():
        lines += [f"%{kind} -n {name}", text]
    lines.append(f"%files -n {name}")
    lines += [f"%attr(0644,root,root) {path}" for path in files(package)]
    lines += [f"%attr(0755,root,root) {path}" for path in package.sources]
    return "\n".join(lines) + "\n"


def files(package: Package) -> dict[str, str]:
    """Return the text files of a package; one without any gets a file of its own."""
    if package.files or package.sources:
        return package.files
    return {f"/usr/share/lab/{package.name}": f"{package.version}-{package.release}"}


def install(packages: list[Package], programs: Path) -> str:
    """Return the %install section, which writes the files of all packages."""
    lines = ["%install"]
    for package in packages:
        for path, text in files(package).items():
            lines += [
                f"mkdir -p '%{{buildroot}}{os.path.dirname(path)}'",
                f"cat >'%{{buildroot}}{path}' <<'END'\n{text}\nEND",
            ]
        for path, source in package.sources.items():
            lines.append(f"install -D -m 755 '{programs / source}' '%{{buildroot}}{path}'")
    return "\n".join(lines) + "\n"


def start(spec: Spec, work: Path, repos: Path, programs: Path) -> subprocess.Popen[str]:
    """Start rpmbuild for ``spec``; its RPMs go below ``repos``/REPOSITORY."""
    top = work / spec.name
    top.mkdir(parents=True)
    text = HEADER.format(name=spec.name) + "".join(section(p) for p in spec.packages)
    text += install(spec.packages, programs)
    if spec.changelog:
        text += "%changelog\n" + spec.changelog
    source = top / f"{spec.name}.spec"
    source.write_text(text)
    defines = {
        **DEFINES,
        "_topdir": str(top),
        "_rpmdir": str(repos / spec.repository),
        "_dbpath": f"{top}/db",
    }
    argv = ["rpmbuild", "-bb", "--quiet", "--nodeps", "--target", "x86_64-linux"]
    for key, value in defines.items():
        argv += ["--define", f"{key} {value}"]
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(spec.built), "LC_ALL": "C", "HOME": str(top)}
    return subprocess.Popen([*argv, str(source)], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def build_all(specs: list[Spec], work: Path, repos: Path, programs: Path) -> None:
    """Build every spec, all at once; raise with rpmbuild's text when one fails.

    The folders are made beforehand: rpmbuild looks for one and then makes it, and ends with "File exists" where another
    rpmbuild was faster.
    """
    for spec in specs:
        for arch in ("noarch", "x86_64"):
            (repos / spec.repository / arch).mkdir(parents=True, exist_ok=True)
    running = [(spec, start(spec, work, repos, programs)) for spec in specs]
    for spec, process in running:
        output, _ = process.communicate(timeout=300)
        if process.returncode:
            raise RuntimeError(f"rpmbuild of {spec.name} failed:\n{output}")
