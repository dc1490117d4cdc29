#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A kernel that isn't Linux: memtest86+ boots by Linux's protocol, finds the machine's memory, and tests it on the serial
# console. Its first nine tests find no error (a whole pass takes minutes, most of them waiting), and Escape, which
# reboots, ends it.
# timeout: 120
mkfifo keys
"$HEDDLE" -nodefaults -display none -serial stdio -no-reboot -m 16 -kernel "$GUEST/memtest.bin" \
    -append 'console=ttyS0,115200' <>keys >console 2>&1 &
heddle=$!
trap 'kill $heddle 2>/dev/null || :' EXIT
# Its screen has no lines: what comes is read as it comes, up to the name of the ninth test.
tail -c +1 -s 0.1 -f --pid=$heddle console | stdbuf -oL tr '\033' '\n' | timeout 100 grep -qaF 'Modulo 20' ||
    fail 'it did not come to test 9'
said 'Memtest86+'
said 'Memory  :   16MB'
said 'Pass:  0        Errors: 0'
grep -qa 'Errors: [1-9]' console && fail 'it found errors'
printf '\033' >keys
wait $heddle || fail "status $?"
