#!/usr/bin/env bash
# Fetches the jars of docker/batch/jars.txt into a folder with Maven, and compares their checksums.
# Jars that are in the folder are not fetched again. Usage: docker/batch/jars.sh FOLDER
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)

while read -r checksum jar; do
    IFS=: read -r _ name version <<<"$jar"
    file=$folder/$name-$version.jar
    [[ -e $file ]] || mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
        -Dartifact="$jar" -DoutputDirectory="$folder" >&2
    sha256sum --check --quiet <<<"$checksum  $file"
done < <(grep -v '^#' "$(dirname "$0")/jars.txt")
