# SPDX-License-Identifier: GPL-2.0-only OR MIT
LIB_SRCS := \
	lib/create.c \
	lib/doorbell.c \
	lib/error.c \
	lib/host.c \
	lib/owner.c \
	lib/region.c \
	lib/stat.c \
	lib/timer.c
LIB_HDRS := lib/internal.h lib/kring.h
