{{/* Environment variables and volumes for the receivers of metrics, events and traces. */}}

{{/*
Environment variables of sidecars and jobs. Empty if nothing is sent.
Argument: (dict "root" $ "service" "undertone-sidecar").
*/}}
{{- define "undertone.telemetryEnv" -}}
{{- $statsd := .root.Values.telemetry.dogstatsd -}}
{{- $otlp := .root.Values.telemetry.otlp -}}
{{- if ne $statsd.mode "none" -}}
{{- if eq $statsd.mode "node" }}
- name: HOST_IP
  valueFrom:
    fieldRef: {fieldPath: status.hostIP}
{{- end }}
- name: UNDERTONE_DOGSTATSD
  value: {{ include "undertone.dogstatsd" .root | quote }}
# The Datadog agent adds the tags of the pod with this UID.
- name: DD_ENTITY_ID
  valueFrom:
    fieldRef: {fieldPath: metadata.uid}
- {name: DD_SERVICE, value: {{ .service }}}
- {name: DD_VERSION, value: {{ .root.Chart.AppVersion | quote }}}
{{- with $statsd.environment }}
- {name: DD_ENV, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- if $otlp.endpoint }}
- {name: UNDERTONE_OTLP_ENDPOINT, value: {{ $otlp.endpoint | quote }}}
- {name: UNDERTONE_TRACE_SAMPLE, value: {{ $otlp.sample | toString | quote }}}
{{- end }}
{{- end }}

{{/* The address of the DogStatsD agent. */}}
{{- define "undertone.dogstatsd" -}}
{{- $statsd := .Values.telemetry.dogstatsd -}}
{{- if eq $statsd.mode "node" -}}
$(HOST_IP):{{ $statsd.port }}
{{- else if eq $statsd.mode "socket" -}}
unix://{{ $statsd.socket }}
{{- else -}}
{{ required "telemetry.dogstatsd.address is empty: set it to the host:port of the agent, because telemetry.dogstatsd.mode is address" $statsd.address }}
{{- end }}
{{- end }}

{{/* The volume of the agent's socket. Empty unless the mode is socket. */}}
{{- define "undertone.telemetryVolume" -}}
{{- if eq .Values.telemetry.dogstatsd.mode "socket" -}}
- name: dogstatsd
  hostPath:
    path: {{ dir .Values.telemetry.dogstatsd.socket }}
    type: DirectoryOrCreate
{{- end }}
{{- end }}

{{/* The mount of the agent's socket. Empty unless the mode is socket. */}}
{{- define "undertone.telemetryMount" -}}
{{- if eq .Values.telemetry.dogstatsd.mode "socket" -}}
# Mounts the directory, not the socket, because the agent creates a new socket when it starts.
- name: dogstatsd
  mountPath: {{ dir .Values.telemetry.dogstatsd.socket }}
  readOnly: true
{{- end }}
{{- end }}

{{/*
Environment variables for the metrics and traces of jobs.
Argument: (dict "root" $ "component" "daily").
*/}}
{{- define "undertone.jobTelemetryEnv" -}}
- {name: UNDERTONE_JOB, value: {{ include "undertone.componentName" . }}}
- {name: UNDERTONE_LOG_FORMAT, value: {{ index .root.Values.sidecar.settings "log-format" | default "plain" }}}
{{- if ne .root.Values.monitoring.monitor "none" }}
- {name: UNDERTONE_METRICS_PORT, value: "9464"}
- {name: UNDERTONE_METRICS_HOST, value: 0.0.0.0}
{{- end }}
{{- with .root.Values.telemetry.pushgateway }}
- {name: UNDERTONE_PUSHGATEWAY, value: {{ . | quote }}}
# The group of the metrics: jobs of releases with the same name in other namespaces have groups of their own.
- {name: UNDERTONE_PUSHGATEWAY_NAMESPACE, value: {{ $.root.Release.Namespace | quote }}}
{{- end }}
{{- with include "undertone.telemetryEnv" (dict "root" .root "service" "undertone-job") }}
{{ . }}
{{- end }}
{{- end }}
