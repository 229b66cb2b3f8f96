#!/usr/bin/env bash
# Java, Maven, Debian's venv, Prometheus, and Node.js and Go for the senders in other languages (examples/clients): what
# the languages' package managers do not bring.
# As root on Debian they are installed; in CI failing to is an error; elsewhere the tests that need them say so.
set -euo pipefail
missing=()
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
{ command -v java && command -v javac; } >/dev/null || missing+=(openjdk-17-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v go >/dev/null || missing+=(golang-go)
{ command -v prometheus && command -v promtool; } >/dev/null || missing+=(prometheus)
[ "${#missing[@]}" -eq 0 ] && exit 0
if [ "${CI:-}" = "true" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "setup: installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  exit 0
fi
echo "setup: missing: ${missing[*]} (apt-get install ${missing[*]})" >&2
[ "${CI:-}" != "true" ]
