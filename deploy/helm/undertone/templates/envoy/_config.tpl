{{/*
The bounds of Envoy's memory in bytes, as JSON:
  heap         the heap beyond which Envoy refuses everything: the limit of the container without 64 MiB for the
               program and its threads, and 96 MiB for what callers send between two measurements (0.1 s)
  connections  connections at their maximum number, each with 64 KiB for the state of TLS and HTTP/2
*/}}
{{- define "undertone.envoy.memory" -}}
{{- $envoy := .Values.loadBalancer.envoy -}}
{{- $limit := include "undertone.quantity" (default "512Mi" $envoy.resources.limits.memory) | float64 | int64 -}}
{{- dict "limit" $limit "heap" (sub $limit (mul 160 1048576)) "connections" (mul 65536 (int64 $envoy.maxConnections)) | toJson -}}
{{- end }}

{{/* The heap must hold all connections and some requests. */}}
{{- define "undertone.checkEnvoyMemory" -}}
{{- $budget := include "undertone.envoy.memory" . | fromJson }}
{{- $envoy := .Values.loadBalancer.envoy }}
{{- $needed := add (mul 2 (int64 $budget.connections)) (mul 8 (int64 $envoy.maxRequestBytes)) (mul 16 1048576) }}
{{- if and (eq .Values.loadBalancer.type "envoy") (lt (int64 $budget.heap) $needed) }}
{{- $most := div (sub (int64 $budget.heap) (add (mul 8 (int64 $envoy.maxRequestBytes)) (mul 16 1048576))) 131072 }}
{{- fail (printf "loadBalancer.envoy.resources.limits.memory is %v, too little for loadBalancer.envoy.maxConnections (%d) and loadBalancer.envoy.maxRequestBytes (%d): raise it to %dMi, or lower maxConnections to %d" $envoy.resources.limits.memory (int64 $envoy.maxConnections) (int64 $envoy.maxRequestBytes) (add 161 (div $needed 1048576)) (max 0 $most)) }}
{{- end }}
{{- end }}

{{/*
The data of Envoy's ConfigMap. An annotation of the Envoy pods contains the checksum of the data. The labels
are excluded, because they contain the version of the chart.
*/}}
{{- define "undertone.envoyConfig" -}}
{{- $tls := .Values.loadBalancer.envoy.tls -}}
data:
  envoy.yaml: |
    {{- tpl (.Files.Get "files/envoy/bootstrap.yaml") . | trim | nindent 4 }}
  drain.sh: |
    {{- .Files.Get "files/envoy/drain.sh" | trim | nindent 4 }}
  {{- if eq .Values.loadBalancer.envoy.authentication.type "apiKey" }}
  api-keys.sh: |
    {{- .Files.Get "files/envoy/api-keys.sh" | trim | nindent 4 }}
  {{- end }}
  requests.lua: |
    {{- .Files.Get "files/envoy/requests.lua" | trim | nindent 4 }}
  {{- if $tls.secretName }}
  certificate.yaml: |
    {{- .Files.Get "files/envoy/certificate.yaml" | trim | nindent 4 }}
  {{- end }}
  {{- if $tls.clientCASecretName }}
  client-ca.yaml: |
    {{- tpl (.Files.Get "files/envoy/client-ca.yaml") . | trim | nindent 4 }}
  {{- end }}
  {{- with .Values.sidecar.tls }}
  {{- if .secretName }}
  sidecar-ca.yaml: |
    {{- tpl ($.Files.Get "files/envoy/sidecar-ca.yaml") $ | trim | nindent 4 }}
  {{- end }}
  {{- if .envoySecretName }}
  sidecar-client.yaml: |
    {{- $.Files.Get "files/envoy/sidecar-client.yaml" | trim | nindent 4 }}
  {{- end }}
  {{- end }}
binaryData:
  classifier.binpb: {{ .Files.Get "files/envoy/classifier.binpb" | b64enc }}
{{- end }}
