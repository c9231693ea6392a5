{{/* What the alerts have in common. Their own templates, Prometheus's, stand in backquotes. */}}

{{/* Which series are of this release's pods: (dict "root" $ "component" "inference"). */}}
{{- define "undertone.series" -}}
namespace={{ .root.Release.Namespace | quote }}, pod=~"{{ include "undertone.componentName" . }}-.*"
{{- end }}

{{/* Labels by which series that rules record are of this release: selector and labels alike. */}}
{{- define "undertone.recorded" -}}
namespace={{ .Release.Namespace | quote }}, release={{ .Release.Name | quote }}
{{- end }}

{{- define "undertone.recordedLabels" -}}
namespace: {{ .Release.Namespace }}
release: {{ .Release.Name }}
{{- end }}

{{/* Name, duration and labels: (dict "root" $ "name" "UndertoneShedding" "alert" .Values.monitoring.alerts.shedding). */}}
{{- define "undertone.alert" -}}
alert: {{ .name }}
for: {{ .alert.for }}
labels:
  severity: {{ .alert.severity }}
  {{- include "undertone.recordedLabels" .root | nindent 2 }}
{{- end }}

{{/* Link to an alert's runbook: (dict "root" $ "name" "UndertoneShedding"). */}}
{{- define "undertone.runbook" -}}
runbook_url: {{ .root.Values.monitoring.runbookUrl }}#{{ lower .name }}
{{- end }}
