# make setup   create .venv with everything
# make demo    draw a catalogue, then do the whole job on it into demo/
# make test    every test, and every example in the docs
# make test-quick   the tests of the core, in under a minute
# make check   lint, format, types, import rules
# make docs    the documentation site, into build/site; every warning is an error
# make web     the app's page with the bundled model in ONNX Runtime Web, into build/web; needs npm
# make screenshots   the pictures of the docs, from drawn posters; needs chromium
# make audit   pins, licences and, where a service can be reached, known vulnerabilities
# make fuzz [CASES=100000] [SEED=0]              damaged posters by the thousand
# make wheel   build the wheel twice and fail if the bytes differ; make sbom: what is in it, as CycloneDX
# make faults  kill steps at random moments, 200 times, and start them again (an hour)
# make recipe NAME=default DATA=… [BACKBONE=…]   train a recipe of recipes/ on real posters, into runs/NAME
#             (-j3 with OPTIONS='--threads 1': its networks side by side, the quicker way on two cores)
# make quality DATA=… [MODEL=…]                  the metrics of the bundled model, on the fixed test sets
#             (with OPTIONS=--write into docs/model-card.md and the model file)
# make bench DATA=… BACKBONE=…                   every benchmark of benchmarks/README.md, into runs/bench (hours)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test test-quick check docs web screenshots audit fuzz wheel sbom faults recipe quality bench clean

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	rm -rf demo
	$(BIN)/onesheet demo --out demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile -rs --doctest-modules --ignore-glob "*/conftest.py" src tests

test-quick: setup
	scripts/test-quick

check: setup
	scripts/check

docs: setup
	$(BIN)/python -m sphinx --quiet --fail-on-warning --conf-dir docs --doctree-dir build/doctrees . build/site

web: setup
	$(BIN)/python scripts/build-web

screenshots: setup
	$(BIN)/python scripts/screenshots

audit: setup .venv/audit/installed
	$(BIN)/python scripts/audit

.venv/audit/installed: | .venv/installed
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	touch $@

CASES ?= 100000
SEED ?= 0

fuzz: setup
	$(BIN)/python tests/fuzz_images.py --cases $(CASES) --seed $(SEED)

faults: setup
	$(BIN)/python tests/kills.py --trials 200
	$(BIN)/python tests/library_faults.py --rounds 1000

wheel: setup
	scripts/wheel

sbom: setup
	mkdir -p dist
	$(BIN)/python scripts/sbom > dist/sbom.json

NAME ?= default
SPLITS = $(DATA)/chu2017/split.csv $(DATA)/imdb/split.csv
HUB = $(if $(filter-out runs/alexnet runs/small-cnn,$(@D)),$(BACKBONE:%=--model hf:%))
TRAIN = $(BIN)/onesheet train $(DATA)/chu2017 $(DATA)/imdb $(SPLITS:%=--split %) \
	$(HUB) --out $(@D) $(OPTIONS) $$(test -e $(@D)/config.toml && echo --resume)
DONE = evaluation.json
FIRST = runs/teacher-0/$(DONE) runs/teacher-1/$(DONE)
SECOND = runs/teacher-2/$(DONE) runs/teacher-3/$(DONE)
THIRD = runs/default-2/$(DONE) runs/default-3/$(DONE)
FOURTH = runs/default-4/$(DONE) runs/default-5/$(DONE)
TAUGHT_BY_2 = runs/teacher-2/genres.onnx,runs/teacher-1/genres.onnx
TAUGHT_BY_3 = runs/teacher-3/genres.onnx,runs/teacher-0/genres.onnx

recipe: runs/$(NAME)/$(DONE)  # started again, it resumes

runs/default/$(DONE): $(FOURTH) runs/head/$(DONE)
	$(BIN)/onesheet export $(^D) --precision w8 --out $(@D)/genres.onnx
	$(BIN)/onesheet evaluate $(@D)/genres.onnx $(<D)/packed --run $(<D) --out $(@D)

$(FOURTH): runs/default-%/$(DONE): recipes/default.toml $(THIRD) runs/head/$(DONE) | .venv/installed
	$(TRAIN) --config $< --seed $* --teacher runs/default-2/genres.onnx,runs/default-3/genres.onnx,runs/head/genres.onnx

$(THIRD): runs/default-%/$(DONE): recipes/default.toml $(SECOND) | .venv/installed
	$(TRAIN) --config $< --seed $* --teacher $(TAUGHT_BY_$*)

$(SECOND): runs/teacher-%/$(DONE): recipes/default.toml $(FIRST) | .venv/installed
	$(TRAIN) --config $< --seed $* --epochs 8 --teacher runs/teacher-0/genres.onnx,runs/teacher-1/genres.onnx

$(FIRST): runs/teacher-%/$(DONE): recipes/teacher.toml | .venv/installed
	$(TRAIN) --config $< --seed $*

runs/%/$(DONE): recipes/%.toml | .venv/installed
	$(TRAIN) --config $<

quality: setup
	$(BIN)/python benchmarks/quality.py $(DATA) $(if $(MODEL),--model $(MODEL)) $(OPTIONS)

BENCH = $(DATA) $(BACKBONE) runs/bench --keras .venv/keras/bin/python $(REPEATS:%=--repeats %) $(ROWS:%=--rows %)

bench: setup .venv/keras/installed .venv/decoders/installed
	PYTHONPATH=.venv/decoders $(BIN)/python benchmarks/bench.py $(BENCH) $(OPTIONS)

.venv/keras/installed: | .venv/installed
	$(PYTHON) -m venv .venv/keras
	.venv/keras/bin/pip install --quiet --disable-pip-version-check tensorflow-cpu pillow
	touch $@

.venv/decoders/installed: | .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target .venv/decoders \
		opencv-python-headless simplejpeg pyvips pyvips-binary cffi pycparser
	touch $@

clean:
	rm -rf .venv demo build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
