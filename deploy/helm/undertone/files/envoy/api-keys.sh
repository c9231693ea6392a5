#!/bin/bash
# Starts Envoy with the API keys of a Secret, and updates them when the Secret changes.
#
# api-keys.sh KEYS CONFIG COMMAND...
#   KEYS     the directory of the Secret: a file for each caller, with a key on each line
#   CONFIG   the file with the configuration of Envoy's filter, which this script writes
#   COMMAND  Envoy, which replaces this process
set -euo pipefail
keys=$1 config=$2
shift 2

# Writes the configuration. Envoy logs a configuration that it cannot parse, with all keys.
# Therefore only keys that need no quoting in JSON are accepted, and a configuration that could not be
# written completely is not used. Messages never contain a key.
convert() {
  local caller key path separator='' number
  local -A callers=()
  {
    printf '{"resources": [{"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",'
    printf ' "name": "undertone.authentication", "typed_config": {'
    printf '"@type": "type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",'
    printf ' "key_sources": [{"header": "x-api-key"}],'
    printf ' "forwarding": {"header": "x-undertone-caller", "hide_credentials": true}, "credentials": ['
    for path in "$keys"/*; do # without hidden files, which belong to the kubelet
      [[ -f $path ]] || continue
      caller=${path##*/} number=0
      while IFS= read -r key || [[ -n $key ]]; do
        number=$((number + 1)) key=${key%$'\r'}
        if [[ -z $key ]]; then
          continue
        elif [[ ! $key =~ ^[A-Za-z0-9._~+/=-]{16,256}$ ]]; then
          echo "api-keys.sh: line $number of the caller $caller is ignored: use a key of 16 to 256 letters, digits and . _ ~ + / = -" >&2
        elif [[ -n ${callers[$key]:-} ]]; then
          echo "api-keys.sh: line $number of the caller $caller is ignored: the caller ${callers[$key]} has the same key" >&2
        else
          callers[$key]=$caller
          printf '%s{"key": "%s", "client": "%s"}' "$separator" "$key" "$caller"
          separator=', '
        fi
      done <"$path" || return
    done
    printf ']}}]}\n'
  } >"$config.new" || return
  mv "$config.new" "$config" # Envoy watches for renames
}

umask 077
mkdir -p "${config%/*}"
version=$(readlink "$keys/..data")
convert
echo "api-keys.sh: loaded the API keys" >&2
(
  while sleep 2 && kill -0 $$ 2>/dev/null; do # $$ is Envoy by then
    current=$(readlink "$keys/..data") || continue
    [[ $current == "$version" ]] && continue
    if convert; then
      version=$current
      echo "api-keys.sh: loaded the changed API keys" >&2
    fi
  done
) &
exec "$@"
