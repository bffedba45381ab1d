#!/bin/sh
# Before removal. A service that records ends its sessions whole; what was recorded stays where it is, also when
# the package is purged: recordings are the patient's, not the package's.
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl stop neurascale-engine.service || true
fi
