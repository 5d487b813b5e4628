#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The guest's file services, each by itself, and hosts that do not keep to the rules."""

import errno
import os
import shutil
import stat
import sys

from guest import Guest, Tap, wait_for
from wire import ACCEPT, CLOSE, CONTROL, DATA, RESET, Wire, error, message, number, parse


def path(name: str, *more) -> bytes:
    return message((1, name), *more)


def check_stat(tap, wire, folder) -> None:
    name = os.path.join(folder, 'file')
    with open(name, 'wb') as file:
        file.write(b'12345')
    os.symlink('file', os.path.join(folder, 'link'))
    st = os.stat(name)
    info = wire.call('stat', path(name))
    tap.equal((info[1], info[2], info[3], info[6], info[8], info[10]),
              (name.encode(), 1, stat.S_IMODE(st.st_mode), 5, st.st_mtime_ns, st.st_ino),
              'stat: a file')
    info = wire.call('stat', path(os.path.join(folder, 'link')))
    tap.equal((info[2], info[9]), (3, b'file'), 'stat: a symlink')
    info = wire.call('stat', path(os.path.join(folder, 'link'), (2, 1)))
    tap.equal(info[2], 1, 'stat: what it points to')
    tap.equal(wire.call('stat', path(folder.lstrip('/')))[2], 2, 'a relative path begins at /')
    for bad, code in ((b'', errno.ENOENT), (b'/a\0b', errno.EINVAL),
                      (b'/' + b'x' * 5000, errno.ENAMETOOLONG),
                      (os.path.join(folder, 'nope').encode(), errno.ENOENT)):
        tap.equal(wire.call('stat', path(bad))[0], code, f'stat {bad[:12]!r}: refused')


def check_list(tap, wire, folder) -> None:
    many = os.path.join(folder, 'many')
    os.mkdir(many)
    names = {f'{i:05}-{"x" * 200}' for i in range(5000)}
    for name in names:
        open(os.path.join(many, name), 'wb').close()
    stream = wire.open('list', path(many))
    data = b''
    while True:
        kind, payload = wire.wait(stream, (CONTROL, CLOSE, RESET))
        if kind != CONTROL:
            break
        data += payload
    wire.frame(CLOSE, stream)
    have, at = set(), 0
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], 'little')
        have.add(parse(data[at + 4:at + 4 + size])[1].decode())
        at += 4 + size
    tap.ok(kind == CLOSE and have == names, 'list: 5000 entries', (kind, len(have)))
    tap.equal(wire.call('list', path(os.path.join(folder, 'file')))[0], errno.ENOTDIR,
              'list: of a file')
    # What nobody takes must not make it wait for ever, or cost memory.
    stalled = wire.open('list', path(many))
    wire.wait(stalled, ACCEPT)
    wire.frame(RESET, stalled)
    tap.equal(wire.call('stat', path(folder))[2], 2, 'list: a reader that goes away')


def check_directories(tap, wire, folder) -> None:
    new = os.path.join(folder, 'a', 'b', 'c')
    attributes = message((1, number(0o2751)), (4, number(10 ** 18)))
    tap.equal(wire.call('mkdir', path(new))[0], errno.ENOENT, 'mkdir: no parent')
    tap.equal(wire.call('mkdir', path(new, (2, attributes), (3, 1))), {}, 'mkdir: all of it')
    st = os.stat(new)
    tap.equal((oct(stat.S_IMODE(st.st_mode)), st.st_mtime_ns), ('0o2751', 10 ** 18),
              'mkdir: its attributes')
    tap.equal(wire.call('mkdir', path(new, (3, 1))), {}, 'mkdir: it may be there')
    tap.equal(wire.call('mkdir', path(new))[0], errno.EEXIST, 'mkdir: unless not')
    tap.equal(wire.call('mkdir', path(os.path.join(folder, 'file'), (3, 1)))[0], errno.EEXIST,
              'mkdir: a file is in the way')
    tap.equal(wire.call('attributes', path(new, (2, message((1, number(0o700)))))), {},
              'attributes: mode')
    tap.equal(oct(stat.S_IMODE(os.stat(new).st_mode)), '0o700', 'attributes: it is set')
    bad = message((1, number(0o170000)))
    tap.equal(wire.call('attributes', path(new, (2, bad)))[:2], (errno.EINVAL, 'mode'),
              'attributes: no mode')


def check_names(tap, wire, folder) -> None:
    a, b = os.path.join(folder, 'r1'), os.path.join(folder, 'r2')
    for name in (a, b):
        with open(name, 'w', encoding='ascii') as file:
            file.write(name)
    tap.equal(wire.call('rename', path(a, (2, b), (3, 1)))[0], errno.EEXIST,
              'rename: not over another')
    tap.equal(wire.call('rename', path(a, (2, b))), {}, 'rename: over another')
    tap.ok(not os.path.exists(a) and os.path.exists(b), 'rename: done')
    tap.equal(wire.call('symlink', path(a, (2, '../x'))), {}, 'symlink')
    tap.equal(os.readlink(a), '../x', 'symlink: its target')
    tap.equal(wire.call('symlink', path(a, (2, 'y')))[0], errno.EEXIST, 'symlink: is there')
    tap.equal(wire.call('remove', path(a)), {}, 'remove: the symlink')
    tap.ok(not os.path.lexists(a), 'remove: it is gone')


def check_remove(tap, wire, folder) -> None:
    tree, outside = os.path.join(folder, 'tree'), os.path.join(folder, 'outside')
    os.mkdir(outside)
    open(os.path.join(outside, 'keep'), 'wb').close()
    for i in range(2000):
        os.makedirs(f'{tree}/{i % 10}/{i % 7}', exist_ok=True)
        open(f'{tree}/{i % 10}/{i % 7}/{i}', 'wb').close()
    os.symlink(outside, os.path.join(tree, 'link'))
    tap.equal(wire.call('remove', path(tree))[0], errno.EISDIR, 'remove: -r is needed')
    tap.equal(wire.call('remove', path(tree, (2, 1))), {}, 'remove: a tree')
    tap.ok(not os.path.exists(tree), 'remove: it is gone')
    tap.equal(os.listdir(outside), ['keep'], 'remove: symlinks are not followed')
    # Far deeper than there may be open files.
    at = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir('deep', dir_fd=at)
        down = os.open('deep', os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = down
    os.close(at)
    tap.equal(wire.call('remove', path(os.path.join(folder, 'deep'), (2, 1))), {},
              'remove: 3000 directories deep')
    for bad, code in (('/', errno.EBUSY), ('/..', errno.EINVAL), (folder + '/.', errno.EINVAL),
                      (folder + '/nope', errno.ENOENT)):
        tap.equal(wire.call('remove', path(bad, (2, 1)))[0], code, f'remove {bad[-5:]}: refused')


def extent(offset: int, length: int) -> bytes:
    return message((1, offset), (2, length))


def check_put(tap, wire, folder) -> None:
    target = os.path.join(folder, 'put')
    # Bytes before it is known where they go to, and extents before there are any.
    stream = wire.open('put', path(target, (3, 100)))
    wire.data(stream, b'abc')
    wire.control(stream, extent(10, 2))
    wire.control(stream, extent(50, 4))
    wire.data(stream, b'def')
    wire.eof(stream)
    kind, payload = wire.wait(stream, (CLOSE, RESET))
    wire.frame(CLOSE, stream)
    tap.ok(kind == CLOSE, 'put: two extents', payload)
    with open(target, 'rb') as file:
        tap.equal(file.read(), bytes(10) + b'ab' + bytes(38) + b'cdef' + bytes(46),
                  'put: each where it belongs')
    for name, extents, data in (('backwards', ((10, 2), (0, 2)), b'abcd'),
                                ('empty', ((10, 0),), b''),
                                ('beyond any file', ((1 << 63, 2),), b'ab'),
                                ('endless', ((10, (1 << 64) - 2),), b'ab'),
                                ('cut off', ((10, 5),), b'ab')):
        stream = wire.open('put', path(os.path.join(folder, 'bad')))
        for one in extents:
            wire.control(stream, extent(*one))
        wire.data(stream, data)
        wire.eof(stream)
        kind, payload = wire.wait(stream, (CLOSE, RESET))
        tap.ok(kind == RESET and error(payload)[0] == errno.EPROTO, f'put: extent {name}',
               payload)
    tap.ok(not os.path.exists(os.path.join(folder, 'bad')), 'put: no such file is made')
    for token in ('../x', 'a' * 65, 'a/b', 'ä'):
        result = wire.call('put', path(os.path.join(folder, 'bad'), (4, token)))
        tap.equal(result[0], errno.EINVAL, f'put: token {token[:8]!r} is refused')
    tap.equal(wire.call('put', path(target, (5, 1)))[0], errno.EEXIST, 'put: no_replace')
    tap.equal(wire.call('put', path(folder))[0], errno.EISDIR, 'put: a directory')
    os.symlink('/etc/passwd', os.path.join(folder, '.kring-planted.part'))
    stream = wire.open('put', path(os.path.join(folder, 'planted'), (4, 'planted')))
    kind, payload = wire.wait(stream, (ACCEPT, RESET))
    tap.ok(kind == ACCEPT and
           not os.path.islink(os.path.join(folder, '.kring-planted.part')),
           'put: a symlink in place of the temporary file is not followed', payload)
    tap.equal(wire.call('put', path(os.path.join(folder, 'planted'), (4, 'planted')))[0],
              errno.EBUSY, 'put: one transfer for each token')
    wire.frame(RESET, stream)


def check_get(tap, wire, folder) -> None:
    name = os.path.join(folder, 'get')
    with open(name, 'wb') as file:
        file.write(b'0123456789')
    stream = wire.open('get', path(name, (2, 3), (3, 4)))
    tap.equal(wire.read(stream, 100), b'3456', 'get: a part')
    wire.frame(CLOSE, stream)
    tap.equal(wire.call('get', path(name, (2, 11)))[0], errno.EINVAL, 'get: beyond the end')
    tap.equal(wire.call('get', path('/dev/zero'))[0], errno.EINVAL, 'get: a device')
    tap.equal(wire.call('get', path(folder))[0], errno.EISDIR, 'get: a directory')
    # Truncated while the reader takes nothing.
    with open(name, 'wb') as file:
        file.truncate(64 << 20)
        for i in range(64):
            os.pwrite(file.fileno(), b'x' * (1 << 20), i << 20)
    stream = wire.open('get', path(name))
    wire.wait(stream, DATA)
    os.truncate(name, 20 << 20)
    kind, payload = wire.wait(stream, (CLOSE, RESET))
    tap.ok(kind == RESET and error(payload)[0] == errno.EIO and 'shrank' in error(payload)[2],
           'get: a file that shrinks', payload)


def main() -> int:
    with Tap() as tap, Guest() as guest:
        folder = os.path.join(guest.dir, 'files')
        os.mkdir(folder)
        before = guest.fds()
        with Wire.connect(guest.socket) as wire:
            for check in (check_stat, check_list, check_directories, check_names, check_remove,
                          check_put, check_get):
                check(tap, wire, folder)
        tap.ok(wait_for(lambda: guest.fds() <= before), 'no file is left open',
               (before, guest.fds()))
        tap.equal(guest.stop(), 0, 'kringd ends in order')
        shutil.rmtree(guest.dir, ignore_errors=True)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
