{{/* Checks of the values of the autoscaler. */}}
{{- define "undertone.checkScaling" -}}
{{- $scaling := .Values.autoscaling }}
{{- $keda := $scaling.keda }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas is %d and autoscaling.maxReplicas %d: the minimum must not exceed the maximum" (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- end }}
{{- if eq (int $scaling.minReplicas) 0 }}
{{- if eq $scaling.type "hpa" }}
{{- fail "autoscaling.minReplicas is 0, but autoscaling.type is hpa, which cannot start the first pod: set autoscaling.type=keda, or a minimum of at least 1" }}
{{- end }}
{{- if and (eq $scaling.type "keda") (not $keda.jobs.enabled) (not $keda.schedules) }}
{{- fail "autoscaling.minReplicas is 0, but no trigger would start the first pod: set autoscaling.keda.jobs.enabled=true or autoscaling.keda.schedules, or a minimum of at least 1" }}
{{- end }}
{{- end }}
{{- if eq $scaling.type "keda" }}
{{- if and $keda.jobs.enabled (not $keda.jobs.names) (not .Values.telemetry.pushgateway) (eq .Values.monitoring.monitor "none") }}
{{- fail "autoscaling.keda.jobs.enabled is true, but Prometheus gets no metrics of the jobs: set telemetry.pushgateway or monitoring.monitor, or the names of jobs outside this release in autoscaling.keda.jobs.names" }}
{{- end }}
{{- range $keda.schedules }}
{{- include "undertone.checkTimeZone" (dict "path" "autoscaling.keda.schedules.timeZone" "zone" .timeZone) }}
{{- if eq .start .end }}
{{- fail (printf "autoscaling.keda.schedules has the start and the end %s: use different times" .start) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
