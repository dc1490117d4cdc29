#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where KVM is real, as it is here, scripts/kvm-host runs its command directly: input, arguments, status and folder are kept.
# only: kvm
kvm_host=$1/../../scripts/kvm-host # $1: tests/guest
status=0
output=$(printf input | "$kvm_host" sh -c 'cat; printf " [%s]" "$@"; pwd; exit 5' sh 'a  b' "c'd" '') || status=$?
[ $status = 5 ] || fail "status $status"
[ "$output" = "input [a  b] [c'd] []$PWD" ] || fail "output: $output"
