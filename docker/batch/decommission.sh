#!/bin/bash
# The command that Kubernetes runs in the container of an executor before it stops the container.
# SIGPWR makes the executor decommission itself: it takes no new tasks, moves its shuffle files and
# cached rows to other executors, and exits. Kubernetes stops the container when the grace period
# of the pod ends.
set -euo pipefail

for folder in "${PROC:-/proc}"/[0-9]*; do
    # A process can end at any time.
    name=$(cat "$folder/comm" 2>/dev/null) || continue
    if [[ $name == java ]]; then
        process=${folder##*/}
        kill -s PWR "$process"
        exec tail --pid="$process" --follow /dev/null
    fi
done
