#!/bin/bash
# PID 1 of the container of TF Serving. TF Serving ignores SIGTERM (tensorflow/serving#1853), so
# Kubernetes would wait for the whole grace period. Killing TF Serving loses nothing:
# Kubernetes sends SIGTERM to this container only after the sidecar, its only client, has drained
# and exited. No process in the container can kill PID 1, so TF Serving runs as a child of this
# script.
#
# TF Serving prints an unknown flag and starts without it. So this script checks the flags of
# tensorflow_model_server against model-server-flags.txt beside it, if that file exists, and ends
# with exit code 2. For another version of TF Serving than the file's, it only warns.
#
# usage: serve.sh COMMAND [ARGUMENT...]

# Prints the arguments of tensorflow_model_server that are not a known flag.
unknown_flags() {
  local argument name
  shift
  for argument; do
    name=${argument%%=*}
    [[ $name == --* ]] && grep --quiet --line-regexp --fixed-strings -- "${name#--}" "$flags" || echo "$argument"
  done
}

flags=$(dirname "$0")/model-server-flags.txt
if [[ ${1##*/} == tensorflow_model_server && -f $flags ]]; then
  unknown=$(unknown_flags "$@")
  if [[ -n $unknown ]]; then
    version=$(sed --quiet 's/^# Version: //p' "$flags")
    problem="TF Serving $version has no flag ${unknown//$'\n'/, }"
    if [[ $("$1" --version 2>/dev/null) != *"ModelServer: $version"* ]]; then
      echo "serve.sh: warning: $problem; this is another version" >&2
    else
      echo "serve.sh: $problem: correct modelServer.extraArgs or modelServer.command (flags have the form --name=value)" >&2
      exit 2
    fi
  fi
fi

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
