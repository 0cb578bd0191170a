#!/usr/bin/env bash
# PgBouncer for the tests that hold isolation behind a pooler in transaction
# mode: the machine's own, else Debian's packages unpacked into
# build/pgbouncer, which needs no root and starts no service.
. "$(dirname "$0")/lib.sh"
dest=$root/build/pgbouncer
works() { [ -x "$1" ] && LD_LIBRARY_PATH="$dest" "$1" --version >/dev/null 2>&1; }

for p in "${TENANTWATCH_PGBOUNCER:-}" "$dest/pgbouncer" "$(command -v pgbouncer 2>/dev/null || true)" /usr/sbin/pgbouncer; do
  [ -n "$p" ] && works "$p" && exit 0
done
if have apt-get && have dpkg; then
  say "fetching PgBouncer into build/pgbouncer"
  tmp=$(mktemp -d "${TMPDIR:-/tmp}/tw-pgbouncer.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  fetch() { ( cd "$tmp" && apt-get download -qq "$1" >fetch.log 2>&1 ); }
  fetch pgbouncer || { is_root && apt-get update -qq >/dev/null 2>&1 || true; fetch pgbouncer || true; }
  # What it links to, as far as the machine lacks it; names differ by release.
  for lib in libevent-2.1-7 libevent-2.1-7t64 libc-ares2 libcares2; do fetch "$lib" || true; done
  for deb in "$tmp"/*.deb; do [ -e "$deb" ] && dpkg -x "$deb" "$tmp/out"; done
  if [ -x "$tmp/out/usr/sbin/pgbouncer" ]; then
    rm -rf "$dest.part" && mkdir -p "$dest.part"
    cp "$tmp/out/usr/sbin/pgbouncer" "$dest.part/"
    find "$tmp/out" -name 'lib*.so.*' -exec cp -P {} "$dest.part/" \;
    rm -rf "$dest" && mv "$dest.part" "$dest"
  fi
  works "$dest/pgbouncer" && exit 0
  apt_install pgbouncer && works /usr/sbin/pgbouncer && exit 0
fi
say "no PgBouncer here: its test is left out (Debian: apt-get install pgbouncer; or name one with TENANTWATCH_PGBOUNCER)"
