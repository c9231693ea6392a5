{{/* How long pods serve before and after other pods take their place. */}}

{{/*
The seconds from the time at which a pod is ready until every load balancer knows the pod: the cached DNS answer,
the next DNS query and the first health check of Envoy, and 5 seconds for the kubelet, the EndpointSlice
and the DNS server to notice that the pod is ready. Gateways read EndpointSlices instead of DNS.
*/}}
{{- define "undertone.discoverySeconds" -}}
{{- $balancer := .Values.loadBalancer }}
{{- $check := $balancer.envoy.healthCheck }}
{{- $seconds := 5 }}
{{- if ne $balancer.type "gatewayAPI" }}{{ $seconds = addf $seconds $balancer.dnsCacheSeconds }}{{ end }}
{{- if eq $balancer.type "envoy" }}
{{- $seconds = addf $seconds $balancer.envoy.dnsRefreshSeconds (mulf $check.intervalSeconds $check.healthyThreshold) $check.timeoutSeconds }}
{{- end }}
{{- ceil $seconds | int }}
{{- end }}

{{/* The seconds for which the health of a terminating pod stays SERVING. */}}
{{- define "undertone.servingSeconds" -}}
{{- $seconds := .Values.inference.drain.servingSeconds }}
{{- kindIs "invalid" $seconds | ternary (include "undertone.discoverySeconds" .) $seconds | int }}
{{- end }}

{{/* The maximum seconds that a rolling update can make no progress: a pod starts, and is then known. */}}
{{- define "undertone.progressSeconds" -}}
{{- add (mul 2 (int .Values.inference.startupSeconds)) 300 (include "undertone.discoverySeconds" . | int) }}
{{- end }}
