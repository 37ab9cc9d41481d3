#!/bin/sh
# A Debian 12 with systemd as its first process, in namespaces: what test_systemd.py installs the project in, by the
# words of docs/how-to/install.md. As root; needs debootstrap and unshare, and `make` needs the network.
#
#   tests/system/boot_systemd.sh make FOLDER            # FOLDER/base once, then FOLDER/machine: a fresh copy of it
#   tests/system/boot_systemd.sh online FOLDER COMMAND  # in the machine that is not booted; with this one's network
#   tests/system/boot_systemd.sh boot FOLDER            # until it is told to end; with no network but its own loopback
#   tests/system/boot_systemd.sh in FOLDER COMMAND      # in the booted machine, as root
#
# Packages come from wherever this machine's apt and pip get theirs; sources and certificates are lent.
set -eu

verb=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
shift 2
machine=$folder/machine

lend() { # CHROOT: how this machine reaches its packages
    mkdir -p "$1/etc/apt/sources.list.d" "$1/etc/apt/apt.conf.d"
    rm -f "$1/etc/apt/sources.list"
    for source in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        [ ! -e "$source" ] || cp "$source" "$1$source"
    done
    grep -lis proxy /etc/apt/apt.conf.d/* | while read -r conf; do cp "$conf" "$1/etc/apt/apt.conf.d/"; done
    cp -L /etc/resolv.conf "$1/etc/resolv.conf"
    bundle=${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
    [ ! -e "$bundle" ] || install -D -m 644 "$bundle" "$1/etc/ssl/lent.crt"
    [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$1/etc/pip.conf"
}

make_base() {
    [ ! -e "$folder/base/.complete" ] || return 0
    mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[.*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
        /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
    rm -rf "$folder/base"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$folder/base" "$mirror" \
        >"$folder/debootstrap.log" 2>&1
    touch "$folder/base/.complete"
}

make_machine() {
    rm -rf "$machine"
    cp -a "$folder/base" "$machine"
    lend "$machine"
    echo control-center-test >"$machine/etc/hostname"
    printf '127.0.0.1 localhost control-center-test\n::1 localhost\n' >"$machine/etc/hosts"
    # Nothing is started while it is not booted; at the boot, what Debian enables is.
    printf '#!/bin/sh\nexit 101\n' >"$machine/usr/sbin/policy-rc.d"
    chmod 755 "$machine/usr/sbin/policy-rc.d"
}

online() { # COMMAND
    # shellcheck disable=SC2016 # for the inner shell
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive \
        PIP_CERT=/etc/ssl/lent.crt SSL_CERT_FILE=/etc/ssl/lent.crt \
        ${PIP_INDEX_URL:+"PIP_INDEX_URL=$PIP_INDEX_URL"} ${https_proxy:+"https_proxy=$https_proxy"} \
        MACHINE="$machine" unshare --mount --pid --fork --kill-child sh -c '
            mount --make-rprivate /
            mount -t proc proc "$MACHINE/proc"
            mount --rbind /dev "$MACHINE/dev"
            exec chroot "$MACHINE" sh -euc "$1"' sh "$1"
}

# systemd wants a tree of control groups of its own: inside a fresh one, which its namespace then takes for the root.
boot() {
    rm -f "$machine/usr/sbin/policy-rc.d"
    echo $$ >"$folder/boot.pid" # whose only child is the first process of the machine
    exec unshare --mount sh -euc '
        mount --make-rprivate /
        groups=$(mktemp -d)
        mount -t cgroup2 cgroup2 "$groups"
        mkdir "$groups/control-center-test-$$"
        echo $$ >"$groups/control-center-test-$$/cgroup.procs"
        exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child sh -euc "$0" "$@"' "$(become)" "$machine"
}

become() {
    cat <<'INNER'
mount --make-rprivate /
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
for folder in run dev tmp; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
chmod 1777 tmp
for name in null zero full random urandom tty; do touch "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
touch dev/console
mount -t cgroup2 cgroup2 sys/fs/cgroup
hostname control-center-test
mkdir -p old
pivot_root . old
umount -l /old
cd /
mount --make-rshared / # else LoadCredential= hands over an empty folder
exec env -i container=control-center PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --log-target=journal --log-level=notice --unit=multi-user.target >/run/console.log 2>&1
INNER
}

inside() { # COMMAND
    first=$(cat "/proc/$(cat "$folder/boot.pid")/task/"*/children 2>/dev/null) || first=
    [ -n "$first" ] || { echo "boot_systemd: $machine is not booted" >&2; exit 69; }
    # shellcheck disable=SC2086 # a blank stands behind the number
    exec nsenter --target ${first% } --mount --pid --uts --ipc --net --cgroup --root \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 sh -euc "cd /root; $1"
}

case $verb in
    make) make_base && make_machine ;;
    online) online "$1" ;;
    boot) boot ;;
    in) inside "$1" ;;
    *) sed -n '2,12p' "$0" >&2; exit 2 ;;
esac
