{{/* The model's volume, and the init containers that copy and check it. */}}

{{/* The directory in the containers that contains <name>/<version>. */}}
{{- define "undertone.modelRoot" -}}
{{- if eq .Values.model.source "imageVolume" -}}
/image/{{ trimPrefix "/" .Values.model.image.path }}
{{- else if eq .Values.model.source "claim" -}}
{{ printf "/models/%s" (trimAll "/" .Values.model.claim.path) | trimSuffix "/" }}
{{- else -}}
/models
{{- end }}
{{- end }}

{{/* The volume of the model. */}}
{{- define "undertone.modelVolume" -}}
- name: model
  {{- if eq .Values.model.source "imageVolume" }}
  {{- if semverCompare "<1.33-0" .Capabilities.KubeVersion.Version }}
  {{- fail (printf "model.source is imageVolume, which Kubernetes %s does not support: use image, which copies the model" .Capabilities.KubeVersion.Version) }}
  {{- end }}
  image:
    reference: {{ include "undertone.image" (dict "root" . "image" .Values.model.image) }}
    pullPolicy: {{ .Values.model.image.pullPolicy }}
  {{- else if eq .Values.model.source "claim" }}
  persistentVolumeClaim:
    claimName: {{ required "model.claim.name is empty: name the claim that contains the model, or use another model.source" .Values.model.claim.name }}
    readOnly: true
  {{- else }}
  emptyDir:
    sizeLimit: {{ .Values.model.sizeLimit }}
  {{- end }}
{{- end }}

{{/* The mount of the model. */}}
{{- define "undertone.modelMount" -}}
- name: model
  mountPath: {{ ternary "/image" "/models" (eq .Values.model.source "imageVolume") }}
  readOnly: true
{{- end }}

{{/* The init containers that copy the model, if it is copied, and check it. */}}
{{- define "undertone.modelContainers" -}}
{{- $folder := printf "%s/%d" .Values.model.name (int64 .Values.model.version) -}}
{{- if eq .Values.model.source "image" -}}
- name: copy-model
  image: {{ include "undertone.image" (dict "root" . "image" .Values.model.image) }}
  imagePullPolicy: {{ .Values.model.image.pullPolicy }}
  # The volume is mounted at /copy, because a mount at /models could hide the model in the image.
  command: [/bin/sh, -c, 'mkdir -p "$2" && cp -r "$1" "$2"', copy-model]
  args: [{{ printf "%s/%s" (trimSuffix "/" .Values.model.image.path) $folder | quote }}, /copy/{{ .Values.model.name }}/]
  resources:
    {{- toYaml .Values.model.resources | nindent 4 }}
  securityContext:
    {{- include "undertone.securityContext" . | nindent 4 }}
  volumeMounts:
    - name: model
      mountPath: /copy
{{- else if eq .Values.model.source "objectStore" }}
{{- $url := required "model.url is empty: set it to the URL that contains <name>/<version>, for example s3://bucket/models" .Values.model.url -}}
{{- include "undertone.copyContainer" (dict "root" . "name" "copy-model" "from" (printf "%s/%s" (include "undertone.remote" $url) $folder) "to" (printf "/models/%s" $folder) "resources" .Values.model.resources "volume" "model" "mountPath" "/models") }}
{{- end }}
- name: check-model
  image: {{ include "undertone.image" (dict "root" . "image" .Values.sidecar.image) }}
  imagePullPolicy: {{ .Values.sidecar.image.pullPolicy }}
  command: [python, /etc/undertone/check_model.py]
  args: [{{ include "undertone.modelRoot" . }}, {{ .Values.model.name }}, {{ int64 .Values.model.version | quote }}, {{ .Values.model.precision }}]
  resources:
    {{- toYaml .Values.model.resources | nindent 4 }}
  securityContext:
    {{- include "undertone.securityContext" . | nindent 4 }}
  volumeMounts:
    {{- include "undertone.modelMount" . | nindent 4 }}
    - name: config
      mountPath: /etc/undertone
      readOnly: true
{{- end }}
