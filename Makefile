# A thin front to CMake. `make build` leaves the release command at build/truq; `make check` builds with
# tests and runs them all; `make demo` walks the whole road on the digits that the product ships.
BUILD ?= build
JOBS  ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: build check demo sanitize clean deps format

deps:
	@scripts/deps

$(BUILD)/CMakeCache.txt: | deps
	@cmake -S . -B $(BUILD) -G Ninja -Wno-dev

build: $(BUILD)/CMakeCache.txt
	@ninja -C $(BUILD) -j $(JOBS) truq_command

check: $(BUILD)/CMakeCache.txt
	@ninja -C $(BUILD) -j $(JOBS)
	@scripts/check $(BUILD)

# The same tests under AddressSanitizer and UndefinedBehaviorSanitizer.
sanitize: deps
	@cmake -S . -B build-sanitize -G Ninja -DTRUQ_SANITIZE=ON
	@ninja -C build-sanitize -j $(JOBS)
	@LSAN_OPTIONS=suppressions=$(CURDIR)/scripts/leaks.txt:print_suppressions=0 scripts/check build-sanitize

demo: build
	@scripts/demo $(BUILD)/truq

format:
	@git ls-files '*.c' '*.h' | grep -v -e third_party -e ^include | xargs clang-format -i

clean:
	@rm -rf build build-sanitize demo-out
