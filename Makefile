# trm-lab. A newcomer needs two lines: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# PyTorch's own index of CPU builds: gigabytes smaller than the default, and enough where there is no NVIDIA driver
TORCH_CPU := https://download.pytorch.org/whl/cpu
SOURCES := settings.ini setup.py pyproject.toml constraints.txt

.PHONY: demo test soak lab export lessons docs clean
.DELETE_ON_ERROR:

demo: .venv/.lab ## train a TRM on Sudoku 6×6 and leave a report to read
	@$(BIN)/trm-lab demo

test: .venv/.dev ## every test but the soak
	@$(BIN)/ruff check --quiet . # line lengths and unused names, nothing else
	@echo "every cell of every tutorial and lesson, and the tests beside them"
	@export OMP_NUM_THREADS=1; ( $(BIN)/nbdev_test --path nbs/tutorials --n_workers 1 \
	    && $(BIN)/nbdev_test --path nbs --skip_folder_re 'tutorials|experiments|_ipynb_checkpoints' --n_workers 1 \
	  ) & notebooks=$$!; \
	  $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not soak and not pace" tests; tests=$$?; \
	  wait $$notebooks && exit $$tests # one thread each; notebooks first would leave a core idle for minutes
	@$(BIN)/python -m pytest -q -m pace tests/views/test_explorer.py # alone: how fast a page answers

soak: .venv/.dev ## the long counts
	@$(BIN)/python -m pytest -q -m soak -s tests

lab: .venv/.lab ## JupyterLab over the whole checkout, opened at the first tutorial
	@$(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/nbs/tutorials/step_the_recursion.ipynb

export: .venv/.dev ## notebooks → library and README, and cleaned notebooks
	@$(BIN)/nbdev_export
	@$(BIN)/nbdev_clean
	@$(BIN)/python tools/strip_widgets.py $$(find nbs -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*')
	@$(BIN)/jupyter nbconvert --log-level ERROR --to markdown --stdout nbs/index.ipynb | sed -E 's#\]\((images/|[0-9A-Za-z_./]*\.ipynb)#](nbs/\1#g' > README.md.tmp
	@mv README.md.tmp README.md

lessons: .venv/.dev ## run the notebooks again and keep what they print and draw
	@$(BIN)/jupyter nbconvert --log-level ERROR --to notebook --execute --inplace $$(find nbs -name '*.ipynb' -not -path '*/experiments/*' -not -path '*/.ipynb_checkpoints/*' -not -name index.ipynb)
	@$(MAKE) --no-print-directory export

docs: .venv/.docs ## the documentation site, to read from disk: _docs/index.html
	@$(BIN)/python docs/build.py

clean: ## remove what can be made again; data/ and reports/ stay
	rm -rf .venv build dist _docs *.egg-info .pytest_cache .hypothesis

# ---- set-up ------------------------------------------------------------------
.venv/.lab: $(SOURCES)
	@echo "set-up    .venv with the versions of constraints.txt (once, a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else f"trm-lab needs Python 3.11 or newer, this is {sys.version.split()[0]}; name another one: make demo PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@if [ "$$(uname -s)" = Linux ] && [ ! -e /proc/driver/nvidia/version ] && ! $(BIN)/python -c "import torch" 2>/dev/null \
	  && $(BIN)/python -c "import urllib.request as u; u.urlopen('$(TORCH_CPU)/torch/', timeout=5)" 2>/dev/null; then \
	  $(BIN)/pip install -q torch -c constraints.txt --index-url $(TORCH_CPU) || echo "set-up    the CPU build of torch could not be installed; going on with the default one"; fi
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[lab]' -c constraints.txt
	@touch $@

.venv/.dev: .venv/.lab
	@echo "set-up    what the tests need"
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[lab,dev]' -c constraints.txt
	@touch $@

.venv/.docs: .venv/.lab
	@echo "set-up    what builds the documentation"
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[lab,docs]' -c constraints.txt
	@touch $@
