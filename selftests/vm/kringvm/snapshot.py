# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A VM at one moment: QEMU's state, its regions, and whatever files the caller adds."""

import dataclasses
import os
import subprocess

from .devices import Devices
from .kernel import Kernel

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
TOOL = os.path.join(os.environ.get('KRING_BUILD', os.path.join(TOP, 'build')), 'kring')


@dataclasses.dataclass
class Snapshot:
    directory: str
    kernel: Kernel
    initramfs: str
    memory: str
    args: list
    append: str
    devices: Devices
    region_paths: dict      # id -> the file the VM used, for a restore in place
    registers: dict         # PCI address of a region -> its configuration space
    milliseconds: dict = dataclasses.field(default_factory=dict)

    @property
    def state(self) -> str:
        return os.path.join(self.directory, 'state')

    def region(self, key: str) -> str:
        """The copy of a region."""
        return os.path.join(self.directory, f'{key}.region')

    def file(self, path: str) -> str:
        """The copy of an extra file, known by its base name."""
        return os.path.join(self.directory, 'files', os.path.basename(path))


def clone_region(source: str, target: str, fork: bool) -> None:
    """A region of kring's gets another generation; what else a test puts there is copied."""
    with open(source, 'rb') as file:
        start = file.read(8)
    if start[:4] == b'KRNG' or start[4:] == b'BRMA':
        subprocess.run([TOOL, 'clone', *(['--fork'] if fork else []), '--', source, target],
                       check=True, stdin=subprocess.DEVNULL)
    else:
        copy_file(source, target)


def copy_file(source: str, target: str) -> None:
    """Keeps holes, and shares blocks where the file system can."""
    subprocess.run(['cp', '--sparse=always', '--reflink=auto', '--', source, target], check=True,
                   stdin=subprocess.DEVNULL)
