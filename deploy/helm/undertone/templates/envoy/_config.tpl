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

{{/*
A cluster of sidecars. Argument: (dict "root" $ "component" "inference" "cluster" "sidecars").
*/}}
{{- define "undertone.envoy.sidecars" -}}
{{- $endpoints := get (dict "inference" .root.Values.loadBalancer.envoy.endpoints "inference-spot" .root.Values.spot.endpoints) .component -}}
{{- tpl (.root.Files.Get "files/envoy/sidecars-cluster.yaml") (merge (dict "component" .component "cluster" .cluster "endpoints" $endpoints) .root) }}
{{- end }}
