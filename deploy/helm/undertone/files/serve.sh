#!/bin/bash
# PID 1 of the container of TF Serving. TF Serving ignores SIGTERM (tensorflow/serving#1853), so
# Kubernetes would wait for the whole grace period. Killing TF Serving loses nothing:
# Kubernetes sends SIGTERM to this container only after the sidecar, its only client, has drained
# and exited. No process in the container can kill PID 1, so TF Serving runs as a child of this
# script.
#
# usage: serve.sh COMMAND [ARGUMENT...]
server=
stopping=
# Set before the server starts, so that no signal is missed.
trap 'stopping=yes; [[ -z $server ]] || kill -KILL "$server" 2>/dev/null' TERM INT

"$@" &
server=$!
[[ -z $stopping ]] || kill -KILL "$server" 2>/dev/null

# A signal interrupts this wait before the exit status of the server is known.
wait "$server"
status=$?
[[ -n $stopping ]] || exit "$status"
wait "$server" 2>/dev/null
exit 0
