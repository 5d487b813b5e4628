// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tracepoints: what trace.h declares.
 */
#define CREATE_TRACE_POINTS
#include "trace.h"
