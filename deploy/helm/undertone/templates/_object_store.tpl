{{/* Copies between buckets and volumes, by rclone. */}}

{{/* rclone's name of s3://bucket/folder or gs://bucket/folder; the schema lets no other scheme through. */}}
{{- define "undertone.remote" -}}
{{- $url := trimSuffix "/" . }}
{{- if hasPrefix "gs://" $url -}}
:gcs:{{ trimPrefix "gs://" $url }}
{{- else -}}
:s3:{{ trimPrefix "s3://" $url }}
{{- end }}
{{- end }}

{{/* Argument: (dict "root" $ "name" ... "from" ... "to" ... "resources" ... "volume" ... "mountPath" ...). */}}
{{- define "undertone.copyContainer" -}}
{{- if and .root.Values.networkPolicy.enabled (not .root.Values.networkPolicy.objectStore) }}
{{- fail "networkPolicy.objectStore is empty, so that the bucket cannot be reached; allow it, such as by [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443, protocol: TCP}]}]" }}
{{- end -}}
- name: {{ .name }}
  image: {{ include "undertone.image" (dict "root" .root "image" .root.Values.objectStore.image) }}
  imagePullPolicy: {{ .root.Values.objectStore.image.pullPolicy }}
  # No configuration file: flags and environment say it all.
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
