#!/usr/bin/env bash
# A Chromium for the browser tests: Debian's, or the one CHROMIUM names.
. "$(dirname "$0")/lib.sh"
[ -n "${CHROMIUM:-}" ] && [ -x "$CHROMIUM" ] && exit 0
for c in chromium chromium-browser google-chrome; do have "$c" && exit 0; done
apt_install chromium fonts-dejavu-core || fail "no Chromium found for the browser tests." \
  "Install it (Debian: apt-get install chromium) or set CHROMIUM to its path, then run make again."
