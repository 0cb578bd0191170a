# Shared by the set-up scripts: one way to say what happens and what to do.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say()  { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf '\033[31merror:\033[0m %s\n' "$1" >&2; shift; for l in "$@"; do printf '       %s\n' "$l" >&2; done; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }

# apt_install installs Debian packages when we are root on Debian; 1 otherwise.
apt_install() {
  is_root && have apt-get || return 1
  local log; log=$(mktemp)
  say "installing $* with apt-get"
  export DEBIAN_FRONTEND=noninteractive
  if ! apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1; then
    apt-get update -qq >"$log" 2>&1 || true
    apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1 || { tail -5 "$log" >&2; return 1; }
  fi
  rm -f "$log"
}

# npm_unpack PACKAGE@VERSION DIR [SHA512]: fetches one npm package without
# running its scripts, checks its hash when one is pinned, unpacks it into DIR.
npm_unpack() {
  local spec=$1 dir=$2 sum=${3:-} tmp tgz
  have npm || fail "npm is missing, it fetches $spec." "Install Node.js 20 or newer (Debian: apt-get install nodejs npm), then run make again."
  tmp=$(mktemp -d "${TMPDIR:-/tmp}/tw-npm.XXXXXX")
  ( cd "$tmp" && npm pack --silent --ignore-scripts "$spec" >/dev/null 2>npm.log ) \
    || { cat "$tmp/npm.log" >&2; rm -rf "$tmp"; fail "npm could not fetch $spec." "Check the network or your npm registry setting (npm config get registry), then run make again."; }
  tgz=$(echo "$tmp"/*.tgz)
  if [ -n "$sum" ]; then
    local got; got=$(openssl dgst -sha512 -binary "$tgz" | openssl base64 -A)
    [ "$got" = "$sum" ] || { rm -rf "$tmp"; fail "$spec does not have the pinned hash." "Somebody changed the package: do not use it, and report this."; }
  fi
  mkdir -p "$dir.part" && tar xzf "$tgz" -C "$dir.part" --strip-components=1
  rm -rf "$tmp" "$dir" && mv "$dir.part" "$dir"
}
