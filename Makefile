# The only entry point: `make help`.  Outputs go to build/, sources and wheels to the cache.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modwebsocket
RELEASE := $(or $(MICROPYTHON_VERSION),$(shell sed -n 's/^version=\([0-9.]*\)$$/\1/p' tools/sources.sh))
MPY := $(abspath $(or $(MICROPYTHON_DIR),$(CACHE)/micropython-$(RELEASE)))
BUILD := $(CURDIR)/build
PYTHON := $(BUILD)/venv/bin/python
MPY_CROSS := build/mpy-cross/mpy-cross

build_packages := build-essential bzip2 ca-certificates python3 python3-venv xz-utils
test_packages := cmake chromium-headless-shell gcc-multilib gcc-riscv64-unknown-elf gcc-xtensa-lx106 \
	lua-cjson lua-http lua5.2 nginx
board_packages := gcc-xtensa-lx106 picolibc-xtensa-lx106-elf qemu-system-misc
fuzz_packages := clang-14 libclang-rt-14-dev
natmod_packages := gcc-arm-none-eabi gcc-riscv64-unknown-elf libnewlib-dev qemu-system-arm
bench_packages := picolibc-riscv64-unknown-elf picolibc-xtensa-lx106-elf qemu-system-misc valgrind

MAKEFLAGS += --no-print-directory -j$(shell nproc)

# What tests and tools need to find the builds.
export MODWEBSOCKET_BUILD := $(BUILD)
export MODWEBSOCKET_MPY_DIR := $(MPY)
export PYTHONDONTWRITEBYTECODE := 1
ifndef MICROPYTHON_DIR
# In a tree without git, git would answer about the repository around it.
export MICROPY_GIT_TAG := v$(RELEASE)
export MICROPY_GIT_HASH := release
endif

.PHONY: help
help:  ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1|\2/p' Makefile | column -t -s '|'

.PHONY: demo test test-natmod unix unix32 stock pure failalloc natmod lx106 lx106-stock release \
	run-lx106 firmware flash deploy repl fuzz size bench figures screenshot herd lint clean
demo: build/unix/micropython build/venv/.made-demo  ## run a NodeMCU script against a real server
	@$(PYTHON) tools/demo.py

fuzzers_c := build/fuzz/decoder build/fuzz/kernels
fuzzers_python := $(addprefix build/fuzz/,codec connection planted request response url)
fuzzers := $(fuzzers_c) $(fuzzers_python)

# Tests wait more than they compute.  Many of them hold a network to its deadlines, which a machine
# that runs several at once may not keep: what failed so has to pass alone.
TEST_JOBS := $(shell expr $$(nproc) + 1)
alone = { [ $$? = 1 ] && echo "what failed beside others, alone:" && $(PYTHON) -m pytest --last-failed; }
TARGETS := unix unix32 stock failalloc lx106 lx106-stock
test: $(or $(TARGET),$(TARGETS) $(fuzzers)) $(if $(filter lx106,$(TARGET)),lx106-stock) build/natmod/xtensa/_wscore.mpy build/natmod/x64/_wscore.mpy build/qemu_plugin.so build/venv/.made-test  ## run all tests; TARGET=lx106 or ARGS="-k url" for some
	@$(PYTHON) -m pytest -n $(TEST_JOBS) $(if $(TARGET),--target $(TARGET)) $(ARGS) || $(alone)
	@$(if $(TARGET)$(ARGS),,echo fuzzing for 60 s; python3 tools/fuzz.py --seconds 60)

fuzz: $(fuzzers)  ## fuzz for SECONDS=60 in all, by the clock; ARGS="url codec" for some targets
	@python3 tools/fuzz.py $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

# The machines of MicroPython's QEMU port, one for each kind of processor.
machines := armv6m armv7m armv7emsp rv32imc xtensawin
natmods := $(patsubst %,build/natmod/%/_wscore.mpy,xtensa xtensawin rv32imc x64 \
	armv6m armv7m armv7emsp)
again := $(natmods:build/natmod/%=build/natmod-again/%)
firmwares := $(machines:%=build/qemu/%/firmware.elf)
test-natmod: natmod $(again) $(firmwares) stock lx106 lx106-stock build/qemu_plugin.so build/venv/.made-test  ## run the native modules, each on a processor of its kind
	@$(PYTHON) -m pytest -n $(TEST_JOBS) -m "" tests/test_natmod.py tests/peer/test_mip.py $(ARGS)

unix: build/unix/micropython  ## MicroPython for this machine with modwebsocket in it
unix32: build/unix32/micropython  ## the same as a 32-bit program without TLS, to measure memory
stock: build/stock/micropython build/natmod/x64/_wscore.mpy  ## the same without modwebsocket, to load the native module
pure: build/stock/micropython  ## the same, to load the core in Python
failalloc: build/failalloc/micropython  ## the same as unix, with allocations that fail on demand
natmod: $(natmods)  ## the C core as native modules, for firmware without it; prints their sizes
	@python3 tools/natmod.py $^
lx106: build/lx106/firmware.elf  ## firmware for an emulated ESP8266-class board
lx106-stock: build/lx106-stock/firmware.elf  ## the same without modwebsocket, to install it into
unix unix32 stock pure failalloc lx106 lx106-stock:
	@:

release: $(natmods) $(MPY_CROSS)  ## packages for mip, one for each kind of board: build/release is a web server's folder
	@python3 tools/release.py --mpy-cross $(MPY_CROSS) build/release $(natmods)

run-lx106: build/lx106/firmware.elf | packages-board  ## its REPL; SCRIPT=examples/… ARGS=… runs a script first, PORT=… is its server's
	@python3 tools/lx106.py --firmware $< $(if $(PORT),--port $(PORT)) $(SCRIPT) $(or $(ARGS),$(PORT))

firmware: $(MPY)/py/mpconfig.h build/venv/.made-flash | packages-build  ## for a chip: BOARD=ESP8266_GENERIC, ESP32_GENERIC_C3, …; with the vendor's tools or docker
	@ESPTOOL="$(PYTHON) -m esptool" tools/firmware.sh "$(BOARD)" $(MPY) \
		"$(BUILD)/firmware/$(BOARD)"

device = @$(PYTHON) tools/device.py $@ --port "$(PORT)" --micropython $(MPY)
flash: $(MPY)/py/mpconfig.h build/venv/.made-flash  ## put it on the chip at PORT=/dev/ttyUSB0, BOARD=… as above; FIRMWARE=file.bin takes another
	$(device) --board "$(BOARD)" $(if $(BAUD),--baud $(BAUD)) \
		$(if $(FLASH_SIZE),--flash-size $(FLASH_SIZE)) \
		--firmware $(or $(FIRMWARE),$(BUILD)/firmware/$(BOARD)/firmware.bin)

deploy: $(MPY_CROSS) build/venv/.made-flash  ## copy FILES="main.py …" to the board at PORT=…, and modwebsocket if its firmware lacks it
	$(device) $(FILES)

repl: build/venv/.made-flash  ## of the board at PORT=…; Ctrl-] ends it
	$(device)

frozen = $(filter-out %/manifest.py,$(wildcard modwebsocket/*.py lua_compat/*.py))
size: $(MPY_CROSS) build/venv/.made-test | packages-bench  ## bytes of the C part and of frozen Python
	@$(PYTHON) tools/size.py --micropython $(MPY) --mpy-cross $(MPY_CROSS) $(frozen)

# PEERS_DIR: a folder of other clients for MicroPython, see tools/bench/board.py.
peers := $(if $(PEERS_DIR),--peers "$(abspath $(PEERS_DIR))")
bench_board := tools/bench/board.py $(peers)
packages := lx106-stock build/natmod/xtensa/_wscore.mpy
ifeq ($(TARGET),lx106)
bench: lx106 $(packages) build/qemu_plugin.so build/venv/.made-bench | packages-bench
	@$(PYTHON) tools/bench/kernels.py --machine lx106 && $(PYTHON) $(bench_board) && \
		$(PYTHON) tools/bench/memory.py
else
bench: unix lx106 $(packages) build/qemu_plugin.so build/venv/.made-bench | packages-bench  ## instruction counts, speed, memory; TARGET=lx106 for the board alone
	@$(PYTHON) tools/bench/kernels.py && $(PYTHON) $(bench_board) && \
		$(PYTHON) tools/bench/memory.py && \
		$(PYTHON) tools/bench/connect.py && $(PYTHON) tools/bench/idle.py && \
		$(PYTHON) tools/bench/echo.py $(peers)
endif

figures: unix lx106 $(packages) build/qemu_plugin.so build/venv/.made-bench | packages-bench  ## measure, put the figures into README.md and docs/speed.md
	@$(PYTHON) tools/bench/kernels.py --machine lx106 --write && \
		$(PYTHON) tools/bench/board.py --write && $(PYTHON) tools/bench/memory.py --write && \
		$(PYTHON) tools/bench/connect.py --write && $(PYTHON) tools/bench/idle.py --write && \
		$(PYTHON) tools/bench/echo.py --write

screenshot: lx106 build/qemu_plugin.so build/venv/.made-test  ## of the board's dashboard in a browser; writes docs/dashboard.png
	@$(PYTHON) -m pytest -q --target lx106 tests/peer/test_browser.py -k dashboard \
		--screenshot docs/dashboard.png

herd:  ## simulate how many devices come back to their server; writes docs/reconnect.svg
	@python3 tools/herd.py

lint: build/venv/.made-test  ## check the Python style
	@$(PYTHON) -m ruff check .

clean:  ## remove build/; the cache stays
	rm -rf build

# --- Set-up -----------------------------------------------------------------------------------

.PHONY: packages-build packages-test packages-board packages-bench packages-fuzz packages-natmod
packages-test: packages-build
packages-board: packages-test
packages-bench: packages-board
packages-fuzz: packages-build
packages-natmod: packages-board
packages-build packages-test packages-board packages-bench packages-fuzz packages-natmod: \
		packages-%:
	@tools/packages.sh $($*_packages)

$(MPY)/py/mpconfig.h $(MPY)/lib/mbedtls/include/mbedtls/version.h &: | packages-build
	@tools/sources.sh $(MPY) micropython mbedtls

$(MPY)/lib/lwip/src/include/lwip/init.h: $(MPY)/py/mpconfig.h | packages-build
	@tools/sources.sh $(MPY) lwip

# One at a time in one folder.
build/venv/.made-test build/venv/.made-bench build/venv/.made-flash: | build/venv/.made-demo
build/venv/.made-bench: | build/venv/.made-test
build/venv/.made-%: pyproject.toml tools/venv.py | packages-build
	@python3 tools/venv.py build/venv $(CACHE) $*

# --- Builds -----------------------------------------------------------------------------------

ours := $(wildcard modwebsocket/*.py modwebsocket/wscore/* lua_compat/*.py \
	ports/unix/*.* ports/unix/failalloc/*)
tree := build/tree $(MPY)/py/mpconfig.h $(MPY)/lib/mbedtls/include/mbedtls/version.h

# Another MICROPYTHON_DIR starts all builds anew.
.PHONY: FORCE
build/tree: FORCE
	@echo $(MPY) | cmp -s - $@ || { \
		rm -rf $(addprefix build/,mpy-cross unix unix32 stock failalloc natmod natmod-again \
			lx106 lx106-stock qemu release size fuzz/micropython); \
		mkdir -p build; echo $(MPY) >$@; }

# MicroPython's own makefiles track dependencies; ours only decides whether to ask them.  A result
# is as old as the start of its build: what was edited meanwhile is newer.
mpy_make = +@echo building $@; start=$$(date +@%s.%N); mkdir -p $(@D); \
	$(MAKE) -s $(1) >/dev/null && touch -d $$start $@

$(MPY_CROSS): $(tree)
	$(call mpy_make,-C $(MPY)/mpy-cross BUILD=$(CURDIR)/$(@D))

# MicroPython insists on a micropython-lib, which nothing of ours takes from.
build/micropython-lib/README.md:
	@mkdir -p $(@D) && touch $@

options := USER_C_MODULES=$(CURDIR)/modwebsocket FROZEN_MANIFEST=$(CURDIR)/ports/unix/manifest.py
build/unix/micropython: options := $(options) VARIANT_DIR=$(CURDIR)/ports/unix
build/unix32/micropython: options := $(options) VARIANT_DIR=$(CURDIR)/ports/unix \
	MICROPY_FORCE_32BIT=1 MICROPY_PY_SSL=0
build/failalloc/micropython: options := $(options) VARIANT_DIR=$(CURDIR)/ports/unix/failalloc
build/stock/micropython: options := VARIANT_DIR=$(CURDIR)/ports/unix \
	FROZEN_MANIFEST=$(MPY)/extmod/asyncio/manifest.py
build/unix32/micropython: | packages-test

build/%/micropython: $(ours) $(tree) $(MPY_CROSS) build/micropython-lib/README.md
	$(call mpy_make,-C $(MPY)/ports/unix BUILD=$(CURDIR)/$(@D) $(options) \
		MICROPY_MPYCROSS=$(CURDIR)/$(MPY_CROSS) MPY_LIB_DIR=$(BUILD)/micropython-lib)

build/lx106/firmware.elf: $(wildcard modwebsocket/*.py modwebsocket/wscore/* lua_compat/*.py)
build/lx106/firmware.elf: options := USER_C_MODULES=$(CURDIR)/modwebsocket
build/lx106-stock/firmware.elf: options := FROZEN_MANIFEST=stock.py ROMFS=1
build/lx106/firmware.elf build/lx106-stock/firmware.elf: \
		$(shell find ports/lx106 -type f) $(MPY)/lib/lwip/src/include/lwip/init.h \
		$(tree) $(MPY_CROSS) build/micropython-lib/README.md | packages-board
	$(call mpy_make,-C ports/lx106 BUILD=$(CURDIR)/$(@D) MPY_DIR=$(MPY) $(options) \
		MICROPY_MPYCROSS=$(CURDIR)/$(MPY_CROSS) MPY_LIB_DIR=$(BUILD)/micropython-lib)

# Counts and checks what QEMU executes.
build/qemu_plugin.so: tools/qemu_plugin.c | packages-board
	@mkdir -p $(@D) && cc -O2 -shared -fPIC -std=gnu99 -Wall -Wextra -Werror $< -o $@

# Made twice, to be compared.
$(natmods) $(again): build/%/_wscore.mpy: $(wildcard modwebsocket/wscore/*) $(tree) \
		build/venv/.made-test | packages-test
	$(call mpy_make,-C $(@D) -f $(CURDIR)/modwebsocket/wscore/Makefile MPY_DIR=$(MPY) \
		ARCH=$(notdir $*) PYTHON=$(PYTHON) $(cross))

# A compiler for the ESP32's processors, made of Debian packages, see there.
xtensawin := $(CACHE)/xtensawin
$(xtensawin): | packages-build
	@tools/xtensawin/toolchain.sh $@

# MicroPython asks for picolibc where it is, which makes no difference but of the headers.
bare := PICOLIBC_SPECS=picolibc.specs
newlib := CFLAGS_EXTRA="-isystem /usr/include/newlib" $(bare)
build/natmod/arm% build/natmod-again/arm% build/natmod/rv% build/natmod-again/rv%: \
	cross := $(newlib)
build/natmod/xtensawin/% build/natmod-again/xtensawin/%: \
	cross := $(newlib) CROSS=$(xtensawin)/bin/xtensa-esp32-elf-

build/qemu/xtensawin/%: cross := CROSS_COMPILE=$(xtensawin)/bin/xtensa-esp32-elf-
build/qemu/%/firmware.elf: ports/qemu/%/mpconfigboard.mk $(tree) $(MPY_CROSS) \
		build/micropython-lib/README.md | packages-natmod
	@rm -rf $(@D)   # MicroPython's makefile does not see that options have changed
	$(call mpy_make,-C $(MPY)/ports/qemu BOARD=$* BOARD_DIR=$(CURDIR)/ports/qemu/$* \
		BUILD=$(CURDIR)/$(@D) FROZEN_MANIFEST= MICROPY_HEAP_SIZE=204800 $(bare) $(cross) \
		MICROPY_MPYCROSS=$(CURDIR)/$(MPY_CROSS) MPY_LIB_DIR=$(BUILD)/micropython-lib)
build/qemu/xtensawin/firmware.elf: $(wildcard ports/qemu/xtensawin/*)
build/qemu/armv7emsp/firmware.elf: $(wildcard ports/qemu/armv7emsp/*)

$(filter-out %/x64/_wscore.mpy %/xtensa/_wscore.mpy,$(natmods) $(again)): | packages-natmod
$(filter %/xtensawin/_wscore.mpy,$(natmods) $(again)) build/qemu/xtensawin/firmware.elf: \
	| $(xtensawin)

$(fuzzers_c): build/fuzz/%: tests/fuzz/%.c $(wildcard tests/fuzz/*.h tests/core/*.h) \
		$(wildcard modwebsocket/wscore/*.[ch]) | packages-fuzz
	@echo building $@; mkdir -p $(@D) && clang-14 -std=c99 -Wall -Wextra -Werror -O1 -g \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-Imodwebsocket/wscore -Itests/core $< modwebsocket/wscore/wscore.c -o $@

build/fuzz/micropython/fuzz: $(wildcard modwebsocket/*.py modwebsocket/wscore/*) \
		$(wildcard ports/fuzz/* tests/fuzz/*.py tests/fuzz/*.h) \
		$(tree) $(MPY_CROSS) build/micropython-lib/README.md | packages-fuzz
	$(call mpy_make,-C ports/fuzz CC=clang-14 BUILD=$(CURDIR)/$(@D) MPY_DIR=$(MPY) \
		USER_C_MODULES=$(CURDIR)/modwebsocket \
		MICROPY_MPYCROSS=$(CURDIR)/$(MPY_CROSS) MPY_LIB_DIR=$(BUILD)/micropython-lib)

# It looks at the name by which it is called.
$(fuzzers_python): build/fuzz/micropython/fuzz
	@ln -sf micropython/fuzz $@
