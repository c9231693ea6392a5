{{/* Checks of CIDRs, ports, pod labels and time zones, for which a pattern would be no explanation. */}}

{{- define "undertone.checkCidrs" -}}
{{- $policy := .Values.networkPolicy }}
{{- range $name := list "clients" "monitoring" "dns" }}
{{- include "undertone.checkPeers" (dict "name" $name "peers" (get $policy $name)) }}
{{- end }}
{{- range $name := list "objectStore" "telemetry" "jwks" "kubernetesApi" "redis" }}
{{- range (get $policy $name) }}
{{- include "undertone.checkPeers" (dict "name" $name "peers" (.to | default list)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Argument: (dict "name" "clients" "peers" .Values.networkPolicy.clients). */}}
{{- define "undertone.checkPeers" -}}
{{- $byte := "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])" }}
{{- $ipv4 := printf `%s(\.%s){3}` $byte $byte }}
{{- $ipv6 := printf `([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*)?::([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*(:%s)?|%s)?` $ipv4 $ipv4 }}
{{- $cidr := printf `^(%s/(3[0-2]|[12]?[0-9])|(%s)/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$` $ipv4 $ipv6 }}
{{- range .peers }}
{{- with .ipBlock }}
{{- range concat (list .cidr) (.except | default list) }}
{{- if not (regexMatch $cidr .) }}
{{- fail (printf "networkPolicy.%s has the CIDR %s, which is invalid: use a form such as 10.0.0.0/8 or fd00::/8" $.name .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The chart sets the labels by which Services and Deployments select pods. */}}
{{- define "undertone.checkPodLabels" -}}
{{- range $path, $labels := dict "inference" .Values.inference.podLabels "loadBalancer.envoy" .Values.loadBalancer.envoy.podLabels }}
{{- range $name := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- if hasKey $labels $name }}
{{- fail (printf "%s.podLabels sets %s: remove it, because Services and Deployments select pods by this label" $path $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "undertone.checkPorts" -}}
{{- $ports := .Values.loadBalancer.envoy.ports }}
{{- if lt (len (uniq (list (int $ports.api) (int $ports.metrics) (int $ports.admin)))) 3 }}
{{- fail (printf "loadBalancer.envoy.ports: api is %d, metrics %d and admin %d: use three different ports" (int $ports.api) (int $ports.metrics) (int $ports.admin)) }}
{{- end }}
{{- end }}

{{/*
dateInZone replaces an unknown time zone by UTC. The check is skipped if helm runs without a database of time
zones, as Asia/Tokyo shows. Argument: (dict "path" "batch.daily.timeZone" "zone" "Etc/UTC").
*/}}
{{- define "undertone.checkTimeZone" -}}
{{- $zone := .zone }}
{{- $utc := list "UTC" "UCT" "Zulu" "Universal" "Etc/UTC" "Etc/UCT" "Etc/Zulu" "Etc/Universal" }}
{{- $known := or (ne (dateInZone "MST" now "Asia/Tokyo") "JST") (has $zone $utc) (ne (dateInZone "MST" now $zone) "UTC") }}
{{- if or (not $known) (has (lower $zone) (list "" "local")) }}
{{- fail (printf "%s is %s, which is not a time zone: use a name such as Europe/Berlin or Etc/UTC" .path $zone) }}
{{- end }}
{{- end }}
