#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The main job, on a real VM: traffic both ways, a snapshot in the middle of it, both processes
killed, both replaced, and not a frame lost or doubled. Then what it is for: programs, a terminal,
files and connections of the guest's, as if it were a local machine."""

import argparse
import os
import sys
import tempfile
import time

import agent
import demo_agent
import rig
from kringvm import VM

FRAMES = 4000
DELAY_US = 500          # receivers that are slower than senders: the rings fill
IN_FLIGHT = 64 << 10    # bytes in each ring at the snapshot, at least


class Timeline:
    def __init__(self):
        self._start = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f'[{time.monotonic() - self._start:7.3f}] {text}', flush=True)


def wait_in_flight(region: str, least: int, timeout: float = 60) -> dict:
    """Traffic is under way, and both rings hold unread bytes."""
    deadline = time.monotonic() + timeout
    while True:
        stat = rig.stat(region)
        if min(stat['h2g']['in_flight'], stat['g2h']['in_flight']) >= least:
            return stat
        if time.monotonic() > deadline:
            raise SystemExit(f'demo: the rings do not fill: {stat}')
        time.sleep(0.02)


def wait_moved(region: str, before: dict, timeout: float = 60) -> None:
    """Both consumers have taken something since `before`."""
    deadline = time.monotonic() + timeout
    while True:
        now = rig.stat(region)
        if all(now[ring]['tail'] != before[ring]['tail'] for ring in ('h2g', 'g2h')):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f'demo: nothing moves: {now}')
        time.sleep(0.005)


def first_life(directory: str, say: Timeline, frames: int):
    vm = VM(**agent.guest(directory), memory='512M')
    region, port = rig.add_kring(vm, 'demo')
    ledger = os.path.join(vm.workdir, 'ledger')
    log = os.path.join(directory, 'host.log')
    with vm:
        say(f'booted Linux {vm.kernel.version} in {vm.boot_seconds:.1f} s')
        vm.run(rig.LOAD)
        vm.run(rig.PAIRED)
        say('kring.ko claimed the region and the port kring.demo: /dev/kring')

        host = rig.HostEnd(region, port.socket, log, ledger=ledger, send=frames, receive=frames,
                           delay=DELAY_US)
        program = vm.spawn(f'traffic-guest --send {frames} --receive {frames} --delay {DELAY_US}')
        say(f'traffic: {frames} checked frames each way')
        wait_in_flight(region, 4 * IN_FLIGHT)

        snapshot = vm.snapshot(os.path.join(directory, 'snapshot'), files=[ledger],
                               stopped=host.kill)
        # What the copy holds is what counts: nobody writes to it any more.
        stat = rig.stat(snapshot.region('kring-region'))
        say(f'snapshot in {snapshot.milliseconds["total"]:.0f} ms, with unread bytes in flight: '
            f'h2g {stat["h2g"]["in_flight"]}, g2h {stat["g2h"]["in_flight"]}')
        vm.kill()
        say('SIGKILL: the host process, and the VMM')
        vm.check_log()
    return snapshot, stat, program, ledger, log


def second_life(snapshot, stat, program, ledger, log, say: Timeline, frames: int):
    begin = time.monotonic()
    with VM.restore(snapshot) as vm:
        region = vm.devices['kring-region'].path
        host = rig.HostEnd(region, vm.devices['kring-port'].socket, log,
                           ledger=snapshot.file(ledger), send=frames, receive=frames,
                           delay=DELAY_US)
        wait_moved(region, stat)
        restore_ms = (time.monotonic() - begin) * 1000
        say(f'restored by a new VMM and a new host process: frames move after {restore_ms:.0f} ms')

        program = program.on(vm)
        status = host.wait(120), program.wait(120)
        output = program.output()
        host_numbers, guest_numbers = host.numbers(), rig.numbers(output)
        for line in (host.output() + output).splitlines():
            say(f'  {line}')
        counters = rig.counters(vm)
        say(f'  guest: kicks_sent={counters["kicks_sent"]} '
            f'kicks_received={counters["kicks_received"]} '
            f'wakeups_rescued={counters["wakeups_rescued"]}')
        shown, last = demo_agent.show(vm, region, vm.devices['kring-port'], say)
        last.shutdown()
    return shown, status, restore_ms, host_numbers, guest_numbers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=FRAMES, help='frames to send each way')
    frames = parser.parse_args().frames

    say = Timeline()
    with tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        snapshot, stat, *rest = first_life(directory, say, frames)
        shown, status, restore_ms, host, guest = second_life(snapshot, stat, *rest, say, frames)

    def total(name: str) -> int:
        return host[name] + guest[name]

    in_flight = stat['h2g']['in_flight'], stat['g2h']['in_flight']
    lost = total('sent') - total('received')
    good = (shown and status == (0, 0) and total('sent') == 2 * frames and
            lost == total('lost') == 0 and total('duplicated') == 0 and
            total('corrupt') == 0 and min(in_flight) >= IN_FLIGHT)
    if not good:
        say(f'failed: exit status of host and guest {status}, corrupt {total("corrupt")}'
            + ('' if shown else ', and not all was shown'))
    print(f'demo: sent={total("sent")} received={total("received")} '
          f'lost={max(lost, total("lost"))} duplicated={total("duplicated")} '
          f'inflight_h2g={in_flight[0]} inflight_g2h={in_flight[1]} '
          f'snapshot_ms={snapshot.milliseconds["total"]:.0f} restore_ms={restore_ms:.0f}')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
