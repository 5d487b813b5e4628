# SPDX-License-Identifier: GPL-2.0-only OR MIT
TRAFFIC_GUEST_SRCS := selftests/traffic/traffic-guest.c selftests/traffic/pattern.c
TRAFFIC_HOST_SRCS := selftests/traffic/traffic-host.c selftests/traffic/pattern.c \
		     selftests/traffic/ledger.c
