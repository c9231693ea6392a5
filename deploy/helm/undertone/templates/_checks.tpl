{{/* Checks of values that depend on each other, which the schema cannot express. */}}
{{- define "undertone.checks" -}}
{{- if hasKey .Values.sidecar.settings "batching" }}
{{- fail (printf "sidecar.settings.batching is %v: the setting was removed, because only the sidecar forms batches: remove it, and remove --enable_batching and --batching_parameters_file from modelServer.extraArgs" .Values.sidecar.settings.batching) }}
{{- end }}
{{- range .Values.modelServer.extraArgs }}
{{- if regexMatch `^--(enable_batching|batching_parameters_file)(=|$)` (toString .) | and (ne (toString .) "--enable_batching=false") }}
{{- fail (printf "modelServer.extraArgs contains %s: remove it, because the sidecar forms the batches; TF Serving's batching refuses unequal lengths, or pads their attention masks with ones, which changes the scores" .) }}
{{- end }}
{{- end }}
{{- include "undertone.checkScaling" . }}
{{- include "undertone.checkSpot" . }}
{{- $drain := .Values.inference.drain }}
{{- if gt (int $drain.delaySeconds) (int $drain.periodSeconds) }}
{{- fail (printf "inference.drain.delaySeconds is %d: lower it, or raise inference.drain.periodSeconds (%d), which includes it" (int $drain.delaySeconds) (int $drain.periodSeconds)) }}
{{- end }}
{{- $check := .Values.loadBalancer.envoy.healthCheck }}
{{- $notice := addf (mulf $check.intervalSeconds $check.unhealthyThreshold) $check.timeoutSeconds }}
{{- if and (eq .Values.loadBalancer.type "envoy") (lt (float64 $drain.delaySeconds) $notice) (ne (int $drain.delaySeconds) 0) }}
{{- fail (printf "inference.drain.delaySeconds is %d: the health checks of Envoy need %v s to notice the end of a pod (loadBalancer.envoy.healthCheck: intervalSeconds * unhealthyThreshold + timeoutSeconds): use at least this time" (int $drain.delaySeconds) $notice) }}
{{- end }}
{{- $strategy := .Values.inference.strategy }}
{{- if and (has (toString $strategy.maxSurge) (list "0" "0%")) (has (toString $strategy.maxUnavailable) (list "0" "0%")) }}
{{- fail "inference.strategy.maxSurge and inference.strategy.maxUnavailable are both 0, so a rolling update could replace no pod: set one of them above 0" }}
{{- end }}
{{- $envoy := .Values.loadBalancer.envoy.autoscaling }}
{{- if gt (int $envoy.minReplicas) (int $envoy.maxReplicas) }}
{{- fail (printf "loadBalancer.envoy.autoscaling.minReplicas is %d and loadBalancer.envoy.autoscaling.maxReplicas %d: the minimum must not exceed the maximum" (int $envoy.minReplicas) (int $envoy.maxReplicas)) }}
{{- end }}
{{- $settings := .Values.sidecar.settings }}
{{- $limits := list (list "max-batch-bytes" 1048576 "max-paragraph-bytes" 65536) (list "max-queue" 8192 "max-batch-paragraphs" 256) }}
{{- range $limits }}
{{- $upper := get $settings (index . 0) | default (index . 1) | int64 }}
{{- $lower := get $settings (index . 2) | default (index . 3) | int64 }}
{{- if lt $upper $lower }}
{{- fail (printf "sidecar.settings.%s is %d, less than %s (%d): raise the first, or lower the second" (index . 0) $upper (index . 2) $lower) }}
{{- end }}
{{- end }}
{{- if and .Values.sidecar.http.enabled (eq .Values.loadBalancer.type "envoy") }}
{{- fail "sidecar.http.enabled is true with loadBalancer.type=envoy: remove it, because Envoy serves JSON at its own port, and calls that bypass Envoy would bypass its authentication and its rate limits" }}
{{- end }}
{{- if and (get $settings "http-hosts") (not .Values.sidecar.http.enabled) }}
{{- fail (printf "sidecar.settings.http-hosts is %s, but sidecar.http.enabled is false: set sidecar.http.enabled=true, or remove the setting" (get $settings "http-hosts")) }}
{{- end }}
{{- include "undertone.checkResources" . }}
{{- include "undertone.checkEnvoyMemory" . }}
{{- include "undertone.checkCidrs" . }}
{{- include "undertone.checkPorts" . }}
{{- include "undertone.checkPodLabels" . }}
{{- include "undertone.checkTimeZone" (dict "path" "batch.daily.timeZone" "zone" .Values.batch.daily.timeZone) }}
{{- include "undertone.checkMetrics" . }}
{{- include "undertone.checkTelemetry" . }}
{{- include "undertone.checkTls" . }}
{{- include "undertone.checkRedis" . }}
{{- include "undertone.checkCallers" . }}
{{- include "undertone.checkSpark" . }}
{{- include "undertone.checkCanary" . }}
{{- end }}

{{/* The NetworkPolicies must allow the readers of metrics. */}}
{{- define "undertone.checkMetrics" -}}
{{- $reasons := list }}
{{- if ne .Values.monitoring.monitor "none" }}
{{- $reasons = append $reasons (printf "monitoring.monitor is %s" .Values.monitoring.monitor) }}
{{- end }}
{{- if .Values.monitoring.datadog }}
{{- $reasons = append $reasons "monitoring.datadog is true" }}
{{- end }}
{{- if and (eq .Values.autoscaling.type "keda") (not .Values.autoscaling.keda.query) }}
{{- $reasons = append $reasons "autoscaling.type is keda" }}
{{- end }}
{{- if and $reasons .Values.networkPolicy.enabled (not .Values.networkPolicy.monitoring) }}
{{- fail (printf "networkPolicy.monitoring is empty, so metrics cannot be read (%s): add the peers that read them, for example [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" (join "; " $reasons)) }}
{{- end }}
{{- end }}

{{/* The NetworkPolicies must allow telemetry to leave the pods. The Unix socket of the agent needs no rule. */}}
{{- define "undertone.checkTelemetry" -}}
{{- $telemetry := .Values.telemetry }}
{{- $reasons := list }}
{{- if has $telemetry.dogstatsd.mode (list "node" "address") }}
{{- $reasons = append $reasons (printf "telemetry.dogstatsd.mode is %s" $telemetry.dogstatsd.mode) }}
{{- end }}
{{- if $telemetry.otlp.endpoint }}
{{- $reasons = append $reasons "telemetry.otlp.endpoint is set" }}
{{- end }}
{{- if $telemetry.pushgateway }}
{{- $reasons = append $reasons "telemetry.pushgateway is set" }}
{{- end }}
{{- if and $reasons .Values.networkPolicy.enabled (not .Values.networkPolicy.telemetry) }}
{{- fail (printf "networkPolicy.telemetry is empty, so telemetry cannot leave the pods (%s): add an egress rule, for example [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}]" (join "; " $reasons)) }}
{{- end }}
{{- end }}

{{/*
The jobs and the test of this release must use TLS if and only if their target does: Envoy or, without
Envoy, the sidecars.
*/}}
{{- define "undertone.checkTls" -}}
{{- $own := .Values.sidecar.tls }}
{{- if and (or $own.clientCASecretName $own.envoySecretName $own.serverName) (not $own.secretName) }}
{{- fail "sidecar.tls.secretName is empty, so the other values of sidecar.tls have no effect: name a Secret with tls.crt and tls.key, or leave all of them empty" }}
{{- end }}
{{- if and (eq .Values.loadBalancer.type "envoy") $own.clientCASecretName (not $own.envoySecretName) }}
{{- fail "sidecar.tls.envoySecretName is empty, so the sidecars would reject Envoy (sidecar.tls.clientCASecretName is set): name a Secret with a client certificate in tls.crt and tls.key" }}
{{- end }}
{{- $tls := ternary .Values.loadBalancer.envoy.tls $own (eq .Values.loadBalancer.type "envoy") }}
{{- $clients := or .Values.test.enabled .Values.batch.backfill.enabled .Values.batch.daily.enabled }}
{{- if and $clients (not $tls.secretName) .Values.clients.tlsSecretName }}
{{- fail "clients.tlsSecretName is set, but the target of `helm test` and the jobs uses plaintext: set loadBalancer.envoy.tls.secretName (with loadBalancer.type=envoy) or sidecar.tls.secretName (with another type), or leave clients.tlsSecretName empty" }}
{{- end }}
{{- if and $clients $tls.secretName }}
{{- if not .Values.clients.tlsSecretName }}
{{- fail "clients.tlsSecretName is empty, so `helm test` and the jobs would call the service without TLS (loadBalancer.envoy.tls.secretName or, without Envoy, sidecar.tls.secretName is set): name a Secret with the ca.crt that verifies the server's certificate, or set test.enabled=false and enable no jobs" }}
{{- end }}
{{- if and $tls.clientCASecretName (not .Values.clients.mutualTls) }}
{{- fail "clients.mutualTls is false, so the server would reject `helm test` and the jobs (loadBalancer.envoy.tls.clientCASecretName or, without Envoy, sidecar.tls.clientCASecretName is set): set clients.mutualTls=true, with tls.crt and tls.key in the Secret of clients.tlsSecretName, or set test.enabled=false and enable no jobs" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Authentication and identity of callers need each other's values. */}}
{{- define "undertone.checkCallers" -}}
{{- $envoy := .Values.loadBalancer.envoy }}
{{- $authentication := $envoy.authentication }}
{{- $jwks := $authentication.jwt.jwks }}
{{- if and (ne $authentication.type "none") (ne .Values.loadBalancer.type "envoy") }}
{{- fail (printf "loadBalancer.envoy.authentication.type is %s, but loadBalancer.type is %s: only Envoy authenticates callers, so set loadBalancer.type=envoy or loadBalancer.envoy.authentication.type=none" $authentication.type .Values.loadBalancer.type) }}
{{- end }}
{{- if and (eq $authentication.type "apiKey") (not $authentication.apiKey.secretName) }}
{{- fail "loadBalancer.envoy.authentication.apiKey.secretName is empty: name the Secret with the API keys, because authentication.type is apiKey" }}
{{- end }}
{{- if eq $authentication.type "jwt" }}
{{- if not $authentication.jwt.issuer }}
{{- fail "loadBalancer.envoy.authentication.jwt.issuer is empty: set it to the claim iss of the tokens" }}
{{- end }}
{{- if not $authentication.jwt.audiences }}
{{- fail "loadBalancer.envoy.authentication.jwt.audiences is empty: list the accepted claims aud, because tokens for other services must not be accepted" }}
{{- end }}
{{- $sources := compact (list $jwks.url $jwks.configMapName $jwks.secretName) }}
{{- if ne (len $sources) 1 }}
{{- fail (printf "loadBalancer.envoy.authentication.jwt.jwks has %d sources of keys (%s): set exactly one of url, configMapName and secretName" (len $sources) (join ", " $sources | default "none is set")) }}
{{- end }}
{{- if and $jwks.url .Values.networkPolicy.enabled (not .Values.networkPolicy.jwks) }}
{{- fail "networkPolicy.jwks is empty, so Envoy cannot download loadBalancer.envoy.authentication.jwt.jwks.url: add an egress rule, for example [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443, protocol: TCP}]}]" }}
{{- end }}
{{- end }}
{{- if and (eq $envoy.callers.identity "authentication") (eq $authentication.type "none") }}
{{- fail "loadBalancer.envoy.callers.identity is authentication, but loadBalancer.envoy.authentication.type is none: set authentication.type to apiKey or jwt, or use another identity" }}
{{- end }}
{{- if and (eq $envoy.callers.identity "certificate") (not $envoy.tls.clientCASecretName) }}
{{- fail "loadBalancer.envoy.callers.identity is certificate, but Envoy asks for no certificates: set loadBalancer.envoy.tls.clientCASecretName, or another identity" }}
{{- end }}
{{- if and (eq $envoy.callers.identity "header") (not $envoy.callers.header) }}
{{- fail "loadBalancer.envoy.callers.header is empty: name the request header, because callers.identity is header" }}
{{- end }}
{{- $clients := or .Values.test.enabled .Values.batch.backfill.enabled .Values.batch.daily.enabled }}
{{- if and $clients (ne $authentication.type "none") (not .Values.clients.credentials.secretName) }}
{{- fail "clients.credentials.secretName is empty, so Envoy would reject `helm test` and the jobs (loadBalancer.envoy.authentication.type is set): name a Secret with their credentials, or set test.enabled=false and enable no jobs" }}
{{- end }}
{{- end }}
