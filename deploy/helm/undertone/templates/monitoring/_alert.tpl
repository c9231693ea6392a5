{{/* Common parts of the alerts. Backquotes protect the templates of Prometheus from Helm. */}}

{{/*
Matchers of the series of this release's pods. Argument: (dict "root" $ "component" "inference").
*/}}
{{- define "undertone.series" -}}
namespace={{ .root.Release.Namespace | quote }}, pod=~"{{ include "undertone.componentName" . }}-.*"
{{- end }}

{{/* Matchers of the series that recording rules of this release write. */}}
{{- define "undertone.recorded" -}}
namespace={{ .Release.Namespace | quote }}, release={{ .Release.Name | quote }}
{{- end }}

{{/* Labels of the series that recording rules of this release write. */}}
{{- define "undertone.recordedLabels" -}}
namespace: {{ .Release.Namespace }}
release: {{ .Release.Name }}
{{- end }}

{{/*
Name, duration and labels of an alert.
Argument: (dict "root" $ "name" "UndertoneShedding" "alert" .Values.monitoring.alerts.shedding).
*/}}
{{- define "undertone.alert" -}}
alert: {{ .name }}
for: {{ .alert.for }}
labels:
  severity: {{ .alert.severity }}
  {{- include "undertone.recordedLabels" .root | nindent 2 }}
{{- end }}

{{/* The link to an alert's runbook. Argument: (dict "root" $ "name" "UndertoneShedding"). */}}
{{- define "undertone.runbook" -}}
runbook_url: {{ .root.Values.monitoring.runbookUrl }}#{{ lower .name }}
{{- end }}
