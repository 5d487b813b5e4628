#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""AMRB regions: kring.ko and the tool against an implementation that is not ours."""

import os
import random
import subprocess
import sys
import tempfile
import time

import amrb
import rig
from kringvm import VM, Tap

SECONDS = 60


def exchange(host: amrb.End, lengths, rng) -> str:
    """Sends frames to an echo and compares what comes back; '' when all is well."""
    sent = []
    back = 0
    pending = [rng.randbytes(n) for n in lengths]
    deadline = time.monotonic() + SECONDS
    while back < len(lengths):
        idle = True
        if pending and host.send(pending[0]):
            sent.append(pending.pop(0))
            idle = False
        if (frame := host.receive()) is not None:
            if frame != sent[back]:
                return f'frame {back}: {len(frame)} bytes for {len(sent[back])}'
            back += 1
            idle = False
        if idle:
            if time.monotonic() > deadline:
                return f'{back} of {len(lengths)} frames came back'
            host.wait()
    return ''


def check_guest(tap, vm, path: str, port, rng) -> None:
    """The guest's driver sends each frame back."""
    tap.equal(vm.run('cd /sys/class/kring/kring && cat format name doorbell generation').split(),
              ['amrb', 'amrb', 'vport', '0'], 'the guest takes the region and the port kring.amrb')
    tap.equal(vm.run('kdev r mmap').strip(), 'mmap: EOPNOTSUPP', 'which has no parts to map')
    host = amrb.End(path, port.socket)
    half = host.size // 2 - 4
    for name, lengths in (
            ('all lengths from 1 to 64', list(range(1, 65)) * 4),
            ('random lengths, over the end and past 2^32', [rng.randint(1, 3000)
                                                            for _ in range(500)]),
            ('the largest that always fit', [half, half, 1, half, half - 1, 2, half])):
        program = vm.spawn(f'traffic-guest --echo {len(lengths)}')
        problem = exchange(host, lengths, rng)
        tap.ok(not problem, f'guest: {name}', problem)
        tap.equal(program.wait(20), 0, f'guest: {name}: all of them')

    reader = vm.spawn('head -c 1 /dev/kring')
    vm.run('sleep 0.3')
    host.skip()
    vm.run('sleep 0.5')
    tap.ok(host.taken(), 'guest: a reader that sleeps gives the room of a skip alone back')
    reader.kill(9)
    host.close()


def through_cat(path: str, text: bytes, frame: int):
    """Sends a text through kring cat to a guest that is not ours and sends it back; what the guest
    got, in what sizes, and what came back."""
    guest = amrb.End(path, sends='g2h')
    with tempfile.TemporaryFile() as source:
        source.write(text)
        source.seek(0)
        cat = subprocess.Popen([rig.TOOL, 'cat', '--region', path, '--frame', str(frame)],
                               stdin=source, stdout=subprocess.PIPE)
    os.set_blocking(cat.stdout.fileno(), False)
    frames, back, echo = [], bytearray(), None
    deadline = time.monotonic() + SECONDS
    while len(back) < len(text) and time.monotonic() < deadline:
        echo = echo or guest.receive()
        if echo and guest.send(echo):
            frames.append(echo)
            echo = None
        try:
            back += os.read(cat.stdout.fileno(), 1 << 20)
        except BlockingIOError:
            time.sleep(0.001)
    cat.terminate()
    cat.wait()
    guest.close()
    return b''.join(frames), {len(frame) for frame in frames}, bytes(back)


def check_tool(tap, directory: str, rng) -> None:
    """kring stat, and kring cat as the host's end."""
    small, large = os.path.join(directory, 'small'), os.path.join(directory, 'large')
    amrb.make(small, 4096, cursor=0xfffffff0)
    stat = rig.stat(small)
    tap.equal((stat['format'], stat['region_size'], stat['h2g']['size'], stat['g2h']['offset'],
               stat['h2g']['head']), ('amrb', 192 + 8192, 4096, 128, 0xfffffff0), 'kring stat')
    text = rng.randbytes(200000)
    heard, _, back = through_cat(small, text, 777)
    tap.ok(heard == text and back == text, 'kring cat, rings of 4 KiB',
           f'{len(heard)} bytes there, {len(back)} back')
    amrb.make(large, 64 << 20, cursor=0xff000000)
    text = rng.randbytes((40 << 20) + 1)
    heard, sizes, back = through_cat(large, text, 16 << 20)
    tap.ok(heard == text and back == text and 16 << 20 in sizes,
           'kring cat, rings of 64 MiB, frames of 16 MiB',
           f'{len(heard)} bytes there in {sizes}, {len(back)} back')
    run = subprocess.run([rig.TOOL, 'cat', '--region', large, '--frame', str((16 << 20) + 1)],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True)
    tap.ok(run.returncode == 1 and 'the largest that fits is 16777216' in run.stderr,
           'a byte more is refused', run.stderr)


def main() -> int:
    rng = random.Random(4)
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**rig.guest(directory))
        path = os.path.join(vm.workdir, 'region')
        size = amrb.make(path, 1 << 16, cursor=0xffff8001, file_size=1 << 20)
        vm.add_region(path, size)
        port = vm.add_port('kring.amrb')
        with vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            check_guest(tap, vm, path, port, rng)
        check_tool(tap, directory, rng)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
