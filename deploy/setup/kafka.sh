#!/usr/bin/env bash
# Fetches a real Apache Kafka for the tests, into build/kafka: its jars by
# Maven, as deploy/setup/kafka/pom.xml pins them. Running needs Java 17.
. "$(dirname "$0")/lib.sh"
pom=$root/deploy/setup/kafka/pom.xml
dir=$root/build/kafka
stamp=$dir/.pom
cmp -s "$pom" "$stamp" && have java && exit 0
have java || apt_install openjdk-17-jre-headless || fail "Java is missing, Apache Kafka runs on it." "Install Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless), then run make again."
have mvn || apt_install maven || fail "Maven is missing, it fetches Apache Kafka for the tests." "Install Maven (Debian: apt-get install maven), then run make again."
say "fetching Apache Kafka for the tests (43 MB, once)"
rm -rf "$dir.part" && mkdir -p "$dir.part"
log=$(mktemp)
mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$dir.part/libs" -DincludeScope=runtime >"$log" 2>&1 \
  || { tail -20 "$log" >&2; rm -rf "$dir.part"; fail "Maven could not fetch Apache Kafka." "Check the network or Maven's settings, then run make again."; }
rm -f "$log"
cp "$pom" "$dir.part/.pom"
rm -rf "$dir" && mv "$dir.part" "$dir"
