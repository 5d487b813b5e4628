# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The guest's kernel: the one that modules are built for here, be its image installed or not."""

import dataclasses
import fcntl
import glob
import os
import re
import shutil
import subprocess
import tempfile

from . import vmlinux


class KernelError(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Kernel:
    version: str        # as uname -r prints it
    image: str          # vmlinux, or vmlinuz
    modules_dir: str    # .../lib/modules/VERSION

    @classmethod
    def find(cls, version: str | None = None) -> 'Kernel':
        """KRING_KERNEL_VERSION or the newest with build headers. KRING_KERNEL_ROOT is where
        it is, instead of /; KRING_KERNEL_DOWNLOAD=1 ignores an installed image,
        KRING_KERNEL_PACKED=1 boots vmlinuz as it is."""
        version = version or os.environ.get('KRING_KERNEL_VERSION') or newest_with_headers()
        if os.environ.get('KRING_KERNEL_ROOT'):
            return _at(os.environ['KRING_KERNEL_ROOT'], version)
        root = '/' if not os.environ.get('KRING_KERNEL_DOWNLOAD') else None
        if root is None or not _complete(_at(root, version)):
            root = _download(version)
        kernel = _at(root, version)
        if not os.environ.get('KRING_KERNEL_PACKED'):
            # Named by its root: an installed and a downloaded kernel may differ.
            name = f'vmlinux-{version}' + ('' if root == '/' else '-downloaded')
            image = vmlinux.unpacked(kernel.image, os.path.join(cache_directory(), name))
            kernel = dataclasses.replace(kernel, image=image or kernel.image)
        return kernel


def newest_with_headers() -> str:
    versions = {path.split('/')[3] for path in glob.glob('/lib/modules/*/build/Makefile')}
    versions |= {path.split('/')[3].removeprefix('linux-headers-')
                 for path in glob.glob('/usr/src/linux-headers-*-amd64/Makefile')}
    if not versions:
        raise KernelError('no kernel headers are installed (linux-headers-amd64): '
                          'KRING_KERNEL_VERSION chooses a kernel without')
    return max(versions, key=_order)


def _order(version: str) -> list:
    return [(1, int(part), '') if part.isdigit() else (0, 0, part)
            for part in re.findall(r'\d+|[a-z]+', version)]


def cache_directory() -> str:
    return os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'kring')


def _at(root: str, version: str) -> Kernel:
    return Kernel(version, os.path.join(root, f'boot/vmlinuz-{version}'),
                  os.path.join(root, f'lib/modules/{version}'))


def _complete(kernel: Kernel) -> bool:
    return (os.access(kernel.image, os.R_OK)
            and os.path.isdir(os.path.join(kernel.modules_dir, 'kernel'))
            and os.path.exists(os.path.join(kernel.modules_dir, 'modules.dep')))


def _download(version: str) -> str:
    """Unpacks Debian's image package into the user's cache; no root needed. Returns its root."""
    cache = cache_directory()
    root = os.path.join(cache, f'linux-image-{version}')
    os.makedirs(cache, exist_ok=True)
    with open(root + '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _complete(_at(root, version)):
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                _unpack(_fetch(version, scratch), os.path.join(scratch, 'root'), version)
                shutil.rmtree(root, ignore_errors=True)
                os.rename(os.path.join(scratch, 'root'), root)
    return root


def _fetch(version: str, directory: str) -> str:
    # The package that fits the headers exactly comes first; a mirror may only have a later one.
    name = f'linux-image-{version}'
    headers = subprocess.run(['dpkg-query', '-W', '-f', '${Version}', f'linux-headers-{version}'],
                             capture_output=True, text=True)
    wanted = [name, f'{name}-unsigned']
    if headers.returncode == 0 and headers.stdout:
        wanted.insert(0, f'{name}={headers.stdout}')
    errors = []
    for package in wanted:
        result = subprocess.run(
            ['apt-get', '-q', '-o', 'APT::Sandbox::User=', 'download', package], cwd=directory,
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
        found = glob.glob(os.path.join(directory, '*.deb'))
        if result.returncode == 0 and found:
            return found[0]
        errors.append(f'{package}: {result.stderr.strip()}')
    raise KernelError('cannot download the guest kernel:\n' + '\n'.join(errors))


def _unpack(package: str, root: str, version: str) -> None:
    for command in (['dpkg-deb', '-x', package, root],
                    [depmod(), '-b', root, version]):
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if result.returncode:
            raise KernelError(f'{" ".join(command)}: {result.stderr.strip()}')
    if not _complete(_at(root, version)):
        raise KernelError(f'{os.path.basename(package)} has no usable image of {version}')


def depmod() -> str:
    """depmod lives in sbin, which an ordinary user's PATH may lack."""
    return shutil.which('depmod') or '/usr/sbin/depmod'
