# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# All output goes to build/. "make help" lists the targets.

BUILD	:= build
TOP	:= $(CURDIR)

# The kernel to build for, and to boot in the tests: the running one where its headers
# are installed, else the newest that has some.
KERNELS	:= $(patsubst /lib/modules/%/build,%,$(wildcard /lib/modules/*/build))
KVER	?= $(or $(filter $(shell uname -r),$(KERNELS)),\
	   $(lastword $(shell printf '%s\n' $(KERNELS) | sort -V)))
KDIR	?= /lib/modules/$(KVER)/build
W	?= 1

CC	?= cc
CFLAGS	?= -O2 -g
WARN	:= -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes
GEN	:= $(BUILD)/gen
KRING_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Iuapi -Ilib -Iselftests -I$(GEN) $(WARN) $(CFLAGS)
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	    -fno-omit-frame-pointer

include lib/sources.mk
include host/sources.mk
include daemon/sources.mk
-include selftests/unit/sources.mk
include selftests/traffic/sources.mk

HEADERS	:= $(wildcard uapi/*/*.h lib/*.h host/*.h daemon/*.h selftests/*/*.h)

.PHONY: all
all: module tools tests ## Build everything

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

.PHONY: clean
clean: ## Remove build/
	rm -rf $(BUILD)

#
# What the targets need of the system
#
.PHONY: deps-build deps-demo deps-compare deps-check deps-fuzz deps-proof deps-sanitize
deps-build deps-demo deps-compare deps-check deps-fuzz deps-proof deps-sanitize:
	@selftests/setup $(@:deps-%=%)

#
# The kernel module. Kbuild writes beside its sources, so it gets a tree of links.
#
MODULE	:= $(BUILD)/module-$(KVER)
MODULE_LINKS := $(patsubst %,$(MODULE)/%,$(wildcard Kbuild kmod/Kbuild kmod/*.[ch] uapi/*/*.h))

$(MODULE_LINKS): $(MODULE)/%: %
	@mkdir -p $(@D)
	@ln -sfn $(TOP)/$< $@

$(MODULE)/kmod/kring.ko: $(MODULE_LINKS)
	@test -d "$(KDIR)" || { echo "no kernel headers: run 'make deps-build' as root" >&2; false; }
	$(MAKE) -C $(KDIR) M=$(TOP)/$(MODULE) W=$(W) $(if $(C),C=$(C)) modules

.PHONY: module
module: $(MODULE)/kmod/kring.ko ## Build kring.ko for the kernel KVER

#
# Library, host tool, guest agent
#
AGENT_C	:= $(GEN)/kring/agent.pb-c.c
AGENT_O	:= $(BUILD)/obj/agent.pb-c.o

$(AGENT_C) $(GEN)/kring/agent.pb-c.h &: uapi/kring/agent.proto
	@mkdir -p $(GEN)
	protoc-c --c_out=$(GEN) --proto_path=uapi kring/agent.proto

# Not ours to mend.
$(AGENT_O): $(AGENT_C)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -I$(GEN) $(CFLAGS) -c -o $@ $<

$(BUILD)/lib/libkring.a: $(LIB_SRCS:%.c=$(BUILD)/obj/%.o) $(AGENT_O)
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/kring: $(HOST_SRCS:%.c=$(BUILD)/obj/%.o) $(BUILD)/lib/libkring.a
	$(CC) $(KRING_CFLAGS) $(LDFLAGS) -o $@ $^ -lprotobuf-c -lsystemd

DAEMON_OBJS := $(DAEMON_SRCS:%.c=$(BUILD)/obj/%.o) $(BUILD)/lib/libkring.a

$(BUILD)/kringd: $(DAEMON_OBJS)
	$(CC) $(KRING_CFLAGS) $(LDFLAGS) -o $@ $^ -lprotobuf-c -luring -ludev

# For guests that have neither systemd nor udev, nor libraries.
$(BUILD)/kringd-static: $(DAEMON_SRCS) $(LIB_SRCS) $(AGENT_C) $(HEADERS)
	$(CC) -std=gnu11 -D_GNU_SOURCE -DKRINGD_STATIC -Iuapi -Ilib -I$(GEN) $(WARN) -Os \
		-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
		-Wl,--gc-sections -s $(LDFLAGS) -static \
		-o $@ $(DAEMON_SRCS) $(LIB_SRCS) $(AGENT_C) -lprotobuf-c -luring

$(BUILD)/obj/%.o: %.c $(HEADERS) | $(GEN)/kring/agent.pb-c.h
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) -c -o $@ $<

.PHONY: tools
tools: $(BUILD)/kring ## Build libkring and the kring tool

.PHONY: daemon
daemon: $(BUILD)/kringd $(BUILD)/kringd-static ## Build kringd, the guest's agent

#
# Tests
#
$(BUILD)/tests/traffic-host: $(TRAFFIC_HOST_SRCS:%.c=$(BUILD)/obj/%.o) $(BUILD)/lib/libkring.a
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) $(LDFLAGS) -o $@ $^

# Static: they run in a guest that has no libraries.
GUEST_PROGRAMS := $(addprefix $(BUILD)/tests/,traffic-guest bench device edges eventfds failnth frames hammer \
		  kdev mapped mapping pings sleepers waiters workers)

$(BUILD)/tests/traffic-guest: $(TRAFFIC_GUEST_SRCS:%.c=$(BUILD)/obj/%.o)
$(BUILD)/tests/bench: $(BUILD)/obj/selftests/device/bench.o $(BUILD)/lib/libkring.a
$(BUILD)/tests/device: $(BUILD)/obj/selftests/device/device.o $(BUILD)/lib/libkring.a
$(BUILD)/tests/edges: $(BUILD)/obj/selftests/device/edges.o
$(BUILD)/tests/eventfds: $(BUILD)/obj/selftests/device/eventfds.o
$(BUILD)/tests/failnth: $(BUILD)/obj/selftests/sanitize/failnth.o
$(BUILD)/tests/frames: $(BUILD)/obj/selftests/device/frames.o
$(BUILD)/tests/hammer: $(BUILD)/obj/selftests/device/hammer.o
$(BUILD)/tests/kdev: $(BUILD)/obj/selftests/device/kdev.o
$(BUILD)/tests/mapped: $(BUILD)/obj/selftests/device/mapped.o
$(BUILD)/tests/mapping: $(BUILD)/obj/selftests/device/mapping.o
$(BUILD)/tests/pings: $(BUILD)/obj/selftests/device/pings.o
$(BUILD)/tests/sleepers: $(BUILD)/obj/selftests/device/sleepers.o
$(BUILD)/tests/waiters: $(BUILD)/obj/selftests/device/waiters.o
$(BUILD)/tests/workers: $(BUILD)/obj/selftests/device/workers.o
$(BUILD)/tests/bench $(BUILD)/tests/sleepers $(BUILD)/tests/workers: GUEST_LIBS := -luring
$(GUEST_PROGRAMS):
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) $(LDFLAGS) -static -o $@ $^ $(GUEST_LIBS)

# Static as well. Their harness is the kernel's: not for those who lack its source package.
KSELFTESTS := $(BUILD)/kselftest/built

$(KSELFTESTS): selftests/Makefile $(wildcard selftests/kselftest/*) $(HEADERS)
	$(MAKE) -C selftests all BUILD=$(TOP)/$(BUILD) LDFLAGS=-static
	@touch $@

# The guest's end of a region on this machine, so that a broker can be tested without a VM.
$(BUILD)/tests/guest_bridge: $(BUILD)/obj/selftests/agent/guest_bridge.o
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) $(LDFLAGS) -o $@ $^

.PHONY: tests
tests: $(BUILD)/tests/traffic-host $(BUILD)/tests/guest_bridge $(GUEST_PROGRAMS)

# The unit tests, each once as users compile it and once under the sanitizers.
UNIT_NAMES := $(notdir $(UNIT_TESTS:.c=))
UNIT_PLAIN := $(UNIT_NAMES:%=$(BUILD)/unit/%)
UNIT_SANITIZED := $(UNIT_NAMES:%=$(BUILD)/unit/%-sanitized)
UNIT_DEPS := $(LIB_SRCS) $(HEADERS) $(AGENT_O)

$(UNIT_PLAIN) $(BUILD)/unit/fake_guest: $(BUILD)/unit/%: selftests/unit/%.c $(UNIT_DEPS)
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) -pthread -o $@ $< $(LIB_SRCS) $(AGENT_O) -lprotobuf-c

$(UNIT_SANITIZED): $(BUILD)/unit/%-sanitized: selftests/unit/%.c $(UNIT_DEPS)
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) $(SANITIZE) -pthread -o $@ $< $(LIB_SRCS) $(AGENT_O) -lprotobuf-c

# Two threads over one ring, for the orders that x86 keeps by itself.
$(BUILD)/unit/exchange-tsan: selftests/fuzz/exchange.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) -fsanitize=thread -pthread -o $@ $<

# Every state of a small ring, whatever the peer does between any two loads.
$(BUILD)/unit/exhaustive: selftests/proof/exhaustive.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) $(SANITIZE) -o $@ $<

UNIT := $(UNIT_PLAIN) $(UNIT_SANITIZED) $(BUILD)/unit/exchange-tsan $(BUILD)/unit/exhaustive
AGENT_TESTS := $(sort $(wildcard selftests/agent/test_*.py))
PROOFS := selftests/proof/cocci selftests/proof/eva selftests/proof/wp selftests/model/run selftests/litmus/run
VM_TESTS := $(sort $(wildcard selftests/vm/test_*.py))
RUN := KRING_BUILD=$(TOP)/$(BUILD) KRING_KERNEL_VERSION=$(KVER) KRING=$(TOP)/$(BUILD)/kring \
       FAKE_GUEST=$(TOP)/$(BUILD)/unit/fake_guest KRINGD=$(TOP)/$(BUILD)/kringd \
       GUEST_BRIDGE=$(TOP)/$(BUILD)/tests/guest_bridge selftests/run

.PHONY: unit
unit: $(UNIT) $(BUILD)/unit/fake_guest tools ## Run the tests that need no VM
	$(RUN) $(UNIT) $(UNIT_SCRIPTS)

.PHONY: agent
agent: tools daemon tests ## Run the tests of kringd and kring, without a VM
	$(RUN) $(if $(K),-k '$(K)') $(AGENT_TESTS)

.PHONY: model
model: ## Check the model of kicks in all its configurations
	@$(MAKE) -s deps-proof
	selftests/model/run full

.PHONY: litmus
litmus: ## Run the litmus tests of the barriers, where herd7 is installed
	KRING_BUILD=$(TOP)/$(BUILD) selftests/litmus/run

# Hours: one proof for each size of ring in each format.
.PHONY: prove
prove: ## Prove the ring with Frama-C, for all its sizes
	@$(MAKE) -s deps-proof
	KRING_BUILD=$(TOP)/$(BUILD) selftests/proof/eva
	KRING_BUILD=$(TOP)/$(BUILD) selftests/proof/wp --planted
	KRING_BUILD=$(TOP)/$(BUILD) selftests/proof/wp full

.PHONY: vm
vm: module tools daemon tests ## Run the tests in a VM (K=PATTERN: those whose name matches)
	$(RUN) $(if $(K),-k '$(K)') $(VM_TESTS)

.PHONY: bench
bench: ## How fast read and write, io_uring and a mapping are in the guest
	@$(MAKE) -s deps-demo
	@$(MAKE) -s module tools tests
	@KRING_BUILD=$(TOP)/$(BUILD) KRING_KERNEL_VERSION=$(KVER) selftests/vm/bench.py

.PHONY: kselftest
kselftest: ## Run the kselftests in a VM, over kring_loop
	@$(MAKE) -s deps-check
	@$(MAKE) -s $(KSELFTESTS)
	@$(MAKE) -s vm K=test_kselftest

# Longer than a check should take.
.PHONY: fuzz
SECONDS ?= 60
fuzz: ## Fuzz all that parses what a peer sends, SECONDS=60 each; and find planted bugs
	@$(MAKE) -s deps-fuzz
	@$(MAKE) -s $(AGENT_C)
	KRING_BUILD=$(TOP)/$(BUILD) selftests/fuzz/run $(SECONDS)
	KRING_BUILD=$(TOP)/$(BUILD) selftests/fuzz/run --planted

.PHONY: sanitize
sanitize: tools tests $(KSELFTESTS) ## kring.ko on kernels that watch: KASAN, lockdep, kmemleak, KCSAN ...
	@$(MAKE) -s deps-sanitize
	@KRING_BUILD=$(TOP)/$(BUILD) selftests/sanitize/sanitize.py

.PHONY: mutants
mutants: ## Break the headers in one place after the other, and see the tests notice
	LIB_REGION_SRCS="$(LIB_REGION_SRCS)" selftests/mutants/run

.PHONY: coverage
coverage: ## Lines and branches of the headers and the library that the unit tests reach
	LIB_REGION_SRCS="$(LIB_REGION_SRCS)" selftests/mutants/coverage

.PHONY: style
style: ## Run the style and static checks
	$(RUN) selftests/style

# Everything has been asked for by the first two, so that the kernel's headers are there
# before make looks for them.
.PHONY: check
check: ## Run all tests; sets up what they need
	@$(MAKE) -s deps-check
	@$(MAKE) -s -j$$(nproc) check-built
	@$(MAKE) -s check-all

.PHONY: check-built
check-built: all daemon $(KSELFTESTS) $(UNIT) $(BUILD)/unit/fake_guest

.PHONY: check-all
check-all: check-built
	@$(RUN) -t 600 selftests/style $(PROOFS) $(UNIT) $(UNIT_SCRIPTS) $(AGENT_TESTS) $(VM_TESTS)

.PHONY: demo
demo: ## Show the main job on a real VM; sets up what it needs
	@$(MAKE) -s deps-demo
	@$(MAKE) -s demo-built

.PHONY: demo-built
demo-built: module tools daemon tests
	@KRING_BUILD=$(TOP)/$(BUILD) KRING_KERNEL_VERSION=$(KVER) selftests/vm/demo.py

COMPARE_SRCS := $(wildcard selftests/compare/*.c)

$(BUILD)/tests/talk: $(COMPARE_SRCS:%.c=$(BUILD)/obj/%.o)
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) $(LDFLAGS) -static -o $@ $^

.PHONY: compare
compare: ## One conversation over kring, a console port, SSH and vsock, through a snapshot
	@$(MAKE) -s deps-compare
	@$(MAKE) -s compare-built

# The measure itself comes first.
.PHONY: compare-built
compare-built: module tools daemon tests $(BUILD)/tests/talk
	@$(RUN) selftests/compare/test_account.py
	@KRING_BUILD=$(TOP)/$(BUILD) KRING_KERNEL_VERSION=$(KVER) selftests/compare/compare.py

# What may happen to a VM and its host, at random, ROUNDS times; SEED repeats a run.
ROUNDS	?= 200
.PHONY: torture
torture: ## Faults of all kinds under traffic; ROUNDS=N, SEED=N
	@$(MAKE) -s deps-demo
	@$(MAKE) -s torture-built

.PHONY: torture-built
torture-built: module tools daemon tests
	@KRING_BUILD=$(TOP)/$(BUILD) KRING_KERNEL_VERSION=$(KVER) selftests/vm/torture.py \
		--rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))
