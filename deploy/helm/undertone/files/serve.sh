#!/bin/bash
# PID 1 of TF Serving's container. TF Serving ignores SIGTERM (tensorflow/serving#1853), so that its container would always
# wait out the pod's grace period. Nothing is lost by killing it: Kubernetes sends SIGTERM here only when the sidecar, which
# alone calls it, has drained and ended. As PID 1, TF Serving could not be killed from within its own container; as a child it
# can.
#
# usage: serve.sh COMMAND [ARGUMENT...]
server=
stopping=
# Before the start, so that no signal is missed.
trap 'stopping=yes; [[ -z $server ]] || kill -KILL "$server" 2>/dev/null' TERM INT

"$@" &
server=$!
[[ -z $stopping ]] || kill -KILL "$server" 2>/dev/null

# A signal ends this before the server's end is known.
wait "$server"
status=$?
[[ -n $stopping ]] || exit "$status"
wait "$server" 2>/dev/null
exit 0
