# Everything that can be done here. Each target sets up what it needs; see CONTRIBUTING.md.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

SALT ?= 3008
MINIONS ?= oldest
CELLS ?=
PYTEST_ARGS ?=
COVERAGE ?= 95
# These tests wait more than they work: with three processes they take a quarter less on two cores.
WORKERS ?= 3
FUNCTIONAL ?= tests/functional tests/kill
INTEGRATION ?= tests/integration
SYSTEM ?= tests/system
MINUTES ?= 10
SEED ?=
KILLS ?= 300
KILL_SEED ?= 1
FAULTS ?=
TEST ?= tests/unit/test_klp_checks.py

VENV := $(CURDIR)/build/venv/$(SALT)
PY := $(VENV)/bin/python
LINT := $(CURDIR)/build/venv/lint/bin
DOCS_PY := $(CURDIR)/build/venv/docs/bin/python
PYTEST := $(PY) -m pytest $(PYTEST_ARGS)

# What Salt loads (SYNCED), and of it what a minion loads and so has to run on Python 3.6 (MINION).
SYNCED := $(wildcard _modules _states _utils _grains _beacons _runners _output _engines)
MINION := $(filter-out _runners _output _engines,$(SYNCED))
TOOLS := $(wildcard tools tests demo bench install)
SCRIPTS := $(wildcard .ci/run tests/lab/nshost tests/lab/vm/guest/init tests/lab/vm/guest/*initrd tests/lab/vm/guest/install-* \
	pillar/examples/*-root-snapshot tools/*.sh)

DESTDIR ?=
PREFIX ?= /usr
FORMULAS := $(DESTDIR)$(PREFIX)/share/salt-formulas
DOCS := $(DESTDIR)$(PREFIX)/share/doc/packages/salt-klp
CONF := $(DESTDIR)/etc/salt/master.d
CAMPAIGNS := $(DESTDIR)/var/lib/salt-klp

.PHONY: help setup setup-lint setup-system setup-browser demo bench bench-host bench-fleet bench-report bench-cve bench-real pictures \
	check check-fast lint-python lint-types lint-py36 lint-yaml lint-shell lint-web lint-metrics lint-house lint-faults lint-docs web setup-docs docs \
	lint-package sdist rpm test fuzz test-unit test-simulation test-faults test-browser test-functional test-integration test-kill test-system test-minions test-matrix coverage install clean

help: ## this list
	@echo "make TARGET [SALT=3006|3007|3008] [PYTEST_ARGS=...]      SALT is $(SALT) unless it is named"
	@echo
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 20

setup: ## install what tests and demonstration need: Debian packages and build/venv/$(SALT)
	@tools/packages.sh $(SALT)
	@tools/venv.sh $(SALT)

setup-lint:
	@tools/packages.sh lint
	@tools/venv.sh lint

demo: setup ## show what salt-klp does, on hosts that are made for it
	@$(PY) -m demo

bench: bench-host bench-fleet bench-report bench-cve ## what this costs; fails if it is more than was promised

bench-host: setup ## what a run costs on one host, beside Salt's own states, with 33 and with 20,000 packages
	@$(PY) -m bench host

bench-fleet: setup ## what campaigns cost, over up to 100,000 simulated hosts; fails if it is worse than linear
	@$(PY) -m bench
	@$(PY) -m bench harm
	@$(PY) -m bench pace

bench-report: setup ## what the report of 10,000 hosts costs; fails if it is more memory or time than was promised
	@$(PY) -m bench report

bench-cve: setup ## how long klp.cve takes for 10,000 hosts; fails if it is longer than was promised
	@$(PY) -m bench cve

bench-real: setup ## what a campaign adds on a real master with real minions
	@$(PY) -m bench real

check: lint-python lint-types lint-py36 lint-yaml lint-shell lint-web lint-metrics lint-house lint-faults lint-docs lint-package docs ## all linters, and the documentation

check-fast: ## a first look at a change, in a minute and without root: ruff, house rules, one file of unit tests (TEST=...)
	@tools/venv.sh lint
	@tools/venv.sh $(SALT)
	@$(LINT)/ruff check . && $(LINT)/ruff format --check .
	@$(LINT)/python tools/lint_house.py
	$(PYTEST) -q $(TEST)

lint-python: setup-lint
	@echo "== ruff: $$($(LINT)/ruff --version)"
	@$(LINT)/ruff check .
	@$(LINT)/ruff format --check .

# Each folder alone: execution and state modules have the same names. All import the utils by name, as Salt's loader lets
# them. Names that the loader puts into a module are ruff's business (F821), mypy cannot know them.
lint-types: export MYPYPATH = _utils
lint-types: setup-lint
	@for folder in $(SYNCED); do \
	    ls $$folder/*.py >/dev/null 2>&1 || continue; \
	    echo "== mypy: $$folder"; \
	    $(LINT)/mypy --follow-imports=silent --disable-error-code=name-defined --disable-error-code=var-annotated $$folder; \
	done
	@echo "== mypy: $(TOOLS)"
	@$(LINT)/mypy --follow-imports=silent $(TOOLS)

lint-py36: setup-lint
	@echo "== Python 3.6: $(MINION)"
	@$(LINT)/vermin --quiet --target=3.6- --violations --eval-annotations --no-tips --backport contextvars $(MINION)
	@$(LINT)/python tools/py36.py

lint-yaml: setup-lint
	@echo "== yamllint"
	@$(LINT)/yamllint --strict .

lint-shell: setup-lint
	@echo "== shellcheck: $(SCRIPTS)"
	@$(LINT)/shellcheck $(SCRIPTS)

# Template, style and script of each page, and the one Python file that Salt sends.
lint-web: setup-lint
	@echo "== pages: biome, $$($(LINT)/djlint --version | sed 's/, version//')"
	@cd web && $(LINT)/biome lint --error-on-warnings --colors=off .
	@$(LINT)/djlint --lint --quiet web
	@$(LINT)/python tools/web.py --check

lint-metrics: setup-lint
	@echo "== alert rules and dashboard"
	@$(LINT)/python tools/monitoring.py

web: ## make _runners/klp/page_files.py anew from web/
	@python3 tools/web.py

lint-faults: setup-lint
	@echo "== planted faults"
	@$(LINT)/python tools/faults.py --check

lint-docs: setup-lint
	@echo "== generated pages"
	@$(LINT)/python tools/docs.py --check
	@$(LINT)/python tools/reference.py --check
	@echo "== known problems"
	@$(LINT)/python tools/ledger.py

docs/reference/pillar.md docs/reference/campaign.md docs/reference/report.md pillar/schema.yaml \
    pillar/campaign-schema.yaml pillar/report-schema.yaml docs/reference/host.schema.json: \
    _utils/klp_schema.py _utils/klp_pillar.py _utils/klp_checks.py _runners/klp.py _runners/klp/schema.py \
    _runners/klp/reporting.py _runners/klp/documents.py _runners/klp/answers.py _runners/klp/shape.py tools/docs.py tools/docs_text.py | setup-lint
	@$(LINT)/python tools/docs.py

setup-docs:
	@tools/packages.sh docs
	@tools/venv.sh docs

# Every warning is an error: a link that points nowhere, a page that no menu leads to, code that cannot be read.
docs: setup-docs ## the documentation as web pages in build/docs; every warning is an error
	@echo "== documentation: $$($(DOCS_PY) -m sphinx --version)"
	@$(DOCS_PY) -m sphinx --fail-on-warning --keep-going --nitpicky --fresh-env --quiet \
	    --conf-dir tools/sphinx --doctree-dir build/doctrees . build/docs
	@echo "build/docs/index.html"

lint-house: setup-lint
	@echo "== house rules"
	@$(LINT)/python tools/lint_house.py

# What is published: sdist and wheel, the RPM that is built from the unpacked sdist, and what is installed by it.
lint-package: setup-lint sdist
	@echo "== packages: $$($(LINT)/twine --version | sed -n '1s/ (.*//p'), $$(rpmlint --version 2>/dev/null || echo no rpmlint)"
	@rm -rf build/wheel build/unpacked build/installed
	@$(LINT)/python -m pip --disable-pip-version-check wheel -q --no-deps --no-build-isolation -w build/wheel build/sdist/*.tar.gz
	@$(LINT)/twine check --strict build/sdist/*.tar.gz build/wheel/*.whl
	@$(LINT)/python -m pip --disable-pip-version-check check
	@mkdir -p build/unpacked && tar -xzf build/sdist/*.tar.gz -C build/unpacked --strip-components=1
	@if command -v rpmlint >/dev/null; then rpmlint "$$(build/unpacked/tools/rpm.sh)" install/salt-klp.spec --config install/rpmlint.toml; \
	else build/unpacked/tools/rpm.sh; fi

sdist: setup-lint ## make the source package in build/sdist: RPM, documentation and tests can be made from it
	@rm -rf build/sdist
	@PYTHONPATH=tools $(LINT)/python -c 'import build_backend; print("build/sdist/" + build_backend.build_sdist("build/sdist"))' 2>build/log/sdist.log >build/log/sdist.out \
	    || { cat build/log/sdist.out build/log/sdist.log >&2; exit 1; }
	@tail -n 1 build/log/sdist.out

rpm: setup-lint ## build the RPM of what is committed into build/rpm
	@tools/rpm.sh

test: test-unit test-simulation test-browser test-functional test-integration coverage ## all but test-system; fails under 95 % of lines and branches

test-unit: setup ## parsers and decisions, without any host; measures coverage
	@mkdir -p build/coverage
	$(PYTEST) tests/unit -n 2 $(addprefix --cov=,$(SYNCED)) --cov-branch --cov-report=

test-simulation: setup ## campaigns over simulated hosts, killed at every step
	$(PYTEST) tests/simulation -n 2

test-faults: setup ## plant each fault of tests/simulation/faults, and see whether the tests find it: FAULTS="NAME ..."
	@$(PY) tools/faults.py $(FAULTS)

fuzz: setup ## every parser and pillar with new texts, for MINUTES; SEED=... repeats a round
	@$(PY) tools/fuzz.py --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

setup-browser: setup
	@tools/packages.sh browser

test-browser: setup-browser ## the pages of report and campaign in a real Chromium, over up to 10,000 simulated hosts
	$(PYTEST) tests/browser -s

pictures: setup-browser ## make the pictures of the documentation anew
	@$(PY) tools/pictures.py

test-functional: setup ## salt-call on hosts with a real zypper
	$(PYTEST) $(FUNCTIONAL) -n $(WORKERS) --dist loadfile --durations=20

test-integration: setup ## a real master and real minions; MASTER_USER=salt: the master does not run as root
	$(PYTEST) $(INTEGRATION) -n $(WORKERS) --dist loadfile --durations=20

# The few kills of test-functional are part of `make test`; all of them take about twenty minutes.
test-kill: setup ## every command killed at every step and finished by one more run: KILLS=300, or all
	KILLS=$(KILLS) KILL_SEED=$(KILL_SEED) $(PYTEST) tests/kill -n 2

setup-system: setup
	@tools/packages.sh system

# The machine is built before pytest, whose workers would do so without a word.
test-system: setup-system ## the formula on a real kernel, in virtual machines; takes about twenty minutes
	@echo "== the virtual machine is built, if not kept from the last time (takes a minute or two)"
	@$(PY) -m tests.lab vm
	$(PYTEST) $(SYSTEM) -n 2 --dist loadfile -o timeout=3600

test-minions: setup ## the life of a host on minions with a Python of their own: MINIONS="oldest 3007-3.9"
	MINIONS="$(MINIONS)" $(PYTEST) tests/functional/test_minions.py

test-matrix: ## the tests on every Salt series with every Python that it runs on; takes two hours
	@tools/matrix.sh $(CELLS)

coverage: ## the coverage of the last unit tests; fails under COVERAGE percent of lines and branches
	@$(PY) -m coverage report --fail-under=$(COVERAGE)

# The links of salt/ are followed: what is installed is one plain file root. The documentation lies as in the checkout, so
# that its links lead to where they should.
install: ## install below DESTDIR as SUSE packages its formulas; then: salt-run klp.version
	install -d $(FORMULAS)/states $(FORMULAS)/metadata/klp $(DOCS) $(CONF)
	rm -rf $(addprefix $(FORMULAS)/states/,klp $(notdir $(wildcard salt/_*))) $(DOCS)/*  # nothing of an older version stays
	cp -RL salt/. $(FORMULAS)/states
	find $(FORMULAS)/states -name __pycache__ -type d -prune -exec rm -r {} +
	for file in $(wildcard metadata/*.yml pillar/*schema.yaml); do install -m 0644 $$file $(FORMULAS)/metadata/klp; done
	install -d $(DOCS)/pillar $(DOCS)/metadata $(DOCS)/tests/lab
	install -m 0644 $(wildcard LICENSE *.md) $(DOCS)
	cp -RL docs $(DOCS)
	for folder in $(wildcard pillar/examples pillar/campaigns); do cp -RL $$folder $(DOCS)/pillar; done
	for folder in $(wildcard metadata/prometheus metadata/grafana); do cp -RL $$folder $(DOCS)/metadata; done
	install -m 0644 tests/lab/README.md $(DOCS)/tests/lab
	chmod -R u=rwX,go=rX $(FORMULAS) $(DOCS)
	[ -e $(CONF)/salt-klp.conf ] || sed 's|@STATES@|$(PREFIX)/share/salt-formulas/states|' install/master.conf >$(CONF)/salt-klp.conf
	[ -d $(CAMPAIGNS) ] || install -d -m 0700 $(CAMPAIGNS)
	[ -n "$(DESTDIR)" ] || [ ! -d /var/cache/salt/master ] || chown --reference=/var/cache/salt/master $(CAMPAIGNS)
	@echo 'add this line to file_roots of your master, under base, and look with salt-run klp.version:'
	@echo '    - $(PREFIX)/share/salt-formulas/states'

clean: ## remove all that make and the tests have made here
	rm -rf build dist .pytest_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
