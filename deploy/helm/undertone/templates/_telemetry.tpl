{{/* Where a pod's metrics, events and traces go, as the variables that the programs read. */}}

{{/* Environment of sidecars and jobs: (dict "root" $ "service" "undertone-sidecar"). Empty where nothing is sent. */}}
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
# The agent adds the pod's tags by it.
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

{{- define "undertone.dogstatsd" -}}
{{- $statsd := .Values.telemetry.dogstatsd -}}
{{- if eq $statsd.mode "node" -}}
$(HOST_IP):{{ $statsd.port }}
{{- else if eq $statsd.mode "socket" -}}
unix://{{ $statsd.socket }}
{{- else -}}
{{ required "telemetry.dogstatsd.mode is address, and telemetry.dogstatsd.address is empty; give the agent's host:port" $statsd.address }}
{{- end }}
{{- end }}

{{/* The folder of the agent's socket, as a volume and where it is mounted; empty but for mode socket. */}}
{{- define "undertone.telemetryVolume" -}}
{{- if eq .Values.telemetry.dogstatsd.mode "socket" -}}
- name: dogstatsd
  hostPath:
    path: {{ dir .Values.telemetry.dogstatsd.socket }}
    type: DirectoryOrCreate
{{- end }}
{{- end }}

{{- define "undertone.telemetryMount" -}}
{{- if eq .Values.telemetry.dogstatsd.mode "socket" -}}
# A folder, as the agent makes its socket anew when it starts.
- name: dogstatsd
  mountPath: {{ dir .Values.telemetry.dogstatsd.socket }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Environment by which jobs show and push how they go: (dict "root" $ "component" "daily"). */}}
{{- define "undertone.jobTelemetryEnv" -}}
- {name: UNDERTONE_JOB, value: {{ include "undertone.componentName" . }}}
- {name: UNDERTONE_LOG_FORMAT, value: {{ index .root.Values.sidecar.settings "log-format" | default "plain" }}}
{{- if ne .root.Values.monitoring.monitor "none" }}
- {name: UNDERTONE_METRICS_PORT, value: "9464"}
- {name: UNDERTONE_METRICS_HOST, value: 0.0.0.0}
{{- end }}
{{- with .root.Values.telemetry.pushgateway }}
- {name: UNDERTONE_PUSHGATEWAY, value: {{ . | quote }}}
{{- end }}
{{- with include "undertone.telemetryEnv" (dict "root" .root "service" "undertone-job") }}
{{ . }}
{{- end }}
{{- end }}
