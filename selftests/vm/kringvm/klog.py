# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What in a kernel log means that something is wrong."""

import re

# Case matters: 'BUG:' is a report, '[Firmware Bug]:' and 'DEBUG:' are not.
REPORTS = re.compile('|'.join((
    r'\bWARNING:',
    r'\bBUG:',
    r'\bkernel BUG at\b',
    r'\bOops\b',
    r'\bKernel panic\b',
    r'\bgeneral protection\b',
    r'\bCall [Tt]race\b',
    r'\bpossible (circular|recursive) locking\b',
    r'\bpossible irq lock inversion\b',
    r'\bINFO: (possible|trying to register|suspicious|task|rcu)',
    r'\binconsistent lock state\b',
    r'\bsuspicious RCU\b',
    r'\bbad unlock balance\b',
    r'\bKASAN:',
    r'\bKCSAN:',
    r'\bUBSAN:',
    r'\bKFENCE:',
    r'\bkmemleak: .*new suspected',
    r'\bhung task\b',
    r'\bblocked for more than \d+ seconds',
    r'\brcu: INFO',
    r'\bsoft lockup\b',
    r'\bhard LOCKUP\b',
    r'\b(detected stalls on|self-detected stall)\b',
    r'\brefcount_t: ',
    r'\blist_(add|del) corruption',
)))

# What a healthy kernel says of the CPU it runs on, and of its own parameters.
HARMLESS = re.compile('|'.join((
    r'\b(Spectre V2|RETBleed|Retbleed|MMIO Stale Data|SRSO|ITS|TAA|GDS|TSA|VMSCAPE)\s*: .*WARNING:',
    r'\bWARNING: Spectre v2 mitigation leaves CPU vulnerable',
    r'Kernel command line: ',
    r'\bKCSAN: (enabled|could not|non-strict|strict)',
    r'\bhung task (detection|panic)',
)))


def findings(log: str, allow=()) -> list[str]:
    """The offending lines of a kernel log; `allow` are patterns of reports that a test expects."""
    return [line.strip() for line in log.splitlines()
            if REPORTS.search(line) and not HARMLESS.search(line)
            and not any(re.search(pattern, line) for pattern in allow)]
