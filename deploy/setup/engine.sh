#!/usr/bin/env bash
# Fetches the ClickHouse engine library (libchdb) into build/engine.
. "$(dirname "$0")/lib.sh"
version=26.7.3-stable.1
dir=$root/build/engine
stamp=$dir/.version
[ -f "$dir/libchdb.so" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$version" ] && exit 0
sum=
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) pkg=@chdb/lib-linux-x64-gnu; sum=XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw== ;;
  Linux-aarch64|Linux-arm64) pkg=@chdb/lib-linux-arm64-gnu ;;
  Darwin-arm64) pkg=@chdb/lib-darwin-arm64 ;;
  Darwin-x86_64) pkg=@chdb/lib-darwin-x64 ;;
  *) fail "no ClickHouse engine library for $(uname -s) $(uname -m)." "Use an outside ClickHouse: tenantwatch serve --clickhouse-addr=…" ;;
esac
say "fetching the ClickHouse engine $version (150 MB, once)"
npm_unpack "$pkg@$version" "$dir" "$sum"
rm -f "$dir"/*.node "$dir/index.js"
# The library cannot be mapped from an archive that was cut short.
[ "$(stat -c %s "$dir/libchdb.so" 2>/dev/null || stat -f %z "$dir/libchdb.so")" -gt 100000000 ] || fail "the engine library is incomplete." "Remove build/engine and run make again."
echo "$version" > "$stamp"
