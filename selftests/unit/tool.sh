#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The kring tool, as its user sees it.
#
# shellcheck disable=SC2181 # the command whose status is tested is too long for an if
#
#	KRING=path/to/kring FAKE_GUEST=path/to/fake_guest tool.sh

KRING=${KRING:-./kring}
FAKE_GUEST=${FAKE_GUEST:-./fake_guest}

for program in "$KRING" "$FAKE_GUEST"; do
	if [ ! -x "$program" ]; then
		echo "Bail out! $program is not there"
		exit 1
	fi
done

dir=$(mktemp -d) || exit 1
trap 'for p in $pids; do kill -9 "$p"; done 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
pids=
tests=0
failures=0

# result STATUS DESCRIPTION
result()
{
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
	else
		echo "not ok $tests - $2"
		failures=$((failures + 1))
		sed 's/^/# out: /' "$dir/out" 2>/dev/null | head -n 5
		sed 's/^/# err: /' "$dir/err" 2>/dev/null | head -n 5
	fi
}

# run ARGUMENT...: the tool, its output and status kept
run()
{
	timeout 20 "$KRING" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
}

# fails STATUS TEXT ARGUMENT...: TEXT is in what the tool says on stderr
fails()
{
	want=$1
	text=$2
	shift 2
	run "$@"
	[ "$status" -eq "$want" ] && grep -qF -- "$text" "$dir/err" && [ ! -s "$dir/out" ]
	result $? "exit $want, $text"
}

# works DESCRIPTION ARGUMENT...: and says nothing on stderr
works()
{
	description=$1
	shift
	run "$@"
	[ "$status" -eq 0 ] && [ ! -s "$dir/err" ]
	result $? "$description"
}

# soon COMMAND...: within some seconds it succeeds
soon()
{
	i=0
	until "$@" 2>/dev/null; do
		i=$((i + 1))
		[ $i -lt 500 ] || return 1
		sleep 0.01
	done
}

# start COMMAND...: in the background, its pid in $pid. The shell would give it /dev/null for
# stdin, so that takes a way round.
start()
{
	{ "$@" <&4 3>&- 4<&- & } 4<&0
	pid=$!
	pids="$pids $pid"
}

# new NAME [ARGUMENT...]: a region
new()
{
	region=$dir/$1
	shift
	"$KRING" create "$region" "$@" || echo "Bail out! no region"
}

# poke OFFSET BYTES: into the region
poke()
{
	printf '%b' "$2" | dd of="$region" bs=1 seek="$1" conv=notrunc 2>/dev/null
}

owned()
{
	"$KRING" stat "$region" | grep -q "owner *pid $pid"
}

# in_ring RING TEXT
in_ring()
{
	"$KRING" stat "$region" | grep "^$1 " | grep -q "$2"
}

#
# The command line
#
works "kring --version" --version
grep -qx 'kring 0.1' "$dir/out"
result $? "which is 0.1"
works "kring --help" --help
grep -q 'create' "$dir/out" && grep -q 'stat' "$dir/out" && grep -q 'cat' "$dir/out"
result $? "which names each command"
for cmd in create clone stat cat; do
	works "kring $cmd --help" $cmd --help
	grep -q "^Usage: kring $cmd" "$dir/out"
	result $? "which tells of $cmd"
	fails 2 "kring: unknown option --frobnicate" $cmd --frobnicate
	fails 2 "kring: unknown option -X" $cmd -X
	fails 2 "Try 'kring $cmd --help'." $cmd -X
done
fails 2 "kring: which command?"
fails 2 "kring: unknown command frobnicate" frobnicate
fails 2 "kring: unknown option --frobnicate" --frobnicate
fails 2 "Try 'kring --help'." frobnicate
fails 2 "create: one REGION is needed, not 0" create
fails 2 "create: one REGION is needed, not 2" create a b
fails 2 "option --size needs an argument" create a --size
fails 2 "option --verbose=1: it takes no argument" create a --verbose=1
for size in 0 -1 1T x 1KK 1.5M 0x1000 ' 1' 1K1 99999999999999999999 18446744073709551615K; do
	fails 2 "--size $size: not a size" create a --size "$size"
done
fails 2 "--size : not a size" create a --size ''
fails 2 "--granule 8G: not a granule" create a --granule 8G
fails 2 "stat: one REGION is needed, not 0" stat
fails 2 "clone: SAVED and REGION are needed, not 1 paths" clone a
fails 2 "clone: SAVED and REGION are needed, not 3 paths" clone a b c
fails 2 "cat: --region is needed" cat
fails 2 "cat: what is x?" cat --region a x
fails 2 "--count 0: not a number" cat --region a --count 0
fails 2 "--count 1K: not a number" cat --region a --count 1K
fails 2 "--frame 0: not a size" cat --region a --frame 0
fails 2 "--send-only receives nothing" cat --region a --send-only --count 1

#
# create
#
works "create says nothing" create "$dir/a"
[ ! -s "$dir/out" ]
result $? "nothing at all"
[ "$(stat -c '%a %s' "$dir/a")" = "600 4194304" ]
result $? "mode 0600, 4 MiB"
fails 1 "kring: $dir/a: File exists" create "$dir/a"
fails 1 "none/a: No such file or directory" create "$dir/none/a"
fails 1 "region_size 12345: too small for a header and two rings" create "$dir/b" --size 12345
fails 1 "region_size 1000000: not a multiple of the granule" create "$dir/b" --size 1000000
fails 1 "granule 8192: not 4096, 16384 or 65536" create "$dir/b" --granule 8K
fails 1 "name: not 1 to 31 of [A-Za-z0-9._-]" create "$dir/b" --name 'a b'
fails 1 "name: not 1 to 31 of" create "$dir/b" --name 12345678901234567890123456789012
[ ! -e "$dir/b" ] && [ "$(find "$dir" -name '.k*' | wc -l)" -eq 0 ]
result $? "a failed create leaves no file behind"
works "create with everything" create -v --size 2M --name vm-1 --granule 64K "$dir/b"
grep -qx "$dir/b: name vm-1, 2097152 bytes, granule 65536, h2g 524288 bytes, g2h 524288 bytes" \
	"$dir/out"
result $? "and -v tells what it made"

#
# stat
#
works "stat" stat "$dir/b"
for line in 'name *vm-1' 'uuid *[0-9a-f]\{8\}-[0-9a-f]\{4\}-4[0-9a-f]\{3\}-[0-9a-f-]\{17\}' \
	    'format *native, version 1' 'generation *1' 'restored *never' 'granule *65536' 'features *0x0' 'size *2097152' \
	    'owner *nobody' \
	    'h2g *size 524288, head 0, tail 0, in flight 0, want_space 0, want_data 0'; do
	grep -qx "$line" "$dir/out"
	result $? "stat shows: $line"
done
works "create AMRB" create --format amrb --size 64K "$dir/amrb"
works "stat of AMRB" stat "$dir/amrb"
grep -qx 'format *amrb, version 4' "$dir/out" && grep -qx 'size *32960' "$dir/out"
result $? "shows its format and size"
works "stat --json" stat --json "$dir/b"
keys=$(grep -o '"[a-z0-9_]*":' "$dir/out" | tr -d '":\n' )
ring=sizeoffsetheadtailin_flightwant_spacewant_datacorrupt
[ "$keys" = "formatnameuuidversiongenerationrestoredgranulefeaturesregion_sizeownerh2g${ring}g2h$ring" ]
result $? "has all keys"
if command -v jq >/dev/null; then
	[ "$(jq -r '.name, .owner, .h2g.size, .g2h.corrupt' "$dir/out" | tr '\n' ' ')" = \
	  "vm-1 null 524288 false " ]
	result $? "and is JSON"
fi

#
# clone
#
new saved --name vm-2
"$FAKE_GUEST" "$region" send hello
works "clone says nothing" clone "$region" "$dir/clone"
[ ! -s "$dir/out" ] && [ "$(stat -c '%a %s' "$dir/clone")" = "600 4194304" ]
result $? "nothing at all, and the file is there"
run stat "$dir/clone"
grep -qx 'generation *2' "$dir/out" && grep -qx 'restored *by generation 2' "$dir/out" &&
	grep -q '^g2h .*in flight 16' "$dir/out" &&
	[ "$(grep ^uuid "$dir/out")" = "$("$KRING" stat "$region" | grep ^uuid)" ]
result $? "a generation more, made by a restore, with what was in flight, and the same uuid"
works "clone --fork -v, where there is one" clone --fork -v "$region" "$dir/clone"
line="$dir/clone: name vm-2, generation 2, in flight h2g 0 bytes, g2h 16 bytes"
grep -qx "$line" "$dir/out"
result $? "which tells what it made"
[ "$("$KRING" stat "$dir/clone" | grep ^uuid)" != "$("$KRING" stat "$region" | grep ^uuid)" ]
result $? "and has a new uuid"
region=$dir/clone
start "$KRING" cat --region "$region" </dev/null >/dev/null 2>"$dir/fenced"
soon owned
fails 1 "kring: $dir/clone: its host end is owned by kring (pid $pid)" clone "$dir/clone" "$dir/c"
works "clone --force" clone --force "$dir/clone" "$dir/c"
works "clone over a region that is in use" clone "$dir/saved" "$dir/clone"
wait $pid
[ $? -eq 1 ] && grep -q "the region at $dir/clone is another file now" "$dir/fenced"
result $? "whose owner is fenced, and says so"
run clone "$dir/amrb" "$dir/c"
[ $status -eq 0 ] && cmp -s "$dir/amrb" "$dir/c" &&
	grep -qx "kring: $dir/c: the AMRB format has neither generation nor uuid: only copied" "$dir/err"
result $? "AMRB is copied, and it is told what that means"
fails 1 "none: No such file or directory" clone "$dir/none" "$dir/c"
[ "$(find "$dir" -name '.k*' | wc -l)" -eq 0 ]
result $? "no other file is left"

new corrupt
poke 4096 '\010\0\0\0'
poke 8192 '\020\0\0\0'
why='size 1048576, head 8 and tail 16 do not go together'
run stat "$region"
[ $status -eq 1 ] && grep -q '^h2g .*CORRUPT' "$dir/out" && grep -q '^g2h .*0$' "$dir/out" &&
	grep -qx "kring: $region: h2g is corrupt: $why" "$dir/err"
result $? "a corrupt ring is told of, and the rest is shown"
run stat --json "$region"
[ $status -eq 1 ] && grep -q '"h2g": {[^}]*"corrupt": true}' "$dir/out" &&
	grep -q '"g2h": {[^}]*"corrupt": false}' "$dir/out"
result $? "in JSON too"
fails 1 "kring: $region: h2g: head is more than the ring's size from tail (head 8, tail 16)" \
	cat --region "$region"

fails 1 "none: No such file or directory" stat "$dir/none"
fails 1 "$dir: not a regular file" stat "$dir"
: >"$dir/empty"
fails 1 "empty: an empty file, not a kring region" stat "$dir/empty"
fails 1 "kring: /bin/sh: magic 0x464c457f: not a kring region" stat /bin/sh
new bad
poke 0 'XRNG'
fails 1 "kring: $region: magic 0x474e5258: not a kring region" stat "$region"
poke 0 'KRNG\002'
fails 1 "version 2: newer than this kring knows" stat "$region"
poke 4 '\001\0\0\0\0'
fails 1 "state 0: not ready: the host has not finished the region" stat "$region"
poke 8 '\001\0\0\0'
poke 20 '\001'
fails 1 "features 0x100000000: has mandatory ones that this kring does not know" stat "$region"
poke 20 '\0'
poke 96 '\071\060\0\0'
fails 1 "kring: $region: h2g.size 12345: not a power of two" stat "$region"
fails 1 "kring: $region: h2g.size 12345: not a power of two" cat --region "$region"
poke 96 '\0\0\020\0'
works "repaired, it is a region again" stat "$region"
truncate -s 1M "$region"
fails 1 "region_size 4194304: truncated: what holds the region is smaller" stat "$region"

#
# cat
#
new cat
dd if=/dev/urandom of="$dir/random" bs=1000 count=1000 2>/dev/null
start "$FAKE_GUEST" "$region" echo
guest=$pid
timeout 20 "$KRING" cat --region "$region" --count 245 <"$dir/random" >"$dir/out" 2>"$dir/err"
[ $? -eq 0 ] && cmp -s "$dir/random" "$dir/out"
result $? "a megabyte there and back, in frames of 4096 bytes"
timeout 20 "$KRING" cat --region "$region" --frame 64K --count 16 <"$dir/random" >"$dir/out"
[ $? -eq 0 ] && cmp -s "$dir/random" "$dir/out"
result $? "and of 65536"
timeout 20 "$KRING" cat --region "$region" --frame 64K --count 16 <"$dir/random" |
	cat >"$dir/out"
cmp -s "$dir/random" "$dir/out"
result $? "and that to a pipe, which takes less than a frame"
mkfifo "$dir/in"
(cat "$dir/random"; sleep 0.3; echo end) >"$dir/in" &
start "$KRING" cat --region "$region" <"$dir/in" >"$dir/out"
soon sh -c "tail -c 4 '$dir/out' | grep -q end"
(cat "$dir/random"; echo end) | cmp -s - "$dir/out"
result $? "and through a pipe"
kill $pid
wait $pid
fails 1 "$region: --frame 1048576: the largest that fits is 524280" \
	cat --region "$region" --frame 1M
kill "$guest"

new bell
start "$FAKE_GUEST" "$region" echo "$dir/socket"
guest=$pid
soon test -S "$dir/socket"
timeout 20 "$KRING" cat --region "$region" --doorbell "$dir/socket" -v --count 245 \
	<"$dir/random" >"$dir/out" 2>"$dir/err"
[ $? -eq 0 ] && cmp -s "$dir/random" "$dir/out" &&
	[ "$(cat "$dir/err")" = "kring: doorbell $dir/socket: connected" ]
result $? "with a doorbell"
start "$KRING" cat --region "$region" --doorbell "$dir/socket" -v </dev/null 2>"$dir/err"
soon grep -q ': connected' "$dir/err"
kill "$guest"
soon grep -q 'not connected, trying again' "$dir/err"
sleep 0.5
start "$FAKE_GUEST" "$region" echo "$dir/socket"
guest=$pid
soon sh -c "[ \$(grep -c ': connected' '$dir/err') -eq 2 ]"
[ "$(sed 's/.*socket: //' "$dir/err" | tr '\n' ';')" = \
  "connected;not connected, trying again;connected;" ]
result $? "a loss is told of once, and the end of it"
kill "$guest"
for p in $pids; do kill "$p"; done 2>/dev/null
wait
pids=

new missing
"$FAKE_GUEST" "$region" send hello
timeout 20 "$KRING" cat --region "$region" --doorbell "$dir/none" --count 1 </dev/null \
	>"$dir/out" 2>"$dir/err"
[ $? -eq 0 ] && [ "$(cat "$dir/out")" = hello ] &&
	[ "$(cat "$dir/err")" = "kring: doorbell $dir/none: not connected, trying again" ]
result $? "without its socket it says so, and works"
fails 1 "doorbell: not a socket" cat --region "$region" --doorbell "$dir/random"
fails 1 "doorbell: the path of a unix socket is at most 107 bytes, this is 128" \
	cat --region "$region" --doorbell "$(printf '%0128d' 0)"

new signals
for signal in TERM INT; do
	# A shell without job control has its background children ignore INT.
	start env --default-signal=INT "$KRING" cat --region "$region" </dev/null
	soon owned
	kill -$signal $pid
	wait $pid
	result $? "SIG$signal ends it with exit status 0"
done
start "$KRING" cat --region "$region" </dev/null
soon owned
fails 1 "kring: $region: its host end is owned by kring (pid $pid)" cat --region "$region"
kill $pid
wait $pid

new sendonly
start "$KRING" cat --region "$region" --send-only <"$dir/random" 2>"$dir/err"
timeout 10 "$FAKE_GUEST" "$region" take 244 >/dev/null
kill -0 $pid
result $? "--send-only waits for the guest"
timeout 10 "$FAKE_GUEST" "$region" take 1 >/dev/null
wait $pid
result $? "and ends when all is taken"
start sh -c "printf hello | exec '$KRING' cat --region '$region' --send-only" 2>"$dir/err"
soon in_ring h2g 'in flight 16'
soon sh -c "'$KRING' stat '$region' | grep -o 'pid .*' | cut -c5- >'$dir/pid' && [ -s '$dir/pid' ]"
kill "$(cat "$dir/pid")"
wait $pid
[ $? -eq 1 ] && grep -qx "kring: $region: stopped; 16 bytes wait in h2g for the guest" "$dir/err"
result $? "a signal before that is a failure"
[ "$(timeout 10 "$FAKE_GUEST" "$region" take 1)" = hello ]
result $? "and what was read is not lost"

new pipe
"$FAKE_GUEST" "$region" send one two
{ timeout 20 "$KRING" cat --region "$region" </dev/null 2>"$dir/err"; echo $? >"$dir/status"; } |
	true
[ "$(cat "$dir/status")" -eq 1 ] && [ ! -s "$dir/err" ]
result $? "a closed pipe ends it quietly, with exit status 1"
timeout 20 "$KRING" cat --region "$region" --count 2 </dev/null >"$dir/out"
[ "$(cat "$dir/out")" = onetwo ]
result $? "and the frames that could not be written are still there"
"$FAKE_GUEST" "$region" send three
timeout 20 "$KRING" cat --region "$region" </dev/null >&- 2>"$dir/err"
[ $? -eq 1 ] && grep -q 'stdout: Bad file descriptor' "$dir/err" &&
	"$KRING" stat "$region" >/dev/null
result $? "with stdout closed, it is not the region that is written to"
if [ -c /dev/full ]; then
	timeout 20 "$KRING" cat --region "$region" </dev/null >/dev/full 2>"$dir/err"
	[ $? -eq 1 ] && grep -q 'stdout: No space left on device' "$dir/err"
	result $? "a full disk is an error"
	"$KRING" stat "$region" >/dev/full 2>"$dir/err"
	[ $? -eq 1 ] && grep -q 'stdout: No space left on device' "$dir/err"
	result $? "for stat, too"
fi

# A reader that does not read: frames from stdin are sent all the same.
new stuck
i=10
set --
while [ $i -lt 60 ]; do
	set -- "$@" "$i$(printf '%019998d' 0)"
	i=$((i + 1))
done
"$FAKE_GUEST" "$region" send "$@"
printf '%s' "$@" >"$dir/all"
mkfifo "$dir/fifo"
exec 3<>"$dir/fifo"
start "$KRING" cat --region "$region" <"$dir/random" >"$dir/fifo"
timeout 10 "$FAKE_GUEST" "$region" take 245 | cmp -s - "$dir/random"
result $? "stdout that is not read does not keep stdin from being sent"
kill -9 $pid
wait $pid 2>/dev/null
exec 5<"$dir/fifo" 3>&-
timeout 10 cat <&5 >"$dir/first"
exec 5<&-
whole=$(($(wc -c <"$dir/first") / 20000))
left=$((50 - whole))
timeout 10 "$KRING" cat --region "$region" --count $left </dev/null >"$dir/second"
(head -c $((whole * 20000)) "$dir/first"; cat "$dir/second") | cmp -s - "$dir/all" &&
	[ $whole -gt 0 ]
result $? "a killed cat loses no frame: $whole before, $left after"

new poisoned
start "$KRING" cat --region "$region" </dev/null 2>"$dir/err"
soon owned
"$FAKE_GUEST" "$region" poison
why="head is more than the ring's size from tail"
wait $pid
[ $? -eq 1 ] && grep -qx "kring: $region: g2h is poisoned: $why" "$dir/err"
result $? "a poisoned ring ends it"

echo "1..$tests"
[ $failures -eq 0 ]
