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
    {{- $lua := .Files.Get "files/envoy/requests.lua" | trim }}
    {{- if .Values.canary.enabled }}
    {{- $lane := "  [\"undertone-lane\"] = is_short_text(64),\n" }}
    {{- $lua = replace $lane (print $lane (replace "lane" "model" $lane)) $lua }}
    {{- end }}
    {{- $lua | nindent 4 }}
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

{{/*
A cluster of sidecars. Argument: (dict "root" $ "component" "inference" "cluster" "sidecars").
*/}}
{{- define "undertone.envoy.sidecars" -}}
{{- $canary := .root.Values.canary -}}
{{- $endpoints := get (dict "inference" .root.Values.loadBalancer.envoy.endpoints "inference-spot" .root.Values.spot.endpoints "canary" $canary.endpoints) .component -}}
{{- $mirrored := and (eq .component "canary") (gt (float64 $canary.mirror) 0.0) -}}
{{- tpl (.root.Files.Get "files/envoy/sidecars-cluster.yaml") (merge (dict "component" .component "cluster" .cluster "endpoints" $endpoints "mirrored" $mirrored) .root) }}
{{- end }}

{{/*
The cluster <cluster>-first: the sidecars of the cluster, with those of all other pods as a fallback.
Argument: (dict "root" $ "cluster" "spot").
*/}}
{{- define "undertone.envoy.fallback" -}}
{{- tpl (.root.Files.Get "files/envoy/fallback-cluster.yaml") (merge (dict "cluster" .cluster) .root) }}
{{- end }}
