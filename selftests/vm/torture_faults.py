# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What may happen to a machine. Each returns a word on what it did; talks that cannot live through
it are excused by it, and no others."""

import os
import shutil
import signal
import time

import rig
from torture_machine import leftovers

DRIVERS = '/sys/bus/virtio/drivers'
CHILDREN = 4


def excuse(talks, why: str) -> None:
    for talk in talks:
        talk.excused = talk.excused or why


def pause(machine, talks, random) -> str:
    seconds = random.uniform(0.1, 1.5)
    machine.vm.stop()
    time.sleep(seconds)
    machine.vm.cont()
    return f'paused for {seconds:.1f} s'


def restore(machine, talks, random) -> str:
    """Snapshot, SIGKILL of the VMM and perhaps of the broker, restore."""
    kill_at = random.choice(('stopped', 'copied', 'saved', 'never'))
    snapshot = machine.snapshot('snapshot', kill_at)
    machine.vm.kill()
    machine.take(machine.restored(snapshot))
    if not machine.broker:
        machine.start_broker()
    shutil.rmtree(snapshot.directory)
    return 'restored, ' + ('the broker lives on' if kill_at == 'never' else
                           f'another broker, killed when {kill_at}')


def fork(machine, talks, random) -> str:
    """Children of one snapshot; one of them goes on with the talks, the others by themselves."""
    snapshot = machine.snapshot('snapshot', random.choice(('stopped', 'saved')))
    machine.vm.kill()
    before = rig.stat(snapshot.region('kring-region'))
    for child in range(CHILDREN - 1):
        live_alone(machine, snapshot, before, child)
    machine.take(machine.restored(snapshot, fork=True))
    machine.start_broker()
    shutil.rmtree(snapshot.directory)
    return f'{CHILDREN} children'


def live_alone(machine, snapshot, before: dict, child: int) -> None:
    """A child whose host knows nothing of the talks: they end there, and it serves others."""
    vm = machine.restored(snapshot, fork=True, name='child')
    path = os.path.join(vm.workdir, 'broker.sock')
    env = dict(machine.env, KRING_SOCKET=path)
    broker = machine.new_broker(vm.devices['kring-region'].path,
                                vm.devices['kring-port'].socket, path, 0.5)
    try:
        machine.wait_agent(env=env)
        have = machine.run('exec', '--', 'sh', '-c', f'echo child; exit {child + 3}', env=env)
        if (have.returncode, have.stdout) != (child + 3, b'child\n'):
            raise AssertionError(f'child {child}: {have}')
        now = rig.stat(vm.devices['kring-region'].path)
        if now['uuid'] == before['uuid'] or now['generation'] <= before['generation']:
            raise AssertionError(f'child {child} is not a region of its own: {now}')
        generation = int(vm.run('cat /sys/class/kring/kring/generation'))
        if generation != now['generation']:
            raise AssertionError(f'child {child} knows generation {generation}: {now}')
        deadline = time.monotonic() + 30
        while leftovers(vm):
            if time.monotonic() > deadline:
                raise AssertionError(f'child {child}: programs of nobody go on')
            time.sleep(0.2)
        vm.check_log()
    finally:
        broker.kill()
        broker.wait()
        workdir = vm.workdir
        vm.close()
        shutil.rmtree(workdir, ignore_errors=True)


def kill_broker(machine, talks, random) -> str:
    seconds = random.choice((0, 0.05, 1.5))
    machine.kill_broker()
    time.sleep(seconds)
    machine.start_broker()
    return f'broker killed, started again after {seconds} s'


def kill_client(machine, talks, random) -> str:
    live = [talk for talk in talks if talk.process and not talk.over]
    if not live:
        return 'no client to kill'
    talk = random.choice(live)
    talk.kill()
    return f'the client of {talk.describe()}'


def kill_kringd(machine, talks, random) -> str:
    excuse(talks, 'kringd was killed')
    machine.vm.run('killall -9 kringd')
    return 'kringd killed'


def crash(machine, talks, random) -> str:
    excuse(talks, 'the VMM was killed')
    machine.crash()
    return 'VMM killed, booted again with the same region'


def stop_broker(machine, talks, random) -> str:
    seconds = random.uniform(0.5, 3)
    machine.broker.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    machine.broker.send_signal(signal.SIGCONT)
    return f'broker stopped for {seconds:.1f} s'


def stop_vmm(machine, talks, random) -> str:
    seconds = random.uniform(0.5, 3)
    os.kill(machine.vm.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(machine.vm.pid, signal.SIGCONT)
    return f'VMM stopped for {seconds:.1f} s'


def kicks(machine, talks, random) -> str:
    """Kicks get lost, come twice, late, and unasked for."""
    relay = machine.relay
    relay.drop_h2g = random.random()
    relay.drop_g2h = random.random()
    relay.double = random.random()
    relay.delay = random.choice((0, 0.01))
    relay.spurious_hz = random.choice((0, 200))
    time.sleep(1.5)
    text = f'{relay.drop_h2g:.0%} and {relay.drop_g2h:.0%} of kicks dropped'
    relay.drop_h2g = relay.drop_g2h = relay.double = relay.delay = relay.spurious_hz = 0
    return text


def close_doorbell(machine, talks, random) -> str:
    relay = machine.relay
    before = relay.connect_path
    relay.connect_path = machine.path('nowhere')
    relay.drop_connection()
    time.sleep(random.uniform(0, 1.5))
    relay.connect_path = before
    return 'doorbell closed'


def reload_module(machine, talks, random) -> str:
    """kringd loses its device, and finds it again."""
    machine.vm.run(f'''
        cd {DRIVERS}
        for device in kring_vport/virtio* kring_pmem/virtio*; do
            echo ${{device#*/}} >${{device%/*}}/unbind
        done
        n=0; until rmmod kring; do sleep 0.05; n=$((n + 1)); [ $n -lt 200 ] || exit 1; done
        {rig.LOAD}
        {rig.PAIRED}''', timeout=60)
    return 'module reloaded'


# With how often each is to come, of all.
FAULTS = ((pause, 2), (restore, 4), (fork, 1), (kill_broker, 4), (kill_client, 3), (kill_kringd, 1),
          (crash, 1), (stop_broker, 2), (stop_vmm, 2), (kicks, 3), (close_doorbell, 2),
          (reload_module, 2))


def choose(random):
    return random.choices([fault for fault, _ in FAULTS], [often for _, often in FAULTS])[0]
