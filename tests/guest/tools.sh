#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What people run, in a Debian guest with 2 vCPUs on the software CPU: gcc, Python, checksums, OpenSSL, dpkg and apt, and
# stress-ng, which checks its own work. What a program computes there it computes here too, and the results are the same.
# timeout: 400
# only: soft
cp --sparse=always "$GUEST/tools.img" disk.img
mkdir in here

# --- what both get -------------------------------------------------------------------------------------------------------

head -c 2097152 /dev/urandom >in/data
openssl genrsa 2048 >in/rsa.pem 2>/dev/null
openssl genpkey -algorithm ed25519 >in/ed25519.pem

cat >in/compute.py <<'EOF'
import hashlib, random, re, struct, zlib
from datetime import date, timedelta

def pi(digits):
    """Gibbons' spigot."""
    q, r, t, k, n, l, out = 1, 0, 1, 1, 3, 3, []
    while len(out) < digits:
        if 4 * q + r - t < n * t:
            out.append(str(n))
            q, r, n = 10 * q, 10 * (r - n * t), (10 * (3 * q + r)) // t - 10 * n
        else:
            q, r, t, k, n, l = (q * k, (2 * q + r) * l, t * l, k + 1, (q * (7 * k + 2) + r * l) // (t * l), l + 2)
    return "".join(out)

print("pi", pi(600))
print("power", hashlib.sha256(hex(7**50000).encode()).hexdigest(), pow(3, 2**600, 2**521 - 1))
dice = random.Random(2026)
numbers = [dice.random() for _ in range(20000)]
print("floats", repr(sum(numbers)), repr(sum(x * x / (1 + y) for x, y in zip(numbers, numbers[1:]))), repr(max(numbers) ** 0.5))
print("bits", hashlib.sha256(struct.pack("<20000d", *sorted(numbers))).hexdigest())
print("edges", repr(0.1 + 0.2), repr(1e308 * 10), repr(5e-324 / 2), round(2.675, 2), float("1.7976931348623157e308").hex())
words = {}
for word in re.findall("[a-m]{2,4}", "".join(dice.choice("abcdefghijklmnopq") for _ in range(60000))):
    words[word] = words.get(word, 0) + 1
print("words", len(words), sorted(words.items(), key=lambda item: (-item[1], item[0]))[:5])
print("day", date(2000, 2, 29) + timedelta(days=10**5))
data = open("data", "rb").read()
packed = zlib.compress(data[:200000] + b"heddle" * 50000, 6)
print("zlib", zlib.crc32(data), zlib.adler32(data), len(zlib.decompress(packed)))
for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b"):
    print(name, hashlib.new(name, data).hexdigest())
EOF

cat >in/program.c <<'EOF'
/* Threads, doubles, 128-bit numbers, strings and an indirect call; says what it found. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 200000
static long counter;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *add(void *step)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&lock);
        counter += *(int *)step;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(void)
{
    static double values[COUNT];
    unsigned __int128 product = 1;
    unsigned long state = 88172645463325252, digest = 14695981039346656037u;
    pthread_t threads[4];
    int steps[4] = {1, 2, 3, 4};

    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, add, &steps[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        values[i] = (double)(long)state / 3;
        product = product * (state | 1) + i;
    }
    qsort(values, COUNT, sizeof(values[0]), by_value);
    for (size_t i = 0; i < sizeof(values); i++) {
        digest = (digest ^ ((unsigned char *)values)[i]) * 1099511628211u;
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%ld %016lx %016lx%016lx %.17g %.6Lf\n", counter, digest, (unsigned long)(product >> 64),
           (unsigned long)product, values[COUNT / 2 + 1] / values[7], 1.0L / 7 + strlen("heddle"));
    return 0;
}
EOF

# Run in a folder with all of these, here and there; what it leaves in "out" must be the same.
cat >in/compute.sh <<'EOF'
set -eu
export LC_ALL=C
mkdir out
python3 compute.py >out/python
gcc -O2 -pthread -o program program.c
./program >out/gcc-O2
gcc -O0 -pthread -o program0 program.c
./program0 >out/gcc-O0
for sum in md5sum sha1sum sha256sum sha512sum b2sum cksum; do $sum data; done >out/sums
sort -R --random-source=data compute.py | sort | gzip -n | gzip -d | sha256sum >out/text
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f iv=0f0e0d0c0b0a09080706050403020100
for cipher in aes-128-cbc aes-256-ctr camellia-256-cbc chacha20; do
    size=64
    [ $cipher = aes-128-cbc ] && size=32
    k=$(printf %.${size}s $key)
    openssl enc -$cipher -K "$k" -iv $iv -in data -out encrypted
    openssl enc -d -$cipher -K "$k" -iv $iv -in encrypted | cmp - data
    echo $cipher $(sha256sum <encrypted)
done >out/ciphers
for digest in sha1 sha256 sha512 sha3-512 blake2s256 sm3; do openssl dgst -$digest -r data; done >out/digests
openssl dgst -sha256 -sign rsa.pem -out out/rsa.signature data
openssl pkeyutl -sign -inkey ed25519.pem -rawin -in program.c -out out/ed25519.signature
openssl rsa -in rsa.pem -pubout 2>/dev/null >rsa.pub
openssl dgst -sha256 -verify rsa.pub -signature out/rsa.signature data >out/verified
EOF

# --- what the guest does besides -----------------------------------------------------------------------------------------

cat >in/guest.sh <<'EOF'
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
cd /root/in
step() { echo "$1 done at $(cut -d' ' -f1 /proc/uptime) s"; }
sh compute.sh
step compute

# OpenSSL times what it does; a rate for each is enough.
openssl speed -seconds 1 -bytes 1024 -evp aes-128-gcm 2>/dev/null | grep -i '^aes-128-gcm .*k$'
openssl speed -seconds 1 -bytes 1024 -evp sha256 2>/dev/null | grep -i '^sha256 .*k$'
openssl speed -seconds 1 ecdsap256 2>/dev/null | grep 'nistp256'
step speed

# A package of the program above, built, looked at, installed and removed again; there is no network for more.
mkdir -p tree/DEBIAN tree/usr/bin
cp program tree/usr/bin/heddle-program
printf '%s\n' 'Package: heddle-program' 'Version: 1.0' 'Architecture: amd64' 'Maintainer: nobody <nobody@example.org>' \
    'Depends: libc6 (>= 2.36), openssl' 'Description: a program' >tree/DEBIAN/control
dpkg-deb --root-owner-group --build tree heddle-program.deb >/dev/null
apt-get -s install ./heddle-program.deb | grep '^Inst heddle-program'
apt-get -qq -y install ./heddle-program.deb >/dev/null
heddle-program | cmp - out/gcc-O2
dpkg -s heddle-program | grep '^Status: install ok installed'
if dpkg --verify heddle-program openssl python3.11-minimal | grep -v '^missing'; then exit 1; fi # the manuals are left out
apt-get -qq check
apt-get -qq -y remove heddle-program >/dev/null
[ ! -e /usr/bin/heddle-program ]
step apt

# Two of each, for a second or a little more; what they find is verified by stress-ng itself.
while read -r stressor; do
    stress-ng --verify --timeout 1 --metrics-brief $stressor >stress 2>&1 </dev/null || { cat stress; exit 1; }
    if grep -qi 'fail:\|unsuccessful' stress || ! grep -q 'successful run completed' stress; then
        cat stress
        exit 1
    fi
    grep -A 2 'bogo ops real' stress | tail -n 1
done <<'STRESSORS'
--cpu 2 --cpu-method int64double
--cpu 2 --cpu-method matrixprod
--cpu 2 --cpu-method crc16
--vm 2 --vm-bytes 8M --vm-method incdec
--vm 2 --vm-bytes 8M --vm-method walk-1d
--fork 2
--futex 2
--mutex 2
--pipe 2
--switch 2
STRESSORS
step stress-ng
EOF

# --- run and compare -----------------------------------------------------------------------------------------------------

(cp -r in here && cd here/in && sh compute.sh)
{
    echo 'mkdir /root/in'
    for file in in/*; do echo "write $file /root/$file"; done
} | debugfs -w -f - disk.img >/dev/null 2>debugfs.log || { cat debugfs.log; fail 'the disk takes no files'; }

run_in_guest 'sh -e /root/in/guest.sh' -smp 2 -m 1G
cat console
mkdir there
debugfs -R 'rdump /root/in/out there' disk.img 2>debugfs.log
diff -r here/in/out there/out || fail 'the guest computes something else'
e2fsck -fn disk.img
