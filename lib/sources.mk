# SPDX-License-Identifier: GPL-2.0-only OR MIT
LIB_SRCS := \
	lib/attributes.c \
	lib/create.c \
	lib/doorbell.c \
	lib/error.c \
	lib/extents.c \
	lib/hello.c \
	lib/host.c \
	lib/message.c \
	lib/mux.c \
	lib/owner.c \
	lib/part.c \
	lib/queue.c \
	lib/region.c \
	lib/resume.c \
	lib/stat.c \
	lib/stream.c \
	lib/stream_in.c \
	lib/stream_out.c \
	lib/timer.c
