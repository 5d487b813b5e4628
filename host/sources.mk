# SPDX-License-Identifier: GPL-2.0-only OR MIT
HOST_SRCS := $(wildcard host/*.c)
