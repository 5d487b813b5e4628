#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the check of the kernel log finds, and what it must not find."""

import sys

from kringvm import Tap, findings

REPORTS = '''\
[    1.0] WARNING: CPU: 0 PID: 1 at kernel/fork.c:1 copy_process+0x1/0x2
[    1.0] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    1.0] BUG: sleeping function called from invalid context at mm/slab.h:1
[    1.0] BUG: KASAN: slab-out-of-bounds in ring_peek+0x1/0x2 [kring]
[    1.0] kernel BUG at lib/list_debug.c:26!
[    1.0] Oops: 0002 [#1] PREEMPT SMP
[    1.0] general protection fault, probably for non-canonical address 0xdead: 0000 [#1]
[    1.0] Call Trace:
[    1.0] WARNING: possible circular locking dependency detected
[    1.0] ======== possible recursive locking detected
[    1.0] INFO: possible irq lock inversion dependency detected
[    1.0] WARNING: inconsistent lock state
[    1.0] WARNING: suspicious RCU usage
[    1.0] UBSAN: array-index-out-of-bounds in drivers/x.c:1:2
[    1.0] BUG: KCSAN: data-race in a / b
[    1.0] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
[    1.0] INFO: task poweroff:250 blocked for more than 30 seconds.
[    1.0] rcu: INFO: rcu_preempt self-detected stall on CPU
[    1.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:1]
[    1.0] refcount_t: underflow; use-after-free.
[    1.0] Kernel panic - not syncing: Attempted to kill init!
'''

HARMLESS = '''\
[    0.0] Kernel command line: console=ttyS0 oops=panic panic=-1 BUG: WARNING:
[    0.0] [Firmware Bug]: TSC doesn't count with P0 frequency!
[    0.0] ACPI BIOS Warning (bug): 32/64X length mismatch in FADT/Gpe0Block
[    0.0] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on
[    0.0] RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable to RETBleed attacks
[    0.0] MDS CPU bug present and SMT on, data leak possible.
[    0.0] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
[    0.0] kasan: KernelAddressSanitizer initialized (generic)
[    0.0] kcsan: enabled early
[    0.0] kmemleak: Kernel memory leak detector initialized (mem pool available: 15000)
[    0.0] rcu: Hierarchical RCU implementation.
[    0.0] rcu: \tRCU calculated value of scheduler-enlistment delay is 25 jiffies.
[    0.0] Warning: unable to open an initial console.
[    1.0] kring: loading out-of-tree module taints kernel.
[    1.0] kring: module verification failed: signature and/or required key missing
[    1.0] clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable
[    1.0] random: crng reseeded due to virtual machine fork
[    1.0] DEBUG: nothing
'''


def main() -> int:
    with Tap() as tap:
        for line in REPORTS.splitlines():
            tap.equal(findings(line), [line], f'found: {line.split("] ", 1)[1][:50]}')
        tap.equal(findings(HARMLESS), [], 'harmless lines of a boot')
        tap.equal(len(findings(HARMLESS + REPORTS)), len(REPORTS.splitlines()), 'in a long log')
        tap.equal(findings(REPORTS, allow=['.']), [], 'reports that a test expects')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
