#!/bin/sh
# Run inside a clean Debian root by `cargo xtask bundle --check`: installs the package, starts window and engine,
# records, upgrades, removes; what was recorded must outlive all of it.
set -eu
export DEBIAN_FRONTEND=noninteractive
say() { printf '\n== %s\n' "$1"; }
mount -t tmpfs tmpfs /dev/shm 2>/dev/null || { mkdir -p /dev/shm; mount -t tmpfs tmpfs /dev/shm; }

say 'install'
apt-get -q update
apt-get -q install -y --no-install-recommends /tmp/neurascale.deb libgl1-mesa-dri libegl1 xvfb xauth xdotool
apt-get -q clean
for file in /usr/bin/neurascale /usr/bin/neurascale-engine /usr/bin/neurascale-desktop \
  /usr/lib/systemd/system/neurascale-engine.service /usr/share/polkit-1/rules.d/60-neurascale.rules /usr/lib/udev/rules.d/70-neurascale.rules /usr/share/doc/neurascale/LICENSE \
  /usr/share/doc/neurascale/third-party-licences.txt; do
  test -s "$file" || { echo "missing: $file"; exit 1; }
done
ls /usr/share/applications/*.desktop /usr/share/icons/hicolor/*/apps/neurascale-desktop.png

say 'a person who is nobody special'
id bedside >/dev/null 2>&1 || useradd --create-home bedside
person=$(getent passwd bedside | cut -d: -f6)
as() { su bedside -c "XDG_RUNTIME_DIR=/tmp/run-bedside HOME=$person $1"; }
rm -rf /tmp/run-bedside && mkdir -m 700 /tmp/run-bedside && chown bedside /tmp/run-bedside

say 'the window starts the engine'
# Left by a trial that was cut off: the server would take its display for one that runs.
rm -f /tmp/.X77-lock /tmp/.X11-unix/X77
as 'Xvfb :77 -screen 0 1280x1024x24 -nolisten tcp >/dev/null 2>&1 &'
sleep 2
as 'DISPLAY=:77 NO_AT_BRIDGE=1 neurascale-desktop >/tmp/run-bedside/window.log 2>&1 &'
tries=0
until as 'DISPLAY=:77 xdotool search --onlyvisible --name "NeuraScale Workstation"' >/dev/null 2>&1 &&
  as 'neurascale --no-start engine status' >/dev/null 2>&1; do
  tries=$((tries + 1))
  test "$tries" -lt 60 || { echo 'no window, or no engine'; cat /tmp/run-bedside/window.log; exit 1; }
  sleep 1
done

say 'a session'
as 'neurascale session run --training --duration 5s --quiet'
as 'neurascale ledger verify'
recordings() { find "$person"/.local/share/neurascale/recordings -mindepth 1 -maxdepth 1 | wc -l; }
test "$(recordings)" -ge 1

say 'upgrade while the engine runs'
engine() { cat "$person"/.local/share/neurascale/engine.lock; }
before=$(engine)
dpkg -i /tmp/neurascale.deb
test "$(engine)" = "$before"
as 'neurascale --no-start engine status'
as 'neurascale ledger verify'

say 'remove, purge: the recordings stay'
as 'neurascale engine stop'
dpkg --purge "$(dpkg-deb -f /tmp/neurascale.deb Package)"
test ! -e /usr/bin/neurascale-desktop
test "$(recordings)" -ge 1
say 'all well'
