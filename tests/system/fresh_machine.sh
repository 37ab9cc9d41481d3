#!/bin/sh
# Proves on a machine with nothing on it that `./run` needs nothing but Debian: run by hand, as root, now and then.
#
#   tests/system/fresh_machine.sh [FOLDER]        # FOLDER: where the chroots are made; default /tmp/fresh
#
# Needs debootstrap and unshare, and the network: packages come from wherever this machine's apt and pip get theirs,
# through its sources, proxies and certificates, which are lent to the chroots. A Debian 12 "minbase" is made once and
# kept in FOLDER/base; each case runs in a copy of it, with namespaces of its own, so that nothing outlives it:
#
#   root     python3 alone; the checkout under /root, which is closed (0700), in a folder with a space in its name
#   user     python3 and python3-venv; an ordinary account whose closed home has a space in its name
#   refused  python3 alone and an ordinary account: the launcher may only say what to type, and exit 69
#   bare     not even python3; root
#
# Each prints what it ran, the exit code and the seconds. None of the chroots has an /etc/hosts or a LANG.
# ARGUMENTS="tests/domain" runs other tests than tests/embedded, ARGUMENTS="" the whole of `./run test`;
# CASES="user" runs only that case.
set -eu

folder=${1:-/tmp/fresh}
checkout=$(cd -- "$(dirname -- "$0")/../.." && pwd)
tests=${ARGUMENTS-tests/embedded}

say() { printf '\n=== %s\n' "$*"; }

make_base() {
    [ -e "$folder/base/.complete" ] && return
    mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[.*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
        /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
    rm -rf "$folder/base"
    mkdir -p "$folder"
    debootstrap --variant=minbase bookworm "$folder/base" "$mirror" >"$folder/debootstrap.log" 2>&1
    touch "$folder/base/.complete"
}

lend() { # CHROOT: how this machine reaches its packages
    rm -rf "$1/etc/apt/sources.list" "$1/etc/apt/sources.list.d"
    mkdir -p "$1/etc/apt/sources.list.d"
    for source in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        [ -e "$source" ] && cp "$source" "$1$source"
    done
    grep -lis proxy /etc/apt/apt.conf.d/* | while read -r conf; do cp "$conf" "$1/etc/apt/apt.conf.d/"; done
    cp -L /etc/resolv.conf "$1/etc/resolv.conf"
    bundle=${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
    [ -e "$bundle" ] && install -D -m 644 "$bundle" "$1/etc/ssl/lent.crt"
    [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$1/etc/pip.conf"
    rm -f "$1/etc/hosts"
}

chroot_of() { # CASE PACKAGES...: a copy of the base with these packages; its path in $chroot
    chroot="$folder/$1"
    shift
    rm -rf "$chroot"
    cp -a "$folder/base" "$chroot"
    lend "$chroot"
    inside root / "apt-get -q update && { [ -z '$*' ] || apt-get -q install -y --no-install-recommends $*; }" \
        >"$chroot.apt.log" 2>&1
}

lay_out() { # PLACE OWNER: the checkout, as a fresh clone would be
    mkdir -p "$chroot$1"
    tar -C "$checkout" --exclude=./.venv --exclude=./.git --exclude=./.build --exclude=./.demo --exclude='./.*_cache' \
        --exclude=__pycache__ -cf - . | tar -C "$chroot$1" -xf -
    chroot "$chroot" chown -R "$2:" "$1"
}

inside() { # ACCOUNT FOLDER COMMAND: with nothing of our environment but the way to the packages
    # shellcheck disable=SC2016
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb CHROOT="$chroot" ACCOUNT="$1" FOLDER="$2" COMMAND="$3" \
        LENT="PIP_CERT=/etc/ssl/lent.crt SSL_CERT_FILE=/etc/ssl/lent.crt PIP_DEFAULT_TIMEOUT=${PIP_DEFAULT_TIMEOUT:-60}
            PIP_INDEX_URL=${PIP_INDEX_URL:-} http_proxy=${http_proxy:-} https_proxy=${https_proxy:-} no_proxy=${no_proxy:-}" \
        unshare --mount --pid --fork --kill-child ${OFFLINE:+--net} sh -c '
            mount --make-rprivate /
            mount -t proc proc "$CHROOT/proc"
            mount --rbind /dev "$CHROOT/dev"
            mount -t tmpfs -o mode=1777 tmpfs "$CHROOT/dev/shm" 2>/dev/null
            home=$(chroot "$CHROOT" getent passwd "$ACCOUNT" | cut -d: -f6)
            for pair in $LENT; do [ -z "${pair#*=}" ] || export "$pair"; done
            unset LENT
            export HOME="$home" FOLDER COMMAND
            exec chroot "$CHROOT" setpriv --reuid="$ACCOUNT" --regid="$ACCOUNT" --init-groups \
                sh -c "cd \"\$FOLDER\" && unset CHROOT && eval \"\$COMMAND\""'
}

try() { # ACCOUNT FOLDER COMMAND
    printf '\n--- %s in %s: %s\n' "$1" "$2" "$3"
    began=$(date +%s)
    code=0
    inside "$1" "$2" "$3" </dev/null || code=$?
    printf -- '--- exit %s after %s s\n' "$code" "$(($(date +%s) - began))"
}

both_commands() { # ACCOUNT FOLDER
    try "$1" "$2" './run --help'
    try "$1" "$2" "./run test $tests"
    try "$1" "$2" "./run test $tests"
    printf '\n(without any network)'
    OFFLINE=1 try "$1" "$2" './run test -q tests/embedded/test_debian.py'
}

case_root() {
    say "root, python3 alone, a closed folder with a space in its name"
    chroot_of root python3
    chmod 700 "$chroot/root"
    lay_out '/root/my app' root
    both_commands root '/root/my app'
    stat -c '%a %n' "$chroot/root"
}

case_user() {
    say "an ordinary account, python3-venv, a closed home with a space in its name"
    chroot_of user python3 python3-venv
    chroot "$chroot" useradd --create-home --home-dir '/home/ada lovelace' --shell /bin/sh ada
    chmod 700 "$chroot/home/ada lovelace"
    lay_out '/home/ada lovelace/my app' ada
    both_commands ada '/home/ada lovelace/my app'
}

case_refused() {
    say "an ordinary account, python3 alone: it may only say what to type"
    chroot_of refused python3
    chroot "$chroot" useradd --create-home --shell /bin/sh ada
    lay_out /home/ada/app ada
    try ada /home/ada/app './run demo'
}

case_bare() {
    say "root, not even python3"
    chroot_of bare
    lay_out /root/app root
    try root /root/app './run test -q tests/embedded/test_debian.py'
}

make_base
for name in ${CASES:-root user refused bare}; do
    "case_$name"
done
