# SPDX-License-Identifier: GPL-2.0-only OR MIT
LIB_REGION_SRCS := \
	lib/clone.c \
	lib/create.c \
	lib/doorbell.c \
	lib/error.c \
	lib/fence.c \
	lib/host.c \
	lib/owner.c \
	lib/random.c \
	lib/region.c \
	lib/stat.c \
	lib/temp.c \
	lib/timer.c
LIB_STREAM_SRCS := \
	lib/attributes.c \
	lib/extents.c \
	lib/hello.c \
	lib/message.c \
	lib/mux.c \
	lib/part.c \
	lib/queue.c \
	lib/quiesce.c \
	lib/restored.c \
	lib/resume.c \
	lib/resume_message.c \
	lib/stream.c \
	lib/stream_in.c \
	lib/stream_out.c
LIB_DEVICE_SRCS := \
	lib/device.c \
	lib/device_copied.c \
	lib/device_mapped.c
LIB_SRCS := $(LIB_REGION_SRCS) $(LIB_STREAM_SRCS) $(LIB_DEVICE_SRCS)
