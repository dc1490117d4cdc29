# SPDX-License-Identifier: GPL-2.0-or-later
# The short names of what a person does here. Meson and ninja build; scripts/ does the rest, its own set-up included.
#   make            build build/heddle
#   make run        boot Debian in it, to a login shell
#   make test       everything that CI runs: unit, asan, tsan, models, tidy, guests
#   make bench      measure (see docs/performance.md)
#   make torture SECONDS=60 SEED=N  everything at once on one machine, under both sanitizers
#   make asan tsan  the unit and device tests under clang's sanitizers
#   make format tidy   rewrite the C files' layout; check the house rules
#   make install DESTDIR=…   clean (keeps build/guest)   distclean

.PHONY: build run test bench torture asan tsan format tidy install clean distclean

build:
	@scripts/setup build
	@scripts/build build
run: build
	@scripts/run
test:
	@scripts/setup
	@scripts/run-tests
asan tsan tidy:
	@scripts/setup build test
	@scripts/run-tests $@
torture:
	@scripts/setup build test
	@TORTURE_SECONDS=$(or $(SECONDS),60) TORTURE_SEED=$(SEED) scripts/run-tests $@
bench: build
	@scripts/setup
	@scripts/guest-assets
	@scripts/bench
format:
	@scripts/setup test
	@git ls-files '*.c' '*.h' | xargs -r clang-format -i
install: build
	@meson install -C build --no-rebuild $(if $(DESTDIR),--destdir "$(abspath $(DESTDIR))")
clean:
	@rm -rf build-* && if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name guest -exec rm -rf {} +; fi
distclean:
	@rm -rf build build-*
