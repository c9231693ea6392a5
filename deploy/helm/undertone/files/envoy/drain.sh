#!/bin/bash
# Envoy drops everything at SIGTERM. This comes before it, as the pod's preStop: has callers leave, and waits for the last answer.
#
# drain.sh ADMIN_PORT LEAVE_SECONDS FINISH_SECONDS
#   LEAVE_SECONDS   for Kubernetes to stop sending new connections here
#   FINISH_SECONDS  the longest wait for answers after that
set -euo pipefail
port=$1 leave=$2 finish=$3

admin() { # METHOD PATH; the image has no curl
  exec {socket}<>"/dev/tcp/127.0.0.1/$port"
  printf '%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' "$1" "$2" >&"$socket"
  cat <&"$socket"
  exec {socket}>&-
}

active() {
  admin GET '/stats?filter=^http\.api\.downstream_rq_active$' | sed -n 's/^http.api.downstream_rq_active: \([0-9]*\).*/\1/p'
}

admin POST /healthcheck/fail # not ready any more, and every answer asks its caller to connect anew
sleep "$leave"
admin POST '/drain_listeners?inboundonly'
# A connection is told to go with its next answer, and may bring more calls until the second GOAWAY, drain_timeout later.
sleep 3
while ((SECONDS < leave + finish)) && [[ $(active) != 0 ]]; do
  sleep 0.2
done
