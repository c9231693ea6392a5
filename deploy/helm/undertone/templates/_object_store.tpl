{{/* Containers that copy files between buckets and volumes with rclone. */}}

{{/* The rclone name of an s3:// or gs:// URL. The schema rejects other schemes. */}}
{{- define "undertone.remote" -}}
{{- $url := trimSuffix "/" . }}
{{- if hasPrefix "gs://" $url -}}
:gcs:{{ trimPrefix "gs://" $url }}
{{- else -}}
:s3:{{ trimPrefix "s3://" $url }}
{{- end }}
{{- end }}

{{/*
A container that copies a directory.
Argument: (dict "root" $ "name" "" "from" "" "to" "" "resources" (dict) "volume" "" "mountPath" "").
*/}}
{{- define "undertone.copyContainer" -}}
{{- if and .root.Values.networkPolicy.enabled (not .root.Values.networkPolicy.objectStore) }}
{{- fail "networkPolicy.objectStore is empty, so pods cannot reach the bucket: add an egress rule, for example [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443, protocol: TCP}]}]" }}
{{- end -}}
- name: {{ .name }}
  image: {{ include "undertone.image" (dict "root" .root "image" .root.Values.objectStore.image) }}
  imagePullPolicy: {{ .root.Values.objectStore.image.pullPolicy }}
  # --config= disables the configuration file. Flags and environment variables contain all settings.
  command: [rclone, copy, "--config=", --retries=5, --stats-one-line, --stats-log-level=NOTICE]
  args:
    {{- range $flag, $value := .root.Values.objectStore.settings }}
    - --{{ $flag }}={{ $value }}
    {{- end }}
    - {{ .from | quote }}
    - {{ .to | quote }}
  {{- with .root.Values.objectStore.env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.objectStore.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    {{- include "undertone.securityContext" .root | nindent 4 }}
  volumeMounts:
    - name: {{ .volume }}
      mountPath: {{ .mountPath }}
{{- end }}
