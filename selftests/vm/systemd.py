# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A guest with systemd, in which kringd is installed as a package would do it."""

import os

import agent
import rig
from kringvm import VM, Kernel, build_initramfs, debian
from kringvm.initramfs import INIT

HERE = os.path.dirname(os.path.abspath(__file__))
DAEMON = os.path.join(rig.TOP, 'daemon')

# The harness's own way in, which works before and beside kringd: no part of what is tested.
CHANNEL = b'''[Unit]
Description=Commands of the test
DefaultDependencies=no
After=systemd-remount-fs.service
[Service]
ExecStart=/bin/sh -c 'mkdir -p /run/kringvm && mkfifo /run/kringvm/done; exec 5<>/dev/ttyS1; \\
  setsid sh /usr/lib/kringvm/init send 5>&- & exec setsid -w sh /usr/lib/kringvm/init serve'
StandardOutput=null
KillMode=process
[Install]
WantedBy=sysinit.target
'''

# What systemd waits at the end for programs that do not end, so that it is seen if it does.
STOP_SECONDS = 90
DEFAULTS = f'''[Manager]
DefaultTimeoutStopSec={STOP_SECONDS}
'''.encode()


def _files(config: str) -> dict:
    return {
        '/usr/sbin/kringd': agent.KRINGD,
        '/usr/lib/systemd/system/kringd.service': os.path.join(DAEMON, 'kringd.service'),
        '/usr/lib/systemd/system/kringd.socket': os.path.join(DAEMON, 'kringd.socket'),
        '/usr/lib/udev/rules.d/60-kring.rules': os.path.join(DAEMON, '60-kring.rules'),
        '/etc/modules-load.d/kring.conf': b'kring\n',
        '/etc/kring/kringd.conf': config.encode(),
        '/etc/hostname': b'kringvm\n',
        '/etc/systemd/system.conf.d/kringvm.conf': DEFAULTS,
        '/etc/systemd/system/kringvm.service': CHANNEL,
        '/usr/lib/kringvm/init': INIT,
    }


def vm(directory: str, image: str, config: str = '', **options) -> VM:
    """It may raise debian.DebianError."""
    kernel = Kernel.find()
    module = os.path.join(rig.BUILD, f'module-{kernel.version}', 'kmod', 'kring.ko')
    if not os.path.exists(module):
        raise SystemExit(f'{module} is not there: run "make module"')
    initramfs = build_initramfs(
        os.path.join(directory, 'initramfs'), kernel,
        [*rig.MODULES, 'virtio_blk', 'crc32c_generic', 'ext4', 'overlay', module],
        {'/init': os.path.join(HERE, 'systemd-init'),
         **{f'/overlay{path}': what for path, what in _files(config).items()}})
    return VM(kernel, initramfs, memory='512M', extra_args=[
        '-drive', f'if=none,id=root,format=raw,readonly=on,file={image}',
        '-device', 'virtio-blk-pci,drive=root,addr=3'], **options)
