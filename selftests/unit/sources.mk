# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Each of UNIT_TESTS and UNIT_HELPERS is a program of its own, linked with libkring and
# -pthread. UNIT_SCRIPTS want KRING and FAKE_GUEST in the environment.
UNIT_TESTS := \
	selftests/unit/batch.c \
	selftests/unit/host.c \
	selftests/unit/host_fence.c \
	selftests/unit/mux.c \
	selftests/unit/output_log.c \
	selftests/unit/quiesce.c \
	selftests/unit/region.c \
	selftests/unit/region_clone.c \
	selftests/unit/region_faults.c \
	selftests/unit/resume.c \
	selftests/unit/ring.c \
	selftests/unit/ring_hostile.c \
	selftests/unit/ring_threads.c \
	selftests/unit/session_record.c \
	selftests/unit/switch.c \
	selftests/unit/switch_resume.c
UNIT_HELPERS := selftests/unit/fake_guest.c
UNIT_SCRIPTS := selftests/unit/tool.sh
UNIT_HDRS := selftests/unit/faults.h selftests/unit/guest.h selftests/unit/random.h selftests/unit/scratch.h \
	selftests/unit/switch_ports.h
