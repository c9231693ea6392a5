#!/bin/bash
# The preStop hook of the Envoy pods. Envoy aborts all calls on SIGTERM. Kubernetes runs this script
# before it sends SIGTERM: the script asks clients to reconnect to other pods, and waits for active
# calls.
#
# drain.sh ADMIN_PORT LEAVE_SECONDS FINISH_SECONDS
#   LEAVE_SECONDS   the time until Kubernetes sends no new connections to this pod
#   FINISH_SECONDS  the maximum time to wait for active calls afterwards
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

admin POST /healthcheck/fail # the pod is not ready, and every response asks its client to reconnect
sleep "$leave"
admin POST '/drain_listeners?inboundonly'
# With the next response on a connection, Envoy sends the first GOAWAY frame. The connection accepts
# calls until the second GOAWAY frame, after drain_timeout (2 s).
sleep 3
while ((SECONDS < leave + finish)) && [[ $(active) != 0 ]]; do
  sleep 0.2
done
