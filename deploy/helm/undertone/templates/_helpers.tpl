{{/*
Names and labels. Where a component is meant, the argument is (dict "root" $ "component" "inference").
*/}}

{{- define "undertone.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, with the chart's where the former does not have it. Short enough for what is appended to it. */}}
{{- define "undertone.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "undertone.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Name of a component's objects. */}}
{{- define "undertone.componentName" -}}
{{- printf "%s-%s" (include "undertone.fullname" .root) .component }}
{{- end }}

{{/* What finds a component's pods. Never changes: selectors are immutable. */}}
{{- define "undertone.selectorLabels" -}}
app.kubernetes.io/name: {{ include "undertone.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "undertone.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "undertone.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: undertone
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "undertone.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "undertone.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Reference of an image: (dict "root" $ "image" .Values.sidecar.image). A digest wins over a tag; no tag means the chart's appVersion. */}}
{{- define "undertone.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* Of every pod: passes the restricted Pod Security Standard. */}}
{{- define "undertone.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Of every container. */}}
{{- define "undertone.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
