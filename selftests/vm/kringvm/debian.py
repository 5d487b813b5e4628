# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A small Debian with systemd, as the root of a guest: from the mirror that this machine's apt has,
and of its release, as the programs that are built here need its libraries; KRING_DEBIAN=NAME is
another one. An image in the user's cache, which guests only read."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile

from .kernel import cache_directory

# Beside what is essential: kringd's libraries are among them.
PACKAGES = ('kmod', 'libprotobuf-c1', 'libudev1', 'liburing2', 'systemd', 'systemd-sysv', 'udev')

# What a guest without a user, a bus and a network has no use for.
MASKED = ('systemd-logind.service', 'getty.target', 'getty@tty1.service',
          'serial-getty@ttyS0.service', 'timers.target')

UNWANTED = ('/usr/share/doc/*', '/usr/share/info/*', '/usr/share/locale/*', '/usr/share/man/*')

MEGABYTES = 512


class DebianError(Exception):
    """There is no image, and why."""


def image(timeout: float = 400) -> str:
    """The path of the image, which is made where there is none."""
    for tool in ('apt-get', 'mmdebstrap', 'mke2fs'):
        if not _find(tool):
            raise DebianError(f'{tool} is not installed')
    release = os.environ.get('KRING_DEBIAN') or _own_release()
    sources = _sources(release)
    cache = cache_directory()
    os.makedirs(cache, exist_ok=True)
    with open(__file__, 'rb') as file:
        key = hashlib.sha256(sources.encode() + file.read()).hexdigest()[:16]
    path = os.path.join(cache, f'debian-{release}-{key}.ext4')
    with open(os.path.join(cache, 'debian.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            _remove_others(cache, release)
            _build(path, release, sources, timeout)
    return path


def _find(tool: str) -> str | None:
    return shutil.which(tool) or shutil.which(tool, path='/usr/sbin:/sbin')


def _sources(release: str) -> str:
    """apt's own."""
    run = subprocess.run(
        ['apt-get', 'indextargets', '--format', '$(SITE) $(RELEASE) $(COMPONENT)',
         'Created-By: Packages'], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    own = _own_release()
    lines = {line.replace(own, release) for line in run.stdout.splitlines()
             if own in line and line.endswith(' main')}
    if run.returncode or not lines:
        raise DebianError(f'apt knows no mirror of {own}')
    return ''.join(f'deb {line}\n' for line in sorted(lines))


def _remove_others(cache: str, release: str) -> None:
    for name in os.listdir(cache):
        if name.startswith(f'debian-{release}-') and name.endswith('.ext4'):
            os.unlink(os.path.join(cache, name))


def _build(path: str, release: str, sources: str, timeout: float) -> None:
    with tempfile.TemporaryDirectory(prefix='debian-', dir=os.path.dirname(path)) as scratch:
        tar, tree, new = (os.path.join(scratch, name) for name in ('root.tar', 'tree', 'new'))
        mask = ' '.join(MASKED)
        _run(timeout, [
            _find('mmdebstrap'), '--quiet', '--variant=minbase', f'--include={",".join(PACKAGES)}',
            *(f'--dpkgopt=path-exclude={pattern}' for pattern in UNWANTED),
            f'--customize-hook=chroot "$1" systemctl mask {mask}',
            '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*',
            release, tar, '-'], sources)
        # Owners and devices are kept by pretending, where it is not root who does it.
        fake = [] if os.geteuid() == 0 else ['fakeroot']
        os.mkdir(tree)
        _run(timeout, [*fake, 'sh', '-ec', 'tar -C "$1" -xf "$2"; shift 2; exec "$@"', 'sh',
                       tree, tar, _find('mke2fs'), '-q', '-t', 'ext4', '-O', '^has_journal',
                       '-m', '0', '-d', tree, new, f'{MEGABYTES}M'])
        os.rename(new, path)


def _own_release() -> str:
    with open('/etc/os-release') as file:
        for line in file:
            name, _, value = line.strip().partition('=')
            if name == 'VERSION_CODENAME':
                return value
    raise DebianError('this is no Debian')


def _run(timeout: float, command: list, text: str = '') -> None:
    try:
        run = subprocess.run(command, input=text, text=True, timeout=timeout,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DebianError(str(error)) from None
    if run.returncode:
        raise DebianError(f'{os.path.basename(command[0])}: ' + run.stdout.strip()[-1000:])
