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
KRING_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Iuapi -Ilib $(WARN) $(CFLAGS)
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	    -fno-omit-frame-pointer

include lib/sources.mk
include host/sources.mk
-include selftests/unit/sources.mk
include selftests/traffic/sources.mk

HEADERS	:= $(wildcard uapi/*/*.h lib/*.h host/*.h selftests/*/*.h)

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
.PHONY: deps-build deps-demo deps-check
deps-build deps-demo deps-check:
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
# Library, host tool
#
$(BUILD)/lib/libkring.a: $(LIB_SRCS:%.c=$(BUILD)/obj/%.o)
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/kring: $(HOST_SRCS:%.c=$(BUILD)/obj/%.o) $(BUILD)/lib/libkring.a
	$(CC) $(KRING_CFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/obj/%.o: %.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) -c -o $@ $<

.PHONY: tools
tools: $(BUILD)/kring ## Build libkring and the kring tool

#
# Tests
#
$(BUILD)/tests/traffic-host: $(TRAFFIC_HOST_SRCS:%.c=$(BUILD)/obj/%.o) $(BUILD)/lib/libkring.a
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) $(LDFLAGS) -o $@ $^

# Static: it runs in a guest that has no libraries.
$(BUILD)/tests/traffic-guest: $(TRAFFIC_GUEST_SRCS:%.c=$(BUILD)/obj/%.o)
	@mkdir -p $(@D)
	$(CC) $(KRING_CFLAGS) $(LDFLAGS) -static -o $@ $^

.PHONY: tests
tests: $(BUILD)/tests/traffic-host $(BUILD)/tests/traffic-guest
