# SPDX-License-Identifier: GPL-2.0-only OR MIT
HOST_SRCS := \
	host/cmd_cat.c \
	host/cmd_create.c \
	host/cmd_stat.c \
	host/main.c \
	host/number.c \
	host/option.c
HOST_HDRS := host/tool.h
