{{/* What the schema cannot say: how values go together. */}}
{{- define "undertone.checks" -}}
{{- $scaling := .Values.autoscaling }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas is %d and autoscaling.maxReplicas %d; the least cannot be more than the most" (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- end }}
{{- $drain := .Values.inference.drain }}
{{- if gt (int $drain.delaySeconds) (int $drain.periodSeconds) }}
{{- fail (printf "inference.drain.delaySeconds is %d; it is a part of inference.drain.periodSeconds, %d, and cannot be longer" (int $drain.delaySeconds) (int $drain.periodSeconds)) }}
{{- end }}
{{- $strategy := .Values.inference.strategy }}
{{- if and (has (toString $strategy.maxSurge) (list "0" "0%")) (has (toString $strategy.maxUnavailable) (list "0" "0%")) }}
{{- fail "inference.strategy.maxSurge and inference.strategy.maxUnavailable are both 0; no pod could ever be replaced" }}
{{- end }}
{{- end }}
