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
{{- $front := .Values.loadBalancer.envoy.autoscaling }}
{{- if gt (int $front.minReplicas) (int $front.maxReplicas) }}
{{- fail (printf "loadBalancer.envoy.autoscaling.minReplicas is %d and loadBalancer.envoy.autoscaling.maxReplicas %d; the least cannot be more than the most" (int $front.minReplicas) (int $front.maxReplicas)) }}
{{- end }}
{{- include "undertone.checkMetrics" . }}
{{- include "undertone.checkTelemetry" . }}
{{- include "undertone.checkTls" . }}
{{- include "undertone.checkSpark" . }}
{{- end }}

{{/* Whoever wants metrics must be let in. */}}
{{- define "undertone.checkMetrics" -}}
{{- $want := list }}
{{- if ne .Values.monitoring.monitor "none" }}
{{- $want = append $want (printf "monitoring.monitor is %s" .Values.monitoring.monitor) }}
{{- end }}
{{- if .Values.monitoring.datadog }}
{{- $want = append $want "monitoring.datadog is true" }}
{{- end }}
{{- if and (eq .Values.autoscaling.type "keda") (not .Values.autoscaling.keda.query) }}
{{- $want = append $want "autoscaling.type is keda, which asks for the pods' metrics" }}
{{- end }}
{{- if and $want .Values.networkPolicy.enabled (not .Values.networkPolicy.monitoring) }}
{{- fail (printf "%s, and networkPolicy.monitoring is empty, so that nobody can read metrics; allow it, such as by [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" (join "; " $want)) }}
{{- end }}
{{- end }}

{{/* What is sent must be let out. The agent's socket is no matter of the network. */}}
{{- define "undertone.checkTelemetry" -}}
{{- $telemetry := .Values.telemetry }}
{{- $want := list }}
{{- if has $telemetry.dogstatsd.mode (list "node" "address") }}
{{- $want = append $want (printf "telemetry.dogstatsd.mode is %s" $telemetry.dogstatsd.mode) }}
{{- end }}
{{- if $telemetry.otlp.endpoint }}
{{- $want = append $want "telemetry.otlp.endpoint is set" }}
{{- end }}
{{- if $telemetry.pushgateway }}
{{- $want = append $want "telemetry.pushgateway is set" }}
{{- end }}
{{- if and $want .Values.networkPolicy.enabled (not .Values.networkPolicy.telemetry) }}
{{- fail (printf "%s, and networkPolicy.telemetry is empty, so that nothing gets there; allow it, such as by [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}]" (join "; " $want)) }}
{{- end }}
{{- end }}

{{/* This release's own jobs and test must speak as what they call does: Envoy, or the pods, which speak plaintext. */}}
{{- define "undertone.checkTls" -}}
{{- $tls := ternary .Values.loadBalancer.envoy.tls dict (eq .Values.loadBalancer.type "envoy") }}
{{- $clients := or .Values.test.enabled .Values.batch.backfill.enabled .Values.batch.daily.enabled }}
{{- if and $clients (not $tls.secretName) .Values.clients.tlsSecretName }}
{{- fail "clients.tlsSecretName is set, but what `helm test` and the jobs call speaks plaintext; set loadBalancer.envoy.tls.secretName (with loadBalancer.type=envoy), or leave it empty" }}
{{- end }}
{{- if and $clients $tls.secretName }}
{{- if not .Values.clients.tlsSecretName }}
{{- fail "loadBalancer.envoy.tls.secretName is set, and clients.tlsSecretName is not: `helm test` and the jobs would speak plaintext to it; name a Secret with the ca.crt that vouches for Envoy, or set test.enabled=false and run no jobs" }}
{{- end }}
{{- if and $tls.clientCASecretName (not .Values.clients.mutualTls) }}
{{- fail "loadBalancer.envoy.tls.clientCASecretName is set, and clients.mutualTls is not: Envoy would turn `helm test` and the jobs away; set it, with tls.crt and tls.key in the Secret that clients.tlsSecretName names, or set test.enabled=false and run no jobs" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Executors elsewhere could not reach the driver: its pod has no address that is known, and lets nobody in. */}}
{{- define "undertone.checkSpark" -}}
{{- range .Values.batch.sparkSubmitArgs }}
{{- if and (regexMatch `^--(master|conf=spark\.master)(=|$)` .) (not (regexMatch `=local(\[[^]]+\])?$` .)) }}
{{- fail (printf "batch.sparkSubmitArgs has %s: the chart's jobs run Spark within their own pod (local[N]); docs/how-to/spark.md submits to a cluster (k8s://, yarn)" .) }}
{{- end }}
{{- end }}
{{- end }}
