# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Virtual machines for kring's tests."""

from .devices import Device, DeviceError
from .initramfs import InitramfsError, build_initramfs
from .kernel import Kernel, KernelError
from .klog import findings
from .process import popen
from .program import Program
from .qmp import QMP, QMPError
from .relay import G2H, H2G, Relay
from .snapshot import Snapshot
from .tap import Tap
from .vm import VM, VMError

__all__ = [
    'Device', 'DeviceError', 'G2H', 'H2G', 'InitramfsError', 'Kernel', 'KernelError', 'Program',
    'QMP', 'QMPError', 'Relay', 'Snapshot', 'Tap', 'VM', 'VMError', 'build_initramfs', 'findings',
    'popen',
]
