#!/usr/bin/env bash
# Starts a Docker engine and runs a command with it, for machines without an engine and without access to
# an image registry:
#
#   sudo tests/docker/engine.sh .venv/bin/pytest tests/docker
#
# Requires root and the Debian packages docker.io and mmdebstrap. The script builds python:3.11-slim from
# Debian 12, whose Python is 3.11, with the certificates and the pip configuration of this machine. It
# leaves only build/base.tar.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
export DOCKER_HOST="unix://$folder/docker.sock"
stop() {
    [[ -n ${engine:-} ]] && kill "$engine" && wait "$engine"
    rm -rf "$folder"
}
trap 'stop || true' EXIT

if [[ ! -e build/base.tar ]]; then
    mkdir -p build
    # shellcheck disable=SC2016  # mmdebstrap passes the root directory to its hooks in $1
    mmdebstrap --quiet --variant=apt --include=python3-venv,ca-certificates \
        --customize-hook='copy-in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs' \
        --customize-hook='for file in /etc/pip.conf; do if [ -e $file ]; then cp $file "$1/etc"; fi; done' \
        --customize-hook='ln -s /usr/bin/python3 "$1/usr/local/bin/python"' \
        bookworm build/base.tar
fi

# A separate network avoids conflicts with those of the machine. The limit of open files is low, because
# apt closes as many descriptors as the limit allows.
dockerd --host "$DOCKER_HOST" --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
    --bip 172.31.250.1/24 --default-ulimit nofile=20000:20000 >"$folder/log" 2>&1 &
engine=$!
for _ in {1..60}; do
    docker info >/dev/null 2>&1 && break
    kill -0 "$engine" 2>/dev/null || break
    sleep 1
done
docker info >/dev/null || { tail "$folder/log" >&2; exit 1; }
docker import --change "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt" \
    build/base.tar python:3.11-slim >/dev/null

"$@"
