#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Who sleeps on /dev/kring is woken by each of the ways there are, with all others taken away: a
kick, the host's end that connects, the VM's fork, the slow timer. Also when it fell asleep before a
snapshot, of which there are several children."""

import contextlib
import os
import re
import signal
import sys
import tempfile
import time

import rig
from hand import Bell, Hand
from kringvm import VM, Tap

TAKERS = ['read', 'poll', 'select', 'epoll', 'epoll-et', 'uring', 'uring-async', 'uring-poll']
WRITERS = ['write', 'poll-out', 'epoll-out', 'uring-write']
WATCHERS = ['pri', 'epoll-pri', 'pri-out']
WAYS = TAKERS + WRITERS + WATCHERS

RESCUE_MS = 100
SLACK_MS = 3000         # for a machine that has other things to do
QUIET = 0.7             # of nobody waking, in seconds

TIMER = '/sys/module/kring/parameters/rescue_ms'
NAME = 'test'

# Without it each restore is a fork, which the guest is told of.
SAME_VM = ('-set', 'device.vmgenid.guid=6f9d9a40-4f0e-4a4e-9d6b-0d2f3c1c9b57')


def satisfy(path: str, ways=None) -> None:
    """What all sleepers wait for, or those of some ways. Kicks nobody."""
    hand = Hand(path)
    wanted = set(ways or WAYS)
    hand.send(len(wanted & set(TAKERS)))
    hand.take()
    if wanted & set(WATCHERS):
        hand.next_generation()


def region(vm: VM) -> str:
    return vm.devices['kring-region'].path


def uptime(vm: VM) -> float:
    """The guest's clock, in ms."""
    return float(vm.run('cut -d" " -f1 /proc/uptime')) * 1000


def set_timer(vm: VM, ms: int) -> None:
    vm.run(f'echo {ms} >{TIMER}')


def woken(program) -> dict:
    """When each of those who woke did, by the guest's clock."""
    return {name: int(ms) for name, ms in re.findall(r'^(\S+) (\d+)$', program.output(), re.M)}


def quiet(tap, program, name: str) -> None:
    time.sleep(QUIET)
    tap.equal(woken(program), {}, name)


def check_woken(tap, vm: VM, program, since: float, name: str, ways=None, limit=None) -> None:
    """All wake, and soon enough where that can be told."""
    deadline = time.monotonic() + 10
    while len(found := woken(program)) < len(ways or WAYS) and time.monotonic() < deadline:
        time.sleep(0.05)
    late = {way: round(at - since) for way, at in sorted(found.items(), key=lambda item: item[1])}
    tap.ok(sorted(found) == sorted(ways or WAYS) and max(late.values()) < (limit or 10000),
           f'{name}: all wake', f'asleep: {set(ways or WAYS) - set(found)}; woken after ms: {late}')
    tap.diag(f'{name}: ms at most: ' + ', '.join(f'{way} {ms}' for way, ms in late.items()))


def rescued(vm: VM) -> int:
    return rig.counters(vm)['wakeups_rescued']


@contextlib.contextmanager
def machine(directory: str, port: bool = True, args=()):
    """A VM with a region, kring loaded, and its timer switched off."""
    vm = VM(**rig.guest(directory), extra_args=args)
    if port:
        rig.add_kring(vm, NAME)
    else:
        path = os.path.join(vm.workdir, 'kring')
        vm.add_region(path, rig.create(path, '--name', NAME), id='kring-region')
    with vm:
        vm.run(rig.LOAD)
        vm.run(rig.PAIRED if port else 'until [ -e /dev/kring ]; do sleep 0.05; done')
        set_timer(vm, 0)
        yield vm


def asleep(vm: VM, *ways: str):
    """Sleepers that have fallen asleep."""
    program = vm.spawn(' '.join(('sleepers', *ways)))
    count = len(ways or WAYS) + 1
    mine = f'$2 == "(sleepers)" && $3 == "S" && $6 == {program.pid}'
    vm.run(f"until [ $(cat /proc/[0-9]*/stat 2>/dev/null | awk '{mine}' | wc -l) -ge {count} ]\n"
           'do sleep 0.05; done; sleep 0.3')
    if program.output():
        raise AssertionError(f'not asleep: {program.output()}')
    return program


def check_edges(tap, vm: VM) -> None:
    """An edge-triggered epoll beside others. Its results are ours."""
    host = rig.HostEnd(region(vm), vm.devices['kring-port'].socket,
                       os.path.join(vm.workdir, 'echo.log'), echo=True)
    program = vm.spawn('edges')
    status = program.wait(60)
    host.kill()
    for line in program.output().splitlines():
        if result := re.match(r'(not )?ok \d+ - (.*)', line):
            tap.ok(not result[1], f'edges: {result[2]}', program.output())
    tap.equal(status, 0, 'edges: the guest\'s program')


def check_alone(tap, vm: VM) -> None:
    """Each way by itself, so that nobody else's wake-up hides that there is none."""
    with Bell(vm) as bell:
        for way in WAYS:
            program = asleep(vm, way)
            satisfy(region(vm), [way])
            since = uptime(vm)
            bell.ring()
            check_woken(tap, vm, program, since, f'a kick, {way} alone', [way])
            program.wait()


def waiting(vm: VM, call: str):
    """A kdev that waits, and another on the same file that reads when it is told."""
    program = vm.spawn(f"""
rm -f /tmp/go
exec 3<>/dev/kring
kdev - {call} <&3 &
until [ -e /tmp/go ]; do usleep 10000; done
kdev - read <&3
wait""")
    vm.run('until grep -q "State:.S" /proc/$(pidof kdev)/status; do usleep 50000; done; sleep 0.3')
    return program


def lines_of(program, count: int) -> list:
    """That many lines of output, if they come, in any order."""
    deadline = time.monotonic() + 10
    while len(lines := program.output().splitlines()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return sorted(lines)


def check_look(tap, vm: VM) -> None:
    """Another look finds the new generation first."""
    program = waiting(vm, 'wait')
    Hand(region(vm)).next_generation()
    vm.run('touch /tmp/go')
    tap.equal(lines_of(program, 2), ['poll: PRI', 'read: EAGAIN'],
              'a read that finds a new generation wakes who waits for one')
    program.kill(9)
    program.wait()


def check_announced(tap, vm: VM) -> None:
    """A kick is lost, and another takes the frame: who still sleeps announces it anew."""
    hand = Hand(region(vm))
    program = waiting(vm, 'wait-in')
    hand.send(1)
    vm.run('touch /tmp/go')
    tap.equal(lines_of(program, 1), ['read: 16'], 'a kick is lost, another reader takes the frame')
    vm.run('sleep 0.3')
    tap.ok(hand.wants_data(), 'who still sleeps has set want_data again')
    hand.send(1)
    with Bell(vm):
        tap.equal(program.wait(10), 0, 'and the next wakes')
    vm.run('kdev r read')


def check_counted(tap, vm: VM) -> None:
    """Who was woken and does not come, the timer does not count."""
    set_timer(vm, RESCUE_MS)
    with Bell(vm) as bell:
        program = asleep(vm, 'epoll-et')
        program.kill(signal.SIGSTOP)
        was = rescued(vm)
        Hand(region(vm)).send(1)
        bell.ring()
        vm.run('sleep 1')
        # A kick that is a moment late may look lost to the timer.
        tap.ok(rescued(vm) - was <= 1, 'a program that was woken and is stopped is not rescued',
               rescued(vm) - was)
        since = uptime(vm)
        program.kill(signal.SIGCONT)
        check_woken(tap, vm, program, since, 'stopped, and continued', ['epoll-et'])
        program.wait()
    set_timer(vm, 0)


def check_timer(tap, vm: VM) -> None:
    """No kicks. A timer that was off, or slow, when they fell asleep."""
    for before in (0, 3600000):
        set_timer(vm, before)
        program = asleep(vm)
        satisfy(region(vm))
        quiet(tap, program, f'rescue_ms {before}: nobody wakes')
        was, since = rescued(vm), uptime(vm)
        set_timer(vm, RESCUE_MS)
        check_woken(tap, vm, program, since, f'rescue_ms {before}, then {RESCUE_MS}',
                    limit=RESCUE_MS + SLACK_MS)
        program.wait()
        tap.ok(rescued(vm) - was >= 2, 'and each direction is counted', rescued(vm) - was)
        Hand(region(vm)).take()
    set_timer(vm, 0)


def check_timer_generation(tap, vm: VM) -> None:
    """A frame that nobody takes, so that nobody waits for a kick: a new generation is seen."""
    set_timer(vm, RESCUE_MS)
    Hand(region(vm)).send(1)
    for way in WATCHERS:
        name = f'the timer alone, a new generation alone, {way} alone'
        program = asleep(vm, way)
        was, since = rescued(vm), uptime(vm)
        Hand(region(vm)).next_generation()
        check_woken(tap, vm, program, since, name, [way], limit=RESCUE_MS + SLACK_MS)
        program.wait()
        tap.equal(rescued(vm) - was, 1, f'{name}: is counted once')
    tap.equal(vm.run('kdev r read').strip(), 'read: 16', 'the frame is still there')
    set_timer(vm, 0)


def check_fork(tap, snapshot, program, since: float) -> None:
    """Nobody connects, and no timer runs."""
    with VM.restore(snapshot, clone=False, prepare=satisfy) as vm:
        check_woken(tap, vm, program.on(vm), since, 'vmgenid alone')
        tap.equal(rescued(vm), 0, 'vmgenid alone: the timer was not needed')


def check_host(tap, snapshot, program, since: float, name: str) -> str:
    """A child with an identity of its own, and a new host process. The child's uuid."""
    with VM.restore(snapshot, fork=True) as vm:
        host = rig.HostEnd(region(vm), vm.devices['kring-port'].socket,
                           os.path.join(vm.workdir, 'echo.log'), echo=True)
        program = program.on(vm)
        check_woken(tap, vm, program, since, name)
        tap.equal(rescued(vm), 0, f'{name}: the timer was not needed')
        program.wait()
        told = re.findall('generation (.*) uuid (.*)', program.output())
        stat = rig.stat(region(vm))
        # It may have asked before the host process made another generation.
        tap.ok(len(told) == 1 and stat['generation'] - int(told[0][0]) in (0, 1) and
               told[0][1] == stat['uuid'].replace('-', ''),
               f'{name}: KRING_IOC_INFO tells generation and uuid', f'{told} {stat}')
        host.kill()
        return stat['uuid']


def check_connect(tap, snapshot, program) -> None:
    with VM.restore(snapshot, clone=False, prepare=satisfy) as vm:
        program = program.on(vm)
        quiet(tap, program, 'the same VM, nobody connects, no timer: nobody wakes')
        since = uptime(vm)
        with Bell(vm):
            check_woken(tap, vm, program, since, 'PORT_OPEN alone')


def check_kick(tap, snapshot, program) -> None:
    with VM.restore(snapshot, clone=False) as vm, Bell(vm) as bell:
        program = program.on(vm)
        vm.run('sleep 0.5')
        satisfy(region(vm))
        quiet(tap, program, 'connected before, no timer: nobody wakes')
        since = uptime(vm)
        bell.ring()
        check_woken(tap, vm, program, since, 'a kick alone')


def check_restored_timer(tap, snapshot, program, since: float) -> None:
    with VM.restore(snapshot, clone=False, prepare=satisfy) as vm:
        check_woken(tap, vm, program.on(vm), since, 'no doorbell, the timer alone')
        tap.ok(rescued(vm) >= 2, 'no doorbell, the timer alone: and each direction is counted',
               rescued(vm))


def snapshot_asleep(vm: VM, directory: str):
    """A snapshot of sleepers, and the guest's clock just before."""
    program = asleep(vm)
    since = uptime(vm)
    snapshot = vm.snapshot(directory)
    vm.kill()
    return snapshot, program, since


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        with machine(directory) as vm:
            check_edges(tap, vm)
            check_alone(tap, vm)
            check_look(tap, vm)
            check_announced(tap, vm)
            snapshot, program, since = snapshot_asleep(vm, os.path.join(directory, 'forks'))
        check_fork(tap, snapshot, program, since)
        uuids = {check_host(tap, snapshot, program, since, f'a new host process, {child} child')
                 for child in ('first', 'second')}
        uuids.add(rig.stat(snapshot.region('kring-region'))['uuid'])
        tap.equal(len(uuids), 3, 'two children and their parent have three uuids')

        with machine(directory, args=SAME_VM) as vm:
            check_counted(tap, vm)
            snapshot, program, _ = snapshot_asleep(vm, os.path.join(directory, 'same'))
        check_connect(tap, snapshot, program)
        check_kick(tap, snapshot, program)

        with machine(directory, port=False, args=SAME_VM) as vm:
            check_timer(tap, vm)
            check_timer_generation(tap, vm)
            set_timer(vm, RESCUE_MS)
            snapshot, program, since = snapshot_asleep(vm, os.path.join(directory, 'alone'))
        check_restored_timer(tap, snapshot, program, since)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
