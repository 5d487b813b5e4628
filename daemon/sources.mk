# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# A file a line, so that each service brings its own.
DAEMON_SRCS := $(wildcard daemon/*.c)
