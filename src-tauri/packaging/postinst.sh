#!/bin/sh
# After installing or upgrading. An engine that runs is left alone: it may be recording, and goes on with the
# program it was started from until it is stopped. The service is there to be enabled, not enabled.
set -e
if [ "$1" = configure ] && command -v systemd-sysusers >/dev/null 2>&1; then
  systemd-sysusers neurascale.conf || true
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
