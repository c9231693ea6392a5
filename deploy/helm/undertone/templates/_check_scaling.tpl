{{/* Checks of the values of the autoscaler. */}}
{{- define "undertone.checkScaling" -}}
{{- $scaling := .Values.autoscaling }}
{{- $keda := $scaling.keda }}
{{- $spot := .Values.spot }}
{{- $jobs := and $keda.jobs.enabled (not $spot.enabled) }}
{{- include "undertone.checkReplicas" (dict "path" "autoscaling" "type" $scaling.type "replicas" $scaling "schedules" $keda.schedules "jobs" $jobs) }}
{{- if $spot.enabled }}
{{- include "undertone.checkReplicas" (dict "path" "spot" "type" $scaling.type "replicas" $spot "schedules" $spot.schedules "jobs" $keda.jobs.enabled) }}
{{- end }}
{{- if eq $scaling.type "keda" }}
{{- if and $keda.jobs.enabled (not $keda.jobs.names) (not .Values.telemetry.pushgateway) (eq .Values.monitoring.monitor "none") }}
{{- fail "autoscaling.keda.jobs.enabled is true, but Prometheus gets no metrics of the jobs: set telemetry.pushgateway or monitoring.monitor, or the names of jobs outside this release in autoscaling.keda.jobs.names" }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Argument: (dict "path" "spot" "type" "keda" "replicas" .Values.spot "schedules" list "jobs" true). `jobs` tells
whether jobs start these pods.
*/}}
{{- define "undertone.checkReplicas" -}}
{{- if gt (int .replicas.minReplicas) (int .replicas.maxReplicas) }}
{{- fail (printf "%s.minReplicas is %d and %s.maxReplicas %d: the minimum must not exceed the maximum" .path (int .replicas.minReplicas) .path (int .replicas.maxReplicas)) }}
{{- end }}
{{- if eq (int .replicas.minReplicas) 0 }}
{{- if ne .type "keda" }}
{{- fail (printf "%s.minReplicas is 0, but autoscaling.type is %s, which cannot start the first pod: set autoscaling.type=keda, or a minimum of at least 1" .path .type) }}
{{- end }}
{{- if not (or .jobs .schedules) }}
{{- $schedules := ternary "spot.schedules" "autoscaling.keda.schedules" (eq .path "spot") }}
{{- fail (printf "%s.minReplicas is 0, but no trigger would start the first of these pods: set autoscaling.keda.jobs.enabled=true (with spot.enabled, jobs start spot pods only) or %s, or a minimum of at least 1" .path $schedules) }}
{{- end }}
{{- end }}
{{- $path := ternary "spot.schedules" "autoscaling.keda.schedules" (eq .path "spot") }}
{{- range .schedules }}
{{- include "undertone.checkTimeZone" (dict "path" (print $path ".timeZone") "zone" .timeZone) }}
{{- if eq .start .end }}
{{- fail (printf "%s has the start and the end %s: use different times" $path .start) }}
{{- end }}
{{- end }}
{{- end }}
