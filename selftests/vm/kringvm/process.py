# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Host processes that never outlive the test that started them."""

import concurrent.futures
import ctypes
import os
import signal
import subprocess

PR_SET_PDEATHSIG = 1

_prctl = ctypes.CDLL(None, use_errno=True).prctl

# The kernel sends PDEATHSIG when the *thread* that forked ends, so all processes are started
# by one thread that lives as long as the interpreter.
_launcher = concurrent.futures.ThreadPoolExecutor(1, 'kringvm-launcher')


def popen(argv: list, **options) -> subprocess.Popen:
    """subprocess.Popen() of a process that is killed when this one ends, however it ends."""
    parent = os.getpid()

    def die_with_parent():
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    options.setdefault('stdin', subprocess.DEVNULL)
    return _launcher.submit(subprocess.Popen, argv, preexec_fn=die_with_parent,
                            **options).result()
