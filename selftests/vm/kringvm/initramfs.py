# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The guest's file system: busybox, some kernel modules, and what a test adds."""

import gzip
import lzma
import os
import shutil
import struct
import subprocess
import tempfile

from .kernel import Kernel, depmod

ET_EXEC, ET_DYN = 2, 3
INIT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'init')
COMPRESSED = {'.xz': lzma.open, '.gz': gzip.open}


class InitramfsError(Exception):
    pass


def build_initramfs(output: str, kernel: Kernel, modules=(), files=None) -> str:
    """Writes an initramfs (cpio newc, not compressed: unpacking is what is slow in a guest).

    modules: names of in-tree modules, or paths of .ko files of our own; both come with what they
    depend on, under /lib/modules/VERSION, for the guest to modprobe in whatever order it likes.
    files: {guest path: host path, or bytes}; ELF programs come with their libraries.
    """
    with tempfile.TemporaryDirectory(prefix='kringvm-') as root:
        for name in ('bin', 'dev', 'etc', 'proc', 'root', 'run', 'sys', 'tmp'):
            os.mkdir(os.path.join(root, name))
        shutil.copy(INIT, os.path.join(root, 'init'))
        _add_busybox(root)
        _add_modules(root, kernel, modules)
        for guest, host in (files or {}).items():
            _add_file(root, guest, host)
        with open(output, 'wb') as archive:
            subprocess.run('find . -print0 | sort -z | '
                           'cpio --null --create --format=newc --owner=0:0 --quiet',
                           shell=True, check=True, cwd=root, stdout=archive,
                           stdin=subprocess.DEVNULL)
    return output


def _add_busybox(root: str) -> None:
    busybox = shutil.which('busybox')
    if not busybox or _libraries(busybox):
        raise InitramfsError('no statically linked busybox (Debian: busybox-static)')
    shutil.copy(busybox, os.path.join(root, 'bin/busybox'))
    applets = subprocess.run([busybox, '--list'], check=True, capture_output=True, text=True)
    for applet in applets.stdout.split():
        if applet != 'busybox':
            os.symlink('busybox', os.path.join(root, 'bin', applet))


def _add_modules(root: str, kernel: Kernel, modules) -> None:
    target = os.path.join(root, 'lib/modules', kernel.version)
    os.makedirs(target)
    paths, builtin = _in_tree(kernel)
    for module in modules:
        if module.endswith('.ko'):
            _add_module(module, os.path.join(target, 'extra', os.path.basename(module)))
            wanted = _depends(module)
        else:
            wanted = [module]
        for name in (wanted_name.replace('-', '_') for wanted_name in wanted):
            if name in paths:
                for path in paths[name]:
                    _add_module(os.path.join(kernel.modules_dir, path), os.path.join(target, path))
            # What another module of our own provides is not in the tree: depmod will tell.
            elif name not in builtin and not module.endswith('.ko'):
                raise InitramfsError(f'kernel {kernel.version} has no module {name}')
    for name in ('modules.order', 'modules.builtin', 'modules.builtin.modinfo'):
        if os.path.exists(os.path.join(kernel.modules_dir, name)):
            shutil.copy(os.path.join(kernel.modules_dir, name), target)
    subprocess.run([depmod(), '-b', root, kernel.version], check=True, stdin=subprocess.DEVNULL)


def _in_tree(kernel: Kernel):
    """({module: [its path, the paths of what it needs]}, {built-in modules})"""
    paths = {}
    with open(os.path.join(kernel.modules_dir, 'modules.dep')) as file:
        for line in file:
            path, needs = line.rstrip('\n').split(':')
            paths[_module_name(path)] = [path] + needs.split()
    with open(os.path.join(kernel.modules_dir, 'modules.builtin')) as file:
        return paths, {_module_name(line.strip()) for line in file}


def _module_name(path: str) -> str:
    return os.path.basename(path).split('.')[0].replace('-', '_')


def _depends(module: str) -> list:
    modinfo = shutil.which('modinfo') or '/usr/sbin/modinfo'
    result = subprocess.run([modinfo, '-F', 'depends', module], check=True, capture_output=True,
                            text=True, stdin=subprocess.DEVNULL)
    return [name for name in result.stdout.strip().split(',') if name]


def _add_module(source: str, target: str) -> None:
    # Unpacked, because busybox may not know the compression.
    base, suffix = os.path.splitext(target)
    if suffix in COMPRESSED:
        target = base
    elif suffix != '.ko':
        raise InitramfsError(f'{source}: unknown compression')
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with COMPRESSED.get(suffix, open)(source, 'rb') as packed, open(target, 'wb') as unpacked:
        shutil.copyfileobj(packed, unpacked)


def _add_file(root: str, guest: str, host) -> None:
    target = os.path.join(root, guest.lstrip('/'))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if isinstance(host, bytes):
        with open(target, 'wb') as file:
            file.write(host)
        os.chmod(target, 0o755)
    elif os.path.isdir(host):
        shutil.copytree(host, target, symlinks=True, dirs_exist_ok=True)
    else:
        if os.path.islink(target):
            os.unlink(target)   # replaces an applet of busybox, not busybox itself
        shutil.copy(host, target)
        for library in _libraries(host):
            if not os.path.exists(root + library):
                _add_file(root, library, library)


def _libraries(path: str) -> list:
    """The shared libraries and the loader of a dynamically linked ELF program."""
    with open(path, 'rb') as file:
        head = file.read(20)
    if head[:4] != b'\x7fELF' or struct.unpack_from('<H', head, 16)[0] not in (ET_EXEC, ET_DYN):
        return []
    result = subprocess.run(['ldd', path], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL)
    if 'not found' in result.stdout:
        raise InitramfsError(f'{path}: {result.stdout.strip()}')
    words = (line.split() for line in result.stdout.splitlines())
    return [word for line in words for word in line if word.startswith('/')]
