#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest whose memory is huge pages: the host's pool shrinks by just those, the mapping is made of them, and Linux runs
# in it. The pool is given as many pages as that takes, and back what it was.
# timeout: 200
pool=/sys/kernel/mm/hugepages/hugepages-2048kB
before=$(cat $pool/nr_hugepages 2>/dev/null) || skip 'this host has no huge pages of 2 MiB'
echo $((before + 256)) 2>/dev/null >$pool/nr_hugepages || skip 'only root can ask this host for huge pages'
trap 'echo $before >$pool/nr_hugepages' EXIT
free=$(cat $pool/free_hugepages)
[ "$free" -ge 256 ] || skip "this host grants only $free huge pages of 256"
memory=(-object memory-backend-memfd,id=mem,size=512M,hugetlb=on,hugetlbsize=2M,prealloc=on -machine memory-backend=mem)

"$HEDDLE" -nodefaults -display none -S -daemonize -pidfile pid -kernel "$GUEST/kernel-cloud/vmlinuz" "${memory[@]}"
pid=$(cat pid)
[ "$(cat $pool/free_hugepages)" = $((free - 256)) ] || fail "$(cat $pool/free_hugepages) of $free pages are free"
grep -A 30 'memfd:heddle:pc.ram' "/proc/$pid/smaps" | grep -q '^KernelPageSize: *2048 kB' || fail 'mapped by other pages'
grep -A 30 'memfd:heddle:pc.ram' "/proc/$pid/smaps" | grep -q '^Shared_Hugetlb: *524288 kB\|^Private_Hugetlb: *524288 kB' ||
    fail 'not all of it is there'

# What isn't there can't be had, which is said instead of found out later.
"$HEDDLE" -nodefaults -display none -kernel "$GUEST/kernel-cloud/vmlinuz" "${memory[@]}" 2>console && fail 'twice as much'
said 'not enough free huge pages'

kill "$pid"
tail -f --pid="$pid" /dev/null
[ "$(cat $pool/free_hugepages)" = "$free" ] || fail "$(cat $pool/free_hugepages) of $free pages came back"

run_in_initrd 'echo cpus=$(nproc)' -smp 2 "${memory[@]}"
said 'cpus=2'
[ "$(cat $pool/free_hugepages)" = "$free" ] || fail "$(cat $pool/free_hugepages) of $free pages came back"
