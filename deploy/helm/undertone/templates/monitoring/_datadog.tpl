{{/* Annotations by which the Datadog agent finds metrics and logs (Autodiscovery v2). */}}
{{- define "undertone.datadogAnnotations" -}}
{{- $instances := list }}
{{- if eq .Values.telemetry.dogstatsd.mode "none" }}
{{- $instances = append $instances (dict "openmetrics_endpoint" "http://%%host%%:9464/metrics" "namespace" "undertone" "metrics" (list ".*")) }}
{{- end -}}
{{- $instances = append $instances (dict "openmetrics_endpoint" "http://%%host%%:8501/monitoring/prometheus/metrics" "namespace" "tensorflow_serving" "metrics" (list ".*")) -}}
ad.datadoghq.com/sidecar.checks: {{ dict "openmetrics" (dict "instances" $instances) | toJson | quote }}
ad.datadoghq.com/sidecar.logs: {{ list (dict "source" "python" "service" "undertone-sidecar") | toJson | quote }}
{{- end }}
